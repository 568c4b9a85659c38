"""The orders of one transaction, before they meet those that stand."""

from __future__ import annotations

from typing import NamedTuple

from ledger.leaves.book import BookLeaf
from ledger.leaves.columns import Int64
from ledger.registry.zones import Zone


class BatchRows(NamedTuple):
    """All rows of an aggregator's batch: party (number) and verdicts (0, or the code of what is wrong with one), int64[n]."""

    party: Int64
    verdicts: Int64


class TakenOrders(NamedTuple):
    """Orders of one slot of one zone against which nothing stands but, maybe, other orders of the same parties.

    seed: 32 bytes, bound to the transaction, known to members only; orders: in order, what is held not filled in yet; batch:
    where they are of one, its rows; ``orders`` are those with the verdict 0.
    """

    zone: Zone
    slot_start_s: int
    seed: bytes
    orders: BookLeaf
    batch: BatchRows | None = None
