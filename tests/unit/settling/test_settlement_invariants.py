"""What must hold of every settled folder, each by name (docs/settlement-cases.md, "Invariants")."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridledger.settling.dataset import Dataset, PointRow
from gridledger.settling.results import write_results
from gridledger.settling.run_columns import RunColumns
from settlement.tariffs.network import grid_loss
from tests.unit.settling.drawn_markets import COMMUNITIES, FEED_IN, RETAIL, SHORTFALL, SURPLUS, TRADING, Market
from tests.unit.settling.settled_folder import Grid, tariffs_of
from tests.unit.settling.test_settled_results import POINTS, energies, read

FILES = ("statements.csv", "postings.csv", "invoices.csv", "invoice_lines.csv", "general_ledger.csv", "report.html")
Factory = pytest.TempPathFactory


def each(markets: Sequence[Market]) -> pytest.MarkDecorator:
    """A test of each market."""
    return pytest.mark.parametrize("market", markets, ids=[market.contract for market in markets])


EACH, EACH_COMMUNITY, EACH_TRADING = each((*COMMUNITIES, *TRADING)), each(COMMUNITIES), each(TRADING)


def contents(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in FILES}


def net_nano(out: Path) -> dict[tuple[int, str], int]:
    """Debit less credit of each slot and account over all runs, without what comes to nothing."""
    sums: dict[tuple[int, str], int] = defaultdict(int)
    for slot, account, debit, credit, _ in read(out / "postings.csv"):
        sums[int(slot), str(account)] += int(debit) - int(credit)
    return {key: nano for key, nano in sums.items() if nano}


@EACH
@given(energies(), energies(), energies())
@settings(max_examples=4, deadline=None)
def test_debits_equal_credits_in_every_run_and_slot(
    tmp_path_factory: Factory, market: Market, import_wh: Grid, export_wh: Grid, newer: Grid
) -> None:
    out = tmp_path_factory.mktemp("out")
    dataset = market.dataset(import_wh, export_wh, POINTS)
    write_results(
        out,
        dataset,
        [*market.runs(dataset), *market.runs(dataset, "correction-1", [1, 4], newer)],
        tariffs_of(dataset),
    )
    sides: dict[tuple[int, str], int] = defaultdict(int)
    for slot, _, debit, credit, run in read(out / "postings.csv"):
        assert int(debit) >= 0
        assert int(credit) >= 0
        sides[int(slot), str(run)] += int(debit) - int(credit)
    assert not any(sides.values())


@EACH
@given(energies(), energies())
@settings(max_examples=8, deadline=None)
def test_what_is_bought_is_what_is_sold_in_every_slot_and_area(
    market: Market, import_wh: Grid, export_wh: Grid
) -> None:
    runs = list(market.runs(market.dataset(import_wh, export_wh, POINTS)))
    bought, sold = ([int(run.columns[name].sum()) for run in runs] for name in ("bought_wh", "sold_wh"))
    assert bought == sold


def kept_by_grid_nano(out: Path, dataset: Dataset, market: Market) -> list[int]:
    """What the accounts that stand for the grid have received in each slot."""
    found = net_nano(out)
    return [-sum(found.get((slot, account), 0) for account in market.grid) for slot in dataset.slot_start_s.tolist()]


@EACH_COMMUNITY
@given(energies(), energies())
@settings(max_examples=4, deadline=None)
def test_the_bill_of_a_community_is_the_grids_bill_in_every_slot_and_under_a_bill_of_a_month_in_its_last_one(
    tmp_path_factory: Factory, market: Market, import_wh: Grid, export_wh: Grid
) -> None:
    out = tmp_path_factory.mktemp("out")
    dataset = market.dataset(import_wh, export_wh, POINTS)
    write_results(out, dataset, market.runs(dataset), tariffs_of(dataset))
    bills = []
    for place in range(len(import_wh)):
        grid_nano = 0
        for area in ("A1", "A2"):
            of_area = [at for at, point in enumerate(POINTS) if point.area == area]
            net_wh = int((export_wh - import_wh)[place, of_area].sum())
            grid_nano += max(0, -net_wh) * RETAIL - max(0, net_wh) * FEED_IN
        bills.append(grid_nano)
    expected = [0] * (len(bills) - 1) + [sum(bills)] if market.is_monthly else bills
    assert kept_by_grid_nano(out, dataset, market) == expected


@EACH_TRADING
@given(energies(), energies())
@settings(max_examples=4, deadline=None)
def test_what_points_have_not_traded_is_the_grids_bill_in_every_slot(
    tmp_path_factory: Factory, market: Market, import_wh: Grid, export_wh: Grid
) -> None:
    """The grid's bill of an area's sum is no law here: who has not agreed or ordered sells to the offtaker what a neighbour buys of the supplier."""
    out = tmp_path_factory.mktemp("out")
    dataset = market.dataset(import_wh, export_wh, POINTS)
    runs = list(market.runs(dataset))
    write_results(out, dataset, runs, tariffs_of(dataset))
    bills: dict[int, int] = dict.fromkeys(dataset.slot_start_s.tolist(), 0)
    names = ("import_wh", "bought_wh", "export_wh", "sold_wh")
    for run in runs:
        for imported, bought, exported, sold in zip(*(run.columns[name].tolist() for name in names), strict=True):
            bills[run.slot_start_s] += max(0, imported - bought) * RETAIL - max(0, bought - imported) * SURPLUS
            bills[run.slot_start_s] += max(0, sold - exported) * SHORTFALL - max(0, exported - sold) * FEED_IN
    assert kept_by_grid_nano(out, dataset, market) == list(bills.values())


@EACH
@given(energies(), energies(), energies(), energies())
@settings(max_examples=4, deadline=None)
def test_all_runs_together_are_the_last_run_alone(
    tmp_path_factory: Factory, market: Market, first: Grid, export_wh: Grid, second: Grid, third: Grid
) -> None:
    step, alone = tmp_path_factory.mktemp("step"), tmp_path_factory.mktemp("alone")
    dataset = market.dataset(first, export_wh, POINTS)
    slots = range(len(first))
    runs = [
        *market.runs(dataset),
        *market.runs(dataset, "correction-1", slots, second),
        *market.runs(dataset, "correction-2", slots, third),
    ]
    write_results(step, dataset, runs, tariffs_of(dataset))
    write_results(alone, dataset, market.runs(dataset, import_wh=third), tariffs_of(dataset))
    assert net_nano(step) == net_nano(alone)
    gross: list[dict[tuple[str, str], int]] = []
    for out in (step, alone):
        of_month: dict[tuple[str, str], int] = defaultdict(int)
        for party, month, *amounts in read(out / "invoices.csv"):
            of_month[str(party), str(month)] += int(amounts[3])
        gross.append({key: amount for key, amount in of_month.items() if amount})
    assert gross[0] == gross[1]


def shuffled_rows(run: RunColumns, chance: random.Random) -> RunColumns:
    """A run whose rows stand in another order."""
    order = np.array(chance.sample(range(len(run.rows)), len(run.rows)), dtype=np.int64)
    return run._replace(
        rows=run.rows[order],
        columns={name: column[order] for name, column in run.columns.items()},
        quality=run.quality[order],
        tariffs=run.tariffs._replace(of_row=run.tariffs.of_row[order]),
    )


@EACH
@given(energies(), energies(), st.randoms())
@settings(max_examples=4, deadline=None)
def test_replay_and_another_order_of_slots_areas_and_rows_change_no_byte(
    tmp_path_factory: Factory, market: Market, import_wh: Grid, export_wh: Grid, chance: random.Random
) -> None:
    dataset = market.dataset(import_wh, export_wh, POINTS)
    runs = list(market.runs(dataset))
    outs = [tmp_path_factory.mktemp("out") for _ in range(3)]
    write_results(outs[0], dataset, runs, tariffs_of(dataset))
    write_results(outs[1], dataset, runs, tariffs_of(dataset))
    chance.shuffle(runs)
    write_results(outs[2], dataset, [shuffled_rows(run, chance) for run in runs], tariffs_of(dataset))
    assert contents(outs[0]) == contents(outs[1]) == contents(outs[2])


@EACH
@given(energies(), energies(), st.permutations(range(len(POINTS))))
@settings(max_examples=8, deadline=None)
def test_points_that_are_settled_in_another_order_pay_the_same_up_to_the_units_left_over(
    market: Market, import_wh: Grid, export_wh: Grid, order: list[int]
) -> None:
    """Of equal remainders the lower row has the unit, so a folder's points are sorted by name when it is read; no other unit moves."""

    def paid(places: list[int]) -> tuple[dict[str, int], int]:
        points = [POINTS[place] for place in places]
        dataset = market.dataset(import_wh[:, places], export_wh[:, places], points)
        nano: dict[str, int] = defaultdict(int)
        for run in market.runs(dataset):
            for place, amount in zip(run.rows.tolist(), run.columns["pays_nano"].tolist(), strict=True):
                nano[points[place].point] += amount
        return nano, sum(nano.values())

    (as_read, total), (shuffled, total_again) = paid(list(range(len(POINTS)))), paid(order)
    assert total == total_again
    # in a slot, a unit of nano of what is paid and of what is earned, and a Wh of the shared energy bought and sold
    most_nano = len(import_wh) * 2 * (market.left_over_nano + market.wh_nano)
    assert all(abs(as_read[point.point] - shuffled[point.point]) <= most_nano for point in POINTS)


@EACH_COMMUNITY
@given(st.lists(st.integers(1, 10**6), min_size=4, max_size=4), st.integers(0, 10**6), st.integers(0, 4 * 10**6))
@settings(max_examples=8, deadline=None)
def test_a_party_with_two_meters_pays_what_it_paid_with_one_up_to_the_units_left_over(
    tmp_path_factory: Factory, market: Market, takes: list[int], second: int, surplus: int
) -> None:
    """Not where points trade: an agreement names one meter and takes no more than that one has; what an order got is given to meters by the ledger."""

    def paid(imports: list[int], points: list[PointRow]) -> int:
        out = tmp_path_factory.mktemp("out")
        made = [*([0] * len(imports)), surplus]
        dataset = market.dataset(np.array([[*imports, 0]]), np.array([made]), [*points, PointRow("Z9", "PV", "A1")])
        write_results(out, dataset, market.runs(dataset), tariffs_of(dataset))
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
