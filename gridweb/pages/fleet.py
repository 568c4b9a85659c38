"""``/fleet``: every gateway for who keeps them running: silent, unsynchronised, what waits on it, its program, its key.

Two sources, told apart: what the ledger knows by signed batches, and what a gateway has reported to this node, which proves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from quart import Blueprint, request

from gridweb.access import READS_ALL, requires
from gridweb.choosing import asked_choice, choose
from gridweb.format import query_of
from gridweb.i18n import N_, _
from gridweb.pages.gateways import STATE_COLUMNS, Gateway, gateways_of
from gridweb.site import source
from gridweb.source import Part, Source, part_of
from gridweb.tables import Column, Table, serves_table, table_url
from gridweb.views import render_fragment, render_page

pages = Blueprint("fleet", __name__)

KNOWN_COLUMNS: Final = (
    *STATE_COLUMNS,
    Column(
        "clock",
        N_("Clock"),
        words={
            "synced": N_("synchronised"),
            "holdover": N_("holds over"),
            "unsynced": N_("not synchronised"),
            "simulated": N_("simulated"),
        },
    ),
    Column("clock_offset_ms", N_("Clock offset (ms)"), "count"),
    Column("refused_rows", N_("Refused rows"), "count"),
    Column("agent", N_("Program")),
    Column("profiles", N_("Profiles"), "digest"),
    Column("protection", N_("Key protection")),
    Column("organisation", N_("Organisation")),
)
REPORTED_COLUMNS: Final = (
    Column("gateway", N_("Gateway")),
    Column("reported_s", N_("Reported"), "instant"),
    Column("waiting_batches", N_("Waiting batches"), "count"),
    Column("waiting_age_s", N_("Oldest waits (s)"), "count"),
    Column("fill_percent", N_("Outbox full (%)"), "count"),
    Column("failing_meters", N_("Meters failing"), "count"),
    Column("alarms", N_("Alarms"), "count"),
)


@dataclass(frozen=True)
class FleetGateway:
    """A gateway: by the ledger, by its newest batch (None: none is there), and by its newest report to this node (None: none)."""

    known: Gateway
    newest: Mapping[str, Any] | None
    report: Mapping[str, Any] | None

    @property
    def is_unsynced(self) -> bool:
        """Whether its newest batch was taken by a clock that nothing disciplines."""
        return self.newest is not None and self.newest["clock_state"] == "unsynced"


@dataclass(frozen=True)
class Counts:
    """How many gateways there are, and of how many somebody should look at something."""

    gateways: int
    silent: int
    unsynced: int
    refused: int
    alarmed: int
    unreported: int


async def read_fleet(asked: Source) -> tuple[list[FleetGateway], str]:
    """All gateways, the silent ones first, and the zone in which times are shown. SourceAway."""
    as_of, areas = await asked.as_of(), await asked.areas()
    entries = [entry for page in await asked.pages("fleet") for entry in page["gateways"]]
    by_id = {entry["gateway"]: entry for entry in entries}
    known = gateways_of(entries, areas, as_of.ledger_time_s)
    fleet = [FleetGateway(one, by_id[one.gateway]["newest"], by_id[one.gateway]["report"]) for one in known]
    return fleet, areas[0].tz if areas else "UTC"


def counts_of(fleet: Sequence[FleetGateway]) -> Counts:
    """The figures above the table."""
    return Counts(
        gateways=len(fleet),
        silent=sum(one.known.is_silent for one in fleet),
        unsynced=sum(one.is_unsynced for one in fleet),
        refused=sum(one.newest is not None and one.newest["refused_rows"] > 0 for one in fleet),
        alarmed=sum(one.report is not None and one.report["alarms"] > 0 for one in fleet),
        unreported=sum(one.report is None for one in fleet),
    )


@serves_table("/fleet", *READS_ALL)
async def known_table(source: Source) -> Table:
    """Every gateway by what the ledger knows: registry and newest signed batch."""
    return table_of_known(*await read_fleet(source))


@serves_table("/fleet/reports", *READS_ALL)
async def reports_table(source: Source) -> Table:
    """Every gateway by its own newest report to this node, which proves nothing."""
    return table_of_reports(*await read_fleet(source))


def table_of_known(fleet: Sequence[FleetGateway], tz: str) -> Table:
    """What the ledger knows; where no batch is there, no value."""
    rows = []
    for one in fleet:
        newest = one.newest or {}
        rows.append(
            (
                one.known.gateway,
                one.known.state,
                one.known.silent_since_s,
                one.known.last_boundary_s,
                newest.get("clock_state"),
                newest.get("clock_offset_ms"),
                newest.get("refused_rows"),
                newest.get("agent"),
                newest.get("profiles"),
                one.known.protection,
                one.known.organisation,
            )
        )
    title = _("By the ledger: registry and newest signed batch")
    return Table("fleet", KNOWN_COLUMNS, rows, title=title, links=paths_of(fleet), tz=tz)


def paths_of(fleet: Sequence[FleetGateway]) -> list[str]:
    """The pages of gateways."""
    return [f"/gateways/{one.known.gateway}" for one in fleet]


def table_of_reports(fleet: Sequence[FleetGateway], tz: str) -> Table:
    """What gateways say of themselves; what nobody has told is no value, never 0."""
    keys = ("received_s", "batches", "age_s", "fill_percent", "failing", "alarms")
    rows = [(one.known.gateway, *((one.report or {}).get(key) for key in keys)) for one in fleet]
    title, note = (
        _("By their own reports to this node"),
        _("A report proves nothing, and is forgotten when the node is started anew."),
    )
    return Table("fleet-reports", REPORTED_COLUMNS, rows, title=title, note=note, links=paths_of(fleet), tz=tz)


@pages.get("/fleet")
@requires(*READS_ALL)
async def show_fleet() -> str:
    """The page."""
    return await render_page("fleet/fleet.html", **await _read())


@pages.get("/fleet/part")
@requires(*READS_ALL)
async def show_part() -> str:
    """The content of the page by itself."""
    return await render_fragment("fleet/part.html", **await _read())


async def _read() -> dict[str, Any]:
    found: Part[tuple[list[FleetGateway], str]] = await part_of(read_fleet(source()))
    given = request.args.to_dict()
    values: dict[str, Any] = {
        "away_part": found.away,
        "counts": None,
        "tables": (),
        "given": given,
        "query": query_of(given),
    }
    if found.value is not None:
        gateways, tz = found.value
        tables = (table_of_known(gateways, tz), table_of_reports(gateways, tz))
        chosen = [choose(table, asked_choice(given, table), given) for table in tables]
        urls = (table_url(known_table), table_url(reports_table))
        values |= {"counts": counts_of(gateways), "tables": list(zip(chosen, urls, strict=True))}
    return values
