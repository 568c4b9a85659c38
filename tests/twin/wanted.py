"""The slow twin of ``conditional_bid/1``: bids with conditions joined by OR, and what is known of the orders that meet them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tests.twin.contracts import Gate, Order, Trade
from tests.twin.paired import Paired

if TYPE_CHECKING:
    from tests.twin.twin import Twin

KINDS = ("biomass", "coal", "gas", "geothermal", "hydro", "nuclear", "oil", "solar", "waste", "wind")
RENEWABLE = {"biomass", "geothermal", "hydro", "solar", "wind"}
ANY = 2**11 - 1
"""A bit for energy of no kind that is known, then one for each of KINDS."""


def kinds_of(word: str | None) -> int:
    """The kinds that a condition takes, a bit each."""
    if word is None:
        return ANY
    return sum(
        2 ** (place + 1)
        for place, kind in enumerate(KINDS)
        if kind == word or (kind in RENEWABLE and word == "renewable")
    )


def packed(choice: int, kinds: int, seller: int) -> int:
    """What a condition wants, as the book keeps it."""
    return choice + 16 * kinds + 2**20 * seller


def kind_sold(twin: Twin, zone: str, slot: int, party: str) -> int:
    """The bit of the one kind that all points of a party are of, 1 where there is no such kind."""
    values = [twin.registry.value("point/" + name, slot, twin.height - 1) for name in twin.registry.points[zone]]
    kinds = {value.get("energy_kind") for value in values if value is not None and value.get("party") == party}
    return 1 if len(kinds) != 1 or None in kinds else kinds_of(kinds.pop())


class Conditional(Paired):
    """First choices first, of one choice the highest limit first, each with the cheapest offer that it accepts."""

    order_terms = ("bid", "choice", "energy_kinds", "seller")

    @classmethod
    def takes(cls, rules: Mapping[str, Any]) -> bool:
        """The prices of the auction, and at whose limit bids and offers trade."""
        is_known = rules["terms"] in ({"price_rule": "pay_as_bid"}, {"price_rule": "pay_as_offer"})
        return is_known and super().takes({**rules, "terms": {}})

    @classmethod
    def ask(cls, twin: Twin, zone: str, slot: int, orders: list[Order]) -> list[Order]:
        """The ranked orders of an area with their bid, choice, kinds and seller."""
        wants = [(order.wants % 16, order.wants // 16 % 2**16, order.wants // 2**20) for order in orders]
        named = sorted({seller for _, _, seller in wants} - {0})
        asked = []
        for rank, (order, (choice, kinds, seller)) in enumerate(zip(orders, wants, strict=True)):
            bids = [
                other
                for other, (place, _, _) in enumerate(wants)
                if orders[other].wants
                and order.wants
                and orders[other].party == order.party
                and orders[other].counter - place == order.counter - choice
            ]
            if order.side == 1:
                kinds, seller = kind_sold(twin, zone, slot, order.party), order.number + 1
            number = named.index(seller) + 1 if seller in named else 0
            asked.append(order._replace(asked=(min([rank, *bids]), choice, kinds or ANY, number)))
        return asked

    @classmethod
    def clear(cls, orders: Sequence[Order], terms: Mapping[str, Any]) -> Gate:
        """One pair after the other, each time looked for among all."""
        left, trades = [order.quantity_wh for order in orders], list[Trade]()
        of_bid: dict[int, int] = {}
        for order in orders:
            of_bid[order.asked[0]] = max(of_bid.get(order.asked[0], 0), order.quantity_wh)
        buys = [(order.asked[1], -order.price, rank) for rank, order in enumerate(orders) if order.side == 0]
        for _, _, buy in sorted(buys):
            bid, _, kinds, seller = orders[buy].asked
            while min(left[buy], of_bid[bid]):
                offers = [
                    (order.price, rank)
                    for rank, order in enumerate(orders)
                    if order.side == 1
                    and left[rank]
                    and order.price <= orders[buy].price
                    and order.asked[2] & kinds
                    and seller in (0, order.asked[3])
                ]
                if not offers:
                    break
                price, sell = min(offers)
                energy = min(left[buy], of_bid[bid], left[sell])
                price = orders[buy].price if terms["price_rule"] == "pay_as_bid" else price
                trades.append(Trade(buy, sell, energy, price))
                left[buy], left[sell], of_bid[bid] = left[buy] - energy, left[sell] - energy, of_bid[bid] - energy
        filled = [sum(t.energy_wh for t in trades if rank in (t.buy, t.sell)) for rank in range(len(orders))]
        return Gate(0, sum(trade.energy_wh for trade in trades), filled, trades)
