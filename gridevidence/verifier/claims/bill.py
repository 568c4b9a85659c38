"""Claims 5 to 9: the lines of the bill, and what gives their energies and prices: registers, readings, orders, clearing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gridevidence.layout import (
    ALL_OR_NONE,
    IMPORTED_QUALITIES,
    INTERVAL_ROW,
    PRIMARY_WH_MAX,
    PROFILE_KIND,
    PROFILE_S_MAX,
    READING_ROW,
    REGISTER_CODES,
    REGISTER_WH_MAX,
    SIDES,
    TIMED_TERMS,
    WANTED_TERMS,
)
from gridevidence.verifier.answers import hold, same
from gridevidence.verifier.bundle import Bundle, Imported, Order
from gridevidence.verifier.claims.fills import Fill, fill_of, hold_amount, hold_price
from gridevidence.verifier.claims.state import end_gateways
from gridevidence.verifier.claims.wants import hold_registered, hold_wants
from gridevidence.verifier.examination import Examination
from gridevidence.verifier.pieces import Piece, Reading
from gridevidence.verifier.records import PositionRow, Transaction

CORRECTED = 0x02  # the quality byte of an approved register
ESTIMATED_CODE, MISSING_CODE = 0x01, 0x04  # of imported energies, the low three bits of their quality byte
NOT_READ = (-1, -1)  # of a position, at an end of the slot at which its meter was not there
MEASURED_MASK = 0x27  # of a quality byte: its code, and the flag interpolated


def check_lines(of: Examination) -> str:
    """5: every column of the position follows from energies, fills, prices and the area's row."""
    contract, settled = of.known_contract(), of.settled()
    contract.check_point(settled)
    lines, columns = contract.lines_of_point(settled), settled.columns
    same("what the point pays", columns["pays_nano"], sum(line.amount_nano for line in lines))
    same("the amount with the supplier alone", columns["supplier_only_nano"], contract.supplier_only(settled))
    of.facts["lines"] = [
        {
            "line_kind": line.kind.name,
            "energy_wh": line.energy_wh,
            "price_micro_per_kwh": line.price_micro_per_kwh,
            "amount_nano": line.amount_nano,
            "account": line.kind.account,
        }
        for line in lines
        if line.energy_wh != 0
    ]
    of.facts.update(pays_nano=columns["pays_nano"], supplier_only_nano=columns["supplier_only_nano"])
    return f"Energies and prices give the {len(of.facts['lines'])} lines of the point, and these what it pays."


class Interval(NamedTuple):
    """A row of an import: what was imported of a meter in a slot, primary Wh."""

    meter: int
    slot_start_s: int
    quality: int
    import_wh: int
    export_wh: int


class Span(NamedTuple):
    """What one meter shows at the begin and the end of its part of the slot: (import, export)."""

    start: tuple[int, ...]
    end: tuple[int, ...]


def spans_of(bundle: Bundle) -> Iterator[Span]:
    """That of each piece: readings or approvals at the slot's boundaries, first and final registers in between."""
    for piece in bundle.pieces:
        first, last = piece.first, piece.last
        start = _registers(first) if first else piece.installation.row.value["first_registers"]
        ended_by = piece.ended_by.row.value["final_registers"] if piece.ended_by else ()
        yield Span(tuple(start), tuple(_registers(last) if last else ended_by))


def _registers(end: Reading | Transaction) -> tuple[int, ...]:
    return READING_ROW.unpack(end.row.row)[3:] if isinstance(end, Reading) else tuple(end.body["registers"])


