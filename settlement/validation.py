"""Which measured energies are hardly meant: marks for people who look at them. Nothing is refused or changed by a mark.

Three rules of the practice that utilities call VEE (validation, estimation, editing), over the slots of points, each against the point's own
days before:

* ``spike``: an energy of a slot is more than ``spike_percent`` above the third highest of its day and the days before. Third highest, so that
  one spike does not hide another, and a load that has come to stay is marked twice at most. (The "interval spike check" of meter data
  management systems, which has the day alone; energies above the limit of a point are refused before and never come here.)
* ``zero_run``: nothing is taken and nothing given for ``zero_run_s``, and for more than ``zero_run_percent`` of the longest such time in
  the days before: a register that stands still, a line that was cut. (The "zero consumption check".)
* ``new_direction``: a point gives, or takes, ``new_direction_wh`` on a day and had nothing of that direction in the days before: a reversed
  meter, or a plant that nobody has registered.

Only what was measured is judged and compared with: estimates would be judged by what they were made from. A point whose days before tell less than
a day is not judged. Whole numbers, no clock: the same columns give the same marks.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64] | NDArray[np.int32]
Bools = NDArray[np.bool_]

DAY_S: Final = 86_400
ABSENT: Final = -1
"""An energy that is not known."""
_COMPARED: Final = 3
"""A spike is compared with the third highest."""


class Rule(StrEnum):
    """Why an energy is marked."""

    SPIKE = "spike"
    ZERO_RUN = "zero_run"
    NEW_DIRECTION = "new_direction"


class Thresholds(NamedTuple):
    """From when on an energy is marked. history_days: how many days before are compared with.

    spike_w_min: mean power below which no slot is a spike, W. The defaults are ours: a kettle in a sleeping house (2 kW for 5 minutes in a slot
    of 15) is no spike, a night without sun is no run of zeros, and what a meter counts of its own noise is no direction.
    """

    history_days: int = 7
    spike_percent: int = 180
    spike_w_min: int = 1_000
    zero_run_s: int = 21_600
    zero_run_percent: int = 200
    new_direction_wh: int = 100


class Mark(NamedTuple):
    """``slots`` slots of a point from ``first`` on (places in the columns) that a rule marks.

    energy_wh: measured in them, of the direction that is marked; usual_wh: what the point's days before let expect there.
    """

    rule: Rule
    point: int
    first: int
    slots: int
    is_export: bool
    energy_wh: int
    usual_wh: int

    @property
    def doubtful_wh(self) -> int:
        """How much of the energy is in doubt."""
        return abs(self.energy_wh - self.usual_wh)


class Measured(NamedTuple):
    """Energies of slots that follow one another, and of points: int[slots, points], ABSENT where nothing was measured.

    first_of_day: int64[days], the place of each day's first slot, ascending, the first of them 0.
    """

    import_wh: Ints
    export_wh: Ints
    first_of_day: NDArray[np.int64]
    slot_s: int

    @property
    def is_known(self) -> Bools:
        """bool[slots, points]: both directions were measured."""
        known: Bools = (self.import_wh != ABSENT) & (self.export_wh != ABSENT)
        return known


def marks_of(measured: Measured, thresholds: Thresholds, first_day: int = 0) -> list[Mark]:
    """The marks of the days from ``first_day`` on, by first slot, point and rule; the days before are compared with alone."""
    if not measured.import_wh.size:
        return []
    days = _Days(measured, thresholds.history_days)
    found = [
        *_spikes(measured, days, thresholds, first_day),
        *_zero_runs(measured, thresholds, int(measured.first_of_day[first_day])),
        *_new_directions(measured, days, thresholds, first_day),
    ]
    return sorted(found, key=lambda mark: (mark.first, mark.point, mark.rule, mark.is_export))


class _Days:
    """The days of the columns, each with how many of its slots are known, by point."""

    def __init__(self, measured: Measured, history_days: int) -> None:
        self.first = measured.first_of_day
        self.end = np.append(self.first[1:], len(measured.import_wh))
        self.known = np.add.reduceat(measured.is_known.astype(np.int64), self.first, axis=0)
        self._history_days = history_days
        self._slots = DAY_S // measured.slot_s

    def before(self, day: int) -> slice:
        """The days that a day is compared with."""
        return slice(max(day - self._history_days, 0), day)

    def can_judge(self, day: int) -> Bools:
        """bool[points]: the days before tell a day at least."""
        enough: Bools = self.known[self.before(day)].sum(axis=0) >= self._slots
        return enough


def _spikes(measured: Measured, days: _Days, limits: Thresholds, first_day: int) -> Iterator[Mark]:
    is_known = measured.is_known
    for is_export, energies in ((False, measured.import_wh), (True, measured.export_wh)):
        highest = [
            _highest(np.where(is_known[first:end], energies[first:end], ABSENT).astype(np.int64))
            for first, end in zip(days.first, days.end, strict=True)
        ]
        for day in range(first_day, len(highest)):
            first, end = int(days.first[day]), int(days.end[day])
            usual_wh = _highest(np.concatenate([*highest[days.before(day)], highest[day]]))[0]
            of_day = np.where(is_known[first:end], energies[first:end], ABSENT).astype(np.int64)
            is_spike = of_day * 100 > usual_wh * (100 + limits.spike_percent)
            is_spike &= of_day * 3600 >= limits.spike_w_min * measured.slot_s
            is_spike &= (usual_wh > 0) & days.can_judge(day)
            for slot, point in np.argwhere(is_spike).tolist():
                yield Mark(
                    Rule.SPIKE, point, first + slot, 1, is_export, int(of_day[slot, point]), int(usual_wh[point])
                )


def _highest(energy_wh: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64[3, points]: the highest energies, the lowest of them first; ABSENT where there are fewer."""
    missing = max(_COMPARED - len(energy_wh), 0)
    padded = np.pad(energy_wh, ((0, missing), (0, 0)), constant_values=ABSENT)
    return np.partition(padded, -_COMPARED, axis=0)[-_COMPARED:]


