"""Run calendars: initial runs wait for readings, corrections for their dates, the final run closes, disputes must be material."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcore.quality import ESTIMATED, MEASURED
from gridcore.registry.run_calendar import CorrectionDate, RunCalendar
from gridcore.registry.zone import ZONE
from ledger.leaves.progress import PROGRESS, Correction
from ledger.registry.zones import Timeline, Zone
from ledger.run_due import NextRun, WantedRun, due_s_of, next_run, queued_s, why_not_made
from ledger.state import known_energy, run_dates
from ledger.state.draft import Draft
from ledger.state.run_dates import DatedCorrections
from ledger.state.slot import Slot, load_slot
from tests.unit.state.test_runs import HOMES, Homes
from tests.worlds.consortium import FIRST_S, SLOT_S, zone

HOUR_S = 3_600
ALL_PPM, TWO_OF_THREE_PPM = 1_000_000, 666_666
CALENDAR = RunCalendar(
    corrections=[CorrectionDate(2 * HOUR_S, ALL_PPM), CorrectionDate(3 * HOUR_S, 0)],
    dispute_material_nano=10**7,
    final_run_after_s=4 * HOUR_S,
    initial_last_after_s=HOUR_S,
    initial_measured_ppm=ALL_PPM,
)
CLOSED_AFTER_S = 6 * HOUR_S
FIRST_END_S = FIRST_S + SLOT_S


def homes_with(**changes: Any) -> Homes:
    """Three homes under the calendar; ``changes``: its other fields."""
    return Homes(final_after_s=CLOSED_AFTER_S, run_calendar=CALENDAR._replace(**changes))


def late_world(meters_later: list[int]) -> Homes:
    """The first slot is settled by its last date, without the readings of some meters."""
    homes = homes_with()
    homes.read(FIRST_S)
    homes.step_to(FIRST_END_S)
    homes.read(FIRST_END_S, [number for number in HOMES if number not in meters_later])
    homes.step_to(FIRST_END_S + HOUR_S)
    return homes


def test_an_initial_run_waits_for_its_share_of_readings_and_is_made_as_soon_as_it_is_there() -> None:
    homes = homes_with()
    homes.read(FIRST_S)
    homes.step_to(FIRST_END_S)
    homes.read(FIRST_END_S, [1, 2])
    homes.step_to(FIRST_END_S + HOUR_S - 1)
    assert homes.runs(0) == []
    homes.read(FIRST_END_S, [3])
    assert homes.runs(0) == ["initial"]
    assert homes.positions(0).quality.tolist() == [MEASURED] * 3


def test_a_slot_that_waits_for_readings_is_not_loaded_to_be_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked in every block and, on an idle node, between blocks; a zone may have a million rows."""
    loaded: list[int] = []

    def counted(draft: Draft, of: Zone, slot_start_s: int) -> Slot:
        loaded.append(slot_start_s)
        return load_slot(draft, of, slot_start_s)

    monkeypatch.setattr(known_energy, "load_slot", counted)
    homes = homes_with()
    homes.read(FIRST_S)
    homes.step_to(FIRST_END_S)
    homes.read(FIRST_END_S, [1, 2])
    homes.step_to(FIRST_END_S + HOUR_S - 1)
    assert (homes.runs(0), loaded) == ([], [])
    homes.read(FIRST_END_S, [3])
    assert (homes.runs(0), loaded) == (["initial"], [FIRST_S])


def test_a_share_is_reached_at_its_very_millionth() -> None:
    for needed_ppm, runs in ((TWO_OF_THREE_PPM, ["initial"]), (TWO_OF_THREE_PPM + 1, [])):
        homes = homes_with(initial_measured_ppm=needed_ppm)
        homes.read(FIRST_S)
        homes.step_to(FIRST_END_S)
        homes.read(FIRST_END_S, [1, 2])
        assert homes.runs(0) == runs, needed_ppm


def test_at_its_last_date_an_initial_run_falls_back_on_estimates() -> None:
    homes = late_world([3])
    assert homes.runs(0) == ["initial"]
    assert homes.positions(0).quality.tolist() == [MEASURED, MEASURED, ESTIMATED]


