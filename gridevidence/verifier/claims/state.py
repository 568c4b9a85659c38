"""Claims 2 to 4: one state of the ledger, the entities in force in it, and the point's place in the run."""

from __future__ import annotations

from gridevidence.layout import PROTOCOL_VERSION, SLOT_LENGTHS_S
from gridevidence.verifier.answers import CANNOT_BE_DECIDED, hold, plain, same
from gridevidence.verifier.bundle import Bundle
from gridevidence.verifier.examination import Examination
from gridevidence.verifier.pieces import Piece, Reading
from gridevidence.verifier.records import Entity, Header, Opened, Transaction


def check_header(of: Examination) -> str:
    """2: the header; under its state root chain, run and runs of this slot; genesis is the first leaf of its history."""
    bundle, run = of.bundle, of.run
    header, first = bundle.header, bundle.genesis
    same("chain and height of genesis", (first.header.chain, first.header.height), (header.chain, 0))
    hold(all(item[0] == 1 for item in first.path), "genesis is not the first leaf of the history")
    hold(first.history_root == header.history_root, "the header's history does not begin with this genesis")
    slot = f"{of.start_s}/{run['zone']}"
    keys = {"chain": bundle.chain, f"run/{slot}/{run['run']}": bundle.run, f"runs/{slot}": bundle.runs}
    for key, leaf in keys.items():
        same("the key of a leaf", leaf.key, key)
        hold(leaf.root == header.state_root, f"the leaf {key} is not in the header's state")
    slot_s, made_at = bundle.chain.value["slot_s"], run["as_of_height"] + 1
    hold(slot_s in SLOT_LENGTHS_S and of.start_s % slot_s == 0, "no slot of this chain starts then")
    hold(made_at <= header.height, "the run was made after the header")
    runs = bundle.runs.value["runs"]
    hold(runs.count([run["run"], made_at]) == 1, "the run does not stand once in the list of the slot's runs")
    later = [name for name, _ in runs[runs.index([run["run"], made_at]) + 1 :]]
    clock, currency = bundle.chain.value["clock"], bundle.chain.value["currency"]
    of.facts.update(chain=header.chain, height=header.height, header_time_s=header.time_s, clock=clock)
    of.facts.update(currency=currency, run=run["run"], later_runs=later, contract=run["contract"], zone=run["zone"])
    of.facts.update(slot_start_s=of.start_s, slot_end_s=of.end_s)
    protocols = sorted({one.protocol_version for one in _headers(bundle)} - {PROTOCOL_VERSION})
    hold(not protocols, f"the protocol version {plain(protocols)} of a header is unknown here", CANNOT_BE_DECIDED)
    return f"Run {run['run']} of the slot stands in the state of header {header.height}."


def _headers(bundle: Bundle) -> list[Header]:
    placed = [bundle.genesis, *(one.placed for one in bundle.handovers)]
    placed += [bundle.certified] if bundle.certified is not None else []
    blocks = [transaction.block for transaction in bundle.transactions]
    return [bundle.header, *(one.header for one in placed), *blocks]


def check_registry(of: Examination) -> str:
    """3: zone, area, rules, party, point, installation and gateways were in force, belong together, and none has ended."""
    bundle = of.bundle
    for kind in ("area", "party", "point", "rules", "zone"):
        _hold_in_force(of, getattr(bundle, kind), kind, of.start_s)
    zone, area, party, point = bundle.zone.row.value, bundle.area, bundle.party, bundle.point
    same("the zone of the run", bundle.zone.entity.name, of.run["zone"])
    same("the zone of the area", area.row.value["zone"], bundle.zone.entity.name)
    same("area and party of the point", _owner(point), (area.entity.name, party.entity.name))
    same("the area of the party", party.row.value["area"], area.entity.name)
    same("the rules of the area", area.row.value["rules"], bundle.rules.entity.name)
    _check_agreements(of)
    _check_prices(of)
    _check_siblings(of)
    _check_contract(of, of.start_s - zone["open_before_start_s"])
    if bundle.imported is None:
        hold(bool(bundle.pieces) != of.is_estimated, "an estimated energy is shown without meters, any other with them")
    _check_imported(of)
    _check_pieces(of)
    _check_gateways(of)
    _check_mandates(of)
    installations = [piece.installation for piece in bundle.pieces]
    installations += [bundle.imported.installation] if bundle.imported is not None else []
    meters = [installation.row.value["meter"] for installation in installations]
    protections = {opened.entity.name: opened.row.value["protection"] for opened in bundle.gateways}
    of.facts.update(area=area.entity.name, point=point.entity.name, party=party.entity.name, meter=" ".join(meters))
    of.facts.update(gateway=" ".join(protections), protection=" ".join(protections.values()))
    if of.is_estimated:
        of.facts["estimated"] = True
    return "Zone, area, rules, party, point, meter and gateway are those in force for the slot, and belong together."


