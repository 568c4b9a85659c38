"""``/runs``: the settlement runs of a day: which slots were corrected, when, and by how much the money changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from quart import Blueprint, request

from gridcore.registry.run_calendar import PPM
from gridcore.run_names import CORRECTION, DISPUTE, FINAL, INITIAL
from gridweb.access import READS_ALL, requires
from gridweb.i18n import N_, _
from gridweb.pages import Entry
from gridweb.pages.scope import choose_area
from gridweb.points import Day, neighbours, newest_day, parse_day
from gridweb.site import source
from gridweb.source import AreaInfo, Source, part_of
from gridweb.tables import Column, Table, serves_table, table_url
from gridweb.views import render_page

pages = Blueprint("runs", __name__)
NAVIGATION = (
    Entry("/runs", N_("Settlement"), READS_ALL, 33),
    Entry("/runs", N_("Runs"), READS_ALL, 10, section="/runs"),
)

SUMMED: Final = frozenset({"runs", "estimated_first", "estimated_last", "first_nano", "last_nano", "difference_nano"})
CHANGED: Final = "changed"
"""The next run of a slot of which something has changed that waits for it."""
NEXT_RUN_TITLES: Final = {
    CHANGED: N_("settled again: something has changed"),
    INITIAL: N_("initial run"),
    CORRECTION: N_("correction, if something changes"),
    FINAL: N_("final run"),
    DISPUTE: N_("dispute run, if a change is material"),
}
COLUMNS: Final = (
    Column("slot_start_s", N_("Slot"), "slot"),
    Column("runs", N_("Runs"), "count"),
    Column("last_run", N_("Last run"), "run"),
    Column("height", N_("Block"), "count"),
    Column("due_s", N_("Was due"), "instant"),
    Column("measured_ppm", N_("Measured now"), "share"),
    Column("estimated_first", N_("Estimated at first"), "count"),
    Column("estimated_last", N_("Estimated now"), "count"),
    Column("first_nano", N_("Initial run"), "amount_nano"),
    Column("last_nano", N_("Last run"), "amount_nano"),
    Column("difference_nano", N_("Difference posted"), "amount_nano"),
    Column("next_run", N_("Next run"), words=NEXT_RUN_TITLES),
    Column("next_due_s", N_("Falls due"), "instant"),
)
IMMATERIAL_COLUMNS: Final = (
    Column("slot_start_s", N_("Slot"), "slot"),
    Column("change_nano", N_("Change not posted"), "amount_nano"),
    Column("time_s", N_("Found at"), "instant"),
)


@serves_table("/areas/<area>/runs", *READS_ALL)
async def runs_table(source: Source, area: str, *, day: str | None = None) -> Table:
    """The settled slots of an area's local day: their runs, and what the parties pay in the first and in the last one."""
    info = await source.area(area)
    chosen = await _choose(source, info, day)
    return table_of_runs(info, chosen, (await _read(source, info, chosen))["slots"], (await source.as_of()).currency)


def table_of_runs(area: AreaInfo, day: Day, slots: Sequence[Mapping[str, Any]], currency: str) -> Table:
    """Slots as rows. The difference is what all later runs have posted: the last run less the first."""
    rows, keys = [_row(slot) for slot in slots], [column.key for column in COLUMNS]
    sums = {key: sum(row[place] for row in rows) for place, key in enumerate(keys) if key in SUMMED}
    return Table(
        f"{area.area}-runs-{day.date}",
        COLUMNS,
        rows,
        title=_("Settlement runs of %(day)s, area %(area)s", day=day.date, area=area.area),
        links=[f"/slots/{area.area}/{row[0]}" for row in rows],
        totals=tuple(sums.get(key) for key in keys) if rows else None,
        tz=area.tz,
        currency=currency,
    )


def _row(slot: Mapping[str, Any]) -> tuple[Any, ...]:
    first, last = slot["runs"][0], slot["runs"][-1]
    coming = slot["next_run"] or {}
    money = (first["pays_nano"], last["pays_nano"], last["pays_nano"] - first["pays_nano"])
    return (
        slot["slot_start_s"],
        len(slot["runs"]),
        last["run"],
        last["height"],
        last["due_s"],
        last["measured"] * PPM // max(last["rows"], 1),
        first["estimated"],
        last["estimated"],
        *money,
        CHANGED if coming.get("has_changed") else coming.get("run_type"),
        coming.get("due_s"),
    )


def table_of_immaterial(area: AreaInfo, day: Day, changes: Sequence[Mapping[str, Any]], currency: str) -> Table:
    """Dispute runs of a day that were not made: what changed after the final run was below what the area's runs take as material."""
    return Table(
        f"{area.area}-immaterial-{day.date}",
        IMMATERIAL_COLUMNS,
        [(change["slot_start_s"], change["change_nano"], change["time_s"]) for change in changes],
        title=_("Changes after the final run that are not material: no dispute run was made"),
        links=[f"/slots/{area.area}/{change['slot_start_s']}" for change in changes],
        tz=area.tz,
        currency=currency,
    )


@serves_table("/areas/<area>/runs/immaterial", *READS_ALL)
async def immaterial_table(source: Source, area: str, *, day: str | None = None) -> Table:
    """Dispute runs of an area's local day that were not made."""
    info = await source.area(area)
    chosen = await _choose(source, info, day)
    changes = (await _read(source, info, chosen))["immaterial"]
    return table_of_immaterial(info, chosen, changes, (await source.as_of()).currency)


async def _choose(source: Source, area: AreaInfo, day: str | None) -> Day:
    return parse_day(area, day) if day else newest_day(area, (await source.as_of()).ledger_time_s)


async def _read(source: Source, area: AreaInfo, day: Day) -> Mapping[str, Any]:
    answer: Mapping[str, Any] = await source.cached(f"areas/{area.area}/days/{day.start_s}/runs")
    return answer


@pages.get("/runs")
@requires(*READS_ALL)
async def show_runs() -> str:
    """The runs of one area's day."""
    areas, area = await choose_area(source(), request.args.get("area"))
    newest = newest_day(area, (await source().as_of()).ledger_time_s)
    day = await _choose(source(), area, request.args.get("day"))
    before, after = neighbours(area, day, newest)
    answer = await part_of(_read(source(), area, day))
    slots = answer.value["slots"] if answer.value else []
    corrected = [slot for slot in slots if len(slot["runs"]) > 1]
    currency = (await source().as_of()).currency
    table = table_of_runs(area, day, slots, currency)
    return await render_page(
        "runs/runs.html",
        area=area,
        areas=areas,
        day=day,
        before=before,
        after=after,
        answer=answer,
        settled=len(slots),
        corrected=len(corrected),
        waiting=sum((slot["next_run"] or {}).get("has_changed", False) for slot in slots),
        estimated=sum(slot["runs"][-1]["estimated"] for slot in slots),
        difference_nano=sum(slot["runs"][-1]["pays_nano"] - slot["runs"][0]["pays_nano"] for slot in slots),
        currency=currency,
        table=table,
        table_url=table_url(runs_table, area=area.area, day=day.date),
        calendar=area.rules.get("run_calendar"),
        immaterial=table_of_immaterial(area, day, answer.value["immaterial"] if answer.value else [], currency),
        immaterial_url=table_url(immaterial_table, area=area.area, day=day.date),
    )
