"""What is held of parties: taken when an order is, given back at the gate as far as it got nothing, and by the initial run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gridcore.errors import require
from gridcore.sm3 import sm3
from ledger.leaves.cleared import load_cleared
from ledger.leaves.columns import Int64, chunk_bounds, chunks_of, groups
from ledger.leaves.fills import FillsLeaf, load_fills
from ledger.leaves.held import HELD, no_held
from ledger.registry.zones import Zone
from ledger.state.draft import Draft


def load_held(draft: Draft, parties: Int64) -> Int64:
    """int64[n], nano: what is held of some parties."""
    held = np.zeros_like(parties)
    for chunk, rows in groups(chunks_of(parties)):
        leaf = HELD.load(draft, chunk)
        if leaf is not None:
            held[rows] = leaf.nano[parties[rows] - chunk_bounds(chunk)[0]]
    return held


def change_held(draft: Draft, parties: Int64, nano: Int64, sources: Int64, seeds: Sequence[bytes]) -> None:
    """Hold ``nano`` more, or less, of each of some parties. sources: int64[n], ascending: which of ``seeds`` each row is from."""
    for chunk, rows in groups(chunks_of(parties)):
        held = HELD.load(draft, chunk) or no_held()
        np.add.at(held.nano, parties[rows] - chunk_bounds(chunk)[0], nano[rows])
        require(int(held.nano.min()) >= 0, f"no less than nothing is held of the parties of chunk {chunk}")
        seed = held.seed
        for source in np.unique(sources[rows]).tolist():
            seed = sm3(seed + seeds[source])
        HELD.save(draft, held._replace(seed=seed), chunk)


def release_unfilled(draft: Draft, fills: FillsLeaf) -> None:
    """At the gate: give back what is held for energy that an order did not get."""
    _release(draft, fills, fills.quantity_wh - fills.filled_wh, fills.seed)


def release_settled(draft: Draft, zone: Zone, slot_start_s: int, seed: bytes) -> None:
    """By the initial run, under its seed: give back what is held for energy that is settled now."""
    cleared = load_cleared(draft, slot_start_s, zone.name, len(zone.areas))
    if cleared is not None:
        fills = load_fills(draft, slot_start_s, zone.name, int(cleared.orders.sum()))
        _release(draft, fills, fills.filled_wh, seed)


def _release(draft: Draft, fills: FillsLeaf, energy_wh: Int64, seed: bytes) -> None:
    change_held(draft, fills.party, -energy_wh * fills.held_micro_per_kwh, np.zeros_like(fills.party), [seed])
