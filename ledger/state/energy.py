"""From the registers of meters to energy: the one rule by which registers are taken and slots are settled (``interval_energy/2``).

Columns int64[n] of registers in Wh, 0 ... 2^63 - 1; ``modulus_wh``: where a register rolls over to 0, 0 for never.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ledger.leaves.columns import Int64

Bools = NDArray[np.bool_]


def advance_of(old_wh: Int64, new_wh: Int64, modulus_wh: Int64) -> Int64:
    """How far a register went from ``old_wh`` to ``new_wh``: a drop is one roll-over; negative where it cannot be one."""
    raw = new_wh - old_wh  # both are in [0, 2^63), and a drop is smaller than its modulus: neither step leaves int64
    return raw + np.where(raw < 0, modulus_wh, 0)


def is_in_range(advance_wh: Int64, most_wh: Int64) -> Bools:
    """Whether an advance can be energy: 0 <= advance <= most, the limit of each slot times the slots it covers.

    A register whose advance is not in range is set aside, and the one before it stays the reference for the next.
    """
    return (advance_wh >= 0) & (advance_wh <= most_wh)
