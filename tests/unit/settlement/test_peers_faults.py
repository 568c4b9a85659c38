"""Faults that were found in other programs for local energy markets, each as a test of ours. Measured books: seed 20260101 + orders."""

from __future__ import annotations

from fractions import Fraction
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks.clear import Book, make_book
from settlement.contract_kit_1 import BUY, SELL, Groups, share
from settlement.contracts import pay_as_bid_1, supply_demand_ratio_1
from settlement.contracts.p2p_call_auction_1 import PRO_RATA, TIME, Clearing, clear

ANCHORS = {
    100: (16_476, 4304),
    1_000: (144_186, 4852),
    10_000: (1_529_387, 4967),
    100_000: (14_992_654, 4993),
    1_000_000: (150_142_201, 4998),
}
"""Orders of a measured book: the largest volume in Wh, and the price with the least surplus."""


def book(*orders: tuple[int, int, int]) -> Book:
    """Orders (side, Wh, limit)."""
    side, quantity, price = zip(*orders, strict=True)
    return Book(np.array(side, dtype=np.int8), np.array(quantity, dtype=np.int64), np.array(price, dtype=np.int64))


def auction(orders: Book, rationing: str = PRO_RATA) -> Clearing:
    return clear(*orders, reference_price_micro_per_kwh=None, rationing=rationing)


FIVE_AND_SEVEN = book((BUY, 5, 300_000), (BUY, 7, 300_000), (SELL, 12, 250_000))


def test_lemlab_lost_the_energy_of_one_of_two_orders_of_a_user_at_one_price() -> None:
    """lemlab trades 7 Wh."""
    cleared = auction(FIVE_AND_SEVEN)
    assert (cleared.volume_wh, cleared.filled_wh.tolist()) == (12, [5, 7, 12])
    assert pay_as_bid_1.match(*FIVE_AND_SEVEN).volume_wh == 12


@pytest.mark.parametrize("orders", ANCHORS)
def test_gsy_pay_as_clear_stopped_below_the_largest_volume(orders: int) -> None:
    """It took the first bid step at which supply suffices: of 100 orders 16,421 Wh at 4347."""
    cleared = auction(make_book(orders))
    assert (cleared.volume_wh, cleared.price_micro_per_kwh) == ANCHORS[orders]


def test_gsy_pay_as_bid_served_dear_sellers_first() -> None:
    """Offers were sorted from the highest price down: more volume, and the cheap seller is left over."""
    trades = pay_as_bid_1.match(*book((BUY, 10, 500), (SELL, 10, 450), (SELL, 10, 300)))
    assert (trades.sell.tolist(), trades.price_micro_per_kwh.tolist()) == ([2], [500])


def test_peers_differ_on_the_uniform_price_of_one_book_ours_rations_no_order_in_the_money() -> None:
    """All of 4100 to 4304 trade the most; peers took 4100 and 4202. At those some buy above the price is cut, at 4304 none is."""
    orders = make_book(100)
    limits = np.unique(orders.price)
    volumes = {int(limit): min(demand_at(orders, limit), supply_at(orders, limit)) for limit in limits}
    most = [limit for limit, volume in volumes.items() if volume == max(volumes.values())]
    assert (most[0], most[-1]) == (4100, 4304)
    cleared = auction(orders)
    assert cleared.price_micro_per_kwh == 4304
    inside = np.where(orders.side == BUY, orders.price > 4304, orders.price < 4304)
    assert (cleared.filled_wh[inside] == orders.quantity[inside]).all()
    assert demand_at(orders, np.int64(4100)) > supply_at(orders, np.int64(4100))


def demand_at(orders: Book, limit: np.int64) -> int:
    return int(orders.quantity[(orders.side == BUY) & (orders.price >= limit)].sum())


def supply_at(orders: Book, limit: np.int64) -> int:
    return int(orders.quantity[(orders.side == SELL) & (orders.price <= limit)].sum())


def test_pymarket_huang_returned_no_trade_for_100000_orders() -> None:
    assert auction(make_book(100_000)).volume_wh > 0
    assert pay_as_bid_1.match(*make_book(100_000)).volume_wh > 0


def test_pymarket_muda_failed_where_1000_orders_share_prices() -> None:
    orders = make_book(1_000)
    orders = orders._replace(price=orders.price // 1_000 * 1_000)
    cleared = auction(orders)
    assert int(cleared.filled_wh[orders.side == BUY].sum()) == cleared.volume_wh > 0
    assert pay_as_bid_1.match(*orders).volume_wh > 0


def test_a_ratio_of_supply_to_demand_billed_more_than_it_paid_out() -> None:
    """The rule as published by another program has buyers pay 57 where sellers and grid get 54: its price for buyers holds the grid's part twice."""
    net_wh = np.array([50_000, -100_000], dtype=np.int64)
    shared = share(
        supply_demand_ratio_1.CONTRACT.rule, Groups(np.zeros(2, dtype=np.int64), 1), net_wh, [600_000], [400_000]
    )
    (totals,) = shared.totals
    assert (totals.buyers_nano, totals.sellers_nano) == (54 * 10**9, 24 * 10**9)
    assert totals.buyers_nano - totals.sellers_nano == 30 * 10**9
    assert totals.price_buy is not None
    assert Fraction(*totals.price_buy) == 540_000


def test_assume_584_a_rejected_order_had_the_price_of_another_product() -> None:
    """Each slot is cleared for itself: an order without a fill has the price of its own gate, or none."""
    first = auction(book((BUY, 10, 500), (SELL, 10, 400), (BUY, 10, 100)))
    second = auction(book((BUY, 10, 100), (SELL, 10, 400)))
    assert (first.filled_wh.tolist(), first.price_micro_per_kwh) == ([10, 10, 0], 450)
    assert (second.filled_wh.tolist(), second.price_micro_per_kwh) == ([0, 0], None)


ORDERS = st.lists(
    st.tuples(st.sampled_from([BUY, SELL]), st.integers(1, 20), st.integers(0, 10**6)),
    min_size=1,
    max_size=12,
    unique_by=lambda order: order[2],
)


@given(ORDERS, st.randoms(use_true_random=False), st.sampled_from([PRO_RATA, TIME]))
@settings(max_examples=200, deadline=None)
def test_shuffling_a_book_without_ties_changes_nothing(
    orders: list[tuple[int, int, int]], random: Random, rationing: str
) -> None:
    shuffled = list(orders)
    random.shuffle(shuffled)
    one, other = book(*orders), book(*shuffled)
    before, after = auction(one, rationing), auction(other, rationing)
    assert (before.volume_wh, before.price_micro_per_kwh) == (after.volume_wh, after.price_micro_per_kwh)
    assert by_price(one, before.filled_wh) == by_price(other, after.filled_wh)
    pairs, others = pay_as_bid_1.match(*one), pay_as_bid_1.match(*other)
    assert by_price(one, pairs.filled_wh(one.quantity)) == by_price(other, others.filled_wh(other.quantity))


def by_price(orders: Book, filled_wh: NDArray[np.int64]) -> dict[int, int]:
    return dict(zip(orders.price.tolist(), filled_wh.tolist(), strict=True))
