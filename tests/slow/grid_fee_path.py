"""Markets one above the other, pair by pair: the reference of ``grid_fee_path/1``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import floor
from typing import NamedTuple


class Place(NamedTuple):
    """A market: the one above it, "" for the first, its fee per kWh, and its fraction of what the seller asks, in ppm."""

    parent: str
    fee: int
    fee_ppm: int = 0

    def fee_of(self, limit: int) -> int:
        """What it takes of a kWh that is asked for at a limit: each place rounds down, and takes no fraction of less than nothing."""
        return self.fee + floor(Fraction(max(limit, 0) * self.fee_ppm, 1_000_000))


class Order(NamedTuple):
    """buys or sells; place "": none that the grid has."""

    name: str
    buys: bool
    energy_wh: int
    limit: int
    place: str


class Met(NamedTuple):
    """A trade: what the seller gets, and what the places between take."""

    buy: str
    sell: str
    energy_wh: int
    price: int
    fees: int


def way_up(places: Mapping[str, Place], place: str) -> list[str]:
    """The places from one to the first, both included."""
    return [] if not place else [place, *way_up(places, places[place].parent)]


def meet(places: Mapping[str, Place], orders: Sequence[Order], price_rule: str) -> list[Met]:
    """The lowest markets first; in each the bid that is seen highest with the offer that is seen lowest, of equal ones by name."""
    left = {order.name: order.energy_wh for order in orders}
    trades = []
    markets = sorted(places, key=lambda market: (-len(way_up(places, market)), list(places).index(market)))
    for market in markets:
        in_it = [order for order in orders if market in way_up(places, order.place)]

        def fees(order: Order, asked: int, of: str = market) -> int:
            path = way_up(places, order.place)
            up_to = path.index(of) + (0 if order.buys else 1)
            return sum(places[place].fee_of(asked) for place in path[:up_to])

        while True:
            bids = [(fees(one, one.limit) - one.limit, one.name) for one in in_it if one.buys and left[one.name]]
            offers = [(fees(one, one.limit) + one.limit, one.name) for one in in_it if not one.buys and left[one.name]]
            if not bids or not offers or -min(bids)[0] < min(offers)[0]:
                break
            buy, sell = (next(one for one in in_it if one.name == min(of)[1]) for of in (bids, offers))
            energy, between = min(left[buy.name], left[sell.name]), fees(buy, sell.limit) + fees(sell, sell.limit)
            price = buy.limit - between if price_rule == "pay_as_bid" else sell.limit
            trades.append(Met(buy.name, sell.name, energy, price, between))
            left[buy.name] -= energy
            left[sell.name] -= energy
    return trades