def test_a_correction_is_made_at_its_date_and_not_before() -> None:
    homes = late_world([3])
    homes.read(FIRST_END_S, [3])
    homes.step_to(FIRST_END_S + 2 * HOUR_S - 1)
    assert homes.runs(0) == ["initial"]
    homes.step_to(FIRST_END_S + 2 * HOUR_S)
    assert homes.runs(0) == ["initial", "correction-1"]


def test_a_correction_that_is_not_complete_enough_is_left_to_the_next_date() -> None:
    homes = late_world([1, 3])
    homes.read(FIRST_END_S, [1])
    homes.step_to(FIRST_END_S + 3 * HOUR_S - 1)
    assert homes.runs(0) == ["initial"], "one of three is still missing at the first date"
    homes.step_to(FIRST_END_S + 3 * HOUR_S)
    assert homes.runs(0) == ["initial", "correction-1"]


def test_every_slot_has_a_final_run_also_where_it_changes_nothing() -> None:
    homes = late_world([])
    homes.step_to(FIRST_END_S + 4 * HOUR_S)
    assert homes.runs(0) == ["initial", "final"]
    assert homes.runs(1) == ["initial"]
    assert homes.positions(0, "final").columns.keys() == homes.positions(0, "initial").columns.keys()
    assert homes.books_nano() == homes.last_runs_nano()


def test_after_the_final_run_a_material_change_is_a_dispute_run_at_once() -> None:
    homes = late_world([3])
    homes.step_to(FIRST_END_S + 4 * HOUR_S)
    homes.read(FIRST_END_S, [3])
    assert homes.runs(0) == ["initial", "final", "dispute-1"]
    assert homes.books_nano() == homes.last_runs_nano()


def test_a_change_below_what_is_material_makes_no_dispute_run_and_the_ledger_says_so() -> None:
    homes = homes_with(dispute_material_nano=10**18)
    homes.read(FIRST_S)
    homes.step_to(FIRST_END_S)
    homes.read(FIRST_END_S, [1, 2])
    homes.step_to(FIRST_END_S + 4 * HOUR_S)
    homes.read(FIRST_END_S, [3])
    assert homes.runs(0) == ["initial", "final"]
    (said,) = PROGRESS.must(homes.ledger.state, "z-1").immaterial
    assert (said.slot_start_s, said.time_s) == (FIRST_S, FIRST_END_S + 4 * HOUR_S)
    assert 0 < said.change_nano < 10**18
    assert homes.books_nano() == homes.last_runs_nano()


def test_once_the_slot_is_closed_nothing_changes_it() -> None:
    homes = late_world([3])
    homes.step_to(FIRST_END_S + 4 * HOUR_S)
    homes.step_to(FIRST_END_S + CLOSED_AFTER_S)
    homes.read(FIRST_END_S, [3])
    assert homes.runs(0) == ["initial", "final"]


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False), st.sets(st.integers(0, 6 * len(HOMES) - 1), max_size=8))
def test_books_are_the_last_runs_alone_under_a_calendar_too(random: Random, lost: set[int]) -> None:
    homes = homes_with(dispute_material_nano=random.choice([0, 10**7, 10**18]))
    readings = [(FIRST_S + slot * SLOT_S, number) for slot in range(6) for number in HOMES]
    delay = {reading: random.choice([0, 0, 0, 3, 9, 17]) for place, reading in enumerate(readings) if place not in lost}
    for slot in range(26):
        now_s = FIRST_S + slot * SLOT_S
        homes.step_to(now_s)
        for boundary_s, number in (reading for reading in delay if reading[0] + delay[reading] * SLOT_S == now_s):
            homes.read(boundary_s, [number])
    assert homes.books_nano() == homes.last_runs_nano()
    assert [homes.runs(slot)[0] for slot in range(6)] == ["initial"] * 6
    assert "final" in homes.runs(0)


AHEAD_S = [3_600, 7_200, 14_400]
SPANS = st.builds(
    lambda first, slots, ahead_s: Correction(first * SLOT_S, (first + slots) * SLOT_S, first * SLOT_S + ahead_s),
    st.integers(0, 60), st.integers(0, 9), st.sampled_from(AHEAD_S),
)  # fmt: skip


