"""The energy that a run settles is that of ``interval_energy/1``, for registers that the ledger took."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ledger.state.runs import energy_of
from settlement.interval_energy import interval_energy

LIMIT_WH = 400


@given(st.integers(0, 999), st.integers(0, LIMIT_WH), st.sampled_from([0, 1000]), st.integers(1, 10_000))
def test_energy_between_registers_in_range_is_that_of_the_readable_form(
    start: int, used_wh: int, modulus_wh: int, ratio: int
) -> None:
    end = (start + used_wh) % modulus_wh if modulus_wh else start + used_wh
    known = interval_energy([start, end], modulus_wh, LIMIT_WH)
    columns = [np.array([value], dtype=np.int64) for value in (start, end, modulus_wh, ratio)]
    assert energy_of(*columns).tolist() == [known.energy_wh[0] * ratio] == [used_wh * ratio]
