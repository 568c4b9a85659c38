"""A new trust root out of what a light client has learned from an old one."""

from __future__ import annotations

from typing import Any

from gridcore.light.state import LightState
from gridevidence.export import Pin, TrustedSigner, trust_root


def trust_after(state: LightState) -> dict[str, Any]:
    """The trust root, to be written as JSON: it names the set in force, each signer by its key, and the pins of the old one."""
    trust = state.trust_at(state.trusted.certifies_next)
    signers = [TrustedSigner(name, key, power) for key, power, name in trust.signers]
    return trust_root(trust.chain, trust.genesis, signers, [Pin(*pin) for pin in trust.pins])
