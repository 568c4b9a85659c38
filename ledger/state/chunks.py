"""Readings in chunks of a zone's rows: all of one boundary are judged at once, then each chunk is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar

import numpy as np

from gridcore.codes import Code
from gridcore.quality import ABSENT_QUALITY
from gridcore.sm3 import sm3
from ledger.leaves.columns import Int64, UInt8, chunk_bounds, chunks_of
from ledger.leaves.latest import LATEST, LatestLeaf, no_latest
from ledger.leaves.registers import REGISTERS, RegistersLeaf, no_registers
from ledger.state.draft import Draft, Touched
from ledger.state.ranges import NEIGHBOUR_SLOTS_MAX, Candidates, Place, judge_late_rows, judge_rows, neighbours

Column = TypeVar("Column", Int64, UInt8)
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
    """One chunk of one zone, and which of the rows fall into it.

    rows: of the sorted rows; at: their positions in the chunk; kept: what stands at the boundary; latest: the newest values.
    """

    zone: str
    number: int
    rows: slice
    at: Int64
    kept: RegistersLeaf
    latest: LatestLeaf


def keep_sorted_rows(draft: Draft, rows: SortedRows) -> Int64:
    """Judge each row and keep the accepted ones: int64[n], 0 accepted, -1 equal to what stands, else the verdict's code."""
    chunks = _load_chunks(draft, rows)
    verdicts = _judge(draft, rows, chunks)
    is_taken = verdicts == ACCEPTED
    for chunk in chunks:
        taken = np.flatnonzero(is_taken[chunk.rows])
        if len(taken):
            _write_chunk(draft, rows, chunk, taken)
    return verdicts


def keep_unjudged(draft: Draft, rows: SortedRows) -> None:
    """Keep every row instead of what stands at its boundary, if anything does."""
    for chunk in _load_chunks(draft, rows):
        _write_chunk(draft, rows, chunk, np.arange(chunk.rows.stop - chunk.rows.start))


def _load_chunks(draft: Draft, rows: SortedRows) -> list[_Chunk]:
    registry = draft.registry
    zone, row = registry.installation_zone[rows.place], registry.installation_row[rows.place]
    number = chunks_of(row)
    begins = np.flatnonzero((np.diff(zone) != 0) | (np.diff(number) != 0)) + 1
    chunks = []
    for start, end in zip([0, *begins.tolist()], [*begins.tolist(), len(row)], strict=True):
        found, chunk = registry.zones[int(zone[start])], int(number[start])
        first, behind = chunk_bounds(chunk)
        size = min(len(found), behind) - first
        kept = (REGISTERS.load(draft, rows.boundary_s, found.name, chunk) or no_registers(0)).padded(size)
        latest = (LATEST.load(draft, found.name, chunk) or no_latest(0)).padded(size)
        chunks.append(_Chunk(found.name, chunk, slice(start, end), row[start:end] - first, kept, latest))
    return chunks


def _judge(draft: Draft, rows: SortedRows, chunks: list[_Chunk]) -> Int64:
    in_force, spans = draft.at(rows.boundary_s), [_span(chunk.at) for chunk in chunks]
    meters = _span(rows.place)
    candidates = Candidates(
        boundary_s=rows.boundary_s,
        registers=(rows.import_wh, rows.export_wh),
        modulus_wh=draft.registry.columns.modulus_wh[meters],
        limit_wh=in_force.limit_wh[meters],
        latest_s=_gathered([chunk.latest.boundary_s for chunk in chunks], spans),
        latest=(
            _gathered([chunk.latest.import_wh for chunk in chunks], spans),
            _gathered([chunk.latest.export_wh for chunk in chunks], spans),
        ),
        spans=in_force.spans.take(meters),
    )
    verdicts = judge_rows(draft, candidates)
    is_present = _gathered([chunk.kept.quality for chunk in chunks], spans) != ABSENT_QUALITY
    is_late = (candidates.latest_s >= rows.boundary_s) & ~is_present
    if is_late.any():
        for chunk in chunks:
            late = np.flatnonzero(is_late[chunk.rows])
            if len(late):
                where = chunk.rows.start + late
                place = Place(chunk.zone, chunk.number, chunk.at[late])
                verdicts[where] = judge_late_rows(draft, place, candidates.take(where))
    if is_present.any():
        is_equal = (_gathered([chunk.kept.import_wh for chunk in chunks], spans) == rows.import_wh) & (
            _gathered([chunk.kept.export_wh for chunk in chunks], spans) == rows.export_wh
        )
        verdicts[is_present] = np.where(is_equal, EQUAL, int(Code.ROW_CORRECTION_CANDIDATE))[is_present]
    return verdicts


