"""Whether a register can follow, or come before, what already stands: each row beside its neighbours in time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from gridcore.codes import Code
from gridcore.registry.installation import REGISTER_WH_MAX
from ledger.leaves.columns import Int64
from ledger.registry.breaks import NEVER_S, NOT_SAID, Spans
from ledger.state.draft import Draft
from ledger.state.energy import Bools, advance_of, is_in_range
from ledger.state.nearest import AFTER, BEFORE, NONE, Place, registers_at

NEIGHBOUR_SLOTS_MAX: Final = 96
"""How far a late row looks for the values before and after it, and a gap of a zone that names no ``gap_slots_max`` reaches."""

FITS: Final = 0
GOES_BACK: Final = int(Code.ROW_GOES_BACK)
EXCEEDS_LIMIT: Final = int(Code.ROW_EXCEEDS_LIMIT)
FIRST_VALUE: Final = int(Code.ROW_FIRST_VALUE)


@dataclass(frozen=True)
class Candidates:
    """Rows of one boundary that are to be judged; columns of equal length n.

    registers: import and export, int64[n], 0 ... 2^63 - 1; modulus_wh (0: none) and limit_wh (of one slot): of each row's
    meter; latest_s (-1: none) and latest: the latest boundary and registers at its point; spans: between which breaks the
    meter's registers go on around the boundary.
    """

    boundary_s: int
    registers: tuple[Int64, Int64]
    modulus_wh: Int64
    limit_wh: Int64
    latest_s: Int64
    latest: tuple[Int64, Int64]
    spans: Spans

    def take(self, rows: Int64) -> Candidates:
        """Some of the rows."""
        return Candidates(
            self.boundary_s,
            (self.registers[0][rows], self.registers[1][rows]),
            self.modulus_wh[rows],
            self.limit_wh[rows],
            self.latest_s[rows],
            (self.latest[0][rows], self.latest[1][rows]),
            self.spans.take(rows),
        )


@dataclass(frozen=True)
class Neighbours:
    """What stands nearest to each row in one direction: slots away (0: there is nothing), import and export.

    is_stated: bool[n], the registers are not a value that stands but those of the break at that end of the span.
    """

    slots: Int64
    registers: tuple[Int64, Int64]
    is_stated: Bools

    def or_else(self, find_other: Callable[[], Neighbours]) -> Neighbours:
        """What ``find_other`` finds where there is nothing; not called where there is something everywhere."""
        is_none = self.slots == 0
        if not is_none.any():
            return self
        other = find_other()
        return Neighbours(
            np.where(is_none, other.slots, self.slots),
            (
                np.where(is_none, other.registers[0], self.registers[0]),
                np.where(is_none, other.registers[1], self.registers[1]),
            ),
            np.where(is_none, other.is_stated, self.is_stated),
        )


def judge_rows(draft: Draft, rows: Candidates) -> Int64:
    """int64[n]: 0, or the verdict of a row whose boundary is later than its point's latest (or that has none yet)."""
    before = _latest(draft, rows).or_else(partial(_first, draft, rows))
    after = _final(draft, rows) if (rows.spans.until_s != NEVER_S).any() else None
    return _judge(rows, before, after)


def judge_late_rows(draft: Draft, place: Place, rows: Candidates) -> Int64:
    """int64[n]: 0, or the verdict of a row whose point already has a later boundary."""
    near = (neighbours(draft, place, rows.boundary_s, direction, rows.spans) for direction in (BEFORE, AFTER))
    before = next(near).or_else(partial(_first, draft, rows))
    # The latest value lies after a late row: it bounds the row where nothing nearer does.
    after = next(near).or_else(partial(_latest, draft, rows)).or_else(partial(_final, draft, rows))
    return _judge(rows, before, after)


