"""What suppliers, offtakers and grid operators receive by day and month: line by line what a slow count gives, and with everybody the account's receipt."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gridcore.master_data import Named
from gridcore.registry.point import POINT, Point
from gridcore.registry.row import Row
from gridledger.cli import main
from gridledger.settling.dataset import Dataset, PointRow
from gridledger.settling.partners import Partners
from gridledger.settling.results.billing import Billing
from gridledger.settling.results.market_partners import OfDay, received
from gridledger.settling.results.party_lines import Signed
from gridledger.settling.results.writing import write_documents
from gridledger.settling.run_columns import RunColumns
from ledger.contract import SlotRows
from settlement.catalogue import CONTRACTS
from settlement.tariffs.reading import components_of
from tests.unit.settling.settled_folder import FIRST_S, SLOT_S, Grid, dataset_of, runs_of, tariffs_of
from tests.worlds.consortium import FIRST_S as FIRST_OF_NODE_S
from tests.worlds.ledgers import decide, ledger_with
from tests.worlds.tariffed import MONTH, first_slots, late_reading, with_more

ACCOUNTS = ("network", "offtaker", "supplier")
NAMED = [Partners(), Partners("north", "east", "dso"), Partners("south", "", "dso"), Partners("", "north", "other")]
POINTS = [
    PointRow("Z1", "P-2", "A1"),
    PointRow("Z2", "P-1", "A1"),
    PointRow("Z3", "P-2", "A2"),
    PointRow("Z4", "P-2", "A1"),
]
SLOTS = 6
HOURS_BEFORE_MIDNIGHT = 3
"""The slots lie around a local midnight."""
TARIFF = [
    {"name": "stay", "account": "supplier", "base": "day", "price_micro_per_day": 300_000},
    {
        "name": "sold",
        "account": "supplier",
        "base": "import",
        "price_micro_per_kwh": -100_003,
        "windows": [["00:00", "23:30"]],
    },
    {"name": "funds", "account": "levy", "base": "import", "price_micro_per_kwh": 29_000},
]
Received = dict[tuple[str, str, str, str, str], int]
"""By run, local day, kind, account and partner."""


def rows(out: Path, name: str) -> list[dict[str, str]]:
    with (out / name).open(newline="") as file:
        return list(csv.DictReader(file))


# ------------------------------------------------------------------------------------------------- the slow reference


def day_of(slot_start_s: int) -> str:
    return datetime.fromtimestamp(slot_start_s, ZoneInfo("Asia/Shanghai")).date().isoformat()


def of_one_run(run: RunColumns) -> dict[tuple[str, str], int]:
    """What a run of a slot brings everybody, by account and name."""
    contract = CONTRACTS[run.contract_id]
    none = np.zeros(run.rows.size, dtype=np.int64)
    imported, exported, bought, sold = (
        run.columns[name] for name in ("import_wh", "export_wh", "bought_wh", "sold_wh")
    )
    lines = contract.lines(
        SlotRows(none, imported, exported, bought, sold, run.tariffs, {}),
        {name: run.columns[name] for name in contract.position_columns},
        trade_prices_micro_per_kwh=[None],
        terms=[run.terms],
    )
    assert run.partners is not None
    found: dict[tuple[str, str], int] = defaultdict(int)
    for line in lines:
        for amount_nano, place in zip(line.amount_nano.tolist(), run.partners.tolist(), strict=True):
            supplier, offtaker, grid_operator = NAMED[place]
            behind = {"supplier": supplier, "offtaker": offtaker, "network": grid_operator}
            if line.account in behind:
                found[line.account, behind[line.account] or f"{line.account}/unassigned"] += amount_nano
    return found


def slow_count(runs: Iterable[RunColumns]) -> Received:
    """Slot by slot, each run less the one before it."""
    found: Received = defaultdict(int)
    before: Mapping[tuple[int, str], dict[tuple[str, str], int]] = defaultdict(dict)
    for run in runs:
        now, earlier = of_one_run(run), before[run.slot_start_s, run.area]
        for account, name in {*now, *earlier}:
            nano = now.get((account, name), 0) - earlier.get((account, name), 0)
            found[run.run, day_of(run.slot_start_s), "day", account, name] += nano
        before[run.slot_start_s, run.area].clear()
        before[run.slot_start_s, run.area].update(now)
    return {key: nano for key, nano in found.items() if nano}


def slow_charges(dataset: Dataset, runs: Iterable[RunColumns]) -> dict[tuple[str, str, str], int]:
    """What partners get of both charges to the account supplier, point by point: each run less the one before it."""
    known: dict[tuple[int, int], tuple[int, str]] = {}  # energy and supplier of each slot and point by the last run
    found: dict[tuple[str, str, str], int] = defaultdict(int)
    before: dict[tuple[str, str], int] = {}
    by_run: dict[str, list[RunColumns]] = defaultdict(list)
    for run in runs:
        by_run[run.run].append(run)
    for name, of_run in by_run.items():
        for run in of_run:
            assert run.partners is not None
            for row, wh, place in zip(
                run.rows.tolist(), run.columns["import_wh"].tolist(), run.partners.tolist(), strict=True
            ):
                known[run.slot_start_s, row] = wh, NAMED[place].supplier or "supplier/unassigned"
        now = state_of_charges(dataset, known)
        for day, partner in {*now, *before}:
            found[name, day, partner] += now.get((day, partner), 0) - before.get((day, partner), 0)
        before = now
    return {key: nano for key, nano in found.items() if nano}


def state_of_charges(dataset: Dataset, known: Mapping[tuple[int, int], tuple[int, str]]) -> dict[tuple[str, str], int]:
    """By the first day of the month and the partner: a day's price by slots of points, energy before 23:30 by Wh."""
    found: dict[tuple[str, str], int] = defaultdict(int)
    starts = dataset.slot_start_s.tolist()
    for party in {point.party for point in dataset.points}:
        own = [row for row, point in enumerate(dataset.points) if point.party == party]
        for month in {day_of(start_s)[:7] for start_s in starts}:
            cells = [
                (start_s, *known[start_s, row]) for start_s in starts for row in own if day_of(start_s)[:7] == month
            ]
            days = sorted({day_of(start_s) for start_s, _, _ in cells})
            early = [
                one
                for one in cells
                if datetime.fromtimestamp(one[0], ZoneInfo("Asia/Shanghai")).strftime("%H:%M") < "23:30"
            ]
            by_time = share_out(len(days) * 300_000_000, [(who, 1) for _, _, who in cells])
            by_energy = share_out(-100_003 * sum(wh for _, wh, _ in early), [(who, wh) for _, wh, who in early])
            for part in (by_time, by_energy):
                for who, nano in part.items():
                    found[days[0], who] += nano
    return found


