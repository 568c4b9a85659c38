"""Checked int64 columns, the largest-remainder split and the advance between registers."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from settlement import contract_kit_1 as kit

INT64 = st.integers(kit.INT64_MIN, kit.INT64_MAX)
NEAR_EDGES = st.one_of(
    INT64, st.sampled_from([kit.INT64_MIN, kit.INT64_MIN + 1, -1, 0, 1, kit.INT64_MAX - 1, kit.INT64_MAX])
)


def column(values: list[int]) -> kit.Int64Column:
    return np.array(values, dtype=np.int64)


@settings(max_examples=100, deadline=None)
@given(st.lists(NEAR_EDGES, max_size=20))
def test_sum_is_exact_at_any_size(values: list[int]) -> None:
    assert kit.exact_sum(column(values)) == sum(values)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(NEAR_EDGES, NEAR_EDGES), max_size=8))
def test_add_and_subtract_are_exact_or_refused(pairs: list[tuple[int, int]]) -> None:
    left, right = column([pair[0] for pair in pairs]), column([pair[1] for pair in pairs])
    for operation, exact in (
        (kit.add, [a + b for a, b in pairs]),
        (kit.subtract, [a - b for a, b in pairs]),
    ):
        if all(kit.is_int64(value) for value in exact):
            assert operation(left, right, "x").tolist() == exact
        else:
            with pytest.raises(kit.ContractError, match="x"):
                operation(left, right, "x")


@settings(max_examples=200, deadline=None)
@given(st.lists(NEAR_EDGES, max_size=8), st.integers(-(2**64), 2**64))
def test_multiply_is_exact_or_refused(values: list[int], factor: int) -> None:
    exact = [value * factor for value in values]
    if all(kit.is_int64(value) for value in exact):
        assert kit.multiply(column(values), factor, "x").tolist() == exact
    else:
        with pytest.raises(kit.ContractError, match="x"):
            kit.multiply(column(values), factor, "x")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(NEAR_EDGES, NEAR_EDGES), max_size=8), st.sampled_from([1, -1]))
def test_multiply_by_a_price_of_each_row_is_exact_or_refused(rows: list[tuple[int, int]], sign: int) -> None:
    values, prices = column([value for value, _ in rows]), column([price for _, price in rows])
    exact = [sign * value * price for value, price in rows]
    if all(kit.is_int64(value) for value in exact):
        assert kit.multiply(values, prices, "x", sign).tolist() == exact
    else:
        with pytest.raises(kit.ContractError, match="x"):
            kit.multiply(values, prices, "x", sign)


def test_magnitude_of_the_smallest_integer_is_not_negative() -> None:
    assert kit.magnitude(column([kit.INT64_MIN, 5])) == 2**63


@pytest.mark.parametrize(
    "bad",
    [np.zeros(2, dtype=np.int32), np.zeros(2, dtype=np.uint64), np.zeros(2), np.zeros((1, 2), dtype=np.int64)],
)
def test_column_of_another_type_or_shape_is_refused(bad: kit.Int64Column) -> None:
    with pytest.raises(kit.ContractError):
        kit.check_column(bad, "x", length=bad.size)


def split_by_definition(total: int, weights: list[int]) -> list[int]:
    """The text of the rule, in Fractions."""
    exact = [Fraction(total * weight, sum(weights)) for weight in weights]
    shares = [int(value) for value in exact]
    by_remainder = sorted(range(len(weights)), key=lambda row: (shares[row] - exact[row], row))
    for row in by_remainder[: total - sum(shares)]:
        shares[row] += 1
    return shares


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**62), st.lists(st.one_of(st.integers(0, 5), st.integers(0, 2**62)), min_size=1, max_size=12))
def test_split_follows_its_definition_at_any_size(total: int, weights: list[int]) -> None:
    if sum(weights) == 0:
        weights[0] = 1
    assert kit.largest_remainder(total, column(weights)).tolist() == split_by_definition(total, weights)


def test_hundred_among_three_is_34_33_33() -> None:
    assert kit.largest_remainder(100, column([1, 1, 1])).tolist() == [34, 33, 33]


@pytest.mark.parametrize(("total", "weights"), [(1, []), (1, [0, 0]), (-1, [1]), (1, [1, -1])])
def test_split_without_weight_or_with_a_minus_is_refused(total: int, weights: list[int]) -> None:
    with pytest.raises(kit.ContractError):
        kit.largest_remainder(total, column(weights))


def test_split_of_nothing_needs_no_weight() -> None:
    assert kit.largest_remainder(0, column([0, 0])).tolist() == [0, 0]


def test_share_outside_int64_is_refused() -> None:
    with pytest.raises(kit.ContractError, match="64-bit"):
        kit.largest_remainder(2**64, column([1]))
