"""The slow twin of ``grid_fee_path/1``: markets one above the other, and what is known of where orders stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tests.twin.contracts import Gate, Member, Order, Settled, Trade
from tests.twin.paired import Paired

if TYPE_CHECKING:
    from tests.twin.twin import Twin

Places = Mapping[int, tuple[int, int, int]]
"""Parent (0 of the first), fee per kWh and fraction (ppm) of each place, by number, in the order of the terms."""


def way_up(places: Places, number: int) -> list[int]:
    """The places from one to the first, both included."""
    return [] if number == 0 else [number, *way_up(places, places[number][0])]


def fee_on(places: Places, path: Sequence[int], limit: int) -> int:
    """What some places take of a kWh that is asked for at a limit, each rounded down."""
    return sum(places[at][1] + max(limit, 0) * places[at][2] // 10**6 for at in path)


def are_places(listed: Any, *, percent: bool) -> bool:
    """Whether terms list 1 to 64 places, the parent before its children, at most 8 levels, with fees of 0 to 10^9, and fractions."""
    places: dict[int, tuple[int, int, int]] = {}
    if not isinstance(listed, list) or not 1 <= len(listed) <= 64:
        return False
    for place in listed:
        keys = {"place", "fee_micro_per_kwh"} | ({"parent"} if places else set()) | ({"fee_ppm"} if percent else set())
        if not isinstance(place, dict) or set(place) != keys or any(type(value) is not int for value in place.values()):
            return False
        number, parent, fee = place["place"], place.get("parent", 0), place["fee_micro_per_kwh"]
        is_new = 1 <= number <= 65_535 and number not in places and (parent in places or not places)
        if not is_new or not 0 <= fee <= 10**9 or not 0 <= place.get("fee_ppm", 0) <= 10**6:
            return False
        places[number] = (parent, fee, 0)
        if len(way_up(places, number)) > 8:
            return False
    return True


class Placed(Paired):
    """The lowest markets first; in each the bid that is seen highest with the offer that is seen lowest."""

    order_terms = ("grid_place",)
    has_fees = True
    position_columns = (
        "bought_wh",
        "sold_wh",
        "bought_nano",
        "sold_nano",
        "grid_fee_nano",
        "pays_nano",
        "supplier_only_nano",
    )

    @classmethod
    def takes(cls, rules: Mapping[str, Any]) -> bool:
        """The prices of the auction, and its own terms."""
        return cls.are_terms(rules["terms"]) and super().takes({**rules, "terms": {}})

    @classmethod
    def are_terms(cls, terms: Mapping[str, Any]) -> bool:
        """At whose price bids and offers trade, and the places of the grid."""
        is_known = set(terms) == {"price_rule", "grid_places"} and terms["price_rule"] in ("pay_as_bid", "pay_as_offer")
        return is_known and are_places(terms["grid_places"], percent=False)

    @classmethod
    def ask(cls, twin: Twin, zone: str, slot: int, orders: list[Order]) -> list[Order]:
        """The ranked orders of an area with the place of all their party's points; 0 where these have several, or one has none."""
        values = [twin.registry.value("point/" + name, slot, twin.height - 1) for name in twin.registry.points[zone]]
        asked = []
        for order in orders:
            own = {
                value.get("grid_place", 0)
                for value in values
                if value is not None and value.get("party") == order.party
            }
            asked.append(order._replace(asked=(own.pop() if len(own) == 1 else 0,)))
        return asked

    @classmethod
    def clear(cls, orders: Sequence[Order], terms: Mapping[str, Any]) -> Gate:
        """One pair after the other, each time looked for among all that stand in the market."""
        places = {
            place["place"]: (place.get("parent", 0), place["fee_micro_per_kwh"], place.get("fee_ppm", 0))
            for place in terms["grid_places"]
        }
        left, trades = [order.quantity_wh for order in orders], list[Trade]()
        for market in sorted(places, key=lambda number: (-len(way_up(places, number)), list(places).index(number))):
            fees: dict[int, int] = {}
            paths: dict[int, list[int]] = {}
            for rank, order in enumerate(orders):
                path = way_up(places, order.asked[0]) if order.asked[0] in places else []
                if market in path:
                    paths[rank] = path[: path.index(market) + order.side]
                    fees[rank] = fee_on(places, paths[rank], order.price)
            while True:
                buys = [
                    (fees[rank] - orders[rank].price, rank) for rank in fees if orders[rank].side == 0 and left[rank]
                ]
                sells = [
                    (fees[rank] + orders[rank].price, rank) for rank in fees if orders[rank].side == 1 and left[rank]
                ]
                if not buys or not sells or -min(buys)[0] < min(sells)[0]:
                    break
                (_, buy), (_, sell) = min(buys), min(sells)
                energy, asked = min(left[buy], left[sell]), orders[sell].price
                fee = fee_on(places, paths[buy], asked) + fees[sell]
                price = orders[buy].price - fee if terms.get("price_rule") == "pay_as_bid" else asked
                trades.append(Trade(buy, sell, energy, price, fee))
                left[buy], left[sell] = left[buy] - energy, left[sell] - energy
        filled = [sum(t.energy_wh for t in trades if rank in (t.buy, t.sell)) for rank in range(len(orders))]
        return Gate(0, sum(trade.energy_wh for trade in trades), filled, trades)

    @classmethod
    def settle(
        cls, members: Sequence[Member], trade_price: int, prices: Mapping[str, int], terms: Mapping[str, Any]
    ) -> Settled:
        """Each member for itself; the fees are the network's."""
        settled = super().settle(members, 0, prices, terms)
        positions = [
            (*own[:4], member.fee_nano, own[4] + member.fee_nano, own[5])
            for own, member in zip(settled.positions, members, strict=True)
        ]
        network = settled.received["network"] + sum(member.fee_nano for member in members)
        return Settled(positions, (), settled.received | {"network": network})


class PercentPlaced(Placed):
    """``grid_fee_path/2``: places take a fraction of the offer too, and trades are at what sellers ask."""

    @classmethod
    def are_terms(cls, terms: Mapping[str, Any]) -> bool:
        """The places of the grid, each with a fraction."""
        return set(terms) == {"grid_places"} and are_places(terms["grid_places"], percent=True)
