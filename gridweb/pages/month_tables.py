"""A household's month: the sums of its lines by kind, as the ledger states them; and a year, month by month."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple
from urllib.parse import quote, urlencode

from gridcore.serving.problems import Problem
from gridseries.series import DAYS, PARTY_DAYS, PartyDayValues
from gridweb.access import EVERY_ROLE, Viewer, check_party
from gridweb.bill import NO_CURVE, BillLine, KindSum, added_sums
from gridweb.i18n import N_, _
from gridweb.pages.household_tables import (
    DAY_COLUMNS,
    KIND_COLUMNS,
    LINE_COLUMNS,
    in_words,
    line_url,
    read_curve,
    read_lines_of_day,
    sums_of_days,
    sums_row,
)
from gridweb.points import Day, Point, day_of, find_point, newest_day, zone
from gridweb.source import AreaInfo, Source, SourceAway, SourceMissing
from gridweb.tables import Column, Table, serves_table

YEARS: Final = range(1970, 9999)
MONTH_COLUMNS: Final = (Column("month", N_("Month"), "month"), *DAY_COLUMNS[1:])
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
    """The sums of a month by kind of line, and the slots that they are of; ``days``: the same of each of its days, by its start."""

    sums: tuple[KindSum, ...]
    slots_expected: int
    slots_settled: int
    days: Mapping[int, Sequence[KindSum]]

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


class ChosenMonth(NamedTuple):
    """A month of an area, and the names of all, ascending."""

    month: Month
    names: Sequence[str]

    @property
    def before(self) -> str | None:
        """The month before; None for the first one."""
        place = self.names.index(self.month.name)
        return self.names[place - 1] if place else None

    @property
    def after(self) -> str | None:
        """The month after; None for the newest one."""
        place = self.names.index(self.month.name) + 1
        return self.names[place] if place < len(self.names) else None


async def choose_month(source: Source, area: AreaInfo, name: str | None) -> ChosenMonth:
    """The month that an address names, else the newest one."""
    newest = newest_day(area, (await source.as_of()).ledger_time_s)
    names = month_names(area, newest)
    return ChosenMonth(month_of(area, name or names[-1], newest), names)


async def read_month(source: Source, point: Point, month: Month) -> MonthSums:
    """The sums of a party's month, out of those of its days: of days that are settled whole those in the series, of the others the
    ledger's. SourceAway while the node is away.
    """
    known = await _read_known_days(source, point, month)
    # One day after the other: threads of the node would wait for one another, and take half as much CPU again.
    days = [known.get(day.start_s) or await _read_kinds(source, point, day) for day in month.days]
    sums = added_sums((one for day in days for one in day.sums), point.area.contract.lines)
    expected = sum(len(point.area.slots_of(day.start_s)) for day in month.days)
    by_day = {day.start_s: of_day.sums for day, of_day in zip(month.days, days, strict=True)}
    return MonthSums(tuple(sums), expected, sum(day.slots_settled for day in days), by_day)


@dataclass(frozen=True)
class _DaySums:
    """The sums of a party's day by kind of line, and how many of the day's slots are settled."""

    sums: Sequence[KindSum]
    slots_settled: int


async def read_all_months(source: Source, point: Point) -> int:
    """What all slots of a party come to, from its area's first one on, whoever its points were billed to besides. SourceAway, also while the series are away."""
    area = point.area
    newest = newest_day(area, (await source.as_of()).ledger_time_s)
    first_s = area.day_around(area.first_slot_start_s)[0]
    days = tuple(day_of(area, start_s) for start_s in area.days[:-1] if first_s <= start_s <= newest.start_s)
    await source.columns(DAYS, first_s, newest.end_s, ["slots"], area=area.area)  # else the node were asked day by day
    return (await read_month(source, point, Month("", days))).amount_nano


async def _read_known_days(source: Source, point: Point, month: Month) -> Mapping[int, _DaySums]:
    """The days of a month, by their starts, whose sums the series have; none while the series are away."""
    span, area = (month.start_s, month.end_s), point.area.area
    try:
        days = await source.columns(DAYS, *span, ["slots"], area=area)
        rows = await source.columns(PARTY_DAYS, *span, area=area, party=point.party)
    except SourceAway:
        return {}
    sums: dict[int, list[KindSum]] = {day_s: [] for day_s in days.time_s}
    columns = (rows.values[name] for name in PartyDayValues._fields)
    for day_s, kind, *values in zip(rows.time_s, rows.tags["line_kind"], *columns, strict=True):
        lines, energy_wh, amount_nano = (value or 0 for value in values)
        if lines and day_s in sums:
            sums[day_s].append(KindSum(kind, lines, energy_wh, amount_nano))
    slots = zip(days.time_s, days.values["slots"], strict=True)
    return {day_s: _DaySums(sums[day_s], settled or 0) for day_s, settled in slots}


async def _read_kinds(source: Source, point: Point, day: Day) -> _DaySums:
    """The sums of a party's day as the ledger states them; none of one that was pruned, or on which the party has nothing yet."""
    try:
        path = f"areas/{point.area.area}/days/{day.start_s}/kinds"
        answer = await source.cached(path, party=point.party)
    except SourceMissing:
        return _DaySums((), 0)
    kinds = ((one["line_kind"], one["lines"], one["energy_wh"], one["amount_nano"]) for one in answer["kinds"])
    return _DaySums([KindSum(*one) for one in kinds], answer["slots_settled"])