def _owner(point: Opened) -> tuple[object, object]:
    return point.row.value["area"], point.row.value.get("party")


def _check_agreements(of: Examination) -> None:
    """Each once, ascending by name, in force, and of the point and its party on one side."""
    point, party = of.bundle.point.entity.name, of.bundle.party.entity.name
    names = [one.entity.name.encode() for one in of.bundle.agreements]
    hold(names == sorted(set(names)), "the agreements do not ascend")
    for one in of.bundle.agreements:
        _hold_in_force(of, one, "agreement", of.start_s)
        agreed = one.row.value
        sides = [(agreed[f"{side}_point"], agreed[side]) for side in ("seller", "buyer")]
        hold((point, party) in sides, f"{one.entity.key} is of another point, or of another party at it")


def _check_prices(of: Examination) -> None:
    """The rules that the point names of its own, and just the series that these, the area's and agreements name, are those in force."""
    bundle, own = of.bundle, of.bundle.point_rules
    named = own.entity.name if own is not None else None
    same("the rules of the point", bundle.point.row.value.get("rules"), named)
    if own is not None:
        _hold_in_force(of, own, "rules", of.start_s)
    rules = [bundle.rules] if own is None else [bundle.rules, own]
    names = {name for opened in rules for name in opened.row.value.get("series", {}).values()}
    names |= {opened.row.value["series"] for opened in bundle.agreements if "series" in opened.row.value}
    same("the price series", [one.entity.name for one in bundle.series], sorted(names))
    for one in bundle.series:
        _hold_in_force(of, one, "price_series", of.start_s)


def _check_siblings(of: Examination) -> None:
    """Other points of the party in force in the slot, each once, ascending by name."""
    names = [one.point.entity.name.encode() for one in of.bundle.siblings]
    hold(names == sorted(set(names)), "the other points of the party do not ascend")
    hold(of.bundle.point.entity.name.encode() not in names, "the point stands among the other points of its party")
    for one in of.bundle.siblings:
        _hold_in_force(of, one.point, "point", of.start_s)
        same("area and party of another point", _owner(one.point), _owner(of.bundle.point))


def hold_entity(of: Examination, entity: Entity) -> None:
    """Hold that an entity's leaf lies in the state, and that its entries are in order."""
    hold(entity.root == of.bundle.header.state_root, f"{entity.key} is not in the header's state")
    hold(entity.is_in_order, f"the entries of {entity.key} do not ascend, or what is folded is not whole")


def _hold_in_force(of: Examination, opened: Opened, kind: str, at_s: int, as_of_height: int | None = None) -> None:
    """Hold that it is of this kind, lies in the state, and that its row is the one in force (as of the run's height)."""
    entity = opened.entity
    same("the kind of an entity", entity.kind, kind)
    hold_entity(of, entity)
    as_of_height = of.run["as_of_height"] if as_of_height is None else as_of_height
    is_in_force = opened.row.key == entity.key and opened.row.is_of(entity.in_force(at_s, as_of_height))
    hold(is_in_force, f"the row of {entity.key} is not the one in force")
    hold(not opened.row.has_ended, f"{entity.key} had ended")


