"""Where a party is metered, and the local days that it is billed by.

The registry of a chain never changes in this version of the ledger: what was once learnt of a party stays at hand, so that
its page can be shown from the time series while the node is away.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, Final
from weakref import WeakKeyDictionary
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gridcore.problems import Problem
from gridweb.source import AreaInfo, Source, SourceMissing

PARTIES_MAX: Final = 2_000_000
"""Parties that are kept at hand; beyond it the area's list is asked for anew."""
_ISO_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_INSTANT: Final = re.compile(r"\d{1,12}", re.ASCII)


@dataclass(frozen=True)
class Point:
    """The settlement meter of a party. ``meter``: its code; ``trades``: the party may send orders."""

    party: str
    area: AreaInfo
    meter: str
    gateway: str
    trades: bool


@dataclass(frozen=True)
class Day:
    """A local day of an area: ``[start_s, end_s)`` in UTC seconds, and its date there."""

    start_s: int
    end_s: int
    date: str

    @property
    def hours(self) -> int:
        """24, or 23 and 25 where the clock changes."""
        return (self.end_s - self.start_s) // 3600


_known: WeakKeyDictionary[Source, dict[str, tuple[str, dict[str, Any]]]] = WeakKeyDictionary()


async def find_point(source: Source, party: str) -> Point:
    """Where ``party`` is metered. SourceMissing for a name that is billed nowhere; SourceAway while nobody can say."""
    known = _known.setdefault(source, {})
    if party not in known:
        for area in await source.areas():
            await _learn(source, area.area, known)
            if party in known:
                break
    if party not in known:
        raise SourceMissing("no party of this name is billed on this chain")
    area_id, installation = known[party]
    return Point(
        party=party,
        area=await source.area(area_id),
        meter=installation["meter"],
        gateway=installation["gateway"],
        trades=installation["trades"],
    )


async def _learn(source: Source, area: str, known: dict[str, tuple[str, dict[str, Any]]]) -> None:
    start: int | None = 0
    while start is not None:
        page = await source.cached(f"areas/{area}/installations", start=start)
        for installation in page["installations"]:
            if installation["party"] is not None and len(known) < PARTIES_MAX:
                known[installation["party"]] = (area, installation)
        start = page["next"]


def zone(area: AreaInfo) -> ZoneInfo:
    """The area's time zone; UTC where this machine does not know it."""
    try:
        return ZoneInfo(area.tz)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def day_of(area: AreaInfo, instant_s: int) -> Day:
    """The local day around an instant. SourceMissing outside the area's calendar."""
    start_s, end_s = area.day_around(instant_s)
    return Day(start_s, end_s, datetime.fromtimestamp(start_s, UTC).astimezone(zone(area)).date().isoformat())


def parse_day(area: AreaInfo, text: str) -> Day:
    """A day as an address names it: ``2026-06-21``, or UTC seconds of any instant in it. Problem 400 for anything else."""
    if _INSTANT.fullmatch(text):
        return day_of(area, int(text))
    if _ISO_DAY.fullmatch(text):
        try:
            midnight = datetime.combine(date.fromisoformat(text), time(), zone(area))
        except ValueError:
            pass
        else:
            return day_of(area, int(midnight.timestamp()))
    raise Problem("bad-request", "day: write YYYY-MM-DD, or UTC seconds")


def newest_day(area: AreaInfo, ledger_time_s: int) -> Day:
    """The day of the newest slot whose settlement is due at this ledger time; the first day before there is one."""
    due_s = ledger_time_s - 1 - area.slot_s - int(area.rules.get("metering_deadline_s", 0))
    return day_of(area, max(area.first_slot_start_s, min(due_s, area.days[-1] - 1)))


def neighbours(area: AreaInfo, day: Day, newest: Day) -> tuple[Day | None, Day | None]:
    """The day before and the day after, as far as there is something to see."""
    before = day_of(area, day.start_s - 1) if day.start_s > area.first_slot_start_s else None
    after = day_of(area, day.end_s) if day.start_s < newest.start_s and day.end_s < area.days[-1] else None
    return before, after
