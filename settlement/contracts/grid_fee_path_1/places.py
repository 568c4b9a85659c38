"""The places of an area's grid, each a market under its parent's, and what a kWh costs that goes through them.

An area's terms list its places from the top: a number, a parent that stands before it (none of the first), a fee. Energy of a seller goes up from his
place to the first one above both parties, where it is cleared, and down to the buyer's. Each place on this path takes its fee once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np

from settlement.contract_kit_1 import PRICE_MICRO_PER_KWH_MAX, Int64Column

PLACES_MAX: Final = 64
LEVELS_MAX: Final = 8
"""From the top to the lowest, both counted: so often an order may stand in a market."""
NUMBER_MAX: Final = 65_535
PLACE, PARENT, FEE = "place", "parent", "fee_micro_per_kwh"
PAY_AS_BID: Final = "pay_as_bid"
PAY_AS_OFFER: Final = "pay_as_offer"
PRICE_RULES: Final = (PAY_AS_BID, PAY_AS_OFFER)
"""Who has the difference between a bid and an offer with all fees: the seller, or the buyer."""

Micro = TypeVar("Micro", int, Int64Column)


class PathPrices(NamedTuple):
    """What a kWh costs its buyer, brings its seller and leaves with the places between, micro-currency: numbers, or columns of trades."""

    buyer_pays: Any
    seller_gets: Any
    fees_total: Any


def path_prices(price_rule: str, offer: Micro, bid: Micro, supply_fees: Micro, demand_fees: Micro) -> PathPrices:
    """``grid_fee_path/1`` of the vectors: of an offer and a bid that meet where the fees on the way up and down are these."""
    fees = supply_fees + demand_fees
    return PathPrices(bid, bid - fees, fees) if price_rule == PAY_AS_BID else PathPrices(offer + fees, offer, fees)


class Places(NamedTuple):
    """Columns by place in their order, the parent before its children. number; parent: a row, -1 of the first; level: 0 of the first; fee, and
    to_top: the sum of the fees from here to the top, both included.
    """

    number: Int64Column
    parent: Int64Column
    level: Int64Column
    fee: Int64Column
    to_top: Int64Column

    @classmethod
    def of(cls, listed: Sequence[Mapping[str, int]]) -> Places:
        """From terms without fault."""
        rows: dict[int, int] = {}
        table: list[tuple[int, int, int, int, int]] = []
        for row, place in enumerate(listed):
            parent = rows[place[PARENT]] if PARENT in place else -1
            level, above = (table[parent][2] + 1, table[parent][4]) if parent >= 0 else (0, 0)
            table.append((place[PLACE], parent, level, place[FEE], above + place[FEE]))
            rows[place[PLACE]] = row
        return cls(*(np.array(column, dtype=np.int64) for column in zip(*table, strict=True)))

    def rows_of(self, numbers: Int64Column) -> Int64Column:
        """int64[n]: the row of each number, -1 for one that no place has."""
        order = np.argsort(self.number, kind="stable")
        at = np.minimum(np.searchsorted(self.number[order], numbers), len(order) - 1)
        return np.where(self.number[order[at]] == numbers, order[at], -1)


def fault_of_places(listed: object) -> str:
    """What is wrong with the places of an area's terms, in words; "" where nothing is."""
    if not isinstance(listed, list) or not 1 <= len(listed) <= PLACES_MAX:
        return f"grid_places are 1 to {PLACES_MAX} places"
    levels: dict[int, int] = {}
    for row, place in enumerate(listed, 1):
        wanted = {PLACE, FEE} | ({PARENT} if row > 1 else set())
        if not isinstance(place, Mapping) or set(place) != wanted:
            return f"grid_places: entry {row} has {', '.join(sorted(wanted))}, and nothing else"
        if any(type(value) is not int for value in place.values()):
            return f"grid_places: entry {row}: whole numbers alone"
        if not 1 <= place[PLACE] <= NUMBER_MAX or place[PLACE] in levels:
            return f"grid_places: entry {row}: {PLACE} is a number of its own, 1 to {NUMBER_MAX}, not {place[PLACE]}"
        if row > 1 and place[PARENT] not in levels:
            return f"grid_places: entry {row}: {PARENT} {place[PARENT]} is no place before it"
        if not 0 <= place[FEE] <= PRICE_MICRO_PER_KWH_MAX:
            return f"grid_places: entry {row}: {FEE} is 0 to {PRICE_MICRO_PER_KWH_MAX}, not {place[FEE]}"
        levels[place[PLACE]] = levels[place[PARENT]] + 1 if row > 1 else 1
        if levels[place[PLACE]] > LEVELS_MAX:
            return f"grid_places: entry {row}: lies {levels[place[PLACE]]} levels deep, at most {LEVELS_MAX}"
    return ""
