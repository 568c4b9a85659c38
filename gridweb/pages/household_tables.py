"""A household's tables: its curve, its days, and the lines of its statement, out of the time series.

Each is for the household itself and for whoever reads all; nothing in them names another party.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from gridcore.serving.problems import Problem
from gridseries.series import INTERVALS, SLOTS, Columns
from gridweb import format as shown
from gridweb.access import EVERY_ROLE, Viewer, check_party
from gridweb.bill import (
    NO_CURVE,
    PRICE,
    BillLine,
    Curve,
    Interval,
    IntervalTuple,
    Totals,
    curve_of,
    intervals_of,
    joined_curves,
    sums_by_kind,
    totals_of,
)
from gridweb.flows import flows_of_curve
from gridweb.i18n import N_, _
from gridweb.points import Day, Point, day_of, find_point, newest_day, parse_day
from gridweb.source import AreaInfo, Source, SourceMissing
from gridweb.tables import Column, Table, serves_table

SPAN_S_MAX: Final = 367 * 86_400
"""Longest span of one question: a local year, with a day to spare."""
DAYS_SHOWN: Final = 31
ROWS_IN_THREAD: Final = 2_000
"""A longer curve is put together in a thread, so that other requests go on."""
SLOTS_NAMED: Final = 4
"""Slots without lines that a note names."""

DayRow = tuple[str | int | None, ...]

INTERVAL_COLUMNS: Final = (
    Column("slot_start_s", N_("Slot"), "slot"),
    Column("import_wh", N_("Import"), "energy_wh"),
    Column("export_wh", N_("Export"), "energy_wh"),
    Column("bought_wh", N_("Bought"), "energy_wh"),
    Column("sold_wh", N_("Sold"), "energy_wh"),
    Column("price_micro_per_kwh", N_("Price"), "price_micro"),
    Column("pays_nano", N_("To pay (minus: to get)"), "amount_nano"),
    Column("supplier_only_nano", N_("With the supplier alone"), "amount_nano"),
    Column("quality", N_("Quality"), "quality"),
)
DAY_COLUMNS: Final = (
    Column("day", N_("Day"), "day"),
    Column("slots_expected", N_("Slots"), "count"),
    Column("slots_settled", N_("Settled"), "count"),
    Column("import_wh", N_("Import"), "energy_wh"),
    Column("export_wh", N_("Export"), "energy_wh"),
    Column("bought_wh", N_("Bought"), "energy_wh"),
    Column("sold_wh", N_("Sold"), "energy_wh"),
    Column("pays_nano", N_("To pay (minus: to get)"), "amount_nano"),
    Column("supplier_only_nano", N_("With the supplier alone"), "amount_nano"),
    Column("saving_nano", N_("Saved"), "amount_nano"),
    Column("from_neighbours_wh", N_("From neighbours"), "energy_wh"),
    Column("to_neighbours_wh", N_("To neighbours"), "energy_wh"),
)
"""From and to neighbours: what was traded as far as it was taken and fed in, slot by slot. Bought and sold: what was ordered."""
LINE_COLUMNS: Final = (
    Column("slot_start_s", N_("Slot"), "slot"),
    Column("line_kind", N_("Line")),
    Column("energy_wh", N_("Energy"), "energy_wh"),
    Column("price_micro_per_kwh", N_("Price"), "price_micro"),
    Column("amount_nano", N_("Amount"), "amount_nano"),
)
KIND_COLUMNS: Final = (
    Column("line_kind", N_("Line")),
    Column("lines", N_("Lines"), "count"),
    Column("energy_wh", N_("Energy"), "energy_wh"),
    Column("amount_nano", N_("Amount"), "amount_nano"),
)


@dataclass(frozen=True)
class DayBill:
    """A household's day: its curve slot by slot, and what it comes to."""

    point: Point
    day: Day
    newest: Day
    intervals: tuple[Interval, ...]
    """One for each slot of the day, from the area's first slot on."""
    totals: Totals


async def read_intervals(source: Source, point: Point, start_s: int, end_s: int) -> list[Interval]:
    """The curve of a party's points in some days, as far as there is one. SourceAway while the series is away."""
    return list(map(Interval._make, await read_interval_tuples(source, point, start_s, end_s)))


