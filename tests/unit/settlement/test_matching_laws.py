"""Orders matched one against one: within quantities and limits, and no two that cross are left."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from settlement.matching import ContinuousBook, LimitOrder, SequencedOrder, Trade, match_pay_as_bid

ROWS = st.lists(st.tuples(st.booleans(), st.integers(1, 20), st.integers(-5, 5)), max_size=12)


def orders_of(rows: list[tuple[bool, int, int]]) -> list[LimitOrder]:
    return [LimitOrder(f"o{number}", *row) for number, row in enumerate(rows)]


def left_of(orders: list[LimitOrder], trades: list[Trade]) -> dict[str, int]:
    filled: Counter[str] = Counter()
    for trade in trades:
        filled.update({trade.buy_id: trade.energy_wh, trade.sell_id: trade.energy_wh})
    return {order.order_id: order.quantity_wh - filled[order.order_id] for order in orders}


def check_limits(orders: list[LimitOrder], trades: list[Trade], left: dict[str, int]) -> None:
    limits = {order.order_id: order.limit for order in orders}
    assert all(limits[trade.sell_id] <= trade.price <= limits[trade.buy_id] for trade in trades)
    assert min(left.values(), default=0) >= 0
    buys, sells = ([o.limit for o in orders if o.is_buy is is_buy and left[o.order_id]] for is_buy in (True, False))
    assert not buys or not sells or max(buys) < min(sells)


@given(ROWS)
def test_a_continuous_book_keeps_limits_and_quantities_and_what_rests_does_not_cross(
    rows: list[tuple[bool, int, int]],
) -> None:
    orders, book = orders_of(rows), ContinuousBook()
    trades = [trade for order in orders for trade in book.submit(order)]
    left = left_of(orders, trades)
    check_limits(orders, trades, left)
    assert dict(book.resting_wh) == {order_id: wh for order_id, wh in left.items() if wh}


@given(ROWS)
def test_pay_as_bid_trades_at_the_buys_limit_best_buys_first_until_nothing_crosses(
    rows: list[tuple[bool, int, int]],
) -> None:
    orders = orders_of(rows)
    trades = match_pay_as_bid(SequencedOrder(order, 0) for order in orders)
    check_limits(orders, trades, left_of(orders, trades))
    limits = {order.order_id: order.limit for order in orders}
    prices = [trade.price for trade in trades]
    assert prices == sorted((limits[trade.buy_id] for trade in trades), reverse=True)
    offers = [limits[trade.sell_id] for trade in trades]
    assert offers == sorted(offers)
