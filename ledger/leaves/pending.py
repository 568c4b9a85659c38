"""``pending/<transaction id>``: registry rows that wait for other organisations' approval; the rows stand beside the state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from ledger.leaves.family import Family


class PendingLeaf(NamedTuple):
    """organisation: whose administrator submitted them; approved_by: others, in order; rows: digests of the salted rows, none once they
    are registered; valid_until_s: ledger time, UTC seconds, after which they wait no more.
    """

    approved_by: Sequence[str]
    organisation: str
    rows: Sequence[bytes]
    valid_until_s: int


def _key(transaction: str) -> str:
    return f"pending/{transaction}"


PENDING: Final = Family("pending", _key, PendingLeaf)
