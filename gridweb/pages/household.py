"""A household's pages: what a day came to, its curve, a year of it, and the statement line by line.

``/households/<party>``, ``…/day`` and ``…/days`` (its parts alone, fetched again by themselves), ``…/month``, ``…/year``, ``…/statement``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

from quart import Blueprint, request

from gridweb.access import EVERY_ROLE, check_party, requires
from gridweb.bill import BillLine, Saying, Totals, largest_deviation, say, sums_by_kind
from gridweb.contract_words import ContractWords
from gridweb.flows import Bars, Flows, flows_of, flows_of_slots
from gridweb.health import Outage
from gridweb.pages.documents import household_document_lines_table, household_documents_table, why_refused
from gridweb.pages.household_flows import bars_of_days, bars_of_hours, hour_start_s, hour_title, read_usual
from gridweb.pages.household_tables import (
    DayBill,
    Lines,
    choose_day,
    household_days_table,
    household_intervals_table,
    household_kinds_table,
    household_lines_table,
    line_url,
    read_day_bill,
    read_lines,
)
from gridweb.pages.month_tables import (
    choose_month,
    choose_year,
    household_month_line_table,
    household_month_lines_table,
    household_month_table,
    household_months_table,
    month_line_path,
    read_month,
    table_of_line,
    year_span,
)
from gridweb.pages.payments import shares_points
from gridweb.points import Day, Point, day_of, find_point, neighbours
from gridweb.site import source, viewer
from gridweb.source import Part, SourceMissing, part_of
from gridweb.tables import Table, table_url
from gridweb.views import render_fragment, render_page
from gridweb.waterfall import Waterfall, waterfall_of

pages = Blueprint("household", __name__)


@dataclass(frozen=True)
class Scope:
    """Whose day it is, and the days around it. ``text``: the day as the address names it, "" where it does not."""

    party: str
    point: Point
    day: Day
    newest: Day
    before: Day | None
    after: Day | None
    text: str

    @property
    def first(self) -> Day:
        """The first day of the area."""
        return day_of(self.point.area, self.point.area.first_slot_start_s)

    @property
    def tz(self) -> str:
        """The zone of the area."""
        return self.point.area.tz

    @property
    def contract(self) -> ContractWords:
        """The words of the area's contract."""
        return self.point.area.contract

    @property
    def query(self) -> str:
        """The query of addresses about the same day."""
        return f"?day={self.day.date}" if self.text else ""


@pages.get("/households/<party>")
@requires(*EVERY_ROLE)
async def show_household(party: str) -> str:
    """What the day came to, its curve, sums by kind, and the days before."""
    check_party(viewer(), party)
    scope = await _scope(party)
    currency = (await source().as_of()).currency
    figures = await read_figures(scope)
    return await render_page(
        "household/household.html",
        scope=scope,
        currency=currency,
        intervals_url=_intervals_url(party, scope.day.start_s, scope.day.end_s),
        **figures,
        **await _days(party),
    )


@pages.get("/households/<party>/day")
@requires(*EVERY_ROLE)
async def show_day_figures(party: str) -> str:
    """The figures of a day alone."""
    check_party(viewer(), party)
    scope = await _scope(party)
    currency = (await source().as_of()).currency
    figures = await read_figures(scope)
    return await render_fragment("household/figures.html", scope=scope, currency=currency, **figures)


@pages.get("/households/<party>/days")
@requires(*EVERY_ROLE)
async def show_days(party: str) -> str:
    """The list of days alone."""
    check_party(viewer(), party)
    return await render_fragment("household/days.html", **await _days(party))