async def read_interval_tuples(source: Source, point: Point, start_s: int, end_s: int) -> list[IntervalTuple]:
    """The same of a span of any length."""
    spans = await asyncio.gather(*(_read_span(source, point, *span) for span in point.spans(start_s, end_s)))
    return [interval for span in spans for interval in span]


async def _read_span(
    source: Source, point: Point, start_s: int, end_s: int, meters: Sequence[str]
) -> list[IntervalTuple]:
    area = point.area.area
    of_slots = source.columns(SLOTS, start_s, end_s, [PRICE], area=area)
    curves, slots = await asyncio.gather(_curves(source, point, start_s, end_s, meters), of_slots)
    if sum(len(curve.time_s) for curve in curves) > ROWS_IN_THREAD:
        return await asyncio.to_thread(intervals_of, curves, slots)
    return intervals_of(curves, slots)


async def read_curve(source: Source, point: Point, start_s: int, end_s: int) -> Curve:
    """The settled slots of a party's points in a span. SourceAway while the series is away."""
    spans = await asyncio.gather(*(_curves(source, point, *span) for span in point.spans(start_s, end_s)))
    return joined_curves([curve_of(curves) for curves in spans])


async def _curves(source: Source, point: Point, start_s: int, end_s: int, meters: Sequence[str]) -> Sequence[Columns]:
    area = point.area.area
    return await asyncio.gather(
        *(source.columns(INTERVALS, start_s, end_s, area=area, meter=meter) for meter in meters)
    )


async def choose_day(source: Source, area: AreaInfo, text: str | None) -> tuple[Day, Day]:
    """The day that an address names, else the newest one; and the newest one."""
    newest = newest_day(area, (await source.as_of()).ledger_time_s)
    return (newest if not text else parse_day(area, text)), newest


async def read_day_bill(source: Source, party: str, day: str | None) -> DayBill:
    """A party's day. Problem 400, SourceMissing, SourceAway."""
    point = await find_point(source, party)
    chosen, newest = await choose_day(source, point.area, day)
    found = await read_intervals(source, point, chosen.start_s, chosen.end_s)
    intervals = complete(found, point.area.slots_of(chosen.start_s))
    return DayBill(point, chosen, newest, tuple(intervals), totals_of(intervals, len(intervals)))


def complete(found: Sequence[Interval], slots: range) -> list[Interval]:
    """One interval for each of ``slots``: those of which nothing is known yet are empty."""
    known = {interval.start_s: interval for interval in found}
    return [
        known.get(start_s) or Interval(start_s, None, None, None, None, None, None, None, "missing")
        for start_s in slots
    ]


@dataclass(frozen=True)
class Lines:
    """The statement lines of a day, by slot and kind. ``without``: settled slots of the curve whose run the node does not know,
    so that they have no lines here.
    """

    lines: tuple[BillLine, ...]
    without: tuple[int, ...] = ()

    def note(self, tz: str) -> str:
        """What the lines are not, in words; "" for a whole statement."""
        if not self.without:
            return ""
        slots = ", ".join(shown.clock(start_s, tz) for start_s in self.without[:SLOTS_NAMED])
        if len(self.without) > SLOTS_NAMED:
            slots += " …"
        return _(
            "Slots that the time series call settled while the ledger knows no run of them: %(count)s (%(slots)s). "
            "Their lines are missing here; please report it to the operator.",
            count=len(self.without),
            slots=slots,
        )


async def read_lines(source: Source, bill: DayBill) -> Lines:
    """The statement lines of a day, as the ledger states them. SourceAway while the node is away."""
    slots = await _statements(source, bill.point, bill.day)
    known = {slot["slot_start_s"] for slot in slots}
    settled = [interval.start_s for interval in bill.intervals if interval.is_settled]
    return Lines(_lines(bill.point, slots), tuple(start_s for start_s in settled if start_s not in known))


