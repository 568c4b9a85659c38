"""``/households/<party>/orders``: the party's orders of a slot, and a form whose order is signed in the browser.

The key file is opened by the page's script and never sent: what comes here is a signed transaction, which is passed on to the node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from quart import Blueprint, Response, request

from gridcore.codes import Code
from gridcore.transactions.market_cancel import MarketCancel
from gridcore.transactions.market_order import COUNTER_MAX, LIMIT_MICRO_PER_KWH_MAX, QUANTITY_WH_MAX, MarketOrder
from gridweb.access import EVERY_ROLE, Role, Viewer, check_party, requires
from gridweb.acts import SIGNING_WORDS, act_frame, read_act, told
from gridweb.i18n import N_, _, translate
from gridweb.points import check_slot, find_point
from gridweb.site import source, viewer
from gridweb.source import AreaInfo, Source, part_of
from gridweb.tables import Column, Table, serves_table, table_url
from gridweb.views import render_page

pages = Blueprint("orders", __name__)

SIDES: Final = {"buy": N_("Buy"), "sell": N_("Sell")}
KIND_WORDS: Final[Mapping[str, str]] = {
    "renewable": N_("Any renewable kind (green)"),
    "solar": N_("Sun"),
    "wind": N_("Wind"),
    "hydro": N_("Water"),
    "biomass": N_("Biomass"),
    "geothermal": N_("Heat of the earth"),
    "gas": N_("Gas"),
    "coal": N_("Coal"),
    "oil": N_("Oil"),
    "nuclear": N_("Nuclear"),
    "waste": N_("Waste"),
}
"""Kinds of energy that a bid may prefer."""
ASKED: Final = (
    Column("choice", N_("Choice"), "count"),
    Column("energy_kind", N_("Only of this kind"), words=KIND_WORDS),
    Column("seller", N_("Only from"), "name"),
)
"""What a condition of a bid asks for, where the area's contract takes any; choice: its place among those that are joined by OR, from 1."""
COLUMNS: Final = (
    Column("side", N_("Side"), words=SIDES),
    Column("quantity_wh", N_("Energy"), "energy_wh"),
    Column("price_micro_per_kwh", N_("Limit"), "price_micro"),
    *ASKED,
    Column("filled_wh", N_("Traded"), "energy_wh"),
    Column("order", N_("Order"), "digest"),
)
ANSWERS: Final[Mapping[int, str]] = {
    Code.ACCEPTED: N_("The order stands."),
    Code.EXISTS: N_("This order stood already."),
    Code.GATE_CLOSED: N_("The slot's gate has closed: no orders are taken for it any more."),
    Code.NOT_OPEN_YET: N_("The slot is not open for orders yet."),
    Code.WRONG_SIGNATURE: N_("The key is not the one that the ledger has of this household."),
    Code.DOES_NOT_TRADE: N_("The household does not take part in the market."),
    Code.WRONG_AREA: N_("The household belongs to another area."),
    Code.NO_ORDERS: N_("This area's contract takes no orders."),
    Code.ABOVE_POINT_LIMIT: N_("With the household's other orders it is more than its meters can show in a slot."),
    Code.CROSSES_OWN: N_("It could trade with an own order."),
    Code.NO_CREDIT: N_("What is owed, what is held and what this can cost are above the household's credit."),
    Code.ORDER_REUSED: N_("The household has sixteen orders in this slot: it can have no more."),
    Code.NO_CONDITIONS: N_("This area's contract takes no preferences."),
    Code.NO_SUCH_SELLER: N_("The ledger knows no party of the seller's name."),
}
"""What the node's answer means to a household, by code."""
WITHDRAWN: Final[Mapping[int, str]] = {
    **ANSWERS,
    Code.ACCEPTED: N_("The order is withdrawn."),
    Code.EXISTS: N_("The order was withdrawn already."),
    Code.NO_SUCH_ORDER: N_("This order does not stand."),
}
WORDS: Final[Mapping[str, str]] = {
    **SIGNING_WORDS,
    "amounts": N_(
        "Energy in kWh with at most three digits behind the point, above 0; limits with at most six; preferences are of buying alone."
    ),
}
"""Of the page's script."""


def known_columns(columns: Sequence[Column], area: AreaInfo) -> tuple[Column, ...]:
    """Columns, without those of conditions where the contract of an area takes none."""
    return tuple(column for column in columns if area.contract.takes_conditions or column not in ASKED)