def due_of(spans: list[Correction]) -> dict[int, int]:
    """When each slot is due, slot by slot."""
    due: dict[int, int] = {}
    for span in spans:
        for slot in range(span.first_slot_s, span.end_s, SLOT_S):
            at_s = span.due_s + slot - span.first_slot_s
            due[slot] = min(due.get(slot, at_s), at_s)
    return due


@given(st.lists(SPANS, max_size=30))
def test_each_slot_of_the_queue_is_due_at_the_earliest_of_its_times(spans: list[Correction]) -> None:
    agenda = DatedCorrections(SLOT_S, 0, CALENDAR)
    queue: list[Correction] = []
    for span in spans:
        queue = agenda.queued(queue, [span])
    assert due_of(queue) == due_of(spans)
    assert queue == sorted(queue)
    assert sum((span.end_s - span.first_slot_s) // SLOT_S for span in queue) == len(due_of(spans)), "none overlaps"


def test_a_full_queue_loses_no_slot_and_makes_none_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_dates, "CORRECTION_SPANS_MAX", 3)
    agenda = DatedCorrections(SLOT_S, 0, CALENDAR)
    spans = [Correction(first * SLOT_S, (first + 1) * SLOT_S, first * SLOT_S + 3_600) for first in (0, 5, 6, 9, 20, 21)]
    spans[1] = spans[1]._replace(due_s=spans[1].due_s + 3_600)
    queue = agenda.queued([], spans)
    assert len(queue) == 3
    assert all(due_of(queue)[slot] <= due_s for slot, due_s in due_of(spans).items())


@given(st.integers(0, 40), st.integers(1, 30), st.integers(0, 60 * SLOT_S))
def test_what_changes_now_is_due_at_the_next_date_of_its_slot(first: int, slots: int, now_s: int) -> None:
    agenda = DatedCorrections(SLOT_S, now_s, CALENDAR)
    due = due_of(list(agenda.spans(first * SLOT_S, (first + slots) * SLOT_S)))
    assert sorted(due) == list(range(first * SLOT_S, (first + slots) * SLOT_S, SLOT_S))
    for slot, due_s in due.items():
        dates_s = [slot + SLOT_S + after_s for after_s in (2 * HOUR_S, 3 * HOUR_S, 4 * HOUR_S)]
        assert due_s == next((date_s for date_s in dates_s if date_s > now_s), dates_s[-1])


ZONE_VALUE = dict(ZONE.encode(zone(final_after_s=CLOSED_AFTER_S, metering_deadline_s=900).record))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"corrections": [[7_200, 0], [7_200, 0]]}, "the correction dates and final_run_after_s ascend"),
        ({"corrections": [[14_400, 0]]}, "the correction dates and final_run_after_s ascend"),
        ({"initial_last_after_s": 899}, "initial_last_after_s is at least metering_deadline_s 900"),
        ({"final_run_after_s": CLOSED_AFTER_S}, "final_after_s is above final_run_after_s 21600"),
        ({"initial_measured_ppm": 1_000_001}, "run_calendar is a map of"),
        ({"corrections": [[3_700 + 60 * place, 0] for place in range(17)]}, "corrections 0 to 16 pairs"),
        ({"corrections": [[7_200]]}, "pairs of"),
        ({"dispute_material_nano": -1}, "run_calendar is a map of"),
    ],
)
def test_a_calendar_that_does_not_hold_together_is_one_clear_line(changes: dict[str, Any], fault: str) -> None:
    assert ZONE.fault_of({**ZONE_VALUE, "run_calendar": CALENDAR.encode()}) == ""
    said = ZONE.fault_of({**ZONE_VALUE, "run_calendar": {**CALENDAR.encode(), **changes}})
    assert fault in said
    assert "\n" not in said


def test_a_calendar_beside_another_time_for_corrections_is_refused() -> None:
    said = ZONE.fault_of({**ZONE_VALUE, "correction_after_s": 60, "run_calendar": CALENDAR.encode()})
    assert said.startswith("correction_after_s is absent beside run_calendar")


