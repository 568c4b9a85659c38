"""Gaps in registers: between which values a slot lies that no register tells (docs/spec/state.md, "Estimates")."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gridcore.registry.installation import PRIMARY_LIMIT_WH_MAX
from ledger.leaves.columns import Int64, chunk_bounds
from ledger.leaves.latest import LATEST, no_latest
from ledger.registry.breaks import Spans
from ledger.state.draft import Draft
from ledger.state.energy import Bools, advance_of, is_in_range
from ledger.state.nearest import Place
from ledger.state.ranges import NEIGHBOUR_SLOTS_MAX, Neighbours, neighbours
from ledger.state.slot import Slot, Snapshot


@dataclass(frozen=True)
class ClosedGaps:
    """Gaps that lie between two values of one span of a meter, columns int64[n].

    rows: of the zone; start_s, end_s: boundaries of the values; import_wh, export_wh: primary energy between them, >= 0.
    """

    rows: Int64
    start_s: Int64
    end_s: Int64
    import_wh: Int64
    export_wh: Int64

    def take(self, places: Bools) -> ClosedGaps:
        """Some of them."""
        columns = (self.rows, self.start_s, self.end_s, self.import_wh, self.export_wh)
        return ClosedGaps(*(column[places] for column in columns))


def closed_gaps(draft: Draft, slot: Slot, chunk: int, rows: Int64) -> ClosedGaps:
    """The gaps of at most 96 slots in which a slot lies, of those of ``rows`` (of the zone, all in ``chunk``) that have one.

    A slot with values at both ends lies in none: if its energy is not known all the same, nothing bounds it.
    """
    zone, (first_row, end_row) = slot.zone, chunk_bounds(chunk)
    size = min(end_row, len(zone.zone)) - first_row
    latest = (LATEST.load(draft, zone.zone.name, chunk) or no_latest(0)).padded(size)
    # Most rows have no later value yet: nothing is searched for them.
    is_later = latest.boundary_s[rows - first_row] > slot.start_s
    rows = rows[is_later & (zone.installation[rows] >= 0)]
    place = Place(zone.zone.name, chunk, rows - first_row)
    spans = draft.at(slot.start_s).spans.take(zone.installation[rows])
    before = _nearest(draft, place, slot.start_s, _at(slot.start, rows, True), -1, spans)
    after = _nearest(draft, place, slot.end_s, _at(slot.end, rows, spans.until_s > slot.end_s), +1, spans)
    start_s, end_s = slot.start_s - before.slots * draft.slot_s, slot.end_s + after.slots * draft.slot_s
    slots = np.where((before.slots >= 0) & (after.slots >= 0), before.slots + after.slots + 1, 0)
    is_closed = (slots > 1) & (slots <= NEIGHBOUR_SLOTS_MAX)
    modulus_wh, ratio = zone.modulus_wh[rows], zone.ratio[rows]
    most_wh = slots * (PRIMARY_LIMIT_WH_MAX // ratio)
    most_wh = np.where(modulus_wh > 0, np.minimum(most_wh, modulus_wh // 2), most_wh)
    advances = [advance_of(old, new, modulus_wh) for old, new in zip(before.registers, after.registers, strict=True)]
    for advance_wh in advances:
        is_closed &= is_in_range(advance_wh, most_wh)
    kept = np.flatnonzero(is_closed)
    import_wh, export_wh = ((advance_wh * ratio)[kept] for advance_wh in advances)
    return ClosedGaps(rows[kept], start_s[kept], end_s[kept], import_wh, export_wh)


def _at(snapshot: Snapshot, rows: Int64, is_of_span: Bools | bool) -> Neighbours:
    """What stands for rows at the slot's own boundary: slots 0, or -1 where there is nothing of the span."""
    slots = np.where(snapshot.present[rows] & is_of_span, 0, -1)
    registers = (snapshot.registers[0][rows], snapshot.registers[1][rows])
    return Neighbours(slots, registers, np.zeros(len(rows), dtype=np.bool_))


def _nearest(draft: Draft, place: Place, boundary_s: int, here: Neighbours, direction: int, spans: Spans) -> Neighbours:
    """The nearest value of each row at a boundary or beyond it; slots -1: there is none at most 96 boundaries away."""
    absent = np.flatnonzero(here.slots < 0)
    if len(absent):
        beyond = place._replace(at=place.at[absent])
        found = neighbours(draft, beyond, boundary_s, direction, spans.take(absent))
        here.slots[absent] = np.where(found.slots > 0, found.slots, -1)
        for column, values in zip(here.registers, found.registers, strict=True):
            column[absent] = values
    return here