@serves_table("/households/<party>/orders", *EVERY_ROLE)
async def household_orders_table(source: Source, viewer: Viewer, party: str, *, slot_start_s: int) -> Table:
    """The orders of a household in a slot, those that were withdrawn left out; what each traded once the gate has cleared."""
    check_party(viewer, party)
    point = await find_point(source, party)
    check_slot(point.area, slot_start_s)
    orders = await _orders(source, point.area, slot_start_s, party)
    columns = known_columns(COLUMNS, point.area)
    return Table(
        name=f"{party}-orders-{slot_start_s}",
        columns=columns,
        rows=[tuple(one.get(column.key) for column in columns) for one in orders],
        title=_("Orders of this slot"),
        tz=point.area.tz,
        currency=(await source.as_of()).currency,
    )


async def _orders(source: Source, area: AreaInfo, slot_start_s: int, party: str) -> Sequence[Mapping[str, Any]]:
    """Asked anew each time: an order that was just placed is seen."""
    answer = await source.query(f"areas/{area.area}/slots/{slot_start_s}/orders", party=party)
    found: Sequence[Mapping[str, Any]] = answer["orders"]
    return found


@pages.get("/households/<party>/orders")
@requires(*EVERY_ROLE)
async def show_orders(party: str) -> str:
    """The orders of a slot (``?slot=``; else the next one that takes any), and the form for one more."""
    check_party(viewer(), party)
    point = await find_point(source(), party)
    as_of = await source().as_of()
    slots = open_slots(point.area, as_of.ledger_time_s)
    slot = request.args.get("slot", type=int) or (slots[0] if slots else point.area.first_slot_start_s)
    check_slot(point.area, slot)
    table = await part_of(household_orders_table(source(), viewer(), party, slot_start_s=slot))
    return await render_page(
        "household/orders.html",
        party=party,
        point=point,
        chain=as_of.chain,
        currency=as_of.currency,
        slots=slots,
        slot=slot,
        takes_orders=point.area.contract.takes_orders and point.trades,
        may_place=viewer().role is Role.HOUSEHOLD,
        table=table,
        table_url=table_url(household_orders_table, party=party, slot_start_s=slot),
        words={name: translate(text) for name, text in WORDS.items()},
        kinds={word: translate(text) for word, text in KIND_WORDS.items()},
        standing=_standing(table.value),
        act=act_frame(as_of),
        counter_max=COUNTER_MAX,
        price_max=LIMIT_MICRO_PER_KWH_MAX,
        quantity_max=QUANTITY_WH_MAX,
    )


def _standing(table: Table | None) -> Sequence[str]:
    """The counters of a slot's orders that stand; of one whose gate has cleared none is withdrawn any more."""
    return [str(row[-1]).rpartition("/")[2] for row in table.rows] if table is not None else []


def open_slots(area: AreaInfo, ledger_time_s: int) -> range:
    """The slots of an area that take orders at a ledger time, by its rules; UTC seconds."""
    slot_s = area.slot_s
    first_s = ledger_time_s + int(area.rules["gate_before_start_s"]) + 1
    last_s = min(ledger_time_s + int(area.rules["open_before_start_s"]), area.days[-1] - slot_s)
    start_s = max(first_s + -first_s % slot_s, area.first_slot_start_s)
    return range(start_s, last_s + 1, slot_s)


@pages.post("/households/<party>/orders")
@requires(Role.HOUSEHOLD)
async def place_order(party: str) -> Response:
    """Pass an order on to the node: a canonical CBOR array of one transaction in; what became of it, as JSON."""
    check_party(viewer(), party)
    act = read_act(await request.body, request.mimetype, MarketOrder, party)
    answer = await source().submit(act.wire)
    return told(answer, ANSWERS, f"/households/{party}/orders?slot={act.content.slot_start_s}")


@pages.post("/households/<party>/orders/withdrawn")
@requires(Role.HOUSEHOLD)
async def withdraw_order(party: str) -> Response:
    """Pass the signed withdrawal of an order on to the node."""
    check_party(viewer(), party)
    act = read_act(await request.body, request.mimetype, MarketCancel, party)
    answer = await source().submit(act.wire)
    return told(answer, WITHDRAWN, f"/households/{party}/orders?slot={act.content.slot_start_s}")
