"""Estimates of energy in series that come as files, checked first (``estimate_open/1``, ``estimate_profile/1`` of the vectors).

The ledger estimates by the same code, ``ledger.state.estimates``. A row is one missing slot, or one gap, of one point.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ledger.state import estimates
from settlement.contract_kit_1 import Int64Column
from settlement.errors import SettlementError


def estimate_open(reference_wh: NDArray[np.int64], limit_wh: Int64Column) -> Int64Column:
    """Estimates while no register after the gap is known: the mean of the reference days, at most the limit.

    ``reference_wh`` int64[days, n]: per day the energy of each row's slot, MISSING where the day has none; ``limit_wh``
    int64[n] >= 0: the most each slot can hold. SettlementError for a negative value or limit, and for a row that no day has.
    """
    _check_reference(reference_wh)
    if limit_wh.size and int(limit_wh.min()) < 0:
        raise SettlementError(f"limit_wh[{int(np.argmin(limit_wh))}] is negative")
    has_day = (reference_wh != estimates.MISSING).any(axis=0)
    if not has_day.all():
        raise SettlementError(f"row {int(np.argmin(has_day))}: no reference day has its slot")
    return estimates.estimate_open(reference_wh, limit_wh)


def estimate_profile(
    rest_wh: Int64Column, reference_wh: NDArray[np.int64], is_missing: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Estimates of closed gaps: what the registers around a gap leave over, split in the shape of the reference days.

    ``rest_wh`` int64[n]: per gap its advance less what was measured inside; ``reference_wh`` int64[days, n, slots] and
    ``is_missing`` bool[n, slots] as in ``ledger.state.estimates``. int64[n, slots] whose sum per gap is its rest.
    SettlementError for a negative value or rest, and for a positive rest of a gap without a missing slot.
    """
    _check_reference(reference_wh)
    has_slot: NDArray[np.bool_] = np.any(is_missing, axis=1)
    for gap, rest in enumerate(rest_wh.tolist()):
        if rest < 0:
            raise SettlementError(f"gap {gap}: more was measured than its advance, by {-rest} Wh")
        if rest and not has_slot[gap]:
            raise SettlementError(f"gap {gap}: {rest} Wh are left over and no slot is missing")
    estimated_wh = np.zeros(is_missing.shape, dtype=np.int64)
    estimated_wh[has_slot] = estimates.estimate_profile(
        rest_wh[has_slot], reference_wh[:, has_slot], is_missing[has_slot]
    )
    return estimated_wh


def _check_reference(reference_wh: NDArray[np.int64]) -> None:
    if reference_wh.size and int(reference_wh.min()) < estimates.MISSING:
        day, *place = np.unravel_index(int(np.argmin(reference_wh)), reference_wh.shape)
        raise SettlementError(f"reference day {day}, row {place[0]}: a negative energy")
