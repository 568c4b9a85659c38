"""Where between two limits a price lies, and who is served at the margin, as terms: as slow references and every verifier say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcore import verify
from settlement.catalogue import CONTRACTS
from settlement.contract_kit_1 import BUY, SELL, ContractError, Trades
from settlement.contract_kit_2 import price_between
from settlement.contracts import p2p_call_auction_1, pay_as_bid_1
from tests.second_verifier import paired as second
from tests.second_verifier.auction import Bid, Terms
from tests.second_verifier.auction import clear as clear_again
from tests.second_verifier.rows import BookRow
from tests.slow.call_auction import Order, between, fills_by_text, price_by_text, split_by_text
from tests.slow.matching import ContinuousBook, LimitOrder, SequencedOrder, match_pay_as_bid
from tests.worlds.consortium import PRICES

AUCTION, K, REFERENCE = CONTRACTS["p2p_call_auction/2"], "price_k_ppm", "reference_price_micro_per_kwh"
PAIRED = pytest.mark.parametrize("contract_id", ["pay_as_bid/2", "continuous_double_auction/2"])
K_PPM = st.one_of(st.sampled_from([0, 1, 333_333, 500_000, 999_999, 1_000_000]), st.integers(0, 1_000_000))
ORDERS = st.lists(
    st.builds(Order, st.sampled_from([BUY, SELL]), st.integers(1, 9), st.integers(-6, 9), st.integers(0, 0)),
    max_size=12,
)
RULES = st.one_of(st.builds(lambda k: {K: k}, K_PPM), st.builds(lambda price: {REFERENCE: price}, st.integers(-8, 11)))


def columns_of(orders: Sequence[Order]) -> tuple[Any, ...]:
    side = np.array([order.side for order in orders], dtype=np.int8)
    return (side, *(np.array([order[at] for order in orders], dtype=np.int64) for at in (1, 2)))


@given(ORDERS, RULES, st.sampled_from(["pro_rata", "time"]), st.randoms(use_true_random=False))
@settings(max_examples=300)
def test_every_gate_of_an_auction_has_the_price_and_the_fills_of_the_slow_reference_and_of_both_verifiers(
    orders: list[Order], rule: dict[str, int], rationing: str, random: Any
) -> None:
    turns = list(range(len(orders)))
    random.shuffle(turns)
    orders = [order._replace(sequence=turn) for order, turn in zip(orders, turns, strict=True)]
    terms = {"rationing": rationing, **rule}
    arrival = np.array(turns, dtype=np.int64)
    cleared = AUCTION.clear(*columns_of(orders), terms=terms, order_terms={"arrival": arrival})
    found = cleared.volume_wh, cleared.price_micro_per_kwh
    assert found == (split_by_text(orders, rule[K]) if K in rule else price_by_text(orders, rule[REFERENCE]))
    filled = cleared.filled_wh.tolist()
    assert filled == fills_by_text(orders, cleared.volume_wh, rationing)
    known = verify.CONTRACTS["p2p_call_auction/2"]
    assert known.clear is not None
    rows = [(*order[:3], turn) for order, turn in zip(orders, turns, strict=True)]
    assert known.clear(rows, terms)[:3] == (*found, filled)
    again = clear_again(
        [Bid(*row) for row in rows], Terms(rule.get(REFERENCE), rule.get(K), by_time=rationing == "time")
    )
    assert (again.volume_wh, again.price_micro_per_kwh, list(again.filled_wh)) == (*found, filled)


@given(ORDERS, st.integers(-8, 11))
def test_with_a_reference_and_pro_rata_an_auction_is_that_of_version_1(orders: list[Order], reference: int) -> None:
    terms = {"rationing": "pro_rata", REFERENCE: reference}
    arrival = np.arange(len(orders), dtype=np.int64)[::-1]
    one = p2p_call_auction_1.CONTRACT.clear(*columns_of(orders), terms=terms)
    two = AUCTION.clear(*columns_of(orders), terms=terms, order_terms={"arrival": arrival})
    assert (one.volume_wh, one.price_micro_per_kwh) == (two.volume_wh, two.price_micro_per_kwh)
    assert one.filled_wh.tolist() == two.filled_wh.tolist()


@given(ORDERS, K_PPM, K_PPM)
def test_nobody_trades_beyond_his_limit_and_buyers_pay_more_the_larger_the_share_is(
    orders: list[Order], one_ppm: int, other_ppm: int
) -> None:
    prices, arrival = list[int](), np.arange(len(orders), dtype=np.int64)
    for k_ppm in sorted((one_ppm, other_ppm)):
        terms = {"rationing": "time", K: k_ppm}
        cleared = AUCTION.clear(*columns_of(orders), terms=terms, order_terms={"arrival": arrival})
        price = cleared.price_micro_per_kwh
        assert (price is None) == (cleared.volume_wh == 0)
        prices += [] if price is None else [price]
        for order, filled in zip(orders, cleared.filled_wh.tolist(), strict=True):
            assert 0 <= filled <= (0 if price is None else order.quantity)
            is_within = price is None or (order.price >= price if order.side == BUY else order.price <= price)
            assert not filled or is_within
    assert prices == sorted(prices)


def met_slowly(contract_id: str, orders: Sequence[Order]) -> list[tuple[int, int, int]]:
    """Buy, sell and energy of each trade of the slow references of version 1."""
    limits = [
        LimitOrder(f"{rank:02}", order.side == BUY, order.quantity, order.price) for rank, order in enumerate(orders)
    ]
    book = ContinuousBook()
    trades = (
        match_pay_as_bid(SequencedOrder(limit, 0) for limit in limits)
        if contract_id == "pay_as_bid/2"
        else [trade for limit in limits for trade in book.submit(limit)]
    )
    return [(int(trade.buy_id), int(trade.sell_id), trade.energy_wh) for trade in trades]


@PAIRED
@given(ORDERS, K_PPM)
@settings(max_examples=150)
def test_every_pair_trades_between_its_limits_as_the_slow_reference_and_both_verifiers_say(
    contract_id: str, orders: list[Order], k_ppm: int
) -> None:
    terms, until = {K: k_ppm}, np.full(len(orders), len(orders), dtype=np.int64)
    cleared = CONTRACTS[contract_id].clear(*columns_of(orders), terms=terms, until_rank=until)
    assert isinstance(cleared.trades, Trades)
    made = list(zip(*(column.tolist() for column in cleared.trades), strict=True))
    assert made == [
        (buy, sell, energy, between(orders[sell].price, orders[buy].price, k_ppm))
        for buy, sell, energy in met_slowly(contract_id, orders)
    ]
    assert all(orders[sell].price <= price <= orders[buy].price for buy, sell, _, price in made)
    known = verify.CONTRACTS[contract_id]
    assert known.clear is not None
    rows = [(*order[:3], len(orders)) for order in orders]
    assert [tuple(trade)[:4] for trade in known.clear(rows, terms).trades] == made
    book = [
        BookRow(rank, *order[:3], 0, len(orders), all_or_none=False, wanted=()) for rank, order in enumerate(orders)
    ]
    pairs = second.pay_as_bid(book) if contract_id == "pay_as_bid/2" else second.as_they_come(book)
    assert [(pair.buy, pair.sell, pair.energy_wh) for pair in pairs] == [trade[:3] for trade in made]


@given(ORDERS)
def test_the_whole_way_up_is_the_buy_s_limit_as_under_version_1(orders: list[Order]) -> None:
    cleared = CONTRACTS["pay_as_bid/2"].clear(*columns_of(orders), terms={K: 1_000_000})
    assert isinstance(cleared.trades, Trades)
    before = pay_as_bid_1.match(*columns_of(orders))
    assert [column.tolist() for column in cleared.trades] == [column.tolist() for column in before]


def test_prices_between_negative_limits_are_rounded_down_and_beyond_the_bound_refused() -> None:
    assert price_between(-5, -2, 500_000) == -4
    assert price_between(-(10**9), 10**9, 1_000_000) == 10**9
    with pytest.raises(ContractError, match="a limit is beyond 1000000000"):
        price_between(0, 10**9 + 1, 0)


def test_an_auction_without_the_arrival_of_its_orders_is_refused() -> None:
    with pytest.raises(ContractError, match="the orders have no arrival"):
        AUCTION.clear(*columns_of([Order(BUY, 1, 5)]), terms={"rationing": "time", K: 0})


ONE_RULE = "has one of price_k_ppm and reference_price_micro_per_kwh: the price where several clear the same volume"
NO_SHARE = "price_k_ppm is a whole number, 0 (the lowest price) to 1000000 (the highest), not"


@pytest.mark.parametrize(
    ("contract_id", "terms", "fault"),
    [
        ("p2p_call_auction/2", {"rationing": "time"}, ONE_RULE),
        ("p2p_call_auction/2", {"rationing": "time", K: 0, REFERENCE: 0}, ONE_RULE),
        ("p2p_call_auction/2", {K: 0}, "lacks the field rationing"),
        ("p2p_call_auction/2", {"rationing": "late", K: 0}, "rationing is one of pro_rata, time, not 'late'"),
        ("p2p_call_auction/2", {"rationing": "time", K: -1}, f"{NO_SHARE} -1"),
        ("p2p_call_auction/2", {"rationing": "time", K: True}, f"{NO_SHARE} True"),
        (
            "p2p_call_auction/2",
            {"rationing": "time", REFERENCE: 10**9 + 1},
            f"{REFERENCE} is a whole number, -1000000000 to 1000000000, not 1000000001",
        ),
        (
            "p2p_call_auction/2",
            {"rationing": "time", K: 0, "x": 1},
            "holds the unknown field 'x'; its fields are prices, rationing, price_k_ppm",
        ),
        ("pay_as_bid/2", {}, "lacks the field price_k_ppm"),
        ("pay_as_bid/2", {K: 1_000_001}, f"{NO_SHARE} 1000001"),
        ("continuous_double_auction/2", {K: "500000"}, f"{NO_SHARE} '500000'"),
    ],
)
def test_terms_that_do_not_say_one_price_are_refused_in_one_line(
    contract_id: str, terms: dict[str, Any], fault: str
) -> None:
    assert CONTRACTS[contract_id].fault_of({"prices": PRICES, **terms}) == fault


@pytest.mark.parametrize("k_ppm", [0, 1_000_000])
def test_both_ends_of_the_way_are_taken(k_ppm: int) -> None:
    for contract_id, more in (
        ("p2p_call_auction/2", {"rationing": "pro_rata"}),
        ("pay_as_bid/2", {}),
        ("continuous_double_auction/2", {}),
    ):
        assert CONTRACTS[contract_id].fault_of({"prices": PRICES, K: k_ppm, **more}) == ""
    low = {"prices": PRICES | {"surplus_price_micro_per_kwh": 10**6}, K: k_ppm}
    assert "does not hold" in CONTRACTS["pay_as_bid/2"].fault_of(low)
