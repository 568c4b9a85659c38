"""Energy of slots that no register tells: ``estimate_open/1`` and ``estimate_profile/1`` of the vectors, for many rows at once.

Reference days are earlier days like the one that is estimated. Callers have checked that no energy is negative.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ledger.leaves.columns import Int64
from ledger.state.energy import Bools

MISSING: Final = -1
"""What a reference day holds for a slot that it does not have."""
_INT64_MAX: Final = 2**63 - 1


def estimate_open(reference_wh: Int64, limit_wh: Int64) -> Int64:
    """int64[n]: the floored mean of the reference days that have each row's slot, at most its limit.

    ``reference_wh`` int64[days, n], MISSING where a day has none; at least one day has it. Exact at any size.
    """
    is_present = reference_wh != MISSING
    days: Int64 = is_present.sum(axis=0, dtype=np.int64)
    present_wh = np.where(is_present, reference_wh, 0)
    # quotients and remainders apart: neither sum can leave int64, the sum of the days themselves could
    mean_wh = (present_wh // days).sum(axis=0) + (present_wh % days).sum(axis=0) // days
    estimated_wh: Int64 = np.minimum(mean_wh, limit_wh)
    return estimated_wh


def estimate_profile(rest_wh: Int64, reference_wh: Int64, is_missing: Bools) -> Int64:
    """int64[n, slots]: each row's rest split over its missing slots in the shape of the reference days; 0 in other slots.

    ``rest_wh`` int64[n]; ``reference_wh`` int64[days, n, slots], MISSING adds 0; ``is_missing`` bool[n, slots], at least one
    a row. Largest remainder, ties to the earlier slot; a row whose days sum to 0 is split evenly. Exact at any size.
    """
    present_wh = np.where((reference_wh == MISSING) | ~is_missing, 0, reference_wh)
    days, rows, slots = present_wh.shape
    highest_wh = present_wh.max(axis=(0, 2), initial=0)
    has_room = (highest_wh <= _INT64_MAX // max(days * slots, 1)) & (
        rest_wh <= _INT64_MAX // np.maximum(highest_wh, 1) // max(days, 1)
    )
    estimated_wh = np.zeros((rows, slots), dtype=np.int64)
    for some, number in ((np.flatnonzero(has_room), np.int64), (np.flatnonzero(~has_room), object)):
        if len(some):
            weights = present_wh[:, some].astype(number).sum(axis=0)
            estimated_wh[some] = _split(rest_wh[some].astype(number), weights, is_missing[some])
    return estimated_wh


def _split(rest_wh: NDArray[Any], weights: NDArray[Any], is_missing: Bools) -> NDArray[Any]:
    """Row by row the largest-remainder split; of int64, or of Python integers where products do not fit into it."""
    sums = weights.sum(axis=1, keepdims=True)
    weights = np.where(sums > 0, weights, is_missing)
    sums = weights.sum(axis=1, keepdims=True)
    products = rest_wh[:, None] * weights
    shares = products // sums
    left_over = rest_wh - shares.sum(axis=1)
    by_remainder = np.argsort(shares * sums - products, axis=1, kind="stable")
    rank = np.empty_like(by_remainder)
    np.put_along_axis(rank, by_remainder, np.arange(weights.shape[1])[None, :], axis=1)
    split: NDArray[Any] = shares + (rank < left_over[:, None])
    return split


class SlotGroups(NamedTuple):
    """The slots of n gaps, those of equal weight together.

    slots: int64[groups, n], how many each has; earlier: int64[groups, n], how many of these come before one slot; here: int64[n], the group of
    that slot.
    """

    slots: Int64
    earlier: Int64
    here: Int64

    def take(self, places: Int64) -> SlotGroups:
        """Those of some of the gaps."""
        return SlotGroups(self.slots[:, places], self.earlier[:, places], self.here[places])


def profile_share(rest_wh: Int64, weights: Int64, groups: SlotGroups) -> tuple[Int64, Int64]:
    """What ``estimate_profile`` gives one slot of gaps, int64[n], and the floor of the most that it gives any slot, int64[n].

    ``rest_wh`` int64[n]; ``weights`` int64[groups, n], of one slot of each group, 0 where it has none, not all 0. Work by groups, of which there are as many as
    slots in two days: however long a gap is.
    """
    slots = groups.slots.sum(axis=0)
    highest = weights.max(axis=0, initial=0)
    # Each gap by itself: one of much energy does not slow those beside it down.
    has_room = highest <= _INT64_MAX // np.maximum(np.maximum(rest_wh, slots), 1)
    share, most_wh = np.empty_like(rest_wh), np.empty_like(rest_wh)
    for some, number in ((np.flatnonzero(has_room), np.int64), (np.flatnonzero(~has_room), object)):
        if len(some):
            own = groups if len(some) == len(rest_wh) else groups.take(some)
            share[some], most_wh[some] = _share(rest_wh[some].astype(number), weights[:, some].astype(number), own)
    return share, most_wh


def _share(rest_wh: NDArray[Any], weights: NDArray[Any], groups: SlotGroups) -> tuple[Int64, Int64]:
    """``profile_share`` of int64, or of Python integers where products do not fit into it."""
    slots, earlier = (column.astype(weights.dtype, copy=False) for column in (groups.slots, groups.earlier))
    total = (slots * weights).sum(axis=0)
    products = rest_wh * weights
    shares, remainders = products // total, products % total
    left_over = rest_wh - (shares * slots).sum(axis=0)
    here = groups.here, np.arange(len(rest_wh))
    own = remainders[here]
    before = (slots * (remainders > own)).sum(axis=0)
    before += (earlier * (remainders == own)).sum(axis=0)
    share = (shares[here] + (before < left_over)).astype(np.int64)
    return share, shares.max(axis=0).astype(np.int64)
