"""``/registry``: every entity of the registry, what is in force of it now, and how it came to be so."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from quart import Blueprint, request

from gridcore.registry.entities import ENTITIES
from gridcore.serving.problems import Problem
from gridweb.access import READS_ALL, requires
from gridweb.choosing import asked_choice, choose
from gridweb.i18n import N_, _, translate
from gridweb.pages import Entry
from gridweb.pages.households import cut
from gridweb.site import source
from gridweb.source import Source, part_of
from gridweb.tables import TABLE_ROWS_MAX, Column, Table, serves_table, table_url
from gridweb.views import render_page, site_zone

TEXT_SHOWN_MAX: Final = 120
"""Characters of a value on a page; CSV and JSON have all of it."""

KIND_TITLES: Final[Mapping[str, str]] = {
    "organisation": N_("Organisations"),
    "calendar": N_("Calendars"),
    "signer": N_("Signers"),
    "gateway": N_("Gateways"),
    "zone": N_("Zones"),
    "area": N_("Areas"),
    "rules": N_("Rules"),
    "price_series": N_("Price series"),
    "tariff": N_("Tariffs"),
    "party": N_("Parties"),
    "standing_profile": N_("Standing profiles"),
    "point": N_("Points"),
    "installation": N_("Installations"),
    "agreement": N_("Agreements"),
    "key_policy": N_("Key policy"),
    "balance_terms": N_("Terms of areas' balances"),
    "grid_connection": N_("Connections to the grid"),
    "reactive_energy": N_("Reactive energies"),
}
STATES: Final = {
    "future": N_("from then on"),
    "in_force": N_("in force"),
    "past": N_("past"),
    "corrected": N_("corrected"),
}

pages = Blueprint("registry", __name__)

NAVIGATION = (Entry("/registry", N_("Registry"), READS_ALL, 50),)

KIND_COLUMNS: Final = (Column("kind", N_("Kind"), words=KIND_TITLES), Column("entities", N_("Entities"), "count"))
NAME_COLUMNS: Final = (Column("name", N_("Entity")),)
HISTORY_COLUMNS: Final = (
    Column("recorded_height", N_("Recorded in block"), "count"),
    Column("from_s", N_("Counts from"), "instant"),
    Column("state", N_("State"), words=STATES),
    Column("field", N_("Field")),
    Column("before", N_("Before")),
    Column("value", N_("Value")),
)
PENDING_COLUMNS: Final = (
    Column("transaction", N_("Transaction"), "digest"),
    Column("state", N_("State"), words={"waits": N_("waits for approval"), "over": N_("time is over")}),
    Column("valid_until_s", N_("Waits until"), "instant"),
    Column("organisation", N_("Organisation")),
    Column("approved_by", N_("Approved by")),
    Column("entity", N_("Entity")),
    Column("from_s", N_("Counts from"), "instant"),
    Column("value", N_("Value")),
)


@serves_table("/registry", *READS_ALL)
async def registry_table(source: Source) -> Table:
    """The kinds of entities, and how many there are of each; no number where they do not fit one page of the node's answer."""
    first_pages = [await source.cached(f"registry/{kind}") for kind in ENTITIES]
    rows = [(page["kind"], len(page["names"]) if page["next"] is None else None) for page in first_pages]
    links = [f"/registry/{kind}" for kind in ENTITIES]
    return Table("registry", KIND_COLUMNS, rows, title=_("Kinds of entities"), links=links)


@serves_table("/registry/<kind>", *READS_ALL)
async def names_table(source: Source, kind: str, *, contains: str = "") -> Table:
    """The names of the entities of a kind that contain a text, in the order in which they were recorded first."""
    _check_kind(kind)
    found = await source.pages(f"registry/{kind}", rows_max=TABLE_ROWS_MAX)
    names = [name for page in found for name in page["names"] if contains in name][:TABLE_ROWS_MAX]
    links = [f"/registry/{kind}/{name}" for name in names]
    return Table("names", NAME_COLUMNS, [(name,) for name in names], title=translate(KIND_TITLES[kind]), links=links)


@serves_table("/registry/<kind>/<name>", *READS_ALL)
async def history_table(source: Source, kind: str, name: str) -> Table:
    """What each entry of an entity changed against the entry before it, the latest first; entries of the future are marked."""
    entries = await read_entries(source, kind, name)
    return table_of_history(entries, (await source.as_of()).ledger_time_s, await site_zone(source))


@serves_table("/registry/pending", *READS_ALL)
async def pending_table(source: Source) -> Table:
    """The rows that wait for other organisations' approval, with those whose time is over."""
    ledger_time_s = (await source.as_of()).ledger_time_s
    rows = [
        (
            one["transaction"],
            "waits" if ledger_time_s <= one["valid_until_s"] else "over",
            one["valid_until_s"],
            one["organisation"],
            ", ".join(one["approved_by"]),
            row["key"],
            row["from_s"],
            ", ".join(f"{name} {text}" for name, text in _fields(row["value"])),
        )
        for one in (await source.cached("registry/pending"))["pending"]
        for row in one["rows"]
    ]
    title = _("Registrations that wait for approval")
    return Table("pending", PENDING_COLUMNS, rows, title=title, tz=await site_zone(source))


