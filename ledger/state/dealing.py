"""What a party traded, dealt to the points that it is billed for (docs/spec/state.md, "Settle")."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

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
    parties, party = np.unique(fills.party, return_inverse=True)
    totals = np.zeros((2, len(parties)), dtype=np.int64)
    np.add.at(totals, (fills.side, party), fills.filled_wh)
    rows, place = zone.rows_billed_to(parties)
    points = np.bincount(place, minlength=len(parties))
    require(bool((points > 0).all()), f"a party with orders has a settling point in zone {zone.zone.name}")
    traded[:, rows] = totals[:, place]
    several = points[place] > 1
    if several.any():
        rows, place = rows[several], place[several]
        order = np.lexsort((np.array([zone.zone.points[row].encode() for row in rows.tolist()]), place))
        rows, place = rows[order], place[order]
        for side, weights in enumerate((import_wh, export_wh)):
            traded[side, rows] = deal(totals[side, place], place, weights[rows])
    return Traded(*traded)


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
    products: NDArray[Any] = total_wh.astype(object) * weight.astype(object)  # as wide as they need be
    share: Int64 = (products // whole).astype(np.int64)
    rest: Int64 = (products % whole).astype(np.int64)
    left = np.repeat(total_wh[starts] - np.add.reduceat(share, starts), sizes)
    by_rest = np.lexsort((np.arange(len(group)), -rest, group))
    rank = np.empty_like(group)
    rank[by_rest] = np.arange(len(group)) - np.repeat(starts, sizes)
    return share + (rank < left)
