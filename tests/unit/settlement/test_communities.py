"""One slot of a community, at the mid-market rate and at the ratio of supply to demand: shares by their texts, charges, conservation."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ledger.contract import Billed, ClearingLike, Contract, LineLike, SettlementLike
from ledger.one_group import one_group
from settlement import statements
from settlement.contract_kit_1 import (
    Communities,
    CommunityContract,
    ContractError,
    Groups,
    NoClearing,
    Settlement,
    share,
)
from settlement.contracts import mid_market_rate_1, supply_demand_ratio_1
from tests.slow.sharing import GridPrices, supply_demand_ratio

MID_MARKET_RATE, SUPPLY_DEMAND_RATIO = mid_market_rate_1.CONTRACT, supply_demand_ratio_1.CONTRACT
BOTH = pytest.mark.parametrize("contract", [MID_MARKET_RATE, SUPPLY_DEMAND_RATIO], ids=lambda known: known.contract_id)

# the concrete classes fit the protocols that the ledger calls: mypy checks these three lines
_contract: Contract = MID_MARKET_RATE
_clearing: type[ClearingLike] = NoClearing
_settlement: type[SettlementLike] = Settlement

PRICES = {
    "residual_price_micro_per_kwh": 600_000,
    "feed_in_price_micro_per_kwh": 400_000,
    "network_traded_micro_per_kwh": 60_000,
    "network_residual_micro_per_kwh": 100_000,
    "levy_micro_per_kwh": 20_000,
}


def column(values: list[int]) -> NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


Member = tuple[int, int]
"""Import and export, Wh."""


def settle(contract: CommunityContract, *communities: Sequence[Member]) -> Settlement:
    """Several areas at once, their rows one after the other."""
    members = [member for community in communities for member in community]
    group = column([place for place, community in enumerate(communities) for _ in community])
    nothing = column([0] * len(members))
    rows = one_group(PRICES, *energies(members), nothing, nothing)
    tariffs = rows.tariffs._replace(of_group=column([0] * len(communities)))
    rows = rows._replace(group=group, tariffs=tariffs)
    none = [None] * len(communities)
    return contract.settle(rows, trade_prices_micro_per_kwh=none, terms=[{}] * len(communities))


def energies(members: Sequence[Member]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Import and export."""
    return column([taken for taken, _ in members]), column([given for _, given in members])


def lines_of(community: Sequence[Member], settled: Settlement, rows: slice = slice(None)) -> Sequence[LineLike]:
    columns = {name: kept[rows] for name, kept in settled.columns.items()}
    import_wh, export_wh = (metered[rows] for metered in energies(community))
    slot = one_group(PRICES, import_wh, export_wh, columns["bought_wh"], columns["sold_wh"])
    return MID_MARKET_RATE.lines(slot, columns, trade_prices_micro_per_kwh=[None], terms=[{}])


def test_members_pay_half_way_between_the_grids_prices_and_the_charges_of_their_import() -> None:
    settled = settle(MID_MARKET_RATE, [(0, 600), (400, 0), (600, 0)])  # 600 Wh inside, 400 Wh from the grid
    flat_share = Fraction(600 * 500_000 + 400 * 600_000, 1000) * 400
    flat_charges = 240 * 60_000 + 160 * 100_000 + 400 * 20_000
    kept = {name: values.tolist() for name, values in settled.columns.items()}
    assert kept["community_nano"][:2] == [-600 * 500_000, flat_share]
    assert kept["pays_nano"][:2] == [-600 * 500_000, flat_share + flat_charges]
    assert (kept["bought_wh"], kept["sold_wh"]) == ([0, 240, 360], [600, 0, 0])
    assert kept["supplier_only_nano"][:2] == [-600 * 400_000, 400 * 720_000]
    assert settled.area_columns == {"surplus_wh": [600], "deficit_wh": [1000]}
    assert settled.received_nano["community"] == [400 * 600_000]


def test_import_and_export_of_one_member_are_netted_but_its_charges_are_of_all_import() -> None:
    community = [(500, 300), (0, 100)]
    lines = statements.lines(
        lines_of(community, settle(MID_MARKET_RATE, community)), [Billed("home", "P-1"), Billed("roof", "P-2")]
    )
    assert [(line.party, line.line_kind, line.energy_wh, line.price_micro_per_kwh) for line in lines] == [
        ("home", "community_buy", 200, None),
        ("home", "network_traded", 100, 60_000),
        ("home", "network_residual", 400, 100_000),
        ("home", "levy", 500, 20_000),
        ("roof", "community_sell", 100, None),
    ]


COMMUNITY = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), min_size=1, max_size=6)


