"""``/imbalance``: who answers for what: schedule, metered energy and imbalance of each balance group on a local day."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from quart import Blueprint, request

from gridweb.access import READS_ALL, requires
from gridweb.i18n import N_, _
from gridweb.pages import Entry
from gridweb.pages.scope import choose_area
from gridweb.points import Day, neighbours, newest_day, parse_day
from gridweb.site import source
from gridweb.source import AreaInfo, Source, SourceMissing, part_of
from gridweb.tables import Column, Table, serves_table, table_url
from gridweb.views import render_page
from settlement.balance_groups import BalanceReport, GroupEnergy, SlotGroups, balance_report

pages = Blueprint("imbalance", __name__)

NAVIGATION = (Entry("/imbalance", N_("Imbalance"), READS_ALL, 50, section="/runs"),)

NOBODY: Final = N_("no party named")
TOTAL_COLUMNS: Final = (
    Column("group", N_("Balance group"), words={"": NOBODY}),
    Column("slots", N_("Slots"), "count"),
    Column("import_wh", N_("Import"), "energy_wh"),
    Column("export_wh", N_("Export"), "energy_wh"),
    Column("schedule_wh", N_("Schedule"), "energy_wh"),
    Column("imbalance_wh", N_("Imbalance"), "energy_wh"),
    Column("surplus_wh", N_("Surplus"), "energy_wh"),
    Column("shortfall_wh", N_("Shortfall"), "energy_wh"),
)
EXCHANGE_COLUMNS: Final = (
    Column("slot_start_s", N_("Slot"), "slot"),
    Column("from_group", N_("From"), words={"": NOBODY}),
    Column("to_group", N_("To"), words={"": NOBODY}),
    Column("energy_wh", N_("Energy"), "energy_wh"),
)
LINE_COLUMNS: Final = (
    Column("slot_start_s", N_("Slot"), "slot"),
    TOTAL_COLUMNS[0],
    *TOTAL_COLUMNS[2:4],
    Column("bought_wh", N_("Bought"), "energy_wh"),
    Column("sold_wh", N_("Sold"), "energy_wh"),
    *TOTAL_COLUMNS[4:6],
)


@serves_table("/areas/<area>/days/<day>/imbalance", *READS_ALL)
async def imbalance_table(source: Source, area: str, day: str) -> Table:
    """The balance groups of an area's local day: sums over its settled slots. Imbalance: metered less schedule, above 0 a surplus."""
    info = await source.area(area)
    chosen = parse_day(info, day)
    return totals_of(await _read(source, info, chosen), info, chosen)


@serves_table("/areas/<area>/days/<day>/imbalance/slots", *READS_ALL)
async def imbalance_slots_table(source: Source, area: str, day: str) -> Table:
    """The balance groups of an area's local day, slot by slot."""
    info = await source.area(area)
    chosen = parse_day(info, day)
    report = await _read(source, info, chosen)
    keys = [column.key for column in LINE_COLUMNS]
    rows = [tuple(getattr(line, key) for key in keys) for line in report.lines]
    title = _("Balance groups of area %(area)s, slot by slot", area=area)
    return Table(f"{area}-imbalance-slots-{chosen.date}", LINE_COLUMNS, rows, title=title, tz=info.tz)


@serves_table("/areas/<area>/days/<day>/exchanges", *READS_ALL)
async def exchanges_table(source: Source, area: str, day: str) -> Table:
    """Energy that trades of a local day move from the schedule of one balance group to that of another, slot by slot."""
    info = await source.area(area)
    chosen = parse_day(info, day)
    return exchanges_of(await _read(source, info, chosen), info, chosen)


async def _read(source: Source, area: AreaInfo, day: Day) -> BalanceReport:
    """The report of a local day, without prices; empty before its first run. SourceAway."""
    try:
        answer: Mapping[str, Any] = await source.cached(f"areas/{area.area}/days/{day.start_s}/balance-groups")
    except SourceMissing:
        return balance_report([])
    slots = (
        SlotGroups(slot["slot_start_s"], [GroupEnergy(**group) for group in slot["groups"]]) for slot in answer["slots"]
    )
    return balance_report(slots)


def totals_of(report: BalanceReport, area: AreaInfo, day: Day) -> Table:
    """Sums by group. All imbalances together are what the area took from, or gave to, the grid beside its trades."""
    keys = [column.key for column in TOTAL_COLUMNS]
    rows = [tuple(getattr(total, key) for key in keys) for total in report.totals]
    sums = [None, None, *(sum(row[at] for row in rows) for at in range(2, len(keys)))]
    return Table(
        f"{area.area}-imbalance-{day.date}",
        TOTAL_COLUMNS,
        rows,
        title=_("Balance groups of area %(area)s on %(day)s", area=area.area, day=day.date),
        totals=sums if rows else None,
        tz=area.tz,
    )


def exchanges_of(report: BalanceReport, area: AreaInfo, day: Day) -> Table:
    """Schedule exchanges, slot by slot."""
    return Table(
        f"{area.area}-exchanges-{day.date}",
        EXCHANGE_COLUMNS,
        list(report.exchanges),
        title=_("Schedule exchanges between balance groups"),
        totals=(None, None, None, sum(one.energy_wh for one in report.exchanges)) if report.exchanges else None,
        tz=area.tz,
    )


@pages.get("/imbalance")
@requires(*READS_ALL)
async def show_imbalance() -> str:
    """One area's day."""
    areas, area = await choose_area(source(), request.args.get("area"))
    day_text = request.args.get("day")
    newest = newest_day(area, (await source().as_of()).ledger_time_s)
    day = parse_day(area, day_text) if day_text else newest
    before, after = neighbours(area, day, newest)
    report = await part_of(_read(source(), area, day))
    where = {"area": area.area, "day": day.date}
    return await render_page(
        "imbalance/imbalance.html",
        areas=areas,
        area=area,
        day=day,
        before=before,
        after=after,
        report=report,
        totals=totals_of(report.value, area, day) if report.value else None,
        totals_url=table_url(imbalance_table, **where),
        slots_url=table_url(imbalance_slots_table, **where),
        exchanges=exchanges_of(report.value, area, day) if report.value else None,
        exchanges_url=table_url(exchanges_table, **where),
    )
