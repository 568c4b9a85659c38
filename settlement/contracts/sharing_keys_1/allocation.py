"""How one slot's production of a community is given to its consumers (``sharing_keys/1`` of the vectors), by columns.

Rows are consumers, of several groups, each with its production. Nobody is given more than they consume, and no group more than
it produced. What a vector refuses has a result here too, so that a slot can always be settled: keys that sum to more than
a million ppm are shares of all that is produced.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from settlement.contract_kit_1 import INT64_MAX, ContractError, Groups, Int64Column, check_column, exact_sum

PPM = 1_000_000

STATIC = "static"
STATIC_REALLOCATED = "static_reallocated"
DYNAMIC = "dynamic"
PRIORITY = "priority"
METHODS = (STATIC, STATIC_REALLOCATED, DYNAMIC, PRIORITY)


def allocate(
    groups: Groups, production_wh: Sequence[int], consumption_wh: Int64Column, *, method: str, keys: Int64Column
) -> Int64Column:
    """int64[n] of what each consumer is given.

    ``production_wh``: one a group, >= 0; ``consumption_wh`` int64[n] >= 0; ``keys`` int64[n]: by the static methods a share in ppm
    >= 0, by ``priority`` when it is served, the lowest number first; ``dynamic`` looks at none. Ties to the lower row.
    ContractError for a negative energy or share.
    """
    check_column(consumption_wh, "consumption_wh", length=groups.of_row.size, minimum=0)
    if min(production_wh, default=0) < 0:
        raise ContractError("production_wh must be at least 0")
    if method == DYNAMIC:
        return _dynamic(groups, production_wh, consumption_wh)
    if method == PRIORITY:
        return _by_priority(groups, production_wh, consumption_wh, keys)
    shared_wh = _shared(groups, production_wh, keys)
    if method == STATIC:
        return np.minimum(groups.split(shared_wh, keys), consumption_wh)
    return _reallocated(groups, shared_wh, consumption_wh, keys)


def _shared(groups: Groups, production_wh: Sequence[int], keys: Int64Column) -> list[int]:
    """What the keys of each group share of its production, Wh."""
    check_column(keys, "share_ppm", length=groups.of_row.size, minimum=0)
    sums_ppm = groups.sums(keys)
    return [wh * min(ppm, PPM) // PPM for wh, ppm in zip(production_wh, sums_ppm, strict=True)]


def _reallocated(
    groups: Groups, shared_wh: Sequence[int], consumption_wh: Int64Column, keys: Int64Column
) -> Int64Column:
    """By key, and what some cannot use goes to those still short, by their keys, until nothing remains or nobody is short."""
    left_wh = list(shared_wh)
    needs_wh = consumption_wh.copy()
    short = np.flatnonzero((keys > 0) & (needs_wh > 0))
    while short.size and any(left_wh):
        own = Groups(groups.of_row[short], groups.count)
        weights = keys[short]
        left_wh = [wh if weight else 0 for wh, weight in zip(left_wh, own.sums(weights), strict=True)]
        taken_wh = np.minimum(own.split(left_wh, weights), needs_wh[short])
        needs_wh[short] -= taken_wh
        left_wh = [wh - taken for wh, taken in zip(left_wh, own.sums(taken_wh), strict=True)]
        has_more = np.array([wh > 0 for wh in left_wh])[own.of_row]
        short = short[(needs_wh[short] > 0) & has_more]
    return consumption_wh - needs_wh


def _dynamic(groups: Groups, production_wh: Sequence[int], consumption_wh: Int64Column) -> Int64Column:
    """Everybody is served where production suffices, else it is split by consumption."""
    return groups.split(list(map(min, production_wh, groups.sums(consumption_wh))), consumption_wh)


def _by_priority(
    groups: Groups, production_wh: Sequence[int], consumption_wh: Int64Column, numbers: Int64Column
) -> Int64Column:
    """The lowest number first, of one number as ``_dynamic``: at most one number of a group is served in part."""
    turn, turns = _turns(numbers, groups.count)
    place = groups.of_row * turns + turn
    wanted_wh = _sums_by_place(place, consumption_wh, groups.count * turns).reshape(groups.count, turns)
    before_wh = np.cumsum(wanted_wh, axis=1) - wanted_wh
    own_wh = np.array(production_wh, dtype=wanted_wh.dtype if max(production_wh, default=0) <= INT64_MAX else object)
    served_wh = np.minimum(np.maximum(own_wh[:, None] - before_wh, 0), wanted_wh)
    is_whole = (served_wh == wanted_wh).astype(bool)
    in_part_wh = [int(wh) for wh in np.where(is_whole, 0, served_wh).sum(axis=1)]
    allocated_wh = np.where(is_whole.reshape(-1)[place], consumption_wh, 0)
    rows = np.flatnonzero((~is_whole & (served_wh > 0).astype(bool)).reshape(-1)[place])
    allocated_wh[rows] = Groups(groups.of_row[rows], groups.count).split(in_part_wh, consumption_wh[rows])
    return allocated_wh


def _turns(numbers: Int64Column, groups: int) -> tuple[Int64Column, int]:
    """When each row is served, counted from 0, and how many turns there are; a turn may have no row."""
    if not numbers.size:
        return numbers, 1
    first = int(numbers.min())
    span = int(numbers.max()) - first + 1
    if span * groups <= 4 * numbers.size:
        return numbers - first, span
    distinct, turn = np.unique(numbers, return_inverse=True)
    return turn, distinct.size


def _sums_by_place(place: Int64Column, column: Int64Column, count: int) -> NDArray[np.int64]:
    """The sum of the rows of each place; Python integers where one may leave int64."""
    if exact_sum(column) > INT64_MAX:
        exact: NDArray[np.int64] = np.array(Groups(place, count).sums(column), dtype=object)
        return exact
    sums = np.zeros(count, dtype=np.int64)
    np.add.at(sums, place, column)
    return sums
