"""Files of a settled folder: row by row what the demonstration's way of reading the same runs gives, in the same order and root."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcore import cbor, merkle
from gridcore.errors import GridError
from gridledger.demo.run_sums import RunSums, read_run
from gridledger.settling.chain import read_runs, settled_ledger, tariffs_of_ledger
from gridledger.settling.dataset import Dataset, InvoiceTerms, PointRow
from gridledger.settling.results import Results, write_results
from gridledger.settling.results.party_lines import exact_sums
from gridledger.settling.run_columns import RunColumns
from gridledger.tables.results import results_root
from ledger.contract import Billed, SlotRows
from settlement import statements
from settlement.catalogue import CONTRACTS
from settlement.invoicing.total import invoice_total
from settlement.tariffs.reading import components_of
from tests.independent import results_root as independent
from tests.unit.settling.settled_folder import SLOT_S, Grid, dataset_of, runs_of, tariffs_of
from tests.worlds.datasets import auction, community

POINTS = [
    PointRow("Z1", "P-2", "A1"),
    PointRow("Z2", "P-1", "A1"),
    PointRow("Z3", "P-2", "A2"),
    PointRow("Z4", "P-2", "A1"),
    PointRow("Z5", "电", "A2"),
]
SLOTS = 8
TARIFF: list[dict[str, Any]] = [
    {"name": "a_day", "account": "grid", "base": "day", "price_micro_per_day": 300_000},
    {"name": "funds", "account": "levy", "base": "import", "price_micro_per_kwh": 29_000, "taxed": False},
    {"name": "bonus", "account": "grid", "base": "percent", "share_ppm": -7_500, "of": ["levy", "a_day"]},
]
Row = tuple[int | str, ...]


def energies(count: int = SLOTS) -> st.SearchStrategy[Grid]:
    row = st.lists(st.sampled_from([0, 0, 1, 333, 5_000]), min_size=len(POINTS), max_size=len(POINTS))
    return st.lists(row, min_size=count, max_size=count).map(lambda rows: np.array(rows, dtype=np.int64))


def as_the_node_says(dataset: Dataset, run: RunColumns) -> RunSums:
    """A run as statements read it, without columns over many slots."""
    contract = CONTRACTS[run.contract_id]
    none = np.zeros(run.rows.size, dtype=np.int64)
    imported, exported, bought, sold = (
        run.columns[name] for name in ("import_wh", "export_wh", "bought_wh", "sold_wh")
    )
    lines = contract.lines(
        SlotRows(none, imported, exported, bought, sold, run.tariffs, {}),
        {name: run.columns[name] for name in contract.position_columns},
        trade_prices_micro_per_kwh=[run.trade_price_micro_per_kwh],
        terms=[run.terms],
    )
    billed = [Billed(dataset.points[at].party, dataset.points[at].point) for at in run.rows]
    postings = statements.postings(lines, billed)
    return read_run(
        {
            "lines": [line._asdict() for line in statements.lines(lines, billed)],
            "postings": [posting._asdict() for posting in (*postings.parties, *postings.accounts)],
        }
    )


def slow_rows(dataset: Dataset, runs: Iterable[RunColumns]) -> tuple[list[Row], list[Row]]:
    """Rows of statements.csv and postings.csv as the demonstration makes them."""
    said: dict[tuple[int, str], RunSums] = defaultdict(RunSums)
    before: dict[tuple[int, str], RunSums] = defaultdict(RunSums)
    for run in runs:
        where = (run.slot_start_s, run.area)
        now = as_the_node_says(dataset, run)
        said[run.slot_start_s, run.run].add(now.less(before[where]))
        before[where] = now
    lines = [row for (slot, run), sums in said.items() for row in sums.statements(slot, run)]
    postings = [row for (slot, run), sums in said.items() for row in sums.postings(slot, run)]
    return ascending(lines), ascending(postings)


def ascending(rows: Iterable[Row]) -> list[Row]:
    """Rows in the order of docs/spec/results_root.md: numbers by value, an empty field before them, texts by their bytes."""
    return sorted(
        (tuple(row) for row in rows),
        key=lambda row: [(value != "", value.encode() if isinstance(value, str) else value) for value in row],
    )


def read(path: Path) -> list[Row]:
    rows = list(csv.reader(path.read_text("utf-8").splitlines()))[1:]
    return [tuple(int(item) if item.lstrip("-").isdigit() else item for item in row) for row in rows]


def root(rows: Sequence[Row]) -> bytes:
    return merkle.root(cbor.encode(list(row)) for row in rows)


@given(energies(), energies(), energies(3), st.lists(st.integers(0, SLOTS - 1), min_size=3, max_size=3, unique=True))
@settings(max_examples=30, deadline=None)
def test_files_by_columns_are_what_the_demonstration_writes_row_by_row(
    tmp_path_factory: pytest.TempPathFactory, import_wh: Grid, export_wh: Grid, read_later: Grid, slots: list[int]
) -> None:
    out = tmp_path_factory.mktemp("out")
    dataset = dataset_of(import_wh, export_wh, POINTS)
    newer = import_wh.copy()
    newer[slots] = read_later
    runs = [
        *runs_of(dataset),
        *runs_of(dataset, "correction-1", slots[:2], import_wh=newer),
        *runs_of(dataset, "correction-2", slots[1:], import_wh=newer * 2),
    ]
    results = write_results(out, dataset, runs, tariffs_of(dataset))
    lines, postings = slow_rows(dataset, runs)
    assert read(out / "statements.csv") == lines
    assert read(out / "postings.csv") == postings
    assert results.results_root == results_root({"statements.csv": root(lines), "postings.csv": root(postings)})
    assert (results.statements, results.postings, results.postings_sum_nano) == (len(lines), len(postings), 0)


def settled(out: Path, tables: list[dict[str, Any]], tax_ppm: int = 130_000) -> tuple[Dataset, Results]:
    """Six days over the end of June, and a correction of two slots of the first day."""
    rng = np.random.default_rng(7)
    slots = 6 * 96
    import_wh, export_wh = (rng.integers(0, 4_000, (slots, len(POINTS))) for _ in range(2))
    tariff = components_of(tables, [kind.kind for kind in CONTRACTS["mid_market_rate/1"].line_kinds])
    dataset = dataset_of(import_wh, export_wh, POINTS, tariff=tariff, invoice=InvoiceTerms(tax_ppm=tax_ppm))
    corrected = runs_of(dataset, "correction-1", [5, 9], import_wh=import_wh + 777)
    return dataset, write_results(out, dataset, [*runs_of(dataset), *corrected], tariffs_of(dataset))


def test_invoices_and_credit_notes_sum_to_what_the_statements_say(tmp_path: Path) -> None:
    dataset, results = settled(tmp_path, TARIFF)
    exact: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    zone = ZoneInfo(dataset.timezone)
    for _, party, slot, kind, _, _, nano, _ in read(tmp_path / "statements.csv"):
        month = datetime.fromtimestamp(int(slot), zone).strftime("%Y-%m")
        exact[str(party), month][str(kind)] += int(nano)
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in read(tmp_path / "invoices.csv"):
        found[str(row[0]), str(row[1])].append(row)
    assert found.keys() == exact.keys()
    assert results.documents == sum(map(len, found.values()))
    for key, of_kind in exact.items():
        rates_ppm = [None if kind == "funds" else 130_000 for kind in of_kind]
        whole = invoice_total(list(of_kind.values()), rates_ppm, 10_000_000, "half_up_away")
        sums = [sum(int(row[at]) for row in found[key]) for at in (3, 4, 5, 6)]
        assert sums == [whole.net, whole.tax, whole.gross, whole.rounding_nano]
        assert len(found[key]) == (2 if key[1] == "2026-06" else 1)  # the correction is of June


def test_entries_for_a_bookkeeper_come_to_the_gross_of_every_party(tmp_path: Path) -> None:
    settled(tmp_path, TARIFF)
    owed: dict[str, int] = defaultdict(int)
    ids: list[str] = []
    for entry, when, _, _, debit, credit, nano in read(tmp_path / "general_ledger.csv"):
        owed[str(debit)] += int(nano)
        owed[str(credit)] -= int(nano)
        ids.append(str(entry))
        assert int(nano) > 0
        assert date.fromisoformat(str(when)) >= date(2026, 6, 27)
    gross: dict[str, int] = defaultdict(int)
    for party, _, _, _, _, total, _ in read(tmp_path / "invoices.csv"):
        gross[str(party)] += int(total) * 10_000_000
    assert {party: owed[party] for party in gross} == gross
    assert sum(owed.values()) == 0
    assert len(ids) == len(set(ids))


def test_a_component_stands_at_the_first_slot_of_its_month_and_is_posted_there(tmp_path: Path) -> None:
    dataset, _ = settled(tmp_path, TARIFF)
    rows = [row for row in read(tmp_path / "statements.csv") if row[3] == "a_day"]
    first_s = int(dataset.slot_start_s[0])
    july_s = first_s + 4 * 96 * SLOT_S  # 27 to 30 June, then July
    assert [(row[0], row[1], row[2], row[4], row[5], row[6]) for row in rows] == [
        ("initial", party, slot, 0, "", nano)
        for party in ("P-1", "P-2", "电")
        for slot, nano in ((first_s, 1_200_000_000), (july_s, 600_000_000))
    ]
    posted = [row for row in read(tmp_path / "postings.csv") if row[1] == "grid"]
    assert {(row[0], row[4]) for row in posted} == {
        (first_s, "initial"),
        (july_s, "initial"),
        (first_s, "correction-1"),
    }


def test_a_tariff_whose_account_is_a_party_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    tables = [{"name": "a_day", "account": "P-1", "base": "day", "price_micro_per_day": 1}]
    with pytest.raises(GridError, match="P-1 is both a party and an account"):
        settled(tmp_path, tables)
    assert list(tmp_path.iterdir()) == []


def test_the_sample_is_the_largest_line_of_a_slot_that_no_later_run_changed(tmp_path: Path) -> None:
    _, results = settled(tmp_path, TARIFF)
    rows = read(tmp_path / "statements.csv")
    changed = {row[2] for row in rows if row[0] != "initial"}
    fits = [
        row
        for row in rows
        if row[0] == "initial" and row[2] not in changed and row[3] not in ("a_day", "funds", "bonus")
    ]
    largest = max(fits, key=lambda row: abs(int(row[6])))
    assert results.sample is not None
    found = [
        row for row in fits if row[1:4] == (results.sample.party, results.sample.slot_start_s, results.sample.line_kind)
    ]
    assert [abs(int(row[6])) for row in found] == [abs(int(largest[6]))]


def test_the_independent_script_finds_the_same_root_and_order(tmp_path: Path) -> None:
    nothing = np.zeros((8, len(POINTS)), dtype=np.int64)
    dataset = dataset_of(nothing + 40, nothing + 30, POINTS)
    results = write_results(
        tmp_path,
        dataset,
        [*runs_of(dataset), *runs_of(dataset, "correction-1", [2], import_wh=nothing)],
        tariffs_of(dataset),
    )
    assert independent.main([str(tmp_path), results.results_root.hex()]) == 0


def test_a_charge_beyond_64_bits_is_one_line(tmp_path: Path) -> None:
    tables = [{"name": "dear", "account": "grid", "base": "import", "price_micro_per_kwh": 10**12}]
    energy_wh = np.full((4, len(POINTS)), 10**7)
    tariff = components_of(tables, ["levy"])
    dataset = dataset_of(energy_wh, energy_wh * 0, POINTS, tariff=tariff)
    with pytest.raises(GridError, match=r"results cannot be written: dear is outside the signed 64-bit range"):
        write_results(tmp_path, dataset, runs_of(dataset), tariffs_of(dataset))


def test_a_folder_without_energy_has_no_sample(tmp_path: Path) -> None:
    nothing = np.zeros((4, len(POINTS)), dtype=np.int64)
    dataset = dataset_of(nothing, nothing, POINTS)
    assert write_results(tmp_path, dataset, runs_of(dataset), tariffs_of(dataset)).sample is None
    assert (tmp_path / "invoices.csv").read_text("utf-8") == "party,month,currency,net,tax,gross,rounding\n"


def test_runs_are_corrected_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    import_wh = np.full((4, len(POINTS)), 900)
    dataset = dataset_of(import_wh, np.zeros((4, len(POINTS)), dtype=np.int64), POINTS)
    energies = [import_wh + 100 * number for number in range(12)]
    runs = list(runs_of(dataset))
    for number in (10, 2, 1, 9, 3, 4, 5, 6, 7, 8, 11):  # as they may be found, slot by slot
        runs += runs_of(dataset, f"correction-{number}", [number % 4], import_wh=energies[number])
    write_results(tmp_path, dataset, runs, tariffs_of(dataset))
    lines, _ = slow_rows(
        dataset, sorted(runs, key=lambda run: (run.run != "initial", int(run.run.partition("-")[2] or 0)))
    )
    assert read(tmp_path / "statements.csv") == lines


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=30), st.data())
def test_sums_of_months_and_days_are_exact_where_int64_would_wrap(values: list[int], data: st.DataObject) -> None:
    starts = sorted({0, *data.draw(st.lists(st.integers(0, len(values) - 1), max_size=4))})
    sums = exact_sums(np.array([values, values], dtype=np.int64), np.array(starts))
    ends = [*starts[1:], len(values)]
    expected = [sum(values[start:end]) for start, end in zip(starts, ends, strict=True)]
    assert sums.tolist() == [expected, expected]


@pytest.mark.parametrize("dataset", [community(6, 7, areas=2), auction(6, 4)], ids=["mid-market", "auction"])
def test_files_of_a_ledger_are_what_its_runs_say_row_by_row(tmp_path: Path, dataset: Dataset) -> None:
    with settled_ledger(dataset, tmp_path) as ledger:
        runs = list(read_runs(ledger, dataset))
        results = write_results(tmp_path, dataset, read_runs(ledger, dataset), tariffs_of_ledger(ledger, dataset))
    lines, postings = slow_rows(dataset, runs)
    assert len(lines) > 50
    assert read(tmp_path / "statements.csv") == lines
    assert read(tmp_path / "postings.csv") == postings
    assert results.results_root == results_root({"statements.csv": root(lines), "postings.csv": root(postings)})
    has_trades = dataset.rules.contract == "p2p_call_auction/1"
    assert results.sample is not None
    assert results.sample.line_kind.startswith("trade_") == has_trades
