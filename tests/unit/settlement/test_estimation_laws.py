"""Estimates of many points at once: each is the estimate of its point alone, and no energy appears or is lost."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.state.estimates import MISSING
from settlement.contract_kit_1 import largest_remainder
from settlement.errors import SettlementError
from settlement.estimation import estimate_open, estimate_profile
from settlement.split import spread
from tests.slow.split import split_by_weight

I64_MAX = 2**63 - 1
ENERGIES = st.one_of(st.integers(0, 1000), st.integers(0, I64_MAX))


@st.composite
def reference_days(draw: st.DrawFn, rows: int) -> list[list[int]]:
    """At least one day has each slot."""
    days = draw(st.lists(st.lists(st.just(MISSING) | ENERGIES, min_size=rows, max_size=rows), max_size=3))
    return [*days, draw(st.lists(ENERGIES, min_size=rows, max_size=rows))]


@given(st.data(), st.integers(1, 6), ENERGIES)
def test_an_open_gap_is_the_floored_mean_of_the_days_that_have_the_slot(
    data: st.DataObject, rows: int, limit: int
) -> None:
    days = data.draw(reference_days(rows))
    estimated = estimate_open(np.array(days, dtype=np.int64), np.full(rows, limit, dtype=np.int64))
    present = [[day[row] for day in days if day[row] != MISSING] for row in range(rows)]
    assert estimated.tolist() == [min(floor(Fraction(sum(values), len(values))), limit) for values in present]


@given(
    st.data(), st.lists(st.tuples(ENERGIES, st.lists(st.booleans(), min_size=3, max_size=3)), min_size=1, max_size=4)
)
def test_closed_gaps_of_many_points_are_those_of_each_alone_split_by_largest_remainder(
    data: st.DataObject, gaps: list[tuple[int, list[bool]]]
) -> None:
    rests = [rest if any(is_missing) else 0 for rest, is_missing in gaps]
    is_missing = np.array([missing for _, missing in gaps], dtype=np.bool_)
    days = np.array(data.draw(reference_days(is_missing.size)), dtype=np.int64).reshape(-1, *is_missing.shape)
    together = estimate_profile(np.array(rests, dtype=np.int64), days, is_missing)
    assert together.shape == is_missing.shape
    for gap, rest in enumerate(rests):
        slots = np.flatnonzero(is_missing[gap])
        of_days = [[value for value in days[:, gap, slot].tolist() if value != MISSING] for slot in slots]
        weights = [sum(values) for values in of_days]
        alone = split_by_weight(rest, weights if any(weights) else [1] * len(weights))
        assert together[gap, slots].tolist() == alone
        assert sum(map(int, together[gap].tolist())) == rest


@given(ENERGIES, st.integers(1, 200))
def test_a_spread_energy_keeps_its_sum_and_no_part_is_a_unit_off(energy: int, parts: int) -> None:
    values = spread(energy, parts)
    assert (len(values), sum(values)) == (parts, energy)
    assert all(abs(value - Fraction(energy, parts)) < 1 for value in values)


@given(st.integers(0, 10**6), st.lists(st.integers(0, 10**6), min_size=1, max_size=20).filter(any))
def test_the_split_in_python_integers_is_that_of_the_contracts(total: int, weights: list[int]) -> None:
    assert split_by_weight(total, weights) == largest_remainder(total, np.array(weights, dtype=np.int64)).tolist()


def test_an_estimate_without_a_ground_is_refused_by_row_or_point() -> None:
    none, is_missing = np.full((1, 2), MISSING, dtype=np.int64), np.array([[True, True], [False, False]])
    limits = np.array([5, 5], dtype=np.int64)
    with pytest.raises(SettlementError, match="row 0: no reference day"):
        estimate_open(none, limits)
    with pytest.raises(SettlementError, match=r"limit_wh\[0\] is negative"):
        estimate_open(none, -limits)
    with pytest.raises(SettlementError, match="day 0, row 0: a negative energy"):
        estimate_open(none - 1, limits)
    no_days = np.full((1, 2, 2), MISSING, dtype=np.int64)
    with pytest.raises(SettlementError, match="gap 0: more was measured"):
        estimate_profile(np.array([-1, 0], dtype=np.int64), no_days, is_missing)
    with pytest.raises(SettlementError, match="gap 1: 3 Wh are left over"):
        estimate_profile(np.array([4, 3], dtype=np.int64), no_days, is_missing)
    with pytest.raises(SettlementError, match="negative"):
        split_by_weight(-1, [1])
