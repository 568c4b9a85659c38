"""Faults that were found in other programs for local energy markets, each as a test of ours. Measured books: seed 20260101 + orders."""

from __future__ import annotations

from fractions import Fraction
from random import Random
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks.clear import Book, make_book
from gridcore.column import decode_column
from gridcore.registry.point import kinds_wanted
from gridcore.transactions.order_batch import (
    PlacedCondition,
    PlacedOrder,
    Wanted,
    attach_orders,
    placed_bid,
    split_orders,
)
from settlement.contract_kit_1 import BUY, SELL, Groups, share
from settlement.contracts import conditional_bid_1, pay_as_bid_1, supply_demand_ratio_1
from settlement.contracts.p2p_call_auction_1 import PRO_RATA, TIME, Clearing, clear


class Anchor(NamedTuple):
    """What a measured book comes to: the largest volume, its trades, the price with the least surplus, and the sum of energy times price."""

    volume_wh: int
    trades: int
    price: int
    energy_times_price: int


ANCHORS = {
    100: Anchor(16_476, 65, 4304, 70_912_704),
    1_000: Anchor(144_186, 580, 4852, 699_590_472),
    10_000: Anchor(1_529_387, 6_091, 4967, 7_596_465_229),
    100_000: Anchor(14_992_654, 60_039, 4993, 74_858_321_422),
    1_000_000: Anchor(150_142_201, 599_245, 4998, 750_410_720_598),
}
"""By the number of orders."""


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
    measured = make_book(orders)
    cleared, pairs = auction(measured), pay_as_bid_1.match(*measured)
    bought_wh, price = cleared.filled_wh[measured.side == BUY], cleared.price_micro_per_kwh
    assert price is not None
    # A uniform price has fills alone; the pairs of best buy and best sell are its trades.
    assert Anchor(cleared.volume_wh, pairs.buy.size, price, int((bought_wh * price).sum())) == ANCHORS[orders]
    assert pairs.volume_wh == cleared.volume_wh


def test_gsy_attributed_matcher_could_not_read_back_an_order_with_requirements() -> None:
    """Its offers failed on reading as soon as they had some. Ours travel as bytes, and what comes back is cleared: C7."""
    buyer, seller = 0, 1
    bid = placed_bid(
        buyer,
        1,
        [
            PlacedCondition(1_000, 280_000, seller=7),
            PlacedCondition(1_000, 250_000, energy_kind="solar"),
            PlacedCondition(500, 200_000),
        ],
    )
    orders = [*bid, PlacedOrder(seller, 1, SELL, 800, 210_000)]
    sent = split_orders(attach_orders(bytes(32), orders).attachment)
    columns = [decode_column(column, len(orders)) for column in sent.columns]
    back = [
        PlacedOrder(party, counter, side, energy_wh, limit, Wanted(*wanted))
        for party, counter, side, energy_wh, limit, *wanted in zip(*columns, strict=True)
    ]
    assert back == orders
    wants = conditional_bid_1.Wanted(
        bid=np.array([0, 0, 0, 3]),
        choice=np.array([order.wanted.choice for order in back]),
        energy_kinds=np.array([*(order.wanted.energy_kinds for order in back[:3]), kinds_wanted("solar")]),
        seller=np.array([*(order.wanted.seller for order in back[:3]), seller + 1]),
    )
    rows = book(*((order.side, order.quantity_wh, order.price_micro_per_kwh) for order in back))
    (trade,) = zip(
        *(column.tolist() for column in conditional_bid_1.match(*rows, wants, conditional_bid_1.PAY_AS_BID)),
        strict=True,
    )
    assert trade == (1, 3, 800, 250_000)


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