@BOTH
@settings(max_examples=100, deadline=None)
@given(community=COMMUNITY, data=st.data())
def test_money_is_conserved_and_lines_of_any_rows_follow_from_what_is_kept(
    contract: CommunityContract, community: list[Member], data: st.DataObject
) -> None:
    settled = settle(contract, community)
    kept = {name: values.tolist() for name, values in settled.columns.items()}
    assert sum(kept["pays_nano"]) == sum(received for (received,) in settled.received_nano.values())
    inside_wh = min(values[0] for values in settled.area_columns.values())
    assert sum(kept["bought_wh"]) == sum(kept["sold_wh"]) == inside_wh
    whole = lines_of(community, settled)
    assert [line.kind for line in whole] == [kind.kind for kind in contract.line_kinds]
    assert [sum(row) for row in zip(*(line.amount_nano.tolist() for line in whole), strict=True)] == kept["pays_nano"]
    cut = slice(*sorted(data.draw(st.lists(st.integers(0, len(community)), min_size=2, max_size=2))))
    for line, of_all in zip(lines_of(community, settled, cut), whole, strict=True):
        assert line.energy_wh.tolist() == of_all.energy_wh[cut].tolist()
        assert line.amount_nano.tolist() == of_all.amount_nano[cut].tolist()


@BOTH
@settings(max_examples=100, deadline=None)
@given(communities=st.lists(COMMUNITY, min_size=2, max_size=4))
def test_communities_together_are_settled_as_each_alone(
    contract: CommunityContract, communities: list[list[Member]]
) -> None:
    together, alone = settle(contract, *communities), [settle(contract, community) for community in communities]
    columns = {
        name: [value for one in alone for value in one.columns[name].tolist()] for name in contract.position_columns
    }
    assert {name: values.tolist() for name, values in together.columns.items()} == columns
    sums = {name: [one.area_columns[name][0] for one in alone] for name in contract.area_columns}
    assert together.area_columns == sums
    received = {account: [one.received_nano[account][0] for one in alone] for account in contract.accounts}
    assert together.received_nano == received


def share_one(contract: CommunityContract, net_wh: list[int], retail: int, feed_in: int) -> Communities:
    """One area alone."""
    return share(contract.rule, Groups(column([0] * len(net_wh)), 1), column(net_wh), [retail], [feed_in])


NETS = st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=6)


@settings(max_examples=100, deadline=None)
@given(NETS, st.integers(0, 10**6), st.integers(0, 10**6))
def test_at_the_mid_market_rate_shares_follow_the_text(net_wh: list[int], low: int, more: int) -> None:
    retail, feed_in = low + more, low
    communities = share_one(MID_MARKET_RATE, net_wh, retail, feed_in)
    (totals,) = communities.totals
    surplus = sum(value for value in net_wh if value > 0)
    deficit = -sum(value for value in net_wh if value < 0)
    inside = min(surplus, deficit)
    transfer = int(inside * Fraction(retail + feed_in, 2))
    assert totals.sellers_nano == transfer + (surplus - inside) * feed_in
    assert totals.buyers_nano == transfer + (deficit - inside) * retail
    assert sum(communities.community_nano.tolist()) == totals.buyers_nano - totals.sellers_nano


@settings(max_examples=200, deadline=None)
@given(NETS, st.integers(1, 10**6), st.integers(0, 10**6))
def test_at_the_ratio_shares_and_prices_are_those_of_the_slow_reference_and_stay_between_the_grids(
    net_wh: list[int], low: int, more: int
) -> None:
    prices = GridPrices(low + more, low)
    communities = share_one(SUPPLY_DEMAND_RATIO, net_wh, *prices)
    (totals,) = communities.totals
    expected = supply_demand_ratio(net_wh, prices)
    assert communities.community_nano.tolist() == list(expected.pays_nano)
    assert totals.buyers_nano - totals.sellers_nano == expected.grid_receives_nano == sum(expected.pays_nano)
    for found, price in ((totals.price_sell, expected.price_sell), (totals.price_buy, expected.price_buy)):
        assert (None if found is None else Fraction(*found)) == price
        assert price is None or prices.feed_in <= price <= prices.retail
    assert all(pays * energy <= 0 for pays, energy in zip(expected.pays_nano, net_wh, strict=True))


@BOTH
@pytest.mark.parametrize(("retail", "feed_in"), [(399_999, 400_000), (1, -1)])
def test_prices_the_wrong_way_round_are_refused_and_named(
    contract: CommunityContract, retail: int, feed_in: int
) -> None:
    with pytest.raises(ContractError, match="retail"):
        share_one(contract, [1, -1], retail, feed_in)


def test_at_the_ratio_a_feed_in_price_of_0_is_refused_by_terms_and_by_the_slot() -> None:
    free = {"prices": {**PRICES, "feed_in_price_micro_per_kwh": 0}}
    assert ">= 1 does not hold" in SUPPLY_DEMAND_RATIO.fault_of(free)
    assert MID_MARKET_RATE.fault_of(free) == ""
    with pytest.raises(ContractError, match="feed-in 0 >= 1"):
        share_one(SUPPLY_DEMAND_RATIO, [1, -1], 5, 0)
