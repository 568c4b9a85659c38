"""Energy of slots that no register tells: estimates of an open gap, of a closed one, and one advance spread evenly.

``estimate_open/1``, ``estimate_profile/1`` and ``spread/1`` of the conformance vectors. A row is one missing slot of one
point, so that many points are estimated at once; reference days are earlier days like the one that is estimated.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from settlement.contract_kit_1 import INT64_MAX, Groups, Int64Column, magnitude
from settlement.errors import SettlementError
from settlement.split import split_by_weight

MISSING = -1
"""What a reference day holds for a slot that it does not have."""


def estimate_open(reference_wh: NDArray[np.int64], limit_wh: Int64Column) -> Int64Column:
    """Estimates while no register after the gap is known: the mean of the reference days, at most the limit.

    ``reference_wh`` int64[days, n]: per day the energy of each row's slot, MISSING where the day has none; ``limit_wh``
    int64[n] >= 0: the most each slot can hold. int64[n]: floor of the mean over the days that have the slot, exact at any
    size. SettlementError for a negative value or limit, and for a row that no day has.
    """
    _check_reference(reference_wh)
    if limit_wh.size and int(limit_wh.min()) < 0:
        raise SettlementError(f"limit_wh[{int(np.argmin(limit_wh))}] is negative")
    is_present = reference_wh != MISSING
    days: Int64Column = is_present.sum(axis=0, dtype=np.int64)
    if days.size and int(days.min()) == 0:
        raise SettlementError(f"row {int(np.argmin(days))}: no reference day has its slot")
    present_wh = np.where(is_present, reference_wh, 0)
    # quotients and remainders apart: neither sum can leave int64, the sum of the days themselves could
    mean_wh = (present_wh // days).sum(axis=0) + (present_wh % days).sum(axis=0) // days
    estimated_wh: Int64Column = np.minimum(mean_wh, limit_wh)
    return estimated_wh


def estimate_profile(points: Groups, rest_wh: Sequence[int], reference_wh: NDArray[np.int64]) -> Int64Column:
    """Estimates of closed gaps: what the registers around a gap leave over, split in the shape of the reference days.

    ``points``: the point of each row, rows of a point by slot; ``rest_wh``: per point its advance less what was measured
    inside; ``reference_wh`` int64[days, n] as in ``estimate_open``, MISSING adds 0. int64[n] whose sum per point is its
    rest: split by largest remainder, ties to the lower row; a point whose days sum to 0 is split evenly. Exact at any
    size. SettlementError for a negative value or rest, and for a positive rest of a point without rows.
    """
    _check_reference(reference_wh)
    rows = points.sums(np.ones(points.of_row.size, dtype=np.int64))
    for point, (rest, count) in enumerate(zip(rest_wh, rows, strict=True)):
        if rest < 0:
            raise SettlementError(f"point {point}: more was measured than its advance, by {-rest} Wh")
        if rest and not count:
            raise SettlementError(f"point {point}: {rest} Wh are left over and no slot is missing")
    present_wh = np.where(reference_wh == MISSING, 0, reference_wh)
    if magnitude(present_wh.reshape(-1)) * len(present_wh) > INT64_MAX:
        return _profile_exact(points, rest_wh, present_wh)
    weights: Int64Column = present_wh.sum(axis=0, dtype=np.int64)
    has_shape = np.array([total > 0 for total in points.sums(weights)], dtype=np.bool_)
    return points.split(rest_wh, np.where(has_shape[points.of_row], weights, 1))


def spread(energy_wh: int, parts: int) -> list[int]:
    """One energy over ``parts`` equal slots in whole Wh: each rounded half up, what rounding took or gave carried on.

    The sum is kept. SettlementError for less than one part and for a negative energy.
    """
    if parts < 1:
        raise SettlementError(f"energy cannot be spread over {parts} parts")
    if energy_wh < 0:
        raise SettlementError(f"the energy to spread must not be negative: {energy_wh}")
    # with the residue carried on, the first i values sum to i x energy / parts, rounded half up
    running = [(2 * part * energy_wh + parts) // (2 * parts) for part in range(parts + 1)]
    return [after - before for before, after in pairwise(running)]


def _check_reference(reference_wh: NDArray[np.int64]) -> None:
    if reference_wh.size and int(reference_wh.min()) < MISSING:
        day, row = np.unravel_index(int(np.argmin(reference_wh)), reference_wh.shape)
        raise SettlementError(f"reference day {day}, row {row}: a negative energy")


def _profile_exact(points: Groups, rest_wh: Sequence[int], present_wh: NDArray[np.int64]) -> Int64Column:
    """The same in Python integers, point by point, for sums of days that int64 cannot hold."""
    weights = [sum(of_days) for of_days in present_wh.T.tolist()]
    estimated_wh = np.zeros_like(points.of_row)
    for point, rest in enumerate(rest_wh):
        rows = np.flatnonzero(points.of_row == point)
        of_point = [weights[row] for row in rows.tolist()]
        estimated_wh[rows] = split_by_weight(rest, of_point if any(of_point) else [1] * len(of_point))
    return estimated_wh
