"""Shapes of parts of gaps: counted by days, they are what a count slot by slot gives."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from itertools import accumulate
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ledger.state import part_shapes
from ledger.state.local_days import LocalDay
from ledger.state.part_shapes import days_between, place_of, places_of, shapes_of

SLOT_S = 3_600
FIRST_S = 20_000 * 86_400
HOURS = st.lists(st.sampled_from([24, 23, 25, 23.5, 24.5]), min_size=12, max_size=12)
"""Lengths of local days; in some countries clocks are put by half an hour."""


def day_in(begins: list[int], time_s: int) -> LocalDay | None:
    """The local day of a list of begins that holds an instant."""
    place = bisect_right(begins, time_s)
    return LocalDay(*begins[place - 1 : place + 1]) if place else None


def counted(begins: list[int], start_s: int, end_s: int, here_s: int) -> tuple[Counter[Any], Counter[Any], Any]:
    """Slot by slot: how many slots a part has of each place and as many seconds, how many before one slot, and what that slot is."""
    slots, earlier, here = Counter[Any](), Counter[Any](), None
    for time_s in range(start_s // SLOT_S * SLOT_S, end_s, SLOT_S):
        day = day_in(begins, time_s)
        covered_s = min(time_s + SLOT_S, end_s) - max(time_s, start_s)
        key = (None if day is None else (day.is_weekend, time_s - day.start_s), covered_s)
        slots[key] += 1
        earlier[key] += time_s < here_s
        here = key if time_s == here_s else here
    return slots, +earlier, here


@given(
    st.integers(0, 30),
    st.sampled_from([0, 1_800]),
    HOURS,
    st.integers(0, 200),
    st.lists(st.tuples(st.integers(0, 300_000), st.integers(1, 300_000)), min_size=1, max_size=4),
)
def test_slots_of_parts_counted_by_days_are_those_of_a_count_slot_by_slot(
    skipped: int, offset_s: int, hours: list[float], at: int, reaches: list[tuple[int, int]]
) -> None:
    """Parts around one slot, which may begin before the calendar's first day and anywhere in a slot."""
    begins = list(accumulate([int(hour * 3_600) for hour in hours], initial=FIRST_S + skipped * SLOT_S + offset_s))
    here_s = min(FIRST_S + at * SLOT_S, begins[-1] - 400_000)
    here_s = here_s // SLOT_S * SLOT_S
    start_s = np.array([here_s + SLOT_S - 1 - before for before, _ in reaches])
    end_s = np.maximum(start_s, here_s) + np.array([after for _, after in reaches])
    draft: Any = SimpleNamespace(slot_s=SLOT_S)
    with patch.object(part_shapes, "day_of", lambda _draft, _calendar, time_s: day_in(begins, time_s)):
        days = days_between(draft, "c", int(start_s.min()), int(end_s.max()))
    places = places_of(days, int(end_s.max()))
    shapes = shapes_of(days, places, (start_s, end_s), here_s)
    found, expected = [], []
    for row, (begin_s, until_s) in enumerate(zip(start_s.tolist(), end_s.tolist(), strict=True)):
        numbers = [*places.tolist(), *places[shapes.edges[:, row]].tolist()]
        keys = [
            (place_of(number), int(covered_s))
            for number, covered_s in zip(numbers, shapes.covered_s[:, row], strict=True)
        ]
        slots, earlier = Counter[Any](), Counter[Any]()
        for group, key in enumerate(keys):
            slots[key] += int(shapes.slots[group, row])
            earlier[key] += int(shapes.earlier[group, row])
        found.append((+slots, +earlier, keys[int(shapes.here[row])]))
        expected.append(counted(begins, begin_s, until_s, here_s))
    assert found == expected
