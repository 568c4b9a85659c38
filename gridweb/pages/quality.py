"""``/quality``: what is there of the data and what is not: readings, exceptions, gateways, informational devices, voltages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from quart import Blueprint, request

from gridcore.serving.problems import Problem
from gridweb.access import READS_ALL, requires
from gridweb.choosing import asked_choice, choose
from gridweb.format import query_of
from gridweb.i18n import N_, _
from gridweb.pages import Entry
from gridweb.pages.day_figures import AreaDay, Coverage, coverage_of, read_day
from gridweb.pages.day_tables import slot_path
from gridweb.pages.devices import (
    absent_table,
    observations_table,
    read_absent,
    read_observations,
    table_of_absent,
    table_of_voltages,
    voltages_table,
)
from gridweb.pages.gateways import Gateway, gateways_table, read_gateways, table_of_gateways
from gridweb.pages.meters import ROLE_TITLES, read_meters
from gridweb.pages.scope import Scope, read_scope, wanted
from gridweb.pages.stakes import missing_at, read_troubles
from gridweb.pages.troubles import exceptions_table, on_page, shown_to, table_of_troubles
from gridweb.points import Day, parse_day
from gridweb.site import source, viewer
from gridweb.source import AreaInfo, AsOf, Part, Source, SourceMissing, part_of
from gridweb.tables import Column, Table, serves_table, table_url
from gridweb.views import render_fragment, render_page

BOUNDARIES_MAX: Final = 48
"""Boundaries of a day whose missing meters are looked up by name, the newest ones."""
EXCEPTIONS_SHOWN_MAX: Final = 200
GATEWAYS_SHOWN_MAX: Final = 4
"""Gateways of the area whose devices are shown; the others have their own tables."""
VOLTAGES_SHOWN_MAX: Final = 40

pages = Blueprint("quality", __name__)

NAVIGATION = (Entry("/quality", N_("Data quality"), READS_ALL, 30),)

COVERAGE_COLUMNS: Final = (
    Column("boundary_s", N_("Boundary"), "instant"),
    Column("expected", N_("Expected"), "count"),
    Column("measured", N_("Measured"), "count"),
    Column("missing", N_("Missing"), "count"),
    Column("awaited", N_("Awaited"), "count"),
    Column("unread", N_("Not read yet"), "count"),
    Column("coverage_ppm", N_("Share"), "share"),
)
MISSING_COLUMNS: Final = (
    Column("boundary_s", N_("Boundary"), "instant"),
    Column("meter", N_("Meter")),
    Column("role", N_("Role"), words=ROLE_TITLES),
    Column("party", N_("Party")),
    Column("gateway", N_("Gateway")),
)


@dataclass(frozen=True)
class Boundary:
    """The readings at one boundary of an area."""

    boundary_s: int
    coverage: Coverage


def boundaries_of(day: AreaDay, as_of: AsOf) -> list[Boundary]:
    """The boundaries at the ends of a day's slots that ledger time has reached, the newest first."""
    found = [
        Boundary(slot.slot_start_s + day.area.slot_s, coverage_of(day.area, [slot], as_of.told_s, as_of.now_s))
        for slot in reversed(day.slots)
    ]
    return [boundary for boundary in found if boundary.coverage.expected]


async def first_boundary(source: Source, area: AreaInfo, ledger_time_s: int) -> Boundary | None:
    """The area's very first boundary, which ends no slot; None before ledger time has reached it. SourceAway."""
    first_s = area.first_slot_start_s
    if first_s > ledger_time_s:
        return None
    answer = await source.cached(f"areas/{area.area}/coverage", boundary_s=first_s)
    absent = answer["expected"] - answer["committed"]
    is_late = ledger_time_s >= first_s + int(area.rules["metering_deadline_s"])
    coverage = Coverage(answer["expected"], answer["committed"], absent if is_late else 0, 0 if is_late else absent)
    return Boundary(first_s, coverage)


