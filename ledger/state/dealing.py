"""What a party traded, dealt to the points that it is billed for (docs/spec/state.md, "Settle")."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridcore.column import I64_MAX
from gridcore.errors import require
from ledger.contract import BUY, SELL, TradeAmounts
from ledger.leaves.columns import Int64
from ledger.leaves.fills import FillsLeaf
from ledger.registry.zones import ZoneInForce


class Traded(NamedTuple):
    """Wh bought and sold, what for, and what was paid beyond it for the way of what was bought, int64[rows of the zone]; 0 nano under a contract
    with one price for all, or without such fees.
    """

    bought_wh: Int64
    sold_wh: Int64
    bought_nano: Int64
    sold_nano: Int64
    fee_nano: Int64

    def amounts_of(self, rows: Int64) -> TradeAmounts:
        """What some rows traded for."""
        return TradeAmounts(self.bought_nano[rows], self.sold_nano[rows], self.fee_nano[rows])


def deal_fills(zone: ZoneInForce, fills: FillsLeaf, import_wh: Int64, export_wh: Int64) -> Traded:
    """The sums of the fills of each party: by point, energy in the proportion of its points' import (bought) and export (sold),
    what trades came to in the proportion of the energy.
    """
    energies_wh, amounts_nano, fees_nano = (np.zeros((2, len(zone.zone)), dtype=np.int64) for _ in range(3))
    if len(fills.party):
        _sum_by_party(zone, fills, fills.filled_wh, energies_wh)
        _deal_among_points(zone, energies_wh, (import_wh, export_wh))
    if fills.amount_nano is not None:
        _sum_by_party(zone, fills, fills.amount_nano, amounts_nano)
        _deal_among_points(zone, amounts_nano, (energies_wh[BUY], energies_wh[SELL]))
    if fills.fee_nano is not None:
        _sum_by_party(zone, fills, fills.fee_nano, fees_nano)
        _deal_among_points(zone, fees_nano, (energies_wh[BUY], energies_wh[SELL]))
    return Traded(energies_wh[BUY], energies_wh[SELL], amounts_nano[BUY], amounts_nano[SELL], fees_nano[BUY])


def _sum_by_party(zone: ZoneInForce, fills: FillsLeaf, values: Int64, sums: Int64) -> None:
    """Put the sum of each party's fills, by side, at its points: of one with several all at the first of them."""
    rows, party = zone.settling_by_party
    place = np.searchsorted(party, fills.party)
    is_known = bool((place < len(party)).all()) and bool((party[place] == fills.party).all())
    require(is_known, f"a party with orders has a settling point in zone {zone.zone.name}")
    totals = np.zeros(2 * len(party), dtype=np.int64)
    np.add.at(totals, fills.side * len(party) + place, values)
    sums[:, rows] = totals.reshape(2, -1)


def _deal_among_points(zone: ZoneInForce, traded: Int64, weights: tuple[Int64, Int64]) -> None:
    """Deal what stands at one point of each party that has several to all of them."""
    rows, party = zone.settling_by_party
    if not (party[1:] == party[:-1]).any():
        return
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


def deal(total: Int64, group: Int64, weight: Int64) -> Int64:
    """int64[n]: the share of each row in its group's total, by largest remainder; of equal ones the earlier row first.

    total: of the group, of either sign, the same in each of its rows; group: ascending; weight: not negative; where all of a
    group are 0, its first row gets all.
    """
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    sizes = np.diff(starts, append=len(group))
    weight = weight.copy()
    weight[starts[np.add.reduceat(weight, starts) == 0]] = 1
    whole = np.repeat(np.add.reduceat(weight, starts), sizes)
    fits = max(int(total.max()), -int(total.min())) * int(weight.max()) <= I64_MAX
    products: NDArray[Any] = total * weight if fits else total.astype(object) * weight.astype(object)
    share: Int64 = (products // whole).astype(np.int64)
    rest: Int64 = (products % whole).astype(np.int64)
    left = np.repeat(total[starts] - np.add.reduceat(share, starts), sizes)
    by_rest = np.lexsort((np.arange(len(group)), -rest, group))
    rank = np.empty_like(group)
    rank[by_rest] = np.arange(len(group)) - np.repeat(starts, sizes)
    return share + (rank < left)
