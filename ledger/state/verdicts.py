"""Which signatures a block needs checked before it is applied; the checking itself happens elsewhere, in parallel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, TypeAlias

from gridcore.envelope import Transaction
from gridcore.registry.signer import SIGNER, Signer
from ledger.registry.bodies import Registered, open_entity

Verdicts: TypeAlias = Mapping[tuple[bytes, bytes], bool]
"""(transaction digest, public key) -> whether the signature holds; computed before a block is applied, never there."""


class SignatureCheck(NamedTuple):
    """One signature to check: does ``signature`` over ``signed`` hold for ``public_key``?"""

    digest: bytes
    public_key: bytes
    signed: bytes
    signature: bytes


def checks_of(
    registered: Registered, transactions: Iterable[Transaction | None], from_s: int, to_s: int
) -> list[SignatureCheck]:
    """Every (transaction, key) that applying these may ask for, None standing for bytes that are no transaction.

    from_s, to_s: the earliest and the latest ledger time (UTC seconds) at which a transaction may be judged. What the
    block itself records does not count in it, so the keys are those that the state has.
    """
    return [
        SignatureCheck(transaction.digest, public_key, transaction.signed, transaction.signature)
        for transaction in transactions
        if transaction is not None
        for public_key in keys_of(registered, transaction.signer, from_s, to_s)
    ]


def keys_of(registered: Registered, signer: str, from_s: int, to_s: int) -> Iterator[bytes]:
    """The public keys that a signer has at any time from ``from_s`` to ``to_s``."""
    found = open_entity(registered, SIGNER, signer)
    if found is None:
        return
    entries = found.leaf.entries
    begun = [entry for entry in entries if entry.from_s <= from_s]
    for entry in (*begun[-1:], *(entry for entry in entries if from_s < entry.from_s <= to_s)):
        record = found.open(registered, entry).record
        if isinstance(record, Signer):
            yield record.public_key
