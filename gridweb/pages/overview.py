"""``/overview``: the utility's first screen. One day of all areas, or of one (``?area=``), that fills slot by slot.

The page is put together from parts in two groups; each group is a view of its own (``/overview/part/<group>``) that is fetched
again when something is new, so that the whole page is loaded once. What a part rests on may be away: the others stand.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from babel.numbers import format_decimal
from quart import Blueprint

from gridcore.headline import Headline
from gridcore.serving.problems import Problem
from gridweb import format as shown
from gridweb.access import READS_ALL, requires
from gridweb.i18n import N_, _, locale, translate
from gridweb.pages import Entry
from gridweb.pages.accounts import accounts_table, read_accounts, table_of_accounts
from gridweb.pages.day_figures import STATE_SIGNS, STATE_TITLES, AreaDay, SlotFigures, SlotState
from gridweb.pages.day_tables import areas_of_day, areas_table, slot_path, slots_table
from gridweb.pages.devices import GATEWAYS_ASKED_MAX, REASONS, read_absent_of
from gridweb.pages.gateways import gateways_table, read_gateways
from gridweb.pages.households import cut
from gridweb.pages.needs import read_needs
from gridweb.pages.scope import Scope, asked_query, read_scope, wanted
from gridweb.pages.stakes import read_troubles
from gridweb.pages.summed_slots import summed_slots_table
from gridweb.pages.troubles import exceptions_table, on_page, shown_to, table_of_troubles
from gridweb.site import source, viewer
from gridweb.source import Part, part_of
from gridweb.tables import table_url
from gridweb.views import render_fragment, render_page

EXCEPTIONS_SHOWN_MAX: Final = 8
AREAS_SHOWN_MAX: Final = 25
"""Areas in a table or with a strip, those in trouble first; files have all, and each has a link."""
MINUTE_S: Final = 60

pages = Blueprint("overview", __name__)

NAVIGATION = (Entry("/overview", N_("Overview"), READS_ALL, 10),)


# ----------------------------------------------------------------------------------------------------------------- parts


async def _needs(scope: Scope) -> dict[str, Any]:
    return {"needs": await read_needs(source(), scope)}


async def _headline(scope: Scope) -> dict[str, Any]:
    """The sentence about the day; its homes are those enrolled in the market of an area in which something was traded.

    traders: those of all the areas; ledger_settled: settled slots of which the series have not read all.
    """
    homes = sum(day.area.traders for day in scope.days.areas if day.volume_wh)
    headline = scope.days.headline(homes)
    unread = scope.days.states[SlotState.UNREAD]
    return {
        "headline": headline,
        "sentence": say(headline, scope.as_of.currency) if headline.traded_wh or not unread else _("Not read yet"),
        "traders": sum(day.area.traders for day in scope.days.areas),
        "unread": unread,
        "ledger_settled": (await part_of(_settled_in_ledger(scope))).value if unread else None,
    }


async def _settled_in_ledger(scope: Scope) -> int:
    """How many slots of the day the ledger has settled, whatever the series have read. SourceAway."""
    count = 0
    for day in scope.days.areas:
        progress = await source().cached(f"areas/{day.area.area}/progress")
        count += sum(slot.slot_start_s < progress["run_slot_start_s"] for slot in day.slots)
    return count


async def _status(scope: Scope) -> dict[str, Any]:
    single = scope.days.areas[0] if len(scope.days.areas) == 1 else None
    return {
        "grid": grid_of(single) if single else None,
        "strips": {day.area.area: strip_of(day) for day in scope.days.areas[:AREAS_SHOWN_MAX]},
        "areas_url": table_url(areas_table, at_s=scope.day.start_s),
        "shown": AREAS_SHOWN_MAX,
    }


async def _balance(scope: Scope) -> dict[str, Any]:
    areas = cut(areas_of_day(scope.days, scope.as_of.currency), AREAS_SHOWN_MAX)
    return {"lowest": scope.days.lowest, "areas": areas, "url": table_url(areas_table, at_s=scope.day.start_s)}


async def _money(scope: Scope) -> dict[str, Any]:
    accounts = await read_accounts(source(), scope.areas)
    area = scope.chosen.area if scope.chosen else None
    table = table_of_accounts(accounts, scope.areas, scope.as_of.currency)
    return {"accounts": accounts, "table": table, "url": table_url(accounts_table, area=area)}


async def _exceptions(scope: Scope) -> dict[str, Any]:
    troubles = await read_troubles(source(), scope.days, is_day_only=True)
    table = table_of_troubles(troubles, scope.days, scope.as_of.currency, shown_to(viewer()))
    table = on_page(table, EXCEPTIONS_SHOWN_MAX)
    shown, total = len(table.rows), len(troubles.items)
    table = replace(table, title=_("The largest %(shown)s of %(all)s", shown=shown, all=total))
    area = scope.chosen.area if scope.chosen else None
    url = table_url(exceptions_table, area=area, day=scope.day.date)
    return {"table": table, "total": len(troubles.items), "url": url}


async def _operation(scope: Scope) -> dict[str, Any]:
    status = await source().status()
    gateways = await read_gateways(source(), scope.areas, scope.as_of.ledger_time_s)
    areas = {area.area for area in scope.areas}
    own = [one for one in gateways if areas.intersection(one.areas) and one.last_boundary_s is not None]
    absent = await read_absent_of(source(), own[:GATEWAYS_ASKED_MAX])
    block = await source().cached(f"blocks/{status.height}") if status.height else None
    signed = (
        [signer["name"] or signer["public_key"][:8] for signer in block["signers"] if signer["signed"]] if block else []
    )
    return {
        "gateways": gateways,
        "url": table_url(gateways_table),
        "absent": absent,
        "not_asked": max(0, len(own) - GATEWAYS_ASKED_MAX),
        "reasons": REASONS,
        "block": block,
        "signed": signed,
    }


GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "day": ("needs", "headline", "status", "balance"),
    "ledger": ("exceptions", "money", "operation"),
}
"""Parts that are fetched together: one question of the page for each group."""
PARTS: Final[Mapping[str, Callable[[Scope], Awaitable[dict[str, Any]]]]] = {
    "needs": _needs,
    "headline": _headline,
    "status": _status,
    "balance": _balance,
    "money": _money,
    "exceptions": _exceptions,
    "operation": _operation,
}


async def _read_parts(scope: Part[Scope], names: Iterable[str]) -> dict[str, Part[dict[str, Any]]]:
    """The values of some parts by name, or what is away of each."""
    if scope.value is None:
        return {name: Part(None, scope.away) for name in names}
    return {name: await part_of(PARTS[name](scope.value)) for name in names}


def _values(scope: Part[Scope], parts: dict[str, Part[dict[str, Any]]]) -> dict[str, Any]:
    """What the templates of the parts need."""
    query = scope.value.query() if scope.value is not None else asked_query()
    known = {"scope": scope.value, "away_part": scope.away, "query": query, "parts": parts}
    slots_url = _slots_url(scope.value) if scope.value is not None else None
    return {**known, "slots_url": slots_url, "state_titles": STATE_TITLES, "state_signs": STATE_SIGNS}


@pages.get("/overview")
@requires(*READS_ALL)
async def show_overview() -> str:
    """The page."""
    scope = await part_of(read_scope(source(), *wanted()))
    values = _values(scope, await _read_parts(scope, PARTS))
    if scope.value is not None:
        values |= {"as_of": scope.value.as_of}
    return await render_page("overview/overview.html", **values)


@pages.get("/overview/part/<group>")
@requires(*READS_ALL)
async def show_part(group: str) -> str:
    """One group of parts, by itself."""
    if group not in GROUPS:
        raise Problem("not-found", f"the overview has no part {group!r}")
    scope = await part_of(read_scope(source(), *wanted()))
    return await render_fragment(f"overview/{group}.html", **_values(scope, await _read_parts(scope, GROUPS[group])))


def _slots_url(scope: Scope) -> str:
    """Where the charts come from: the slots of the one area, or those of all of them summed."""
    if len(scope.areas) > 1:
        return table_url(summed_slots_table, at_s=None if scope.is_newest else scope.day.start_s)
    if scope.is_newest:  # and stays so when the next day begins
        return table_url(slots_table, area=scope.areas[0].area)
    return table_url(slots_table, area=scope.areas[0].area, start_s=scope.day.start_s, end_s=scope.day.end_s)


# ------------------------------------------------------------------------------------------------------------ for people


def say(headline: Headline, currency: str) -> str:
    """The sentence about the day in the language of the request."""
    share = headline.share_per_mille
    return translate(headline.sentence) % {
        "homes": translate(headline.homes_words) % {"count": shown.count(headline.homes)},
        "energy_kwh": _tenths(headline.traded_tenths_kwh),
        "share": "" if share is None else _tenths(share),
        "amount": shown.money(abs(headline.saving_nano), currency),
    }


def _tenths(number: int) -> str:
    return str(format_decimal(Decimal(number).scaleb(-1), format="#,##0.0", locale=locale()))


@dataclass(frozen=True)
class Cell:
    """A slot in the grid of a day: how it is told and where it leads."""

    slot: SlotFigures
    path: str
    label: str


@dataclass(frozen=True)
class Grid:
    """A day as local hours (columns) x slots within the hour (rows). A cell is None before the area's first slot, and where the
    clock leaves a part of an hour out. ``hours``: their labels, with the offset to UTC on a day on which the clock changes.
    """

    hours: tuple[tuple[str, str], ...]
    offsets_s: tuple[int, ...]
    rows: tuple[tuple[Cell | None, ...], ...]


def grid_of(day: AreaDay) -> Grid:
    """The grid of one area's day, by its local clock: an hour that is repeated has two columns."""
    slots = {slot.slot_start_s: slot for slot in day.slots}
    columns: dict[tuple[int, str, str], dict[int, Cell | None]] = {}
    passed = 0
    before = ("", "")
    for start_s in range(day.day.start_s, day.day.end_s, day.area.slot_s):
        clock, offset = shown.hour_and_minute(start_s, day.area.tz), shown.offset(start_s, day.area.tz)
        hour = (clock[0], offset)
        passed += hour != before
        before = hour
        slot = slots.get(start_s)
        columns.setdefault((passed, *hour), {})[clock[1] * MINUTE_S] = _cell(day, slot) if slot is not None else None
    offsets_s = tuple(sorted({offset_s for column in columns.values() for offset_s in column}))
    rows = tuple(tuple(column.get(offset_s) for column in columns.values()) for offset_s in offsets_s)
    return Grid(tuple((hour, offset) for _, hour, offset in columns), offsets_s, rows)


def _cell(day: AreaDay, slot: SlotFigures) -> Cell:
    when = shown.clock(slot.slot_start_s, day.area.tz)
    return Cell(slot, slot_path(day.area.area, slot.slot_start_s), f"{when} {translate(STATE_TITLES[slot.state])}")


@dataclass(frozen=True)
class Stretch:
    """Neighbouring slots of one state: from slot ``first`` of the day, ``length`` of them."""

    state: SlotState
    first: int
    length: int


def strip_of(day: AreaDay) -> list[Stretch]:
    """A day as stretches of equal states, for the strip of an area."""
    found: list[Stretch] = []
    for at, slot in enumerate(day.slots):
        if found and found[-1].state is slot.state:
            found[-1] = Stretch(slot.state, found[-1].first, found[-1].length + 1)
        else:
            found.append(Stretch(slot.state, at, 1))
    return found
