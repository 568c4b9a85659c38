"""A dataset becomes a ledger: settled as it says, gone on with after an interruption, corrected by newer data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from gridcore.errors import GridError, UsageError
from gridcore.quality import CORRECTED, MISSING
from gridledger.settling.chain import founding, importing, orders, read_runs, read_slots, settled_ledger
from gridledger.settling.chain.founding import ZONE_NAME
from gridledger.settling.dataset import Dataset
from ledger.leaves.balance import BALANCE
from ledger.leaves.book import load_all_orders
from ledger.leaves.intervals import DAY_S
from ledger.leaves.positions import POSITIONS, PositionsLeaf
from ledger.leaves.runs import RUNS
from ledger.state import due, intervals, state
from ledger.store.leaf_tables import LeafTable
from ledger.store.reader import LedgerReader
from settlement.catalogue import CONTRACTS
from tests.worlds.datasets import FIRST_S, SLOT_S, auction, community


def last_positions(ledger: LedgerReader, slot: int) -> PositionsLeaf:
    """What the last run of a slot says."""
    start_s = FIRST_S + slot * SLOT_S
    return POSITIONS.must(ledger, start_s, ZONE_NAME, RUNS.must(ledger, start_s, ZONE_NAME).last, 0)


def owed_nano(ledger: LedgerReader) -> list[int]:
    return BALANCE.must(ledger, ZONE_NAME, 0).owes_nano()


def paid_nano(ledger: LedgerReader, slots: int) -> list[int]:
    """What each point pays in the last runs of all slots."""
    paid = np.stack([last_positions(ledger, slot).columns["pays_nano"] for slot in range(slots)])
    return [int(total) for total in paid.sum(axis=0)]


def check_says(ledger: LedgerReader, dataset: Dataset) -> None:
    """The last run of each slot has the dataset's energies and qualities, and balances are their sums."""
    slots = len(dataset.slot_start_s)
    for slot in range(slots):
        leaf = last_positions(ledger, slot)
        assert leaf.columns["import_wh"].tolist() == dataset.import_wh[slot].tolist()
        assert leaf.columns["export_wh"].tolist() == dataset.export_wh[slot].tolist()
        assert leaf.quality.tolist() == dataset.quality[slot].tolist()
    assert owed_nano(ledger) == paid_nano(ledger, slots)


def test_every_slot_is_settled_once_with_the_energies_of_the_files(tmp_path: Path) -> None:
    dataset, told = community(200, 5, areas=2), []
    with settled_ledger(dataset, tmp_path, lambda settled, slots: told.append((settled, slots))) as ledger:
        check_says(ledger, dataset)
        runs = [RUNS.must(ledger, start_s, ZONE_NAME).runs for start_s in dataset.slot_start_s.tolist()]
    assert [[name for name, _ in of_slot] for of_slot in runs] == [["initial"]] * 200
    assert told[-1] == (200, 200)


def test_the_same_data_again_change_nothing(tmp_path: Path) -> None:
    dataset = community(100, 3)
    with settled_ledger(dataset, tmp_path) as ledger:
        height, root = ledger.height, ledger.state_root()
    with settled_ledger(dataset, tmp_path) as ledger:
        assert (ledger.height, ledger.state_root()) == (height, root)


def test_newer_data_of_settled_slots_are_correction_runs_of_these_alone(tmp_path: Path) -> None:
    before = community(200, 4)
    import_wh, quality = before.import_wh.copy(), before.quality.copy()
    import_wh[[7, 150], 2] += 11
    quality[[7, 150], 2] = CORRECTED
    newer = before._replace(import_wh=import_wh, quality=quality)
    with settled_ledger(before, tmp_path):
        pass
    with settled_ledger(newer, tmp_path) as ledger:
        check_says(ledger, newer)
        runs = [len(RUNS.must(ledger, start_s, ZONE_NAME).runs) for start_s in newer.slot_start_s.tolist()]
    assert [slot for slot, count in enumerate(runs) if count > 1] == [7, 150]


def test_what_is_missing_in_newer_data_does_not_supersede_what_is_known(tmp_path: Path) -> None:
    before = community(100, 3)
    with settled_ledger(before, tmp_path):
        pass
    none, missing = np.zeros_like(before.import_wh), np.full_like(before.quality, MISSING)
    newer = before._replace(import_wh=none.copy(), export_wh=none, quality=missing)
    newer.import_wh[5, 1], newer.quality[5, 1] = 17, CORRECTED
    before.import_wh[5, 1], before.export_wh[5, 1], before.quality[5, 1] = 17, 0, CORRECTED
    with settled_ledger(newer, tmp_path) as ledger:
        check_says(ledger, before)


