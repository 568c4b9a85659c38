"""In which slots the components of a tariff hold, by the local calendar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from settlement.contract_kit_1 import Int64Column
from settlement.tariffs.components import Component
from settlement.tariffs.named_days import is_of_kinds


class Calendar(NamedTuple):
    """Slots in the local calendar, int64[slots] each. slot_s: their length in seconds.

    month: ascending places of months that follow each other; month_of_year: 1 to 12; day: ``date.toordinal``; second: of the wall clock
    at the slot's start, after midnight. days_of_month: one a month, how many days the calendar gives it.
    """

    slot_s: int
    month: Int64Column
    month_of_year: Int64Column
    day: Int64Column
    second: Int64Column
    days_of_month: Sequence[int]


class Holding:
    """In which slots of a calendar components hold: bool[slots], one for all that hold at the same times."""

    def __init__(self, calendar: Calendar) -> None:
        self.calendar = calendar
        self._found: dict[tuple[object, ...], NDArray[np.bool_]] = {}

    def of(self, component: Component) -> NDArray[np.bool_]:
        """Those of one component."""
        kinds = component.day_kinds, component.named_days
        listed = map(tuple, (component.months, component.windows, component.weekdays, *kinds))
        times = (component.from_day, component.until_day, *listed)
        found = self._found.get(times)
        if found is None:
            found = self._found[times] = _holds(component, self.calendar)
        return found


def _holds(component: Component, calendar: Calendar) -> NDArray[np.bool_]:
    """In which slots an entry holds."""
    holds = np.ones(calendar.day.size, dtype=np.bool_)
    if component.from_day is not None:
        holds &= calendar.day >= component.from_day
    if component.until_day is not None:
        holds &= calendar.day < component.until_day
    if component.months:
        holds &= np.isin(calendar.month_of_year, component.months)
    if component.weekdays:
        holds &= np.isin((calendar.day + 6) % 7 + 1, component.weekdays)
    if component.day_kinds:
        holds &= is_of_kinds(calendar.day, component)
    if component.windows:
        inside = [
            (calendar.second >= window.start_s) & (calendar.second < window.end_s) for window in component.windows
        ]
        holds &= np.logical_or.reduce(inside)
    return holds
