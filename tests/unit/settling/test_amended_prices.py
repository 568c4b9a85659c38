"""Newer files with other prices, terms or keys: what they change is registered from when they hold, and settled again by difference."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcore.errors import GridError
from gridcore.master_data import Named
from gridcore.registry.party import PARTY
from gridcore.registry.point import POINT
from gridcore.registry.signer import SIGNER, Signer
from gridcore.registry.tariff import TARIFF
from gridledger.settling.chain import importing, read_runs, registrations, settled_ledger
from gridledger.settling.chain.amending import amendments
from gridledger.settling.chain.importing import _Importer
from gridledger.settling.dataset import Dataset, KeyRow, SeriesRows
from gridledger.settling.results.months import midnight_s
from ledger.leaves.runs import RUNS
from ledger.store.ledger import Ledger
from settlement.tariffs.components import Component
from tests.unit.settling.test_chain_prices import LEVY, RETAIL, VARYING, series
from tests.worlds.datasets import FIRST_S, SLOT_S, community

SLOTS = 60


def last_bills(ledger: Ledger, dataset: Dataset) -> dict[tuple[int, str], tuple[int, int]]:
    """By slot and point: what it pays by the last run, and the levy that this run had."""
    found = {}
    for run in read_runs(ledger, dataset):
        levy = run.tariffs.prices[LEVY][run.tariffs.of_row]
        for at, row in enumerate(run.rows.tolist()):
            place = (run.slot_start_s, dataset.points[row].point)
            found[place] = int(run.columns["pays_nano"][at]), int(levy[at])
    return found


def runs_of(ledger: Ledger, slot: int) -> list[str]:
    found = RUNS.load(ledger, FIRST_S + slot * SLOT_S, "files")
    return [] if found is None else [name for name, _ in found.runs]


def part_of(dataset: Dataset, first: int, end: int) -> Dataset:
    """Some slots of a dataset."""
    rows = slice(first, end)
    return dataset._replace(
        slot_start_s=dataset.slot_start_s[rows],
        import_wh=dataset.import_wh[rows],
        export_wh=dataset.export_wh[rows],
        quality=dataset.quality[rows],
    )


def village(prices: Sequence[SeriesRows]) -> Dataset:
    return community(SLOTS, 4, areas=2, series=prices)


CHANGED = [
    [series(LEVY, {0: 10, 4: 21, 50: -30}), *VARYING[1:]],
    [*VARYING, series("feed_in_price_micro_per_kwh", {7: 1_000})],
    [*VARYING, series(LEVY, {30: 5}, area="A0"), series(LEVY, {3: 7}, point="P001")],
    [*VARYING[:2], series(RETAIL, {0: 600_000, 1: 700_000, 2: 650_000}, point="P002")],
]


@pytest.mark.parametrize("changed", CHANGED)
def test_bills_at_changed_prices_are_those_of_a_folder_that_had_them_from_the_start(
    tmp_path: Path, changed: Sequence[SeriesRows]
) -> None:
    for name in ("out", "fresh"):
        (tmp_path / name).mkdir()
    with settled_ledger(village(VARYING), tmp_path / "out"):
        pass
    with settled_ledger(village(changed), tmp_path / "out") as ledger:
        amended, height = last_bills(ledger, village(changed)), ledger.height
    with settled_ledger(village(changed), tmp_path / "fresh") as ledger:
        assert amended == last_bills(ledger, village(changed))
    with settled_ledger(village(changed), tmp_path / "out") as ledger:
        assert ledger.height == height, "the same files say nothing new"


@pytest.mark.parametrize("block_bytes", [1_000_000, 1])
def test_a_change_of_more_bytes_than_a_transaction_takes_is_registered_by_several_all_of_them_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int
) -> None:
    before, own = (
        community(8, 4, areas=2, series=VARYING[:1]),
        [series(LEVY, {5: 5}, area="A0"), series(LEVY, {3: 7}, point="P001")],
    )
    changed = before._replace(series=[*VARYING[:1], *own])
    monkeypatch.setattr(registrations, "ROWS_BYTES_MAX", 400)
    monkeypatch.setattr(registrations, "REGISTERED_BYTES_MAX", block_bytes)
    with settled_ledger(before, tmp_path) as ledger:
        height, root = ledger.height, ledger.state_root()
    unknown = next(iter(Named(SIGNER, "nobody", Signer("nobody", bytes(65), ["prosumer"])).rows()))
    with monkeypatch.context() as also:
        also.setattr(importing, "amendments", lambda *files: [*amendments(*files), unknown])
        with pytest.raises(GridError, match="REGISTRY_FORM"), settled_ledger(changed, tmp_path):
            pass
    with settled_ledger(before, tmp_path) as ledger:
        assert (ledger.height, ledger.state_root()) == (height, root)
    with settled_ledger(changed, tmp_path) as ledger:
        amended = last_bills(ledger, changed)
    (tmp_path / "fresh").mkdir()
    with settled_ledger(changed, tmp_path / "fresh") as ledger:
        assert amended == last_bills(ledger, changed)


def test_only_slots_from_the_change_on_are_settled_again(tmp_path: Path) -> None:
    with settled_ledger(village(VARYING), tmp_path):
        pass
    with settled_ledger(village(CHANGED[0]), tmp_path) as ledger:
        assert [len(runs_of(ledger, slot)) for slot in (0, 3, 4, 49, 50, 59)] == [1, 1, 2, 2, 1, 1]


def sorted_by_start(prices: dict[int, int]) -> dict[int, int]:
    return dict(sorted(prices.items()))


PRICES = st.dictionaries(st.integers(1, 23), st.integers(-50, 50), min_size=1, max_size=5).map(sorted_by_start)


@settings(max_examples=8, deadline=None)
@given(PRICES, st.lists(st.tuples(PRICES, st.integers(0, 20), st.integers(1, 24)), min_size=1, max_size=3))
def test_after_any_changes_each_slot_has_the_price_of_the_newest_file_that_has_it(
    tmp_path_factory: pytest.TempPathFactory,
    before: dict[int, int],
    changes: list[tuple[dict[int, int], int, int]],
) -> None:
    folder = tmp_path_factory.mktemp("amended")
    whole = community(24, 2, series=[series(LEVY, {0: 1, **before})])
    expected = {slot: price_at({0: 1, **before}, slot) for slot in range(24)}
    with settled_ledger(whole, folder) as ledger:
        found = last_bills(ledger, whole)
    for prices, first, slots in changes:
        stated = {0: 2, **prices}
        newer = part_of(whole, first, min(first + slots, 24))._replace(series=[series(LEVY, stated)])
        expected |= {slot: price_at(stated, slot) for slot in range(first, min(first + slots, 24))}
        with settled_ledger(newer, folder) as ledger:
            found = last_bills(ledger, whole)
    assert {slot: found[FIRST_S + slot * SLOT_S, "P000"][1] for slot in range(24)} == expected


def price_at(prices: dict[int, int], slot: int) -> int:
    """The price that began last."""
    return prices[max(start for start in prices if start <= slot)]


def test_changed_prices_and_corrected_readings_make_one_correction_run(tmp_path: Path) -> None:
    with settled_ledger(village(VARYING), tmp_path):
        pass
    newer = village(CHANGED[0])
    newer.import_wh[10, 0] += 5
    with settled_ledger(newer, tmp_path) as ledger:
        assert runs_of(ledger, 10) == ["initial", "correction-1"]


def test_prices_of_rules_toml_hold_from_the_first_slot_of_the_newer_folder_on(tmp_path: Path) -> None:
    before = community(24, 2)
    with settled_ledger(before, tmp_path):
        pass
    prices = {**before.rules.prices, LEVY: 1}
    newer = part_of(before, 10, 12)._replace(rules=before.rules._replace(prices=prices))
    with settled_ledger(newer, tmp_path) as ledger:
        bills = last_bills(ledger, before)
        assert [bills[FIRST_S + slot * SLOT_S, "P000"][1] for slot in (0, 9, 10, 23)] == [40_000, 40_000, 1, 1]
        assert [len(runs_of(ledger, slot)) for slot in (9, 10, 23)] == [1, 2, 2]


def test_a_scope_of_which_the_newer_prices_say_nothing_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    with settled_ledger(village(VARYING), tmp_path) as ledger:
        height = ledger.height
    words = r"prices\.csv: says nothing for area A1, of which the ledger has prices"
    with pytest.raises(GridError, match=words), settled_ledger(village([VARYING[0], VARYING[2]]), tmp_path):
        pass
    with settled_ledger(village(VARYING), tmp_path) as ledger:
        assert ledger.height == height


def test_changed_keys_hold_from_when_they_say_and_open_those_slots_again(tmp_path: Path) -> None:
    keys = [KeyRow("P000", 400_000, None, None), KeyRow("P001", 600_000, None, None)]
    before = community(10, 2, keys=keys)
    with settled_ledger(before, tmp_path):
        pass
    changed = [*keys, *(KeyRow(point, 500_000, None, FIRST_S + 5 * SLOT_S) for point in ("P000", "P001"))]
    with settled_ledger(before._replace(keys=changed), tmp_path) as ledger:
        shares = [ledger.in_force(POINT, "P001", FIRST_S + slot * SLOT_S) for slot in (0, 4, 5, 9)]
        assert [point.share_ppm for point in shares if point is not None] == [600_000, 600_000, 500_000, 500_000]
        height = ledger.height
    with settled_ledger(before._replace(keys=changed), tmp_path) as ledger:
        assert ledger.height == height
    with settled_ledger(before, tmp_path) as ledger:
        point = ledger.in_force(POINT, "P001", FIRST_S + 9 * SLOT_S)
        assert point is not None
        assert point.share_ppm == 600_000, "keys.csv is the whole of it"


def test_rules_and_components_of_early_slots_leave_what_came_behind_them_as_it_is(tmp_path: Path) -> None:
    """The base, then prices and a charge from slot 96 on, then a correction of slots 10 and 11 by rules of that time."""

    def told(first: int, end: int, levy: int, price: int) -> Dataset:
        rules = before.rules._replace(prices={**before.rules.prices, LEVY: levy}, tariff=[day._replace(price=price)])
        return part_of(before, first, end)._replace(rules=rules)

    day, before = Component("stay", "grid", "day", 5), community(96 * 3, 2)
    for dataset in (told(0, 96 * 3, 40_000, 5), told(96 * 2, 96 * 3, 1, 7), told(10, 12, 3, 6)):
        with settled_ledger(dataset, tmp_path):
            pass
    with settled_ledger(told(10, 12, 3, 6), tmp_path) as ledger:
        bills = last_bills(ledger, before)
        levies = [bills[FIRST_S + slot * SLOT_S, "P000"][1] for slot in (9, 10, 96 * 2 - 1, 96 * 2, 96 * 3 - 1)]
        assert levies == [40_000, 3, 3, 1, 1]
        tariffs = [ledger.in_force(TARIFF, "files", FIRST_S + slot * SLOT_S) for slot in (0, 10, 96 * 2 - 1, 96 * 2)]
        assert [one.components[0]["price"] for one in tariffs if one is not None] == [5, 6, 6, 7]
        height = ledger.height
    with settled_ledger(told(10, 12, 3, 6), tmp_path) as ledger:
        assert ledger.height == height, "the same files say nothing new"


def test_early_components_of_some_parties_leave_the_later_price_of_a_base_that_had_both(tmp_path: Path) -> None:
    """Rules of the early time lack the later entry: with parties that makes a tariff of another name, which does not have it."""
    before = community(96 * 2, 2)
    payers = sorted({point.party for point in before.points})
    zone = ZoneInfo(before.timezone)
    change = datetime.fromtimestamp(FIRST_S, zone).toordinal() + 1
    change_s = midnight_s(change, zone)
    own, other = (
        Component("stay", "grid", "day", 5, parties=payers[:1]),
        Component("fee", "grid", "day", 3, parties=payers[1:]),
    )
    both = [own._replace(until_day=change), own._replace(price=9, from_day=change), other]
    base, early = (before._replace(rules=before.rules._replace(tariff=said)) for said in (both, [own, other]))
    for dataset in (base, part_of(early, 10, 12)):
        with settled_ledger(dataset, tmp_path):
            pass
    with settled_ledger(part_of(early, 10, 12), tmp_path) as ledger:
        rows = [ledger.in_force(PARTY, payers[0], at_s) for at_s in (change_s - 1, change_s)]
        names = [row.tariff for row in rows if row is not None and row.tariff is not None]
        said = [ledger.in_force(TARIFF, name, at_s) for name, at_s in zip(names, (change_s - 1, change_s), strict=True)]
        assert [[row["price"] for row in one.components] for one in said if one is not None] == [[5], [9]]
        height = ledger.height
    with settled_ledger(part_of(early, 10, 12), tmp_path) as ledger:
        assert ledger.height == height, "the same files say nothing new"


def test_keys_of_early_slots_leave_those_that_came_behind_them_as_they_are(tmp_path: Path) -> None:
    keys = [KeyRow("P000", 400_000, None, None), KeyRow("P001", 600_000, None, None)]
    before = community(40, 2, keys=keys)
    later = [*keys, *(KeyRow(point, 500_000, None, FIRST_S + 30 * SLOT_S) for point in ("P000", "P001"))]
    early = [KeyRow("P000", 300_000, None, None), KeyRow("P001", 700_000, None, None)]
    for dataset in (before, before._replace(keys=later), part_of(before, 0, 10)._replace(keys=early)):
        with settled_ledger(dataset, tmp_path) as ledger:
            points = [ledger.in_force(POINT, "P001", FIRST_S + slot * SLOT_S) for slot in (0, 29, 30, 39)]
    assert [point.share_ppm for point in points if point is not None] == [700_000, 700_000, 500_000, 500_000]


def amend_alone(importer: _Importer, *, is_new: bool) -> None:
    """What a call has done that is interrupted behind its registrations."""
    assert not is_new
    importer._amend()


def test_runs_that_an_interrupted_call_left_due_are_made_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with settled_ledger(village(VARYING), tmp_path):
        pass
    newer = village(CHANGED[0])
    with monkeypatch.context() as broken:
        broken.setattr("gridledger.settling.chain.importing._Importer.run", amend_alone)
        with settled_ledger(newer, tmp_path) as ledger:
            assert runs_of(ledger, 10) == ["initial"]
    with settled_ledger(newer, tmp_path) as ledger:
        assert runs_of(ledger, 10) == ["initial", "correction-1"]
    assert np.array_equal(newer.import_wh, village(VARYING).import_wh)