@pages.get("/households/<party>/month")
@requires(*EVERY_ROLE)
async def show_month(party: str) -> str:
    """The statement of a local month: sums by kind of line, and its days."""
    check_party(viewer(), party)
    point = await find_point(source(), party)
    chosen = await choose_month(source(), point.area, request.args.get("month"))
    month = chosen.month
    span = {"start_s": month.start_s, "end_s": month.end_s}
    days = await part_of(household_days_table(source(), viewer(), party, **span))
    sums, currency = await part_of(read_month(source(), point, month)), (await source().as_of()).currency
    kind = request.args.get("line", "")
    return await render_page(
        "household/month.html",
        party=party,
        point=point,
        month=month,
        before=chosen.before,
        after=chosen.after,
        currency=currency,
        sums=sums,
        line=table_of_line(point, month, kind, sums.value, currency) if kind and sums.value else None,
        line_url=table_url(household_month_line_table, party=party, kind=kind, month=month.name) if kind else "",
        line_path=partial(month_line_path, party, month.name),
        days=days,
        bars=_bars(days),
        documents=await part_of(household_documents_table(source(), viewer(), party, month=month.name)),
        documents_url=table_url(household_documents_table, party=party, month=month.name),
        refused=await part_of(why_refused(source(), party, month.name)),
        document_lines=await part_of(household_document_lines_table(source(), viewer(), party, month=month.name)),
        document_lines_url=table_url(household_document_lines_table, party=party, month=month.name),
        days_url=table_url(household_days_table, party=party, **span),
        month_url=table_url(household_month_table, party=party, month=month.name),
        lines_url=table_url(household_month_lines_table, party=party, month=month.name),
    )


@pages.get("/households/<party>/year")
@requires(*EVERY_ROLE)
async def show_year(party: str) -> str:
    """A local year: its statements by month, and its curve, to be zoomed and panned."""
    check_party(viewer(), party)
    point = await find_point(source(), party)
    year, years = await choose_year(source(), point.area, request.args.get("year"))
    start_s, end_s = year_span(point.area, year)
    months = await part_of(household_months_table(source(), viewer(), party, year=str(year)))
    return await render_page(
        "household/year.html",
        party=party,
        point=point,
        year=year,
        years=years,
        currency=(await source().as_of()).currency,
        months=months,
        bars=_bars(months),
        months_url=table_url(household_months_table, party=party, year=str(year)),
        intervals_url=_intervals_url(party, start_s, end_s),
    )


@pages.get("/households/<party>/statement")
@requires(*EVERY_ROLE)
async def show_statement(party: str) -> str:
    """The statement of a day: sums by kind, and every line, each with the way to its proof; folded by hour, or ``?by=kind``."""
    check_party(viewer(), party)
    scope = await _scope(party)
    as_of = await source().as_of()
    statement = await read_statement(scope)
    found, lines = statement.lines, statement.lines.lines
    by = "kind" if request.args.get("by") == "kind" else "hour"
    return await render_page(
        "household/statement.html",
        scope=scope,
        currency=as_of.currency,
        is_behind=as_of.is_behind,
        away_part=statement.away,
        totals=await _totals(scope, statement),
        lines_note=found.note(scope.tz),
        deviation=None if statement.bill is None else largest_deviation(statement.bill.intervals),
        by=by,
        groups=_by_kind(scope, lines) if by == "kind" else _by_hour(scope, lines),
        sums=sums_by_kind(lines, scope.contract.lines),
        total_nano=sum(line.amount_nano for line in lines),
        line_url=line_url,
        lines_url=table_url(household_lines_table, party=party, day=scope.day.date),
        kinds_url=table_url(household_kinds_table, party=party, day=scope.day.date),
    )


class Group(NamedTuple):
    """Lines of a statement that are folded together, under an id of the page and a title."""

    id: str
    title: str
    lines: Sequence[BillLine]

    @property
    def amount_nano(self) -> int:
        """What they come to."""
        return sum(line.amount_nano for line in self.lines)


def _by_hour(scope: Scope, lines: Sequence[BillLine]) -> list[Group]:
    groups = groupby(lines, key=lambda line: hour_start_s(line.slot_start_s, scope.tz))
    return [Group(f"hour-{hour_s}", hour_title(hour_s, scope.tz), list(group)) for hour_s, group in groups]


def _by_kind(scope: Scope, lines: Sequence[BillLine]) -> list[Group]:
    contract = scope.contract
    groups = (
        (one.kind, [line for line in lines if line.kind == one.kind]) for one in sums_by_kind(lines, contract.lines)
    )
    return [Group(f"kind-{kind}", contract.line_title(kind), own) for kind, own in groups]


def _bars(table: Part[Table]) -> Bars | None:
    return None if table.value is None else bars_of_days(table.value.rows, table.value.links)


async def _days(party: str) -> dict[str, Any]:
    days = await part_of(household_days_table(source(), viewer(), party))
    return {"days": days, "days_url": table_url(household_days_table, party=party)}