def check_energy(of: Examination) -> str:
    """6: the registers of each meter lie in their range, advance within its limit, and give the position's energies."""
    if of.bundle.imported is not None:
        return _check_imported_energy(of, of.bundle.imported)
    position, spans, taken = of.position, list(spans_of(of.bundle)), [0, 0]
    for piece, span in zip(of.bundle.pieces, spans, strict=True):
        meter, most_wh = piece.installation.row.value, _most_wh(piece)
        modulus_wh, ratio = meter["modulus_wh"], meter["ratio"]
        beyond_wh = modulus_wh or REGISTER_WH_MAX + 1
        hold(max(*span.start, *span.end) < min(beyond_wh, REGISTER_WH_MAX + 1), "a register is out of its range")
        for place, (start, end) in enumerate(zip(span.start, span.end, strict=True)):
            advance_wh = end - start + (modulus_wh if end < start else 0)
            hold(0 <= advance_wh <= most_wh, f"a register advanced by {advance_wh} Wh, beyond the meter's limit")
            taken[place] += advance_wh * ratio
    hold(max(taken) <= PRIMARY_WH_MAX, "the pieces give more energy than a slot may have")
    same("import and export of the position", (position.import_wh, position.export_wh), tuple(taken))
    shown = (position.start_import, position.start_export), (position.end_import, position.end_export)
    first, last = spans[0].start, spans[-1].end
    read = (first if of.bundle.pieces[0].first else NOT_READ, last if of.bundle.pieces[-1].last else NOT_READ)
    same("the registers of the position", shown, read)
    of.facts.update(start_registers_wh=list(first), end_registers_wh=list(last))
    return f"{taken[0]} Wh in and {taken[1]} Wh out follow from the registers."


def _check_imported_energy(of: Examination, imported: Imported) -> str:
    """The imported energies lie within the meter's limit, and are the position's, which has no registers."""
    position, meter = of.position, imported.installation.row.value
    interval = Interval(*INTERVAL_ROW.unpack(imported.row.row))
    energies = interval.import_wh, interval.export_wh
    most_wh = meter["limit_wh"] * meter["ratio"]
    hold(min(energies) >= 0 and max(energies) <= most_wh, "an imported energy is beyond the meter's limit")
    same("import and export of the position", (position.import_wh, position.export_wh), energies)
    registers = position.start_import, position.end_import, position.start_export, position.end_export
    same("the registers of a position with imported energy", registers, (-1, -1, -1, -1))
    return f"{energies[0]} Wh in and {energies[1]} Wh out are what was imported."


