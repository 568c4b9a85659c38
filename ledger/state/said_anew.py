"""Points of a settled slot whose rows say somebody else by now (docs/spec/state.md, "Points that say somebody else")."""

from __future__ import annotations

from typing import Final

import numpy as np

from ledger.leaves.columns import Int64
from ledger.leaves.run import RUN
from ledger.registry.zones import Zone
from ledger.state.draft import Draft

_SAID: Final = ("point_party", "point_partners", "point_energy_kind")
"""What is computed of runs by whom a point names in them, though no number of a run shows it: who is billed, who supplies, buys, runs the grid
and answers for its balance, and from what certificates come."""
_NO_ROWS: Final = np.zeros(0, dtype=np.int64)


def rows_said_anew(draft: Draft, zone: Zone, slot_start_s: int, run: str) -> Int64:
    """The rows of a zone, ascending, whose points say somebody or something else in a slot than its run ``run`` saw.

    None in a slot whose runs do not follow points. Costs the entries of the zone's own points once, and a little more where some of the slot
    came behind the run.
    """
    if not zone.timeline.follows_points_in(slot_start_s):
        return _NO_ROWS
    registry, then = draft.registry, RUN.must(draft, slot_start_s, zone.name, run).as_of_height
    columns, points = registry.columns, registry.points_of(zone.place)
    span = columns.point_entries.span_of(points.start, points.stop)
    entries = columns.point_entries.within(span, points.start)
    if not ((entries.recorded_height > then) & (entries.from_s <= slot_start_s)).any():
        return _NO_ROWS
    before, now = (entries.in_force(len(zone), slot_start_s, height) for height in (then, draft.height - 1))
    is_other = np.zeros(len(zone), dtype=np.bool_)
    for name in _SAID:
        # behind the last entry: what a point says that has not begun
        said = np.append(getattr(columns, name)[span], -1)
        is_other |= said[before] != said[now]
    return np.flatnonzero(is_other)