async def read_lines_of_day(source: Source, point: Point, day: Day) -> tuple[Sequence[BillLine], int]:
    """The statement lines of a party's day, and how many of its slots are settled. SourceAway while the node is away."""
    slots = await _statements(source, point, day)
    return _lines(point, slots), len(slots)


async def _statements(source: Source, point: Point, day: Day) -> Sequence[Mapping[str, Any]]:
    """The settled slots of a day, as the ledger states them; none before its first run."""
    path = f"areas/{point.area.area}/days/{day.start_s}/statements"
    try:
        slots: Sequence[Mapping[str, Any]] = (await source.cached(path, party=point.party))["slots"]
    except SourceMissing:
        return []
    return slots


def _lines(point: Point, slots: Sequence[Mapping[str, Any]]) -> tuple[BillLine, ...]:
    is_several = len(point.meters) > 1
    return tuple(
        _line(slot["slot_start_s"], line, line["point"] if is_several else "")
        for slot in slots
        for line in slot["lines"]
    )


def _line(slot_start_s: int, line: Mapping[str, Any], point: str) -> BillLine:
    money = line["price_micro_per_kwh"], line["amount_nano"]
    return BillLine(slot_start_s, line["line_kind"], line["energy_wh"], *money, point)


# ----------------------------------------------------------------------------------------------------------------- tables


@serves_table("/households/<party>/intervals", *EVERY_ROLE)
async def household_intervals_table(
    source: Source, viewer: Viewer, party: str, *, start_s: int | None = None, end_s: int | None = None
) -> Table:
    """A household's curve slot by slot: energy, trades, price, money. Without a span: its newest day."""
    check_party(viewer, party)
    point = await find_point(source, party)
    start_s, end_s = await choose_span(source, point.area, start_s, end_s)
    found = await read_interval_tuples(source, point, start_s, end_s)
    return await _table(source, point, "intervals", INTERVAL_COLUMNS, found, _("Slot by slot"))


async def choose_span(source: Source, area: AreaInfo, start_s: int | None, end_s: int | None) -> tuple[int, int]:
    """A span as asked, completed to a local day. Problem 400 for one that is empty or longer than SPAN_S_MAX."""
    if start_s is None and end_s is None:
        newest = newest_day(area, (await source.as_of()).ledger_time_s)
        return newest.start_s, newest.end_s
    if start_s is None or end_s is None:
        raise Problem("bad-request", "start_s and end_s: both or neither")
    if not 0 <= start_s < end_s or end_s - start_s > SPAN_S_MAX:
        raise Problem("bad-request", f"start_s, end_s: an ascending span of at most {SPAN_S_MAX // 86_400} days")
    return start_s, end_s


@serves_table("/households/<party>/days", *EVERY_ROLE)
async def household_days_table(
    source: Source, viewer: Viewer, party: str, *, start_s: int | None = None, end_s: int | None = None
) -> Table:
    """A household's statements by local day, the newest first. Without a span: the newest 31 days."""
    check_party(viewer, party)
    point = await find_point(source, party)
    area = point.area
    if start_s is None and end_s is None:
        newest = newest_day(area, (await source.as_of()).ledger_time_s)
        at = area.days.index(newest.start_s)
        start_s, end_s = area.days[max(0, at - DAYS_SHOWN + 1)], newest.end_s
    start_s, end_s = await choose_span(source, area, start_s, end_s)
    days = days_between(area, start_s, end_s)
    # To the end of the last day, wherever the span ends: a day's sums are those of all of its slots.
    curve = await read_curve(source, point, days[0].start_s, days[-1].end_s) if days else NO_CURVE
    rows = [
        sums_row(day.date, curve.between(day.start_s, day.end_s), len(area.slots_of(day.start_s)))
        for day in reversed(days)
    ]
    links = [f"/households/{party}?day={row[0]}" for row in rows]
    title = _("My statements by day") if viewer.party == party else _("Statements by day")
    return await _table(source, point, "days", DAY_COLUMNS, rows, title, sums_of_days(rows), links)


def days_between(area: AreaInfo, start_s: int, end_s: int) -> list[Day]:
    """The local days that begin inside a span, from the area's first slot on."""
    first_s = area.day_around(area.first_slot_start_s)[0]
    return [day_of(area, day) for day in area.days[:-1] if max(start_s, first_s) <= day < end_s]


