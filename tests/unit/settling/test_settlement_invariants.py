"""What must hold of every settled folder, each by name (docs/settlement-cases.md, "Invariants")."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridledger.settling.dataset import Dataset, PointRow
from gridledger.settling.results import write_results
from settlement.tariffs.network import grid_loss
from tests.unit.settling.settled_folder import PRICES, Grid, dataset_of, runs_of, tariffs_of
from tests.unit.settling.test_settled_results import POINTS, energies, read

FILES = ("statements.csv", "postings.csv", "invoices.csv", "invoice_lines.csv", "general_ledger.csv", "report.html")
B, S = PRICES["residual_price_micro_per_kwh"], PRICES["feed_in_price_micro_per_kwh"]
Factory = pytest.TempPathFactory


class Market(NamedTuple):
    """A contract that shares what is metered, and its terms. grid: the accounts that keep what the grid gets; wh_nano: what a Wh more that is shared changes a bill by."""

    contract: str
    terms: Mapping[str, Any]
    grid: Sequence[str]
    wh_nano: int

    def dataset(self, import_wh: Grid, export_wh: Grid, points: Sequence[PointRow] = POINTS) -> Dataset:
        return dataset_of(import_wh, export_wh, points, contract=self.contract, terms=self.terms)


# where prices follow from sums, a Wh that another meter is given moves the charge of the network alone
NETWORK_NANO = PRICES["network_residual_micro_per_kwh"] - PRICES["network_traded_micro_per_kwh"]
SHARED_AT = 370_000
KEYS = {"method": "dynamic", "trade_price_micro_per_kwh": SHARED_AT}
MARKETS = [
    Market("mid_market_rate/1", {}, ["community"], NETWORK_NANO),
    Market("supply_demand_ratio/1", {}, ["community"], NETWORK_NANO),
    Market("sharing_keys/1", KEYS, ["supplier", "offtaker", "clearing"], NETWORK_NANO + B - SHARED_AT),
]
MARKET = st.sampled_from(MARKETS)


def contents(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in FILES}


def net_nano(out: Path) -> dict[tuple[int, str], int]:
    """Debit less credit of each slot and account over all runs, without what comes to nothing."""
    sums: dict[tuple[int, str], int] = defaultdict(int)
    for slot, account, debit, credit, _ in read(out / "postings.csv"):
        sums[int(slot), str(account)] += int(debit) - int(credit)
    return {key: nano for key, nano in sums.items() if nano}


@given(MARKET, energies(), energies(), energies())
@settings(max_examples=15, deadline=None)
def test_debits_equal_credits_in_every_run_and_slot(
    tmp_path_factory: Factory, market: Market, import_wh: Grid, export_wh: Grid, newer: Grid
) -> None:
    out = tmp_path_factory.mktemp("out")
    dataset = market.dataset(import_wh, export_wh)
    write_results(
        out,
        dataset,
        [*runs_of(dataset), *runs_of(dataset, "correction-1", [1, 4], import_wh=newer)],
        tariffs_of(dataset),
    )
    sides: dict[tuple[int, str], int] = defaultdict(int)
    for slot, _, debit, credit, run in read(out / "postings.csv"):
        assert int(debit) >= 0
        assert int(credit) >= 0
        sides[int(slot), str(run)] += int(debit) - int(credit)
    assert not any(sides.values())


@given(MARKET, energies(), energies())
@settings(max_examples=30, deadline=None)
def test_what_is_bought_is_what_is_sold_in_every_slot_and_area(
    market: Market, import_wh: Grid, export_wh: Grid
) -> None:
    runs = list(runs_of(market.dataset(import_wh, export_wh)))
    bought, sold = ([int(run.columns[name].sum()) for run in runs] for name in ("bought_wh", "sold_wh"))
    assert bought == sold


@given(MARKET, energies(), energies())
@settings(max_examples=15, deadline=None)
def test_the_bill_of_a_community_is_the_grids_bill_in_every_slot(
    tmp_path_factory: Factory, market: Market, import_wh: Grid, export_wh: Grid
) -> None:
    out = tmp_path_factory.mktemp("out")
    dataset = market.dataset(import_wh, export_wh)
    write_results(out, dataset, runs_of(dataset), tariffs_of(dataset))
    found = net_nano(out)
    bills: dict[int, int] = {}
    for place, slot in enumerate(dataset.slot_start_s.tolist()):
        grid_nano = 0
        for area in ("A1", "A2"):
            of_area = [at for at, point in enumerate(POINTS) if point.area == area]
            net_wh = int((export_wh - import_wh)[place, of_area].sum())
            grid_nano += max(0, -net_wh) * B - max(0, net_wh) * S
        bills[slot] = grid_nano
    assert {slot: -sum(found.get((slot, account), 0) for account in market.grid) for slot in bills} == bills


@given(MARKET, energies(), energies(), energies(), energies())
@settings(max_examples=15, deadline=None)
def test_all_runs_together_are_the_last_run_alone(
    tmp_path_factory: Factory, market: Market, first: Grid, export_wh: Grid, second: Grid, third: Grid
) -> None:
    step, alone = tmp_path_factory.mktemp("step"), tmp_path_factory.mktemp("alone")
    dataset = market.dataset(first, export_wh)
    slots = range(len(first))
    runs = [
        *runs_of(dataset),
        *runs_of(dataset, "correction-1", slots, import_wh=second),
        *runs_of(dataset, "correction-2", slots, import_wh=third),
    ]
    write_results(step, dataset, runs, tariffs_of(dataset))
    write_results(alone, dataset, runs_of(dataset, import_wh=third), tariffs_of(dataset))
    assert net_nano(step) == net_nano(alone)
    gross: list[dict[tuple[str, str], int]] = []
    for out in (step, alone):
        of_month: dict[tuple[str, str], int] = defaultdict(int)
        for party, month, *amounts in read(out / "invoices.csv"):
            of_month[str(party), str(month)] += int(amounts[3])
        gross.append({key: amount for key, amount in of_month.items() if amount})
    assert gross[0] == gross[1]


@given(MARKET, energies(), energies(), st.randoms())
@settings(max_examples=15, deadline=None)
def test_replay_and_another_order_of_slots_and_areas_change_no_byte(
    tmp_path_factory: Factory, market: Market, import_wh: Grid, export_wh: Grid, chance: random.Random
) -> None:
    dataset = market.dataset(import_wh, export_wh)
    runs = list(runs_of(dataset))
    outs = [tmp_path_factory.mktemp("out") for _ in range(3)]
    write_results(outs[0], dataset, runs, tariffs_of(dataset))
    write_results(outs[1], dataset, runs, tariffs_of(dataset))
    chance.shuffle(runs)
    write_results(outs[2], dataset, runs, tariffs_of(dataset))
    assert contents(outs[0]) == contents(outs[1]) == contents(outs[2])


@given(
    MARKET, st.lists(st.integers(1, 10**6), min_size=4, max_size=4), st.integers(0, 10**6), st.integers(0, 4 * 10**6)
)
@settings(max_examples=30, deadline=None)
def test_a_party_with_two_meters_pays_what_it_paid_with_one_up_to_the_units_left_over(
    tmp_path_factory: Factory, market: Market, takes: list[int], second: int, surplus: int
) -> None:
    def paid(imports: list[int], points: list[PointRow]) -> int:
        out = tmp_path_factory.mktemp("out")
        made = [*([0] * len(imports)), surplus]
        dataset = market.dataset(np.array([[*imports, 0]]), np.array([made]), [*points, PointRow("Z9", "PV", "A1")])
        write_results(out, dataset, runs_of(dataset), tariffs_of(dataset))
        return sum(nano for (_, account), nano in net_nano(out).items() if account == "P0")

    one = [PointRow(f"Z{at}", f"P{at}", "A1") for at in range(4)]
    split = [PointRow("Z0", "P0", "A1"), PointRow("Z00", "P0", "A1"), *one[1:]]
    kept = takes[0] * second // 10**6
    together, apart = paid(takes, one), paid([kept, takes[0] - kept, *takes[1:]], split)
    # two units of nano are left over at most, and one Wh of the shared energy for each meter
    assert abs(together - apart) <= 2 + 2 * market.wh_nano


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_with_its_loss_the_energy_of_an_area_sums_to_zero(into: int, out: int, made: int, used: int) -> None:
    loss = grid_loss(into, out, made, used)
    assert into + made + loss.loss_production_wh - out - used - loss.loss_consumption_wh == 0
