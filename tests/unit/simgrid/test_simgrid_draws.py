"""The first draws of many streams together: NumPy's own, stream by stream."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.grid.diversity import generator
from simulators.grid.draws import first_integers
from simulators.grid.households import ORDER_STREAM

SPREAD_MAX = 2**32 - 2


def drawn_one_by_one(key: tuple[int, ...], number: int, bounds: list[tuple[int, int]]) -> list[int]:
    """What a stream of its own draws first."""
    stream = generator(*key, number)
    return [int(stream.integers(low, high, endpoint=True)) for low, high in bounds]


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**63 - 1),
    slot=st.integers(0, 2**20),
    numbers=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=8),
    spreads=st.lists(st.integers(0, SPREAD_MAX), min_size=1, max_size=2),
    low=st.integers(-(2**40), 2**40),
)
def test_many_streams_draw_what_each_draws_by_itself(
    seed: int, slot: int, numbers: list[int], spreads: list[int], low: int
) -> None:
    key, bounds = (ORDER_STREAM, seed, slot), [(low, low + spread) for spread in spreads]
    highs = [(low, np.full(len(numbers), high, dtype=np.int64)) for low, high in bounds]
    found = first_integers(key, np.array(numbers, dtype=np.int64), highs)
    expected = [drawn_one_by_one(key, number, bounds) for number in numbers]
    assert [list(row) for row in zip(*(column.tolist() for column in found), strict=True)] == expected


@pytest.mark.parametrize("spread", [3 << 30, SPREAD_MAX // 2 + 3])
def test_a_draw_that_numpy_repeats_is_repeated_here(spread: int) -> None:
    key, numbers = (ORDER_STREAM, 7, 3), np.arange(200, dtype=np.int64)
    found = first_integers(key, numbers, [(0, np.full(200, spread)), (0, np.full(200, 900))])
    expected = [drawn_one_by_one(key, number, [(0, spread), (0, 900)]) for number in range(200)]
    assert np.stack(found, axis=1).tolist() == expected
