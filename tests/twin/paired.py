"""The slow twin of the contracts whose gates come to trades between two orders, each at a price of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.twin.contracts import (
    CallAuction,
    Gate,
    Line,
    Member,
    Order,
    Settled,
    Trade,
    auction_lines,
    between,
    is_k,
    named,
    received_by,
    split_by_largest_remainder,
    supplier_only,
)


class Paired(CallAuction):
    """What they have in common: trades are settled at what they come to, all else as under the auction."""

    clears_whole = False
    position_columns: tuple[str, ...] = (
        "bought_wh",
        "sold_wh",
        "bought_nano",
        "sold_nano",
        "pays_nano",
        "supplier_only_nano",
    )

    @classmethod
    def match(cls, orders: Sequence[Order]) -> list[Trade]:
        """The trades of orders in the order of their ranks."""
        raise NotImplementedError

    @classmethod
    def clear(cls, orders: Sequence[Order], terms: Mapping[str, Any]) -> Gate:
        """By ``match``."""
        trades = cls.match(orders)
        filled = [sum(t.energy_wh for t in trades if rank in (t.buy, t.sell)) for rank in range(len(orders))]
        return Gate(0, sum(trade.energy_wh for trade in trades), filled, trades)

    @classmethod
    def takes(cls, rules: Mapping[str, Any]) -> bool:
        """The prices of the auction, and no terms."""
        auction = {"reference_price_micro_per_kwh": 0, "rationing": "pro_rata"}
        return rules["terms"] == {} and super().takes({**rules, "terms": auction})

    @classmethod
    def settle(
        cls, members: Sequence[Member], trade_price: int, prices: Mapping[str, int], terms: Mapping[str, Any]
    ) -> Settled:
        """Each member for itself."""
        positions, lines = [], list[Line]()
        for member in members:
            p = named(member.prices or prices)
            trades = [Line(member.bought_nano, "clearing"), Line(-member.sold_nano, "clearing")]
            bill = [*trades, *auction_lines(member, 0, p)[2:]]
            kept = (member.bought_wh, member.sold_wh, member.bought_nano, member.sold_nano)
            positions.append((*kept, sum(line.amount_nano for line in bill), supplier_only(member, p)))
            lines += bill
        return Settled(positions, (), received_by(cls.accounts, lines))


class Continuous(Paired):
    """``continuous_double_auction/1``: orders meet as they come, at the limit of the one that rested."""

    ranks_by_arrival = True

    @classmethod
    def match(cls, orders: Sequence[Order]) -> list[Trade]:
        """One order after the other; what a block withdraws is gone before its orders come."""
        left, trades = [order.quantity_wh for order in orders], list[Trade]()
        for rank, order in enumerate(orders):
            if 0 < order.withdrawn <= order.recorded:
                continue
            while left[rank]:
                resting = [
                    (abs(other.price - order.price), there)
                    for there, other in enumerate(orders[:rank])
                    if other.side != order.side
                    and left[there]
                    and not 0 < other.withdrawn <= order.recorded
                    and (other.price <= order.price if order.side == 0 else other.price >= order.price)
                ]
                if not resting:
                    break
                _, there = max(resting, key=lambda one: (one[0], -one[1]))
                energy = min(left[rank], left[there])
                pair = (rank, there) if order.side == 0 else (there, rank)
                trades.append(Trade(*pair, energy, orders[there].price))
                left[rank] -= energy
                left[there] -= energy
        return trades


class PayAsBid(Paired):
    """``pay_as_bid/1``: the best buy meets the best sell while their limits cross, at the buy's limit."""

    @classmethod
    def match(cls, orders: Sequence[Order]) -> list[Trade]:
        """One pair after the other."""
        left, trades = [order.quantity_wh for order in orders], list[Trade]()
        while True:
            buys = [(-order.price, rank) for rank, order in enumerate(orders) if order.side == 0 and left[rank]]
            sells = [(order.price, rank) for rank, order in enumerate(orders) if order.side == 1 and left[rank]]
            if not buys or not sells or min(sells)[0] > -min(buys)[0]:
                return trades
            (_, buy), (_, sell) = min(buys), min(sells)
            energy = min(left[buy], left[sell])
            trades.append(Trade(buy, sell, energy, orders[buy].price))
            left[buy] -= energy
            left[sell] -= energy


class SplitPairs(Paired):
    """Trades at a price between both limits, in place of one of them."""

    @classmethod
    def takes(cls, rules: Mapping[str, Any]) -> bool:
        """The prices of the auction, and the share of the way."""
        terms = rules["terms"]
        return set(terms) == {"price_k_ppm"} and is_k(terms["price_k_ppm"]) and super().takes({**rules, "terms": {}})

    @classmethod
    def clear(cls, orders: Sequence[Order], terms: Mapping[str, Any]) -> Gate:
        """Who meets whom is as before."""
        gate = super().clear(orders, terms)
        trades = [
            t._replace(price=between(orders[t.sell].price, orders[t.buy].price, terms)) for t in gate.trades or ()
        ]
        return gate._replace(trades=trades)


class SplitPayAsBid(SplitPairs, PayAsBid):
    """``pay_as_bid/2``."""


class SplitContinuous(SplitPairs, Continuous):
    """``continuous_double_auction/2``."""


class TradeReduction(Paired):
    """``trade_reduction/1``: the last buy and the last sell that meet set the two prices and do not trade."""

    accounts = ("auction_surplus", *CallAuction.accounts)
    position_columns = (
        "bought_wh",
        "sold_wh",
        "bought_nano",
        "sold_nano",
        "surplus_nano",
        "pays_nano",
        "supplier_only_nano",
    )

    @classmethod
    def clear(cls, orders: Sequence[Order], terms: Mapping[str, Any]) -> Gate:
        """The price of the gate is the buyers', that of its trades the sellers'."""
        met = PayAsBid.match(orders)
        buys = sorted({trade.buy for trade in met[:-1]} - {met[-1].buy}) if met else []
        sells = sorted({trade.sell for trade in met[:-1]} - {met[-1].sell}) if met else []
        volume = min(sum(orders[rank].quantity_wh for rank in side) for side in (buys, sells))
        filled, trades = [0 for _ in orders], list[Trade]()
        if not volume:
            return Gate(0, 0, filled, trades)
        for side in (buys, sells):
            parts = split_by_largest_remainder(volume, [orders[rank].quantity_wh for rank in side])
            for rank, part in zip(side, parts, strict=True):
                filled[rank] = part
        left = list(filled)
        for buy in buys:
            for sell in sells:
                energy = min(left[buy], left[sell])
                if energy:
                    trades.append(Trade(buy, sell, energy, orders[met[-1].sell].price))
                    left[buy], left[sell] = left[buy] - energy, left[sell] - energy
        return Gate(orders[met[-1].buy].price, volume, filled, trades, is_priced_too=True)

    @classmethod
    def settle(
        cls, members: Sequence[Member], trade_price: int, prices: Mapping[str, int], terms: Mapping[str, Any]
    ) -> Settled:
        """Each member for itself; what buyers pay beyond what sellers get is the auction's."""
        settled = super().settle(members, 0, prices, terms)
        surplus = [member.bought_wh * trade_price - member.bought_nano for member in members]
        positions = [
            (*own[:4], more, own[4] + more, own[5]) for own, more in zip(settled.positions, surplus, strict=True)
        ]
        return Settled(positions, (), settled.received | {"auction_surplus": sum(surplus)})
