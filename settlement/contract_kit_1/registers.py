"""From two cumulative registers to the energy between them, for a whole column of meters at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from settlement.contract_kit_1.columns import INT64_MAX, Int64Column, check_column
from settlement.contract_kit_1.errors import ContractError

MISSING = -1
"""What a missing register, and the energy that cannot be known from it, are written as. Never 0."""


def advance(
    start_wh: Int64Column, end_wh: Int64Column, modulus_wh: Int64Column, limit_wh: Int64Column, *, slots: int = 1
) -> tuple[Int64Column, NDArray[np.bool_]]:
    """Energy between two boundaries that lie ``slots`` slots apart: (energy_wh int64[n], ok bool[n]).

    ``start_wh`` and ``end_wh``: registers at the two boundaries, MISSING (-1) where there is none; ``modulus_wh``: the
    value at which the register rolls over to 0, 0 for a register that never does; ``limit_wh``: the largest plausible
    energy per slot. advance = end - start, + modulus where it dropped and modulus > 0; ok where both registers are
    present and 0 <= advance <= slots x limit. Where not ok the energy is MISSING (``interval_energy/1`` tells missing
    from suspect by whether the registers are present). ContractError for a register below -1 or at or above a
    modulus > 0, a negative modulus or limit, and ``slots`` < 1.
    """
    if slots < 1:
        raise ContractError(f"two boundaries are at least one slot apart, not {slots}")
    rows = start_wh.size
    check_column(modulus_wh, "modulus_wh", length=rows, minimum=0)
    check_column(limit_wh, "limit_wh", length=rows, minimum=0)
    for column, name in ((start_wh, "start_wh"), (end_wh, "end_wh")):
        check_column(column, name, length=rows, minimum=MISSING)
        beyond = (modulus_wh > 0) & (column >= modulus_wh)
        if bool(beyond.any()):
            row = int(np.argmax(beyond))
            raise ContractError(f"{name}[{row}] is {int(column[row])}, at or above its modulus {int(modulus_wh[row])}")
    present = (start_wh >= 0) & (end_wh >= 0)
    # both registers are in [0, 2^63), and a drop is smaller than the modulus: neither step can leave int64
    difference = np.where(present, end_wh, 0) - np.where(present, start_wh, 0)
    energy: Int64Column = difference + np.where(difference < 0, modulus_wh, 0)
    plausible = limit_wh if slots == 1 else np.minimum(limit_wh, INT64_MAX // slots) * slots
    ok: NDArray[np.bool_] = present & (energy >= 0) & (energy <= plausible)
    if slots > 1:
        # a limit so large that slots x limit leaves int64 bounds nothing that an int64 register can show
        ok |= present & (energy >= 0) & (limit_wh > INT64_MAX // slots)
    return np.where(ok, energy, MISSING), ok
