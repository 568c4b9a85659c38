"""Dated entries of many entities as columns, and which of them are in force."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ledger.leaves.columns import Int64
from ledger.registry.entries import Entry


class Dated(NamedTuple):
    """Entries, int64[entries] each: entity (its place), from_s, recorded_height; ascending by all three."""

    entity: Int64
    from_s: Int64
    recorded_height: Int64

    def span_of(self, first: int, end: int) -> slice:
        """Where the entries of entities ``first`` to ``end`` - 1 lie: one after the other."""
        low, high = np.searchsorted(self.entity, (first, end)).tolist()
        return slice(low, high)

    def within(self, span: slice, first: int) -> Dated:
        """The entries of a span of ``span_of``, whose entities are numbered from ``first``."""
        return Dated(self.entity[span] - first, self.from_s[span], self.recorded_height[span])

    def in_force(self, entities: int, time_s: int, height: int) -> Int64:
        """int64[entities]: which entry of each entity is in force at ``time_s`` as of ``height``; -1: none."""
        known = np.flatnonzero((self.from_s <= time_s) & (self.recorded_height <= height))
        of_known = self.entity[known]
        is_last = np.append(of_known[1:] != of_known[:-1], True)[: len(known)]
        found = np.full(entities, -1, dtype=np.int64)
        found[of_known[is_last]] = known[is_last]
        return found


def dated(entries: Sequence[Sequence[Entry]]) -> Dated:
    """The entries of entities, by the place of the entity."""
    flat = [(place, entry.from_s, entry.recorded_height) for place, own in enumerate(entries) for entry in own]
    table = np.array(flat, dtype=np.int64).reshape(len(flat), 3)
    return Dated(*(np.ascontiguousarray(column) for column in table.T))
