"""``disputes/<party>``: which disputes of a party are open, and how many it has opened in a day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from ledger.leaves.family import Family


class DisputesLeaf(NamedTuple):
    """Of a party. open: ids of those that are not over (32 bytes each), oldest first; of_day: how many it opened in the UTC day ``day``,
    that of the newest, counted from 1970-01-01.
    """

    open: Sequence[bytes]
    day: int
    of_day: int


def _key(party: str) -> str:
    return f"disputes/{party}"


DISPUTES: Final = Family("disputes", _key, DisputesLeaf)
