"""Orders matched one against one: as the slow reference says, within quantities and limits, and no two that cross are left."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement.contract_kit_1 import BUY, SELL, ContractError, Int8Column, Int64Column, Trades
from settlement.contracts import continuous_double_auction_1, pay_as_bid_1
from tests.slow.matching import ContinuousBook, LimitOrder, SequencedOrder, match_pay_as_bid

Row = tuple[bool, int, int]
ROWS = st.lists(st.tuples(st.booleans(), st.integers(1, 20), st.integers(-5, 5)), max_size=12)
WIDE = st.lists(st.tuples(st.booleans(), st.integers(1, 2**63 - 1), st.integers(-(2**63), 2**63 - 1)), max_size=8)


def orders_of(rows: list[Row]) -> list[LimitOrder]:
    """Ids ascend with the rows."""
    return [LimitOrder(f"o{number:02}", *row) for number, row in enumerate(rows)]


def columns_of(rows: list[Row]) -> tuple[Int8Column, Int64Column, Int64Column]:
    return (
        np.array([BUY if is_buy else SELL for is_buy, _, _ in rows], dtype=np.int8),
        np.array([quantity for _, quantity, _ in rows], dtype=np.int64),
        np.array([limit for _, _, limit in rows], dtype=np.int64),
    )


def named(trades: Trades, orders: list[LimitOrder]) -> list[tuple[str, str, int, int]]:
    rows = zip(*(column.tolist() for column in trades), strict=True)
    return [(orders[buy].order_id, orders[sell].order_id, energy, price) for buy, sell, energy, price in rows]


def check_laws(rows: list[Row], trades: Trades) -> None:
    side, quantity_wh, limit = columns_of(rows)
    price = trades.price_micro_per_kwh
    assert bool((limit[trades.sell] <= price).all())
    assert bool((price <= limit[trades.buy]).all())
    left = quantity_wh - trades.filled_wh(quantity_wh)
    assert min(left.tolist(), default=0) >= 0
    buys, sells = (limit[(side == own) & (left > 0)].tolist() for own in (BUY, SELL))
    assert not buys or not sells or max(buys) < min(sells)


@given(ROWS, st.lists(st.integers(-2, 2), min_size=12, max_size=12))
def test_pay_as_bid_makes_the_trades_of_the_slow_reference(rows: list[Row], sequence: list[int]) -> None:
    orders = orders_of(rows)
    trades = pay_as_bid_1.match(*columns_of(rows), np.array(sequence[: len(rows)], dtype=np.int64))
    expected = match_pay_as_bid(map(SequencedOrder, orders, sequence))
    assert named(trades, orders) == list(map(tuple, expected))
    check_laws(rows, trades)


@given(WIDE)
def test_pay_as_bid_is_exact_at_any_size_and_refuses_a_volume_beyond_64_bits(rows: list[Row]) -> None:
    orders = orders_of(rows)
    expected = match_pay_as_bid(SequencedOrder(order, 0) for order in orders)
    if sum(trade.energy_wh for trade in expected) >= 2**63:
        with pytest.raises(ContractError, match="volume_wh"):
            pay_as_bid_1.match(*columns_of(rows))
    else:
        assert named(pay_as_bid_1.match(*columns_of(rows)), orders) == list(map(tuple, expected))


@given(ROWS, st.lists(st.booleans(), min_size=12, max_size=12))
def test_a_continuous_book_makes_the_trades_of_the_slow_reference_cancels_among_them(
    rows: list[Row], cancels: list[bool]
) -> None:
    """After each order, the one before it is cancelled where it is asked for and still rests."""
    orders, book = orders_of(rows), ContinuousBook()
    expected, events = [], list[int]()
    for number, (order, is_cancelled) in enumerate(zip(orders, cancels, strict=False)):
        expected += book.submit(order)
        events.append(number)
        before = orders[number - 1].order_id
        if number and is_cancelled and before in book.resting_wh:
            book.cancel(before)
            events.append(~(number - 1))
    matched = continuous_double_auction_1.match(*columns_of(rows), events)
    assert named(matched.trades, orders) == list(map(tuple, expected))
    resting = [book.resting_wh.get(order.order_id, 0) for order in orders]
    assert matched.resting_wh.tolist() == resting


@given(ROWS)
def test_a_continuous_book_keeps_limits_and_quantities_and_what_rests_does_not_cross(rows: list[Row]) -> None:
    trades = continuous_double_auction_1.match(*columns_of(rows)).trades
    check_laws(rows, trades)


@pytest.mark.parametrize("events", [[0, 0], [~0], [0, ~0, ~0], [0, 1, ~0]])
def test_an_order_that_comes_twice_and_a_cancel_of_one_that_does_not_rest_are_refused(events: list[int]) -> None:
    rows = [(True, 5, 3), (False, 5, 3)]
    with pytest.raises(ContractError, match=r"comes twice|cannot be cancelled"):
        continuous_double_auction_1.match(*columns_of(rows), events)
