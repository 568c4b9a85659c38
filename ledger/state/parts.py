"""Parts of gaps: between which registers each piece of a slot lies that no register tells alone (docs/spec/state.md, "Estimates").

A piece is what of a slot one meter's registers go on in: the whole slot, or less where the registry names a break. It lies in a part, which
begins and ends with a value or with the registers that are stated at a break, at most ``gap_slots_max`` slots apart.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gridcore.registry.installation import PRIMARY_LIMIT_WH_MAX
from ledger.leaves.columns import Int64, chunk_bounds, split_row
from ledger.leaves.latest import LATEST, no_latest
from ledger.registry.breaks import NOT_SAID, Spans
from ledger.state.draft import Draft
from ledger.state.energy import Bools, advance_of, is_in_range
from ledger.state.nearest import AFTER, BEFORE, NONE, Place, registers_at
from ledger.state.pieces import breaks_of_slot, rows_of_breaks
from ledger.state.ranges import within_spans
from ledger.state.slot import Slot, Snapshot

_NO_ENTRY = -1
"""Of a piece that begins or ends with the slot and not with an entry of the registry."""


class Parts(NamedTuple):
    """The pieces of one slot of some rows, each with the part in which it lies; columns int64[n].

    row: of the zone; from_s, until_s: the piece; start_s, end_s: the part; import_wh, export_wh: primary energy of the part. These four count
    only where the part is closed.
    """

    row: Int64
    from_s: Int64
    until_s: Int64
    start_s: Int64
    end_s: Int64
    import_wh: Int64
    export_wh: Int64

    def take(self, places: Int64 | Bools) -> Parts:
        """Some of them."""
        return Parts(*(column[places] for column in self))


class _Pieces(NamedTuple):
    """row: of the zone; meter: place of its installation; opened, closed: places of the entries at its begin and end; int64[n] each."""

    row: Int64
    meter: Int64
    opened: Int64
    closed: Int64


class _Ends(NamedTuple):
    """Begins, or ends, of the parts of n pieces: when (NONE where unknown) and with which registers."""

    at_s: Int64
    registers: tuple[Int64, Int64]

    def put(self, places: Int64, at_s: Int64, registers: tuple[Int64, Int64]) -> None:
        """Say some of them."""
        self.at_s[places] = at_s
        for column, values in zip(self.registers, registers, strict=True):
            column[places] = values


class _Search(NamedTuple):
    """What is looked through for parts: a chunk of a slot's zone, ``reach_s`` far."""

    draft: Draft
    slot: Slot
    chunk: int
    reach_s: int

    def beyond(self, rows: Int64, spans: Spans, direction: int) -> _Ends:
        """The nearest value of each row behind one end of the slot, else what is stated at that end of its span."""
        slot_s, zone = self.draft.slot_s, self.slot.zone.zone.name
        boundary_s = self.slot.start_s if direction == BEFORE else self.slot.end_s
        snapshot = self.slot.start if direction == BEFORE else self.slot.end
        ends = _none(len(rows))
        here = np.flatnonzero(snapshot.present[rows] & (spans.since_s <= boundary_s) & (boundary_s < spans.until_s))
        ends.put(here, np.full(len(here), boundary_s), _registers_of(snapshot, rows[here]))
        left = np.flatnonzero(ends.at_s == NONE)
        furthest_s = np.full(len(left), boundary_s + direction * self.reach_s)
        place = Place(zone, self.chunk, rows[left] - chunk_bounds(self.chunk)[0])
        if direction == AFTER:
            # Most rows have no later value yet: nothing is searched for them.
            furthest_s = np.where(_latest_s(self.draft, place) > boundary_s, furthest_s, boundary_s)
        looked_s = within_spans(spans.take(left), furthest_s, direction)
        value_s = self.draft.nearest.find(self.draft, place, boundary_s, direction, slot_s, looked_s)
        is_found = value_s != NONE
        found = place._replace(at=place.at[is_found])
        ends.put(left[is_found], value_s[is_found], registers_at(self.draft, found, value_s[is_found]))
        self._put_stated(ends, spans, boundary_s, direction)
        return ends

    def _put_stated(self, ends: _Ends, spans: Spans, boundary_s: int, direction: int) -> None:
        """What the registry states at the ends of spans that are within reach, where there is no value."""
        at_s, stated = (spans.since_s, spans.first) if direction == BEFORE else (spans.until_s, spans.final)
        is_near = direction * (at_s - boundary_s) <= self.reach_s
        said = np.flatnonzero((ends.at_s == NONE) & (stated[0] != NOT_SAID) & is_near)
        ends.put(said, at_s[said], (stated[0][said], stated[1][said]))


