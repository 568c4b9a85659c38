"""What a condition of a bid asks for, in a row of an aggregator's batch and a part of a profile too, and its form (docs/spec/envelope.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from gridevidence.layout import (
    CONDITIONS_MAX,
    ENERGY_KINDS,
    PLACED_BID_ROW,
    PLACED_ROW,
    QUANTITIES_MAX,
    QUANTITY_BYTES,
    RENEWABLE_KINDS,
    SIDES,
)
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
    number and 1 more, None for any.
    """

    choice: int
    energy_kinds: int
    seller: str | int | None


def condition_of(placed: bytes) -> Condition | None:
    """What a row of a batch asks for as a condition of a bid."""
    if len(placed) == PLACED_ROW.size:
        return None
    choice, kinds, seller, _ = PLACED_BID_ROW.unpack(placed)[5:]
    return Condition(choice, kinds, seller or None) if kinds else None


class PartOrder(NamedTuple):
    """What a profile orders under one counter. quantities: as its bytes have them; condition: None of a part without; of_bid: the quantities of
    all conditions of the part.
    """

    side: int
    limit: int
    quantities: bytes
    condition: Condition | None
    of_bid: tuple[bytes, ...]


def part_orders(body: Mapping[str, Any]) -> list[PartOrder]:
    """What a profile orders in each slot, under counters from its own on."""
    orders = []
    for part in body["parts"]:
        conditions = part.get("conditions", [part])
        of_bid = tuple(one["quantities_wh"] for one in conditions)
        for choice, one in enumerate(conditions):
            wanted = Condition(choice, kinds_of(one.get("energy_kind")), one.get("seller"))
            asked = wanted if "conditions" in part else None
            side, limit = SIDES.index(part["side"]), one["price_micro_per_kwh"]
            orders.append(PartOrder(side, limit, one["quantities_wh"], asked, of_bid))
    return orders


def quantity_in(quantities: bytes, slot: int) -> int:
    """Wh that a part of a profile orders in the slot of a number, from 0."""
    at = slot * QUANTITY_BYTES % len(quantities)
    return int.from_bytes(quantities[at : at + QUANTITY_BYTES], "little")


def hold_part(part: Mapping[str, Any], what: str) -> None:
    """Hold that a part of a profile says its limit and quantities, or buys by conditions that do."""
    has_conditions = "conditions" in part
    for name in ("price_micro_per_kwh", "quantities_wh"):
        hold((name in part) != has_conditions, f"a part of {what} has conditions and {name}, or neither")
    hold(not has_conditions or part["side"] == "buy", f"a part of {what} has conditions, and does not buy")
    for one in part.get("conditions", [part]):
        count, rest = divmod(len(one["quantities_wh"]), QUANTITY_BYTES)
        is_whole = rest == 0 and 1 <= count <= QUANTITIES_MAX and any(one["quantities_wh"])
        hold(
            is_whole,
            f"the quantities of {what} are not 1 to {QUANTITIES_MAX} of {QUANTITY_BYTES} bytes each, one above 0",
        )


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
