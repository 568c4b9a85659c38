"""Where the nearest values of rows stand: as a look through all boundaries finds it, and what a block knows is not looked for again."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcore.quality import ABSENT_QUALITY, MEASURED
from ledger.leaves.family import Value
from ledger.leaves.registers import REGISTERS
from ledger.state.nearest import AFTER, BEFORE, NONE, NearestValues, Place

SLOT_S = 900
ROWS = 3
ALL = np.arange(ROWS)


class Values:
    """Leaves in which rows of one chunk have values at numbered boundaries; counts what is looked at."""

    def __init__(self) -> None:
        self.at: dict[int, set[int]] = {}
        self.looked = 0

    def get(self, key: str) -> Value | None:
        """See Leaves."""
        self.looked += 1
        rows = self.at.get(int(REGISTERS.names(key)[0]) // SLOT_S)
        if rows is None:
            return None
        return {"quality": bytes(MEASURED if row in rows else ABSENT_QUALITY for row in range(ROWS))}

    def load_together(self, keys: Iterable[str]) -> None:
        """See Leaves."""

    def nearest(self, row: int, boundary: int, direction: int, reach: int) -> int:
        """What a look through all of them finds."""
        for step in range(1, reach + 1):
            if row in self.at.get(boundary + direction * step, ()):
                return (boundary + direction * step) * SLOT_S
        return NONE


def find(nearest: NearestValues, values: Values, boundary: int, direction: int, reach: list[int]) -> list[int]:
    """The nearest values of all rows, each searched for as far as it reaches."""
    boundary_s = boundary * SLOT_S
    furthest_s = boundary_s + direction * np.array(reach) * SLOT_S
    found: list[int] = nearest.find(values, Place("z", 0, ALL), boundary_s, direction, SLOT_S, furthest_s).tolist()
    return found


SEARCH = st.tuples(
    st.integers(20, 40), st.sampled_from([BEFORE, AFTER]), st.lists(st.integers(0, 12), min_size=ROWS, max_size=ROWS)
)
WRITE = st.tuples(st.integers(10, 50), st.sets(st.integers(0, ROWS - 1), min_size=1))


@given(st.lists(WRITE, max_size=4), st.lists(st.one_of(SEARCH, WRITE), max_size=25))
def test_whatever_was_found_and_written_before_the_nearest_values_are_those_of_a_look_through_all(
    first: list[tuple[int, set[int]]], steps: list[tuple[int, int, list[int]] | tuple[int, set[int]]]
) -> None:
    values, nearest = Values(), NearestValues()
    for boundary, rows in first:
        values.at.setdefault(boundary, set()).update(rows)
    found, expected = [], []
    for step in steps:
        if len(step) == 2:
            values.at.setdefault(step[0], set()).update(step[1])
            nearest.note_written(Place("z", 0, np.array(sorted(step[1]))), step[0] * SLOT_S)
        else:
            found.append(find(nearest, values, *step))
            expected.append([values.nearest(row, step[0], step[1], reach) for row, reach in enumerate(step[2])])
    assert found == expected


@pytest.mark.parametrize("direction", [BEFORE, AFTER])
def test_where_nothing_was_found_the_next_slots_look_at_two_boundaries_each(direction: int) -> None:
    values, nearest = Values(), NearestValues()
    assert find(nearest, values, 10_000, direction, [4_320] * ROWS) == [NONE] * ROWS
    assert values.looked == 4_320
    for later in range(1, 101):
        assert find(nearest, values, 10_000 + later, direction, [4_320] * ROWS) == [NONE] * ROWS
    assert values.looked <= 4_320 + 2 * 100


def test_a_value_behind_what_was_looked_through_is_found_without_looking_through_it_again() -> None:
    values, nearest = Values(), NearestValues()
    find(nearest, values, 10_000, BEFORE, [1_000] * ROWS)
    values.at[8_990] = {1}
    looked = values.looked
    assert find(nearest, values, 10_000, BEFORE, [1_020] * ROWS) == [NONE, 8_990 * SLOT_S, NONE]
    assert values.looked <= looked + 1 + 20