async def _read_lines(source: Source, point: Point, month: Month) -> tuple[list[BillLine], int]:
    """The lines of a month, oldest first, and how many of its slots are settled."""
    found = [await read_lines_of_day(source, point, day) for day in month.days]
    return [line for of_day, _settled in found for line in of_day], sum(settled for _lines, settled in found)


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


@serves_table("/households/<party>/month/lines/<kind>", *EVERY_ROLE)
async def household_month_line_table(
    source: Source, viewer: Viewer, party: str, kind: str, *, month: str | None = None
) -> Table:
    """The days of a local month that a household's lines of one kind are made of; each leads to its lines, slot by slot."""
    check_party(viewer, party)
    point = await find_point(source, party)
    chosen, _names = await choose_month(source, point.area, month)
    return table_of_line(point, chosen, kind, await read_month(source, point, chosen), (await source.as_of()).currency)


def table_of_line(point: Point, month: Month, kind: str, found: MonthSums, currency: str) -> Table:
    """The days of a month that have lines of a kind. Problem 400 for a kind that the area's contract does not know."""
    if kind not in point.area.contract.lines:
        raise Problem("bad-request", f"kind: one of {', '.join(point.area.contract.lines)}")
    rows = [
        (day_s, one.lines, one.energy_wh, one.amount_nano)
        for day_s, of_day in found.days.items()
        for one in of_day
        if one.kind == kind
    ]
    title = point.area.contract.line_title(kind)
    return Table(
        name=f"{point.party}-{kind}-{month.name}",
        columns=(DAY_COLUMNS[0], *KIND_COLUMNS[1:]),
        rows=rows,
        title=_("%(line)s, %(month)s, day by day: each day leads to its slots", line=title, month=month.name),
        links=[f"/households/{point.party}/statement?day={row[0]}&by=kind#kind-{kind}" for row in rows],
        totals=(None, *(sum(row[at] for row in rows) for at in (1, 2, 3))) if rows else None,
        tz=point.area.tz,
        currency=currency,
    )


def month_line_path(party: str, month: str, kind: str) -> str:
    """Where a line of a month is shown with the days that it is made of."""
    return f"/households/{quote(party)}/month?{urlencode({'month': month, 'line': kind})}#line"


@serves_table("/households/<party>/month/lines", *EVERY_ROLE)
async def household_month_lines_table(source: Source, viewer: Viewer, party: str, *, month: str | None = None) -> Table:
    """The statement lines of a household's local month, by slot and kind. An amount above 0 is owed, one below is received."""
    check_party(viewer, party)
    point = await find_point(source, party)
    chosen, _names = await choose_month(source, point.area, month)
    lines, settled = await _read_lines(source, point, chosen)
    expected = sum(len(point.area.slots_of(day.start_s)) for day in chosen.days)
    return Table(
        name=f"{party}-lines-{chosen.name}",
        columns=in_words(LINE_COLUMNS, point.area),
        rows=[line.values for line in lines],
        title=_("Statement lines of %(month)s, party %(party)s", month=chosen.name, party=party),
        note=_("Settled: %(settled)s of %(expected)s slots.", settled=settled, expected=expected),
        links=[line_url(party, line.slot_start_s, line.kind, line.point) for line in lines],
        totals=(*[None] * 4, sum(line.amount_nano for line in lines)),
        tz=point.area.tz,
        currency=(await source.as_of()).currency,
    )


def year_span(area: AreaInfo, year: int) -> tuple[int, int]:
    """A local year, UTC seconds."""
    start, end = (datetime(number, 1, 1, tzinfo=zone(area)) for number in (year, year + 1))
    return int(start.timestamp()), int(end.timestamp())


async def choose_year(source: Source, area: AreaInfo, text: str | None) -> tuple[int, range]:
    """The year that an address names, else the newest one; and all years of the area. Problem 400 for none."""
    newest = int(newest_day(area, (await source.as_of()).ledger_time_s).date[:4])
    known = range(int(day_of(area, area.first_slot_start_s).date[:4]), newest + 1)
    if not text:
        return newest, known
    if not (text.isascii() and text.isdecimal() and len(text) == 4 and int(text) in YEARS):
        raise Problem("bad-request", "year: four digits")
    return int(text), known


@serves_table("/households/<party>/months", *EVERY_ROLE)
async def household_months_table(source: Source, viewer: Viewer, party: str, *, year: str | None = None) -> Table:
    """A household's statements of a local year, a row a month; months of which no slot is due yet are left out."""
    check_party(viewer, party)
    point = await find_point(source, party)
    area = point.area
    chosen, _years = await choose_year(source, area, year)
    newest = newest_day(area, (await source.as_of()).ledger_time_s)
    months = [month_of(area, name, newest) for name in month_names(area, newest) if name[:4] == f"{chosen:04d}"]
    curve = await read_curve(source, point, months[0].start_s, months[-1].end_s) if months else NO_CURVE
    rows = []
    for month in months:
        expected = sum(len(area.slots_of(day.start_s)) for day in month.days)
        rows.append(sums_row(month.name, curve.between(month.start_s, month.end_s), expected))
    return Table(
        name=f"{party}-{chosen}",
        columns=MONTH_COLUMNS,
        rows=rows,
        title=_("Statements of %(year)s by month, party %(party)s", year=chosen, party=party),
        links=[f"/households/{party}/month?month={month.name}" for month in months],
        totals=sums_of_days(rows),
        tz=area.tz,
        currency=(await source.as_of()).currency,
    )
