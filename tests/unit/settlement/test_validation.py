"""Energies that are hardly meant: at and beyond each threshold, and against a slow search that says the rules in plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement.validation import ABSENT, DAY_S, Mark, Measured, Rule, Thresholds, marks_of

SLOT_S = 3600
DAY = DAY_S // SLOT_S
LIMITS = Thresholds(history_days=2, spike_w_min=0, zero_run_s=3 * SLOT_S)
USUAL_WH = 100


def measured(imports: list[list[int]], exports: list[list[int]] | None = None) -> Measured:
    """One list of slots for each point, in days of 24 slots."""
    taken = np.array(imports, dtype=np.int32).T
    given_wh = np.zeros_like(taken) if exports is None else np.array(exports, dtype=np.int32).T
    return Measured(taken, given_wh, np.arange(0, len(taken), DAY), SLOT_S)


def days(*last: int, of: int = 2) -> list[int]:
    """Some days of usual energy, and behind them the slots of the last one."""
    return [USUAL_WH] * (of * DAY) + [*last, *[USUAL_WH] * (DAY - len(last))]


def test_a_slot_is_a_spike_above_the_percentage_and_not_at_it() -> None:
    at, above = days(USUAL_WH * 280 // 100), days(USUAL_WH * 280 // 100 + 1)
    assert marks_of(measured([at, above]), LIMITS) == [Mark(Rule.SPIKE, 1, 2 * DAY, 1, False, 281, USUAL_WH)]


def test_two_spikes_do_not_hide_each_other_and_a_load_that_stays_is_none() -> None:
    twice, thrice = days(900, 800), days(900, 800, 850)
    found = marks_of(measured([twice, thrice]), LIMITS)
    assert [(mark.point, mark.first - 2 * DAY, mark.energy_wh) for mark in found] == [(0, 0, 900), (0, 1, 800)]


def test_a_slot_of_little_power_is_no_spike() -> None:
    limits = LIMITS._replace(spike_w_min=900)
    assert marks_of(measured([days(899)]), limits) == []
    assert [mark.energy_wh for mark in marks_of(measured([days(900)]), limits)] == [900]


@pytest.mark.parametrize(("slots", "is_marked"), [(2, False), (3, True)])
def test_zeros_are_marked_from_the_shortest_run_on(slots: int, is_marked: bool) -> None:
    found = marks_of(measured([days(*[0] * slots)]), LIMITS)
    assert found == ([Mark(Rule.ZERO_RUN, 0, 2 * DAY, slots, False, 0, slots * USUAL_WH)] if is_marked else [])


@pytest.mark.parametrize(("slots", "is_marked"), [(16, False), (17, True)])
def test_a_run_of_zeros_is_marked_beyond_twice_the_longest_of_the_days_before(slots: int, is_marked: bool) -> None:
    night = [0] * 8 + [USUAL_WH] * 16
    found = marks_of(measured([[*night, *night, *[0] * slots, *[USUAL_WH] * (DAY - slots)]]), LIMITS)
    assert [mark.slots for mark in found] == ([slots] if is_marked else [])


def test_zeros_that_began_the_day_before_are_told_with_that_day_and_with_this_one() -> None:
    column = [*days(), *[USUAL_WH] * 20, *[0] * 8, *[USUAL_WH] * 20]
    of_days = [marks_of(measured([column]), LIMITS, first_day=day) for day in (3, 4)]
    assert [[(mark.first, mark.slots) for mark in found] for found in of_days] == [[(3 * DAY + 20, 8)]] * 2


def test_a_point_without_energy_before_has_no_run_of_zeros() -> None:
    assert marks_of(measured([[0] * (3 * DAY)]), LIMITS) == []


@pytest.mark.parametrize(("export_wh", "is_marked"), [(99, False), (100, True)])
def test_a_point_that_gives_for_the_first_time_is_marked_from_the_threshold_on(export_wh: int, is_marked: bool) -> None:
    exports = [0] * (2 * DAY + 5) + [export_wh - 40, 40] + [0] * (DAY - 7)
    found = marks_of(measured([days()], [exports]), LIMITS)
    expected = Mark(Rule.NEW_DIRECTION, 0, 2 * DAY + 5, 2, True, export_wh, 0)
    assert found == ([expected] if is_marked else [])


def test_what_was_not_measured_is_neither_judged_nor_compared_with() -> None:
    """Of the point's days before, less than a day is known: nobody can say what is usual."""
    column = days(5_000, 0, 0, 0, 0)
    column[: DAY + 2] = [ABSENT] * (DAY + 2)
    assert marks_of(measured([column]), LIMITS) == []
    column[DAY : DAY + 2] = [USUAL_WH] * 2
    assert {mark.rule for mark in marks_of(measured([column]), LIMITS)} == {Rule.SPIKE, Rule.ZERO_RUN}


