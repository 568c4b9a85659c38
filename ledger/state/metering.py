"""Rows of reading batches become registers (docs/spec/state.md): the batches of a block are judged together, chunk by chunk.

Nothing else that a transaction does reads or writes registers, so it makes no difference that rows wait for the last one of the
block, and none that batches are joined, as long as they are of one boundary and no meter occurs twice in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridcore.codes import Code
from gridcore.quality import ABSENT_QUALITY, FLAG_INTERPOLATED
from gridcore.sm3 import sm3
from ledger.leaves.columns import Int64, UInt8, chunk_bounds, chunks_of, split_row
from ledger.leaves.exception import EXCEPTION, ExceptionLeaf, RowVerdict
from ledger.leaves.latest import LATEST, LatestLeaf, no_latest
from ledger.leaves.registers import REGISTERS, RegistersLeaf, no_registers
from ledger.state.columns import Batch
from ledger.state.draft import Draft
from ledger.state.ranges import Candidates, judge_late_rows, judge_rows

ACCEPTED, EQUAL = 0, -1
NOT_MEASURED: Final = 15 | FLAG_INTERPOLATED << 4
"""Bits of a quality byte that a gateway's own reading never has: it measures, it does not estimate or interpolate."""
OFFSET_MS_PER_SLOT_S: Final = 500
"""A reading belongs to the nearest boundary: it is at most half a slot away."""


@dataclass(frozen=True)
class _Readings:
    """The rows of batches of one boundary, in block order: int64[n] but quality uint8[n]; registers in Wh as the meter shows them.

    batch: index into ``seeds`` of each row's batch; gateway: index into the registry's gateways, -1 for one that reads nothing.
    """

    boundary_s: int
    meter: Int64
    offset_ms: Int64
    quality: UInt8
    import_wh: Int64
    export_wh: Int64
    batch: Int64
    gateway: Int64
    seeds: tuple[bytes, ...]


def keep_batches(draft: Draft, batches: Sequence[Batch]) -> Mapping[bytes, tuple[RowVerdict, ...]]:
    """Judge each row and keep the accepted ones; the rows of each batch (by its id) that were refused, where there are any."""
    refused: dict[bytes, tuple[RowVerdict, ...]] = {}
    for joined in _joined(batches):
        readings = _readings(draft, joined)
        verdicts = _keep_rows(draft, readings)
        first = 0
        for batch in joined:
            end = first + len(batch.columns.meter)
            rows = np.flatnonzero(verdicts[first:end] > 0)
            if len(rows):
                refused[batch.id] = tuple(
                    RowVerdict(row, int(batch.columns.meter[row]), int(verdicts[first + row])) for row in rows.tolist()
                )
                exception = ExceptionLeaf(batch.boundary_s, refused[batch.id])
                EXCEPTION.save(draft, exception, batch.gateway, batch.epoch, batch.counter)
            first = end
    return refused


def _joined(batches: Sequence[Batch]) -> Iterator[list[Batch]]:
    """Batches that can be judged together; where a meter occurs twice each one alone, in order."""
    for _, same_boundary in groupby(batches, key=lambda batch: batch.boundary_s):
        run = list(same_boundary)
        if _repeated(np.concatenate([batch.columns.meter for batch in run])).any():
            yield from ([batch] for batch in run)
        else:
            yield run


def _readings(draft: Draft, batches: list[Batch]) -> _Readings:
    columns = [batch.columns for batch in batches]
    sizes = [len(part.meter) for part in columns]
    gateways = [draft.registry.gateway_place.get(batch.gateway, -1) for batch in batches]
    return _Readings(
        boundary_s=batches[0].boundary_s,
        meter=np.concatenate([part.meter for part in columns]),
        offset_ms=np.concatenate([part.offset_ms for part in columns]),
        quality=np.concatenate([part.quality for part in columns]),
        import_wh=np.concatenate([part.import_wh for part in columns]),
        export_wh=np.concatenate([part.export_wh for part in columns]),
        batch=np.repeat(np.arange(len(batches)), sizes),
        gateway=np.repeat(np.array(gateways, dtype=np.int64), sizes),
        seeds=tuple(part.seed for part in columns),
    )


def _keep_rows(draft: Draft, readings: _Readings) -> Int64:
    """int64[n]: 0 accepted, -1 equal to what stands, else the verdict's code."""
    registry, meter = draft.registry, readings.meter
    verdicts = np.zeros(len(meter), dtype=np.int64)
    if not len(registry.numbers):
        return verdicts + int(Code.ROW_UNKNOWN_METER)
    place = np.minimum(np.searchsorted(registry.numbers, meter), len(registry.numbers) - 1)
    read_by = draft.at(readings.boundary_s).gateway[place]
    offset_ms_max = draft.slot_s * OFFSET_MS_PER_SLOT_S
    # The last one that holds stands: from the weakest reason to the strongest.
    for wrong, code in (
        (np.abs(readings.offset_ms) > offset_ms_max, Code.ROW_NOT_AT_BOUNDARY),
        (readings.quality & NOT_MEASURED != 0, Code.ROW_QUALITY),
        (_repeated(meter), Code.ROW_TWICE),
        (read_by != readings.gateway, Code.ROW_OTHER_GATEWAY),
        ((registry.numbers[place] != meter) | (read_by < 0), Code.ROW_UNKNOWN_METER),
    ):
        if wrong.any():
            verdicts[wrong] = int(code)
    open_rows = np.flatnonzero(verdicts == ACCEPTED)
    if not len(open_rows):
        return verdicts
    # One chunk of one zone at a time: ascending by zone and chunk, rows in block order inside it.
    places = place[open_rows]
    chunk_of = registry.installation_zone[places] * (1 << 32) + chunks_of(registry.installation_row[places])
    order = np.argsort(chunk_of, kind="stable")
    for rows in np.split(open_rows[order], np.flatnonzero(np.diff(chunk_of[order])) + 1):
        verdicts[rows] = _keep_chunk(draft, readings, rows, place[rows])
    return verdicts


