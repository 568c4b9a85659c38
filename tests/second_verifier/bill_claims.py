"""Claims 5 to 9: the bill's lines, the energy, the readings, the orders and the clearing."""

from collections.abc import Mapping
from fractions import Fraction

from tests.second_verifier.agreements import Agreed
from tests.second_verifier.auction import BUY, SELL
from tests.second_verifier.bundle import Imported
from tests.second_verifier.case import Case, LieError, require, value_of
from tests.second_verifier.contracts import Contract, DoesNotFollowError, Facts
from tests.second_verifier.encoding import I64_MAX, I64_MIN, MalformedError
from tests.second_verifier.orders import Order, PlacedOrder
from tests.second_verifier.prices import price_at, rules_of_slot
from tests.second_verifier.proofs import Approval, Reading
from tests.second_verifier.registry import REGISTER_MAX, Agreement, Ended, Installation, Opened, Party, Registers
from tests.second_verifier.rows import Cleared, Fill, Position, read_trade
from tests.second_verifier.wanted import check_wanted

_DEFAULT_REGISTERS = ("1-0:1.8.0", "1-0:2.8.0")
_INTERPOLATED = 0x20
_CORRECTED = 0x02
_NOT_READ = (-1, -1)
_SLOT_WH_MAX = 10**9


def check_lines(case: Case) -> None:
    """Claim 5."""
    if case.contract is None:
        return
    position = case.position
    require(case.contract.takes_agreements or not case.agreements, "agreements under another contract")
    try:
        facts = _facts(case, case.contract)
        bill = case.contract.bill(facts)
    except (MalformedError, DoesNotFollowError) as wrong:
        raise LieError(str(wrong)) from None
    require(bill.columns == position.columns, "a column of the position does not follow from the contract")
    require(all(I64_MIN <= column <= I64_MAX for column in bill.columns), "a column is no i64")


def _agreed(case: Case, agreement: Agreement, series: Mapping[str, Opened]) -> Agreed:
    """What an agreement says of the slot; one whose difference has no reference price then does not belong here."""
    said = None if agreement.series is None else price_at(series[agreement.series], case.slot_start_s)
    is_difference = agreement.basis == "difference"
    require(said is not None or not is_difference, "a difference without a reference price in the slot")
    price = agreement.price - (said or 0) if is_difference else agreement.price if said is None else said
    sells = agreement.seller == case.own_side
    return Agreed(sells, is_difference, price, agreement.quantity_wh, agreement.share_ppm)


def _facts(case: Case, contract: Contract) -> Facts:
    """With the prices of the slot; MalformedError where the contract does not take the rules that are shown."""
    position, own = case.position, case.point_rules
    for rules in (case.rules, own):
        contract.check_rules(rules)
    series = {one.entity.name: one for one in case.bundle.series}
    prices, area_prices = (
        rules_of_slot(contract, rules, series, case.slot_start_s).prices for rules in (own, case.rules)
    )
    return Facts(
        import_wh=position.import_wh,
        export_wh=position.export_wh,
        trade_price=case.cleared.price_micro_per_kwh if case.cleared and case.cleared.has_price else 0,
        prices=prices,
        area_prices=area_prices,
        terms=case.rules.terms,
        share_ppm=case.point.share_ppm,
        agreed=tuple(_agreed(case, agreement, series) for agreement in case.agreements),
        area_columns=case.area_result.columns,
        columns=position.columns,
    )


def _first_registers(case: Case, index: int) -> Registers:
    installation = case.installations[index]
    start = case.bundle.pieces[index].start
    first = start.import_export if start else installation.first_registers
    require(first is not None, "a piece without first registers")
    return first or (0, 0)


def _last_registers(case: Case, index: int) -> Registers:
    piece = case.bundle.pieces[index]
    last = piece.end.import_export if piece.end else None
    if piece.ended_by and isinstance(piece.ended_by.row.value, Installation | Ended):
        last = piece.ended_by.row.value.final_registers
    require(last is not None, "a piece without final registers")
    return last or (0, 0)


