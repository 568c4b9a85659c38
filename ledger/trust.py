"""The trust root of a chain that a genesis founds: what its operator hands to whoever verifies (docs/spec/bundle.md)."""

from __future__ import annotations

from typing import Any

from gridcore.genesis import Genesis
from gridcore.header import genesis_header
from gridevidence.export import TrustedSigner, trust_root
from ledger.state.genesis import genesis_change


def trust_of(genesis: Genesis) -> dict[str, Any]:
    """The trust root, to be written as JSON: chain, S_0, and the validators that genesis names; it pins no key."""
    signers = [TrustedSigner(one.name, one.public_key, one.power) for one in genesis.validators]
    return trust_root(genesis.chain, genesis_header(genesis, genesis_change(genesis).tree.root).digest(), signers)
