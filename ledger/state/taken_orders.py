"""The orders of one transaction, before they meet those that stand."""

from __future__ import annotations

from typing import NamedTuple

from ledger.leaves.book import BookLeaf
from ledger.registry.zones import Zone


class TakenOrders(NamedTuple):
    """Orders of one slot of one zone against which nothing stands but, maybe, other orders of the same parties.

    seed: 32 bytes, bound to the transaction, known to members only; orders: in order, what is held not filled in yet.
    """

    zone: Zone
    slot_start_s: int
    seed: bytes
    orders: BookLeaf