def _repeated(meter: Int64) -> NDArray[np.bool_]:
    """bool[n]: the meter stands in an earlier row."""
    if (meter[1:] > meter[:-1]).all():
        return np.zeros(len(meter), dtype=bool)
    repeated = np.ones(len(meter), dtype=bool)
    repeated[np.unique(meter, return_index=True)[1]] = False
    return repeated


def _span(indices: Int64) -> Int64 | slice:
    """The same rows as a slice where they follow one another: numpy then copies nothing. Most batches are like that."""
    first, last = int(indices[0]), int(indices[-1])
    if last - first + 1 == len(indices) and (indices[1:] > indices[:-1]).all():
        return slice(first, last + 1)
    return indices


class _Chunk(NamedTuple):
    """One chunk of one zone at one boundary: what it holds, and the newest value of each of its meters."""

    zone: str
    number: int
    boundary_s: int
    kept: RegistersLeaf
    latest: LatestLeaf


def _load_chunk(draft: Draft, boundary_s: int, place: int) -> _Chunk:
    """The chunk of the installation at ``place`` in the registry."""
    registry = draft.registry
    zone = registry.zones[int(registry.installation_zone[place])]
    number, _ = split_row(int(registry.installation_row[place]))
    first, end = chunk_bounds(number)
    size = min(len(zone), end) - first
    kept = REGISTERS.load(draft, boundary_s, zone.name, number) or no_registers(size)
    return _Chunk(zone.name, number, boundary_s, kept, LATEST.load(draft, zone.name, number) or no_latest(size))


def _keep_chunk(draft: Draft, readings: _Readings, rows: Int64, places: Int64) -> Int64:
    """Judge rows that fall into one chunk of one zone, and write the chunk; ``places`` are their registry indices."""
    chunk = _load_chunk(draft, readings.boundary_s, int(places[0]))
    chunk_rows = draft.registry.installation_row[places] - chunk_bounds(chunk.number)[0]
    verdicts = _judge_chunk(draft, chunk, chunk_rows, readings, rows, places)
    taken = np.flatnonzero(verdicts == ACCEPTED)
    if len(taken):
        _write_chunk(draft, chunk, chunk_rows[taken], readings, rows[taken])
    return verdicts


def _judge_chunk(
    draft: Draft, chunk: _Chunk, chunk_rows: Int64, readings: _Readings, rows: Int64, places: Int64
) -> Int64:
    registry, kept, latest = draft.registry, chunk.kept, chunk.latest
    at, place, where = _span(chunk_rows), _span(places), _span(rows)
    new = (readings.import_wh[where], readings.export_wh[where])
    candidates = Candidates(
        chunk.zone,
        chunk.number,
        chunk.boundary_s,
        chunk_rows,
        new,
        registry.columns.modulus_wh[place],
        registry.columns.limit_wh[place],
        latest.boundary_s[at],
        (latest.import_wh[at], latest.export_wh[at]),
    )
    verdicts = judge_rows(draft, candidates)
    present = kept.quality[at] != ABSENT_QUALITY
    late = np.flatnonzero((latest.boundary_s[at] >= chunk.boundary_s) & ~present)
    if len(late):
        verdicts[late] = judge_late_rows(draft, candidates.take(late))
    if present.any():
        equal = (kept.import_wh[at] == new[0]) & (kept.export_wh[at] == new[1])
        verdicts[present] = np.where(equal, EQUAL, int(Code.ROW_CORRECTION_CANDIDATE))[present]
    return verdicts


def _write_chunk(draft: Draft, chunk: _Chunk, chunk_rows: Int64, readings: _Readings, rows: Int64) -> None:
    """Put accepted rows into their chunk, and those that are their meters' newest into the latest values."""
    kept, latest = chunk.kept, chunk.latest
    newer = np.flatnonzero(latest.boundary_s[chunk_rows] < chunk.boundary_s)
    seeds = _reseeded(kept.seed, readings, rows)
    at, where = _span(chunk_rows), _span(rows)
    kept.quality[at] = readings.quality[where]
    kept.import_wh[at] = readings.import_wh[where]
    kept.export_wh[at] = readings.export_wh[where]
    kept = kept._replace(seed=seeds[int(readings.batch[rows[-1]])])
    REGISTERS.save(draft, kept, chunk.boundary_s, chunk.zone, chunk.number)
    if len(newer):
        at, where = _span(chunk_rows[newer]), _span(rows[newer])
        latest.boundary_s[at] = chunk.boundary_s
        latest.import_wh[at] = readings.import_wh[where]
        latest.export_wh[at] = readings.export_wh[where]
        latest = latest._replace(seed=seeds[int(readings.batch[rows[newer[-1]]])])
        LATEST.save(draft, latest, chunk.zone, chunk.number)
    draft.fed.add((chunk.zone, chunk.boundary_s))


def _reseeded(seed: bytes, readings: _Readings, rows: Int64) -> Mapping[int, bytes]:
    """The chunk's seed after each batch that gives it at least one of ``rows``, by batch, in block order."""
    seeds = {}
    for batch in np.unique(readings.batch[rows]).tolist():
        seed = seeds[batch] = sm3(seed + readings.seeds[batch])
    return seeds
