"""``/certificates``: green certificates of an area, their months and the energy that is carried on; a household has its own.

The node counts them from the runs that the ledger keeps. That one was used up is not on the ledger, and no page says it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from quart import Blueprint, request

from gridweb.access import EVERY_ROLE, READS_ALL, Viewer, check_party, requires
from gridweb.i18n import N_, _
from gridweb.pages import Entry
from gridweb.pages.scope import choose_area
from gridweb.points import find_point
from gridweb.site import source, viewer
from gridweb.source import AreaInfo, Source, SourceMissing, part_of
from gridweb.tables import Column, Table, serves_table, table_url
from gridweb.views import render_page

pages = Blueprint("certificates", __name__)

NAVIGATION = (Entry("/certificates", N_("Green certificates"), READS_ALL, 70, section="/runs"),)

STATE_WORDS: Final = {"valid": N_("valid"), "expired": N_("expired"), "cancelled": N_("cancelled")}
PARTY: Final = Column("party", N_("Party"))
COLUMNS: Final = (
    Column("certificate", N_("Certificate number"), "name"),
    Column("state", N_("State"), words=STATE_WORDS),
    Column("month", N_("Month of delivery"), "month"),
    Column("issued", N_("Issued in"), "month"),
    Column("cancelled", N_("Cancelled in"), "month"),
    Column("valid_through", N_("Valid through"), "month"),
    Column("energy_wh", N_("Energy"), "energy_wh"),
    Column("points", N_("Points"), "count"),
    Column("slots", N_("Slots"), "count"),
    Column("first_slot_s", N_("First slot"), "slot"),
    Column("last_slot_s", N_("Last slot"), "slot"),
)
MONTH_COLUMNS: Final = (
    Column("known", N_("Known in"), "month"),
    Column("month", N_("Month of delivery"), "month"),
    Column("energy_wh", N_("Energy given"), "energy_wh"),
    Column("issued", N_("Issued"), "count"),
    Column("cancelled", N_("Cancelled"), "count"),
    Column("carry_wh", N_("Carried on"), "energy_wh"),
)

Answer = Mapping[str, Any]
NOTHING: Final[Answer] = {"months": (), "certificates": ()}


@serves_table("/areas/<area>/certificates", *READS_ALL)
async def area_certificates_table(source: Source, area: str) -> Table:
    """Every certificate of an area by party and number: 1 MWh that points of renewable kinds of energy have given."""
    info = await source.area(area)
    title = _("Green certificates of area %(area)s", area=area)
    return _certificates(f"{area}-certificates", title, (PARTY, *COLUMNS), info, await _read(source, info))


@serves_table("/areas/<area>/certificates/months", *READS_ALL)
async def area_certificate_months_table(source: Source, area: str) -> Table:
    """What became known of each party in each month: energy given, certificates issued and cancelled, energy carried on."""
    info = await source.area(area)
    title = _("Months of green certificates, area %(area)s", area=area)
    return _months(f"{area}-certificate-months", title, (PARTY, *MONTH_COLUMNS), info, await _read(source, info))


@serves_table("/households/<party>/certificates", *EVERY_ROLE)
async def certificates_table(source: Source, viewer: Viewer, party: str) -> Table:
    """The certificates of a party by number."""
    check_party(viewer, party)
    info = (await find_point(source, party)).area
    title = _("Green certificates of %(party)s", party=party)
    return _certificates(f"{party}-certificates", title, COLUMNS, info, await _read(source, info, party))


@serves_table("/households/<party>/certificates/months", *EVERY_ROLE)
async def certificate_months_table(source: Source, viewer: Viewer, party: str) -> Table:
    """What became known of a party in each month: energy given, certificates issued and cancelled, energy carried on."""
    check_party(viewer, party)
    info = (await find_point(source, party)).area
    title = _("Months of green certificates, party %(party)s", party=party)
    return _months(f"{party}-certificate-months", title, MONTH_COLUMNS, info, await _read(source, info, party))


async def _read(source: Source, area: AreaInfo, party: str | None = None) -> Answer:
    """What the node says of an area or of one party; nothing where it counts none."""
    of = {} if party is None else {"party": party}
    try:
        answer: Answer = await source.cached(f"areas/{area.area}/certificates", **of)
    except SourceMissing:
        return NOTHING
    return answer


def _certificates(name: str, title: str, columns: tuple[Column, ...], area: AreaInfo, answer: Answer) -> Table:
    rows = [tuple(one[column.key] or None for column in columns) for one in answer["certificates"]]
    note = _(
        "Each stands for 1 MWh of energy of renewable kinds, and is valid for two years behind its month. The number is never given again."
    )
    links = [f"/households/{one['party']}/certificates" for one in answer["certificates"]] if PARTY in columns else ()
    return Table(name, columns, rows, title=title, note=note, links=links, tz=area.tz)


def _months(name: str, title: str, columns: tuple[Column, ...], area: AreaInfo, answer: Answer) -> Table:
    rows = [tuple(one[column.key] for column in columns) for one in answer["months"]]
    summed = {"energy_wh", "issued", "cancelled"}
    totals = [sum(one[column.key] for one in answer["months"]) if column.key in summed else None for column in columns]
    note = _(
        "What is less than 1 MWh is carried on. A correction takes from what is carried first, then cancels certificates."
    )
    return Table(name, columns, rows, title=title, note=note, totals=totals if rows else None, tz=area.tz)


def standing(certificates: Table) -> int:
    """How many certificates of a table are valid."""
    at = [column.key for column in certificates.columns].index("state")
    return sum(row[at] == "valid" for row in certificates.rows)


@pages.get("/certificates")
@requires(*READS_ALL)
async def show_area_certificates() -> str:
    """One area's certificates."""
    areas, area = await choose_area(source(), request.args.get("area"))
    table = await part_of(area_certificates_table(source(), area.area))
    return await render_page(
        "certificates/area.html",
        areas=areas,
        area=area,
        table=table,
        url=table_url(area_certificates_table, area=area.area),
        valid=standing(table.value) if table.value else 0,
        months=await part_of(area_certificate_months_table(source(), area.area)),
        months_url=table_url(area_certificate_months_table, area=area.area),
    )


@pages.get("/households/<party>/certificates")
@requires(*EVERY_ROLE)
async def show_certificates(party: str) -> str:
    """A party's certificates."""
    check_party(viewer(), party)
    table = await part_of(certificates_table(source(), viewer(), party))
    return await render_page(
        "certificates/household.html",
        party=party,
        point=await find_point(source(), party),
        table=table,
        url=table_url(certificates_table, party=party),
        valid=standing(table.value) if table.value else 0,
        months=await part_of(certificate_months_table(source(), viewer(), party)),
        months_url=table_url(certificate_months_table, party=party),
    )
