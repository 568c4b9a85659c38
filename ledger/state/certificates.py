"""Signers whose certificate's time is over (docs/spec/registry.md, "Certificates")."""

from __future__ import annotations

from typing import Final

from gridcore.registry.signer import Signer
from gridcore.transactions.governance_propose import GovernancePropose
from gridcore.transactions.governance_vote import GovernanceVote
from gridcore.transactions.registry_approve import RegistryApprove
from gridcore.transactions.registry_register import RegistryRegister
from gridcore.x509 import decode_certificate

RENEWING: Final = frozenset({RegistryRegister.kind, RegistryApprove.kind, GovernancePropose.kind, GovernanceVote.kind})
"""What may be sent under a certificate whose time is over: else nobody could renew one once all have expired."""


def has_expired(kind: str, signer: Signer, ledger_time_s: int) -> bool:
    """Whether a signer's certificate no longer holds for transactions of a kind."""
    if signer.certificate is None or kind in RENEWING:
        return False
    return decode_certificate(signer.certificate).not_after_s < ledger_time_s
