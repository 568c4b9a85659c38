"""A household's month: the sums of its lines by kind, as the ledger states them, day by day."""

from __future__ import annotations

import asyncio
import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from gridcore.serving.problems import Problem
from gridweb.access import EVERY_ROLE, Viewer, check_party
from gridweb.bill import BillLine, KindSum, sums_by_kind
from gridweb.i18n import _
from gridweb.pages.household_tables import KIND_COLUMNS, in_words, read_lines_of_day
from gridweb.points import Day, Point, day_of, find_point, newest_day, zone
from gridweb.source import AreaInfo, Source
from gridweb.tables import Table, serves_table

DAYS_AT_ONCE: Final = 4
"""Days that are asked for at the same time: the node answers other people too."""
_MONTH: Final = re.compile(r"\d{4}-(0[1-9]|1[0-2])", re.ASCII)


@dataclass(frozen=True)
class Month:
    """A local month of an area, as far as its calendar and its first slot go: its name (``2026-06``) and its days."""

    name: str
    days: tuple[Day, ...]

    @property
    def start_s(self) -> int:
        """Where it begins, UTC seconds."""
        return self.days[0].start_s

    @property
    def end_s(self) -> int:
        """Where it ends, UTC seconds."""
        return self.days[-1].end_s


@dataclass(frozen=True)
class MonthSums:
    """The sums of a month by kind of line, and the slots that they are of."""

    sums: tuple[KindSum, ...]
    slots_expected: int
    slots_settled: int

    @property
    def amount_nano(self) -> int:
        """What the month comes to; above 0 the party owes."""
        return sum(one.amount_nano for one in self.sums)


def month_names(area: AreaInfo, newest: Day) -> list[str]:
    """The months from the area's first slot to the day ``newest``, oldest first."""
    first = day_of(area, area.first_slot_start_s).date[:7]
    year, month = int(first[:4]), int(first[5:])
    names = []
    while (name := f"{year:04d}-{month:02d}") <= newest.date[:7]:
        names.append(name)
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    return names


def month_of(area: AreaInfo, name: str, newest: Day) -> Month:
    """A month by its name. Problem 400 for what is none of ``month_names``."""
    known = month_names(area, newest)
    if not _MONTH.fullmatch(name) or name not in known:
        raise Problem("bad-request", f"month: write YYYY-MM, from {known[0]} to {known[-1]}")
    at = datetime(int(name[:4]), int(name[5:]), 1, tzinfo=zone(area)).astimezone(UTC)
    first_s = max(int(at.timestamp()), area.day_around(area.first_slot_start_s)[0])
    place = bisect_left(area.days, first_s)
    days = []
    for start_s in area.days[place:-1]:
        day = day_of(area, start_s)
        if day.date[:7] != name:
            break
        days.append(day)
    return Month(name, tuple(days))


async def choose_month(source: Source, area: AreaInfo, name: str | None) -> tuple[Month, list[str]]:
    """The month that an address names, else the newest one; and the names of all."""
    newest = newest_day(area, (await source.as_of()).ledger_time_s)
    names = month_names(area, newest)
    return month_of(area, name or names[-1], newest), names


async def read_month(source: Source, point: Point, month: Month) -> MonthSums:
    """The sums of a party's month, out of the node's statements of its days. SourceAway while the node is away."""
    turn = asyncio.Semaphore(DAYS_AT_ONCE)

    async def read(day: Day) -> tuple[Sequence[BillLine], int]:
        async with turn:
            return await read_lines_of_day(source, point, day)

    found = await asyncio.gather(*(read(day) for day in month.days))
    lines = [line for of_day, _settled in found for line in of_day]
    expected = sum(len(point.area.slots_of(day.start_s)) for day in month.days)
    return MonthSums(
        tuple(sums_by_kind(lines, point.area.contract.lines)), expected, sum(settled for _lines, settled in found)
    )


@serves_table("/households/<party>/month", *EVERY_ROLE)
async def household_month_table(source: Source, viewer: Viewer, party: str, *, month: str | None = None) -> Table:
    """The sums of a household's local month by kind of line. An amount above 0 is owed, one below is received."""
    check_party(viewer, party)
    point = await find_point(source, party)
    chosen, _names = await choose_month(source, point.area, month)
    found = await read_month(source, point, chosen)
    rows = [(one.kind, one.lines, one.energy_wh, one.amount_nano) for one in found.sums]
    note = _("Settled: %(settled)s of %(expected)s slots.", settled=found.slots_settled, expected=found.slots_expected)
    return Table(
        name=f"{party}-{chosen.name}",
        columns=in_words(KIND_COLUMNS, point.area),
        rows=rows,
        title=_("Statement of %(month)s, party %(party)s", month=chosen.name, party=party),
        note=note,
        totals=(None, sum(row[1] for row in rows), None, found.amount_nano),
        tz=point.area.tz,
        currency=(await source.as_of()).currency,
    )
