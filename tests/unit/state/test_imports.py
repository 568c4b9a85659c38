"""Imported energies, on the ledger and on the slow twin, which must come to the same state (``Desk.apply``)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcore import cbor
from gridcore.codes import Code
from gridcore.quality import CORRECTED, ESTIMATED, MEASURED, MISSING
from gridcore.sm3 import sm3
from gridcore.transactions.interval_import import FILES_MAX, ROWS_MAX, SLOTS_MAX, ImportedFile
from ledger.leaves.intervals import (
    DAY_S,
    INTERVALS,
    IntervalsLeaf,
    day_of_slot,
    intervals_of_slot,
    narrow_intervals,
)
from ledger.state import intervals
from tests.simulation.desk import ANNA, BERT, SLOT, START, Desk, two_meters
from tests.twin.twin import Twin
from tests.worlds.consortium import load
from tests.worlds.keys import is_cheaply_signed, sign_cheaply
from tests.worlds.ledgers import MemoryLedger
from tests.worlds.transactions import Sender

ABSENT = (0xFF, 0, 0)
LIMIT_WH = 5_000
Row = tuple[int, int, int]


@pytest.fixture
def desk() -> Desk:
    """A chain of imported data whose first slot is over."""
    desk = Desk(modulus_wh=0, clock="imported")
    desk.wait_until(START + SLOT)
    return desk


def imported(desk: Desk, *slots: list[Row], first_s: int = START, **changes: Any) -> int:
    """The code of an import of Anna's and Bert's energies of slots from ``first_s`` on."""
    return desk.apply(desk.sender.intervals("gw", first_s, [ANNA, BERT], slots, **changes))[0]


def position(desk: Desk, run: str = "initial", slot_s: int = START) -> tuple[list[int], list[int], list[int]]:
    """Quality, import and export of Anna and Bert in a run."""
    leaf = desk.twin.leaves[f"positions/{slot_s}/Z/{run}/0"]
    return list(leaf["quality"]), leaf["columns"]["import_wh"], leaf["columns"]["export_wh"]


def test_imported_energies_are_settled_and_show_no_registers(desk: Desk) -> None:
    assert imported(desk, [(MEASURED, 800, 0), (ESTIMATED, 0, 500)]) == 0
    desk.wait_until(START + 4 * SLOT)
    assert position(desk) == ([MEASURED, ESTIMATED], [800, 0], [0, 500])
    columns = desk.twin.leaves[f"positions/{START}/Z/initial/0"]["columns"]
    registers = ("start_import", "end_import", "start_export", "end_export")
    assert [columns[name] for name in registers] == [[-1, -1]] * 4


def test_what_is_missing_is_zero_and_marked(desk: Desk) -> None:
    assert imported(desk, [(MISSING, 0, 0), (MEASURED, 0, 7)]) == 0
    desk.wait_until(START + 4 * SLOT)
    assert position(desk) == ([MISSING, MEASURED], [0, 0], [0, 7])


def test_a_later_import_supersedes_and_is_a_correction_run(desk: Desk) -> None:
    assert imported(desk, [(MEASURED, 800, 0), (MEASURED, 0, 500)]) == 0
    desk.wait_until(START + 4 * SLOT)
    assert imported(desk, [(CORRECTED, 900, 0), ABSENT]) == 0
    assert position(desk, "correction-1") == ([CORRECTED, MEASURED], [900, 0], [0, 500])
    assert imported(desk, [(CORRECTED, 900, 0), ABSENT]) == Code.EXISTS
    assert imported(desk, [(CORRECTED, 900, 0), (MEASURED, 0, 500)]) == 0
    runs = desk.twin.leaves[f"runs/{START}/Z"]["runs"]
    assert [name for name, _ in runs] == ["initial", "correction-1"]


def test_the_salts_of_a_run_follow_from_the_importers_seed(desk: Desk) -> None:
    assert imported(desk, [(MEASURED, 1, 0), (MEASURED, 1, 0)]) == 0
    leaf = INTERVALS.must(desk.ledger.state, day_of_slot(START), "Z", 0)
    assert leaf.seed != bytes(32)
    assert len(leaf.imports) == 1


def test_an_import_over_midnight_goes_into_both_days(desk: Desk) -> None:
    midnight_s = day_of_slot(START) + DAY_S
    desk.wait_until(midnight_s + 2 * SLOT)
    assert imported(desk, [(0, 1, 0), (0, 2, 0)], [(0, 3, 0), (0, 4, 0)], first_s=midnight_s - SLOT) == 0
    days = [INTERVALS.must(desk.ledger.state, day_s, "Z", 0) for day_s in (midnight_s - DAY_S, midnight_s)]
    assert (days[0].import_wh[-1].tolist(), days[1].import_wh[0].tolist()) == ([1, 2], [3, 4])


@pytest.mark.parametrize(
    "rows",
    [
        [(MEASURED, LIMIT_WH + 1, 0), (MEASURED, 0, 0)],
        [(MEASURED, 0, 0), (MEASURED, 0, LIMIT_WH + 1)],
        [(MISSING, LIMIT_WH + 1, 0), (MEASURED, 0, 0)],
        [(3, 0, 0), (MEASURED, 0, 0)],
        [(0x10, 0, 0), (MEASURED, 0, 0)],
        [(0xFF, 0, 1), (MEASURED, 0, 0)],
    ],
)
def test_a_row_that_cannot_be_refuses_the_whole_import(desk: Desk, rows: list[Row]) -> None:
    assert imported(desk, rows) == Code.INTERVALS_REFUSED
    assert imported(desk, [(MEASURED, LIMIT_WH, 0), (MEASURED, 0, LIMIT_WH)]) == 0


def test_an_unknown_meter_and_another_importer_are_refused(desk: Desk) -> None:
    wire = desk.sender.intervals("gw", START, [ANNA, 1_000], [[(0, 1, 0), (0, 1, 0)]])
    assert desk.apply(wire) == [Code.INTERVALS_REFUSED]
    wire = desk.sender.intervals("util", START, [ANNA], [[(0, 1, 0)]])
    assert desk.apply(wire) == [Code.NOT_PERMITTED]


def test_an_import_speaks_of_slots_that_are_over(desk: Desk) -> None:
    rows = [(MEASURED, 1, 0), (MEASURED, 1, 0)]
    assert imported(desk, rows, rows) == Code.FUTURE_BOUNDARY
    assert imported(desk, rows, first_s=START + 1) == Code.NOT_A_BOUNDARY
    assert imported(desk, rows, first_s=START - SLOT) == Code.NOT_A_BOUNDARY
    assert imported(desk, rows, slot_s=300) == Code.NOT_A_BOUNDARY
    assert imported(desk, rows, rows_root=bytes(32)) == Code.ROWS_MISMATCH
    assert imported(desk, rows) == 0


def test_a_chain_of_meters_takes_no_imports() -> None:
    desk = Desk()
    desk.wait_until(START + SLOT)
    assert imported(desk, [(MEASURED, 1, 0), (MEASURED, 1, 0)]) == Code.NOTHING_IMPORTED


@pytest.mark.parametrize(
    "changes",
    [
        {"files": []},
        {"files": [ImportedFile("a", bytes(32))] * (FILES_MAX + 1)},
        {"files": [ImportedFile("", bytes(32))]},
        {"slots": 0},
        {"slots": SLOTS_MAX + 1},
        {"meters": ROWS_MAX + 1},
        {"meters": ROWS_MAX, "slots": 2},
        {"estimates": "x" * 65},
    ],
)
def test_a_field_beyond_its_limit_is_no_import(desk: Desk, changes: dict[str, Any]) -> None:
    assert imported(desk, [(0, 1, 0), (0, 1, 0)], **changes) == Code.NOT_CANONICAL


def test_a_day_takes_so_many_imports_and_no_more(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "IMPORTS_OF_DAY_MAX", 2)
    monkeypatch.setattr("tests.twin.intervals.IMPORTS_MAX", 2)
    codes = [imported(desk, [(0, energy_wh, 0), (0, 1, 0)]) for energy_wh in range(3)]
    assert codes == [0, 0, Code.BATCHES_AT_BOUNDARY]


CELL = st.one_of(
    st.just(ABSENT),
    st.tuples(st.sampled_from([MEASURED, ESTIMATED, CORRECTED, 0x21]), st.integers(0, 50), st.integers(0, 50)),
    st.tuples(st.sampled_from([MISSING, MEASURED, 3]), st.integers(0, 1), st.just(0)),
)
IMPORT = st.tuples(st.integers(0, 3), st.lists(st.tuples(CELL, CELL), min_size=1, max_size=4), st.integers(0, 2))


@settings(max_examples=25)
@given(st.lists(IMPORT, min_size=1, max_size=5))
def test_ledger_and_twin_agree_on_imports_in_any_order(imports: list[tuple[int, list[tuple[Row, Row]], int]]) -> None:
    desk = Desk(modulus_wh=0, clock="imported")
    desk.wait_until(START + 2 * SLOT)
    for number, (first, slots, waits) in enumerate(imports):
        desk.wait_until(desk.sender.now_s + waits * SLOT)
        files = [ImportedFile(f"{number}.csv", sm3(b""))]
        desk.apply(desk.sender.intervals("gw", START + first * SLOT, [ANNA, BERT], slots, files=files))


def test_an_import_over_two_chunks_goes_into_a_leaf_of_each() -> None:
    meters = [load(number, f"l-{number}", area="A", gateway="gw") for number in range(1, 1_031)]
    consortium = replace(two_meters(0), clock="imported", meters=meters)
    sender, twin = (
        Sender(consortium.chain, consortium.start_s, sign_cheaply),
        Twin(cbor.decode(consortium.genesis_file)),
    )
    ledger = MemoryLedger(consortium.genesis)
    numbers = list(range(1_020, 1_030))
    imported_wh = [(MEASURED, number, 0) for number in numbers]
    for wires in ([sender.clock(START + SLOT)], [sender.intervals("gw", START, numbers, [imported_wh])]):
        assert [result.code for result in ledger.apply(wires).results] == [0]
        assert twin.apply_block(ledger.height, 0, wires, is_cheaply_signed) == [0]
    assert ledger.state.root() == twin.state_root()
    first, second = (INTERVALS.must(ledger.state, day_of_slot(START), "Z", chunk) for chunk in (0, 1))
    slot = (START - day_of_slot(START)) // SLOT
    assert first.import_wh[slot, 1_019:].tolist() == [1_020, 1_021, 1_022, 1_023, 1_024]
    assert second.import_wh[slot, :6].tolist() == [1_025, 1_026, 1_027, 1_028, 1_029, 0]


ENERGY = st.integers(0, 70_000) | st.integers(0, 5_000_000_000) | st.integers(-3, 2**62)


@given(st.lists(st.tuples(st.sampled_from([MEASURED, MISSING, 0xFF]), ENERGY, ENERGY), min_size=6, max_size=6))
@settings(max_examples=60)
def test_a_day_that_is_kept_narrow_reads_as_its_leaf_does(rows: list[Row]) -> None:
    quality, import_wh, export_wh = (np.array(column).reshape(3, 2) for column in zip(*rows, strict=True))
    columns = (quality.astype(np.uint8), import_wh.astype(np.int64), export_wh.astype(np.int64))
    value = INTERVALS.encode(IntervalsLeaf(columns[0], columns[1], columns[2], [bytes(32)], bytes(32)))
    kept = narrow_intervals(value)
    of_slots = [[part.tolist() for part in intervals_of_slot(kept, slot)[:3]] for slot in range(3)]
    read = INTERVALS.decode(**kept)
    assert of_slots == [[column[slot].tolist() for column in columns] for slot in range(3)]
    assert INTERVALS.encode(read) == value
    assert read.import_wh.dtype == np.int64


@pytest.mark.parametrize(("high_wh", "energy_bytes"), [(65_535, 2), (65_536, 4), (2**32 - 1, 4), (2**32, 8)])
def test_energies_are_kept_in_as_few_bytes_as_hold_all_of_a_day(high_wh: int, energy_bytes: int) -> None:
    energies = np.array([[0, high_wh], [3, 4]])
    leaf = IntervalsLeaf(np.full((2, 2), MEASURED, dtype=np.uint8), energies, np.zeros_like(energies), [], bytes(32))
    kept = narrow_intervals(INTERVALS.encode(leaf))
    assert [len(kept[name]) for name in ("import_wh", "export_wh")] == [4 * energy_bytes] * 2
