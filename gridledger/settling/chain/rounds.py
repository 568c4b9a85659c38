"""Which orders of a slot one block takes: as many as it holds, and what is more in the next ones, in an order that the same orders always have."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from gridledger.settling.dataset import NEVER
from gridledger.settling.files.fields import Bools
from ledger.leaves.columns import Int64
from ledger.state.order_columns import OrderColumns

ROWS_OF_SIGNED: Final = 32
"""An order that is signed by itself takes as much of a block as so many rows of a batch."""


class Moments(NamedTuple):
    """The orders of a slot in rounds, a block each. come, go: int64[n], the round in which each comes, and before whose orders it is withdrawn, NEVER for
    one that is not.
    """

    come: Int64
    go: Int64


def room_of(kind: Int64) -> Int64:
    """int64[n]: as how many rows of batches each order counts. kind: 1 where it is signed by itself."""
    return np.where(kind > 0, ROWS_OF_SIGNED, 1)


def divided(placed: OrderColumns, is_whole: Int64, moments: Moments, most: int) -> Moments:
    """The rounds of orders, where one that has more than ``most`` rows of batches becomes several: withdrawals first, then limit orders by party and
    counter, the conditions of a bid in one of them, then what is signed one by one.
    """
    gone = np.flatnonzero(moments.go != NEVER)
    rows = np.append(gone, np.arange(len(is_whole)))
    number = np.append(moments.go[gone], moments.come)
    kind = np.append(np.full_like(gone, -1), is_whole)
    weight = room_of(kind)
    large = np.flatnonzero(np.bincount(number, weights=weight) > most)
    if not len(large):
        return moments
    by_rank = np.lexsort((placed.counter[rows], placed.party[rows], kind, number))
    number, kind, weight = number[by_rank], kind[by_rank], weight[by_rank]
    goes_on = np.zeros(len(rows), dtype=bool)
    if placed.wanted is not None:
        goes_on = (kind == 0) & (placed.wanted.choice[rows[by_rank]] > 0)
    later = np.zeros_like(number)
    for first, end in np.searchsorted(number, np.stack((large, large + 1), axis=1)).tolist():
        parts = _parts_of(weight[first:end], goes_on[first:end], most)
        later[first:end] += parts
        later[end:] += parts[-1]
    rounds = np.empty_like(number)
    rounds[by_rank] = number + later
    go = moments.go.copy()
    go[gone] = rounds[: len(gone)]
    return Moments(rounds[len(gone) :], go)


def _parts_of(weight: Int64, goes_on: Bools, most: int) -> Int64:
    """int64[n]: in which part each comes, of at most ``most`` together; goes_on: what stands in one part with the one before it."""
    ends, part, begin = np.cumsum(weight), np.zeros_like(weight), 0
    while (end := int(np.searchsorted(ends, ends[begin] - weight[begin] + most, side="right"))) < len(weight):
        while goes_on[end]:
            end -= 1
        part[end:] += 1
        begin = end
    return part
