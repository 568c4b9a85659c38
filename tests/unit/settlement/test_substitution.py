"""Registers out of stated energies: their sum is right to less than a step, they begin again where the meter's do, and what goes too far is said."""

from __future__ import annotations

from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement.errors import SettlementError
from settlement.substitution import Shows, registers_after, surplus_wh

ENERGIES = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 10_000)), min_size=1, max_size=20)


@given(ENERGIES, st.integers(1, 200), st.integers(0, 10**6))
def test_registers_follow_the_sums_and_are_off_by_less_than_a_step(
    energies: list[tuple[int, int]], ratio: int, before_wh: int
) -> None:
    found = registers_after((before_wh, 0), energies, Shows(ratio, 0))
    for side, start_wh in ((0, before_wh), (1, 0)):
        shown = [start_wh, *(registers[side] for registers in found)]
        sums = list(accumulate(energy[side] for energy in energies))
        assert all(a <= b for a, b in pairwise(shown))
        off = [total - (after - start_wh) * ratio for total, after in zip(sums, shown[1:], strict=True)]
        assert all(0 <= one < ratio for one in off)


def test_a_register_begins_again_at_its_modulus() -> None:
    assert registers_after((990, 5), [(20, 0), (5, 1)], Shows(1, 1_000)) == [(10, 5), (15, 6)]


def test_an_energy_below_zero_is_refused_with_its_slot() -> None:
    with pytest.raises(SettlementError, match="slot 2: an energy is -1 Wh"):
        registers_after((0, 0), [(1, 0), (0, -1)], Shows(1, 0))


def test_what_goes_beyond_the_next_register_is_told_in_primary_energy() -> None:
    assert surplus_wh((103, 7), (100, 9), Shows(40, 0)) == 120
    assert surplus_wh((100, 9), (100, 9), Shows(40, 0)) == 0
    assert surplus_wh((103, 7), (100, 9), Shows(40, 1_000)) == 0
