"""Rows of a slot whose energy no register tells get an estimate (docs/spec/state.md, "Estimates"), chunk by chunk."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from gridcore.quality import ESTIMATED, FLAG_INTERPOLATED
from gridcore.registry.installation import PRIMARY_LIMIT_WH_MAX
from gridcore.registry.standing_profile import STANDING_PROFILE
from ledger.leaves.columns import Int64, UInt8, chunks_of
from ledger.registry.bodies import row_of
from ledger.state.draft import Draft
from ledger.state.energy import Bools
from ledger.state.estimates import MISSING, estimate_open, estimate_profile
from ledger.state.gaps import ClosedGaps, closed_gaps
from ledger.state.local_days import REFERENCE_DAYS
from ledger.state.part_shares import share_parts
from ledger.state.parts import parts_of_slot
from ledger.state.ranges import NEIGHBOUR_SLOTS_MAX
from ledger.state.references import References
from ledger.state.slot import Slot

OPEN_GAP: Final = ESTIMATED
CLOSED_GAP: Final = ESTIMATED | FLAG_INTERPOLATED
"""Quality bytes of estimates."""


class Estimated(NamedTuple):
    """Estimates of n rows. energy_wh: int64[2, n], import and export; quality: uint8[n]."""

    energy_wh: Int64
    quality: UInt8


def estimate_rows(draft: Draft, slot: Slot, rows: Int64) -> Estimated:
    """Estimates of some rows of a zone, ascending, at least one, whose energy in a slot is not known."""
    numbers, starts = np.unique(chunks_of(rows), return_index=True)
    of_chunks = zip(numbers.tolist(), np.split(rows, starts[1:]), strict=True)
    parts = [_estimate_chunk(draft, slot, chunk, own) for chunk, own in of_chunks]
    return Estimated(
        np.concatenate([part.energy_wh for part in parts], axis=1), np.concatenate([part.quality for part in parts])
    )


def _estimate_chunk(draft: Draft, slot: Slot, chunk: int, rows: Int64) -> Estimated:
    """The same for rows of one chunk."""
    references, timeline = References(draft, slot, chunk), slot.zone.zone.timeline
    if not timeline.gap_slots_in(slot.start_s):
        return _estimate_gaps(draft, slot, references, rows, closed_gaps(draft, slot, chunk, rows))
    if slot.start_s >= timeline.gap_slots_from_s + NEIGHBOUR_SLOTS_MAX * draft.slot_s:
        return _estimate_parts(draft, slot, references, rows)
    # A gap that the older rule closes and that begins before the newer one holds is split by the older one: so its shares sum up.
    gaps = closed_gaps(draft, slot, chunk, rows)
    gaps = gaps.take(gaps.start_s < timeline.gap_slots_from_s)
    is_older = np.isin(rows, gaps.rows)
    energy_wh, quality = np.zeros((2, len(rows)), dtype=np.int64), np.zeros(len(rows), dtype=np.uint8)
    for own, found in (
        (is_older, _estimate_gaps(draft, slot, references, rows[is_older], gaps)),
        (~is_older, _estimate_parts(draft, slot, references, rows[~is_older])),
    ):
        energy_wh[:, own], quality[own] = found
    return Estimated(energy_wh, quality)


def _estimate_gaps(draft: Draft, slot: Slot, references: References, rows: Int64, gaps: ClosedGaps) -> Estimated:
    """The same by the older rule: shares of the closed gaps of some of the rows, open estimates of the others."""
    closed = np.searchsorted(rows, gaps.rows)
    is_open = np.ones(len(rows), dtype=np.bool_)
    is_open[closed] = False
    energy_wh = np.zeros((2, len(rows)), dtype=np.int64)
    energy_wh[:, is_open] = _estimate_open_gaps(draft, slot, references, rows[is_open])
    energy_wh[:, closed] = _estimate_closed_gaps(draft, slot, references, gaps)
    return Estimated(energy_wh, np.where(is_open, OPEN_GAP, CLOSED_GAP).astype(np.uint8))


def _estimate_parts(draft: Draft, slot: Slot, references: References, rows: Int64) -> Estimated:
    """The same in a zone whose gaps are bound part by part: shares of closed parts, and for the seconds of the others the open estimate."""
    parts, is_closed = parts_of_slot(draft, slot, references.chunk, rows)
    closed, left = parts.take(is_closed), parts.take(~is_closed)
    energy_wh, open_s = np.zeros((2, len(rows)), dtype=np.int64), np.full(len(rows), draft.slot_s)
    at = np.searchsorted(rows, closed.row)
    for summed, shares_wh in zip(energy_wh, share_parts(draft, slot, references, closed), strict=True):
        np.add.at(summed, at, shares_wh)
    open_s[at] = 0
    beside = left.take(np.isin(left.row, closed.row))
    np.add.at(open_s, np.searchsorted(rows, beside.row), beside.until_s - beside.from_s)
    is_open = np.flatnonzero(open_s)
    open_wh = _estimate_open_gaps(draft, slot, references, rows[is_open])
    energy_wh[:, is_open] += open_wh * open_s[is_open] // draft.slot_s
    beyond = np.flatnonzero((energy_wh > PRIMARY_LIMIT_WH_MAX).any(axis=0))
    energy_wh[:, beyond] = _estimate_open_gaps(draft, slot, references, rows[beyond])
    open_s[beyond] = draft.slot_s
    return Estimated(energy_wh, np.where(open_s > 0, OPEN_GAP, CLOSED_GAP).astype(np.uint8))


def _estimate_open_gaps(draft: Draft, slot: Slot, references: References, rows: Int64) -> Int64:
    """int64[2, n]: the mean of earlier days; where there is none, the standing profile; at most the meter's limit."""
    if not len(rows):
        return np.zeros((2, 0), dtype=np.int64)
    zone = slot.zone
    limit_wh = zone.limit_wh[rows] * zone.ratio[rows]
    energy_wh: Int64 = np.minimum(_standing_energy(draft, slot, references, rows), limit_wh)
    reference_wh = references.energies(rows, slot.start_s)
    known = np.flatnonzero((reference_wh[0] != MISSING).any(axis=0))
    for estimated, of_days in zip(energy_wh, reference_wh, strict=True):
        estimated[known] = estimate_open(of_days[:, known], limit_wh[known])
    return energy_wh


