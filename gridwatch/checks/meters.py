"""Rules about one meter at a time: what it shows, what it does not show, and what its days look like."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import numpy as np

from gridwatch.alerts import Alert
from gridwatch.columns import ABSENT, Flags, Int64, Readings
from gridwatch.rules import Backwards, Flat, Gaps, Limits, Monotone, NewExport, Standstill


def check_limits(area: Readings, rule: Limits) -> Iterator[Alert]:
    """Energies of a slot beyond what is registered."""
    limits_wh = np.array([meter.limit_wh for meter in area.meters], dtype=np.int64) * rule.percent_max // 100
    energy_wh = np.maximum(*area.slot_energies)
    for slot, column in np.argwhere(energy_wh > limits_wh).tolist():
        yield _alert(area, "limits", column, slot, slot + 1, int(energy_wh[slot, column]), int(limits_wh[column]))


def check_monotone(area: Readings, rule: Monotone) -> Iterator[Alert]:
    """Registers below the last one that was shown."""
    for column, meter in enumerate(area.meters):
        if meter.modulus_wh:
            continue
        present = np.flatnonzero(area.is_present[:, column])
        for register in (area.import_wh[present, column], area.export_wh[present, column]):
            back_wh = register[:-1] - register[1:]
            for place in np.flatnonzero(back_wh > rule.back_wh_max).tolist():
                first, last = int(present[place]), int(present[place + 1])
                yield _alert(area, "monotone", column, first, last, int(back_wh[place]), rule.back_wh_max)


def check_gaps(area: Readings, rule: Gaps) -> Iterator[Alert]:
    """Boundaries in a row without a reading; one alert a gap, at the boundary that is one too many."""
    for column in range(len(area.meters)):
        for first, last in _spans(~area.is_present[:, column]):
            if last - first > rule.boundaries_max:
                at = first + rule.boundaries_max
                yield _alert(area, "gaps", column, first, at, rule.boundaries_max + 1, rule.boundaries_max)


def check_standstill(area: Readings, rule: Standstill) -> Iterator[Alert]:
    """Slots in a row in which a register stands, at a meter whose register never stood for a whole day before."""
    energy_wh = np.where(area.slot_energies[0] == ABSENT, ABSENT, sum(area.slot_energies))
    learned = _days(energy_wh, area.slots_of_day)[: rule.learn_days].max(axis=1)
    for column in np.flatnonzero((learned > 0).all(axis=0) & ~area.is_border).tolist():
        for first, last in _spans(energy_wh[:, column] == 0):
            if last - first > rule.slots_max:
                at = first + rule.slots_max + 1
                yield _alert(area, "standstill", column, first, at, rule.slots_max + 1, rule.slots_max)


def check_new_export(area: Readings, rule: NewExport) -> Iterator[Alert]:
    """Points that begin to give."""
    days = np.maximum(_days(area.slot_energies[1], area.slots_of_day), 0).sum(axis=1)
    for column in np.flatnonzero((days[: rule.learn_days] == 0).all(axis=0) & ~area.is_border).tolist():
        for day in np.flatnonzero(days[:, column] > rule.day_wh_max).tolist():
            yield _of_day(area, "new_export", column, day, int(days[day, column]), rule.day_wh_max)


def check_flat(area: Readings, rule: Flat) -> Iterator[Alert]:
    """Days of which each slot takes the same."""
    days = _days(area.slot_energies[0], area.slots_of_day)
    sums, spreads = days.sum(axis=1), days.max(axis=1) - days.min(axis=1)
    whole = (days != ABSENT).all(axis=1)
    limits = rule.spread_wh_max + rule.spread_percent_max * sums // (100 * area.slots_of_day)
    found = whole & (sums >= rule.day_wh_min) & (spreads <= limits) & ~area.is_border
    for day, column in np.argwhere(found).tolist():
        yield _of_day(area, "flat", column, day, int(spreads[day, column]), int(limits[day, column]))


def check_backwards(area: Readings, rule: Backwards) -> Iterator[Alert]:
    """Days that are more like the mean day run backwards than like the mean day.

    A day's score is the sum of its slots times (mean day less mean day backwards): of a usual day as much above 0 as of a backward day below.
    """
    days = np.maximum(_days(area.slot_energies[0], area.slots_of_day), 0)
    mean_day = days[: rule.learn_days].sum(axis=0)
    scores = (days * (mean_day - mean_day[::-1])[None]).sum(axis=1)
    usual = scores[: rule.learn_days].sum(axis=0) // rule.learn_days
    for column in np.flatnonzero((usual > 0) & ~area.is_border).tolist():
        total, since = 0, rule.learn_days
        for day in range(rule.learn_days, len(days)):
            since = day if total == 0 else since
            total = max(0, total - 100 * int(scores[day, column]) // int(usual[column]))
            if total > rule.limit_percent:
                first, last = since * area.slots_of_day, (day + 1) * area.slots_of_day
                yield _alert(area, "backwards", column, first, last, total, rule.limit_percent)
                total = 0


def _days(energy_wh: Int64, slots_of_day: int) -> Int64:
    """[days, slots of a day, meters]: whole days alone."""
    days = len(energy_wh) // slots_of_day
    return energy_wh[: days * slots_of_day].reshape(days, slots_of_day, energy_wh.shape[1])


def _spans(flags: Flags) -> Iterator[tuple[int, int]]:
    """Runs of True: first place, and the one behind the last."""
    place = 0
    for flag, run in groupby(flags.tolist()):
        length = len(list(run))
        if flag:
            yield place, place + length
        place += length


def _of_day(area: Readings, rule: str, column: int, day: int, value: int, limit: int) -> Alert:
    return _alert(area, rule, column, day * area.slots_of_day, (day + 1) * area.slots_of_day, value, limit)


def _alert(area: Readings, rule: str, column: int, first: int, last: int, value: int, limit: int) -> Alert:
    from_s, at_s = int(area.boundary_s[first]), int(area.boundary_s[last])
    return Alert(at_s, rule, area.meters[column].meter, from_s, at_s, value, limit, area.heights(first, last))
