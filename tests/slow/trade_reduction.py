"""A double auction that gives up its marginal orders, order by order: the reference of ``trade_reduction/1``.

``trade_reduction/1`` of the conformance vectors (docs/spec/mechanisms.md), after Huang, Scheller-Wolf and Sycara 2002, "Design of a
multi-unit double auction e-market". Quantities in Wh, limits in micro-currency per kWh of any sign.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from settlement.errors import SettlementError
from tests.slow.split import split_by_weight


class LimitOrder(NamedTuple):
    """An order to buy at most at its limit, or to sell at least at it."""

    order_id: str
    is_buy: bool
    quantity_wh: int
    limit: int


@dataclass(frozen=True, slots=True)
class Reduced:
    """What each order got, by id; the two prices, None where nothing is traded; what the surplus account keeps, nano-currency."""

    filled_wh: Mapping[str, int]
    buy_price: int | None
    sell_price: int | None
    surplus_nano: int


def trade_reduction(orders: Sequence[LimitOrder]) -> Reduced:
    """Match best limits first; the last buy and the last sell that meet set the two prices and do not trade.

    Of the others the longer side is shared out by quantity, largest remainder, ties by id. SettlementError for a quantity of 0 or less and an
    id that occurs twice.
    """
    if len({order.order_id for order in orders}) != len(orders):
        raise SettlementError("an order id occurs twice")
    if min((order.quantity_wh for order in orders), default=1) < 1:
        raise SettlementError("a quantity must be at least 1 Wh")
    by_id = sorted(orders, key=lambda order: order.order_id.encode("utf-8"))
    buys = sorted((order for order in by_id if order.is_buy), key=lambda order: -order.limit)
    sells = sorted((order for order in by_id if not order.is_buy), key=lambda order: order.limit)
    buy, sell = _marginal(buys, sells)
    filled = {order.order_id: 0 for order in by_id}
    within = (buys[:buy], sells[:sell])
    traded_wh = min(sum(order.quantity_wh for order in side) for side in within)
    if not traded_wh:
        return Reduced(filled, None, None, 0)
    for side in within:
        ordered = sorted(side, key=lambda order: order.order_id.encode("utf-8"))
        shares = split_by_weight(traded_wh, [order.quantity_wh for order in ordered])
        filled |= {order.order_id: share for order, share in zip(ordered, shares, strict=True)}
    buy_price, sell_price = buys[buy].limit, sells[sell].limit
    return Reduced(filled, buy_price, sell_price, traded_wh * (buy_price - sell_price))


def _marginal(buys: Sequence[LimitOrder], sells: Sequence[LimitOrder]) -> tuple[int, int]:
    """The places of the last buy and the last sell that meet; (0, 0) where none do."""
    buy = sell = 0
    last = (0, 0)
    left_to_buy, left_to_sell = (side[0].quantity_wh if side else 0 for side in (buys, sells))
    while buy < len(buys) and sell < len(sells) and buys[buy].limit >= sells[sell].limit:
        last = (buy, sell)
        met_wh = min(left_to_buy, left_to_sell)
        left_to_buy, left_to_sell = left_to_buy - met_wh, left_to_sell - met_wh
        if not left_to_buy:
            buy += 1
            left_to_buy = buys[buy].quantity_wh if buy < len(buys) else 0
        if not left_to_sell:
            sell += 1
            left_to_sell = sells[sell].quantity_wh if sell < len(sells) else 0
    return last
