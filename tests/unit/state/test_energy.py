"""The energy of a slot: registers that the ledger takes, and what lies between two of them (``interval_energy/2``)."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ledger.leaves.columns import Int64
from ledger.state.energy import advance_of, is_in_range
from settlement.interval_energy import interval_energy

LIMIT_WH = 400


def column(*values: int) -> Int64:
    return np.array(values, dtype=np.int64)


def test_a_drop_is_one_roll_over_and_negative_without_a_modulus() -> None:
    advance = advance_of(column(990, 990, 10), column(10, 10, 990), column(1000, 0, 0))
    assert advance.tolist() == [20, -980, 980]
    assert is_in_range(advance, column(400, 400, 980)).tolist() == [True, False, True]


@given(st.integers(0, 999), st.integers(0, LIMIT_WH), st.sampled_from([0, 1000]))
def test_energy_between_two_registers_is_what_was_used(start: int, used_wh: int, modulus_wh: int) -> None:
    end = (start + used_wh) % modulus_wh if modulus_wh else start + used_wh
    assert advance_of(column(start), column(end), column(modulus_wh)).tolist() == [used_wh]
    for sets_aside in (False, True):
        series = interval_energy([start, end], modulus_wh, LIMIT_WH, sets_aside=sets_aside)
        assert (series.energy_wh, series.quality) == ((used_wh,), ("measured",))


def test_a_dip_counts_once_where_registers_are_set_aside_and_twice_where_they_are_not() -> None:
    dip = [100, 150, 0, 250]
    once = interval_energy(dip, 0, 300, sets_aside=True)
    assert (once.energy_wh, once.quality) == ((50, -1, -1), ("measured", "suspect", "missing"))
    assert once.advances == ((1, 2, 100),)
    assert interval_energy(dip, 0, 300, sets_aside=False).energy_wh == (50, -1, 250)