def test_of_no_points_nothing_is_marked() -> None:
    assert marks_of(Measured(np.zeros((0, 0)), np.zeros((0, 0)), np.zeros(0), SLOT_S), LIMITS) == []  # type: ignore[arg-type]


ENERGIES = st.sampled_from([ABSENT, 0, 0, 0, 30, 100, 100, 120, 300, 900])
COLUMN = st.lists(ENERGIES, min_size=8, max_size=30)


@given(st.lists(st.tuples(COLUMN, COLUMN), min_size=1, max_size=2), st.integers(0, 3), st.integers(1, 3))
def test_marks_are_those_of_a_search_slot_by_slot(
    drawn: list[tuple[list[int], list[int]]], first_day: int, history: int
) -> None:
    """Days of four slots of six hours: small enough to have many of them."""
    slots = min(len(side) for both in drawn for side in both)
    slot_s = 21_600
    taken, given_wh = ([both[side][:slots] for both in drawn] for side in (0, 1))
    starts = list(range(0, slots, 4))
    limits = Thresholds(history_days=history, spike_w_min=20, zero_run_s=2 * slot_s, new_direction_wh=100)
    imports, exports = (np.array(side, dtype=np.int64).T for side in (taken, given_wh))
    first_day = min(first_day, len(starts) - 1)
    found = marks_of(Measured(imports, exports, np.array(starts), slot_s), limits, first_day)
    expected = [
        mark
        for point in range(len(drawn))
        for mark in searched(point, taken[point], given_wh[point], starts, limits, first_day)
    ]
    assert found == sorted(expected, key=lambda mark: (mark.first, mark.point, mark.rule, mark.is_export))


def searched(
    point: int, taken: list[int], given_wh: list[int], starts: list[int], limits: Thresholds, first_day: int
) -> list[Mark]:
    """The three rules of one point, days of four slots."""
    known = [a >= 0 and b >= 0 for a, b in zip(taken, given_wh, strict=True)]
    found = []
    for day in range(first_day, len(starts)):
        begin, end = starts[day], min(starts[day] + 4, len(taken))
        before = range(max(begin - 4 * limits.history_days, 0), begin)
        if sum(known[slot] for slot in before) < 4:
            continue
        for is_export, own, other in ((False, taken, given_wh), (True, given_wh, taken)):
            told = sorted(own[slot] for slot in (*before, *range(begin, end)) if known[slot])
            usual = told[-3] if len(told) >= 3 else 0
            for slot in range(begin, end):
                if known[slot] and usual and own[slot] * 10 > usual * 28 and own[slot] * 3600 >= 20 * 21_600:
                    found.append(Mark(Rule.SPIKE, point, slot, 1, is_export, own[slot], usual))
            of_day = [slot for slot in range(begin, end) if known[slot] and own[slot]]
            energy_wh = sum(own[slot] for slot in of_day)
            is_new = not any(own[slot] for slot in before if known[slot])
            if energy_wh >= 100 and is_new and any(other[slot] for slot in before if known[slot]):
                found.append(Mark(Rule.NEW_DIRECTION, point, of_day[0], len(of_day), is_export, energy_wh, 0))
    is_zero = [a == b == 0 for a, b in zip(taken, given_wh, strict=True)]
    for first in range(len(taken)):
        if not is_zero[first] or (first and is_zero[first - 1]):
            continue
        end = next((slot for slot in range(first, len(taken)) if not is_zero[slot]), len(taken))
        before = range(max(first - 4 * limits.history_days, 0), first)
        longest = length = 0
        for slot in before:
            length = length + 1 if is_zero[slot] else 0
            longest = max(longest, length)
        count = sum(known[slot] for slot in before)
        taken_wh, export_wh = (sum(side[slot] for slot in before if known[slot]) for side in (taken, given_wh))
        is_usual = end - first <= 2 * longest
        if end > starts[first_day] and end - first >= 2 and count >= 4 and taken_wh + export_wh and not is_usual:
            usual = (taken_wh + export_wh) * (end - first) // count
            found.append(Mark(Rule.ZERO_RUN, point, first, end - first, export_wh > taken_wh, 0, usual))
    return found