def share_out(nano: int, weighted: Sequence[tuple[str, int]]) -> dict[str, int]:
    """An amount by weights, in the order of names: up to each of them the exact share of all so far, rounded down."""
    total, so_far, given, found = sum(weight for _, weight in weighted), 0, 0, {}
    for who in sorted({who for who, _ in weighted}):
        so_far += sum(weight for name, weight in weighted if name == who)
        found[who] = (nano * so_far // total if total else 0) - given
        given += found[who]
    return found


# ------------------------------------------------------------------------------------------------------ of a folder


def around_midnight(import_wh: Grid, export_wh: Grid) -> Dataset:
    kinds = [kind.kind for kind in CONTRACTS["mid_market_rate/1"].line_kinds]
    dataset = dataset_of(import_wh, export_wh, POINTS, tariff=components_of(TARIFF, kinds))
    first_s = FIRST_S + 4 * 86_400 - HOURS_BEFORE_MIDNIGHT * SLOT_S  # 30 June 2026: the month ends there too
    return dataset._replace(slot_start_s=first_s + SLOT_S * np.arange(len(import_wh)))


def with_partners(runs: Iterable[RunColumns], dataset: Dataset, named: Grid) -> list[RunColumns]:
    """named: int64[slots, points], places in ``NAMED``."""
    first_s = int(dataset.slot_start_s[0])
    return [
        run._replace(partners=named[(run.slot_start_s - first_s) // SLOT_S, run.rows].astype(np.int32)) for run in runs
    ]


def grids(values: Sequence[int]) -> st.SearchStrategy[Grid]:
    row = st.lists(st.sampled_from(values), min_size=len(POINTS), max_size=len(POINTS))
    return st.lists(row, min_size=SLOTS, max_size=SLOTS).map(lambda rows: np.array(rows, dtype=np.int64))


ENERGIES = grids([0, 0, 1, 333, 5_000])
NAMES = grids(range(len(NAMED)))


@given(ENERGIES, ENERGIES, ENERGIES, NAMES, NAMES, st.sets(st.integers(0, SLOTS - 1), min_size=1))
@settings(max_examples=20, deadline=None)
def test_whom_points_name_in_each_slot_and_run_receives_what_a_slow_count_gives_and_all_together_what_the_account_does(
    tmp_path_factory: pytest.TempPathFactory,
    import_wh: Grid,
    export_wh: Grid,
    read_later: Grid,
    names: Grid,
    names_later: Grid,
    slots: set[int],
) -> None:
    out = tmp_path_factory.mktemp("out")
    dataset = around_midnight(import_wh, export_wh)
    again = sorted(slots)
    corrections = [
        *runs_of(dataset, "correction-1", again, import_wh=read_later),
        *runs_of(dataset, "correction-2", again[:1], export_wh=read_later),
    ]
    runs = [*with_partners(runs_of(dataset), dataset, names), *with_partners(corrections, dataset, names_later)]
    write_documents(out, Billing(dataset, runs, tariffs_of(dataset), NAMED))
    said = rows(out, "partners.csv")
    lines = {
        (row["run"], row["date"], row["kind"], row["account"], row["partner"]): int(row["received_nano"])
        for row in said
        if row["kind"] == "day"
    }
    assert lines == slow_count(runs)
    charged = {
        (row["run"], row["date"], row["partner"]): int(row["received_nano"]) for row in said if row["kind"] == "charge"
    }
    assert charged == slow_charges(dataset, runs)
    assert_is_the_receipt_of_accounts(out, "Asia/Shanghai")
    for row in said:
        assert row["entry"] == "/".join(row[key] for key in ("run", "date", "account", "partner", "kind"))
    assert said == sorted(said, key=lambda row: (row["date"], row["entry"]))


def assert_is_the_receipt_of_accounts(out: Path, timezone: str) -> None:
    """By run and local day in partners.csv as in postings.csv; by month all runs together."""
    partners: dict[tuple[str, str, str], int] = defaultdict(int)
    for row in rows(out, "partners.csv"):
        partners[row["run"], row["date"], row["account"]] += int(row["received_nano"])
    posted: dict[tuple[str, str, str], int] = defaultdict(int)
    for row in rows(out, "postings.csv"):
        if row["account"] in ACCOUNTS:
            day = datetime.fromtimestamp(int(row["slot_start_s"]), ZoneInfo(timezone)).date().isoformat()
            posted[row["run"], day, row["account"]] += int(row["credit_nano"]) - int(row["debit_nano"])
    assert {key: nano for key, nano in partners.items() if nano} == {key: nano for key, nano in posted.items() if nano}
    months: dict[tuple[str, str, str], int] = defaultdict(int)
    for row in rows(out, "partners.csv"):
        months[row["date"][:7], row["account"], row["partner"]] += int(row["received_nano"])
    assert {
        (row["month"], row["account"], row["partner"]): int(row["received_nano"])
        for row in rows(out, "partner_months.csv")
    } == {key: nano for key, nano in months.items() if nano}


class OneLine(NamedTuple):
    kind: str
    account: str
    energy_wh: NDArray[np.int64]
    price_micro_per_kwh: int | None
    amount_nano: NDArray[np.int64]


@pytest.mark.parametrize("swap", [False, True])
def test_a_charge_of_a_party_whose_points_name_one_partner_is_all_of_this_partner(tmp_path: Path, swap: bool) -> None:
    """Everybody names the same supplier in all slots, or a correction of one slot sees another one there: one slot of nine of P-2's July."""
    energies = np.full((SLOTS, len(POINTS)), 1_000)
    dataset = around_midnight(energies, 0 * energies)
    names = np.full((SLOTS, len(POINTS)), 1)
    runs = with_partners(runs_of(dataset), dataset, names)
    if swap:
        later = names.copy()
        later[SLOTS - 1, 0] = 2
        runs += with_partners(runs_of(dataset, "correction-1", [SLOTS - 1]), dataset, later)
    write_documents(tmp_path, Billing(dataset, runs, tariffs_of(dataset), NAMED))
    found = {
        (row["run"], row["date"], row["partner"]): int(row["received_nano"])
        for row in rows(tmp_path, "partners.csv")
        if row["kind"] == "charge"
    }
    initial = {(run, day): nano for (run, day, name), nano in found.items() if run == "initial" and name == "north"}
    assert len(initial) == 2
    assert {name for run, _, name in found if run == "initial"} == {"north"}
    assert {(run, day, name) for run, day, name in found if run != "initial"} == (
        {("correction-1", "2026-07-01", "north"), ("correction-1", "2026-07-01", "south")} if swap else set()
    )
    if swap:
        moved = found["correction-1", "2026-07-01", "south"]
        assert moved == -found["correction-1", "2026-07-01", "north"]
        assert (
            moved == 300_000_000 - 300_000_000 * 8 // 9 - 1_000 * 100_003
        )  # a ninth of the day's price; 1 kWh of the energy


def test_amounts_that_no_64_bits_hold_together_are_added_up_exactly() -> None:
    most = 2**62
    line = OneLine("residual_import", "supplier", np.ones(6, dtype=np.int64), 1, np.full(6, most))
    of_rows = np.array([0, 1, 1, 1, 1, 2], dtype=np.int32)
    day = np.array([7, 7, 8], dtype=np.int64)
    assert received([Signed(1, [line], of_rows)], day, NAMED) == {
        OfDay(7, "supplier", "supplier/unassigned"): most,
        OfDay(7, "supplier", "north"): 3 * most,
        OfDay(8, "supplier", "north"): most,
        OfDay(8, "supplier", "south"): most,
        OfDay(7, "supplier", "south"): 0,
        OfDay(8, "supplier", "supplier/unassigned"): 0,
    }


# ------------------------------------------------------------------------------------------------- of a metered ledger


def named(point: str, party: str, from_s: int, supplier: str, grid_operator: str | None = None) -> Named[Point]:
    record = Point("a-1", "household", party, supplier=supplier, grid_operator=grid_operator)
    return Named(POINT, point, record, from_s)


def row_of(one: Named[Point]) -> Row:
    (row,) = one.rows()
    return row


def receipts(out: Path, run: str) -> dict[tuple[str, str], int]:
    """By account and partner, of the contract's lines of a run."""
    return {
        (row["account"], row["partner"]): int(row["received_nano"])
        for row in rows(out, "partners.csv")
        if row["run"] == run and row["kind"] == "day"
    }


def test_a_supplier_that_changes_between_two_slots_receives_its_own_slots(tmp_path: Path) -> None:
    """p-1 takes 1000 Wh a slot: two slots are north's, two south's; nobody is named for p-2's points."""
    world = with_more(
        named("P-1", "p-1", FIRST_OF_NODE_S, supplier="north", grid_operator="dso"),
        named("P-1", "p-1", FIRST_OF_NODE_S + 2 * SLOT_S, supplier="south", grid_operator="dso"),
    )
    data, out, sender = tmp_path / "ledger", tmp_path / "out", world.sender()
    with ledger_with(data, world, first_slots(sender)):
        pass
    assert main(["settle", "documents", "--data", str(data), "--month", MONTH, "--out", str(out)]) == 0
    found = receipts(out, "initial")
    assert found["supplier", "north"] == found["supplier", "south"] == 2 * 1_000 * 460_000
    assert found["supplier", "supplier/unassigned"] == 4 * 200 * 460_000
    assert found["network", "dso"] == 4 * 1_000 * 180_000
    assert_is_the_receipt_of_accounts(out, "Asia/Shanghai")


def test_a_run_that_sees_another_supplier_takes_back_what_the_earlier_one_was_given(tmp_path: Path) -> None:
    """South is named for the second slot after it was settled; a late reading of another meter settles slots again."""
    world = with_more(named("P-1", "p-1", FIRST_OF_NODE_S, supplier="north"))
    data, out, sender = tmp_path / "ledger", tmp_path / "out", world.sender()
    with ledger_with(data, world, first_slots(sender)) as ledger:
        changed = named("P-1", "p-1", FIRST_OF_NODE_S + SLOT_S, supplier="south")
        for wires in [[sender.register([row_of(changed)])], *late_reading(sender, 700)]:
            assert decide(ledger, wires) == [0]
    assert main(["settle", "documents", "--data", str(data), "--month", MONTH, "--out", str(out)]) == 0
    assert receipts(out, "initial")["supplier", "north"] == 4 * 1_000 * 460_000
    correction = receipts(out, "correction-1")
    slots_again = correction["supplier", "south"] // (1_000 * 460_000)
    assert slots_again >= 1
    assert correction["supplier", "north"] == -correction["supplier", "south"] == -slots_again * 1_000 * 460_000
    months = {(row["account"], row["partner"]): int(row["received_nano"]) for row in rows(out, "partner_months.csv")}
    assert months["supplier", "north"] == (4 - slots_again) * 1_000 * 460_000
    assert_is_the_receipt_of_accounts(out, "Asia/Shanghai")


@pytest.mark.parametrize("name", ["partners.csv", "partner_months.csv"])
def test_what_partners_receive_is_computed_again_and_a_changed_row_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    world = with_more(named("P-1", "p-1", FIRST_OF_NODE_S, supplier="north", grid_operator="dso"))
    data, out, sender = tmp_path / "ledger", tmp_path / "out", world.sender()
    with ledger_with(data, world, [*first_slots(sender), *late_reading(sender, 700)]):
        pass
    assert main(["settle", "documents", "--data", str(data), "--month", MONTH, "--out", str(out)]) == 0
    replay = ["settle", "replay", "--data", str(data), "--documents", str(out)]
    assert main(replay) == 0
    whole = (out / name).read_text()
    assert "north" in whole
    (out / name).write_text(whole.replace("north", "south"))
    capsys.readouterr()
    assert main(replay) == 1
    assert f"NOT THE SAME: {name}, row " in capsys.readouterr().out
