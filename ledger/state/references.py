"""What rows used in the same slot of earlier days (docs/spec/state.md, "Estimates")."""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

import numpy as np

from gridcore.quality import CODE_MASK, CORRECTED, MEASURED
from gridcore.run_names import INITIAL
from ledger.leaves.columns import Int64, chunk_bounds
from ledger.leaves.positions import POSITIONS
from ledger.leaves.runs import RUNS
from ledger.state.draft import Draft
from ledger.state.estimates import MISSING
from ledger.state.kept_shapes import PlaceInDay
from ledger.state.local_days import REFERENCE_DAYS, LocalDay, day_of, days_like
from ledger.state.slot import Slot

REFERENCE_S_MAX: Final = 16 * 86_400
"""How long before a gap the slots begin that give it its shape, at most: what is older may be pruned."""


class GapBegin(NamedTuple):
    """Where a gap begins, UTC seconds, and the local day that holds this."""

    start_s: int
    day: LocalDay


class References:
    """Earlier slots of one chunk of a zone; each is loaded once."""

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
        self._initial_energies = cache(lambda slot_start_s: self._energies_of(slot_start_s, INITIAL))

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

    def of_days_before(self, rows: Int64, calendar: str, begin: GapBegin, slot: PlaceInDay) -> tuple[Int64, Int64]:
        """What rows imported and exported at one place of the days of its kind before a gap, by the initial runs: the sums, int64[2, n],
        and of how many days, int64[n], 0 to 4.

        No later run changes these, so that a gap is split alike whenever one of its slots is settled.
        """
        sums, days = np.zeros((2, len(rows)), dtype=np.int64), np.zeros(len(rows), dtype=np.int64)
        for like in self._days_like(calendar, begin.day, slot.is_weekend):
            earlier_s = like.start_s + slot.after_s
            if begin.start_s - REFERENCE_S_MAX <= earlier_s < like.end_s:
                of_day = self._initial_energies(earlier_s)[:, rows - self._first_row]
                is_known = of_day[0] != MISSING
                sums += np.where(is_known, of_day, 0)
                days += is_known
        return sums, days

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