async def read_entries(source: Source, kind: str, name: str) -> Sequence[Mapping[str, Any]]:
    """The entries of an entity that are not folded, oldest first. SourceAway; SourceMissing where there is none of this name."""
    _check_kind(kind)
    if not ENTITIES[kind].name_form.holds(name):
        raise Problem("not-found", f"no {kind} has such a name")
    entries: Sequence[Mapping[str, Any]] = (await source.cached(f"registry/{kind}/{name}"))["entries"]
    return entries


def table_of_history(entries: Sequence[Mapping[str, Any]], ledger_time_s: int, tz: str) -> Table:
    """Entries as a table: a row for each field that is another one than in the entry before."""
    rows: list[tuple[Any, ...]] = []
    before: dict[str, str] = {}
    for entry, state in zip(entries, states_of(entries, ledger_time_s), strict=True):
        after = dict(_fields(entry["value"]))
        changed = [name for name in sorted(before | after) if before.get(name) != after.get(name)]
        facts = (entry["recorded_height"], entry["from_s"], state)
        rows = [*((*facts, name, before.get(name), after.get(name)) for name in changed), *rows]
        before = after
    links = [f"/blocks/{row[0]}" if row[0] else None for row in rows]
    return Table("history", HISTORY_COLUMNS, rows, title=_("History"), links=links, tz=tz)


def states_of(entries: Sequence[Mapping[str, Any]], ledger_time_s: int) -> list[str]:
    """A key of ``STATES`` for each entry: the last one that counts from now or earlier is in force."""
    current = sum(entry["from_s"] <= ledger_time_s for entry in entries) - 1
    states = []
    for at, entry in enumerate(entries):
        is_corrected = at + 1 < len(entries) and entries[at + 1]["from_s"] == entry["from_s"]
        state = "future" if at > current else "in_force" if at == current else "past"
        states.append("corrected" if is_corrected else state)
    return states


def in_force(entries: Sequence[Mapping[str, Any]], ledger_time_s: int) -> dict[str, str]:
    """The fields of the entry that is in force now; none before the first one counts."""
    states = states_of(entries, ledger_time_s)
    found = (entry for entry, state in zip(entries, states, strict=True) if state == "in_force")
    return {name: _short(text) for entry in found for name, text in _fields(entry["value"])}


def _fields(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Fields by name, those of a map within as ``prices.levy``; what is no text is written as JSON."""
    for name, item in sorted(value.items()):
        if isinstance(item, Mapping):
            yield from _fields(item, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", item if isinstance(item, str) else json.dumps(item)


def _short(text: str) -> str:
    return text if len(text) <= TEXT_SHOWN_MAX else f"{text[:TEXT_SHOWN_MAX]} …"


def _shortened(table: Table) -> Table:
    """The table with long values cut, as a page bears them."""
    return replace(
        table, rows=[[_short(cell) if isinstance(cell, str) else cell for cell in row] for row in table.rows]
    )


def _check_kind(kind: str) -> None:
    if kind not in ENTITIES:
        raise Problem("not-found", f"no kind of entity is called so; there are {', '.join(ENTITIES)}")


@pages.get("/registry")
@requires(*READS_ALL)
async def show_registry() -> str:
    """The kinds, and what waits for approval, if anything does."""
    kinds = await part_of(registry_table(source()))
    pending = await part_of(pending_table(source()))
    values = {"kinds": kinds, "pending": None if pending.value is None else cut(_shortened(pending.value))}
    return await render_page(
        "registry/registry.html", **values, url=table_url(registry_table), pending_url=table_url(pending_table)
    )


@pages.get("/registry/<kind>")
@requires(*READS_ALL)
async def show_kind(kind: str) -> str:
    """The names of a kind, all or those that contain ``?contains=``."""
    _check_kind(kind)
    given = request.args.to_dict()
    contains = given.get("contains", "")
    names = await part_of(names_table(source(), kind))
    chosen = None if names.value is None else choose(names.value, asked_choice(given, names.value), given)
    values = {"title": translate(KIND_TITLES[kind]), "kind": kind, "given": given, "names": names, "chosen": chosen}
    return await render_page(
        "registry/kind.html", **values, url=table_url(names_table, kind=kind, contains=contains or None)
    )


@pages.get("/registry/<kind>/<name>")
@requires(*READS_ALL)
async def show_entity(kind: str, name: str) -> str:
    """An entity: what is in force, and its history."""
    entries = await part_of(read_entries(source(), kind, name))
    values: dict[str, Any] = {"title": translate(KIND_TITLES[kind]), "kind": kind, "name": name, "entries": entries}
    if entries.value is not None:
        as_of = await source().as_of()
        history = table_of_history(entries.value, as_of.ledger_time_s, await site_zone(source()))
        values |= {
            "as_of": as_of,
            "fields": in_force(entries.value, as_of.ledger_time_s),
            "history": cut(_shortened(history)),
            "history_url": table_url(history_table, kind=kind, name=name),
        }
    return await render_page("registry/entity.html", **values)
