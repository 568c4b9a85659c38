"""Rows of reading batches become registers (docs/spec/state.md): the batches of a block are judged together, chunk by chunk.

Nothing else that a transaction does reads or writes registers, so it makes no difference that rows wait for the last one of the
block, and none that batches are joined, as long as they are of one boundary and no meter occurs twice in them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gridcore import merkle
from gridcore.codes import Code
from gridcore.quality import CODE_MASK, FLAG_INTERPOLATED
from gridcore.rows import PackedRows
from gridcore.sm3 import sm3
from gridcore.transactions.reading_batch import ClockState
from ledger.leaves.columns import Int64, UInt8, chunks_of, span_of
from ledger.leaves.exception import EXCEPTION, ExceptionLeaf, RowVerdict
from ledger.state.chunks import ACCEPTED, SortedRows, keep_sorted_rows
from ledger.state.columns import Batch
from ledger.state.draft import Draft
from ledger.state.finality import final_zones

NOT_MEASURED: Final = CODE_MASK | FLAG_INTERPOLATED
"""Bits of a quality byte that a gateway's own reading never has: it measures, it does not estimate or interpolate."""
OFFSET_MS_PER_SLOT_S: Final = 500
"""A reading belongs to the nearest boundary: it is at most half a slot away."""
UNKNOWN_MS: Final = 1 << 32
"""An error of a clock that is further off than any boundary may be."""


@dataclass(frozen=True)
class _Readings:
    """The rows of batches of one boundary, in block order: int64[n] but quality uint8[n]; registers in Wh as the meter shows them.

    clock_ms: how far the clock of each row's gateway is off by its own word; batch: index into ``seeds`` and ``sizes`` (rows,
    int64) of each row's batch; gateway: index into the registry's gateways, -1 for one that reads nothing.
    """

    boundary_s: int
    meter: Int64
    offset_ms: Int64
    clock_ms: Int64
    quality: UInt8
    import_wh: Int64
    export_wh: Int64
    batch: Int64
    gateway: Int64
    seeds: tuple[bytes, ...]
    sizes: Int64


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
                exception = _exception(batch, refused[batch.id])
                EXCEPTION.save(draft, exception, batch.gateway, batch.epoch, batch.counter)
            first = end
    return refused


def _exception(batch: Batch, refused: Sequence[RowVerdict]) -> ExceptionLeaf:
    counts = sorted(Counter(verdict.code for verdict in refused).items())
    seed = sm3(batch.columns.seed + b"exceptions")
    root = merkle.salted_root(seed, PackedRows.of([verdict.encode() for verdict in refused]))
    return ExceptionLeaf(batch.boundary_s, counts, root)


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
    sizes = np.array([len(part.meter) for part in columns], dtype=np.int64)
    gateways = [draft.registry.gateway_place.get(batch.gateway, -1) for batch in batches]
    return _Readings(
        boundary_s=batches[0].boundary_s,
        meter=np.concatenate([part.meter for part in columns]),
        offset_ms=np.concatenate([part.offset_ms for part in columns]),
        clock_ms=np.repeat(np.array([_clock_ms(batch.clock) for batch in batches], dtype=np.int64), sizes),
        quality=np.concatenate([part.quality for part in columns]),
        import_wh=np.concatenate([part.import_wh for part in columns]),
        export_wh=np.concatenate([part.export_wh for part in columns]),
        batch=np.repeat(np.arange(len(batches)), sizes),
        gateway=np.repeat(np.array(gateways, dtype=np.int64), sizes),
        seeds=tuple(part.seed for part in columns),
        sizes=sizes,
    )


def _clock_ms(clock: ClockState) -> int:
    """How far a gateway's clock is off, by its own word."""
    return UNKNOWN_MS if clock.state == "unsynced" else min(abs(clock.offset_ms), UNKNOWN_MS)


def _keep_rows(draft: Draft, readings: _Readings) -> Int64:
    """int64[n]: 0 accepted, -1 equal to what stands, else the verdict's code."""
    registry, meter = draft.registry, readings.meter
    verdicts = np.zeros(len(meter), dtype=np.int64)
    if not len(registry.numbers):
        return verdicts + int(Code.ROW_UNKNOWN_METER)
    place = _places(registry.numbers, readings)
    places = span_of(place)
    zone, read_by = registry.installation_zone[places], draft.at(readings.boundary_s).gateway[places]
    offset_ms, offset_ms_max = np.abs(readings.offset_ms), draft.slot_s * OFFSET_MS_PER_SLOT_S
    # The last one that holds stands: from the weakest reason to the strongest.
    for wrong, code in (
        (final_zones(draft, readings.boundary_s)[zone], Code.ROW_FINAL),
        (offset_ms + readings.clock_ms > offset_ms_max, Code.ROW_CLOCK),
        (offset_ms > offset_ms_max, Code.ROW_NOT_AT_BOUNDARY),
        (readings.quality & NOT_MEASURED != 0, Code.ROW_QUALITY),
        (_repeated(meter), Code.ROW_TWICE),
        (read_by != readings.gateway, Code.ROW_OTHER_GATEWAY),
        ((registry.numbers[places] != meter) | (read_by < 0), Code.ROW_UNKNOWN_METER),
    ):
        if wrong.any():
            verdicts[wrong] = int(code)
    open_rows = np.flatnonzero(verdicts == ACCEPTED)
    if len(open_rows):
        # One chunk of one zone after the other, ascending by zone and chunk, rows in block order inside it.
        chunk = zone * (1 << 32) + chunks_of(registry.installation_row[places])
        rows = span_of(open_rows[np.argsort(chunk[span_of(open_rows)], kind="stable")])
        sorted_rows = SortedRows(
            boundary_s=readings.boundary_s,
            place=place[rows],
            quality=readings.quality[rows],
            import_wh=readings.import_wh[rows],
            export_wh=readings.export_wh[rows],
            batch=readings.batch[rows],
            seeds=readings.seeds,
        )
        verdicts[rows] = keep_sorted_rows(draft, sorted_rows)
    return verdicts


def _places(numbers: Int64, readings: _Readings) -> Int64:
    """int64[n]: each row's place among installations (ascending, one at least), or the place of another where there is none.

    The meters of a batch mostly follow one another there: only the first one, and those that do not, are searched for.
    """
    meter, sizes, last = readings.meter, readings.sizes, len(numbers) - 1
    begins = np.cumsum(sizes) - sizes
    shift = np.searchsorted(numbers, meter[begins]) - begins
    place: Int64 = np.minimum(np.arange(len(meter)) + np.repeat(shift, sizes), last)
    other = np.flatnonzero(numbers[place] != meter)
    place[other] = np.minimum(np.searchsorted(numbers, meter[other]), last)
    return place


def _repeated(meter: Int64) -> NDArray[np.bool_]:
    """bool[n]: the meter stands in an earlier row."""
    if (meter[1:] > meter[:-1]).all():
        return np.zeros(len(meter), dtype=bool)
    repeated = np.ones(len(meter), dtype=bool)
    repeated[np.unique(meter, return_index=True)[1]] = False
    return repeated