async def read_boundaries(source: Source, day: AreaDay, as_of: AsOf) -> list[Boundary]:
    """The boundaries of an area's day, the newest first. SourceAway."""
    found = boundaries_of(day, as_of)
    if day.day.start_s <= day.area.first_slot_start_s < day.day.end_s:
        first = await first_boundary(source, day.area, as_of.ledger_time_s)
        found += [first] if first is not None else []
    return found


@serves_table("/areas/<area>/days/<day>/coverage", *READS_ALL)
async def coverage_table(source: Source, area: str, day: str) -> Table:
    """Readings expected, there, missing and still awaited at each boundary of a local day, the newest first."""
    one, as_of = await _area_day(source, area, day)
    return table_of_coverage(await read_boundaries(source, one, as_of), one)


def table_of_coverage(boundaries: list[Boundary], day: AreaDay) -> Table:
    """Coverage by boundary as a table, each row leading to the slot that ends there."""
    rows = []
    for one in boundaries:
        c = one.coverage
        share = _share(c.measured, c.expected - c.unread)
        rows.append((one.boundary_s, c.expected, c.measured, c.missing, c.awaited, c.unread, share))
    sums = sum((one.coverage for one in boundaries), Coverage())
    share = _share(sums.measured, sums.expected - sums.unread)
    totals = (None, sums.expected, sums.measured, sums.missing, sums.awaited, sums.unread, share)
    first_s = day.area.first_slot_start_s
    return Table(
        "coverage",
        COVERAGE_COLUMNS,
        rows,
        title=_("Readings of area %(area)s by boundary", area=day.area.area),
        links=[slot_path(day.area.area, max(row[0] - day.area.slot_s, first_s)) for row in rows],
        totals=totals if rows else None,
        tz=day.area.tz,
    )


def _share(part: int, whole: int) -> int | None:
    return part * 1_000_000 // whole if whole else None


@serves_table("/areas/<area>/days/<day>/missing", *READS_ALL)
async def missing_table(source: Source, area: str, day: str) -> Table:
    """Meters without a register at boundaries of a local day that are past the metering deadline, the newest first."""
    one, as_of = await _area_day(source, area, day)
    return await read_missing(source, one, await read_boundaries(source, one, as_of))


async def read_missing(source: Source, day: AreaDay, boundaries: list[Boundary]) -> Table:
    """The missing meters of a day by name. SourceAway."""
    meters = {meter.meter: meter for meter in await read_meters(source, day.area.area)}
    late = [one.boundary_s for one in boundaries if one.coverage.missing]
    rows: list[tuple[object, ...]] = []
    for boundary_s in late[:BOUNDARIES_MAX]:
        for name in await missing_at(source, day.area.area, boundary_s):
            meter = meters.get(name)
            known = (meter.role, meter.party, meter.gateway) if meter else (None, None, None)
            rows.append((boundary_s, name, *known))
    note = ""
    if len(late) > BOUNDARIES_MAX:
        note = _("Meters of the newest %(shown)s of %(all)s boundaries.", shown=BOUNDARIES_MAX, all=len(late))
    title = _("Missing meters of area %(area)s", area=day.area.area)
    return Table("missing", MISSING_COLUMNS, rows, title=title, note=note, tz=day.area.tz)


async def _area_day(source: Source, area: str, day: str) -> tuple[AreaDay, AsOf]:
    as_of = await source.as_of()
    info = await source.area(area)
    chosen: Day = parse_day(info, day)
    days = await read_day(source, [info], chosen.date, as_of)
    return days.areas[0], as_of


# ------------------------------------------------------------------------------------------------------------------ page


@dataclass(frozen=True)
class Devices:
    """What one gateway observed at its newest boundary."""

    gateway: str
    boundary_s: int
    devices: int
    voltages: Table
    absent: Table
    urls: dict[str, str]


