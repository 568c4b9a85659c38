"""What rows used in the same slot of earlier days (docs/spec/state.md, "Estimates")."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from gridcore.quality import CODE_MASK, CORRECTED, MEASURED
from gridcore.run_names import INITIAL
from ledger.leaves.columns import Int64, chunk_bounds
from ledger.leaves.positions import POSITIONS
from ledger.leaves.runs import RUNS
from ledger.state.draft import Draft
from ledger.state.estimates import MISSING
from ledger.state.local_days import REFERENCE_DAYS, LocalDay, day_of, days_like
from ledger.state.part_shapes import place_of
from ledger.state.slot import Slot

REFERENCE_S_MAX: Final = 16 * 86_400
"""How long before a gap the slots begin that give it its shape, at most: what is older may be pruned."""
_MEANS_OF: Final = 12
"""Means of 1 to 4 days are taken 12 times, so that they are whole numbers."""


class GapBegin(NamedTuple):
    """What gaps that begin alike have in common: the local day in which they begin, and before when nothing counts, UTC seconds."""

    day: LocalDay
    since_s: int


class References:
    """Earlier slots of one chunk of a zone; what the days of one slot say is loaded once."""

    def __init__(self, draft: Draft, slot: Slot, chunk: int) -> None:
        self._draft = draft
        self._zone = slot.zone
        self.chunk = chunk
        first, end = chunk_bounds(chunk)
        self._first_row, self._size = first, min(end, len(slot.zone.zone)) - first
        self._days_like = cache(
            lambda calendar, day, is_weekend: days_like(draft, calendar, day, is_weekend=is_weekend)
        )
        self._energies = cache(self._load_energies)

    def days_of(self, rows: Int64, time_s: int) -> list[tuple[Int64, str, LocalDay]]:
        """The local day that holds ``time_s`` for each calendar of some rows: which of them have it (places), its name, the day."""
        places = self._zone.calendar[self._zone.area[rows]]
        found = []
        for place in np.unique(places).tolist():
            calendar = self._draft.registry.columns.calendars[place]
            day = day_of(self._draft, calendar, time_s)
            if day is not None:
                found.append((np.flatnonzero(places == place), calendar, day))
        return found

    def energies(self, rows: Int64, slot_start_s: int) -> Int64:
        """int64[2, 4, n]: what rows imported and exported in the same slot of the days like that of a slot, MISSING where not known."""
        found = np.full((2, REFERENCE_DAYS, len(rows)), MISSING, dtype=np.int64)
        for own, calendar, day in self.days_of(rows, slot_start_s):
            for place, like in enumerate(self._days_like(calendar, day, day.is_weekend)):
                earlier_s = like.start_s + slot_start_s - day.start_s
                if earlier_s < like.end_s:
                    found[:, place, own] = self._energies(earlier_s)[:, rows[own] - self._first_row]
        return found

    def first_of(self, calendar: str, day: LocalDay) -> int:
        """When the first of the days begins that give gaps that begin on a day their shape, UTC seconds; the day's own begin where there is none."""
        return min((like.start_s for like in self._likes(calendar, day)), default=day.start_s)

    def _likes(self, calendar: str, day: LocalDay) -> list[LocalDay]:
        """The last four of the days before a day of either kind."""
        return [like for is_weekend in (False, True) for like in self._days_like(calendar, day, is_weekend)]

    def means_before(self, calendar: str, places: Int64, asked: list[tuple[GapBegin, Int64]]) -> list[Int64]:
        """What rows (ascending) used at places of days before their gaps, by the initial runs: for each begin int64[rows, 2, places], 12 times the
        mean of the last four days of the place's kind, MISSING where none of them is known.

        No later run changes these, so that a gap is split alike whenever one of its slots is settled. Each leaf is looked at once for all begins.
        """
        begins_of: defaultdict[LocalDay, list[int]] = defaultdict(list)
        for at, (begin, _) in enumerate(asked):
            for like in self._likes(calendar, begin.day):
                begins_of[like].append(at)
        firsts = np.cumsum([0, *(len(rows) for _, rows in asked)])
        rows = np.concatenate([rows for _, rows in asked]) - self._first_row
        since_s = np.repeat([begin.since_s for begin, _ in asked], np.diff(firsts))
        sums = np.zeros((len(places), 2, len(rows)), dtype=np.int64)
        days = np.zeros((len(places), len(rows)), dtype=np.int64)
        named = [(at, *place) for at, number in enumerate(places.tolist()) if (place := place_of(number)) is not None]
        for like, begins in begins_of.items():
            own = np.concatenate([np.arange(firsts[at], firsts[at + 1]) for at in begins])
            for at, is_of_weekend, after_s in named:
                earlier_s = like.start_s + after_s
                if is_of_weekend == like.is_weekend and earlier_s < like.end_s:
                    self._add_day(sums[at], days[at], rows, own[since_s[own] <= earlier_s], earlier_s)
        means = np.where(days[:, None] > 0, sums * (_MEANS_OF // np.maximum(days, 1))[:, None], MISSING)
        of_rows = means.transpose(2, 1, 0)
        return [of_rows[first:end].copy(order="C") for first, end in pairwise(firsts.tolist())]

    def _add_day(self, sums: Int64, days: Int64, rows: Int64, own: Int64, slot_start_s: int) -> None:
        """Add what some of the rows used in a slot by its initial run, where it is known."""
        of_rows = self._energies_of(slot_start_s, INITIAL)[:, rows[own]]
        is_known = of_rows[0] != MISSING
        sums[:, own] += np.where(is_known, of_rows, 0)
        days[own] += is_known

    def _load_energies(self, slot_start_s: int) -> Int64:
        """The same of the last run of a slot that is not final."""
        runs = RUNS.load(self._draft, slot_start_s, self._zone.zone.name)
        is_final = self._zone.zone.timeline.is_final(slot_start_s + self._draft.slot_s, self._draft.ledger_time_s)
        return self._energies_of(slot_start_s, None if runs is None or is_final else runs.last)

    def _energies_of(self, slot_start_s: int, run: str | None) -> Int64:
        """int64[2, rows of the chunk]: import and export by a run where they were measured, MISSING elsewhere."""
        energies = np.full((2, self._size), MISSING, dtype=np.int64)
        leaf = None if run is None else POSITIONS.load(self._draft, slot_start_s, self._zone.zone.name, run, self.chunk)
        if leaf is not None:
            columns = leaf.columns
            is_read = (columns["start_import"] >= 0) & (columns["end_import"] >= 0)
            is_measured = is_read & np.isin(leaf.quality & CODE_MASK, (MEASURED, CORRECTED))
            known = np.flatnonzero(is_measured)
            energies[0, known], energies[1, known] = columns["import_wh"][known], columns["export_wh"][known]
        return energies
