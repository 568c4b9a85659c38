"""Where a party is metered, and the local days that it is billed by.

It is asked for at each newer height, for the registry may have changed by then; while the node is away it stands as last known
(``Source.cached``), so that the party's page can be shown from the time series.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gridcore.serving.problems import Problem
from gridweb.format import said_instant
from gridweb.source import AreaInfo, Source, SourceMissing

_ISO_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_INSTANT: Final = re.compile(r"\d{1,12}", re.ASCII)


@dataclass(frozen=True)
class Point:
    """Where a party is metered. ``meters``: codes of its settlement meters; ``since_s``: from when on each counts for it, before which it
    may have been another household's; ``trades``: the party may send orders.
    """

    party: str
    area: AreaInfo
    meters: tuple[str, ...]
    since_s: tuple[int, ...]
    gateways: tuple[str, ...]
    trades: bool

    def spans(self, start_s: int, end_s: int) -> list[tuple[int, int, Sequence[str]]]:
        """The parts of a span in which meters count for the party, each with these: between two of them one comes to it."""
        cuts = sorted({start_s, *(since_s for since_s in self.since_s if start_s < since_s < end_s), end_s})
        known = list(zip(self.meters, self.since_s, strict=True))
        parts = ((at_s, to_s, [one for one, since_s in known if since_s <= at_s]) for at_s, to_s in pairwise(cuts))
        return [part for part in parts if part[2]]


@dataclass(frozen=True)
class Day:
    """A local day of an area: ``[start_s, end_s)`` in UTC seconds, and its date there."""

    start_s: int
    end_s: int
    date: str

    @property
    def hours(self) -> str:
        """24, or 23 and 25, where the clock changes by half an hour 23.5 and 24.5."""
        return f"{(self.end_s - self.start_s) / 3600:g}"


async def find_point(source: Source, party: str) -> Point:
    """Where ``party`` is metered. SourceMissing for a name that is billed nowhere; SourceAway while nobody can say."""
    area = await source.area((await source.cached("credit", party=party))["area"])
    pages = await source.pages(f"areas/{area.area}/installations", party=party)
    found = [one for page in pages for one in page["installations"]]
    if not found:
        raise SourceMissing("no party of this name is billed on this chain")
    gateways = dict.fromkeys(one["gateway"] for one in found)
    meters, since_s = (tuple(one[name] for one in found) for name in ("meter", "since_s"))
    return Point(party, area, meters, since_s, tuple(gateways), found[0]["trades"])


async def parties_of(source: Source, area: AreaInfo) -> list[str]:
    """The parties that are billed in an area, by name. SourceAway, SourceBusy."""
    pages = await source.pages(f"areas/{area.area}/installations")
    named = (one["party"] for page in pages for one in page["installations"])
    return sorted({party for party in named if party is not None})


def check_slot(area: AreaInfo, slot_start_s: int) -> None:
    """SourceMissing unless a slot of the area's calendar begins at this instant."""
    is_slot = slot_start_s % area.slot_s == 0
    if not is_slot or not area.first_slot_start_s <= slot_start_s < area.days[-1]:
        raise SourceMissing(f"no slot of area {area.area} begins at {said_instant(slot_start_s)}")


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
            day = day_of(area, int(midnight.timestamp()))
            # Where the zone is not known here, a day begins at another hour of UTC than 0 and has the date of that.
            return day if day.date == text else day_of(area, day.end_s)
    raise Problem("bad-request", "day: write YYYY-MM-DD, or UTC seconds")


def day_dated(area: AreaInfo, date: str) -> Day | None:
    """The area's own local day of a date; None where its calendar has none. Areas of two zones have two days of one date."""
    try:
        day = parse_day(area, date)
    except SourceMissing:
        return None
    return day if day.date == date else None


def newest_day(area: AreaInfo, ledger_time_s: int) -> Day:
    """The day of the newest slot whose settlement is due at this ledger time; the first day before there is one."""
    due_s = ledger_time_s - 1 - area.slot_s - int(area.rules.get("metering_deadline_s", 0))
    return day_of(area, max(area.first_slot_start_s, min(due_s, area.days[-1] - 1)))


def neighbours(area: AreaInfo, day: Day, newest: Day) -> tuple[Day | None, Day | None]:
    """The day before and the day after, as far as there is something to see."""
    before = day_of(area, day.start_s - 1) if day.start_s > area.first_slot_start_s else None
    after = day_of(area, day.end_s) if day.start_s < newest.start_s and day.end_s < area.days[-1] else None
    return before, after
