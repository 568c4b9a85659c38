"""Energies that are possible and hardly meant: Wh in columns of kWh, where ``points.csv`` names no limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from gridledger.settling.dataset import LIMIT_WH_MAX, PointRow, UnusualPower
from gridledger.settling.files.grid import Grid

UNUSUAL_POWER_W: Final = 1_000_000
"""Mean power of a slot above which a point without a limit is asked about. No household comes near it, and one that draws 1 kW does in Wh read as kWh."""
SaidAt = Callable[[int, int, bool], tuple[str, int]]
"""Where a slot, point and direction is said: the file and the row."""


def unusual_power(
    grid: Grid, points: Sequence[PointRow], slot_s: int, unit: str, said_at: SaidAt
) -> UnusualPower | None:
    """The highest of the points that name no limit and are above UNUSUAL_POWER_W; None where there are none. ``unit``: of the file's values."""
    has_no_limit = np.array([point.limit_wh == LIMIT_WH_MAX for point in points])
    sides = (grid.import_wh, grid.export_wh)
    of_sides = np.stack([np.where(has_no_limit, energy_wh.max(axis=0), 0) for energy_wh in sides])
    power_w = of_sides * 3600 // slot_s
    is_unusual = (of_sides * 3600 > UNUSUAL_POWER_W * slot_s).any(axis=0)
    if not is_unusual.any():
        return None
    side, point = (int(place) for place in np.unravel_index(np.argmax(power_w), power_w.shape))
    file, row = said_at(int(np.argmax(sides[side][:, point])), point, bool(side))
    return UnusualPower(points[point].point, int(power_w[side, point]), file, row, unit, int(is_unusual.sum()) - 1)
