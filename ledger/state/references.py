"""What rows used in the same slot of earlier days (docs/spec/state.md, "Estimates")."""

from __future__ import annotations

from functools import cache

import numpy as np

from gridcore.quality import CODE_MASK, CORRECTED, MEASURED
from ledger.leaves.columns import Int64, chunk_bounds
from ledger.leaves.positions import POSITIONS
from ledger.leaves.runs import RUNS
from ledger.state.draft import Draft
from ledger.state.estimates import MISSING
from ledger.state.local_days import REFERENCE_DAYS, LocalDay, day_of, days_like
from ledger.state.slot import Slot


class References:
    """Earlier slots of one chunk of a zone; each is loaded once."""

    def __init__(self, draft: Draft, slot: Slot, chunk: int) -> None:
        self._draft = draft
        self._zone = slot.zone
        self._chunk = chunk
        first, end = chunk_bounds(chunk)
        self._first_row, self._size = first, min(end, len(slot.zone.zone)) - first
        self._days_like = cache(lambda calendar, day: days_like(draft, calendar, day))
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
            for place, like in enumerate(self._days_like(calendar, day)):
                earlier_s = like.start_s + slot_start_s - day.start_s
                if earlier_s < like.end_s:
                    found[:, place, own] = self._energies(earlier_s)[:, rows[own] - self._first_row]
        return found

    def _load_energies(self, slot_start_s: int) -> Int64:
        """int64[2, rows of the chunk]: import and export of the last run where they were measured, in a slot that is not final."""
        draft, zone = self._draft, self._zone.zone
        energies = np.full((2, self._size), MISSING, dtype=np.int64)
        runs = RUNS.load(draft, slot_start_s, zone.name)
        if runs is None or zone.timeline.is_final(slot_start_s + draft.slot_s, draft.ledger_time_s):
            return energies
        leaf = POSITIONS.load(draft, slot_start_s, zone.name, runs.last, self._chunk)
        if leaf is not None:
            columns = leaf.columns
            is_read = (columns["start_import"] >= 0) & (columns["end_import"] >= 0)
            is_measured = is_read & np.isin(leaf.quality & CODE_MASK, (MEASURED, CORRECTED))
            known = np.flatnonzero(is_measured)
            energies[0, known], energies[1, known] = columns["import_wh"][known], columns["export_wh"][known]
        return energies