def _check_contract(of: Examination, opening_s: int) -> None:
    """The contract is the one in force when the slot's gate opened, or from the zone's first entry on."""
    opened = of.bundle.zone_contract
    hold(opened.entity == of.bundle.zone.entity, "the contract is of another zone than the run's")
    _hold_in_force(of, opened, "zone", max(opening_s, opened.entity.entries[0].from_s))
    same("the contract of the run", of.run["contract"], opened.row.value["contract"])
    same("the contract's pin of the run", of.run["contract_pin"], opened.row.value["contract_pin"])


def _check_imported(of: Examination) -> None:
    """An imported energy stands alone, on a chain of such, of the meter that was in force at the point."""
    imported = of.bundle.imported
    if imported is None:
        return
    hold(not of.bundle.pieces, "an imported energy is shown with registers")
    same("the clock of a chain with imported energies", of.bundle.chain.value["clock"], "imported")
    _hold_in_force(of, imported.installation, "installation", of.start_s)
    same("the point of the installation", imported.installation.row.value["point"], of.bundle.point.entity.name)
    of.facts["imported"] = True


def _check_pieces(of: Examination) -> None:
    if of.bundle.is_part_slot:
        _check_part(of, of.bundle.pieces[0])
        return
    begin_s, before = of.start_s, None
    for piece in of.bundle.pieces:
        installation = piece.installation
        if before is not None:
            is_after = begin_s <= installation.row.from_s <= of.end_s
            hold(is_after, "a meter begins before the one before it ends, or behind the slot")
            hold("first_registers" in installation.row.value, "a meter that begins in the slot has no first registers")
            is_same = before.row.has_ended or installation.row.digest == before.row.digest
            hold(is_same, "behind a break stands another entry than that of the break")
            begin_s = installation.row.from_s
        _hold_in_force(of, installation, "installation", begin_s)
        same("the point of the installation", installation.row.value["point"], of.bundle.point.entity.name)
        before = piece.ended_by
        if before is not None:
            begin_s = _break_s(of, piece, before)
    if of.bundle.pieces:
        _check_end(of, of.bundle.pieces[-1])


def _check_part(of: Examination, piece: Piece) -> None:
    """The zone measures part slots, and inside this one the meter was put up, or taken down."""
    installation, row = piece.installation, piece.installation.row
    hold("part_slots_are_measured" in of.bundle.zone.row.value, "the zone measures no part of a slot")
    from_s, until_s = of.start_s, of.end_s
    if piece.ended_by is not None:
        until_s = _break_s(of, piece, piece.ended_by)
        hold(
            piece.ended_by.row.has_ended,
            "the meter was not taken down, and what it measured behind a break is not shown",
        )
    else:
        from_s = row.from_s
        hold(of.start_s < from_s < of.end_s, "the meter was not put up inside the slot")
        is_first = "first_registers" in row.value and "final_registers" not in row.value
        hold(is_first, "the meter was not put up, and what it measured before is not shown")
        _check_end(of, piece)
    _hold_in_force(of, installation, "installation", from_s)
    same("the point of the installation", row.value["point"], of.bundle.point.entity.name)
    of.facts["part"] = {"from_s": from_s, "until_s": until_s}


def _break_s(of: Examination, piece: Piece, ended_by: Opened) -> int:
    """When the registers of a piece break off: by the entry that follows that of the piece, inside the slot."""
    entity, row, as_of_height = ended_by.entity, ended_by.row, of.run["as_of_height"]
    hold(entity == piece.installation.entity, "a piece is ended by an entry of another installation")
    hold(of.start_s < row.from_s < of.end_s, "a piece does not end inside the slot")
    is_next = piece.installation.row.is_of(entity.in_force(row.from_s - 1, as_of_height))
    is_standing = row.key == entity.key and row.is_of(entity.in_force(row.from_s, as_of_height))
    hold(is_next and is_standing, "a piece is not ended by the entry that follows")
    same("the point of the installation", row.value["point"], of.bundle.point.entity.name)
    hold("final_registers" in row.value, "a piece has no final registers")
    return row.from_s


