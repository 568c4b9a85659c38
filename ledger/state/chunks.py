"""Readings in chunks of a zone's rows: all of one boundary are judged at once and written at once, then each chunk is saved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from gridcore.codes import Code
from gridcore.quality import ABSENT_QUALITY
from gridcore.sm3 import sm3
from ledger.leaves.columns import Int64, UInt8, chunk_bounds, chunks_of, span_of
from ledger.leaves.latest import LATEST, LatestLeaf, no_latest
from ledger.leaves.registers import REGISTERS, RegistersLeaf, no_registers
from ledger.registry.zones import Timeline
from ledger.state.draft import Draft, Touched
from ledger.state.energy import Bools
from ledger.state.nearest import AFTER, BEFORE, NONE, Place
from ledger.state.ranges import NEIGHBOUR_SLOTS_MAX, Candidates, judge_late_rows, judge_rows

ACCEPTED: Final = 0
EQUAL: Final = -1
"""Verdict on a row that says what already stands."""


@dataclass(frozen=True)
class SortedRows:
    """Readings of one boundary, ascending by zone and chunk, in block order inside a chunk; no meter twice.

    Columns of n: place int64 (index into the registry's installations), quality uint8, import_wh and export_wh int64 as the
    meter shows them, batch int64 (index into ``seeds``, those of the batches).
    """

    boundary_s: int
    place: Int64
    quality: UInt8
    import_wh: Int64
    export_wh: Int64
    batch: Int64
    seeds: Sequence[bytes]


class _Chunk(NamedTuple):
    """One chunk of one zone. rows: which of the sorted rows fall into it; part: where it stands in the joined columns;
    seed: of what stands at the boundary.
    """

    zone: str
    number: int
    rows: slice
    part: slice
    seed: bytes


@dataclass(frozen=True)
class _Chunks:
    """The chunks that rows fall into, ascending, and their columns one chunk behind the other; writable.

    at: int64[n], where each of the rows stands in these; quality, import_wh, export_wh: what stands at the boundary (see
    ``RegistersLeaf``); latest_s, latest_import_wh, latest_export_wh: the newest values (see ``LatestLeaf``).
    """

    each: Sequence[_Chunk]
    at: Int64
    quality: UInt8
    import_wh: Int64
    export_wh: Int64
    latest_s: Int64
    latest_import_wh: Int64
    latest_export_wh: Int64


def keep_sorted_rows(draft: Draft, rows: SortedRows) -> Int64:
    """Judge each row and keep the accepted ones: int64[n], 0 accepted, -1 equal to what stands, else the verdict's code."""
    chunks = _load_chunks(draft, rows)
    verdicts = _judge(draft, rows, chunks)
    _write(draft, rows, chunks, np.flatnonzero(verdicts == ACCEPTED))
    return verdicts


def keep_unjudged(draft: Draft, rows: SortedRows) -> None:
    """Keep every row instead of what stands at its boundary, if anything does."""
    _write(draft, rows, _load_chunks(draft, rows), np.arange(len(rows.place)))


def _load_chunks(draft: Draft, rows: SortedRows) -> _Chunks:
    registry, places = draft.registry, span_of(rows.place)
    zone, row = registry.installation_zone[places], registry.installation_row[places]
    number = chunks_of(row)
    begins = np.flatnonzero((zone[1:] != zone[:-1]) | (number[1:] != number[:-1])) + 1
    bounds = [0, *begins.tolist(), len(row)]
    each: list[_Chunk] = []
    kept: list[RegistersLeaf] = []
    latest: list[LatestLeaf] = []
    shifts, behind = [], 0
    for start, end in pairwise(bounds):
        found, chunk = registry.zones[int(zone[start])], int(number[start])
        first, size = chunk_bounds(chunk)[0], _size(len(found), chunk)
        registers = REGISTERS.load(draft, rows.boundary_s, found.name, chunk)
        newest = LATEST.load(draft, found.name, chunk)
        kept.append(no_registers(size) if registers is None else registers.padded(size))
        latest.append(no_latest(size) if newest is None else newest.padded(size))
        each.append(_Chunk(found.name, chunk, slice(start, end), slice(behind, behind + size), kept[-1].seed))
        shifts.append(behind - first)
        behind += size
    return _Chunks(
        each=each,
        at=row + np.repeat(np.array(shifts, dtype=np.int64), np.diff(bounds)),
        quality=np.concatenate([leaf.quality for leaf in kept]),
        import_wh=np.concatenate([leaf.import_wh for leaf in kept]),
        export_wh=np.concatenate([leaf.export_wh for leaf in kept]),
        latest_s=np.concatenate([leaf.boundary_s for leaf in latest]),
        latest_import_wh=np.concatenate([leaf.import_wh for leaf in latest]),
        latest_export_wh=np.concatenate([leaf.export_wh for leaf in latest]),
    )


def _size(zone_rows: int, chunk: int) -> int:
    first, behind = chunk_bounds(chunk)
    return min(zone_rows, behind) - first


def _judge(draft: Draft, rows: SortedRows, chunks: _Chunks) -> Int64:
    in_force, meters, at = draft.at(rows.boundary_s), span_of(rows.place), span_of(chunks.at)
    candidates = Candidates(
        boundary_s=rows.boundary_s,
        registers=(rows.import_wh, rows.export_wh),
        modulus_wh=draft.registry.columns.modulus_wh[meters],
        limit_wh=in_force.limit_wh[meters],
        latest_s=chunks.latest_s[at],
        latest=(chunks.latest_import_wh[at], chunks.latest_export_wh[at]),
        spans=in_force.spans.take(meters),
    )
    verdicts = judge_rows(draft, candidates)
    is_present = chunks.quality[at] != ABSENT_QUALITY
    late = np.flatnonzero((candidates.latest_s >= rows.boundary_s) & ~is_present)
    for chunk, own in _by_chunk(chunks, late):
        place = Place(chunk.zone, chunk.number, chunks.at[late[own]] - chunk.part.start)
        verdicts[late[own]] = judge_late_rows(draft, place, candidates.take(late[own]))
    if is_present.any():
        is_equal = (chunks.import_wh[at] == rows.import_wh) & (chunks.export_wh[at] == rows.export_wh)
        verdicts[is_present] = np.where(is_equal, EQUAL, int(Code.ROW_CORRECTION_CANDIDATE))[is_present]
    return verdicts


def _by_chunk(chunks: _Chunks, rows: Int64) -> Iterator[tuple[_Chunk, slice]]:
    """The chunks that some of the rows (ascending) fall into, each with which of them do."""
    starts = np.searchsorted(rows, [chunk.rows.start for chunk in chunks.each]).tolist() if len(rows) else []
    for chunk, start, end in zip(chunks.each, starts, [*starts[1:], len(rows)], strict=False):
        if start < end:
            yield chunk, slice(start, end)


def _write(draft: Draft, rows: SortedRows, chunks: _Chunks, taken: Int64) -> None:
    """Put accepted rows into their chunks, and those that are their meters' newest into the latest values."""
    at = chunks.at[taken]
    before_s = chunks.latest_s[at]
    is_newer = before_s <= rows.boundary_s
    source, target = span_of(taken), span_of(at)
    chunks.quality[target] = rows.quality[source]
    chunks.import_wh[target] = rows.import_wh[source]
    chunks.export_wh[target] = rows.export_wh[source]
    source, target = span_of(taken[is_newer]), span_of(at[is_newer])
    chunks.latest_s[target] = rows.boundary_s
    chunks.latest_import_wh[target] = rows.import_wh[source]
    chunks.latest_export_wh[target] = rows.export_wh[source]
    for chunk, own in _by_chunk(chunks, taken):
        draft.fed.update(_touched(draft, chunk, rows, taken[own], at[own], before_s[own]))
        _save(draft, rows, chunks, chunk, rows.batch[taken[own]], is_newer[own])
        draft.nearest.note_written(Place(chunk.zone, chunk.number, at[own] - chunk.part.start), rows.boundary_s)


def _save(draft: Draft, rows: SortedRows, chunks: _Chunks, chunk: _Chunk, batch: Int64, is_newer: Bools) -> None:
    """Save a chunk with the seeds that follow from the batches of the rows that were put into it."""
    part, seeds = chunk.part, _reseeded(chunk.seed, rows, batch)
    registers = RegistersLeaf(
        chunks.quality[part], chunks.import_wh[part], chunks.export_wh[part], seeds[int(batch[-1])]
    )
    REGISTERS.save(draft, registers, rows.boundary_s, chunk.zone, chunk.number)
    newer = batch[is_newer]
    if len(newer):
        latest = LatestLeaf(
            chunks.latest_s[part],
            chunks.latest_import_wh[part],
            chunks.latest_export_wh[part],
            seeds[int(newer[-1])],
        )
        LATEST.save(draft, latest, chunk.zone, chunk.number)


class _Reach(NamedTuple):
    """Which slots around a boundary one rule of gaps may change: up to the nearest values, at most ``slots`` away, of those from ``from_s`` on.

    is_to_spans: where nothing stands as far as a gap reaches, the span of the meter's registers may begin or end there.
    """

    slots: int
    from_s: int
    is_to_spans: bool


def _reaches(timeline: Timeline, boundary_s: int, slot_s: int) -> Iterator[_Reach]:
    """The older rule of gaps, the newer, or both around where the zone has taken up the newer one (``ledger.state.missing``)."""
    taken_up_s = timeline.gap_slots_from_s
    is_older_near = taken_up_s > 0 and boundary_s < taken_up_s + NEIGHBOUR_SLOTS_MAX * slot_s
    if not timeline.gap_slots_max or is_older_near:
        yield _Reach(NEIGHBOUR_SLOTS_MAX, 0, is_to_spans=timeline.part_slots_are_measured)
    if timeline.gap_slots_max:
        yield _Reach(timeline.gap_slots_max, taken_up_s, is_to_spans=True)


def _touched(
    draft: Draft, chunk: _Chunk, rows: SortedRows, taken: Int64, at: Int64, latest_s: Int64
) -> Iterator[Touched]:
    """The slots between the nearest values before and after new ones or others, which do not stand among the latest yet.

    taken: of the rows; at: in the joined columns; latest_s: what was the latest there before.
    """
    boundary_s, slot_s = rows.boundary_s, draft.slot_s
    for reach in _reaches(draft.registry.zone(chunk.zone).timeline, boundary_s, slot_s):
        reach_s = reach.slots * slot_s
        before_s, after_s = np.where(latest_s < boundary_s, latest_s, NONE), np.full(len(at), NONE)
        late = np.flatnonzero(latest_s >= boundary_s)
        if len(late):
            place = Place(chunk.zone, chunk.number, at[late] - chunk.part.start)
            sides = [(after_s, AFTER)]
            if boundary_s > reach.from_s:  # Else nothing before it is asked for, and may have been pruned.
                sides.append((before_s, BEFORE))
            for found_s, direction in sides:
                furthest_s = np.full(len(late), boundary_s + direction * reach_s)
                found_s[late] = draft.nearest.find(draft, place, boundary_s, direction, slot_s, furthest_s)
        if reach.is_to_spans:
            spans = draft.at(boundary_s).spans.take(rows.place[taken])
            before_s = np.where(before_s < boundary_s - reach_s, spans.since_s // slot_s * slot_s, before_s)
            after_s = np.where(after_s == NONE, -(-spans.until_s // slot_s) * slot_s, after_s)
        before_s = before_s[before_s >= max(boundary_s - reach_s, 0)]
        after_s = after_s[after_s <= boundary_s + reach_s]
        first_s = max(int(before_s.min(initial=boundary_s)), reach.from_s)
        yield Touched(chunk.zone, first_s, int(after_s.max(initial=boundary_s)))


def _reseeded(seed: bytes, rows: SortedRows, batch: Int64) -> Mapping[int, bytes]:
    """A chunk's seed after each of the batches that gave it rows, by batch. batch: of each of these rows, ascending."""
    seeds = {}
    for index in batch[:1].tolist() + batch[1:][batch[1:] != batch[:-1]].tolist():
        seed = seeds[index] = sm3(seed + rows.seeds[index])
    return seeds
