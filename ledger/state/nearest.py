"""Where the nearest values of rows stand before and after a boundary: what a block has looked through once it knows (docs/spec/state.md, "Estimates")."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from ledger.leaves.columns import Int64, groups, grown
from ledger.leaves.family import Leaves
from ledger.leaves.registers import REGISTERS, is_present
from ledger.state.energy import Bools

NONE: Final = -1
"""In a column of boundaries: there is none."""
BEFORE: Final = -1
AFTER: Final = +1
"""Directions."""


class Place(NamedTuple):
    """Where rows stand. at: int64[n], positions in the chunk of the zone."""

    zone: str
    chunk: int
    at: Int64


class _Clear(NamedTuple):
    """What is known of a chunk in one direction, int64[size] each: a value stands at ``value_s``, and none between it and ``clear_s``."""

    value_s: Int64
    clear_s: Int64

    def padded(self, size: int) -> _Clear:
        """The same of a chunk of at least ``size`` rows."""
        size = max(size, len(self.value_s))
        return _Clear(grown(self.value_s, size, NONE), grown(self.clear_s, size, NONE))


class NearestValues:
    """What the runs and rows of one block have found of gaps: a gap of many slots is looked through once for all of them."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, int], _Clear] = {}

    def find(
        self, leaves: Leaves, place: Place, boundary_s: int, direction: int, slot_s: int, furthest_s: Int64
    ) -> Int64:
        """int64[n]: the boundary of each row's nearest value before (-1) or after (+1) ``boundary_s``, NONE where there is none up to
        ``furthest_s`` (int64[n], itself included). Each leaf is looked at once for all rows.
        """
        key = (place.zone, place.chunk, direction)
        known = self._known.get(key, _Clear(*np.empty((2, 0), dtype=np.int64))).padded(
            int(place.at.max(initial=-1)) + 1
        )
        value_s, clear_s = known.value_s[place.at], known.clear_s[place.at]
        found_s = np.full(len(place.at), NONE, dtype=np.int64)
        left, at_s = np.arange(len(place.at)), boundary_s
        while len(left := left[direction * (furthest_s[left] - at_s) >= slot_s]):
            at_s += direction * slot_s
            value = leaves.get(REGISTERS.key(at_s, place.zone, place.chunk))
            if value is not None:
                is_here = is_present(value, place.at[left])
                found_s[left[is_here]] = at_s
                left = left[~is_here]
            # From here on nothing stands up to a value that the block has met before.
            is_met = (value_s[left] != NONE) & _is_between(at_s, value_s[left], clear_s[left], direction)
            met = left[is_met]
            is_near = direction * (furthest_s[met] - value_s[met]) >= 0
            found_s[met[is_near]] = value_s[met[is_near]]
            left = left[~is_met]
        has_value = found_s != NONE
        again = has_value & (found_s == value_s)
        furthest = np.maximum if direction == BEFORE else np.minimum
        clear_s = np.where(again, furthest(clear_s, boundary_s), boundary_s)
        at = place.at[has_value]
        known.value_s[at], known.clear_s[at] = found_s[has_value], clear_s[has_value]
        self._known[key] = known
        return found_s

    def note_written(self, place: Place, boundary_s: int) -> None:
        """Values of some rows stand at a boundary by now: what was known is cut there."""
        for direction in (BEFORE, AFTER):
            known = self._known.get((place.zone, place.chunk, direction))
            if known is not None:
                at = place.at[place.at < len(known.value_s)]
                cut = at[_is_between(boundary_s, known.value_s[at], known.clear_s[at], direction)]
                known.clear_s[cut] = boundary_s


def _is_between(at_s: int, value_s: Int64, clear_s: Int64, direction: int) -> Bools:
    """bool[n]: the boundary lies behind the value, as far as it is clear (this edge included)."""
    return (value_s < at_s) & (at_s <= clear_s) if direction == BEFORE else (clear_s <= at_s) & (at_s < value_s)


def registers_at(leaves: Leaves, place: Place, value_s: Int64) -> tuple[Int64, Int64]:
    """Import and export that stand for each row at its own boundary, int64[n]; 0 where that is NONE."""
    registers = np.zeros_like(value_s), np.zeros_like(value_s)
    for boundary_s, own in groups(value_s):
        if boundary_s == NONE:
            continue
        leaf = REGISTERS.must(leaves, boundary_s, place.zone, place.chunk).padded(int(place.at.max()) + 1)
        for column, values in zip(registers, (leaf.import_wh, leaf.export_wh), strict=True):
            column[own] = values[place.at[own]]
    return registers
