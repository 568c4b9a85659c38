"""``/slots/<area>/<slot>``: one slot as the market and the settlement left it: price, merit order, rules, run, money, positions.

Everybody who may look at the area's clearing sees it; a household sees its own lines beside it, nothing of anybody else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from quart import Blueprint, Response, request

from gridcore import cbor
from gridcore.errors import EncodingError
from gridcore.quality import quality_words
from gridcore.serving.problems import Problem
from gridevidence.layout import ARRIVED_BOOK_ROW, BOOK_BYTES_MAX, BOOK_ROW, WANTED_BOOK_ROW
from gridseries.series import SLOTS
from gridweb.access import EVERY_ROLE, READS_ALL, Viewer, requires
from gridweb.bill import deviation_of
from gridweb.choosing import Chosen, asked_choice, choose
from gridweb.contract_words import ContractWords
from gridweb.i18n import N_, _
from gridweb.pages.day_figures import STATE_TITLES, SlotFigures, figures_of
from gridweb.pages.day_tables import correction_path, waits_for_run
from gridweb.pages.estimates import estimates_table, read_estimates, table_of_estimates
from gridweb.pages.households import POSITION_COLUMNS
from gridweb.pages.meters import read_meters
from gridweb.pages.stakes import METERS_LOOKED_AT_MAX, missing_at
from gridweb.points import check_slot, find_point
from gridweb.proofs import book_name
from gridweb.site import source, viewer
from gridweb.source import AreaInfo, AsOf, Part, Source, SourceMissing, part_of
from gridweb.tables import Column, Table, serves_table, table_url
from gridweb.views import render_page

UNREAD_SHOWN_MAX: Final = 8
ROWS_MAX: Final = 200_000
"""Rows that are gathered out of the node's pages for one table."""
BOOK_ITEMS_MAX: Final = BOOK_BYTES_MAX // 24
"""CBOR items of the largest book: a row and a salt for each order, together at least 48 bytes."""
BOOK_TYPE: Final = "application/cbor"
_BOOK_ROW_BYTES: Final = (BOOK_ROW.size, ARRIVED_BOOK_ROW.size, WANTED_BOOK_ROW.size)
"""rank, side (0 buy, 1 sell), quantity, price, filled (docs/spec/state.md, "Clear")."""
SIDES: Final = ("buy", "sell")

RATIONING_TITLES: Final[Mapping[str, str]] = {"pro_rata": N_("pro rata"), "time": N_("by time")}

pages = Blueprint("slot", __name__)

MERIT_COLUMNS: Final = (
    Column("side", N_("Side")),
    Column("price_micro_per_kwh", N_("Limit price"), "price_micro"),
    Column("orders", N_("Orders"), "count"),
    Column("quantity_wh", N_("Wanted"), "energy_wh"),
    Column("filled_wh", N_("Filled"), "energy_wh"),
    Column("from_wh", N_("Curve from"), "energy_wh"),
    Column("to_wh", N_("Curve to"), "energy_wh"),
)
PARTY_COLUMNS: Final = (
    Column("party", N_("Party")),
    Column("meter", N_("Meter")),
    *POSITION_COLUMNS,
    Column("quality", N_("Quality"), "quality"),
)


@dataclass(frozen=True)
class Level:
    """All orders of one side at one limit price. ``from_wh``, ``to_wh``: the stretch of its curve that they make."""

    side: str
    price_micro_per_kwh: int
    orders: int
    quantity_wh: int
    filled_wh: int
    from_wh: int
    to_wh: int


def decode_book(data: bytes) -> list[tuple[int, int, int, int]]:
    """(side, quantity_wh, price_micro_per_kwh, filled_wh) of an anonymous book, in rank order. EncodingError."""
    value = cbor.decode(data, items_max=BOOK_ITEMS_MAX)
    rows = value.get("book") if isinstance(value, Mapping) else None
    if not isinstance(rows, list) or any(not isinstance(row, bytes) or len(row) not in _BOOK_ROW_BYTES for row in rows):
        raise EncodingError("a book is a map with rows of 29, 33 or 45 bytes under 'book'")
    orders = [BOOK_ROW.unpack_from(row)[1:] for row in rows]
    if any(side not in (0, 1) for side, *_rest in orders):
        raise EncodingError("the side of a book's row is 0 or 1")
    return orders


