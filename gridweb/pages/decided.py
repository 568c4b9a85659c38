"""``/consortium/contracts``: what organisations have decided: contracts, versions of the rules, permissions, thresholds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from quart import Blueprint

from gridweb.access import READS_ALL, requires
from gridweb.governance_words import THRESHOLD_TITLES, role_words
from gridweb.i18n import N_, _
from gridweb.pages.block import KIND_TITLES
from gridweb.site import source
from gridweb.source import Source, part_of
from gridweb.tables import Column, Table, serves_table, table_url
from gridweb.views import render_page

pages = Blueprint("decided", __name__)

YES_NO: Final = {"yes": N_("yes"), "no": N_("no")}
CONTRACT_COLUMNS: Final = (
    Column("contract", N_("Contract")),
    Column("pin", N_("Pin of its code"), "digest"),
    Column("from_height", N_("From block"), "count"),
    Column("active", N_("In force"), words=YES_NO),
    Column("installed", N_("This node has it"), words=YES_NO),
    Column("zones", N_("Zones that use it now")),
    Column("areas", N_("Areas"), "count"),
)
VERSION_COLUMNS: Final = (
    Column("version", N_("Version"), "count"),
    Column("from_height", N_("From block"), "count"),
    Column("active", N_("In force"), words=YES_NO),
)
PERMISSION_COLUMNS: Final = (
    Column("kind", N_("Kind of transaction"), words=KIND_TITLES),
    Column("roles", N_("Who may send it")),
    Column("voted", N_("Changed by votes"), words=YES_NO),
)


@serves_table("/consortium/contracts", *READS_ALL)
async def contracts_table(source: Source) -> Table:
    """Every contract that was approved, and the zones that use it."""
    areas = (await source.cached("areas"))["areas"]
    rows = []
    for one in (await source.cached("contracts"))["contracts"]:
        using = [area for area in areas if area["contract"] == one["contract"]]
        zones = ", ".join(sorted({area["zone"] for area in using}))
        facts = ["yes" if one[name] else "no" for name in ("active", "installed")]
        rows.append((one["contract"], one["pin"], one["height"], *facts, zones or None, len(using)))
    return Table("contracts", CONTRACT_COLUMNS, rows, title=_("Approved contracts"))


@serves_table("/consortium/versions", *READS_ALL)
async def versions_table(source: Source) -> Table:
    """Every version of the ledger's rules that was decided."""
    answer = await source.cached("protocol")
    rows = [
        (one["version"], one["height"], "yes" if one["version"] == answer["version"] else "no")
        for one in answer["activations"]
    ]
    return Table("versions", VERSION_COLUMNS, rows, title=_("Versions of the ledger's rules"))


@serves_table("/consortium/permissions", *READS_ALL)
async def permissions_table(source: Source) -> Table:
    """Which roles may send each kind of transaction."""
    found = (await source.cached("permissions"))["permissions"]
    rows = [(one["kind"], ", ".join(one["roles"]), "yes" if one["roles"] != one["usual"] else "no") for one in found]
    words = {", ".join(one["roles"]): role_words(one["roles"]) for one in found}
    columns = [replace(column, words=words) if column.key == "roles" else column for column in PERMISSION_COLUMNS]
    return Table("permissions", tuple(columns), rows, title=_("Permissions"))


@pages.get("/consortium/contracts")
@requires(*READS_ALL)
async def show_decided() -> str:
    """The page."""
    tables: dict[str, Any] = {
        "contracts": (await part_of(contracts_table(source())), table_url(contracts_table)),
        "versions": (await part_of(versions_table(source())), table_url(versions_table)),
        "permissions": (await part_of(permissions_table(source())), table_url(permissions_table)),
    }
    thresholds = await part_of(source().cached("permissions"))
    return await render_page(
        "consortium/decided.html", tables=tables, thresholds=thresholds, threshold_titles=THRESHOLD_TITLES
    )