async def read_devices(source: Source, gateway: Gateway, tz: str) -> Devices | None:
    """What a gateway observed at its newest boundary; None before it has sent anything. SourceAway."""
    if gateway.last_boundary_s is None:
        return None
    try:
        answer = await read_observations(source, gateway.gateway, gateway.last_boundary_s)
    except SourceMissing:
        return None
    absent = table_of_absent(await read_absent(source, answer), tz)
    voltages = table_of_voltages(answer)
    if len(voltages.rows) > VOLTAGES_SHOWN_MAX:
        note = _("The lowest %(shown)s of %(all)s.", shown=VOLTAGES_SHOWN_MAX, all=len(voltages.rows))
        voltages = replace(voltages, rows=voltages.rows[:VOLTAGES_SHOWN_MAX], note=note)
    tables = {"voltages": voltages_table, "absent": absent_table, "observations": observations_table}
    urls = {
        name: table_url(function, gateway=gateway.gateway, boundary_s=gateway.last_boundary_s)
        for name, function in tables.items()
    }
    devices = len({entry["device"] for entry in answer["observations"]})
    return Devices(gateway.gateway, gateway.last_boundary_s, devices, voltages, absent, urls)


@pages.get("/quality")
@requires(*READS_ALL)
async def show_quality() -> str:
    """The page: all areas' exceptions and gateways, and one area's readings and devices."""
    return await render_page("quality/quality.html", **await _read())


@pages.get("/quality/part")
@requires(*READS_ALL)
async def show_part() -> str:
    """The content of the page by itself."""
    return await render_fragment("quality/part.html", **await _read())


async def _read() -> dict[str, Any]:
    scope = await part_of(read_scope(source(), *wanted()))
    given = request.args.to_dict()
    values: dict[str, Any] = {"scope": scope.value, "away_part": scope.away, "given": given, "query": query_of(given)}
    return values if scope.value is None else values | await _values(scope.value, given)


async def _values(scope: Scope, given: Mapping[str, str]) -> dict[str, Any]:
    if not scope.days.areas:
        raise Problem("not-found", "this chain has no areas")
    one = scope.days.areas[0]
    where = {"area": one.area.area, "day": one.day.date}
    boundaries = await part_of(read_boundaries(source(), one, scope.as_of))
    missing: Part[Table] = Part(None, boundaries.away)
    if boundaries.value is not None:
        missing = await part_of(read_missing(source(), one, boundaries.value))
    gateways = await part_of(read_gateways(source(), scope.areas, scope.as_of.ledger_time_s))
    own = [gateway for gateway in gateways.value or [] if one.area.area in gateway.areas][:GATEWAYS_SHOWN_MAX]
    exceptions = await part_of(read_troubles(source(), scope.days, is_day_only=False))
    currency = scope.as_of.currency
    counted = scope.days.coverage
    if len(scope.areas) == 1 and boundaries.value is not None:
        counted = sum((boundary.coverage for boundary in boundaries.value), Coverage())
    return {
        "as_of": scope.as_of,
        "one": one,
        "counted": counted,
        "coverage": table_of_coverage(boundaries.value, one) if boundaries.value is not None else None,
        "coverage_away": boundaries.away,
        "coverage_url": table_url(coverage_table, **where),
        "missing": missing,
        "missing_rows": None
        if missing.value is None
        else choose(missing.value, asked_choice(given, missing.value), given),
        "missing_url": table_url(missing_table, **where),
        "exceptions": None
        if exceptions.value is None
        else on_page(
            table_of_troubles(exceptions.value, scope.days, currency, shown_to(viewer())), EXCEPTIONS_SHOWN_MAX
        ),
        "exceptions_total": len(exceptions.value.items) if exceptions.value is not None else 0,
        "exceptions_away": exceptions.away,
        "exceptions_url": table_url(exceptions_table, area=scope.chosen.area if scope.chosen else None),
        "gateways": table_of_gateways(gateways.value, scope.tz) if gateways.value is not None else None,
        "gateways_away": gateways.away,
        "gateways_url": table_url(gateways_table),
        "devices": [await part_of(read_devices(source(), gateway, one.area.tz)) for gateway in own],
    }