def levels_of(orders: Iterable[tuple[int, int, int, int]]) -> list[Level]:
    """Demand from the highest limit down, then supply from the lowest limit up, orders of one limit taken together."""
    sums: dict[tuple[int, int], list[int]] = {}
    for side, quantity_wh, price, filled_wh in orders:
        level = sums.setdefault((side, price), [0, 0, 0])
        level[0] += 1
        level[1] += quantity_wh
        level[2] += filled_wh
    found = []
    for side, name in enumerate(SIDES):
        at_wh = 0
        for price in sorted((price for of, price in sums if of == side), reverse=side == 0):
            count, quantity_wh, filled_wh = sums[side, price]
            found.append(Level(name, price, count, quantity_wh, filled_wh, at_wh, at_wh + quantity_wh))
            at_wh += quantity_wh
    return found


def money_columns(contract: ContractWords) -> tuple[Column, ...]:
    """The columns of the money of a run, with the contract's words."""
    return (
        Column("line_kind", N_("Line"), words=contract.line_titles),
        Column("account", N_("Account"), words=contract.account_titles),
        Column("lines", N_("Lines"), "count"),
        Column("energy_wh", N_("Energy"), "energy_wh"),
        Column("price_micro_per_kwh", N_("Price"), "price_micro"),
        Column("amount_nano", N_("Parties owe"), "amount_nano"),
    )


class MoneyRow(NamedTuple):
    """All lines of one kind at one price: a row of ``money_columns``."""

    line_kind: str
    account: str
    lines: int
    energy_wh: int
    price_micro_per_kwh: int | None
    amount_nano: int


def sum_lines(lines: Iterable[Mapping[str, Any]], kinds: Iterable[str]) -> list[MoneyRow]:
    """Statement lines summed by kind, account and price, in the order of ``kinds``, the contract's."""
    order = {kind: at for at, kind in enumerate(kinds)}
    sums: dict[tuple[str, str, int | None], list[int]] = {}
    for line in lines:
        entry = sums.setdefault((line["line_kind"], line["account"], line["price_micro_per_kwh"]), [0, 0, 0])
        entry[0] += 1
        entry[1] += line["energy_wh"]
        entry[2] += line["amount_nano"]
    rows = [
        MoneyRow(kind, account, count, energy_wh, price, amount_nano)
        for (kind, account, price), (count, energy_wh, amount_nano) in sums.items()
    ]
    return sorted(
        rows, key=lambda row: (order.get(row.line_kind, len(order)), row.account, row.price_micro_per_kwh or 0)
    )


# ---------------------------------------------------------------------------------------------------------------- tables


@serves_table("/areas/<area>/slots/<slot_start_s>/merit", *READS_ALL)
async def merit_table(source: Source, area: str, slot_start_s: int) -> Table:
    """The merit order of a cleared slot by limit price, out of its anonymous book."""
    info = await source.area(area)
    check_slot(info, slot_start_s)
    as_of = await source.as_of()
    book = await source.bytes("book", area=area, slot=slot_start_s)
    rows = [
        (one.side, one.price_micro_per_kwh, one.orders, one.quantity_wh, one.filled_wh, one.from_wh, one.to_wh)
        for one in levels_of(decode_book(book))
    ]
    title = _("Merit order")
    return Table("merit", MERIT_COLUMNS, rows, title=title, tz=info.tz, currency=as_of.currency)


@serves_table("/areas/<area>/slots/<slot_start_s>/money", *EVERY_ROLE)
async def money_table(source: Source, viewer: Viewer, area: str, slot_start_s: int, *, run: str | None = None) -> Table:
    """The money of a run by line kind and account; a household's own lines alone."""
    info, found = await _read(source, viewer, area, slot_start_s, "run", run)
    return table_of_money(found, info, (await source.as_of()).currency)


def table_of_money(run: Sequence[Mapping[str, Any]], area: AreaInfo, currency: str) -> Table:
    """The lines of a run, summed by kind and account."""
    rows = sum_lines((line for page in run for line in page["lines"]), area.contract.lines)
    totals = [None, None, sum(row.lines for row in rows), None, None, sum(row.amount_nano for row in rows)]
    title = _("Money by line and account")
    return Table("money", money_columns(area.contract), rows, title=title, totals=totals, tz=area.tz, currency=currency)


@serves_table("/areas/<area>/slots/<slot_start_s>/positions", *EVERY_ROLE)
async def positions_table(
    source: Source, viewer: Viewer, area: str, slot_start_s: int, *, run: str | None = None
) -> Table:
    """Energy, trades and money of every party in a settled slot; a household's own row alone."""
    info, found = await _read(source, viewer, area, slot_start_s, "positions", run)
    return table_of_positions(found, info, slot_start_s, (await source.as_of()).currency)


