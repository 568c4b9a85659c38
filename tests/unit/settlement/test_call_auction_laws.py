"""Clearing against the text of the rule, in loops and over every limit price."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from settlement.contract_kit_1 import BUY, INT64_MAX, INT64_MIN, SELL, ContractError
from settlement.contracts import p2p_call_auction_1 as call_auction
from settlement.contracts.p2p_call_auction_1 import Clearing
from tests.slow.call_auction import Order, fills_by_text, price_by_text


def clear(orders: list[Order], rationing: str = "pro_rata", reference: int | None = None) -> Clearing:
    return call_auction.clear(
        np.array([order.side for order in orders], dtype=np.int8),
        np.array([order.quantity for order in orders], dtype=np.int64),
        np.array([order.price for order in orders], dtype=np.int64),
        reference_price_micro_per_kwh=reference,
        rationing=rationing,
        sequence=np.array([order.sequence for order in orders], dtype=np.int64),
    )


SMALL = st.builds(Order, st.sampled_from([BUY, SELL]), st.integers(1, 6), st.integers(-4, 4), st.integers(-2, 2))
WIDE = st.builds(
    Order,
    st.sampled_from([BUY, SELL]),
    st.integers(1, INT64_MAX),
    st.one_of(st.integers(INT64_MIN, INT64_MAX), st.integers(-2, 2)),
    st.integers(INT64_MIN, INT64_MAX),
)
REFERENCE = st.one_of(st.none(), st.integers(-5, 5))
RATIONING = st.sampled_from(["pro_rata", "time"])


@settings(max_examples=250, deadline=None)
@given(st.lists(SMALL, max_size=14), REFERENCE, RATIONING)
def test_clearing_follows_the_text_of_the_rule(orders: list[Order], reference: int | None, rationing: str) -> None:
    cleared = clear(orders, rationing, reference)
    volume, price = price_by_text(orders, reference)
    assert (cleared.volume_wh, cleared.price_micro_per_kwh) == (volume, price)
    assert cleared.filled_wh.tolist() == fills_by_text(orders, volume, rationing)


@settings(max_examples=150, deadline=None)
@given(st.lists(WIDE, max_size=8), RATIONING)
def test_clearing_is_exact_where_sums_leave_int64(orders: list[Order], rationing: str) -> None:
    volume, price = price_by_text(orders, None)
    if volume > INT64_MAX:
        with pytest.raises(ContractError, match="volume"):
            clear(orders, rationing)
    else:
        cleared = clear(orders, rationing)
        assert (cleared.volume_wh, cleared.price_micro_per_kwh) == (volume, price)
        assert cleared.filled_wh.tolist() == fills_by_text(orders, volume, rationing)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 400), st.sampled_from([3, 50, 5000, 10**6, 10**15]), RATIONING)
def test_books_of_any_shape_follow_the_text(seed: int, size: int, spread: int, rationing: str) -> None:
    """Larger books, so that the histogram has many ranges, few, or one."""
    random = np.random.default_rng(seed)
    shift = int(random.integers(-spread, spread + 1))
    orders = [
        Order(int(side), int(quantity), int(price) + (shift if side == BUY else 0), int(sequence))
        for side, quantity, price, sequence in zip(
            random.integers(0, 2, size),
            random.integers(1, 1000, size),
            random.integers(-spread, spread, size),
            random.integers(0, 4, size),
            strict=True,
        )
    ]
    cleared = clear(orders, rationing)
    volume, price = price_by_text(orders, None)
    assert (cleared.volume_wh, cleared.price_micro_per_kwh) == (volume, price)
    assert cleared.filled_wh.tolist() == fills_by_text(orders, volume, rationing)


@settings(max_examples=100, deadline=None)
@given(st.lists(SMALL, max_size=12), RATIONING)
def test_no_order_is_overfilled_and_no_limit_violated(orders: list[Order], rationing: str) -> None:
    cleared = clear(orders, rationing)
    bought = sold = 0
    for order, filled in zip(orders, cleared.filled_wh.tolist(), strict=True):
        assert 0 <= filled <= order.quantity
        if filled:
            assert cleared.price_micro_per_kwh is not None
            assert (order.price >= cleared.price_micro_per_kwh) == (order.side == BUY) or (
                order.price == cleared.price_micro_per_kwh
            )
            bought, sold = bought + filled * (order.side == BUY), sold + filled * (order.side == SELL)
    assert bought == sold == cleared.volume_wh


def test_self_trade_is_allowed_because_the_contract_sees_orders_not_parties() -> None:
    assert clear([Order(BUY, 4, 5), Order(SELL, 4, 5)]).volume_wh == 4


@pytest.mark.parametrize("orders", [[], [Order(BUY, 4, 5)], [Order(SELL, 4, 5)], [Order(BUY, 4, 5), Order(SELL, 4, 6)]])
def test_one_sided_or_uncrossed_book_has_no_price(orders: list[Order]) -> None:
    cleared = clear(orders)
    assert (cleared.volume_wh, cleared.price_micro_per_kwh) == (0, None)
    assert cleared.filled_wh.tolist() == [0] * len(orders)


def test_middle_of_negative_prices_is_floored_not_truncated() -> None:
    assert clear([Order(BUY, 4, -2), Order(SELL, 4, -5)]).price_micro_per_kwh == -4


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (Order(BUY, 0, 5), "quantity_wh"),
        (Order(BUY, -1, 5), "quantity_wh"),
        (Order(2, 1, 5), "side"),
        (Order(-1, 1, 5), "side"),
    ],
)
def test_order_that_cannot_be_is_refused(order: Order, words: str) -> None:
    with pytest.raises(ContractError, match=words):
        clear([Order(SELL, 1, 5), order])


def test_unknown_rationing_is_refused_even_when_nothing_trades() -> None:
    with pytest.raises(ContractError, match="rationing"):
        clear([], rationing="prorata")


def test_reference_outside_int64_is_refused() -> None:
    with pytest.raises(ContractError, match="reference"):
        clear([], reference=2**63)


def test_columns_of_unequal_length_are_refused() -> None:
    one, two = np.ones(1, dtype=np.int64), np.ones(2, dtype=np.int64)
    with pytest.raises(ContractError):
        call_auction.clear(
            np.zeros(2, dtype=np.int8), one, two, reference_price_micro_per_kwh=None, rationing="pro_rata"
        )


def test_clearing_leaves_its_input_as_it_was() -> None:
    side = np.array([BUY, SELL], dtype=np.int8)
    quantity, price = np.array([5, 3], dtype=np.int64), np.array([9, 7], dtype=np.int64)
    for array in (side, quantity, price):
        array.flags.writeable = False
    call_auction.clear(side, quantity, price, reference_price_micro_per_kwh=8, rationing="pro_rata")