def parts_of_slot(draft: Draft, slot: Slot, chunk: int, rows: Int64) -> tuple[Parts, Bools]:
    """The pieces of a slot of some rows (of the zone, all in ``chunk``) whose energy is not known, none of a row without a meter; and whether
    the part of each is closed.
    """
    pieces = _pieces_of(draft, slot, rows)
    search = _Search(draft, slot, chunk, slot.zone.zone.timeline.gap_slots_max * draft.slot_s)
    at_start, is_begun = draft.at(slot.start_s).spans, pieces.opened == _NO_ENTRY
    is_lasting = pieces.closed == _NO_ENTRY
    # A part whose end is not known yet is not looked for at its begin: most rows wait for their next register.
    ends = _stated_ends(draft, pieces.closed, is_first=False)
    for own, spans_of in ((is_begun & is_lasting, at_start), (~is_begun & is_lasting, None)):
        some = np.flatnonzero(own)
        if len(some):
            spans = (spans_of or draft.at(slot.end_s).spans).take(pieces.meter[some])
            ends.put(some, *search.beyond(pieces.row[some], spans, AFTER))
    begins = _stated_ends(draft, pieces.opened, is_first=True)
    some = np.flatnonzero(is_begun & (ends.at_s != NONE))
    begins.put(some, *search.beyond(pieces.row[some], at_start.take(pieces.meter[some]), BEFORE))
    return _bound(draft, slot, pieces, begins, ends)


