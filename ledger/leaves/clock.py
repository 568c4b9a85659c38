"""``clock``: how far ledger time may follow block time by more than it does of itself."""

from __future__ import annotations

from typing import Final, NamedTuple

from ledger.leaves.family import Family


class ClockLeaf(NamedTuple):
    """to_s: the last instant that ``clock/accept`` has accepted, UTC seconds."""

    to_s: int


def _key() -> str:
    return "clock"


CLOCK: Final = Family("clock", _key, ClockLeaf)
