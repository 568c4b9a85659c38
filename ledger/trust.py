"""The trust root of a chain that a genesis founds: what its operator hands to whoever verifies (docs/spec/bundle.md)."""

from __future__ import annotations

from typing import Any

from gridcore.genesis import Genesis
from gridcore.header import genesis_header
from gridcore.registry.entities import entity_of
from gridcore.registry.row import decode_row
from gridcore.registry.signer import SIGNER, Signer
from gridevidence.export import TrustedSigner, trust_root
from ledger.state.genesis import genesis_change


def trust_of(genesis: Genesis) -> dict[str, Any]:
    """The trust root, to be written as JSON: chain, S_0, and the signers that genesis names; it pins no key.

    A signer is named as the registry names the holder of its key, else by its position ("signer 1" ...).
    """
    names: dict[bytes, str] = {}
    for row in map(decode_row, genesis.registry):
        found = entity_of(row.key)
        if found is not None and found[0] is SIGNER:
            record = SIGNER.record_of(row.value)
            if isinstance(record, Signer):
                names.setdefault(record.public_key, found[1])
    signers = [
        TrustedSigner(names.get(public_key, f"signer {number}"), public_key, power)
        for number, (public_key, power) in enumerate(genesis.signers, 1)
    ]
    return trust_root(genesis.chain, genesis_header(genesis, genesis_change(genesis).tree.root).digest(), signers)
