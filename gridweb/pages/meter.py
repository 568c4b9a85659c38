"""``/meters``: the meters of an area; ``/meters/<meter>``: one of them, who reads it, what came of it on a day, what was refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from quart import Blueprint, request

from gridcore.quality import MISSING, quality_words
from gridseries.series import INTERVALS, IntervalRow
from gridweb.access import READS_ALL, requires
from gridweb.choosing import asked_choice, choose
from gridweb.i18n import N_, _
from gridweb.pages.day_tables import correction_path, slot_path
from gridweb.pages.devices import name_of, read_observations
from gridweb.pages.gateway import find_gateway, read_refusals, table_of_meters
from gridweb.pages.meters import ROLE_TITLES, Meter, find_meter, read_meters
from gridweb.pages.scope import choose_area
from gridweb.points import Day, neighbours, newest_day, parse_day
from gridweb.site import source
from gridweb.source import AreaInfo, Source, SourceMissing, part_of
from gridweb.tables import Column, Table, serves_table, table_url
from gridweb.views import render_page

pages = Blueprint("meter", __name__)

VALUE_STATES: Final = {"counts": N_("counts"), "superseded": N_("superseded")}
SLOT_COLUMNS: Final = (
    Column("slot_start_s", N_("Slot"), "slot"),
    Column("import_wh", N_("Import"), "energy_wh"),
    Column("export_wh", N_("Export"), "energy_wh"),
    Column("quality", N_("Quality"), "quality"),
)


VALUE_COLUMNS: Final = (
    Column("slot_start_s", N_("Slot"), "slot"),
    Column("recorded_s", N_("Recorded"), "instant"),
    Column("height", N_("Block"), "count"),
    Column("run", N_("Run"), "run"),
    Column("state", N_("State"), words=VALUE_STATES),
    Column("start_import", N_("Import register before")),
    Column("end_import", N_("Import register after")),
    Column("start_export", N_("Export register before")),
    Column("end_export", N_("Export register after")),
    Column("import_wh", N_("Import"), "energy_wh"),
    Column("export_wh", N_("Export"), "energy_wh"),
    Column("quality", N_("Quality"), "quality"),
)


@serves_table("/areas/<area>/meters", *READS_ALL)
async def meters_table(source: Source, area: str) -> Table:
    """The meters of an area: who is billed by each, and the most that it can count in a slot."""
    await source.area(area)
    return table_of_meters(await read_meters(source, area), "meters")


@serves_table("/meters/<meter>/slots", *READS_ALL)
async def meter_slots_table(source: Source, meter: str, *, day: str | None = None) -> Table:
    """What a meter counted in each slot of a local day, and the quality of its register at the slot's end, the newest first."""
    one = await find_meter(source, meter)
    area, as_of = await source.area(one.area), await source.as_of()
    return await read_slots(source, one, area, parse_day(area, day) if day else newest_day(area, as_of.ledger_time_s))


@serves_table("/meters/<meter>/values", *READS_ALL)
async def meter_values_table(source: Source, meter: str, *, day: str | None = None) -> Table:
    """Slots of a local day in which a later run knew another value of a meter: each value with its slot and when and by which block it was recorded."""
    one = await find_meter(source, meter)
    area, as_of = await source.area(one.area), await source.as_of()
    return await read_values(source, one, area, parse_day(area, day) if day else newest_day(area, as_of.ledger_time_s))


async def read_values(source: Source, meter: Meter, area: AreaInfo, day: Day) -> Table:
    """The values of slots that have more than one, slot by slot, as they were recorded. SourceAway while the node is away."""
    path = f"areas/{area.area}/days/{day.start_s}/values"
    try:
        slots = (await source.cached(path, meter=meter.meter))["slots"]
    except SourceMissing:
        slots = []
    rows = []
    for slot in slots:
        values = slot["values"]
        for value in values if len(values) + slot["left_off"] > 1 else ():
            state = "counts" if value is values[-1] else "superseded"
            known = {"slot_start_s": slot["slot_start_s"], "state": state, **value}
            rows.append(tuple(known[column.key] for column in VALUE_COLUMNS))
    title = _("Values of %(day)s that were superseded", day=day.date)
    return Table("meter-values", VALUE_COLUMNS, rows, title=title, tz=area.tz)


