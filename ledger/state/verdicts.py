"""Which signatures a block needs checked before it is applied; the checking itself happens elsewhere, in parallel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeAlias

from gridcore.envelope import Transaction
from ledger.leaves.signer import SIGNER
from ledger.state.state import State

Verdicts: TypeAlias = Mapping[tuple[bytes, bytes], bool]
"""(transaction digest, public key) -> whether the signature holds; computed before a block is applied, never there."""


class SignatureCheck(NamedTuple):
    """One signature to check: does ``signature`` over ``signed`` hold for ``public_key``?"""

    digest: bytes
    public_key: bytes
    signed: bytes
    signature: bytes


def checks_of(state: State, transactions: Iterable[Transaction | None]) -> list[SignatureCheck]:
    """Every (transaction, key) that applying these may ask for, None standing for bytes that are no transaction.

    No transaction kind changes a key yet, so the key that the state has is the one.
    """
    checks = []
    for transaction in transactions:
        signer = None if transaction is None else SIGNER.load(state, transaction.signer)
        if transaction is not None and signer is not None:
            checks.append(
                SignatureCheck(transaction.digest, signer.public_key, transaction.signed, transaction.signature)
            )
    return checks