def sums_row(name: str, curve: Curve, expected: int) -> DayRow:
    """The row of DAY_COLUMNS of a day or a month; of one without a settled slot nothing is known, which is not 0."""
    if not curve.start_s:
        return name, expected, 0, *[None] * 9
    totals, flows = curve.totals(expected), flows_of_curve(curve)
    money = (totals.pays_nano, totals.supplier_only_nano, totals.saving_nano)
    energies = (totals.import_wh, totals.export_wh, totals.bought_wh, totals.sold_wh)
    return name, expected, totals.settled, *energies, *money, flows.from_neighbours_wh, flows.to_neighbours_wh


def sums_of_days(rows: Sequence[DayRow]) -> list[int | None] | None:
    """The last row of a table of days; None for one without rows, and in columns without a value."""
    if not rows:
        return None
    columns = [[value for value in column if isinstance(value, int)] for column in zip(*rows, strict=True)]
    return [sum(column) if column else None for column in columns]


@serves_table("/households/<party>/lines", *EVERY_ROLE)
async def household_lines_table(source: Source, viewer: Viewer, party: str, *, day: str | None = None) -> Table:
    """The statement lines of a household's day, by slot and kind. An amount above 0 is owed, one below is received."""
    check_party(viewer, party)
    bill = await read_day_bill(source, party, day)
    found = await read_lines(source, bill)
    totals = (None, None, None, None, sum(line.amount_nano for line in found.lines))
    rows = [line.values for line in found.lines]
    links = [line_url(party, line.slot_start_s, line.kind, line.point) for line in found.lines]
    columns = in_words(LINE_COLUMNS, bill.point.area)
    table = await _table(
        source, bill.point, _day_name("lines", bill.day), columns, rows, _("Statement lines"), totals, links
    )
    return replace(table, note=found.note(bill.point.area.tz))


@serves_table("/households/<party>/kinds", *EVERY_ROLE)
async def household_kinds_table(source: Source, viewer: Viewer, party: str, *, day: str | None = None) -> Table:
    """The sums of a household's day by kind of line."""
    check_party(viewer, party)
    bill = await read_day_bill(source, party, day)
    found = await read_lines(source, bill)
    sums = sums_by_kind(found.lines, bill.point.area.contract.lines)
    rows = [(one.kind, one.lines, one.energy_wh, one.amount_nano) for one in sums]
    totals = (None, sum(one.lines for one in sums), None, sum(one.amount_nano for one in sums))
    columns = in_words(KIND_COLUMNS, bill.point.area)
    table = await _table(
        source, bill.point, _day_name("kinds", bill.day), columns, rows, _("Sums by kind of line"), totals
    )
    return replace(table, note=found.note(bill.point.area.tz))


def line_url(party: str, slot_start_s: int, kind: str, point: str = "") -> str:
    """The page of one bill line. point: of a party that has several."""
    return f"/households/{party}/lines/{slot_start_s}/{kind}" + (f"/at/{point}" if point else "")


def _day_name(name: str, day: Day) -> str:
    """The name of a table, and of its files, of one day."""
    return f"{name}-{day.date}"


def in_words(columns: tuple[Column, ...], area: AreaInfo) -> tuple[Column, ...]:
    """Columns whose kinds of lines a page, a workbook and a PDF show in the words of the area's contract."""
    words = area.contract.line_titles
    return tuple(replace(column, words=words) if column.key == "line_kind" else column for column in columns)


async def _table(
    source: Source,
    point: Point,
    name: str,
    columns: tuple[Column, ...],
    rows: Sequence[Sequence[object]],
    title: str,
    totals: Sequence[object] | None = None,
    links: Sequence[str | None] = (),
) -> Table:
    """A table of a party, in its area's zone and its chain's currency."""
    return Table(
        name=f"{point.party}-{name}",
        columns=columns,
        rows=rows,
        title=title,
        links=links,
        totals=totals,
        tz=point.area.tz,
        currency=(await source.as_of()).currency,
    )