def table_of_positions(
    pages_of_positions: Sequence[Mapping[str, Any]], area: AreaInfo, slot_start_s: int, currency: str
) -> Table:
    """Positions as a table, each row leading to the party's own page."""
    rows: list[tuple[Any, ...]] = []
    for page in pages_of_positions:
        energies = [page[name] for name in ("import_wh", "export_wh", "bought_wh", "sold_wh")]
        deviations = zip(*(deviation_of(*of_party) for of_party in zip(*energies, strict=True)), strict=True)
        money = page["pays_nano"], page["supplier_only_nano"]
        savings = [alone - paid for paid, alone in zip(*money, strict=True)]
        quality = (quality_words(byte)[0] for byte in page["quality"])
        rows += zip(page["parties"], page["meters"], *energies, *deviations, *money, savings, quality, strict=True)
    totals = [None, None, *(sum(row[at] for row in rows) for at in range(2, len(PARTY_COLUMNS) - 1)), None]
    return Table(
        "positions",
        PARTY_COLUMNS,
        rows,
        title=_("Positions of the parties"),
        links=[f"/households/{row[0]}?day={slot_start_s}" for row in rows],
        totals=totals,
        tz=area.tz,
        currency=currency,
    )


async def _read(
    source: Source, viewer: Viewer, area: str, slot_start_s: int, what: str, run: str | None
) -> tuple[AreaInfo, list[Mapping[str, Any]]]:
    """The area, and all that the node says of ``what`` of a slot's run, by itself the last, as far as the viewer may see it."""
    info = await source.area(area)
    check_slot(info, slot_start_s)
    await check_area(source, viewer, info)
    path = f"areas/{area}/slots/{slot_start_s}/{what}"
    return info, await source.pages(path, rows_max=ROWS_MAX, **({"run": run} if run else {}), **_own(viewer))


async def check_area(source: Source, viewer: Viewer, area: AreaInfo) -> None:
    """Problem 403 unless the viewer reads all or is metered in the area."""
    if viewer.party is None:
        return
    if (await find_point(source, viewer.party)).area.area != area.area:
        raise Problem("not-authorised", "a household sees the slots of its own area alone")


def _own(viewer: Viewer) -> dict[str, str]:
    """What narrows an answer to the viewer's own rows."""
    return {} if viewer.party is None else {"party": viewer.party}


# ------------------------------------------------------------------------------------------------------------------ page


@dataclass(frozen=True)
class Times:
    """The life of a slot in ledger time, UTC seconds."""

    opens_s: int
    gate_s: int
    start_s: int
    end_s: int
    due_s: int


def times_of(area: AreaInfo, slot_start_s: int) -> Times:
    """When a slot opens, closes, is delivered and is settled, by the rules of its area."""
    end_s = slot_start_s + area.slot_s
    return Times(
        slot_start_s - int(area.rules["open_before_start_s"]),
        slot_start_s - int(area.rules["gate_before_start_s"]),
        slot_start_s,
        end_s,
        end_s + int(area.rules["metering_deadline_s"]),
    )


class Unread(NamedTuple):
    """A meter without a register at an end of the slot."""

    meter: str
    boundary_s: int

    @property
    def path(self) -> str:
        """Where it is corrected."""
        return correction_path(self.meter, self.boundary_s)


async def read_unread(source: Source, area: AreaInfo, slot_start_s: int) -> list[Unread]:
    """The billed meters without a register at the start or the end of a slot. SourceAway, SourceBusy."""
    billed = {meter.meter for meter in await read_meters(source, area.area) if meter.is_billed}
    return [
        Unread(name, boundary_s)
        for boundary_s in (slot_start_s, slot_start_s + area.slot_s)
        for name in await missing_at(source, area.area, boundary_s)
        if name in billed
    ]


class RunChange(NamedTuple):
    """A run as the page shows it: how many of its rows are estimated, and what it changed of what all of them pay."""

    run: str
    height: int
    rows: int
    estimated: int
    change_nano: int


def changes_of(runs: Sequence[Mapping[str, Any]]) -> list[RunChange]:
    """The runs of a slot, each with the difference to the one before."""
    before = [0, *(run["pays_nano"] for run in runs)]
    return [
        RunChange(run["run"], run["height"], run["rows"], run["estimated"], run["pays_nano"] - paid)
        for run, paid in zip(runs, before, strict=False)
    ]


def prices_of(area: AreaInfo) -> Iterator[tuple[str, int]]:
    """The prices of an area's rules, micro per kWh, by title."""
    for name, value in sorted(area.rules["prices"].items()):
        yield area.contract.price_title(name), value


async def _figures(area: AreaInfo, slot_start_s: int, as_of: AsOf) -> SlotFigures:
    """The slot's row of the time series."""
    rows = await source().curves(SLOTS, slot_start_s, slot_start_s + area.slot_s, area=area.area)
    return figures_of(area, [slot_start_s], rows, as_of.told_s, as_of.now_s)[0]


