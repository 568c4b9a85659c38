"""What a party traded, dealt to the points that it is billed for (docs/spec/state.md, "Settle")."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridcore.column import I64_MAX
from gridcore.errors import require
from ledger.leaves.columns import Int64
from ledger.leaves.fills import FillsLeaf
from ledger.registry.zones import ZoneInForce


class Traded(NamedTuple):
    """Wh bought and sold, int64[rows of the zone]."""

    bought_wh: Int64
    sold_wh: Int64


def deal_fills(zone: ZoneInForce, fills: FillsLeaf, import_wh: Int64, export_wh: Int64) -> Traded:
    """The sums of the fills of each party: by point, in the proportion of its points' import (bought) and export (sold)."""
    traded = np.zeros((2, len(zone.zone)), dtype=np.int64)
    if not len(fills.party):
        return Traded(*traded)
    rows, party = zone.settling_by_party
    place = np.searchsorted(party, fills.party)
    is_known = bool((place < len(party)).all()) and bool((party[place] == fills.party).all())
    require(is_known, f"a party with orders has a settling point in zone {zone.zone.name}")
    totals = np.zeros(2 * len(party), dtype=np.int64)
    np.add.at(totals, fills.side * len(party) + place, fills.filled_wh)
    traded[:, rows] = totals.reshape(2, -1)  # of a party with several points all at the first of them
    if (party[1:] == party[:-1]).any():
        _deal_among_points(zone, traded, (import_wh, export_wh))
    return Traded(*traded)


def _deal_among_points(zone: ZoneInForce, traded: Int64, weights: tuple[Int64, Int64]) -> None:
    """Deal what stands at one point of each party that has several to all of them."""
    rows, party = zone.settling_by_party
    starts = np.flatnonzero(np.diff(party, prepend=-1))
    several = np.repeat(np.diff(starts, append=len(party)) > 1, np.diff(starts, append=len(party)))
    rows, party = rows[several], party[several]
    order = np.lexsort((np.array([zone.zone.points[row].encode() for row in rows.tolist()]), party))
    rows, party = rows[order], party[order]
    starts = np.flatnonzero(np.diff(party, prepend=-1))
    sizes = np.diff(starts, append=len(party))
    for side in (0, 1):
        totals = np.repeat(np.add.reduceat(traded[side, rows], starts), sizes)
        traded[side, rows] = deal(totals, party, weights[side][rows])


def deal(total_wh: Int64, group: Int64, weight: Int64) -> Int64:
    """int64[n]: the share of each row in its group's total, by largest remainder; of equal ones the earlier row first.

    total_wh: of the group, the same in each of its rows; group: ascending; weight: not negative; where all of a group are
    0, its first row gets all.
    """
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    sizes = np.diff(starts, append=len(group))
    weight = weight.copy()
    weight[starts[np.add.reduceat(weight, starts) == 0]] = 1
    whole = np.repeat(np.add.reduceat(weight, starts), sizes)
    fits = int(total_wh.max()) * int(weight.max()) <= I64_MAX
    products: NDArray[Any] = total_wh * weight if fits else total_wh.astype(object) * weight.astype(object)
    share: Int64 = (products // whole).astype(np.int64)
    rest: Int64 = (products % whole).astype(np.int64)
    left = np.repeat(total_wh[starts] - np.add.reduceat(share, starts), sizes)
    by_rest = np.lexsort((np.arange(len(group)), -rest, group))
    rank = np.empty_like(group)
    rank[by_rest] = np.arange(len(group)) - np.repeat(starts, sizes)
    return share + (rank < left)
