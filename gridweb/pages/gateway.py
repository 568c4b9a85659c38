"""``/gateways/<gateway>``: one gateway for whoever is called to it: when it was heard last, its clock, what it refused and what waits on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from quart import Blueprint, request

from gridweb.access import READS_ALL, requires
from gridweb.choosing import asked_choice, choose
from gridweb.format import query_of
from gridweb.i18n import N_, _
from gridweb.pages.fleet import (
    KNOWN_COLUMNS,
    REPORTED_COLUMNS,
    FleetGateway,
    read_fleet,
    table_of_known,
    table_of_reports,
)
from gridweb.pages.meters import ROLE_TITLES, Meter, read_meters
from gridweb.pages.stakes import EXCEPTION_PAGES_MAX, refused_rows
from gridweb.pages.troubles import REASONS, REMEDIES, reason_of
from gridweb.site import source
from gridweb.source import Source, SourceMissing, part_of
from gridweb.tables import Column, Table, serves_table, table_url
from gridweb.views import render_fragment, render_page

pages = Blueprint("gateway", __name__)

BATCHES_A_PAGE: Final = 20_000
"""Batches with refused rows in one answer of the node, at most."""
METER_COLUMNS: Final = (
    Column("meter", N_("Meter")),
    Column("area", N_("Area")),
    Column("role", N_("Role"), words=ROLE_TITLES),
    Column("party", N_("Party")),
    Column("limit_wh", N_("Limit of a slot"), "energy_wh"),
)
REFUSAL_COLUMNS: Final = (
    Column("boundary_s", N_("Boundary"), "instant"),
    Column("meter", N_("Meter")),
    Column("reason", N_("Reason"), words=REASONS),
    Column("to_do", N_("What to do"), words=REMEDIES),
    Column("rows", N_("Rows"), "count"),
    Column("counter", N_("Batch counter"), "count"),
)


async def find_gateway(source: Source, gateway: str) -> tuple[FleetGateway, str]:
    """A gateway and the zone in which its times are shown. SourceAway; SourceMissing where there is none of this id."""
    fleet, tz = await read_fleet(source)
    for one in fleet:
        if one.known.gateway == gateway:
            return one, tz
    raise SourceMissing(f"no gateway {gateway!r} on this chain")


async def meters_of(source: Source, gateway: FleetGateway) -> list[Meter]:
    """The meters that a gateway reads, by area. SourceAway."""
    found: list[Meter] = []
    for area in gateway.known.areas:
        found += [meter for meter in await read_meters(source, area) if meter.gateway == gateway.known.gateway]
    return found


@serves_table("/gateways/<gateway>/meters", *READS_ALL)
async def gateway_meters_table(source: Source, gateway: str) -> Table:
    """The meters that a gateway reads."""
    one, _tz = await find_gateway(source, gateway)
    return table_of_meters(await meters_of(source, one), "gateway-meters")


def table_of_meters(meters: Sequence[Meter], name: str) -> Table:
    """Meters as a table, each leading to its own page."""
    rows = [(one.meter, one.area, one.role, one.party, one.limit_wh) for one in meters]
    return Table(name, METER_COLUMNS, rows, title=_("Meters"), links=[f"/meters/{one.meter}" for one in meters])


@serves_table("/gateways/<gateway>/refusals", *READS_ALL)
async def gateway_refusals_table(source: Source, gateway: str) -> Table:
    """Rows of a gateway's batches that the ledger did not use, why, and what to do about it, the newest first."""
    one, tz = await find_gateway(source, gateway)
    return await read_refusals(source, one, await meters_of(source, one), tz)


async def read_refusals(source: Source, gateway: FleetGateway, meters: Sequence[Meter], tz: str) -> Table:
    """The refused rows of a gateway, of the batches of EXCEPTION_PAGES_MAX pages. SourceAway."""
    rows_max = (EXCEPTION_PAGES_MAX - 1) * BATCHES_A_PAGE
    found = await source.pages("exceptions", rows_max=rows_max, gateway=gateway.known.gateway)
    batches = [batch for page in found for batch in page["exceptions"]]
    return table_of_refusals(batches, {meter.number: meter for meter in meters}, tz)


def table_of_refusals(batches: Sequence[Mapping[str, Any]], meters: Mapping[int, Meter], tz: str) -> Table:
    """Refused rows as a table, the newest first: one for each meter, boundary and reason."""
    troubles = sorted(refused_rows(batches, meters), key=lambda one: (-one.at_s, one.meter))
    rows = [(one.at_s, one.meter, reason_of(one), reason_of(one), one.rows, one.counter) for one in troubles]
    return Table("refusals", REFUSAL_COLUMNS, rows, title=_("Rows that the ledger did not use"), tz=tz)


async def _read(gateway: str) -> dict[str, Any]:
    found = await part_of(find_gateway(source(), gateway))
    given = request.args.to_dict()
    values: dict[str, Any] = {"gateway": gateway, "found": found, "given": given, "query": query_of(given)}
    if found.value is None:
        return values
    one, tz = found.value
    known, reported = table_of_known([one], tz), table_of_reports([one], tz)
    meters = await meters_of(source(), one)
    read = table_of_meters(meters, "gateway-meters")
    refused = await part_of(read_refusals(source(), one, meters, tz))
    return {
        **values,
        "one": one,
        "known": list(zip(KNOWN_COLUMNS, known.rows[0], strict=True))[1:],
        "reported": list(zip(REPORTED_COLUMNS, reported.rows[0], strict=True))[1:] if one.report else [],
        "tz": tz,
        "refused": refused,
        "refusals": None if refused.value is None else choose(refused.value, asked_choice(given, refused.value), given),
        "refusals_url": table_url(gateway_refusals_table, gateway=gateway),
        "meters": choose(read, asked_choice(given, read), given),
        "meters_url": table_url(gateway_meters_table, gateway=gateway),
    }


@pages.get("/gateways/<gateway>")
@requires(*READS_ALL)
async def show_gateway(gateway: str) -> str:
    """The page."""
    return await render_page("fleet/gateway.html", **await _read(gateway))


@pages.get("/gateways/<gateway>/part")
@requires(*READS_ALL)
async def show_gateway_part(gateway: str) -> str:
    """The content of the page by itself."""
    return await render_fragment("fleet/gateway-part.html", **await _read(gateway))
