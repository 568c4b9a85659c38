"""Slots in the local calendar of a folder: which month, day and time of day each of them belongs to."""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from gridledger.tables.columns import Places
from settlement.contract_kit_1 import Int64Column
from settlement.tariffs.holding import Calendar


class Months(NamedTuple):
    """The months that a folder reaches into, as ``2026-06``, and in each the place of its first slot; ``calendar`` places every slot."""

    names: Sequence[str]
    first_slot: Places
    calendar: Calendar

    def first_day(self, month: str) -> int:
        """The local day of the first slot of a month (``date.toordinal``)."""
        return int(self.calendar.day[self.first_slot[self.names.index(month)]])


def midnight_s(day: int, zone: ZoneInfo) -> int:
    """Where a local day begins, UTC seconds."""
    return int(datetime.combine(date.fromordinal(day), time(), zone).timestamp())


def span_of_month(month: str, timezone: str) -> tuple[int, int]:
    """Where a local month, as ``2026-06``, begins and where it ends, UTC seconds."""
    first = date(int(month[:4]), int(month[5:]), 1)
    after = (first + timedelta(days=31)).replace(day=1)
    zone = ZoneInfo(timezone)
    return midnight_s(first.toordinal(), zone), midnight_s(after.toordinal(), zone)


def months_of(slot_start_s: Int64Column, slot_s: int, timezone: str) -> Months:
    """The local months, days and times of day of slots' starts, which follow each other."""
    zone = ZoneInfo(timezone)
    starts = [datetime.fromtimestamp(start_s, zone) for start_s in slot_start_s.tolist()]
    number = np.array([12 * start.year + start.month - 1 for start in starts], dtype=np.int64)
    month = number - number[0]
    count = int(month[-1]) + 1
    in_year = [divmod(int(number[0]) + place, 12) for place in range(count)]
    return Months(
        names=[f"{year:04}-{of_year + 1:02}" for year, of_year in in_year],
        first_slot=np.searchsorted(month, np.arange(count)),
        calendar=Calendar(
            slot_s=slot_s,
            month=month,
            month_of_year=_column([start.month for start in starts]),
            day=_column([start.toordinal() for start in starts]),
            second=_column([start.hour * 3_600 + start.minute * 60 + start.second for start in starts]),
            days_of_month=[calendar.monthrange(year, of_year + 1)[1] for year, of_year in in_year],
        ),
    )


def _column(values: Sequence[int]) -> Int64Column:
    return np.array(values, dtype=np.int64)