TIMELINE = Timeline(-900, 300, 900, 86_400, final_after_s=CLOSED_AFTER_S, run_calendar=CALENDAR)


def test_the_next_run_of_a_slot_follows_from_its_dates() -> None:
    assert next_run(TIMELINE, 0, 0, []) == NextRun("initial", 900)
    assert next_run(TIMELINE, 0, HOUR_S, ["initial"]) == NextRun("correction", 2 * HOUR_S)
    assert next_run(TIMELINE, 0, 2 * HOUR_S, ["initial"]) == NextRun("correction", 3 * HOUR_S)
    assert next_run(TIMELINE, 0, 3 * HOUR_S, ["initial", "correction-1"]) == NextRun("final", 4 * HOUR_S)
    assert next_run(TIMELINE, 0, 5 * HOUR_S, ["initial", "final"]) == NextRun("dispute", None)
    assert next_run(TIMELINE, 0, CLOSED_AFTER_S, ["initial", "final"]) is None
    assert next_run(Timeline(0, 300, 900, 86_400), 0, HOUR_S, ["initial"]) == NextRun("correction", None)


def test_a_change_that_waits_is_told_with_its_date_and_a_wait_for_the_final_run_is_no_change() -> None:
    plain, queue = Timeline(-900, 300, 900, 86_400), [Correction(-900, 900, HOUR_S + 60)]
    assert [queued_s(plain, queue, slot_s) for slot_s in (-900, 0, 900)] == [HOUR_S + 60, HOUR_S + 60, None]
    assert [queued_s(TIMELINE, queue, slot_s) for slot_s in (-900, 0, 900)] == [HOUR_S + 60, HOUR_S + 960, None]

    assert next_run(plain, 0, HOUR_S, ["initial"], HOUR_S + 60) == NextRun("correction", HOUR_S + 60, has_changed=True)
    changed = next_run(TIMELINE, 0, HOUR_S, ["initial"], 2 * HOUR_S)
    assert changed == NextRun("correction", 2 * HOUR_S, has_changed=True)
    assert next_run(TIMELINE, 0, HOUR_S, ["initial"], 4 * HOUR_S) == NextRun("correction", 2 * HOUR_S)
    late = next_run(TIMELINE, 0, 5 * HOUR_S, ["initial", "final"], 5 * HOUR_S)
    assert late == NextRun("dispute", 5 * HOUR_S, has_changed=True)


def test_the_date_of_a_run_is_the_one_that_it_was_made_for() -> None:
    assert due_s_of(TIMELINE, 0, "initial", HOUR_S) == 900
    assert due_s_of(TIMELINE, 0, "correction-1", 3 * HOUR_S + 5) == 3 * HOUR_S
    assert due_s_of(TIMELINE, 0, "final", 5 * HOUR_S) == 4 * HOUR_S
    assert due_s_of(TIMELINE, 0, "dispute-1", 5 * HOUR_S) is None
    assert due_s_of(Timeline(0, 300, 900, 86_400), 0, "correction-1", HOUR_S) is None


@pytest.mark.parametrize(
    ("names", "run", "words"),
    [
        ([], None, "it falls due at 1970-01-01T00:15:00Z, ledger time is 1970-01-01T00:10:00Z"),
        (["initial"], "final", "it falls due at 1970-01-01T04:00:00Z, ledger time is 1970-01-01T00:10:00Z"),
        (["initial"], "correction-1", "the slot has initial"),
        ([], "dispute-1", "the slot has no run yet"),
    ],
)
def test_a_run_that_is_not_due_says_when_it_will_be(names: list[str], run: str | None, words: str) -> None:
    assert why_not_made(TIMELINE, WantedRun(-900, 900, run, names), 600) == words


def test_a_final_run_of_a_zone_without_a_calendar_never_comes() -> None:
    said = why_not_made(Timeline(0, 300, 900, 86_400), WantedRun(0, 900, "final", ["initial"]), 600)
    assert said == "its zone names no run_calendar, and has no final runs"
