"""Energies that the files do not tell, by the methods of ``settlement.estimation`` (``[estimate]`` of rules.toml).

What registers around a gap leave over is energy that was metered: it is always spread over the gap, whatever the method.
Otherwise ``open`` takes the mean of earlier days like the slot's own. Where nothing tells an energy, ``zero_marked`` leaves it
out, 0 Wh with quality missing and an exception on the worklist; ``refuse`` refuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridcore.quality import ESTIMATED, MISSING
from gridledger.settling.dataset import EstimateTerms, PointRow
from gridledger.settling.files.fault import FilesError, fault
from gridledger.settling.files.fields import ABSENT
from gridledger.settling.files.grid import Energies, Grid
from gridledger.settling.files.stamps import DAY_S, Zone, to_iso
from settlement.contract_kit_1 import Int64Column
from settlement.estimation import estimate_open, estimate_profile

ZERO_MARKED, OPEN, PROFILE, REFUSE = "zero_marked", "open", "profile", "refuse"
METHODS: Final = (ZERO_MARKED, OPEN, PROFILE, REFUSE)
FALLBACKS: Final = (ZERO_MARKED, REFUSE)
DAYS_BACK_MAX: Final = 14
"""How far reference days lie back."""
_WEEKDAY_OF_THE_EPOCH: Final = 3
_SATURDAY: Final = 5


class Gap(NamedTuple):
    """Slots of one point and direction of which the registers around them tell the sum: ``slots`` of them from ``first`` on."""

    point: int
    is_export: bool
    first: int
    slots: int
    energy_wh: int


class Estimated(NamedTuple):
    """The grid without any ABSENT energy; how many pairs of slot and point the files do not tell, and how many are estimates."""

    grid: Grid
    missing: int
    estimated: int


def fill(
    grid: Grid, gaps: Sequence[Gap], points: Sequence[PointRow], zone: Zone, terms: EstimateTerms, file: str
) -> Estimated:
    """Fill what is missing; FilesError where it shall be refused. ``file``: the readings, for errors."""
    missing = int((grid.quality == MISSING).sum())
    if missing and terms.method == REFUSE:
        raise _refusal(grid, points, file, "[estimate] method is refuse")
    days = _Days(grid.slot_start_s, zone, terms.reference_days)
    energies = [grid.import_wh.copy(), grid.export_wh.copy()]
    limit_wh = np.array([point.limit_wh for point in points])
    for energy_wh in energies:
        if terms.method in (OPEN, PROFILE):
            _fill_open(energy_wh, days, limit_wh)
    for gap in gaps:
        measured_wh = grid.export_wh if gap.is_export else grid.import_wh
        _fill_gap(energies[gap.is_export], measured_wh, gap, days)
    is_filled = (energies[0] != ABSENT) & (energies[1] != ABSENT)
    quality = np.where((grid.quality == MISSING) & is_filled, np.uint8(ESTIMATED), grid.quality)
    filled = Grid(grid.slot_start_s, energies[0], energies[1], quality)
    if not is_filled.all():
        if terms.fallback == REFUSE:
            raise _refusal(filled, points, file, "[estimate] fallback is refuse")
        filled = filled._replace(import_wh=np.maximum(energies[0], 0), export_wh=np.maximum(energies[1], 0))
    return Estimated(filled, missing, int((quality == ESTIMATED).sum()))


class _Days:
    """The local days of the slots, and earlier ones of the same kind: working days or days of a weekend."""

    def __init__(self, slot_start_s: Int64Column, zone: Zone, count: int) -> None:
        midnights = zone.midnights(int(slot_start_s[0]), int(slot_start_s[-1]))
        self._first = np.searchsorted(slot_start_s, midnights)
        self.day = np.searchsorted(midnights, slot_start_s, side="right") - 1
        # a day that has begun before the first slot: as if its slots were there
        slot_s = int(slot_start_s[1] - slot_start_s[0]) if len(slot_start_s) > 1 else DAY_S
        self._first[0] = (midnights[0] - slot_start_s[0]) // slot_s
        self._end = np.append(self._first[1:], len(slot_start_s))
        weekday = ((midnights + DAY_S // 2) // DAY_S + _WEEKDAY_OF_THE_EPOCH) % 7
        is_weekend = weekday >= _SATURDAY
        self._like = np.full((len(midnights), max(count, 1)), ABSENT, dtype=np.int64)
        for day in range(len(midnights)):
            earlier = [
                other
                for other in range(day - 1, max(day - 1 - DAYS_BACK_MAX, -1), -1)
                if is_weekend[other] == is_weekend[day]
            ]
            self._like[day, : min(count, len(earlier))] = earlier[:count]

    def reference_wh(self, energy_wh: Energies, slot: Int64Column, point: Int64Column) -> Energies:
        """int64[days, n]: what points had in the same slot of earlier days, ABSENT where a day has none."""
        day = self.day[slot]
        place = slot - self._first[day]
        like = self._like[day]
        there = self._first[like] + place[:, None]
        is_there = (like != ABSENT) & (there >= 0) & (there < self._end[like])
        found = energy_wh[np.where(is_there, there, 0), point[:, None]]
        return np.where(is_there, found, ABSENT).T


def _fill_open(energy_wh: Energies, days: _Days, limit_wh: Int64Column) -> None:
    """Fill energies of one direction in place by the mean of earlier days, where there are any."""
    slot, point = np.nonzero(energy_wh == ABSENT)
    reference_wh = days.reference_wh(energy_wh, slot, point)
    known = np.flatnonzero((reference_wh != ABSENT).any(axis=0))
    energy_wh[slot[known], point[known]] = estimate_open(reference_wh[:, known], limit_wh[point[known]])


def _fill_gap(energy_wh: Energies, measured_wh: Energies, gap: Gap, days: _Days) -> None:
    """Spread what the registers around a gap leave over, in the shape of earlier days."""
    slot = np.arange(gap.first, gap.first + gap.slots)
    point = np.full(gap.slots, gap.point)
    reference_wh = days.reference_wh(measured_wh, slot, point)
    is_missing: NDArray[np.bool_] = np.ones((1, gap.slots), dtype=np.bool_)
    rest_wh = np.array([gap.energy_wh], dtype=np.int64)
    energy_wh[slot, gap.point] = estimate_profile(rest_wh, reference_wh[:, None, :], is_missing)[0]


def _refusal(grid: Grid, points: Sequence[PointRow], file: str, why: str) -> FilesError:
    slot, point = np.unravel_index(int(np.argmax(grid.quality == MISSING)), grid.quality.shape)
    what = f"nothing tells the energy of {points[int(point)].point} in the slot {to_iso(int(grid.slot_start_s[slot]))}"
    return fault(file, what, f"give its reading, or estimate it ({why} in rules.toml)")
