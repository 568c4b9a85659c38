"""What a slot gets of the parts of gaps in which its pieces lie: ``estimate_profile/1`` in the shape of the days before each part."""

from __future__ import annotations

from functools import partial

import numpy as np

from gridcore.registry.installation import PRIMARY_LIMIT_WH_MAX
from ledger.leaves.columns import Int64, groups
from ledger.state.draft import Draft
from ledger.state.estimates import SlotGroups, profile_share
from ledger.state.kept_shapes import PlaceInDay, Shape, Weighted
from ledger.state.local_days import day_of
from ledger.state.parts import Parts
from ledger.state.references import GapBegin, References
from ledger.state.slot import Slot

_PLACE_BITS, _COVERED_BITS = 40, 12
"""Of the number that a place of a day, and how many seconds of it a part covers, are grouped by; a slot has at most 3,600."""

_MEANS_OF = 12
"""Means of 1 to 4 days are taken 12 times, so that they are whole numbers."""


def share_parts(draft: Draft, slot: Slot, references: References, parts: Parts) -> Int64:
    """int64[2, n]: import and export that a slot gets of closed parts in which pieces of it lie."""
    shares = np.zeros((2, len(parts.row)), dtype=np.int64)
    if not len(parts.row):
        return shares
    calendar = slot.zone.calendar[slot.zone.area[parts.row]]
    keys = np.stack([parts.start_s, parts.end_s, calendar], axis=1)
    _, of_part = np.unique(keys, axis=0, return_inverse=True)
    for _, own in groups(of_part.ravel()):
        some, name = parts.take(own), draft.registry.columns.calendars[int(calendar[own[0]])]
        start_s, end_s = int(some.start_s[0]), int(some.end_s[0])
        key = (slot.zone.zone.name, references.chunk, start_s, end_s, name, some.row.tobytes())
        weighted = draft.shapes.get(key, partial(_weighted, draft, references, some, name))
        here = slot.start_s // draft.slot_s - start_s // draft.slot_s
        for direction, rest_wh in enumerate((some.import_wh, some.export_wh)):
            shares[direction, own] = _share(rest_wh, weighted.weights[direction], weighted.shape, here)
    return shares


def _share(rest_wh: Int64, weights: Int64, shape: Shape, here: int) -> Int64:
    """``profile_share``, by the seconds alone where nothing gives a shape, or where it would give a slot more than any meter makes."""
    evenly = shape.covered_s[:, None]
    earlier = np.bincount(shape.group[:here], minlength=len(shape.slots))
    of_slot = SlotGroups(shape.slots, earlier, int(shape.group[here]))
    share, most_wh = profile_share(rest_wh, np.where(weights.any(axis=0), weights, evenly), of_slot)
    steep = np.flatnonzero(most_wh >= PRIMARY_LIMIT_WH_MAX)
    if len(steep):
        share[steep], _ = profile_share(rest_wh[steep], np.repeat(evenly, len(steep), axis=1), of_slot)
    return share


def _weighted(draft: Draft, references: References, parts: Parts, calendar: str) -> Weighted:
    """The shape of one part, and the weights of the rows that have it."""
    shape = _shape_of(draft, calendar, int(parts.start_s[0]), int(parts.end_s[0]))
    return Weighted(shape, _weights(draft, references, parts, calendar, shape))


def _shape_of(draft: Draft, calendar: str, start_s: int, end_s: int) -> Shape:
    slot_s = draft.slot_s
    times_s = np.arange(start_s // slot_s * slot_s, end_s, slot_s)
    covered_s = np.minimum(times_s + slot_s, end_s) - np.maximum(times_s, start_s)
    after_s, kind = np.zeros_like(times_s), np.zeros_like(times_s)
    first = 0
    while first < len(times_s):
        day = day_of(draft, calendar, int(times_s[first]))
        behind = first + 1 if day is None else int(np.searchsorted(times_s, day.end_s))
        if day is not None:
            after_s[first:behind], kind[first:behind] = times_s[first:behind] - day.start_s, 1 + day.is_weekend
        first = behind
    keys = (kind << (_PLACE_BITS + _COVERED_BITS)) | (after_s << _COVERED_BITS) | covered_s
    _, some, group, slots = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    places = [PlaceInDay(int(kind[at]) > 1, int(after_s[at])) if kind[at] else None for at in some.tolist()]
    return Shape(group, slots, places, covered_s[some])


def _weights(draft: Draft, references: References, parts: Parts, calendar: str, shape: Shape) -> Int64:
    """int64[2, groups, n]: the mean of what each row used there before, on the whole where nothing is known, by the seconds that the part covers."""
    size, start_s = (len(shape.places), len(parts.row)), int(parts.start_s[0])
    sums, days = np.zeros((2, *size), dtype=np.int64), np.zeros(size, dtype=np.int64)
    day = day_of(draft, calendar, start_s)
    if day is not None:
        begin = GapBegin(start_s, day)
        for group, place in enumerate(shape.places):
            if place is not None:
                sums[:, group], days[group] = references.of_days_before(parts.row, calendar, begin, place)
    means = sums * (_MEANS_OF // np.maximum(days, 1))
    slots = np.where(days > 0, shape.slots[:, None], 0)
    on_the_whole = (means * slots).sum(axis=1) // np.maximum(slots.sum(axis=0), 1)
    weights: Int64 = np.where(days > 0, means, on_the_whole[:, None]) * shape.covered_s[:, None]
    return weights
