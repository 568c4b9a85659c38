"""Measured energies of a day that are hardly meant, each against the meter's own days before (``settlement.validation``).

The days before hardly change while pages look at them: they are read from the time series once a slot, the day itself each time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from gridcore.quality import CODE_MASK, CORRECTED, MEASURED
from gridseries.series import INTERVALS
from gridweb.pages.day_figures import AllDays, AreaDay
from gridweb.source import Source
from settlement.validation import ABSENT, DAY_S, Mark, Measured, Thresholds, marks_of

MARKED_METERS_MAX: Final = 500
"""Meters of all areas shown whose days are compared: their eight days are read in about a second. With more an area has to be chosen, and a larger one is not judged."""
HISTORIES_KEPT_MAX: Final = 8
"""Areas and days of which the days before are kept in memory, at most 3 MB each."""
THRESHOLDS: Final = Thresholds()

Energies: TypeAlias = NDArray[np.int32]


class MeterMark(NamedTuple):
    """A mark of a meter. slot_start_s: of its first slot, UTC seconds."""

    meter: str
    slot_start_s: int
    mark: Mark


class _Span(NamedTuple):
    """What was measured from ``start_s`` to ``end_s``: int32[2, slots, meters], import and export, ABSENT where nothing was."""

    start_s: int
    end_s: int
    energies: Energies


_kept: WeakKeyDictionary[Source, OrderedDict[tuple[object, ...], _Span]] = WeakKeyDictionary()


def can_mark(days: AllDays) -> bool:
    """Whether there are few enough meters."""
    return sum(day.area.meters for day in days.areas) <= MARKED_METERS_MAX


async def read_marks(source: Source, day: AreaDay, meters: Sequence[str]) -> list[MeterMark]:
    """The marks of an area's day. SourceAway while the series are away."""
    area = day.area
    start_s = day.day.start_s - THRESHOLDS.history_days * DAY_S
    before = await _history(source, day, meters, start_s)
    now = await _read(source, area.area, meters, day.day.start_s, day.day.end_s, area.slot_s)
    energies = np.concatenate([before.energies, now.energies], axis=1)
    first_of_day = np.arange(THRESHOLDS.history_days + 1) * (DAY_S // area.slot_s)
    measured = Measured(energies[0], energies[1], first_of_day, area.slot_s)
    found = marks_of(measured, THRESHOLDS, first_day=THRESHOLDS.history_days)
    return [MeterMark(meters[mark.point], start_s + mark.first * area.slot_s, mark) for mark in found]


async def _history(source: Source, day: AreaDay, meters: Sequence[str], start_s: int) -> _Span:
    kept, area = _kept.setdefault(source, OrderedDict()), day.area
    told_slot = (await source.as_of()).told_s // area.slot_s
    key = (area.area, day.day.start_s, told_slot, hash(tuple(meters)))
    if key not in kept:
        kept[key] = await _read(source, area.area, meters, start_s, day.day.start_s, area.slot_s)
        if len(kept) > HISTORIES_KEPT_MAX:
            kept.popitem(last=False)
    return kept[key]


async def _read(source: Source, area: str, meters: Sequence[str], start_s: int, end_s: int, slot_s: int) -> _Span:
    names = ("import_wh", "export_wh", "quality")
    columns = await source.columns(INTERVALS, start_s, end_s, names, area=area)
    place = {meter: at for at, meter in enumerate(meters)}
    energies = np.full((2, (end_s - start_s) // slot_s, len(meters)), ABSENT, dtype=np.int32)
    values = (columns.values[name] for name in names)
    for meter, time_s, taken_wh, given_wh, quality in zip(columns.tags["meter"], columns.time_s, *values, strict=True):
        if taken_wh is None or given_wh is None or quality is None or meter not in place:
            continue
        if quality & CODE_MASK in (MEASURED, CORRECTED):
            energies[:, (time_s - start_s) // slot_s, place[meter]] = taken_wh, given_wh
    return _Span(start_s, end_s, energies)