def _most_wh(piece: Piece) -> int:
    """How far a register may advance in a piece: its meter's limit, which does not count where a register was approved."""
    meter: dict[str, int] = piece.installation.row.value
    if piece.approved_start is None and piece.approved_end is None:
        return meter["limit_wh"]
    approved_wh = PRIMARY_WH_MAX // meter["ratio"]
    return min(approved_wh, meter["modulus_wh"] // 2) if meter["modulus_wh"] else approved_wh


def check_readings(of: Examination) -> str:
    """7: what tells the registers at both ends was signed for this chain, meter and boundary: a reading that was measured
    there, or an approval.
    """
    if of.bundle.imported is not None:
        return _check_import(of, of.bundle.imported)
    bundle = of.bundle
    meters = [opened.entity.name for opened in bundle.end_installations]
    of.facts["clocks"], of.facts["approved"] = [], []
    first, last = bundle.pieces[0].first, bundle.pieces[-1].last
    boundaries = [at_s for at_s, end in ((of.start_s, first), (of.end_s, last)) if end is not None]
    ends = zip(bundle.ends, boundaries, meters, end_gateways(bundle), strict=True)
    for end, boundary_s, meter, (_, gateway) in ends:
        if isinstance(end, Reading):
            _check_reading(of, end, boundary_s, meter, gateway)
        else:
            _check_approval(of, end, boundary_s, meter)
    if last is None:
        same("the quality of the position", of.position.quality, 0)
    what = "measured readings" if not of.facts["approved"] else "readings, or approved by the gateway's organisation,"
    shown = f"The registers are {what} of meter {' and '.join(dict.fromkeys(meters))}"
    if bundle.is_part_slot:
        return f"{shown} at one end of the slot; where the meter was put up or taken down inside it, the registry states them."
    return f"{shown} at both ends of the slot."


def _check_import(of: Examination, imported: Imported) -> str:
    """The row is one of an import for this chain, meter and slot, signed by the meter's gateway."""
    transaction, body, meter = imported.transaction, imported.transaction.body, imported.installation
    signed_by = meter.row.value["gateway"]
    same("chain and signer of the import", (transaction.chain, transaction.signer), (of.bundle.header.chain, signed_by))
    hold(imported.row.root == body["rows_root"], "the imported energy is not a row of the import")
    interval = Interval(*INTERVAL_ROW.unpack(imported.row.row))
    same("the meter of the imported energy", str(interval.meter), meter.entity.name)
    same("the slot of the imported energy", interval.slot_start_s, of.start_s)
    same("the length of the slots of the import", body["slot_s"], of.end_s - of.start_s)
    same("the quality of the imported energy", interval.quality, of.position.quality)
    hold(interval.quality in IMPORTED_QUALITIES, "the imported energy has a quality that none has")
    of.facts["files"] = [{"name": name, "sm3": sm3.hex()} for name, sm3 in body["files"]]
    of.facts["estimates"] = body["estimates"] if interval.quality & 7 == ESTIMATED_CODE else ""
    of.facts["missing"] = interval.quality == MISSING_CODE
    files = "1 file" if len(body["files"]) == 1 else f"{len(body['files'])} files"
    return f"The energy was imported from {files} by {transaction.signer}, for this meter and slot; no meter signed it."


def _check_reading(of: Examination, reading: Reading, boundary_s: int, meter: str, gateway: str) -> None:
    batch, body = reading.batch, reading.batch.body
    same(f"chain and gateway of {batch.what}", (batch.chain, batch.signer), (of.bundle.header.chain, gateway))
    same(f"the boundary of {batch.what}", body["boundary_s"], boundary_s)
    same(f"the registers of {batch.what}", body["registers"], REGISTER_CODES)
    hold(reading.row.root == body["rows_root"], f"the reading is not a row of {batch.what}")
    number, offset_ms, quality, *_ = READING_ROW.unpack(reading.row.row)
    same(f"the meter in {batch.what}", str(number), meter)
    hold(quality & MEASURED_MASK == 0, f"the reading in {batch.what} was not measured")
    off_ms = abs(offset_ms) + abs(body["clock"]["offset_ms"])
    hold(off_ms <= 500 * (of.end_s - of.start_s), f"the reading in {batch.what} may be far from its boundary")
    hold(body["clock"]["state"] != "unsynced", f"the clock of {batch.what} was not synchronised")
    hold(boundary_s == of.start_s or quality == of.position.quality, "the position has another quality")
    of.facts["clocks"].append({"boundary_s": boundary_s, "gateway": gateway, **body["clock"]})


def _check_approval(of: Examination, approval: Transaction, boundary_s: int, meter: str) -> None:
    body, what = approval.body, approval.what
    same(f"the chain of {what}", approval.chain, of.bundle.header.chain)
    same(f"the boundary of {what}", body["boundary_s"], boundary_s)
    same(f"the meter in {what}", str(body["installation"]), meter)
    hold(boundary_s == of.start_s or of.position.quality == CORRECTED, "the position has another quality")
    of.facts["approved"].append({"boundary_s": boundary_s, "signer": approval.signer, "reason": body["reason"]})


def check_orders(of: Examination) -> str:
    """8: each order is the party's, for this area and slot, in time, within its limit; the fills are all that it traded."""
    orders, contract = of.bundle.orders, of.known_contract()
    if contract.clear is None:
        hold(not orders, "the contract takes no orders, and there are some")
        return "The contract takes no orders."
    fills = [_check_order(of, order) for order in orders]
    counters = [fill.counter for fill in fills]
    hold(counters == sorted(set(counters)), "the orders do not ascend by their counters")
    if contract.order_terms == WANTED_TERMS:
        hold_wants(orders, fills, of.start_s, of.end_s - of.start_s)
    else:
        hold(not any(fill.wants for fill in fills), "a fill says what was wanted, and the contract asks for nothing")
    hold(
        all((fill.fee_nano is not None) == contract.has_grid_fees for fill in fills),
        "a fill has fees, and the contract has none, or the reverse",
    )
    hold(
        all((fill.arrival is not None) == (contract.order_terms == TIMED_TERMS) for fill in fills),
        "a fill says when its order came, and the contract does not ask for it, or the reverse",
    )
    hold_registered([of.bundle.point, *(one.point for one in of.bundle.siblings)], orders, fills)
    volume_wh, points = of.cleared.volume_wh if of.cleared is not None else 0, _points(of)
    for side, (energy, amount) in enumerate((("bought_wh", "bought_nano"), ("sold_wh", "sold_nano"))):
        own = [fill for fill in fills if fill.sells == bool(side)]
        filled_wh = sum(fill.filled_wh for fill in own)
        weights = [(one.import_wh, one.export_wh)[side] for one in points]
        hold(min(weights) >= 0, "an energy is below 0")
        energies_wh = _deal(filled_wh, weights)
        same(f"the sum of the fills, {energy}, dealt to the points", energies_wh, _shown(of, points, energy))
        hold(filled_wh <= volume_wh, "the party's fills are more than the volume of the slot")
        if contract.trades_in_pairs:
            amounts_nano = _deal(sum(fill.amount_nano or 0 for fill in own), energies_wh)
            same(f"what the fills come to, {amount}, dealt to the points", amounts_nano, _shown(of, points, amount))
        if contract.has_grid_fees and side == 0:
            fees_nano = _deal(sum(fill.fee_nano or 0 for fill in own), energies_wh)
            same("the fees of the fills, dealt to the points", fees_nano, _shown(of, points, "grid_fee_nano"))
    of.facts["aggregators"] = [
        {"counter": fill.counter, "aggregator": order.order.signer}
        for fill, order in zip(fills, orders, strict=True)
        if order.mandate is not None
    ]
    shown = [trade for order in orders for trade in order.trades]
    of.facts["trades_unshown"] = contract.trades_in_pairs and bool(orders) and not shown
    behind = f" Their {len(shown)} trades are the clearing's." if shown else ""
    count = "1 filled order" if len(fills) == 1 else f"{len(fills)} filled orders"
    return f"{count} of the party, none beyond its limit or its time: all that it bought and sold.{behind}"


def _shown(of: Examination, points: list[PositionRow], column: str) -> list[int]:
    """A column of the contract, of each of some points."""
    place = of.known_contract().position_columns.index(column)
    return [one.columns[place] for one in points]


def _points(of: Examination) -> list[PositionRow]:
    """The positions of all points of the party, ascending by the bytes of the points' names."""
    names = [of.bundle.point.entity.name, *(one.point.entity.name for one in of.bundle.siblings)]
    positions = zip(names, (of.position, *of.siblings), strict=True)
    return [position for _, position in sorted(positions, key=lambda one: one[0].encode())]


def _deal(total: int, weights: list[int]) -> list[int]:
    """The shares of a total by weight, largest remainders first; without any weight all to the first."""
    if not any(weights):
        return [total, *(0 for _ in weights[1:])]
    products = [total * weight for weight in weights]
    shares = [product // sum(weights) for product in products]
    by_rest = sorted(range(len(weights)), key=lambda at: -(products[at] % sum(weights)))
    for at in by_rest[: total - sum(shares)]:
        shares[at] += 1
    return shares


def _check_order(of: Examination, order: Order) -> Fill:
    bundle, transaction, fill = of.bundle, order.order, fill_of(order.fill.row)
    what, number = transaction.what, bundle.party.entity.number
    slot_s = of.end_s - of.start_s
    terms = order.terms(number, of.start_s, slot_s)
    same(f"the chain of {what}", transaction.chain, bundle.header.chain)
    _check_who_placed(of, order)
    same(f"the slot of {what}", terms.slot_start_s, of.start_s)
    zone, at_s = bundle.zone.row.value, transaction.block.ledger_time_s
    opens_s, closes_s = (of.start_s - zone[f"{name}_before_start_s"] for name in ("open", "gate"))
    if transaction.kind == PROFILE_KIND:
        opens_s = transaction.body["end_s"] - PROFILE_S_MAX
        has_conditions = any("conditions" in part for part in transaction.body["parts"])
        is_known = not has_conditions or "profiles_have_conditions" in zone
        hold(is_known, f"{what} has conditions, and the zone knows no profile that has any")
    hold(opens_s <= at_s < closes_s, f"{what} was recorded before the slot opened, or after its gate had closed")
    hold(order.gives(of.start_s, slot_s), f"{what} gives no order of the fill's counter in the slot")
    row = of.cleared
    if row is None:
        hold(False, "there is no clearing")
        return fill
    hold(order.fill.root == row.fills_root, f"the fill of {what} is not a row of the clearing")
    same(f"the party of {what}", terms.party, number)
    for name in ("party", "counter", "side", "quantity_wh", "limit"):
        same(f"the {name} in the fill of {what}", getattr(fill, name), getattr(terms, name))
    hold(fill.side < (len(SIDES) if order.row else 2 * ALL_OR_NONE), f"{what} neither buys nor sells")
    hold(fill.is_whole, f"{what} is all or none, and was filled in part")
    hold(0 < fill.filled_wh <= fill.quantity_wh, f"{what} was filled with nothing, or with more than its quantity")
    is_paired = of.known_contract().trades_in_pairs
    same(f"whether the fill of {what} tells an amount", fill.amount_nano is not None, is_paired)
    if is_paired:
        hold_amount(row, order, fill)
        if of.known_contract().has_buyers_price and fill.side == 0:
            hold_price(row.price, fill, what)
    else:
        hold_price(row.price, fill, what)
        hold(not order.trades, f"{what} has trades, and the contract makes none")
    return fill


def _check_who_placed(of: Examination, order: Order) -> None:
    """An order by itself is signed by the party, for its area; a row of a batch by its aggregator, for the run's zone."""
    bundle, transaction, what = of.bundle, order.order, order.order.what
    if order.row is None or order.mandate is None:
        same(f"the signer of {what}", transaction.signer, bundle.party.entity.name)
        same(f"the area of {what}", transaction.body["area"], bundle.area.entity.name)
        return
    mandate = order.mandate.row.value
    same(f"the signer of {what}", transaction.signer, mandate.get("aggregator", ""))
    same(f"the area of the mandate of {what}", mandate["area"], bundle.area.entity.name)
    same(f"the zone of {what}", transaction.body["zone"], of.run["zone"])
    hold(order.row.root == transaction.body["rows_root"], f"{what} is not a row of its batch")


def check_clearing(of: Examination) -> str:
    """9: the clearing is the slot's, by the contract of the run; the area has a volume and a price in it."""
    clearing, row, run = of.bundle.clearing, of.cleared, of.run
    if clearing is None or row is None:
        return "The party had no filled order, so no clearing is needed."
    same("the key of the clearing", clearing.leaf.key, f"clearing/{of.start_s}/{run['zone']}")
    hold(clearing.leaf.root == of.bundle.header.state_root, "the clearing is not in the header's state")
    for name in ("zone", "slot_start_s", "contract", "contract_pin"):
        same(f"the {name} of the clearing", clearing.leaf.value[name], run[name])
    hold(clearing.area.root == clearing.leaf.value["areas_root"], "the area is not a row of the clearing")
    same("the number of the cleared area", row.area, of.bundle.area.entity.number)
    hold(row.orders >= len(of.bundle.orders), "the area had fewer orders than are shown")
    if of.known_contract().trades_in_pairs:
        has_price = int(of.known_contract().has_buyers_price)
        hold(row.volume_wh > 0 and row.has_price == has_price, "the area has no volume, or another number of prices")
        hold(row.trades > 0 and bool(row.trades_root), "the area has no trades")
        return f"{row.volume_wh} Wh were cleared in the area, in {row.trades} trades at prices of their own."
    hold(row.volume_wh > 0 and row.has_price == 1, "the area has no volume, or no price")
    hold(not row.trades_root, "the area has trades, and the contract makes none")
    return f"{row.volume_wh} Wh were cleared in the area at {row.price} micro/kWh."