def test_later_slots_go_behind_those_that_are_settled(tmp_path: Path) -> None:
    whole = community(300, 3)

    def part(slots: slice) -> Dataset:
        return whole._replace(
            slot_start_s=whole.slot_start_s[slots],
            import_wh=whole.import_wh[slots],
            export_wh=whole.export_wh[slots],
            quality=whole.quality[slots],
        )

    for slots in (slice(0, 96), slice(90, 130), slice(130, 300)):
        with settled_ledger(part(slots), tmp_path):
            pass
    with settled_ledger(whole, tmp_path) as ledger:
        check_says(ledger, whole)
        runs = [len(RUNS.must(ledger, start_s, ZONE_NAME).runs) for start_s in whole.slot_start_s.tolist()]
    assert runs == [1] * 300


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_an_interrupted_import_goes_on_where_it_ended(tmp_path: Path, blocks: int) -> None:
    dataset, left = auction(200, 3), [blocks]

    def interrupt(settled: int, slots: int) -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), settled_ledger(dataset, tmp_path, interrupt):
        pass
    with settled_ledger(dataset, tmp_path) as ledger:
        check_says(ledger, dataset)
        assert all(last_positions(ledger, slot).columns["bought_wh"][1] == 300 for slot in range(200))


@pytest.mark.parametrize("blocks", [2, 150, 199, 205])
def test_an_import_whose_orders_fill_many_blocks_goes_on_where_it_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blocks: int
) -> None:
    monkeypatch.setattr(founding, "BLOCK_VALUES_MAX", 1)
    monkeypatch.setattr(importing, "WIRES_OF_BLOCK", 3)
    monkeypatch.setattr(orders, "ROWS_MAX", 1)
    dataset, left = auction(200, 3), [blocks]

    def interrupt(settled: int, slots: int) -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), settled_ledger(dataset, tmp_path, interrupt):
        pass
    with settled_ledger(dataset, tmp_path) as ledger:
        check_says(ledger, dataset)
        heights = [set(load_all_orders(ledger, slot_s, ZONE_NAME).recorded_height) for slot_s in dataset.slot_start_s]
    assert {len(of_slot) for of_slot in heights} == {1}
    assert len(set.union(*heights)) == 200


def test_orders_are_cleared_before_the_slots_are_settled(tmp_path: Path) -> None:
    dataset = auction(100, 3)
    with settled_ledger(dataset, tmp_path) as ledger:
        check_says(ledger, dataset)
        traded = [last_positions(ledger, slot).columns for slot in range(100)]
    assert all(columns["bought_wh"].tolist() == [0, 300, 0] for columns in traded)
    assert all(columns["sold_wh"].tolist() == [300, 0, 0] for columns in traded)