def _pieces_of(draft: Draft, slot: Slot, rows: Int64) -> _Pieces:
    """The pieces of rows in their order: one a row, but where registers break off in the slot."""
    installed, breaks = slot.zone.installation[rows], breaks_of_slot(draft, slot.zone.zone, slot.start_s)
    broken_rows = np.intersect1d(rows_of_breaks(draft, breaks), rows) if len(breaks) else breaks
    is_whole = ~np.isin(rows, broken_rows) if len(breaks) else True
    whole = np.flatnonzero((installed >= 0) & is_whole)
    none = np.full(len(whole), _NO_ENTRY)
    parts = [_Pieces(rows[whole], installed[whole], none, none)]
    parts += [_broken_pieces(draft, slot, int(row), breaks) for row in broken_rows]
    return _Pieces(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _broken_pieces(draft: Draft, slot: Slot, row: int, breaks: Int64) -> _Pieces:
    """The pieces of a row in whose slot registers break off: each entry ends what goes on and begins what it says first registers of."""
    columns, found = draft.registry.columns, list[tuple[int, int, int, int]]()
    meter, opened = int(slot.zone.installation[row]), _NO_ENTRY
    own = breaks[rows_of_breaks(draft, breaks) == row]
    is_end = (columns.final_import_wh[own] != NOT_SAID) | (columns.installation_gateway[own] < 0)
    # A meter is taken down before another one is put up at the same instant.
    order = np.lexsort((~is_end, columns.installation_entries.from_s[own]))
    for entry, ends in zip(own[order].tolist(), is_end[order].tolist(), strict=True):
        if ends and meter >= 0:
            found.append((row, meter, opened, entry))
            meter = -1
        if columns.first_import_wh[entry] != NOT_SAID:
            meter, opened = int(columns.installation_entries.entity[entry]), entry
    if meter >= 0 and (opened == _NO_ENTRY or columns.installation_entries.from_s[opened] < slot.end_s):
        found.append((row, meter, opened, _NO_ENTRY))
    return _Pieces(*np.array(found, dtype=np.int64).reshape(-1, 4).T)


def _stated_ends(draft: Draft, entries: Int64, *, is_first: bool) -> _Ends:
    """What the entries say at which pieces begin or end inside the slot; nothing for the others."""
    columns, ends = draft.registry.columns, _none(len(entries))
    stated = (columns.first_import_wh, columns.first_export_wh)
    if not is_first:
        stated = (columns.final_import_wh, columns.final_export_wh)
    known = np.flatnonzero(entries != _NO_ENTRY)
    known = known[stated[0][entries[known]] != NOT_SAID]
    entry = entries[known]
    ends.put(known, columns.installation_entries.from_s[entry], (stated[0][entry], stated[1][entry]))
    return ends


def _bound(draft: Draft, slot: Slot, pieces: _Pieces, begins: _Ends, ends: _Ends) -> tuple[Parts, Bools]:
    """Pieces with their parts, which are closed where both ends are known and the advance between them can be energy."""
    columns, zone, slot_s = draft.registry.columns, slot.zone, draft.slot_s
    is_begun = pieces.opened == _NO_ENTRY
    ratio, limit_wh, modulus_wh = zone.ratio[pieces.row], zone.limit_wh[pieces.row], columns.modulus_wh[pieces.meter]
    entry_s = columns.installation_entries.from_s
    if not is_begun.all():
        opened = pieces.opened[~is_begun]
        ratio[~is_begun], limit_wh[~is_begun] = columns.ratio[opened], columns.limit_wh[opened]
    from_s = np.full(len(pieces.row), slot.start_s)
    from_s[~is_begun] = entry_s[pieces.opened[~is_begun]]
    until_s = np.full(len(pieces.row), slot.end_s)
    is_ended = pieces.closed != _NO_ENTRY
    until_s[is_ended] = entry_s[pieces.closed[is_ended]]
    slots = -(-ends.at_s // slot_s) - begins.at_s // slot_s
    most_wh = np.where(slots > 1, slots * (PRIMARY_LIMIT_WH_MAX // np.maximum(ratio, 1)), limit_wh)
    most_wh = np.where(modulus_wh > 0, np.minimum(most_wh, modulus_wh // 2), most_wh)
    is_closed = (begins.at_s != NONE) & (ends.at_s != NONE) & (slots <= zone.zone.timeline.gap_slots_max)
    advances = [advance_of(old, new, modulus_wh) for old, new in zip(begins.registers, ends.registers, strict=True)]
    for advance_wh in advances:
        is_closed &= is_in_range(advance_wh, most_wh)
    import_wh, export_wh = (advance_wh * ratio for advance_wh in advances)
    return Parts(pieces.row, from_s, until_s, begins.at_s, ends.at_s, import_wh, export_wh), is_closed


def _none(size: int) -> _Ends:
    none, wh = np.full(size, NONE), np.zeros((2, size), dtype=np.int64)
    return _Ends(none, (wh[0], wh[1]))


def _registers_of(snapshot: Snapshot, rows: Int64) -> tuple[Int64, Int64]:
    return snapshot.registers[0][rows], snapshot.registers[1][rows]


def begin_of_part(draft: Draft, installation: int, time_s: int) -> int:
    """Where the part begins that a break of an installation (its place) at ``time_s`` ends, of it what the zone binds part by part; ``time_s``
    where nothing is within reach.
    """
    registry, slot_s = draft.registry, draft.slot_s
    zone = registry.zones[int(registry.installation_zone[installation])]
    if time_s <= zone.timeline.gap_slots_from_s:
        # Nothing of it is bound part by part, and what lies before it may have been pruned.
        return time_s
    furthest_s = max(time_s - zone.timeline.gap_slots_max * slot_s, 0)
    chunk, at = split_row(int(registry.installation_row[installation]))
    place = Place(zone.name, chunk, np.array([at]))
    value_s = int(_latest_s(draft, place)[0])
    if value_s > time_s:
        boundary_s = time_s // slot_s * slot_s + slot_s
        value_s = int(draft.nearest.find(draft, place, boundary_s, BEFORE, slot_s, np.array([furthest_s]))[0])
    since_s = int(draft.at(time_s).spans.since_s[installation])
    found_s = next((begin_s for begin_s in (value_s, since_s) if begin_s >= furthest_s), time_s)
    return min(max(found_s, zone.timeline.gap_slots_from_s), time_s)


def _latest_s(draft: Draft, place: Place) -> Int64:
    """int64[n]: the newest boundary at which each row has a value, NONE before the first."""
    latest = LATEST.load(draft, place.zone, place.chunk) or no_latest(0)
    return latest.padded(int(place.at.max(initial=-1)) + 1).boundary_s[place.at]
