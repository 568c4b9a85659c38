"""The tables of one bill line's way down to its proof, out of its bundle, and the words for what stands in one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gridcore.verify import Trust
from gridevidence.view import BundleView, KeyView, OrderView, decode_bundle
from gridevidence.view_signed import ReadingView
from gridevidence.view_trades import TradeView
from gridweb.access import EVERY_ROLE, Viewer, check_party
from gridweb.i18n import N_, _
from gridweb.points import find_point
from gridweb.proofs import LineName, fetch_bundle
from gridweb.source import Source
from gridweb.tables import Column, Table, serves_table

CLAIM_TITLES: Final[Mapping[str, str]] = {
    "shape": N_("The file is one whole bundle, no byte too many"),
    "header": N_("Run, chain and genesis are of one state of the ledger"),
    "registry": N_("Zone, area, rules, party, point, meter and gateway were in force, and belong together"),
    "position": N_("Point and area stand in the run"),
    "lines": N_("Energies and prices give the amounts"),
    "energy": N_("The registers give the energies, within the meter's limits"),
    "readings": N_("The registers were read at this meter, for this slot"),
    "orders": N_("The filled orders are the party's, in time and within their limits, and all that it traded"),
    "clearing": N_("The price is the one that was cleared"),
    "recorded": N_("The ledger accepted readings and orders before the run"),
    "keys": N_("The keys were in force, and are tied as shown"),
    "signatures": N_("Gateway and party signed"),
    "certificate": N_("Signers whom the trust root names certified this state"),
    "book": N_("The clearing price follows from all orders of the slot"),
}
"""The verifier's claims by word, as message ids."""
NOT_CHECKED: Final[Mapping[str, str]] = {
    "that the file is one whole bundle": N_("that the file is one whole bundle"),
    "that run, chain and genesis are of one state of the ledger": N_(
        "that run, chain and genesis are of one state of the ledger"
    ),
    "that zone, area, rules, party, point, meter and gateway were in force, and belong together": N_(
        "that zone, area, rules, party, point, meter and gateway were in force, and belong together"
    ),
    "that point and area stand in the run": N_("that point and area stand in the run"),
    "that energies and prices give the amounts": N_("that energies and prices give the amounts"),
    "that the registers give the energies, within the meter's limits": N_(
        "that the registers give the energies, within the meter's limits"
    ),
    "that the registers were read at this meter, for this slot": N_(
        "that the registers were read at this meter, for this slot"
    ),
    "that the filled orders are the party's, for this slot and within their limits, and all that it traded": N_(
        "that the filled orders are the party's, for this slot and within their limits, and all that it traded"
    ),
    "that the price is the one that was cleared": N_("that the price is the one that was cleared"),
    "that the ledger accepted readings and orders before the run": N_(
        "that the ledger accepted readings and orders before the run"
    ),
    "that the keys of gateway and party were in force, and how they are tied": N_(
        "that the keys of gateway and party were in force, and how they are tied"
    ),
    "that gateway and party, or its aggregator, signed": N_("that gateway and party, or its aggregator, signed"),
    "that signers whom you trust certified it (--trust FILE)": N_(
        "that signers whom you trust certified it (--trust FILE)"
    ),
    "that the price follows from all orders of the slot (--with-book FILE adds the anonymous order book)": N_(
        "that the price follows from all orders of the slot (--with-book FILE adds the anonymous order book)"
    ),
    "that rules, ratio, meter and keys in the ledger are those that the parties agreed on": N_(
        "that rules, ratio, meter and keys in the ledger are those that the parties agreed on"
    ),
    "that the meter measured right, and that the gateway read it right": N_(
        "that the meter measured right, and that the gateway read it right"
    ),
    "that the clock that the gateway stated was right": N_("that the clock that the gateway stated was right"),
    "that no two thirds of an earlier set of signers made another history": N_(
        "that no two thirds of an earlier set of signers made another history"
    ),
    "no meter signed these values": N_("no meter signed these values"),
    "the trades that the fills come from: there are more than a bundle shows": N_(
        "the trades that the fills come from: there are more than a bundle shows"
    ),
    "that the importer estimated by the method that it names": N_(
        "that the importer estimated by the method that it names"
    ),
}
"""What the verifier says it has not checked -> message id: its own words, all but a contract's."""
ANSWERS: Final[Mapping[str, tuple[str, str]]] = {
    "verified": (N_("Verified"), "good"),
    "not verified": (N_("Not verified"), "bad"),
    "cannot be decided": (N_("Cannot be decided"), "warn"),
}
"""The verifier's answers: message id and state."""
ALTERATION_TITLES: Final[Mapping[str, str]] = {
    "amount": N_("one digit of what the point pays"),
    "energy": N_("one digit of the imported energy"),
    "rules_price": N_("one digit of a price in the rules"),
    "ratio": N_("one digit of the transformer ratio"),
    "order_limit": N_("one digit of the order's limit price"),
    "filled": N_("one digit of what the order got"),
    "start_register": N_("one digit of the register at the start"),
    "end_register": N_("one digit of the register at the end"),
    "gateway_signature": N_("one digit of the gateway's signature"),
    "imported_energy": N_("one digit of the energy that the file said"),
    "signer_signature": N_("one digit of the signer's signature under the header"),
    "forged_amount": N_("what the point pays, and every digest made anew"),
    "forged_reading": N_("the register at the end, and every digest and sum made anew"),
    "forged_import": N_("the energy that the file said, and every digest and sum made anew"),
    "forged_limit": N_("the order's limit price, and every digest made anew"),
    "forged_rules": N_("a price in the rules, and every digest and sum made anew"),
}
"""Names of ``gridevidence.forgery`` -> message ids."""
CLOCK_STATES: Final[Mapping[str, str]] = {
    "synced": N_("synchronised"),
    "holdover": N_("holding over"),
    "unsynced": N_("not synchronised"),
    "simulated": N_("simulated"),
}
FLAG_TITLES: Final[Mapping[str, str]] = {
    "late": N_("late"),
    "interpolated": N_("interpolated"),
    "frozen": N_("frozen"),
    "rollover": N_("rolled over"),
    "stuck": N_("stands still under load"),
}