@dataclass(frozen=True)
class Statement:
    """A day: its curve out of the time series, its lines from the node; what of both is away, and then missing."""

    bill: DayBill | None
    lines: Lines
    away: Outage | None


async def read_statement(scope: Scope) -> Statement:
    """A day as far as it can be read now."""
    bill = await part_of(read_day_bill(source(), scope.party, scope.day.date))
    if bill.value is None:
        return Statement(None, Lines(()), bill.away)
    lines = await part_of(read_lines(source(), bill.value))
    return Statement(bill.value, lines.value or Lines(()), lines.away)


async def _scope(party: str) -> Scope:
    point = await find_point(source(), party)
    text = request.args.get("day", "")
    day, newest = await choose_day(source(), point.area, text)
    return Scope(party, point, day, newest, *neighbours(point.area, day, newest), text)


async def read_figures(scope: Scope) -> dict[str, Any]:
    """What a day came to, as the ledger states it; while the node is away, as the time series have it."""
    as_of = await source().as_of()
    statement = await read_statement(scope)
    found, totals = statement.lines, await _totals(scope, statement)
    return {
        "totals": totals,
        "saying": None if totals is None or not totals.settled else _say(totals, as_of.currency, scope.party),
        "flows": None if totals is None or not totals.settled else _flows(totals, statement.bill),
        "waterfall": _waterfall(totals, statement),
        "usual": None if statement.bill is None else (await part_of(read_usual(source(), statement.bill))).value,
        "hours": None if statement.bill is None else bars_of_hours(statement.bill, _statement_url(scope)),
        "is_behind": as_of.is_behind,
        "sums": sums_by_kind(found.lines, scope.contract.lines),
        "lines_total_nano": sum(line.amount_nano for line in found.lines),
        "lines_note": found.note(scope.tz),
        "away_part": statement.away,
        "credit": (await part_of(_credit(scope.party))).value,
    }


def _flows(totals: Totals, bill: DayBill | None) -> Flows:
    """Slot by slot where the series have the day as the ledger states it, else by its sums."""
    of_slots = None if bill is None else flows_of_slots(bill.intervals)
    if of_slots is not None and (of_slots.taken_wh, of_slots.fed_wh) == (totals.import_wh, totals.export_wh):
        return of_slots
    return flows_of(totals.import_wh, totals.export_wh, totals.bought_wh, totals.sold_wh)


def _waterfall(totals: Totals | None, statement: Statement) -> Waterfall | None:
    """None while the lines, or the curve that tells which slots are estimated, are away or behind."""
    if totals is None or statement.bill is None:
        return None
    return waterfall_of(totals, statement.lines.lines, statement.bill.intervals)


def _statement_url(scope: Scope) -> str:
    return f"/households/{scope.party}/statement?day={scope.day.date}"


async def _totals(scope: Scope, statement: Statement) -> Totals | None:
    """What a day came to, by the same answer of the node as its lines; by the time series while the node is away."""
    stated = (await part_of(_totals_of_node(scope))).value
    return stated if stated is not None or statement.bill is None else statement.bill.totals


async def _credit(party: str) -> Any:
    """What the party owes, and what is pending for its orders; None before the ledger knows it, and for a party whose points another one has, or had."""
    try:
        found = await source().cached("credit", party=party)
    except SourceMissing:
        return None
    return None if shares_points(found) and viewer().party == party else found


def _say(totals: Totals, currency: str, party: str) -> Saying:
    return say(totals, currency, None if viewer().party == party else party)


async def _totals_of_node(scope: Scope) -> Totals | None:
    """The day's sums as the ledger states them, None before the first run of the day."""
    path = f"areas/{scope.point.area.area}/days/{scope.day.start_s}/statements"
    try:
        answer = await source().cached(path, party=scope.party)
    except SourceMissing:
        return None
    names = ("import_wh", "export_wh", "bought_wh", "sold_wh", "pays_nano", "supplier_only_nano")
    return Totals(
        answer["slots_expected"], answer["slots_settled"], *(_sum_of(answer["statements"], name) for name in names)
    )


def _sum_of(statements: Sequence[Mapping[str, Any]], name: str) -> int:
    """Over the points of the party."""
    return sum(int(one[name]) for one in statements)


def _intervals_url(party: str, start_s: int, end_s: int) -> str:
    return table_url(household_intervals_table, party=party, start_s=start_s, end_s=end_s)
