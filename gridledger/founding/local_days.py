"""The calendar of a time zone: where local days and months begin."""

from __future__ import annotations

from datetime import datetime, timedelta
from importlib import metadata
from zoneinfo import ZoneInfo

from gridcore.registry.calendar import Calendar


def calendar_of(time_zone: str, first_s: int, last_s: int) -> Calendar:
    """Local midnights from the day before ``first_s`` to the day after ``last_s`` (UTC seconds), and the months they lie in."""
    zone = ZoneInfo(time_zone)
    first, last = (datetime.fromtimestamp(instant_s, zone) for instant_s in (first_s, last_s))
    day = (first - timedelta(days=1)).replace(hour=0, minute=0, second=0)
    days = []
    while day <= last + timedelta(days=1):
        days.append(int(day.timestamp()))
        day += timedelta(days=1)
    month = first.replace(day=1, hour=0, minute=0, second=0)
    months = []
    while month <= last + timedelta(days=31):
        months.append(int(month.timestamp()))
        month = (month + timedelta(days=32)).replace(day=1)
    return Calendar(days=days, months=months, tz=time_zone, tz_version=_tz_version())


def _tz_version() -> str:
    try:
        return metadata.version("tzdata")
    except metadata.PackageNotFoundError:
        return "system"
