"""Prices that rules of ``p2p_call_auction/1`` may have, and what an order can cost under them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from settlement.contracts.p2p_call_auction_1 import CONTRACT, PRICE_KEYS
from tests.unit.settlement.auction_slot import PRICES, Prices, Row, settle


def fault_of(prices: Prices) -> str:
    by_key = dict(zip(PRICE_KEYS, prices, strict=True))
    return CONTRACT.fault_of({"rationing": "pro_rata", "reference_price_micro_per_kwh": 0, "prices": by_key})


def joint_gain_nano(prices: Prices, export_wh: int, import_wh: int, traded_wh: int) -> int:
    """What a seller and a buyer who are one behind the scenes gain in all by trading with one another; the trade price cancels out."""
    traded = [Row(0, export_wh, 0, traded_wh), Row(import_wh, 0, traded_wh, 0)]
    alone = [row._replace(bought_wh=0, sold_wh=0) for row in traded]
    return sum(settle(alone, -700_000, prices).pays_nano) - sum(settle(traded, -700_000, prices).pays_nano)


ENERGY_WH = st.integers(0, 50)


@settings(max_examples=300, deadline=None)
@given(st.builds(Prices, *[st.integers(-900, 900)] * 7), ENERGY_WH, ENERGY_WH, ENERGY_WH)
def test_under_prices_without_fault_nobody_gains_by_trading_energy_that_one_side_does_not_have(
    prices: Prices, export_wh: int, import_wh: int, more_wh: int
) -> None:
    assume(not fault_of(prices))
    honest = joint_gain_nano(prices, export_wh, import_wh, min(export_wh, import_wh))
    assert joint_gain_nano(prices, export_wh, import_wh, min(export_wh, import_wh) + more_wh) <= honest


@pytest.mark.parametrize(
    ("export_wh", "import_wh", "prices"),
    [
        (0, 0, PRICES._replace(surplus=800_001, feed_in=900_000)),
        (1, 0, PRICES._replace(surplus=350_001)),
        (0, 1, PRICES._replace(residual=760_001)),
    ],
)
def test_prices_by_which_two_who_are_one_gain_without_energy_are_refused(
    export_wh: int, import_wh: int, prices: Prices
) -> None:
    assert joint_gain_nano(prices, export_wh, import_wh, 1) > 0
    assert "does not hold" in fault_of(prices)
    assert joint_gain_nano(PRICES, export_wh, import_wh, 1) <= 0
    assert not fault_of(PRICES)


def test_a_price_of_more_than_a_thousand_a_kwh_is_refused_and_a_negative_one_is_not() -> None:
    assert "levy_micro_per_kwh is 1000000001" in fault_of(PRICES._replace(levy=10**9 + 1))
    assert not fault_of(Prices(-5, -4, -(10**9), -3, -1, -1, -2))


@settings(max_examples=300, deadline=None)
@given(
    st.builds(Prices, *[st.integers(-900, 900)] * 7),
    st.integers(0, 1),
    st.integers(-900, 900),
    st.integers(0, 900),
    ENERGY_WH,
    ENERGY_WH,
)
def test_no_order_costs_more_than_its_exposure_whatever_is_metered(
    prices: Prices, side: int, limit: int, better: int, traded_wh: int, metered_wh: int
) -> None:
    by_key = dict(zip(PRICE_KEYS, prices, strict=True))
    (exposure,) = CONTRACT.exposure_micro_per_kwh(
        np.array([side], dtype=np.int8), np.array([limit]), prices=by_key
    ).tolist()
    own = Row(0, metered_wh, 0, traded_wh) if side else Row(metered_wh, 0, traded_wh, 0)
    other = Row(0, 0, traded_wh, 0) if side else Row(0, 0, 0, traded_wh)
    slot = settle([own, other], limit + better if side else limit - better, prices)
    of_order = {"trade_buy", "trade_sell", "surplus", "shortfall"}
    cost_nano = sum(int(line.amount_nano[0]) for line in slot.lines() if line.kind in of_order)
    assert exposure >= 0
    assert cost_nano <= exposure * traded_wh
