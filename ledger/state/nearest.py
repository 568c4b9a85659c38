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
    """What is known of a chunk in one direction, int64[size] each: no value stands between ``clear_s`` and ``edge_s``, and at ``edge_s`` stands
    ``value_s``, which is the same, or NONE where nobody has looked further.
    """

    edge_s: Int64
    clear_s: Int64
    value_s: Int64

    def padded(self, size: int) -> _Clear:
        """The same of a chunk of at least ``size`` rows."""
        size = max(size, len(self.edge_s))
        return _Clear(*(grown(column, size, NONE) for column in self))

    def take(self, at: Int64 | Bools) -> _Clear:
        """That of some rows."""
        return _Clear(*(column[at] for column in self))

    def put(self, at: Int64, news: _Clear) -> None:
        """Say that of some rows."""
        for column, values in zip(self, news, strict=True):
            column[at] = values


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
        known = self._known.get(key, _Clear(*np.empty((3, 0), dtype=np.int64))).padded(
            int(place.at.max(initial=-1)) + 1
        )
        clear, found_s = known.take(place.at), np.full(len(place.at), NONE, dtype=np.int64)
        has_value, has_met = clear.value_s != NONE, np.zeros(len(place.at), dtype=np.bool_)
        reaches = direction * (furthest_s - clear.edge_s) >= 0
        left, at_s = np.arange(len(place.at)), boundary_s
        while len(left := left[direction * (furthest_s[left] - at_s) >= slot_s]):
            at_s += direction * slot_s
            value = leaves.get(REGISTERS.key(at_s, place.zone, place.chunk))
            if value is not None:
                is_here = is_present(value, place.at[left])
                found_s[left[is_here]] = at_s
                left = left[~is_here]
            # From here on nothing stands up to an edge that the block has met before.
            is_met = _is_between(at_s, clear.edge_s[left], clear.clear_s[left], direction)
            has_met[left[is_met]] = True
            at_value = left[is_met & has_value[left] & reaches[left]]
            found_s[at_value] = clear.value_s[at_value]
            is_going_on = ~is_met | (reaches[left] & ~has_value[left])
            left, is_met = left[is_going_on], is_met[is_going_on]
            if len(left) and is_met.all():
                # Nobody has looked further than their edges: the nearest one comes next.
                at_s = direction * (int((direction * clear.edge_s[left]).min()) - slot_s)
        steps = direction * (furthest_s - boundary_s) // slot_s
        looked = _Clear(boundary_s + direction * (steps + 1) * slot_s, np.full_like(found_s, boundary_s), found_s)
        is_new = (found_s != NONE) | (steps > 0)
        known.put(place.at[is_new], _met(clear, looked, has_met, direction).take(is_new))
        self._known[key] = known
        return found_s

    def note_written(self, place: Place, boundary_s: int) -> None:
        """Values of some rows stand at a boundary by now: what was known is cut there."""
        for direction in (BEFORE, AFTER):
            known = self._known.get((place.zone, place.chunk, direction))
            if known is not None:
                at = place.at[place.at < len(known.value_s)]
                cut = at[_is_between(boundary_s, known.edge_s[at], known.clear_s[at], direction)]
                known.clear_s[cut] = boundary_s


def _met(clear: _Clear, looked: _Clear, has_met: Bools, direction: int) -> _Clear:
    """What is known once a search has ``looked`` as far as its edges, or to the values that it found, and has met what was known before."""
    edge_s = np.where(looked.value_s != NONE, looked.value_s, looked.edge_s)
    is_beyond = (looked.value_s != NONE) | ((clear.value_s == NONE) & (direction * (edge_s - clear.edge_s) > 0))
    is_kept = has_met & ~is_beyond
    is_joined = has_met | ((looked.value_s != NONE) & (looked.value_s == clear.value_s))
    earlier = np.minimum if direction == AFTER else np.maximum
    return _Clear(
        np.where(is_kept, clear.edge_s, edge_s),
        np.where(is_joined, earlier(clear.clear_s, looked.clear_s), looked.clear_s),
        np.where(is_kept, clear.value_s, looked.value_s),
    )


def _is_between(at_s: int, edge_s: Int64, clear_s: Int64, direction: int) -> Bools:
    """bool[n]: the boundary lies before the edge, as far as it is clear (that end included)."""
    return (edge_s < at_s) & (at_s <= clear_s) if direction == BEFORE else (clear_s <= at_s) & (at_s < edge_s)


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