def test_what_is_missing_is_settled_as_zero_and_stays_marked(tmp_path: Path) -> None:
    dataset = community(10, 2)
    dataset.quality[3, 1], dataset.import_wh[3, 1], dataset.export_wh[3, 1] = MISSING, 0, 0
    with settled_ledger(dataset, tmp_path) as ledger:
        check_says(ledger, dataset)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda old: old._replace(slot_start_s=old.slot_start_s - 10 * SLOT_S), "begins at 2024-05-31T13:30:00Z"),
        (lambda old: old._replace(slot_start_s=old.slot_start_s + 11 * SLOT_S), "begin within, or right behind"),
        (lambda old: old._replace(points=[old.points[0], old.points[1]._replace(point="new")]), "point new"),
        (lambda old: old._replace(points=[old.points[0], old.points[1]._replace(party="H000")]), "the ledger bills H001, not H000"),
        (lambda old: old._replace(rules=old.rules._replace(contract="p2p_call_auction/1")), r"\[market\] contract"),
        (lambda old: old._replace(slot_s=300), r"\[timeline\] slot_s: the ledger has 900, not 300"),
        (lambda old: old._replace(timezone="Asia/Tokyo"), r"\[timeline\] timezone: the ledger has Asia/Shanghai, not Asia/Tokyo"),
        (
            lambda old: old._replace(rules=old.rules._replace(invoice=old.rules.invoice._replace(currency="JPY"))),
            r"\[invoice\] currency: the ledger has \w+, not JPY",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_onto_the_ledger_is_refused_and_changes_nothing(
    tmp_path: Path, change: Callable[[Dataset], Dataset], words: str
) -> None:
    dataset = community(10, 2)
    with settled_ledger(dataset, tmp_path) as ledger:
        height = ledger.height
    with pytest.raises(GridError, match=words), settled_ledger(change(dataset), tmp_path):
        pass
    with settled_ledger(dataset, tmp_path) as ledger:
        assert ledger.height == height


def test_other_orders_of_a_cleared_slot_are_refused(tmp_path: Path) -> None:
    dataset = auction(10, 3)
    with settled_ledger(dataset, tmp_path):
        pass
    dataset.all_orders.quantity_wh[0] += 1
    with pytest.raises(GridError, match="has other orders of it"), settled_ledger(dataset, tmp_path):
        pass


def test_a_party_with_points_in_two_areas_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    dataset = community(10, 2, areas=2)
    points = [point._replace(party="H") for point in dataset.points]
    with pytest.raises(UsageError, match="party/H"), settled_ledger(dataset._replace(points=points), tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_imported_energies_are_not_loaded_again_for_each_slot_of_their_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    load_leaves = LeafTable.load_leaves

    def noting(leaves: LeafTable, keys: Sequence[str]) -> Mapping[str, tuple[int, bytes]]:
        found = load_leaves(leaves, keys)
        loaded.extend(key for key in found if key.startswith("intervals/"))
        return found

    monkeypatch.setattr(LeafTable, "load_leaves", noting)
    monkeypatch.setattr(importing, "CHUNK_ROWS", 2)  # room for the leaves of a day, and for nothing that a slot writes
    monkeypatch.setattr(state, "CACHED_BYTES_MAX", 8 * 1024)
    monkeypatch.setattr(due, "Budget", partial(due.Budget, rows=1))  # a slot a block, as a million points have it
    dataset = community(200, 5, areas=2)
    with settled_ledger(dataset, tmp_path) as ledger:
        check_says(ledger, dataset)
    days = {start_s // DAY_S for start_s in dataset.slot_start_s.tolist()}
    assert len(loaded) <= len(days)


def test_runs_are_read_by_slot_run_and_area_with_what_lines_need(tmp_path: Path) -> None:
    before = community(100, 4, areas=2)
    import_wh = before.import_wh.copy()
    import_wh[5, 3] += 7
    newer = before._replace(import_wh=import_wh)
    with settled_ledger(before, tmp_path):
        pass
    with settled_ledger(newer, tmp_path) as ledger:
        runs, slots = list(read_runs(ledger, newer)), list(read_slots(ledger, newer))
    last = {(run.slot_start_s, place): run for run in runs for place in run.rows.tolist()}
    assert len(slots) == 100
    for slot in slots:
        for row, place in enumerate(slot.places.tolist()):
            run = last[slot.slot_start_s, place]
            at = run.rows.tolist().index(place)
            assert {name: int(column[row]) for name, column in slot.columns.items()} == {
                name: int(column[at]) for name, column in run.columns.items()
            }
            assert slot.quality[row] == run.quality[at]
    assert [(run.slot_start_s, run.run, run.area) for run in runs[8:16]] == [
        (FIRST_S + slot * SLOT_S, run, area)
        for slot, run in ((4, "initial"), (5, "initial"), (5, "correction-1"), (6, "initial"))
        for area in ("A0", "A1")
    ]
    corrected = runs[13]
    assert corrected.rows.tolist() == [1, 3]
    assert corrected.columns["import_wh"].tolist() == newer.import_wh[5, [1, 3]].tolist()
    names = {*CONTRACTS["mid_market_rate/1"].position_columns, "import_wh", "export_wh"}
    assert corrected.columns.keys() == names
    assert (corrected.trade_price_micro_per_kwh, corrected.terms) == (None, {})
    assert corrected.tariffs.prices["levy_micro_per_kwh"].tolist() == [40_000]
    assert len(runs) == 202


def test_orders_of_slots_whose_gate_has_passed_are_refused_and_change_nothing(tmp_path: Path) -> None:
    with settled_ledger(auction(100, 3), tmp_path) as ledger:
        height = ledger.height
    words, longer = r"orders\.csv: the ledger has passed the gate", auction(110, 3)
    with pytest.raises(GridError, match=words), settled_ledger(longer, tmp_path):
        pass
    with settled_ledger(auction(100, 3), tmp_path) as ledger:
        assert ledger.height == height


def test_a_day_is_brought_so_often_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "IMPORTS_OF_DAY_MAX", 2)
    dataset = community(10, 2)
    for energy_wh in (1, 2):
        dataset.import_wh[3, 1] = energy_wh
        with settled_ledger(dataset, tmp_path):
            pass
    dataset.import_wh[3, 1] = 3
    with pytest.raises(GridError, match=r"readings\.csv: a day has been brought"), settled_ledger(dataset, tmp_path):
        pass