TERM_COLUMNS: Final = (
    Column("line_kind", N_("Line")),
    Column("energy_wh", N_("Energy"), "energy_wh"),
    Column("price_micro_per_kwh", N_("Price"), "price_micro"),
    Column("amount_nano", N_("Amount"), "amount_nano"),
)
ORDER_COLUMNS: Final = (
    Column("order", N_("Order")),
    Column("side", N_("Side")),
    Column("quantity_wh", N_("Ordered"), "energy_wh"),
    Column("limit_micro_per_kwh", N_("Limit price"), "price_micro"),
    Column("filled_wh", N_("Filled"), "energy_wh"),
    Column("price_micro_per_kwh", N_("Price"), "price_micro"),
)
TRADE_COLUMNS: Final = (
    Column("order", N_("Order")),
    Column("side", N_("Side")),
    Column("energy_wh", N_("Energy"), "energy_wh"),
    Column("price_micro_per_kwh", N_("Price"), "price_micro"),
    Column("amount_nano", N_("Amount"), "amount_nano"),
)
FEE_COLUMNS: Final = (
    Column("fee_micro_per_kwh", N_("Grid fee"), "price_micro"),
    Column("fee_nano", N_("Grid fee, amount"), "amount_nano"),
)
"""Behind them under a contract with fees along the grid: what who buys pays beyond the price."""
READING_COLUMNS: Final = (
    Column("boundary_s", N_("Boundary"), "instant"),
    Column("import_wh", N_("Import register, as shown"), "energy_wh"),
    Column("export_wh", N_("Export register, as shown"), "energy_wh"),
    Column("ratio", N_("Transformer ratio"), "count"),
    Column("quality", N_("Quality"), "quality"),
    Column("flags", N_("Flags, or the reason of who answers for it")),
    Column("offset_ms", N_("Read after the boundary, ms"), "count"),
    Column("clock", N_("Gateway's clock")),
    Column("clock_offset_ms", N_("Clock offset, ms"), "count"),
)


def tie_of(key: KeyView, view: BundleView, trust: Trust) -> str:
    """What a key is tied to, in words; a pin counts where the trust root is of the bundle's chain and names this key."""
    origin = (
        _("enrolled by %(enroller)s in block %(height)s", enroller=key.enrolled_by, height=key.enrolled_height)
        if key.enrolled_by
        else _("named by genesis")
    )
    is_pinned = (key.signer, key.fingerprint) in trust.pins and trust.chain == view.header.chain
    return _("pinned in the trust root; %(origin)s", origin=origin) if is_pinned else origin


async def read_view(source: Source, party: str, slot: int, kind: str) -> BundleView:
    """A bill line's bundle, decoded. SourceMissing, SourceBusy, SourceAway."""
    return decode_bundle(await fetch_bundle(source, LineName(party, slot, kind)))


