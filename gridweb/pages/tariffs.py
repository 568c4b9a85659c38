"""``/tariffs``: what a kWh costs, and has cost, as people read it: each price of an area's rules with the time for which it holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from quart import Blueprint

from gridweb.access import EVERY_ROLE, READS_ALL, Viewer, check_party, requires
from gridweb.i18n import N_, _
from gridweb.pages import Entry
from gridweb.pages.components import held_of, household_components_table, spans, told
from gridweb.pages.households import cut
from gridweb.pages.registry import STATES, names_table, read_entries
from gridweb.points import find_point
from gridweb.site import source, viewer
from gridweb.source import AreaInfo, Part, Source, part_of
from gridweb.tables import Column, Table, serves_table, table_url
from gridweb.views import render_page

pages = Blueprint("tariffs", __name__)

NAVIGATION = (Entry("/tariffs", N_("Tariffs"), READS_ALL, 60, section="/runs"),)

COLUMNS: Final = (
    Column("price", N_("Price")),
    Column("price_micro_per_kwh", N_("Per kWh"), "price_micro"),
    Column("from_s", N_("Holds from"), "instant"),
    Column("until_s", N_("Until"), "instant"),
    Column("state", N_("State"), words=STATES),
    Column("series", N_("Varies by slot"), "name"),
)


@serves_table("/areas/<area>/tariff", *READS_ALL)
async def tariff_table(source: Source, area: str) -> Table:
    """The prices of an area's rules, each with every span in which it held, holds or will hold."""
    return await _read(source, await source.area(area))


@serves_table("/households/<party>/tariff", *EVERY_ROLE)
async def household_tariff_table(source: Source, viewer: Viewer, party: str) -> Table:
    """The prices of the rules of a party's area."""
    check_party(viewer, party)
    return await _read(source, (await find_point(source, party)).area)


async def _read(source: Source, area: AreaInfo) -> Table:
    entries = await read_entries(source, "rules", area.rules["id"])
    as_of = await source.as_of()
    return table_of_prices(area, entries, as_of.ledger_time_s, as_of.currency)


def table_of_prices(area: AreaInfo, entries: Sequence[Mapping[str, Any]], ledger_time_s: int, currency: str) -> Table:
    """Spans of equal price, by price in the contract's order; an entry that a later one corrected never held."""
    held = held_of(entries, ledger_time_s)
    known = list(area.contract.prices)
    keys = sorted(
        {key for entry, _from, _state in held for key in entry["value"]["prices"]},
        key=lambda key: (known.index(key) if key in known else len(known), key),
    )
    rows = [
        (key, price, from_s, until_s, state, series)
        for key in keys
        for (price, series), from_s, until_s, state in spans(
            [(_said(entry, key), begin_s, state) for entry, begin_s, state in held]
        )
    ]
    titles = {key: area.contract.price_title(key) for key in keys}
    return Table(
        f"{area.area}-tariff",
        (Column("price", N_("Price"), words=titles), *COLUMNS[1:]),
        rows,
        title=_("Prices of area %(area)s, rules %(rules)s", area=area.area, rules=area.rules["id"]),
        note=_(
            "Contract: %(contract)s. A price without an end holds until another one is registered.",
            contract=area.contract.contract_id,
        ),
        tz=area.tz,
        currency=currency,
    )


def _said(entry: Mapping[str, Any], key: str) -> tuple[int, str | None] | None:
    """The price of a key and its series, as an entry says it."""
    price = entry["value"]["prices"].get(key)
    return None if price is None else (price, (entry["value"].get("series") or {}).get(key))


@pages.get("/tariffs")
@requires(*READS_ALL)
async def show_tariffs() -> str:
    """Every area's prices; areas with the same rules share a table."""
    areas = {area.rules["id"]: area for area in reversed(await source().areas())}
    tables = [
        (await part_of(_read(source(), area)), table_url(tariff_table, area=area.area))
        for area in reversed(areas.values())
    ]
    names = await part_of(names_table(source(), "tariff"))
    if names.value is not None and names.value.rows:
        links = [f"/tariffs/{name}" for (name,) in names.value.rows]
        columns = (replace(names.value.columns[0], title=N_("Tariff")),)
        listed = replace(names.value, columns=columns, title=_("Charges by the month, by tariff"), links=links)
        tables.append((Part(cut(listed)), table_url(names_table, kind="tariff")))
    return await render_page("tariffs/tariffs.html", tables=tables, title=_("Tariffs"))


@pages.get("/households/<party>/tariff")
@requires(*EVERY_ROLE)
async def show_tariff(party: str) -> str:
    """The prices by which a party is billed, and what it is charged by the month beside them."""
    check_party(viewer(), party)
    prices = await part_of(household_tariff_table(source(), viewer(), party))
    charges = await part_of(household_components_table(source(), viewer(), party))
    tables = [
        (prices, table_url(household_tariff_table, party=party)),
        (Part(told(charges.value), charges.away), table_url(household_components_table, party=party)),
    ]
    return await render_page("tariffs/tariffs.html", tables=tables, title=_("My tariff"))
