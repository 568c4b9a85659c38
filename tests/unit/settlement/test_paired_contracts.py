"""Contracts that trade in pairs, from a gate's orders to what each party pays: as the slow reference says, and conserved."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.contract import Contract, TradeAmounts
from ledger.one_group import one_group
from settlement.catalogue import CONTRACTS
from settlement.contract_kit_1 import BUY, SELL, ContractError, Trades
from tests.slow.matching import ContinuousBook, LimitOrder, SequencedOrder, Trade, match_pay_as_bid
from tests.worlds.consortium import PRICES

PAIRED = pytest.mark.parametrize("contract_id", ["pay_as_bid/1", "continuous_double_auction/1"])
PARTIES = 4


class Placed(NamedTuple):
    """An order of one of four parties; until: before which order it is withdrawn, as far as orders rank by arrival."""

    party: int
    is_buy: bool
    quantity_wh: int
    limit: int
    until: int


ORDERS = st.lists(
    st.builds(
        Placed, st.integers(0, PARTIES - 1), st.booleans(), st.integers(1, 900), st.integers(-5, 12), st.integers(0, 14)
    ),
    max_size=12,
)
METERED = st.lists(st.tuples(st.integers(0, 1_500), st.integers(0, 1_500)), min_size=PARTIES, max_size=PARTIES)


def traded_slowly(contract_id: str, placed: Sequence[Placed]) -> list[Trade]:
    """The trades of the reference; ids ascend with the orders."""
    orders = [LimitOrder(f"{rank:02}", one.is_buy, one.quantity_wh, one.limit) for rank, one in enumerate(placed)]
    if contract_id == "pay_as_bid/1":
        return match_pay_as_bid(SequencedOrder(order, 0) for order in orders)
    book, trades = ContinuousBook(), []
    for rank, order in enumerate(orders):
        for other in [int(name) for name in book.resting_wh if placed[int(name)].until <= rank]:
            book.cancel(f"{other:02}")
        if placed[rank].until > rank:
            trades += book.submit(order)
    return trades


def columns_of(placed: Sequence[Placed]) -> tuple[np.ndarray, ...]:
    side = np.array([BUY if one.is_buy else SELL for one in placed], dtype=np.int8)
    wide = ([one.quantity_wh for one in placed], [one.limit for one in placed])
    return (side, *(np.array(values, dtype=np.int64) for values in wide))


def until_of(placed: Sequence[Placed]) -> np.ndarray:
    return np.array([min(one.until, len(placed)) for one in placed], dtype=np.int64)


def pays_slowly(party: int, trades: Sequence[Trade], placed: Sequence[Placed], metered: tuple[int, int]) -> Fraction:
    """What a party pays: its trades, what it used and fed in beside them, and what it traded without metering it."""
    prices = {name.removesuffix("_micro_per_kwh"): price for name, price in PRICES.items()}
    own = [
        (trade, placed[int(trade.buy_id)].party == party, placed[int(trade.sell_id)].party == party) for trade in trades
    ]
    bought = sum(trade.energy_wh for trade, buys, _ in own if buys)
    sold = sum(trade.energy_wh for trade, _, sells in own if sells)
    pays = Fraction(sum(trade.energy_wh * trade.price * (int(buys) - int(sells)) for trade, buys, sells in own))
    used, fed = metered
    pays += max(used - bought, 0) * prices["residual_price"] - max(bought - used, 0) * prices["surplus_price"]
    pays += max(sold - fed, 0) * prices["shortfall_price"] - max(fed - sold, 0) * prices["feed_in_price"]
    traded = min(used, bought)
    return (
        pays + traded * prices["network_traded"] + (used - traded) * prices["network_residual"] + used * prices["levy"]
    )


@PAIRED
@given(placed=ORDERS, metered=METERED)
@settings(max_examples=60)
def test_each_party_pays_what_the_slow_reference_says_and_money_is_conserved(
    contract_id: str, placed: list[Placed], metered: list[tuple[int, int]]
) -> None:
    contract: Contract = CONTRACTS[contract_id]
    cleared = contract.clear(*columns_of(placed), terms={}, until_rank=until_of(placed))
    expected = traded_slowly(contract_id, placed)
    made = cleared.trades
    assert isinstance(made, Trades)
    assert [*zip(*(column.tolist() for column in made), strict=True)] == [
        (int(trade.buy_id), int(trade.sell_id), trade.energy_wh, trade.price) for trade in expected
    ]
    party = np.array([one.party for one in placed], dtype=np.int64)
    of_parties = Trades(party[made.buy], party[made.sell], made.energy_wh, made.price_micro_per_kwh).traded(PARTIES)
    import_wh, export_wh = (np.array([one[side] for one in metered], dtype=np.int64) for side in (0, 1))
    rows = one_group(PRICES, import_wh, export_wh, of_parties.bought_wh, of_parties.sold_wh)._replace(
        amounts=TradeAmounts(of_parties.bought_nano, of_parties.sold_nano)
    )
    settled = contract.settle(rows, trade_prices_micro_per_kwh=[None], terms=[{}])
    pays = settled.columns["pays_nano"].tolist()
    assert pays == [pays_slowly(number, expected, placed, metered[number]) for number in range(PARTIES)]
    assert sum(pays) == sum(received for (received,) in settled.received_nano.values())
    assert settled.received_nano["clearing"] == [0]
    lines = contract.lines(rows, settled.columns, trade_prices_micro_per_kwh=[None], terms=[{}])
    amounts = [line.amount_nano.tolist() for line in lines]
    assert [sum(of_party) for of_party in zip(*amounts, strict=True)] == pays
    for line in lines[:2]:
        assert line.price_micro_per_kwh is None
        assert not line.amount_nano[line.energy_wh == 0].any()


@PAIRED
def test_rows_without_amounts_a_gate_with_a_price_and_money_that_nobody_gets_are_refused(contract_id: str) -> None:
    contract, energy = CONTRACTS[contract_id], np.array([5, 0], dtype=np.int64)
    rows = one_group(PRICES, energy, energy[::-1], energy, energy[::-1])
    paid = rows._replace(amounts=TradeAmounts(energy * 7, energy[::-1] * 7))
    with pytest.raises(ContractError, match="no amounts"):
        contract.settle(rows, trade_prices_micro_per_kwh=[None], terms=[{}])
    with pytest.raises(ContractError, match="prices of their own"):
        contract.settle(paid, trade_prices_micro_per_kwh=[3], terms=[{}])
    kept = rows._replace(amounts=TradeAmounts(energy * 7, energy[::-1] * 6))
    with pytest.raises(ContractError, match="the two must be equal"):
        contract.settle(kept, trade_prices_micro_per_kwh=[None], terms=[{}])
    assert contract.settle(paid, trade_prices_micro_per_kwh=[None], terms=[{}]).columns["bought_nano"].tolist() == [
        35,
        0,
    ]


@PAIRED
def test_terms_are_the_seven_prices_under_which_nobody_earns_by_energy_that_one_side_has(contract_id: str) -> None:
    contract = CONTRACTS[contract_id]
    assert contract.fault_of({"prices": PRICES}) == ""
    assert "rationing" in contract.fault_of({"prices": PRICES, "rationing": "pro_rata"})
    high = {**PRICES, "surplus_price_micro_per_kwh": PRICES["feed_in_price_micro_per_kwh"] + 1}
    assert "does not hold" in contract.fault_of({"prices": high})