def _zero_runs(measured: Measured, limits: Thresholds, from_slot: int) -> Iterator[Mark]:
    """Runs that reach into the slots from ``from_slot`` on."""
    history = limits.history_days * DAY_S // measured.slot_s
    day = DAY_S // measured.slot_s
    is_zero = (measured.import_wh == 0) & (measured.export_wh == 0)
    edges = np.diff(np.pad(is_zero, ((1, 1), (0, 0))).astype(np.int8), axis=0)
    for point in np.flatnonzero((edges == 1).any(axis=0)).tolist():
        firsts, ends = np.flatnonzero(edges[:, point] == 1), np.flatnonzero(edges[:, point] == -1)
        is_long = ((ends - firsts) * measured.slot_s >= limits.zero_run_s) & (ends > from_slot)
        for at in np.flatnonzero(is_long).tolist():
            first, slots = int(firsts[at]), int(ends[at] - firsts[at])
            start = max(first - history, 0)
            before = slice(start, first)
            taken, given = measured.import_wh[before, point], measured.export_wh[before, point]
            is_known = (taken != ABSENT) & (given != ABSENT)
            known, taken_wh, given_wh = (int(one[is_known].sum()) for one in (is_known, taken, given))
            reaching = (ends[:at] > start).nonzero()[0]
            longest = int((ends[reaching] - np.maximum(firsts[reaching], start)).max(initial=0))
            if known >= day and taken_wh + given_wh and slots * 100 > longest * limits.zero_run_percent:
                usual_wh = (taken_wh + given_wh) * slots // known
                yield Mark(Rule.ZERO_RUN, point, first, slots, given_wh > taken_wh, 0, usual_wh)


def _new_directions(measured: Measured, days: _Days, limits: Thresholds, first_day: int) -> Iterator[Mark]:
    is_known = measured.is_known
    sides = (measured.import_wh, measured.export_wh)
    sums = [np.add.reduceat(np.where(is_known, one, 0).astype(np.int64), days.first, axis=0) for one in sides]
    for is_export, (own, other) in enumerate(((sums[0], sums[1]), (sums[1], sums[0]))):
        for day in range(first_day, len(days.first)):
            before = days.before(day)
            is_new = (own[day] >= limits.new_direction_wh) & days.can_judge(day)
            is_new &= (own[before].sum(axis=0) == 0) & (other[before].sum(axis=0) > 0)
            for point in np.flatnonzero(is_new).tolist():
                first, end = int(days.first[day]), int(days.end[day])
                slots = np.flatnonzero(is_known[first:end, point] & (sides[is_export][first:end, point] > 0))
                energy_wh = int(own[day][point])
                yield Mark(Rule.NEW_DIRECTION, point, first + int(slots[0]), len(slots), bool(is_export), energy_wh, 0)
