"""``turn``: whose due work took what was left of a block's budget last; the zones behind it go first in the next block."""

from __future__ import annotations

from typing import Final, NamedTuple

from ledger.leaves.family import Family


class TurnLeaf(NamedTuple):
    """after: the name of that zone."""

    after: str


def _key() -> str:
    return "turn"


TURN: Final = Family("turn", _key, TurnLeaf)
