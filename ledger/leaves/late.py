"""``late/<boundary_s>/<gateway>``: how many batches of a gateway came for a boundary behind its newest one, or for that one again."""

from __future__ import annotations

from typing import Final, NamedTuple

from ledger.leaves.family import Family


class LateLeaf(NamedTuple):
    """batches: accepted ones whose boundary was not later than that of each batch before."""

    batches: int


def _key(boundary_s: int, gateway: str) -> str:
    return f"late/{boundary_s}/{gateway}"


LATE: Final = Family("late", _key, LateLeaf)