async def _or_none(part: Part[Any] | None, path: str, **params: str | int) -> Part[Any]:
    """An answer that may not exist yet: its value is None then."""
    if part is not None and part.away:
        return part
    try:
        return await part_of(source().cached(path, **params))
    except SourceMissing:
        return Part(None)


@pages.get("/slots/<area>/<int:slot_start_s>")
@requires(*EVERY_ROLE)
async def show_slot(area: str, slot_start_s: int) -> str:
    """The page."""
    info = await source().area(area)
    check_slot(info, slot_start_s)
    who = viewer()
    await check_area(source(), who, info)
    as_of = await source().as_of()
    figures = await part_of(_figures(info, slot_start_s, as_of))
    path = f"areas/{area}/slots/{slot_start_s}"
    clearing = await _or_none(None, f"{path}/clearing")
    run = await _or_none(clearing, f"{path}/run", **_own(who))
    positions = await _or_none(clearing, f"{path}/positions", **_own(who)) if run.value else Part(None)
    runs = await _or_none(run, f"{path}/runs", **_own(who))
    changes = changes_of(runs.value["runs"]) if runs.value else []
    coming = (runs.value or {}).get("next_run") or {}
    is_looked_at = who.reads_all and info.meters <= METERS_LOOKED_AT_MAX
    is_correctable = bool(changes and changes[-1].estimated) and is_looked_at
    has_estimates = is_looked_at and any(change.estimated for change in changes)
    unread = (await part_of(read_unread(source(), info, slot_start_s))).value if is_correctable else []
    slots = [slot_start_s - info.slot_s, slot_start_s + info.slot_s]
    neighbours = [slot for slot in slots if info.first_slot_start_s <= slot < info.days[-1]]
    return await render_page(
        "slot/slot.html",
        as_of=as_of,
        area=info,
        slot_start_s=slot_start_s,
        day_start_s=info.day_around(slot_start_s)[0],
        times=times_of(info, slot_start_s),
        figures=figures,
        state_titles=STATE_TITLES,
        clearing=clearing,
        run=run,
        runs=changes,
        waits=waits_for_run(coming["due_s"], as_of, info.tz) if coming.get("has_changed") else "",
        unread=(unread or [])[:UNREAD_SHOWN_MAX],
        unread_more=max(len(unread or []) - UNREAD_SHOWN_MAX, 0),
        reads_all=who.reads_all,
        given=request.args.to_dict(),
        neighbours=neighbours,
        prices=list(prices_of(info)),
        rationing_titles=RATIONING_TITLES,
        **_tables(info, slot_start_s, run, positions, as_of),
        **(await _estimates(info, slot_start_s, as_of) if has_estimates else {}),
    )


@pages.get("/slots/<area>/<int:slot_start_s>/book")
@requires(*READS_ALL)
async def download_book(area: str, slot_start_s: int) -> Response:
    """The anonymous order book of a cleared slot as a file, for ``verify --with-book``; to whom the node gives it, too."""
    info = await source().area(area)
    check_slot(info, slot_start_s)
    response = Response(await source().bytes("book", area=area, slot=slot_start_s), content_type=BOOK_TYPE)
    response.headers["Content-Disposition"] = f'attachment; filename="{book_name(info, slot_start_s)}"'
    return response


async def _estimates(area: AreaInfo, slot_start_s: int, as_of: AsOf) -> dict[str, Any]:
    """The table of the slot's estimates with its address, {} while the node is away."""
    found = await part_of(read_estimates(source(), area, slot_start_s, as_of.clock))
    if found.value is None:
        return {}
    table = table_of_estimates(found.value, area, slot_start_s, as_of.currency)
    return {
        "estimates": _chosen(table),
        "estimates_url": table_url(estimates_table, area=area.area, slot_start_s=slot_start_s),
    }


def _chosen(table: Table) -> Chosen:
    """The rows of a table that the address chooses."""
    given = request.args.to_dict()
    return choose(table, asked_choice(given, table), given)


def _tables(area: AreaInfo, slot_start_s: int, run: Part[Any], positions: Part[Any], as_of: AsOf) -> dict[str, Any]:
    """The tables of the page with their addresses, as far as there is something in them."""
    where: dict[str, str | int] = {"area": area.area, "slot_start_s": slot_start_s}
    values: dict[str, Any] = {"merit_url": table_url(merit_table, **where), "money": None, "positions": None}
    if run.value:
        values["money"] = table_of_money([run.value], area, as_of.currency)
        values["money_url"] = table_url(money_table, **where)
    if positions.value:
        table = table_of_positions([positions.value], area, slot_start_s, as_of.currency)
        values["positions"] = _chosen(table)
        values["positions_url"] = table_url(positions_table, **where)
    return values