@serves_table("/households/<party>/lines/<slot>/<kind>/terms", *EVERY_ROLE)
async def line_terms_table(source: Source, viewer: Viewer, party: str, slot: int, kind: str) -> Table:
    """All lines of the point in the slot of one of them, as its bundle proves them: they add up to what it pays."""
    check_party(viewer, party)
    return terms_table(await read_view(source, party, slot, kind))


def terms_table(view: BundleView) -> Table:
    """The same, out of a decoded bundle."""
    terms = [term for term in view.position.terms if term.energy_wh]
    rows = [(term.kind, term.energy_wh, term.price_micro_per_kwh, term.amount_nano) for term in terms]
    totals = (None, None, None, sum(term.amount_nano for term in terms))
    name = f"{view.party}-{view.run.slot_start_s}-terms"
    return Table(name, TERM_COLUMNS, rows, title=_("All lines of the slot"), totals=totals, currency=view.currency)


@serves_table("/households/<party>/lines/<slot>/<kind>/orders", *EVERY_ROLE)
async def line_orders_table(source: Source, viewer: Viewer, party: str, slot: int, kind: str) -> Table:
    """The party's filled orders of the slot, as the bundle of one of its lines proves them."""
    check_party(viewer, party)
    return orders_table(await read_view(source, party, slot, kind))


def orders_table(view: BundleView) -> Table:
    """The same, out of a decoded bundle."""
    price = view.run.price_micro_per_kwh
    rows = [
        (order.order, order.side, order.quantity_wh, order.limit_micro_per_kwh, order.filled_wh, price)
        for order in view.orders
    ]
    name = f"{view.party}-{view.run.slot_start_s}-orders"
    return Table(name, ORDER_COLUMNS, rows, title=_("Filled orders"), currency=view.currency)


@serves_table("/households/<party>/lines/<slot>/<kind>/trades", *EVERY_ROLE)
async def line_trades_table(source: Source, viewer: Viewer, party: str, slot: int, kind: str) -> Table:
    """The party's trades of the slot at prices of their own, as the bundle of one of its lines proves them; with whom is not said."""
    check_party(viewer, party)
    return trades_table(await read_view(source, party, slot, kind))


def trades_table(view: BundleView) -> Table:
    """The same, out of a decoded bundle."""
    has_fees = any(trade.fee_micro_per_kwh is not None for trade in view.trades)
    columns = TRADE_COLUMNS + FEE_COLUMNS if has_fees else TRADE_COLUMNS
    rows = [_trade_row(order, trade)[: len(columns)] for order in view.orders for trade in order.trades]
    name = f"{view.party}-{view.run.slot_start_s}-trades"
    return Table(name, columns, rows, title=_("Trades"), currency=view.currency)


def _trade_row(order: OrderView, trade: TradeView) -> tuple[object, ...]:
    """With the fee at its end: that of a buy, as who sells pays none."""
    energy_wh, price = trade.energy_wh, trade.price_micro_per_kwh
    fee = (trade.fee_micro_per_kwh or 0) if order.side == "buy" else 0
    return (order.order, order.side, energy_wh, price, energy_wh * price, fee, energy_wh * fee)


@serves_table("/households/<party>/lines/<slot>/<kind>/readings", *EVERY_ROLE)
async def line_readings_table(source: Source, viewer: Viewer, party: str, slot: int, kind: str) -> Table:
    """The two register readings that a bill line rests on."""
    check_party(viewer, party)
    point = await find_point(source, party)
    return readings_table(await read_view(source, party, slot, kind), point.area.tz)


def readings_table(view: BundleView, tz: str) -> Table:
    """The same, out of a decoded bundle."""
    name = f"{view.party}-{view.run.slot_start_s}-readings"
    ratio = view.ratio or 1
    rows = [_reading_row(reading, ratio) for reading in view.readings]
    rows += [
        (one.boundary_s, one.import_wh, one.export_wh, ratio, one.quality, one.reason, None, None, None)
        for one in view.approvals
    ]
    return Table(name, READING_COLUMNS, rows, title=_("Register readings"), tz=tz, currency=view.currency)


def _reading_row(reading: ReadingView, ratio: int) -> tuple[object, ...]:
    registers = (reading.boundary_s, reading.import_wh, reading.export_wh, ratio, reading.quality)
    return (*registers, " ".join(reading.flags), reading.offset_ms, reading.clock_state, reading.clock_offset_ms)