def _standing_energy(draft: Draft, slot: Slot, references: References, rows: Int64) -> Int64:
    """int64[2, n]: what the standing profiles of rows say of a slot, 0 for rows without one."""
    energy_wh = np.zeros((2, len(rows)), dtype=np.int64)
    profiles = slot.zone.profile[rows]
    for own, _, day in references.days_of(rows, slot.start_s):
        for profile in np.unique(profiles[own][profiles[own] >= 0]).tolist():
            said = STANDING_PROFILE.record_of(row_of(draft, slot.zone.profile_digests[profile]).value)
            place = min((slot.start_s - day.start_s) // draft.slot_s, len(said.import_wh) - 1)
            having = own[profiles[own] == profile]
            energy_wh[0, having], energy_wh[1, having] = said.import_wh[place], said.export_wh[place]
    return energy_wh


def _estimate_closed_gaps(draft: Draft, slot: Slot, references: References, gaps: ClosedGaps) -> Int64:
    """int64[2, n]: each gap's energy in the shape of earlier days, of which a slot gets its part; evenly where one would get too much."""
    if not len(gaps.rows):
        return np.zeros((2, 0), dtype=np.int64)
    times_s = np.arange(gaps.start_s.min(), gaps.end_s.max(), draft.slot_s)
    is_missing = (gaps.start_s[:, None] <= times_s) & (times_s < gaps.end_s[:, None])
    reference_wh = np.full((2, REFERENCE_DAYS, *is_missing.shape), MISSING, dtype=np.int64)
    for place, time_s in enumerate(times_s.tolist()):
        own = np.flatnonzero(is_missing[:, place])
        reference_wh[:, :, own, place] = references.energies(gaps.rows[own], time_s)
    here = (slot.start_s - int(times_s[0])) // draft.slot_s
    advances = (gaps.import_wh, gaps.export_wh)
    return np.stack(
        [
            _split_gaps(advance_wh, of_days, is_missing)[:, here]
            for advance_wh, of_days in zip(advances, reference_wh, strict=True)
        ]
    )


def _split_gaps(advance_wh: Int64, reference_wh: Int64, is_missing: Bools) -> Int64:
    """``estimate_profile``, but no slot gets more than any meter makes: contracts' amounts then stay within int64.

    Evenly split, it never does: a gap's energy is at most that of its slots.
    """
    energy_wh = estimate_profile(advance_wh, reference_wh, is_missing)
    steep = np.flatnonzero((energy_wh > PRIMARY_LIMIT_WH_MAX).any(axis=1))
    if len(steep):
        no_shape = np.full_like(reference_wh[:, steep], MISSING)
        energy_wh[steep] = estimate_profile(advance_wh[steep], no_shape, is_missing[steep])
    return energy_wh
