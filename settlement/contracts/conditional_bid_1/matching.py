"""Bids that say what they would take, in the order of their liking, and the cheapest offers that meet them.

A bid is one row, or several joined by OR: each an energy, a limit, kinds of energy and maybe one seller. First choices are served first,
then what is left meets second choices, and so on. Among the rows of one choice the highest limit comes first; each takes the
cheapest offer that it accepts, as long as that is not above its limit. A bid never buys more than the largest energy that one of its rows names.

Offers stand in lists of one kind, and of one seller and kind, cheapest first. What is used up never comes back, so each list is walked
through once: the work grows with the orders and their trades, whatever they ask for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from settlement.contract_kit_1 import (
    BUY,
    SELL,
    ContractError,
    Int8Column,
    Int64Column,
    Trades,
    check_column,
    check_orders,
)

PAY_AS_BID: Final = "pay_as_bid"
PAY_AS_OFFER: Final = "pay_as_offer"
ANY_KIND: Final = 2**16 - 1
"""All kinds of energy that there may be, a bit each: so few that a look at the list of each costs little."""
PRICE_RULES: Final = (PAY_AS_BID, PAY_AS_OFFER)
"""At whose limit a bid and an offer trade."""


class Wanted(NamedTuple):
    """What orders say beside side, quantity and limit, int64[n].

    bid: row of the first of the rows that are one bid, an order's own row where it stands alone; choice: its place among these, from 0;
    energy_kinds: a bit each, of a buy all that it takes, of a sell the one that it is of; seller: of a buy the one that it wants, 0 for any,
    of a sell the number of its seller, 0 for one whom nobody names.
    """

    bid: Int64Column
    choice: Int64Column
    energy_kinds: Int64Column
    seller: Int64Column

    @classmethod
    def of(cls, columns: Mapping[str, Int64Column], orders: int) -> Wanted:
        """From columns by name; ContractError where they do not fit ``orders`` orders."""
        for name in cls._fields:
            check_column(columns[name], name, length=orders, minimum=0)
        wanted = cls(*(columns[name] for name in cls._fields))
        if orders and int(wanted.bid.max()) >= orders:
            raise ContractError(f"bid is the row of an order, there are {orders}, not {int(wanted.bid.max())}")
        if orders and int(wanted.energy_kinds.max()) > ANY_KIND:
            raise ContractError(f"energy_kinds are bits of {ANY_KIND}, not {int(wanted.energy_kinds.max())}")
        return wanted


def match(
    side: Int8Column, quantity_wh: Int64Column, price_micro_per_kwh: Int64Column, wanted: Wanted, price_rule: str
) -> Trades:
    """The trades of one gate, in the order of matching. Rows ascend by the bytes of the order id, so the row number breaks ties.

    ContractError for a quantity below 1, an unknown side, columns of unequal length, and a sell of several kinds.
    """
    check_orders(side, quantity_wh, price_micro_per_kwh)
    sold_kinds = wanted.energy_kinds[side == SELL]
    if (sold_kinds & (sold_kinds - 1)).any():
        raise ContractError("an order sells energy of several kinds")
    offers = _Offers(side, quantity_wh, price_micro_per_kwh, wanted)
    limits, bids = price_micro_per_kwh.tolist(), wanted.bid.tolist()
    quantities = quantity_wh.tolist()
    most_wh = np.zeros_like(quantity_wh)
    np.maximum.at(most_wh, wanted.bid, quantity_wh)
    left_of_bid = most_wh.tolist()
    buys = np.flatnonzero(side == BUY)
    buys = buys[np.lexsort((buys, ~price_micro_per_kwh[buys], wanted.choice[buys]))]
    trades: list[tuple[int, int, int, int]] = []
    for buy, kinds, seller in zip(
        buys.tolist(), wanted.energy_kinds[buys].tolist(), wanted.seller[buys].tolist(), strict=True
    ):
        bid, limit = bids[buy], limits[buy]
        left_wh = min(quantities[buy], left_of_bid[bid])
        lists = offers.lists_for(seller, kinds) if left_wh else ()
        while left_wh:
            place = offers.cheapest(lists)
            if place is None or (asked := offers.limits[place]) > limit:
                break
            energy_wh = min(left_wh, offers.left_wh[place])
            price = limit if price_rule == PAY_AS_BID else asked
            trades.append((buy, offers.rows[place], energy_wh, price))
            offers.left_wh[place] -= energy_wh
            left_wh -= energy_wh
            left_of_bid[bid] -= energy_wh
    return Trades.of(trades)


class _Queue:
    """Offers of one sort, as places among all offers: cheapest first. ``at``: how many are used up."""

    __slots__ = ("at", "places")

    def __init__(self) -> None:
        self.places: list[int] = []
        self.at = 0


class _Offers:
    """All offers of a gate, cheapest first, of equal limits by row: rows, limits, and what is left of each."""

    def __init__(
        self, side: Int8Column, quantity_wh: Int64Column, price_micro_per_kwh: Int64Column, wanted: Wanted
    ) -> None:
        sells = np.flatnonzero(side == SELL)
        sells = sells[np.argsort(price_micro_per_kwh[sells], kind="stable")]
        self.rows: list[int] = sells.tolist()
        self.limits: list[int] = price_micro_per_kwh[sells].tolist()
        self.left_wh: list[int] = quantity_wh[sells].tolist()
        self._all = _Queue()
        self._all.places = list(range(len(self.rows)))
        self._of: dict[int, dict[int, _Queue]] = {0: {}}
        sorts = zip(wanted.seller[sells].tolist(), wanted.energy_kinds[sells].tolist(), strict=True)
        for place, (seller, kind) in enumerate(sorts):
            for number in (0, seller) if seller else (0,):
                self._of.setdefault(number, {}).setdefault(kind, _Queue()).places.append(place)

    def lists_for(self, seller: int, kinds: int) -> Sequence[_Queue]:
        """The lists that hold what a bid takes, of this seller (0: any) and these kinds."""
        by_kind = self._of.get(seller, {})
        taken = [queue for kind, queue in by_kind.items() if kind & kinds]
        return (self._all,) if seller == 0 and len(taken) == len(by_kind) else taken

    def cheapest(self, lists: Sequence[_Queue]) -> int | None:
        """The place of the cheapest offer in some lists that is not used up; None without one."""
        best, left_wh = None, self.left_wh
        for queue in lists:
            places, at = queue.places, queue.at
            while at < len(places) and not left_wh[places[at]]:
                at += 1
            queue.at = at
            if at < len(places) and (best is None or places[at] < best):
                best = places[at]
        return best