async def read_slots(source: Source, meter: Meter, area: AreaInfo, day: Day) -> Table:
    """The slots of a day, the newest first. SourceAway while the series are away."""
    found = await source.curves(INTERVALS, day.start_s, day.end_s, area=area.area, meter=meter.meter)
    rows = [(row.time_s, row.values.import_wh, row.values.export_wh, _quality(row)) for row in reversed(found)]
    links = [slot_path(area.area, row.time_s) for row in reversed(found)]
    title = _("Slots of %(day)s", day=day.date)
    return Table("meter-slots", SLOT_COLUMNS, rows, title=title, links=links, tz=area.tz)


def _quality(row: IntervalRow) -> str | None:
    """The word for the register at the end of a slot."""
    quality = row.values.quality
    return None if quality is None else "missing" if quality == MISSING else quality_words(quality)[0]


@pages.get("/meters")
@requires(*READS_ALL)
async def show_meters() -> str:
    """The meters of one area."""
    areas, area = await choose_area(source(), request.args.get("area"))
    given = request.args.to_dict()
    meters = await part_of(meters_table(source(), area.area))
    chosen = None if meters.value is None else choose(meters.value, asked_choice(given, meters.value), given)
    values = {"areas": areas, "area": area, "given": given, "away_meters": meters.away, "chosen": chosen}
    return await render_page("fleet/meters.html", **values, url=table_url(meters_table, area=area.area))


@pages.get("/meters/<meter>")
@requires(*READS_ALL)
async def show_meter(meter: str) -> str:
    """One meter on one day."""
    found = await part_of(_read(await find_meter(source(), meter)))
    return await render_page("fleet/meter.html", meter=meter, found=found, **(found.value or {}))


async def _read(meter: Meter) -> dict[str, Any]:
    area, as_of = await source().area(meter.area), await source().as_of()
    newest = newest_day(area, as_of.ledger_time_s)
    day = parse_day(area, text) if (text := request.args.get("day")) else newest
    before, after = neighbours(area, day, newest)
    gateway, _tz = await find_gateway(source(), meter.gateway)
    refused = await part_of(read_refusals(source(), gateway, [meter], area.tz))
    if refused.value is not None:
        own = [row for row in refused.value.rows if row[1] == meter.meter]
        refused = replace(refused, value=replace(refused.value, rows=own))
    date = None if day == newest else day.date
    return {
        "one": meter,
        "role_titles_of_meters": ROLE_TITLES,
        "area": area,
        "day": day,
        "before": before,
        "after": after,
        "gateway": gateway,
        "offset_ms": (await part_of(_offset_ms(meter, gateway.known.last_boundary_s))).value,
        "slots": await part_of(read_slots(source(), meter, area, day)),
        "values": await part_of(read_values(source(), meter, area, day)),
        "values_url": table_url(meter_values_table, meter=meter.meter, day=date),
        "slots_url": table_url(meter_slots_table, meter=meter.meter, day=date),
        "refused": refused,
        "correction_path": correction_path(
            meter.meter, min(day.end_s, as_of.ledger_time_s - as_of.ledger_time_s % area.slot_s)
        ),
        "refusals_url": f"/api/v1/gateways/{meter.gateway}/refusals",
    }


async def _offset_ms(meter: Meter, boundary_s: int | None) -> int | None:
    """How far from its gateway's newest boundary the meter was read, by what was observed beside the registers; None if nobody says."""
    if boundary_s is None:
        return None
    answer = await read_observations(source(), meter.gateway, boundary_s)
    offsets = [one["offset_ms"] for one in answer["observations"] if name_of(one) == meter.meter]
    return max(offsets, key=abs, default=None)
