"""``[runs]`` of a folder: the run calendar of its ledger, how far ledger time goes, and what newer files change by then."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from gridcore.errors import GridError, UsageError
from gridcore.quality import MISSING
from gridcore.registry.run_calendar import CorrectionDate, RunCalendar
from gridledger.settling.chain import settled_ledger
from gridledger.settling.dataset import Dataset, RunTerms
from gridledger.settling.files.folder import read_folder
from ledger.leaves.progress import PROGRESS
from ledger.leaves.runs import RUNS
from ledger.store.ledger import Ledger
from tests.unit.settling.folders import RULES, make_folder
from tests.worlds.datasets import COMMUNITY_PRICES, FIRST_S, SLOT_S, community

DAY_S = 86_400
CALENDAR = RunCalendar(
    corrections=[CorrectionDate(5 * DAY_S, 0)],
    dispute_material_nano=1_000_000_000,
    final_run_after_s=10 * DAY_S,
    initial_last_after_s=2 * DAY_S,
    initial_measured_ppm=0,
)
SLOTS = 8


def dated(calendar: RunCalendar = CALENDAR, as_of_day: int | None = None) -> Dataset:
    whole = community(SLOTS, 2)
    as_of_s = None if as_of_day is None else FIRST_S + as_of_day * DAY_S
    rules = whole.rules._replace(runs=RunTerms(calendar, 20 * DAY_S, as_of_s))
    return whole._replace(rules=rules)


def corrected(more_wh: int, as_of_day: int | None = None) -> Dataset:
    newer = dated(as_of_day=as_of_day)
    newer.import_wh[3, 0] += more_wh
    return newer


def runs_of(ledger: Ledger) -> Mapping[int, list[str]]:
    found = {slot: RUNS.load(ledger, FIRST_S + slot * SLOT_S, "files") for slot in (2, 3)}
    return {slot: [name for name, _ in runs.runs] for slot, runs in found.items() if runs is not None}


def test_without_a_day_named_ledger_time_stops_behind_the_last_initial_run(tmp_path: Path) -> None:
    with settled_ledger(dated(), tmp_path) as ledger:
        assert runs_of(ledger) == {2: ["initial"], 3: ["initial"]}
        assert ledger.ledger_time_s < FIRST_S + 2 * DAY_S


def test_a_correction_is_made_at_its_date_and_ledger_time_goes_so_far(tmp_path: Path) -> None:
    for newer in (dated(), corrected(50)):
        with settled_ledger(newer, tmp_path) as ledger:
            found, now_s = runs_of(ledger), ledger.ledger_time_s
    assert found == {2: ["initial"], 3: ["initial", "correction-1"]}
    assert now_s == FIRST_S + SLOTS * SLOT_S + 5 * DAY_S
    with settled_ledger(corrected(50), tmp_path) as ledger:
        assert ledger.ledger_time_s == now_s, "the same files say nothing new"


def test_as_of_brings_final_runs_and_then_only_what_is_material_is_a_dispute_run(tmp_path: Path) -> None:
    finals = {2: ["initial", "final"], 3: ["initial", "final"]}
    with settled_ledger(dated(as_of_day=12), tmp_path) as ledger:
        assert runs_of(ledger) == finals
        assert ledger.ledger_time_s == FIRST_S + 12 * DAY_S
    with settled_ledger(corrected(1, as_of_day=12), tmp_path) as ledger:
        assert runs_of(ledger) == finals
        assert [change.slot_start_s for change in PROGRESS.must(ledger, "files").immaterial] == [FIRST_S + 3 * SLOT_S]
    with settled_ledger(corrected(5_000), tmp_path) as ledger:
        assert runs_of(ledger) == {2: finals[2], 3: ["initial", "final", "dispute-1"]}


def test_a_change_behind_the_last_correction_date_is_made_by_the_final_run(tmp_path: Path) -> None:
    for newer in (dated(as_of_day=8), corrected(50, as_of_day=8)):
        with settled_ledger(newer, tmp_path) as ledger:
            found, now_s = runs_of(ledger), ledger.ledger_time_s
    assert found[3] == ["initial", "final"]
    assert now_s == FIRST_S + SLOTS * SLOT_S + 10 * DAY_S


def test_an_initial_run_that_waits_for_measured_values_is_made_at_its_last_date(tmp_path: Path) -> None:
    quality = dated().quality.copy()
    quality[5] = MISSING
    zeros = np.where(quality == MISSING, 0, 1)
    waiting = dated(CALENDAR._replace(initial_measured_ppm=990_000))
    waiting = waiting._replace(
        quality=quality, import_wh=waiting.import_wh * zeros, export_wh=waiting.export_wh * zeros
    )
    with settled_ledger(waiting, tmp_path) as ledger:
        assert runs_of(ledger) == {2: ["initial"], 3: ["initial"]}
        assert PROGRESS.must(ledger, "files").run_slot_start_s == FIRST_S + SLOTS * SLOT_S
        assert ledger.ledger_time_s >= FIRST_S + 6 * SLOT_S + 2 * DAY_S


def test_nothing_changes_a_slot_that_is_final_and_the_ledger_stays_as_it_was(tmp_path: Path) -> None:
    with settled_ledger(dated(as_of_day=21), tmp_path) as ledger:
        height = ledger.height
    with (
        pytest.raises(GridError, match=r"readings\.csv: \[timeline\] final_after_s has passed for the slots before"),
        settled_ledger(corrected(5_000), tmp_path),
    ):
        pass
    levy = {**COMMUNITY_PRICES, "levy_micro_per_kwh": 1}
    other = dated()
    with (
        pytest.raises(GridError, match=r"rules\.toml: they would change slots that are final"),
        settled_ledger(other._replace(rules=other.rules._replace(prices=levy)), tmp_path),
    ):
        pass
    with settled_ledger(dated(as_of_day=21), tmp_path) as ledger:
        assert ledger.height == height


def test_another_calendar_on_a_settled_ledger_is_refused(tmp_path: Path) -> None:
    with settled_ledger(dated(), tmp_path):
        pass
    for newer in (dated(CALENDAR._replace(dispute_material_nano=0)), community(SLOTS, 2)):
        with (
            pytest.raises(GridError, match=r"rules\.toml: (\[runs\]|\[timeline\] final_after_s): the ledger has"),
            settled_ledger(newer, tmp_path),
        ):
            pass


TABLE = """\
[runs]
as_of = 2025-09-01
initial_measured_ppm = 990000
initial_last_after_s = 172800
final_run_after_s = 2592000
dispute_material_nano = 1000000
[[runs.corrections]]
due_after_s = 604800
"""
TIMELINE = RULES + "final_after_s = 5184000\n"


def test_the_table_is_read_as_genesis_new_reads_it(tmp_path: Path) -> None:
    runs = read_folder(make_folder(tmp_path, {"rules.toml": TIMELINE + TABLE})).rules.runs
    assert runs is not None
    assert runs.calendar == RunCalendar([CorrectionDate(604_800, 0)], 1_000_000, 2_592_000, 172_800, 990_000)
    assert (runs.final_after_s, runs.as_of_s) == (5_184_000, 1_756_677_600)


FAULTS = {
    "no end": (
        RULES + TABLE,
        "rules.toml: [timeline] final_after_s is missing; with [runs]: seconds after its end at which a slot is final",
    ),
    "an end without a calendar": (
        TIMELINE,
        (
            "rules.toml: [timeline] final_after_s says when slots are final, and there is no [runs]; give the run calendar too "
            "(docs/settlement-runs.md), or leave it out"
        ),
    ),
    "dates that do not ascend": (
        TIMELINE + TABLE.replace("604800", "100"),
        (
            "rules.toml: [runs]: initial_last_after_s, the correction dates and final_run_after_s ascend, each later than the one "
            "before; docs/settlement-runs.md has an example"
        ),
    ),
    "final before the final run": (
        TIMELINE.replace("5184000", "600") + TABLE,
        (
            "rules.toml: [runs]: [timeline] final_after_s is above final_run_after_s 2592000: until then disputes change the slot; "
            "docs/settlement-runs.md has an example"
        ),
    ),
    "an initial run before files come": (
        TIMELINE + TABLE.replace("172800", "900"),
        (
            "rules.toml: [runs]: initial_last_after_s is at least 86400: files are imported a day at a time; "
            "docs/settlement-runs.md has an example"
        ),
    ),
    "a day in quotes": (
        TIMELINE + TABLE.replace("2025-09-01", '"2025-09-01"'),
        "rules.toml: [runs] as_of = '2025-09-01' is no day; give a local day as 2026-07-01, without quotes and without a time",
    ),
    "an unknown key": (
        TIMELINE + TABLE.replace("final_run_after_s", "final_after_s"),
        "rules.toml: runs.final_after_s is an unknown key; did you mean 'final_run_after_s'?; see docs/settle-files.md",
    ),
}


@pytest.mark.parametrize("name", list(FAULTS))
def test_what_is_wrong_with_a_calendar_is_one_line(tmp_path: Path, name: str) -> None:
    rules, line = FAULTS[name]
    with pytest.raises(UsageError) as caught:
        read_folder(make_folder(tmp_path, {"rules.toml": rules}))
    assert str(caught.value) == line
