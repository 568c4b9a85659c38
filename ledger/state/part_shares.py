"""What a slot gets of the parts of gaps in which its pieces lie: ``estimate_profile/1`` in the shape of the days before each part."""

from __future__ import annotations

from functools import partial

import numpy as np

from gridcore.registry.installation import PRIMARY_LIMIT_WH_MAX
from ledger.leaves.columns import Int64, groups
from ledger.state.draft import Draft
from ledger.state.estimates import MISSING, SlotGroups, profile_share
from ledger.state.kept_means import Asked
from ledger.state.part_shapes import Days, Shapes, days_between, places_of, shapes_of
from ledger.state.parts import Parts
from ledger.state.references import REFERENCE_S_MAX, GapBegin, References
from ledger.state.slot import Slot


def share_parts(draft: Draft, slot: Slot, references: References, parts: Parts) -> Int64:
    """int64[2, n]: import and export that a slot gets of closed parts in which pieces of it lie. All parts of a calendar are shared at once."""
    shares = np.zeros((2, len(parts.row)), dtype=np.int64)
    for calendar, own in groups(slot.zone.calendar[slot.zone.area[parts.row]]):
        some = parts.take(own)
        name = draft.registry.columns.calendars[calendar]
        of_chunk, make = Asked(slot.zone.zone.name, references.chunk, name), partial(references.means_before, name)
        days = days_between(draft, name, int(some.start_s.min()), int(some.end_s.max()))
        places = draft.means.places(of_chunk, places_of(days, int(some.end_s.max())), make)
        shapes = shapes_of(days, places, (some.start_s, some.end_s), slot.start_s)
        asked = _begins(references, some.start_s, days, name)
        found = draft.means.of_rows(of_chunk, [(begin, np.unique(some.row[begun])) for begin, begun in asked], make)
        means = np.full((len(own), 2, len(places)), MISSING, dtype=np.int64)
        for (_, begun), known in zip(asked, found, strict=True):
            means[begun] = known.values[np.searchsorted(known.rows, some.row[begun])]
        for direction, rest_wh in enumerate((some.import_wh, some.export_wh)):
            # Of nothing a slot gets nothing: most homes do not feed in.
            having = np.flatnonzero(rest_wh)
            of_having = shapes.take(having)
            weights = _weights(np.ascontiguousarray(means[having, direction].T), of_having)
            shares[direction, own[having]] = _share(rest_wh[having], weights, of_having)
    return shares


def _share(rest_wh: Int64, weights: Int64, shapes: Shapes) -> Int64:
    """``profile_share``, by the seconds alone where nothing gives a shape, or where it would give a slot more than any meter makes."""
    evenly = np.where(shapes.slots > 0, shapes.covered_s, 0)
    of_slot = SlotGroups(shapes.slots, shapes.earlier, shapes.here)
    share, most_wh = profile_share(rest_wh, np.where(weights.any(axis=0), weights, evenly), of_slot)
    steep = np.flatnonzero(most_wh >= PRIMARY_LIMIT_WH_MAX)
    if len(steep):
        share[steep], _ = profile_share(rest_wh[steep], evenly[:, steep], of_slot.take(steep))
    return share


def _begins(references: References, start_s: Int64, days: Days, calendar: str) -> list[tuple[GapBegin, Int64]]:
    """How parts begin, and which do so; without those that begin before the calendar's first day."""
    found = []
    for at, begun in groups(days.at(start_s)):
        day = days.days[at]
        if day is None:
            continue
        # In a calendar of usual days the 16 days cut nothing off: all rows that begin on one day have one begin.
        since_s = start_s[begun] - REFERENCE_S_MAX
        since_s[since_s <= references.first_of(calendar, day)] = 0
        found += [(GapBegin(day, first_s), begun[some]) for first_s, some in groups(since_s)]
    return found


def _weights(means: Int64, shapes: Shapes) -> Int64:
    """int64[groups, n]: of one slot of each group, by what each row used there before, on the whole where nothing is known, and the seconds."""
    of_edges = np.take_along_axis(means, shapes.edges, axis=0)
    of_groups = np.concatenate([means, of_edges])
    slots = np.where(of_groups != MISSING, shapes.slots, 0)
    on_the_whole = (of_groups * slots).sum(axis=0) // np.maximum(slots.sum(axis=0), 1)
    weights: Int64 = np.where(of_groups != MISSING, of_groups, on_the_whole) * shapes.covered_s
    return np.where(shapes.slots > 0, weights, 0)
