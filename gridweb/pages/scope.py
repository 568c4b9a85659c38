"""What a page of the utility is about: the areas and the day of the request (``?area=``, ``?day=``), and its figures."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode
from weakref import WeakKeyDictionary

from quart import request

from gridcore.serving.problems import Problem
from gridweb.pages.day_figures import AllDays, read_day
from gridweb.points import Day, neighbours, newest_day, parse_day
from gridweb.source import AreaInfo, AsOf, Source


def wanted() -> tuple[str | None, str | None]:
    """Area and day of the request's address; an empty value is none."""
    return request.args.get("area") or None, request.args.get("day") or None


def asked_query() -> str:
    """The query string of the request's area and day, for a page that could not read them yet."""
    pairs = {name: value for name, value in zip(("area", "day"), wanted(), strict=True) if value is not None}
    return f"?{urlencode(pairs)}" if pairs else ""


async def choose_area(source: Source, area_id: str | None) -> tuple[list[AreaInfo], AreaInfo]:
    """All areas, and the one that an address names, else the first. SourceMissing for an unknown one, Problem 404 on a chain without areas."""
    areas = await source.areas()
    if not areas:
        raise Problem("not-found", "this chain has no areas")
    return areas, await source.area(area_id) if area_id else areas[0]


DAYS_KEPT_MAX: Final = 4
"""Days of figures that are kept in memory for whoever asks next, until a newer height was seen."""

_kept: WeakKeyDictionary[Source, OrderedDict[tuple[object, ...], AllDays]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Scope:
    """What the page is about: the areas of the request on one day, and what the figures rest on.

    chosen: the one area that the page was narrowed to; before, after: the days beside it, as far as there are any.
    """

    as_of: AsOf
    areas: list[AreaInfo]
    chosen: AreaInfo | None
    days: AllDays
    day: Day
    before: Day | None
    after: Day | None
    is_newest: bool

    @property
    def tz(self) -> str:
        """The zone of the first area: that of instants which belong to no area."""
        return self.areas[0].tz

    def query(self, **changes: str | None) -> str:
        """The query string of this scope with some values changed (None: left out)."""
        values = {"area": self.chosen.area if self.chosen else None, "day": None if self.is_newest else self.day.date}
        values |= changes
        pairs = {name: value for name, value in values.items() if value is not None}
        return f"?{urlencode(pairs)}" if pairs else ""


async def read_scope(source: Source, area_id: str | None, day_text: str | None) -> Scope:
    """The scope of a request. SourceAway, SourceMissing for an unknown area, Problem 400 for a malformed day."""
    as_of = await source.as_of()
    everything, area = await choose_area(source, area_id)
    chosen = area if area_id else None
    areas = [area] if area_id else everything
    newest = newest_day(areas[0], as_of.ledger_time_s)
    day = parse_day(areas[0], day_text) if day_text else newest
    days = await _days(source, areas, day.date, as_of)
    before, after = neighbours(areas[0], day, newest)
    return Scope(as_of, areas, chosen, days, day, before, after, day == newest)


async def _days(source: Source, areas: list[AreaInfo], date: str, as_of: AsOf) -> AllDays:
    """The figures of the day, read once for all that ask at one height: the parts of a page, and everybody who looks at it."""
    kept = _kept.setdefault(source, OrderedDict())
    key = (as_of, date, *(area.area for area in areas))
    if key not in kept:
        kept[key] = await read_day(source, areas, date, as_of)
        if len(kept) > DAYS_KEPT_MAX:
            kept.popitem(last=False)
    return kept[key]
