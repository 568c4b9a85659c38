"""``payments/<point>``: the newest payments for a point, and how many came in a day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from ledger.leaves.family import Family, Value


class Paid(NamedTuple):
    """amount_nano, ground, party, reference: as in the transaction; signer: who sent it; time_s: ledger time, UTC seconds; height: of its block."""

    amount_nano: int
    ground: str
    height: int
    party: str
    reference: bytes
    signer: str
    time_s: int


class PaymentsLeaf(NamedTuple):
    """newest: oldest first; recorded: how many there ever were; day: of the newest, counted from 1970-01-01; of_day: how many that UTC day has."""

    day: int
    newest: Sequence[Paid]
    of_day: int
    recorded: int


def _key(point: str) -> str:
    return f"payments/{point}"


def _decode(newest: Sequence[Sequence[Any]], **rest: int) -> PaymentsLeaf:
    return PaymentsLeaf(newest=[Paid(*paid) for paid in newest], **rest)


def _encode(record: PaymentsLeaf) -> Value:
    return {**record._asdict(), "newest": [list(paid) for paid in record.newest]}


PAYMENTS: Final = Family("payments", _key, _decode, _encode)
