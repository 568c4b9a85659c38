"""What a run says of a slot, beside what the run before it says: nothing new, or by how much parties would pay otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest
from typing import NamedTuple

import numpy as np

from ledger.leaves.columns import Digests, Int64, UInt8, chunks
from ledger.leaves.money import Money
from ledger.leaves.positions import POSITIONS
from ledger.leaves.results import RESULTS
from ledger.registry.zones import Zone
from ledger.state.draft import Draft


class Outcome(NamedTuple):
    """What a run says of a slot.

    columns: int64[rows] by name, ``HEAD``, then the contract's; quality: uint8[rows]; area_columns: int64[areas] by name;
    rules: uint8[areas, 32], entry digests; received: by account, one amount an area; points: rows that settled.
    """

    columns: Mapping[str, Int64]
    quality: UInt8
    area_columns: Mapping[str, Int64]
    rules: Digests
    received: Mapping[str, Money]
    points: int


def is_same_as(draft: Draft, zone: Zone, slot_start_s: int, run: str, outcome: Outcome) -> bool:
    """Whether the slot's run ``run`` says what ``outcome`` says, of every row and every area."""
    for chunk, start, end in chunks(len(zone)):
        positions = POSITIONS.load(draft, slot_start_s, zone.name, run, chunk)
        if positions is None or not np.array_equal(positions.quality, outcome.quality[start:end]):
            return False
        if not _are_equal(positions.columns, outcome.columns, slice(start, end)):
            return False
    for chunk, start, end in chunks(len(zone.areas)):
        results = RESULTS.load(draft, slot_start_s, zone.name, run, chunk)
        if results is None or not np.array_equal(results.rules, outcome.rules[start:end]):
            return False
        if not _are_equal(results.columns, outcome.area_columns, slice(start, end)):
            return False
    return True


def change_nano(draft: Draft, zone: Zone, slot_start_s: int, run: str, outcome: Outcome, moved: Int64) -> int:
    """What points pay by ``outcome`` otherwise than by the slot's run ``run``: the sum of all changes, each taken as positive.

    moved: rows whose points now say somebody else (``rows_said_anew``): all that ``run`` said is taken back from one and asked of another.
    """
    change, is_moved = 0, set(moved.tolist())
    for chunk, start, end in chunks(len(zone)):
        said = POSITIONS.load(draft, slot_start_s, zone.name, run, chunk)
        paid_nano = [] if said is None else said.columns["pays_nano"].tolist()
        pays_nano = outcome.columns["pays_nano"][start:end].tolist()
        for row, (new, old) in enumerate(zip_longest(pays_nano, paid_nano, fillvalue=0), start):
            change += abs(new) + abs(old) if row in is_moved else abs(new - old)
    return change


def _are_equal(said: Mapping[str, Int64], found: Mapping[str, Int64], part: slice) -> bool:
    return all(np.array_equal(said[name], column[part]) for name, column in found.items())