def _advance(start_wh: int, end_wh: int, installation: Installation, is_approved: bool) -> int:
    for register in (start_wh, end_wh):
        require(0 <= register <= REGISTER_MAX, "a register out of range")
        require(installation.modulus_wh == 0 or register < installation.modulus_wh, "a register above its modulus")
    advance = end_wh - start_wh
    if advance < 0:
        advance += installation.modulus_wh
    most = installation.limit_wh
    if is_approved:
        most = _SLOT_WH_MAX // installation.ratio
        most = min(most, installation.modulus_wh // 2) if installation.modulus_wh else most
    require(0 <= advance <= most, "a register advances by less than 0 or more than its limit")
    return advance * installation.ratio


def check_energy(case: Case) -> None:
    """Claim 6."""
    if case.is_estimated:
        return
    if case.bundle.imported is not None:
        _check_imported_energy(case, case.bundle.imported)
        return
    energies = [0, 0]
    for index, installation in enumerate(case.installations):
        starts, ends = _first_registers(case, index), _last_registers(case, index)
        piece = case.bundle.pieces[index]
        is_approved = any(isinstance(end, Approval) for end in (piece.start, piece.end))
        for direction in (0, 1):
            energies[direction] += _advance(starts[direction], ends[direction], installation, is_approved)
    require(max(energies) <= _SLOT_WH_MAX, "more energy than a slot may have")
    require(tuple(energies) == case.position.energies, "the energies are not the registers' advances")
    pieces = case.bundle.pieces
    start = _first_registers(case, 0) if pieces[0].start is not None else _NOT_READ
    end = _last_registers(case, len(pieces) - 1) if pieces[-1].end is not None else _NOT_READ
    require(case.position.start == start, "the position starts with other registers")
    require(case.position.end == end, "it ends with other registers")


def _check_imported_energy(case: Case, imported: Imported) -> None:
    installation, energies = value_of(imported.installation, Installation), imported.told.energies
    most = installation.limit_wh * installation.ratio
    require(all(0 <= energy <= most for energy in energies), "an imported energy that the meter cannot have")
    require(energies == case.position.energies, "the energies are not those that were imported")
    require((case.position.start, case.position.end) == ((-1, -1), (-1, -1)), "registers of an imported energy")


def _check_import(case: Case, imported: Imported) -> None:
    told = imported.told
    require(told.transaction.chain == case.bundle.header.chain, "an import of another chain")
    gateway = value_of(imported.installation, Installation).gateway
    require(told.transaction.signer == gateway, "an import by another gateway")
    require(told.proof.root == told.rows_root, "the energy does not lie under its import's rows")
    require(str(told.meter) == imported.installation.entity.name, "an energy of another meter")
    require(told.slot_start_s == case.slot_start_s, "an energy of another slot")
    require(told.slot_s == case.bundle.chain.slot_s, "an import of other slots")
    require(told.quality == case.position.quality, "an import of another quality")
    require(told.quality in (0x00, 0x01, 0x02, 0x04, 0x21), "a quality that no import has")


def _check_reading(case: Case, reading: Reading, opened: Opened, boundary_s: int) -> None:
    transaction = reading.transaction
    require(reading.boundary_s == boundary_s, "a reading of another boundary")
    require(reading.proof.root == reading.rows_root, "a reading does not lie under its batch's rows")
    require(transaction.chain == case.bundle.header.chain, "a batch of another chain")
    gateway = value_of(opened, Installation).gateway
    require(transaction.signer == gateway, "a batch of another gateway")
    require(reading.registers == _DEFAULT_REGISTERS, "a batch of other registers")
    require(str(reading.meter) == opened.entity.name, "a reading of another meter")
    require(reading.quality & 0x07 == 0 and not reading.quality & _INTERPOLATED, "a reading that was not measured")
    off_ms = abs(reading.offset_ms) + abs(reading.clock_offset_ms)
    require(off_ms <= 500 * case.bundle.chain.slot_s, "a reading too far from its boundary")
    require(reading.clock_state != "unsynced", "a reading by a clock that was not synchronised")


def _check_approval(case: Case, approval: Approval, opened: Opened, boundary_s: int) -> None:
    require(approval.boundary_s == boundary_s, "an approval of another boundary")
    require(approval.transaction.chain == case.bundle.header.chain, "an approval of another chain")
    require(str(approval.installation) == opened.entity.name, "an approval of another meter")


def check_readings(case: Case) -> None:
    """Claim 7. That the readings show the pieces' registers is how claim 6 took them."""
    if case.is_estimated:
        return
    if case.bundle.imported is not None:
        _check_import(case, case.bundle.imported)
        return
    for told, (opened, boundary_s) in zip(case.bundle.readings, case.ends, strict=True):
        if isinstance(told, Reading):
            _check_reading(case, told, opened, boundary_s)
        else:
            _check_approval(case, told, opened, boundary_s)
    end = case.bundle.pieces[-1].end
    quality = 0 if end is None else end.quality if isinstance(end, Reading) else _CORRECTED
    require(quality == case.position.quality, "the end has another quality")


def _check_placed(case: Case, order: Order, placed: PlacedOrder, mandate: Opened) -> None:
    """A row of a batch is the party's, and its aggregator signed the batch for the run's zone."""
    party = value_of(mandate, Party)
    require(party.aggregator == order.transaction.signer, "a batch of somebody who is not the party's aggregator")
    require(party.area == case.bundle.area.entity.name, "a mandate in another area")
    require(placed.zone == case.bundle.run.zone, "a batch for another zone")
    require(placed.row.root == placed.rows_root, "an order does not lie under its batch's rows")
    require(placed.party == case.bundle.party.entity.number, "a row of another party")
    require(all(limit.side in (BUY, SELL) for limit in order.limits.values()), "a row that neither buys nor sells")


def _check_order(case: Case, order: Order, mandate: Opened | None, fill: Fill, cleared: Cleared) -> None:
    transaction = order.transaction
    require(transaction.chain == case.bundle.header.chain, "an order of another chain")
    if order.placed and mandate:
        _check_placed(case, order, order.placed, mandate)
    else:
        require(transaction.signer == case.bundle.party.entity.name, "an order of another party")
        require(order.area == case.bundle.area.entity.name, "an order in another area")
    ordered = order.given(case.slot_start_s, case.bundle.chain.slot_s).get(fill.counter)
    if ordered is None:
        raise LieError("an order of another slot, or of another counter")
    before_start_s = case.slot_start_s - transaction.header.ledger_time_s
    require(case.zone.gate_before_start_s < before_start_s, "an order behind its gate")
    if order.profile:
        left_s = order.profile.end_s - transaction.header.ledger_time_s
        require(left_s <= 31 * 86_400, "a profile of more than 31 days")
        is_known = case.zone.has_preferring_profiles or not order.prefers_for_days
        require(is_known, "a profile with conditions in a zone that knows none")
    else:
        require(before_start_s <= case.zone.open_before_start_s, "an order before its slot opened")
    require(order.fill.root == cleared.fills_root, "a fill does not lie under the area's fills")
    repeated = (fill.side, fill.quantity_wh, fill.price_micro_per_kwh, fill.all_or_none)
    require(not fill.all_or_none or fill.filled_wh == fill.quantity_wh, "a part of an order that is all or none")
    require(fill.party == case.bundle.party.entity.number and ordered[:4] == repeated, "a fill of another order")
    require(0 < fill.filled_wh <= ordered.quantity_wh, "a fill of nothing, or of more than was ordered")
    if case.contract is not None and case.contract.matching is not None:
        _check_trades(order, fill, cleared)
        if case.contract.buyers_price is not None and fill.side == BUY:
            _require_within(fill, cleared.price_micro_per_kwh, 1)
        return
    require(fill.amount_nano is None and not order.trades, "trades of a contract with one price for all")
    _require_within(fill, cleared.price_micro_per_kwh, 1)


def _require_within(fill: Fill, amount: int, energy: int) -> None:
    """A price, or an amount of an energy, is no worse than the limit of a fill's order."""
    worst = fill.price_micro_per_kwh * energy
    require(amount <= worst if fill.side == BUY else amount >= worst, "a price beyond the order's limit")


def _check_trades(order: Order, fill: Fill, cleared: Cleared) -> None:
    """A fill comes to an amount, and to its trades as far as they are shown."""
    if fill.amount_nano is None:
        raise LieError("a fill without an amount")
    require(not fill.all_or_none, "an order that is all or none, of a contract that trades in pairs")
    fee_nano = fill.fee_nano or 0
    require(fee_nano >= 0 and (fill.side == BUY or not fee_nano), "fees of who sells, or below 0")
    _require_within(fill, fill.amount_nano + fee_nano, fill.filled_wh)
    trades = [read_trade(proof.row) for proof in order.trades]
    if not trades:
        return
    require(all(proof.root == cleared.trades_root for proof in order.trades), "a trade that is not of the clearing")
    own, partners = ([trade.buyer for trade in trades], [trade.seller for trade in trades])[:: -1 if fill.side else 1]
    require(set(own) == {(fill.party, fill.counter)}, "a trade of another order")
    require(len(set(partners)) == len(partners), "two trades with one order")
    for trade in trades:
        require(trade.energy_wh > 0, "a trade of nothing")
        fee = trade.fee_micro_per_kwh
        require((fee is None) == (fill.fee_nano is None) and (fee or 0) >= 0, "a fee below 0, or a trade without one")
        _require_within(fill, trade.price_micro_per_kwh + ((fee or 0) if fill.side == BUY else 0), 1)
    require(sum(trade.energy_wh for trade in trades) == fill.filled_wh, "the trades are not the fill")
    fees = sum(trade.energy_wh * (trade.fee_micro_per_kwh or 0) for trade in trades)
    require(fill.side != BUY or fees == fee_nano, "the trades' fees are not the fill's")
    amounts = [trade.energy_wh * trade.price_micro_per_kwh for trade in trades]
    require(sum(amounts) == fill.amount_nano, "the trades do not come to the amount")


def check_orders(case: Case) -> None:
    """Claim 8."""
    if case.contract is None:
        return
    if not case.contract.takes_orders:
        require(not case.bundle.orders, "orders of a contract that takes none")
        return
    volume_wh = 0
    if case.cleared:
        volume_wh = case.cleared.volume_wh
        for order, mandate, fill in zip(case.bundle.orders, case.bundle.mandates, case.fills, strict=True):
            _check_order(case, order, mandate, fill, case.cleared)
    check_wanted(case)
    counters = [fill.counter for fill in case.fills]
    require(counters == sorted(set(counters)), "the orders' counters do not ascend")
    points = _points_of_party(case)
    for side in (BUY, SELL):
        filled = sum(fill.filled_wh for fill in case.fills if fill.side == side)
        weights = [point.energies[side] for point in points]
        require(min(weights) >= 0, "an energy below 0")
        traded = [point.columns[side] for point in points]
        require(_shares(filled, weights) == traded, "the fills are not what the positions bought and sold")
        if case.contract.matching is not None:
            amount = sum(fill.amount_nano or 0 for fill in case.fills if fill.side == side)
            paid = [point.columns[2 + side] for point in points]
            require(_shares(amount, traded) == paid, "the fills do not come to what the positions paid")
        if case.contract.has_fees and side == BUY:
            fees = sum(fill.fee_nano or 0 for fill in case.fills if fill.side == side)
            require(_shares(fees, traded) == [point.columns[4] for point in points], "fees that are not the fills'")
        require(filled <= volume_wh, "more was filled than the volume")


def _points_of_party(case: Case) -> list[Position]:
    """The positions of all its points, by the bytes of their names."""
    named = {case.bundle.point.entity.name: case.position}
    for sibling, position in zip(case.bundle.siblings, case.siblings, strict=True):
        named[sibling.point.entity.name] = position
    return [named[name] for name in sorted(named, key=str.encode)]


def _shares(total: int, weights: list[int]) -> list[int]:
    """docs/spec/state.md, "Settle": floors, then 1 Wh each by the largest remainders."""
    whole = sum(weights)
    if whole == 0:
        return [total] + [0] * (len(weights) - 1)
    exact = [Fraction(total * weight, whole) for weight in weights]
    shares = [share.numerator // share.denominator for share in exact]
    left = total - sum(shares)
    for place in sorted(range(len(weights)), key=lambda i: (shares[i] - exact[i], i))[:left]:
        shares[place] += 1
    return shares


def check_clearing(case: Case) -> None:
    """Claim 9."""
    clearing, cleared, run = case.bundle.clearing, case.cleared, case.bundle.run
    if case.contract is None or clearing is None or cleared is None:
        return
    require(clearing.leaf.key == f"clearing/{run.slot_start_s}/{run.zone}", "a clearing of another slot or zone")
    require(clearing.leaf.root == case.bundle.header.state_root, "the clearing does not lie under the state root")
    of_clearing = (clearing.zone, clearing.slot_start_s, clearing.contract, clearing.contract_pin)
    require(of_clearing == (run.zone, run.slot_start_s, run.contract, run.contract_pin), "not the run's clearing")
    require(clearing.area.root == clearing.areas_root, "the area does not lie under the clearing's areas")
    require(cleared.number == case.bundle.area.entity.number, "the clearing of another area")
    is_paired = case.contract.matching is not None
    has_price = not is_paired or case.contract.buyers_price is not None
    require(cleared.volume_wh > 0, "a clearing with fills and without volume")
    require(cleared.has_price == has_price, "a clearing without a price, or with one beside its trades")
    require((cleared.trades > 0 and bool(cleared.trades_root)) == is_paired, "a clearing without trades, or with some")
    require(cleared.orders >= len(case.bundle.orders), "more orders than were cleared")