def _check_end(of: Examination, piece: Piece) -> None:
    """The installation's entry in force at the slot's end is shown a second time only where it is another one."""
    installation, end = piece.installation, piece.end_installation
    _hold_in_force(of, piece.last_installation, "installation", of.end_s)
    if end is not None:
        hold(end.entity == installation.entity, "another installation stands at the slot's end")
        hold(end.row.digest != installation.row.digest, "the installation's entry at the slot's end is no other one")
        hold("final_registers" not in end.row.value, "the registers break off inside the last piece")
        same("the point of the installation", end.row.value["point"], of.bundle.point.entity.name)


def _check_gateways(of: Examination) -> None:
    """Exactly the gateways' entries that the readings rest on, each once, ascending; none of them has ended."""
    shown = [(opened.entity.key, *opened.entry[:2]) for opened in of.bundle.gateways]
    hold(shown == sorted(set(shown)), "the gateways do not ascend")
    needed = {_needed_gateway(of, batch, name) for batch, name in answering_gateways(of.bundle)}
    hold(needed == set(shown), "a gateway is shown that no reading rests on")


def _check_mandates(of: Examination) -> None:
    """The party's entry beside each order of a batch is the one in force in the slot when the batch was recorded."""
    for order in of.bundle.orders:
        if order.mandate is not None:
            hold(
                order.mandate.entity == of.bundle.party.entity, f"the mandate of {order.order.what} is another party's"
            )
            _hold_in_force(of, order.mandate, "party", of.start_s, order.order.block.height - 1)


def _needed_gateway(of: Examination, batch: Transaction, name: str) -> tuple[str, int, int]:
    """The entry of a gateway that was in force when a batch was recorded: it is shown, and holds."""
    block = batch.block
    for opened in of.bundle.gateways:
        in_force = opened.entity.in_force(block.ledger_time_s, block.height - 1)
        if opened.entity.name == name and opened.row.is_of(in_force):
            _hold_in_force(of, opened, "gateway", block.ledger_time_s, block.height - 1)
            return (opened.entity.key, *opened.entry[:2])
    hold(False, f"the entry of gateway {plain(name)} in force when {batch.what} was recorded is not shown")
    return "", 0, 0


def end_gateways(bundle: Bundle) -> list[tuple[Transaction, str]]:
    """The batch or approval at each end of the slot, and the gateway that its installation hung on at its boundary."""
    return [
        (end.batch if isinstance(end, Reading) else end, opened.row.value.get("gateway", ""))
        for end, opened in zip(bundle.ends, bundle.end_installations, strict=True)
    ]


def answering_gateways(bundle: Bundle) -> list[tuple[Transaction, str]]:
    """The same, and the import with the gateway of its installation."""
    imported = bundle.imported
    if imported is None:
        return end_gateways(bundle)
    return [(imported.transaction, imported.installation.row.value["gateway"])]


def check_position(of: Examination) -> str:
    """4: position and area row lie in the run, with the point's row, the area's number and the rules' digest."""
    bundle = of.bundle
    hold(bundle.position.root == of.run["rows_root"], "the position is not a row of the run")
    hold(bundle.area_result.root == of.run["areas_root"], "the area's row is not one of the run")
    same("the row of the position", of.position.row, bundle.point.entity.number)
    for one, position in zip(bundle.siblings, of.siblings, strict=True):
        hold(one.position.root == of.run["rows_root"], "another position is not a row of the run")
        same("the row of another position", position.row, one.point.entity.number)
    same("the number of the area row", of.area.area, bundle.area.entity.number)
    hold(of.area.rules == bundle.rules.row.digest, "the area was settled by other rules than these")
    contract = of.known_contract()
    widths = len(of.position.columns), len(of.area.columns)
    same("columns of the rows", widths, (len(contract.position_columns), len(contract.area_columns)))
    hold(all(len(one.columns) == widths[0] for one in of.siblings), "another position has other columns")
    of.facts.update(import_wh=of.position.import_wh, export_wh=of.position.export_wh)
    return f"The position of point {bundle.point.entity.name} is row {of.position.row} of the run."
