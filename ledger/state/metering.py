"""Rows of reading batches: each is judged, and the accepted ones become registers by meter and boundary (docs/spec/state.md)."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from gridcore.codes import Code
from gridcore.quality import ABSENT_QUALITY, FLAG_INTERPOLATED
from gridcore.sm3 import sm3
from ledger.leaves.columns import CHUNK_ROWS, Int64
from ledger.leaves.latest import LATEST, no_latest
from ledger.leaves.registers import REGISTERS, no_registers
from ledger.state.columns import BatchColumns
from ledger.state.draft import Draft
from ledger.state.ranges import Candidates, judge_late_rows, judge_rows

ACCEPTED, EQUAL = 0, -1
NOT_MEASURED: Final = 15 | FLAG_INTERPOLATED << 4
"""Bits of a quality byte that a gateway's own reading never has: it measures, it does not estimate or interpolate."""
OFFSET_MS_PER_SLOT_S: Final = 500
"""A reading belongs to the nearest boundary: it is at most half a slot away."""


def keep_rows(draft: Draft, gateway: str, boundary_s: int, columns: BatchColumns) -> Int64:
    """Judge and keep a batch's rows; returns int64[n]: 0 accepted, -1 equal to what stands, else the verdict's code."""
    registry, meter = draft.registry, columns.meter
    verdicts = np.zeros(len(meter), dtype=np.int64)
    if not len(registry.numbers):
        return verdicts + int(Code.ROW_UNKNOWN_METER)
    place = np.minimum(np.searchsorted(registry.numbers, meter), len(registry.numbers) - 1)
    offset_ms_max = draft.slot_s * OFFSET_MS_PER_SLOT_S
    # The last one that holds stands: from the weakest reason to the strongest.
    for wrong, code in (
        (np.abs(columns.offset_ms) > offset_ms_max, Code.ROW_NOT_AT_BOUNDARY),
        (columns.quality & NOT_MEASURED != 0, Code.ROW_QUALITY),
        (_repeated(meter), Code.ROW_TWICE),
        (registry.gateway_index[place] != registry.gateway_place.get(gateway, -1), Code.ROW_OTHER_GATEWAY),
        (registry.numbers[place] != meter, Code.ROW_UNKNOWN_METER),
    ):
        if wrong.any():
            verdicts[wrong] = int(code)
    open_rows = np.flatnonzero(verdicts == ACCEPTED)
    # One chunk of one area at a time: ascending by area and chunk, rows in batch order inside it.
    chunk_of = registry.area_index[place[open_rows]] * (1 << 32) + registry.area_row[place[open_rows]] // CHUNK_ROWS
    for chunk_id in sorted(set(chunk_of.tolist())):
        rows = open_rows[chunk_of == chunk_id]
        verdicts[rows] = _keep_chunk(draft, boundary_s, columns, rows, place[rows])
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


def _keep_chunk(draft: Draft, boundary_s: int, columns: BatchColumns, batch_rows: Int64, places: Int64) -> Int64:
    """Judge rows that fall into one chunk of one area, and write the chunk; ``places`` are their registry indices."""
    registry = draft.registry
    area = registry.areas[int(registry.area_index[places[0]])]
    chunk = int(registry.area_row[places[0]]) // CHUNK_ROWS
    chunk_rows = registry.area_row[places] - chunk * CHUNK_ROWS
    rows, place, at = _span(batch_rows), _span(places), _span(chunk_rows)
    size = min(len(area.numbers) - chunk * CHUNK_ROWS, CHUNK_ROWS)
    kept = REGISTERS.load(draft, area.id, boundary_s, chunk) or no_registers(size)
    latest = LATEST.load(draft, area.id, chunk) or no_latest(size)
    shown = (kept.import_wh, kept.export_wh)
    new = (columns.import_wh[rows], columns.export_wh[rows])
    candidates = Candidates(
        area.id,
        chunk,
        boundary_s,
        chunk_rows,
        new,
        registry.modulus_wh[place],
        registry.limit_wh[place],
        latest.boundary_s[at],
        (latest.import_wh[at], latest.export_wh[at]),
    )
    verdicts = judge_rows(draft, candidates)
    present, is_newer = kept.quality[at] != ABSENT_QUALITY, latest.boundary_s[at] < boundary_s
    late = np.flatnonzero(~is_newer & ~present)
    if len(late):
        verdicts[late] = judge_late_rows(draft, candidates.take(late))
    if present.any():
        equal = (shown[0][at] == new[0]) & (shown[1][at] == new[1])
        verdicts[present] = np.where(equal, EQUAL, int(Code.ROW_CORRECTION_CANDIDATE))[present]
    taken = np.flatnonzero(verdicts == ACCEPTED)
    if not len(taken):
        return verdicts
    into, newer = _span(chunk_rows[taken]), taken[is_newer[taken]]
    kept.quality[into] = columns.quality[batch_rows[taken]]
    for column, values in zip(shown, new, strict=True):
        column[into] = values[taken]
    seed = sm3(kept.seed + columns.seed)
    REGISTERS.save(draft, kept._replace(seed=seed), area.id, boundary_s, chunk)
    if len(newer):
        into = _span(chunk_rows[newer])
        latest.boundary_s[into] = boundary_s
        for column, values in zip((latest.import_wh, latest.export_wh), new, strict=True):
            column[into] = values[newer]
        LATEST.save(draft, latest._replace(seed=seed), area.id, chunk)
    draft.fed.add((area.id, boundary_s))
    return verdicts
