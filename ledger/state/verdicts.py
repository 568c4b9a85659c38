"""Which signatures a block needs checked before it is applied; the checking itself happens elsewhere, in parallel."""

from __future__ import annotations

from typing import NamedTuple

from ledger.state.block import Block
from ledger.state.state import State


class SignatureCheck(NamedTuple):
    """One signature to check: does ``signature`` over ``signed`` hold for ``public_key``?"""

    digest: bytes
    public_key: bytes
    signed: bytes
    signature: bytes


def signatures_to_check(state: State, block: Block) -> list[SignatureCheck]:
    """Every (transaction, key) that ``apply_block`` may ask for. No transaction kind changes a key yet, so state's key is it."""
    checks = []
    for transaction in block.decoded:
        if transaction is None:
            continue
        signer = state.get(f"signer/{transaction.signer}")
        if signer is not None:
            checks.append(
                SignatureCheck(transaction.digest, signer["public_key"], transaction.signed, transaction.signature)
            )
    return checks
