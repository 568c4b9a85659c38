"""One slot at the mid-market rate against the text of mid_market_rate/1 in fractions; its charges; conservation."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ledger.contract import Billed, ClearingLike, Contract, LineLike, SettlementLike, Tariffs
from ledger.one_group import one_group
from settlement import statements
from settlement.contract_kit_1 import ContractError, Groups, Settlement
from settlement.contracts.mid_market_rate_1 import CONTRACT, LINE_KINDS, Communities, NoClearing, share

# the concrete classes fit the protocols that the ledger calls: mypy checks these three lines
_contract: Contract = CONTRACT
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


def settle(*communities: Sequence[Member]) -> Settlement:
    """Several areas at once, their rows one after the other."""
    members = [member for community in communities for member in community]
    group = column([place for place, community in enumerate(communities) for _ in community])
    nothing = column([0] * len(members))
    rows = one_group(PRICES, *energies(members), nothing, nothing)
    tariffs = rows.tariffs._replace(of_group=column([0] * len(communities)))
    rows = rows._replace(group=group, tariffs=tariffs)
    none = [None] * len(communities)
    return CONTRACT.settle(rows, trade_prices_micro_per_kwh=none, terms=[{}] * len(communities))


def energies(members: Sequence[Member]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Import and export."""
    return column([taken for taken, _ in members]), column([given for _, given in members])


def lines_of(community: Sequence[Member], settled: Settlement, rows: slice = slice(None)) -> Sequence[LineLike]:
    columns = {name: kept[rows] for name, kept in settled.columns.items()}
    import_wh, export_wh = (metered[rows] for metered in energies(community))
    slot = one_group(PRICES, import_wh, export_wh, columns["bought_wh"], columns["sold_wh"])
    return CONTRACT.lines(slot, columns, trade_prices_micro_per_kwh=[None], terms=[{}])


def test_members_pay_half_way_between_the_grids_prices_and_the_charges_of_their_import() -> None:
    settled = settle([(0, 600), (400, 0), (600, 0)])  # 600 Wh inside, 400 Wh from the grid
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
    lines = statements.lines(lines_of(community, settle(community)), [Billed("home", "P-1"), Billed("roof", "P-2")])
    assert [(line.party, line.line_kind, line.energy_wh, line.price_micro_per_kwh) for line in lines] == [
        ("home", "community_buy", 200, None),
        ("home", "network_traded", 100, 60_000),
        ("home", "network_residual", 400, 100_000),
        ("home", "levy", 500, 20_000),
        ("roof", "community_sell", 100, None),
    ]


COMMUNITY = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), min_size=1, max_size=6)


@settings(max_examples=100, deadline=None)
@given(COMMUNITY, st.data())
def test_money_is_conserved_and_lines_of_any_rows_follow_from_what_is_kept(
    community: list[Member], data: st.DataObject
) -> None:
    settled = settle(community)
    kept = {name: values.tolist() for name, values in settled.columns.items()}
    assert sum(kept["pays_nano"]) == sum(received for (received,) in settled.received_nano.values())
    inside_wh = min(values[0] for values in settled.area_columns.values())
    assert sum(kept["bought_wh"]) == sum(kept["sold_wh"]) == inside_wh
    whole = lines_of(community, settled)
    assert [line.kind for line in whole] == [kind.kind for kind in LINE_KINDS]
    assert [sum(row) for row in zip(*(line.amount_nano.tolist() for line in whole), strict=True)] == kept["pays_nano"]
    cut = slice(*sorted(data.draw(st.lists(st.integers(0, len(community)), min_size=2, max_size=2))))
    for line, of_all in zip(lines_of(community, settled, cut), whole, strict=True):
        assert line.energy_wh.tolist() == of_all.energy_wh[cut].tolist()
        assert line.amount_nano.tolist() == of_all.amount_nano[cut].tolist()


@settings(max_examples=100, deadline=None)
@given(st.lists(COMMUNITY, min_size=2, max_size=4))
def test_communities_together_are_settled_as_each_alone(communities: list[list[Member]]) -> None:
    together, alone = settle(*communities), [settle(community) for community in communities]
    columns = {
        name: [value for one in alone for value in one.columns[name].tolist()] for name in CONTRACT.position_columns
    }
    assert {name: values.tolist() for name, values in together.columns.items()} == columns
    sums = {name: [one.area_columns[name][0] for one in alone] for name in CONTRACT.area_columns}
    assert together.area_columns == sums
    received = {account: [one.received_nano[account][0] for one in alone] for account in CONTRACT.accounts}
    assert together.received_nano == received


def share_one(net_wh: list[int], retail: int, feed_in: int) -> Communities:
    """One area alone."""
    return share(Groups(column([0] * len(net_wh)), 1), column(net_wh), [retail], [feed_in])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_shares_follow_the_text(net_wh: list[int], low: int, more: int) -> None:
    retail, feed_in = low + more, low
    communities = share_one(net_wh, retail, feed_in)
    (totals,) = communities.totals
    surplus = sum(value for value in net_wh if value > 0)
    deficit = -sum(value for value in net_wh if value < 0)
    inside = min(surplus, deficit)
    transfer = int(inside * Fraction(retail + feed_in, 2))
    assert totals.sellers_nano == transfer + (surplus - inside) * feed_in
    assert totals.buyers_nano == transfer + (deficit - inside) * retail
    assert sum(communities.community_nano.tolist()) == totals.buyers_nano - totals.sellers_nano


@pytest.mark.parametrize(("retail", "feed_in"), [(399_999, 400_000), (1, -1)])
def test_prices_the_wrong_way_round_are_refused_and_named(retail: int, feed_in: int) -> None:
    with pytest.raises(ContractError, match="retail"):
        share_one([1, -1], retail, feed_in)
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
        CONTRACT.settle(one_group(PRICES, one, one, one, one), trade_prices_micro_per_kwh=[None], terms=[{}])


def test_charges_are_of_the_members_own_prices_and_the_communitys_money_of_its_own() -> None:
    own = {key: 2 * price for key, price in PRICES.items()}
    nothing = column([0, 0])
    rows = one_group(PRICES, *energies([(0, 600), (400, 0)]), nothing, nothing)
    prices = {key: column([price, own[key]]) for key, price in PRICES.items()}
    rows = rows._replace(tariffs=Tariffs(column([0]), column([0, 1]), prices))
    settled = CONTRACT.settle(rows, trade_prices_micro_per_kwh=[None], terms=[{}])
    kept = {name: values.tolist() for name, values in settled.columns.items()}
    assert kept["community_nano"] == [-(400 * 500_000 + 200 * 400_000), 400 * 500_000]
    assert kept["pays_nano"][1] == 400 * 500_000 + 400 * (120_000 + 40_000)
    assert kept["supplier_only_nano"][1] == 400 * 1_440_000
