"""How the orders of a gate rank: by the bytes of their ids, or as they came (docs/spec/state.md, "Clear")."""

from __future__ import annotations

from typing import Final

import numpy as np

from gridcore.transactions.market_order import COUNTER_MAX
from ledger.contract import Contract
from ledger.leaves.book import BookLeaf, load_all_orders, load_orders
from ledger.leaves.columns import Int64
from ledger.registry.in_force import Registry
from ledger.registry.zones import Zone
from ledger.state.draft import Draft

_COUNTER_NAMES: Final = [str(counter) for counter in range(COUNTER_MAX + 1)]
_COUNTER_RANK: Final = np.argsort(np.argsort(_COUNTER_NAMES, kind="stable"), kind="stable")
"""How counters rank as the ends of order ids: 10 comes before 2."""


def order_id(party: str, slot_start_s: int, counter: int) -> str:
    """The name of an order; its bytes break ties."""
    return f"{party}/{slot_start_s}/{counter}"


def by_order_id(registry: Registry, area: Int64, party: Int64, counter: Int64) -> Int64:
    """int64[n]: orders of one slot as clearing sees them, ascending by area, then by the bytes of their ids."""
    return np.lexsort((_COUNTER_RANK[counter], registry.party_rank[party], area))


def order_keys(party: Int64, counter: Int64) -> Int64:
    """int64[n]: one number for the party and counter of each order of a slot."""
    return party * (COUNTER_MAX + 1) + counter


def load_ranked(draft: Draft, contract: Contract, slot_start_s: int, zone: Zone) -> BookLeaf:
    """The orders of a slot as clearing sees them, ascending by area, then by rank.

    Those that were withdrawn are among them where orders rank as they came: what they traded until then stays.
    """
    if contract.ranks_by_arrival:
        book = load_all_orders(draft, slot_start_s, zone.name)
        return book.take(by_arrival(book))
    book = load_orders(draft, slot_start_s, zone.name)
    return book.take(by_order_id(draft.registry, book.area, book.party, book.counter))


def by_arrival(book: BookLeaf) -> Int64:
    """int64[n]: orders of one slot by area, then by block height, transaction id, and, of one transaction, party number and counter."""
    words = np.ascontiguousarray(book.ids).view(">u8").astype(np.uint64)  # uint64[n, 4], as bytes compare
    return np.lexsort((book.counter, book.party, *words.T[::-1], book.recorded_height, book.area))


def until_ranks(book: BookLeaf, area_starts: Int64) -> Int64:
    """int64[n]: the rank in its area before which each of the ranked orders was withdrawn; the number of its orders where it was not.

    What a block withdraws is withdrawn before the orders of that block come.
    """
    until = np.repeat(np.diff(area_starts), np.diff(area_starts))
    rows = np.flatnonzero(book.withdrawn_height)
    heights, level = np.unique(np.concatenate((book.recorded_height, book.withdrawn_height[rows])), return_inverse=True)
    # one ascending column of all areas: in each, orders rank by height first
    recorded = book.area * len(heights) + level[: len(until)]
    withdrawn = book.area[rows] * len(heights) + level[len(until) :]
    until[rows] = np.searchsorted(recorded, withdrawn) - area_starts[book.area[rows]]
    return until