def _gathered(columns: Sequence[Column], spans: Sequence[Int64 | slice]) -> Column:
    """What each of the rows meets in its chunk's column."""
    return np.concatenate([column[span] for column, span in zip(columns, spans, strict=True)])


def _span(indices: Int64) -> Int64 | slice:
    """The same rows as a slice where they follow one another: numpy then copies nothing. Most batches are like that."""
    first, last = int(indices[0]), int(indices[-1])
    if last - first + 1 == len(indices) and (indices[1:] > indices[:-1]).all():
        return slice(first, last + 1)
    return indices


def _write_chunk(draft: Draft, rows: SortedRows, chunk: _Chunk, taken: Int64) -> None:
    """Put accepted rows into their chunk, and those that are their meters' newest into the latest values."""
    kept, latest = chunk.kept, chunk.latest
    where, chunk_rows = chunk.rows.start + taken, chunk.at[taken]
    draft.fed.add(_touched(draft, chunk, rows.boundary_s, chunk_rows))
    newer = np.flatnonzero(latest.boundary_s[chunk_rows] <= rows.boundary_s)
    seeds = _reseeded(kept.seed, rows, where)
    source, target = _span(where), _span(chunk_rows)
    kept.quality[target] = rows.quality[source]
    kept.import_wh[target] = rows.import_wh[source]
    kept.export_wh[target] = rows.export_wh[source]
    kept = kept._replace(seed=seeds[int(rows.batch[where[-1]])])
    REGISTERS.save(draft, kept, rows.boundary_s, chunk.zone, chunk.number)
    if len(newer):
        source, target = _span(where[newer]), _span(chunk_rows[newer])
        latest.boundary_s[target] = rows.boundary_s
        latest.import_wh[target] = rows.import_wh[source]
        latest.export_wh[target] = rows.export_wh[source]
        latest = latest._replace(seed=seeds[int(rows.batch[where[newer[-1]]])])
        LATEST.save(draft, latest, chunk.zone, chunk.number)


def _touched(draft: Draft, chunk: _Chunk, boundary_s: int, chunk_rows: Int64) -> Touched:
    """The slots between the nearest values before and after new ones or others, which do not stand among the latest yet."""
    latest_s = chunk.latest.boundary_s[chunk_rows]
    near_s = latest_s[(latest_s < boundary_s) & (latest_s >= boundary_s - NEIGHBOUR_SLOTS_MAX * draft.slot_s)]
    first_s, end_s = int(near_s.min(initial=boundary_s)), boundary_s
    late = chunk_rows[latest_s >= boundary_s]
    if len(late):
        place = Place(chunk.zone, chunk.number, late)
        before, after = (neighbours(draft, place, boundary_s, direction) for direction in (-1, +1))
        first_s = min(first_s, boundary_s - int(before.slots.max()) * draft.slot_s)
        end_s = boundary_s + int(after.slots.max()) * draft.slot_s
    return Touched(chunk.zone, first_s, end_s)


def _reseeded(seed: bytes, rows: SortedRows, where: Int64) -> Mapping[int, bytes]:
    """A chunk's seed after each batch that gives it at least one of the rows ``where``, by batch, in block order."""
    seeds = {}
    for batch in np.unique(rows.batch[where]).tolist():
        seed = seeds[batch] = sm3(seed + rows.seeds[batch])
    return seeds
