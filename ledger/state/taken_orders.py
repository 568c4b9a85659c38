"""The orders of one transaction, before they meet those that stand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ledger.leaves.book import BookLeaf
from ledger.leaves.columns import Int64
from ledger.registry.zones import Zone


class BatchRows(NamedTuple):
    """All rows of an aggregator's batch: party (number), verdicts (0, or the code of what is wrong with one) and offer, int64[n]: the place of
    the row's own among the offers, of the rows with the verdict 0.
    """

    party: Int64
    verdicts: Int64
    offer: Int64


class TakenOrders(NamedTuple):
    """Offers of one slot of one zone against which nothing stands but, maybe, other orders of the same parties.

    An offer stands as a whole or not at all: it brings orders of one side, and withdraws others. seed: 32 bytes, bound to the
    transaction, known to members only; party (number), withdraws (``counter_bits``): int64[offers]; orders: in order, what is
    held not filled in yet; offer: int64[orders], ascending, the place of each one's offer; batch: where they are of one, its
    rows; the offers are those with the verdict 0.
    """

    zone: Zone
    slot_start_s: int
    seed: bytes
    party: Int64
    withdraws: Int64
    orders: BookLeaf
    offer: Int64
    batch: BatchRows | None = None


def counter_bits(counters: Sequence[int]) -> int:
    """Orders of one party in one slot as one number: bit c for the counter c."""
    return sum(1 << counter for counter in counters)
