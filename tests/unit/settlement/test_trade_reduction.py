"""``trade_reduction/1``: gates as the slow reference clears them, money conserved with the surplus on its own account, and the verifier's rule."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcore import verify
from ledger.contract import SlotRows, TradeAmounts
from ledger.one_group import one_group
from settlement.contract_kit_1 import ContractError
from settlement.contracts.trade_reduction_1 import CONTRACT, reduce_trades
from tests.slow.trade_reduction import LimitOrder, trade_reduction
from tests.worlds.consortium import PRICES

ORDERS = st.lists(st.tuples(st.integers(0, 1), st.integers(1, 60), st.integers(-3, 12)), max_size=14)


def columns_of(orders: list[tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Side, quantity and limit."""
    side, quantity, limit = (np.array([order[at] for order in orders], dtype=np.int64) for at in range(3))
    return side.astype(np.int8), quantity, limit


@given(ORDERS)
@settings(max_examples=400)
def test_every_gate_is_cleared_as_order_by_order(orders: list[tuple[int, int, int]]) -> None:
    names = [f"{place:03}" for place in range(len(orders))]
    expected = trade_reduction(
        [LimitOrder(name, side == 0, wh, limit) for name, (side, wh, limit) in zip(names, orders, strict=True)]
    )
    side, quantity, limit = columns_of(orders)
    trades, buy_price = reduce_trades(side, quantity, limit)
    assert trades.filled_wh(quantity).tolist() == [expected.filled_wh[name] for name in names]
    assert buy_price == expected.buy_price
    assert set(trades.price_micro_per_kwh.tolist()) <= {expected.sell_price}
    assert trades.volume_wh * ((buy_price or 0) - (expected.sell_price or 0)) == expected.surplus_nano
    assert (trades.energy_wh > 0).all()
    pairs = list(zip(trades.buy.tolist(), trades.sell.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)
    assert all(limit[buy] >= (buy_price or 0) and limit[sell] <= (expected.sell_price or 0) for buy, sell in pairs)


@given(ORDERS)
@settings(max_examples=300)
def test_the_verifier_clears_every_gate_as_the_contract_does(orders: list[tuple[int, int, int]]) -> None:
    side, quantity, limit = columns_of(orders)
    trades, buy_price = reduce_trades(side, quantity, limit)
    rows = zip(*(column.tolist() for column in trades), strict=True)
    known = verify.CONTRACTS["trade_reduction/1"].clear
    assert known is not None
    cleared = known(orders, {})
    assert (cleared.volume_wh, cleared.price_micro_per_kwh) == (trades.volume_wh, buy_price)
    assert cleared.filled_wh == trades.filled_wh(quantity).tolist()
    assert [tuple(trade) for trade in cleared.trades] == [(*row, 0) for row in rows]


def slot_of(rows: list[tuple[int, int]], energy_wh: int, sell_price: int) -> SlotRows:
    """The first row buys from the second; import and export of each."""
    taken, fed = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    bought = np.array([energy_wh, 0], dtype=np.int64)
    amounts = TradeAmounts(bought * sell_price, bought[::-1] * sell_price)
    return one_group(PRICES, taken, fed, bought, bought[::-1].copy())._replace(amounts=amounts)


METERED = st.tuples(st.integers(0, 900), st.integers(0, 900))


@given(st.tuples(METERED, METERED), st.integers(0, 900), st.integers(-5, 500_000), st.integers(0, 300_000))
@settings(max_examples=200)
def test_what_buyers_pay_is_what_sellers_get_and_the_surplus(
    rows: tuple[tuple[int, int], tuple[int, int]], energy_wh: int, sell_price: int, more: int
) -> None:
    slot = slot_of(list(rows), energy_wh, sell_price)
    gate = [sell_price + more]
    result = CONTRACT.settle(slot, trade_prices_micro_per_kwh=gate, terms=[{}])
    assert result.received_nano["auction_surplus"] == [energy_wh * more]
    assert result.received_nano["clearing"] == [0]
    assert sum(sum(of) for of in result.received_nano.values()) == sum(result.columns["pays_nano"].tolist())
    lines = CONTRACT.lines(slot, result.columns, trade_prices_micro_per_kwh=gate, terms=[{}])
    assert [line.kind for line in lines] == [kind.kind for kind in CONTRACT.line_kinds]
    amounts = zip(*(line.amount_nano.tolist() for line in lines), strict=True)
    assert [sum(of_row) for of_row in amounts] == result.columns["pays_nano"].tolist()
    known = verify.CONTRACTS["trade_reduction/1"]
    for place, (taken, fed) in enumerate(rows):
        columns = {name: int(column[place]) for name, column in result.columns.items()}
        shown = verify.Settled(taken, fed, columns, {}, PRICES, gate[0], PRICES, {}, {})
        known.check_point(shown)
        assert sum(line.amount_nano for line in known.lines_of_point(shown)) == columns["pays_nano"]
        with pytest.raises(verify.Halt):
            known.check_point(shown._replace(columns={**columns, "surplus_nano": columns["surplus_nano"] + 1}))


def test_buyers_that_would_pay_less_than_sellers_get_and_bought_energy_without_a_price_are_refused() -> None:
    slot = slot_of([(5, 0), (0, 5)], 5, 400_000)
    with pytest.raises(ContractError, match="buyers pay less than sellers get"):
        CONTRACT.settle(slot, trade_prices_micro_per_kwh=[399_999], terms=[{}])
    with pytest.raises(ContractError, match="5 Wh were traded, but there is no price for buyers"):
        CONTRACT.settle(slot, trade_prices_micro_per_kwh=[None], terms=[{}])
    with pytest.raises(ContractError, match="what was traded has no amounts"):
        CONTRACT.settle(slot._replace(amounts=None), trade_prices_micro_per_kwh=[400_000], terms=[{}])


def test_quantities_beyond_64_bits_are_refused() -> None:
    quantity = np.array([2**62, 2**62], dtype=np.int64)
    with pytest.raises(ContractError, match="the sum of the quantities is outside"):
        reduce_trades(np.array([0, 1], dtype=np.int8), quantity, np.zeros(2, dtype=np.int64))
