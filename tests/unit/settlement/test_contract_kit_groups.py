"""Rows of several areas in one column: sums and splits are those of each area alone, at any size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from settlement.contract_kit_1 import INT64_MAX, ContractError, Groups, largest_remainder

AREAS = 3


def column(values: list[int]) -> NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


ROWS = st.lists(st.tuples(st.integers(0, AREAS - 1), st.integers(0, 10)), max_size=12)
WIDE = st.lists(st.tuples(st.integers(0, AREAS - 1), st.integers(-(2**63), 2**63 - 1)), max_size=12)


@given(WIDE)
@settings(max_examples=100, deadline=None)
def test_sums_are_exact_area_by_area(rows: list[tuple[int, int]]) -> None:
    groups = Groups(column([area for area, _ in rows]), AREAS)
    expected = [sum(value for of, value in rows if of == area) for area in range(AREAS)]
    assert groups.sums(column([value for _, value in rows])) == expected


@given(WIDE, st.data())
@settings(max_examples=100, deadline=None)
def test_sums_of_products_are_exact_area_by_area(rows: list[tuple[int, int]], data: st.DataObject) -> None:
    price = st.integers(-(2**63), 2**63 - 1) | st.integers(-9, 9)
    prices = data.draw(st.lists(price, min_size=len(rows), max_size=len(rows)))
    groups, values = Groups(column([area for area, _ in rows]), AREAS), column([value for _, value in rows])
    priced = list(zip(rows, prices, strict=True))
    expected = [sum(value * own for (of, value), own in priced if of == area) for area in range(AREAS)]
    assert groups.product_sums(values, column(prices)) == expected
    (one,) = data.draw(st.lists(price, min_size=1, max_size=1))
    assert groups.product_sums(values, one) == [one * total for total in groups.sums(values)]


@given(ROWS, st.lists(st.integers(0, 100), min_size=AREAS, max_size=AREAS), st.sampled_from([1, 2**40]))
@settings(max_examples=200, deadline=None)
def test_split_is_that_of_each_area_alone(rows: list[tuple[int, int]], totals: list[int], scale: int) -> None:
    areas, weights = column([area for area, _ in rows]), column([weight * scale for _, weight in rows])
    groups = Groups(areas, AREAS)
    own = [np.flatnonzero(areas == area) for area in range(AREAS)]
    large = [total * scale if int(weights[rows_of].sum()) else 0 for total, rows_of in zip(totals, own, strict=True)]
    expected = [largest_remainder(total, weights[rows_of]).tolist() for total, rows_of in zip(large, own, strict=True)]
    shares = groups.split(large, weights)
    assert [shares[rows_of].tolist() for rows_of in own] == expected


def test_a_total_without_weights_and_a_negative_one_are_refused() -> None:
    groups = Groups(column([0, 1]), 2)
    for totals, weights in (([1, 1], [1, 0]), ([1, -1], [1, 1]), ([INT64_MAX, 1], [2, 0])):
        with pytest.raises(ContractError):
            groups.split(totals, column(weights))
