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

    None in a zone whose runs do not follow points. Costs the points' entries once, and nothing more where none of the slot came behind the run.
    """
    if not zone.timeline.runs_follow_points:
        return _NO_ROWS
    registry, then = draft.registry, RUN.must(draft, slot_start_s, zone.name, run).as_of_height
    columns, points = registry.columns, registry.points_of(zone.place)
    entries = columns.point_entries
    is_new = (entries.recorded_height > then) & (entries.from_s <= slot_start_s)
    is_own = (entries.entity >= points.start) & (entries.entity < points.stop)
    if not (is_new & is_own).any():
        return _NO_ROWS
    is_other = np.zeros(len(zone), dtype=np.bool_)
    views = (entries.in_force(len(columns.points), slot_start_s, height)[points] for height in (then, draft.height - 1))
    before, now = views
    for name in _SAID:
        # behind the last entry: what a point says that has not begun
        said = np.append(getattr(columns, name), -1)
        is_other |= said[before] != said[now]
    return np.flatnonzero(is_other)
