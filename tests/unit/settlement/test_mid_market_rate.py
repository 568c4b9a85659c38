"""One slot at the mid-market rate against the text of mid_market_rate/1 in fractions; its charges; conservation."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ledger.contract import ClearingLike, Contract, SlotSettlementLike
from settlement import statements
from settlement.contract_kit_1 import ContractError
from settlement.contracts.mid_market_rate_1 import CONTRACT, LINE_KINDS, NoClearing, SlotSettlement, share

# the concrete classes fit the protocols that the ledger calls: mypy checks these three lines
_contract: Contract = CONTRACT
_clearing: type[ClearingLike] = NoClearing
_settlement: type[SlotSettlementLike] = SlotSettlement

PRICES = {
    "residual_price_micro_per_kwh": 600_000,
    "feed_in_price_micro_per_kwh": 400_000,
    "network_traded_micro_per_kwh": 60_000,
    "network_residual_micro_per_kwh": 100_000,
    "levy_micro_per_kwh": 20_000,
}


def column(values: list[int]) -> NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


def settle(import_wh: list[int], export_wh: list[int]) -> SlotSettlement:
    nothing = column([0] * len(import_wh))
    return CONTRACT.settle(
        column(import_wh), column(export_wh), nothing, nothing, trade_price_micro_per_kwh=None, prices=PRICES
    )


def test_members_pay_half_way_between_the_grids_prices_and_the_charges_of_their_import() -> None:
    settled = settle([0, 400, 600], [600, 0, 0])  # 600 Wh inside, 400 Wh from the grid
    home_share = Fraction(600 * 500_000 + 400 * 600_000, 1000) * 400
    home_charges = 240 * 60_000 + 160 * 100_000 + 400 * 20_000
    assert settled.pays_nano.tolist()[:2] == [-600 * 500_000, home_share + home_charges]
    assert settled.bought_wh.tolist() == [0, 240, 360]
    assert settled.sold_wh.tolist() == [600, 0, 0]
    assert (settled.volume_wh, settled.totals_wh) == (600, {"demand_wh": 1000, "supply_wh": 600})
    assert settled.accounts_nano["grid"] == 400 * 600_000
    assert settled.supplier_only_nano.tolist()[:2] == [-600 * 400_000, 400 * 720_000]


def test_import_and_export_of_one_member_are_netted_but_its_charges_are_of_all_import() -> None:
    settled = settle([500, 0], [300, 100])
    lines = statements.lines(settled.lines, ["home", "roof"])
    assert [(line.party, line.line_kind, line.energy_wh, line.price_micro_per_kwh) for line in lines] == [
        ("home", "community_buy", 200, None),
        ("home", "network_traded", 100, 60_000),
        ("home", "network_residual", 400, 100_000),
        ("home", "levy", 500, 20_000),
        ("roof", "community_sell", 100, None),
    ]


ENERGIES = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), min_size=1, max_size=6)


@settings(max_examples=100, deadline=None)
@given(ENERGIES, st.data())
def test_money_is_conserved_and_lines_of_any_rows_follow_from_their_positions(
    energies: list[tuple[int, int]], data: st.DataObject
) -> None:
    settled = settle([taken for taken, _ in energies], [given for _, given in energies])
    assert sum(settled.pays_nano.tolist()) == sum(settled.accounts_nano.values())
    assert sum(settled.bought_wh.tolist()) == sum(settled.sold_wh.tolist()) == settled.volume_wh
    assert sum(line.amount_nano for line in settled.lines).tolist() == settled.pays_nano.tolist()  # type: ignore[union-attr]
    cut = slice(*sorted(data.draw(st.lists(st.integers(0, len(energies)), min_size=2, max_size=2))))
    rows = CONTRACT.lines(
        import_wh=column([taken for taken, _ in energies[cut]]),
        export_wh=column([given for _, given in energies[cut]]),
        bought_wh=settled.bought_wh[cut],
        sold_wh=settled.sold_wh[cut],
        pays_nano=settled.pays_nano[cut],
        trade_price_micro_per_kwh=None,
        prices=PRICES,
    )
    assert [line.kind for line in rows] == [kind.kind for kind in LINE_KINDS]
    for line, whole in zip(rows, settled.lines, strict=True):
        assert line.energy_wh.tolist() == whole.energy_wh[cut].tolist()
        assert line.amount_nano.tolist() == whole.amount_nano[cut].tolist()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_shares_follow_the_text(net_wh: list[int], low: int, more: int) -> None:
    retail, feed_in = low + more, low
    community = share(column(net_wh), retail_micro_per_kwh=retail, feed_in_micro_per_kwh=feed_in)
    supply = sum(value for value in net_wh if value > 0)
    demand = -sum(value for value in net_wh if value < 0)
    inside = min(supply, demand)
    transfer = int(inside * Fraction(retail + feed_in, 2))
    assert community.totals.sellers_nano == transfer + (supply - inside) * feed_in
    assert community.totals.buyers_nano == transfer + (demand - inside) * retail
    grid_nano = community.totals.buyers_nano - community.totals.sellers_nano
    assert sum(community.pays_nano.tolist()) == grid_nano


@pytest.mark.parametrize(("retail", "feed_in"), [(399_999, 400_000), (1, -1)])
def test_prices_the_wrong_way_round_are_refused_and_named(retail: int, feed_in: int) -> None:
    with pytest.raises(ContractError, match="retail"):
        share(column([1, -1]), retail_micro_per_kwh=retail, feed_in_micro_per_kwh=feed_in)
    prices = PRICES | {"residual_price_micro_per_kwh": retail, "feed_in_price_micro_per_kwh": feed_in}
    assert "does not hold" in CONTRACT.fault_of({"prices": prices})


def test_terms_without_a_price_or_with_one_too_many_are_named() -> None:
    assert CONTRACT.fault_of({"prices": PRICES}) == ""
    assert CONTRACT.fault_of({}) == "lacks the field prices"
    assert "prices lacks the field residual_price" in CONTRACT.fault_of({"prices": {}})
    assert "unknown field 'rationing'" in CONTRACT.fault_of({"prices": PRICES, "rationing": "pro_rata"})


def test_energy_traded_by_orders_is_refused() -> None:
    one = column([1])
    with pytest.raises(ContractError, match="orders"):
        CONTRACT.settle(one, one, one, one, trade_price_micro_per_kwh=None, prices=PRICES)
