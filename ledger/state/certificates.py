"""Certificates that transactions bring: which of their signatures are checked before a block, and whose time is over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from gridcore.envelope import Transaction
from gridcore.errors import EncodingError
from gridcore.governance.membership import ChangeMembers
from gridcore.governance.table import Action, decode_action
from gridcore.registry.entity import Value
from gridcore.registry.organisation import ORGANISATION, Organisation
from gridcore.registry.row import decode_row
from gridcore.registry.signer import SIGNER, Signer
from gridcore.sm3 import sm3
from gridcore.transactions.governance_propose import GovernancePropose
from gridcore.transactions.governance_vote import GovernanceVote
from gridcore.transactions.registry_approve import RegistryApprove
from gridcore.transactions.registry_register import RegistryRegister, decode_attached_rows
from gridcore.x509 import decode_certificate
from ledger.leaves.pending import PENDING
from ledger.leaves.proposal import PROPOSAL
from ledger.registry.bodies import Registered, open_entity, row_of
from ledger.state.verdicts import SignatureCheck

RENEWING: Final = frozenset({RegistryRegister.kind, RegistryApprove.kind, GovernancePropose.kind, GovernanceVote.kind})
"""What may be sent under a certificate whose time is over: else nobody could renew one once all have expired."""
_MARKS: Final = (b"certificate", b"authority")
"""Keys of what is looked for; rows without them are not read a second time."""


def certificate_checks(registered: Registered, rows: Iterable[tuple[str, Value]]) -> Iterator[SignatureCheck]:
    """Every (certificate, key of an authority) that judging these rows together, and after what is recorded, may ask for."""
    named: dict[str, set[bytes]] = {}
    certificates: list[tuple[str, bytes]] = []
    for key, value in rows:
        kind, _, name = key.partition("/")
        if kind == ORGANISATION.kind and "authority" in value and not ORGANISATION.fault_of(value):
            named.setdefault(name, set()).add(decode_certificate(value["authority"]).public_key)
        elif kind == SIGNER.kind and "certificate" in value and not SIGNER.fault_of(value):
            certificates.append((value["organisation"], value["certificate"]))
    for organisation, data in certificates:
        certificate = decode_certificate(data)
        for public_key in sorted(named.get(organisation, set()) | _authority_keys(registered, organisation)):
            yield SignatureCheck(sm3(data), public_key, certificate.signed, certificate.signature)


def certificates_of(registered: Registered, transactions: Iterable[Transaction | None]) -> list[SignatureCheck]:
    """Those that applying these transactions of one block may ask for, None standing for bytes that are no transaction."""
    rows = [row for transaction in transactions if transaction is not None for row in _rows_of(registered, transaction)]
    return list(certificate_checks(registered, rows))


def has_expired(kind: str, signer: Signer, ledger_time_s: int) -> bool:
    """Whether a signer's certificate no longer holds for transactions of a kind."""
    if signer.certificate is None or kind in RENEWING:
        return False
    return decode_certificate(signer.certificate).not_after_s < ledger_time_s


def _authority_keys(registered: Registered, organisation: str) -> set[bytes]:
    """Keys of the authorities that an organisation has, had or will have."""
    found = open_entity(registered, ORGANISATION, organisation)
    if found is None:
        return set()
    records = (found.open(registered, entry).record for entry in found.leaf.entries)
    certificates = (record.authority for record in records if isinstance(record, Organisation))
    return {decode_certificate(data).public_key for data in certificates if data is not None}


def _rows_of(registered: Registered, transaction: Transaction) -> Iterator[tuple[str, Value]]:
    """Key and value of the rows that a transaction registers, proposes, or may record by its vote or approval; none where it has no form."""
    try:
        if transaction.kind == RegistryRegister.kind and any(mark in transaction.attachment for mark in _MARKS):
            decoded = map(decode_row, decode_attached_rows(transaction.attachment).rows)
            yield from [(row.key, row.value) for row in decoded]
        elif transaction.kind == GovernancePropose.kind:
            yield from _members_in(GovernancePropose.decode(transaction).action)
        elif transaction.kind == GovernanceVote.kind:
            proposal = PROPOSAL.load(registered, GovernanceVote.decode(transaction).proposal.hex())
            yield from () if proposal is None else _members_in(proposal.action)
        elif transaction.kind == RegistryApprove.kind:
            pending = PENDING.load(registered, RegistryApprove.decode(transaction).transaction.hex())
            waiting = () if pending is None else pending.rows
            yield from [(row.key, row.value) for row in (row_of(registered, digest) for digest in waiting)]
    except EncodingError:
        return


def members_of(action: Action) -> list[tuple[str, Value]]:
    """Key and value of the rows of an action that changes members; none of another."""
    record = action.record
    return [(row.key, row.value) for row in record.members] if isinstance(record, ChangeMembers) else []


def _members_in(data: bytes) -> list[tuple[str, Value]]:
    """The same of an encoded action; b"" stands for one that was carried out."""
    return members_of(decode_action(data)) if any(mark in data for mark in _MARKS) else []