def _judge(rows: Candidates, before: Neighbours, after: Neighbours | None = None) -> Int64:
    """The first verdict of each row: import before export, range before neighbours, the past before the future."""
    verdicts = np.zeros(len(rows.latest_s), dtype=np.int64)
    top = np.where(rows.modulus_wh > 0, np.minimum(rows.modulus_wh - 1, REGISTER_WH_MAX), REGISTER_WH_MAX)
    for index in range(2):
        new = rows.registers[index]
        found = [np.where(new > top, EXCEEDS_LIMIT, FITS)] if (new > top).any() else []
        beyond = _judge_advance(rows, before.registers[index], new, before.slots)
        found.append(np.where((beyond != FITS) & before.is_stated, FIRST_VALUE, beyond) if beyond.any() else beyond)
        if after is not None:
            found.append(_judge_advance(rows, new, after.registers[index], after.slots))
        for verdict in found:
            if verdict.any():
                verdicts = np.where(verdicts == FITS, verdict, verdicts)
    return verdicts


def _judge_advance(rows: Candidates, old: Int64, new: Int64, slots: Int64) -> Int64:
    """Whether ``new`` can follow ``old`` after ``slots`` slots; 0 slots: nothing to compare with.

    Half the modulus at most: beyond that, a register that went back would look like one that rolled over.
    """
    most = slots * rows.limit_wh  # limits are at most 10^9 a slot, times at most year 9999: this does not leave 64 bits
    most = np.where(rows.modulus_wh > 0, np.minimum(most, rows.modulus_wh // 2), most)
    beyond = ~is_in_range(advance_of(old, new, rows.modulus_wh), most) & (slots > 0)
    if not beyond.any():
        return np.zeros_like(old)
    return np.where(beyond, np.where(new < old, GOES_BACK, EXCEEDS_LIMIT), FITS)


def _latest(draft: Draft, rows: Candidates) -> Neighbours:
    """The latest value at the point, before or after the rows, where it lies in the span."""
    is_there = (rows.latest_s >= 0) & (rows.latest_s >= rows.spans.since_s) & (rows.latest_s < rows.spans.until_s)
    slots = np.where(is_there, np.abs(rows.boundary_s - rows.latest_s) // draft.slot_s, 0)
    return Neighbours(slots, rows.latest, np.zeros(len(slots), dtype=bool))


def _first(draft: Draft, rows: Candidates) -> Neighbours:
    """The registers with which the span began; a slot that has begun counts whole."""
    is_there = rows.spans.first[0] != NOT_SAID
    slots = np.where(is_there, (rows.boundary_s - rows.spans.since_s) // draft.slot_s + 1, 0)
    return Neighbours(slots, rows.spans.first, is_there)


def _final(draft: Draft, rows: Candidates) -> Neighbours:
    """The registers with which the span ends."""
    is_there = rows.spans.final[0] != NOT_SAID
    slots = np.where(is_there, (rows.spans.until_s - rows.boundary_s) // draft.slot_s + 1, 0)
    return Neighbours(slots, rows.spans.final, is_there)


def neighbours(draft: Draft, place: Place, boundary_s: int, direction: int, spans: Spans) -> Neighbours:
    """The nearest present values in ``spans`` before (-1) or after (+1) a boundary, at most 96 boundaries away."""
    furthest_s = np.full(len(place.at), boundary_s + direction * NEIGHBOUR_SLOTS_MAX * draft.slot_s)
    furthest_s = within_spans(spans, furthest_s, direction)
    found_s = draft.nearest.find(draft, place, boundary_s, direction, draft.slot_s, furthest_s)
    slots = np.where(found_s != NONE, np.abs(found_s - boundary_s) // draft.slot_s, 0)
    return Neighbours(slots, registers_at(draft, place, found_s), np.zeros(len(slots), dtype=bool))


def within_spans(spans: Spans, furthest_s: Int64, direction: int) -> Int64:
    """int64[n]: how far to look for values, but not beyond the ends of spans."""
    return np.maximum(furthest_s, spans.since_s) if direction == BEFORE else np.minimum(furthest_s, spans.until_s - 1)
