"""Days of the calendar that a tariff names: public holidays, weekend days that are worked for them (调休), and weekdays off.

Every other day is what its day of the week says: a workday from Monday to Friday, else of the weekend.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from gridcore.errors import excerpt

HOLIDAY: Final = "holiday"
WEEKEND: Final = "weekend"
WORKDAY: Final = "workday"
DAY_KINDS: Final = (HOLIDAY, WEEKEND, WORKDAY)
NAMED_DAYS_MAX: Final = 400
"""Of all kinds together: about ten years of a country's calendar."""

NamedDays = Mapping[str, Sequence[str]]
"""By kind of day the days that are of it, as ``2027-02-06``, ascending."""
_DAY: Final = re.compile(r"(19[7-9][0-9]|[2-9][0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])", re.ASCII)
_SHORT_MONTHS: Final = ("04", "06", "09", "11")


def is_day(text: Any) -> bool:
    """Whether this is a day of the calendar from 1970 on, as ``2027-02-06``."""
    parts = _DAY.fullmatch(text) if isinstance(text, str) else None
    if parts is None:
        return False
    year, month, day = int(parts[1]), parts[2], int(parts[3])
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return day <= (29 if is_leap else 28) if month == "02" else day <= (30 if month in _SHORT_MONTHS else 31)


def fault_of_days(days: Any) -> str:
    """What is wrong with named days, naming kind and day; "" where nothing is."""
    return next(_faults(days), "")


def _faults(days: Any) -> Iterator[str]:
    if not isinstance(days, dict) or not days:
        yield f"a map of {', '.join(DAY_KINDS)} is needed, each with its days"
        return
    for kind, named in days.items():
        if kind not in DAY_KINDS:
            yield f"{excerpt(str(kind))} is no kind of day; they are {', '.join(DAY_KINDS)}"
        if not isinstance(named, list) or not named:
            yield f"{kind}: an array of days is needed, as 2027-02-06"
            return
        yield from (
            f"{kind}: {excerpt(str(day))} is no day of the calendar, as 2027-02-06" for day in named if not is_day(day)
        )
        yield from (
            f"{kind}: {later} does not stand behind {one}, in their order"
            for one, later in pairwise(named)
            if one >= later
        )
    every = sorted(day for named in days.values() for day in named)
    yield from (f"{one} is of two kinds" for one, later in pairwise(every) if one == later)
    if len(every) > NAMED_DAYS_MAX:
        yield f"{len(every)} days are named, at most {NAMED_DAYS_MAX} can be"
