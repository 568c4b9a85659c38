"""What a condition of a bid asks for, in a row of an aggregator's batch too, and its form (docs/spec/envelope.md)."""

from __future__ import annotations

from typing import NamedTuple

from gridevidence.layout import CONDITIONS_MAX, ENERGY_KINDS, PLACED_BID_ROW, PLACED_ROW, RENEWABLE_KINDS, SIDES
from gridevidence.verifier.answers import hold

ANY_KIND = (1 << len(ENERGY_KINDS) + 1) - 1  # bit 0 is energy of no kind that is known


def kinds_of(word: str | None) -> int:
    """The kinds that a condition takes which says this word, a bit each."""
    if word is None:
        return ANY_KIND
    kinds = RENEWABLE_KINDS if word == "renewable" else (word,)
    return sum(2 << ENERGY_KINDS.index(kind) for kind in kinds)


class Condition(NamedTuple):
    """What one condition of a bid asks for. choice: its place among them; energy_kinds: a bit each; seller: a party's name, or in a batch its
    number and 1 more, None for any; bid_wh: the largest energy among the conditions.
    """

    choice: int
    energy_kinds: int
    seller: str | int | None
    bid_wh: int


def condition_of(placed: bytes) -> Condition | None:
    """What a row of a batch asks for as a condition of a bid."""
    if len(placed) == PLACED_ROW.size:
        return None
    choice, kinds, seller, bid_wh = PLACED_BID_ROW.unpack(placed)[5:]
    return Condition(choice, kinds, seller or None, bid_wh) if kinds else None


def hold_placed(row: bytes, what: str) -> None:
    """Hold that a row of a batch is a condition of a bid, or says nothing of what it wants."""
    if len(row) == PLACED_ROW.size:
        return
    _, _, side, quantity_wh, _, choice, kinds, seller, bid_wh = PLACED_BID_ROW.unpack(row)
    if kinds == 0:
        hold((choice, seller, bid_wh) == (0, 0, 0), f"{what} is no condition, and says what it wants")
        return
    hold(side == SIDES.index("buy"), f"{what} has conditions, and does not buy")
    hold(choice < CONDITIONS_MAX and kinds <= ANY_KIND, f"{what} is a condition that no bid has")
    hold(1 <= quantity_wh <= bid_wh, f"{what} is of more than its bid")
