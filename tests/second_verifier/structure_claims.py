"""Claims 2 to 4: the header, the registry and the position."""

from itertools import pairwise

from tests.second_verifier.bundle import Imported, Piece
from tests.second_verifier.case import Case, LieError, UnsureError, require, value_of
from tests.second_verifier.registry import (
    Area,
    Ended,
    Gateway,
    Installation,
    Opened,
    Party,
    PointOfSupply,
    PriceSeries,
    Rules,
    Zone,
)
from tests.second_verifier.trees import RIGHT, fold, leaf_hash

_SLOT_LENGTHS_S = (300, 900, 1800, 3600)


def check_header(case: Case) -> None:
    """Claim 2."""
    bundle, run = case.bundle, case.bundle.run
    genesis, header = bundle.genesis, bundle.header
    require(genesis.header.chain == header.chain, "the genesis header is of another chain")
    require(genesis.header.height == 0 and header.height > 0, "a header of an impossible height")
    require(all(step[0] == RIGHT for step in genesis.path), "genesis is not the first leaf of the history")
    in_history = fold(leaf_hash(genesis.header.digest), genesis.path) == header.history_root
    require(in_history, "genesis is not in the history of the header")
    for leaf, key in (
        (bundle.chain.leaf, "chain"),
        (run.leaf, f"run/{run.slot_start_s}/{run.zone}/{run.name}"),
        (bundle.runs.leaf, f"runs/{run.slot_start_s}/{run.zone}"),
    ):
        require(leaf.key == key, f"a leaf {leaf.key} stands for {key}")
        require(leaf.root == header.state_root, f"{key} does not lie under the state root")
    require(bundle.chain.slot_s in _SLOT_LENGTHS_S, "a slot length that no chain has")
    require(run.slot_start_s % bundle.chain.slot_s == 0, "the run's slot does not start on a boundary")
    require(run.as_of_height + 1 <= header.height, "the run is later than the header")
    require(bundle.runs.runs.count((run.name, run.as_of_height + 1)) == 1, "the run does not stand once in the runs")
    headers = [header, bundle.genesis.header, bundle.certified_header]
    headers += [change.header for change in bundle.handovers]
    headers += [transaction.header for transaction in bundle.transactions]
    if any(header.protocol_version != 2 for header in headers):
        raise UnsureError("a header of an unknown protocol version")


def opens_in_force(opened: Opened, at_s: int, as_of_height: int) -> bool:
    """Whether the opened row is that of its entity's entry in force at `at_s` as of the height."""
    entry, row = opened.entity.in_force(at_s, as_of_height), opened.row
    return entry is not None and (row.key, row.from_s, row.digest) == (
        opened.entity.leaf.key,
        entry.from_s,
        entry.digest,
    )


def require_in_force(case: Case, opened: Opened, kind: str, at_s: int, as_of_height: int) -> None:
    """An entity of this kind, of this state, and the row of its entry in force."""
    entity = opened.entity
    require(entity.kind == kind, f"{entity.leaf.key} stands for an entity of the kind {kind}")
    require(entity.leaf.root == case.bundle.header.state_root, f"{entity.leaf.key} does not lie under the state root")
    require(entity.entries_ascend(), f"the entries of {entity.leaf.key} do not ascend")
    in_force = opens_in_force(opened, at_s, as_of_height)
    require(in_force, f"the row opened of {entity.leaf.key} is not that of the entry in force")


def _check_zone(case: Case) -> None:
    bundle, run = case.bundle, case.bundle.run
    require_in_force(case, bundle.zone, "zone", run.slot_start_s, run.as_of_height)
    entity = bundle.zone_contract.entity
    require(entity.leaf.digest == bundle.zone.entity.leaf.digest, "zone and zone_contract are two entities")
    opening_s = max(run.slot_start_s - case.zone.open_before_start_s, entity.entries[0].from_s)
    require_in_force(case, bundle.zone_contract, "zone", opening_s, run.as_of_height)
    contract = value_of(bundle.zone_contract, Zone)
    same = (contract.contract, contract.contract_pin) == (run.contract, run.contract_pin)
    require(same, "the run's contract is not the zone's")
    require(bundle.zone.entity.name == run.zone, "the zone is not the run's")


def _check_owners(case: Case) -> None:
    bundle, run = case.bundle, case.bundle.run
    for opened, kind in (
        (bundle.area, "area"),
        (bundle.party, "party"),
        (bundle.point, "point"),
        (bundle.rules, "rules"),
    ):
        require_in_force(case, opened, kind, run.slot_start_s, run.as_of_height)
    area, point = value_of(bundle.area, Area), value_of(bundle.point, PointOfSupply)
    value_of(bundle.rules, Rules)
    require(area.zone == run.zone, "the area is of another zone")
    require(area.rules == bundle.rules.entity.name, "the rules are not the area's")
    require(point.area == bundle.area.entity.name, "the point is of another area")
    require(point.party == bundle.party.entity.name, "the point is another party's")
    require(value_of(bundle.party, Party).area == bundle.area.entity.name, "the party is of another area")


def _check_prices(case: Case) -> None:
    """The rules of the point's own, and the price series that the rules name: these and no others."""
    bundle, run = case.bundle, case.bundle.run
    own = bundle.point_rules
    named = value_of(bundle.point, PointOfSupply).rules
    require((own.entity.name if own else None) == named, "not the rules that the point names")
    if own:
        require_in_force(case, own, "rules", run.slot_start_s, run.as_of_height)
        value_of(own, Rules)
    rules = [case.rules, *([value_of(own, Rules)] if own else [])]
    wanted = {name for one in rules for name in one.series.values()}
    wanted |= {one.series for one in case.agreements if one.series is not None}
    shown = [one.entity.name for one in bundle.series]
    require(shown == sorted(wanted, key=str.encode), "not the price series that the rules name")
    for one in bundle.series:
        require_in_force(case, one, "price_series", run.slot_start_s, run.as_of_height)
        value_of(one, PriceSeries)


def _check_agreements(case: Case) -> None:
    """Agreements of the point and its party on one side, in force, in order."""
    bundle, run = case.bundle, case.bundle.run
    names = [one.entity.name.encode() for one in bundle.agreements]
    require(all(a < b for a, b in pairwise(names)), "the agreements do not ascend")
    for opened, agreement in zip(bundle.agreements, case.agreements, strict=True):
        require_in_force(case, opened, "agreement", run.slot_start_s, run.as_of_height)
        require(case.own_side in (agreement.seller, agreement.buyer), "an agreement of others")


def _check_siblings(case: Case) -> None:
    """Other points of the same party and area, in order, the bundle's own not among them."""
    bundle, run = case.bundle, case.bundle.run
    names = [one.point.entity.name.encode() for one in bundle.siblings]
    require(all(a < b for a, b in pairwise(names)), "the siblings do not ascend")
    require(bundle.point.entity.name.encode() not in names, "the point is its own sibling")
    for one in bundle.siblings:
        require_in_force(case, one.point, "point", run.slot_start_s, run.as_of_height)
        point = value_of(one.point, PointOfSupply)
        require(point.area == bundle.area.entity.name, "a sibling of another area")
        require(point.party == bundle.party.entity.name, "a sibling of another party")


def _check_pieces(case: Case) -> None:
    """Each piece's entries, and that the end of one and the next one follow one another inside the slot."""
    if case.is_part_slot:
        _check_part(case, case.bundle.pieces[0])
        return
    as_of, since_s = case.bundle.run.as_of_height, case.slot_start_s
    ended_by: Opened | None = None
    for i, piece in enumerate(case.bundle.pieces):
        opened = piece.installation
        begin_s = case.slot_start_s if i == 0 else opened.row.from_s
        require_in_force(case, opened, "installation", begin_s, as_of)
        installation = value_of(opened, Installation)
        require(installation.point == case.bundle.point.entity.name, "the installation measures another point")
        if ended_by is not None:
            require(since_s <= begin_s <= case.slot_end_s, "a piece begins before the one before ends")
            require(installation.first_registers is not None, "a piece without first registers")
            is_break = isinstance(ended_by.row.value, Installation)
            require(not is_break or opened.row.digest == ended_by.row.digest, "not the entry of the break goes on")
        ended_by = piece.ended_by
        if ended_by is not None:
            since_s = _ended_at(case, opened, ended_by)
    _check_last_piece(case)


def _check_part(case: Case, piece: Piece) -> None:
    """A meter that came or went inside the slot, in a zone that measures such parts."""
    require(case.zone.measures_part_slots, "a part of a slot in a zone that measures none")
    opened, as_of, installation = piece.installation, case.bundle.run.as_of_height, case.installations[0]
    begin_s = case.slot_start_s
    if piece.ended_by is not None:
        _ended_at(case, opened, piece.ended_by)
        require(isinstance(piece.ended_by.row.value, Ended), "a meter that goes on")
    else:
        begin_s = opened.row.from_s
        require(case.slot_start_s < begin_s < case.slot_end_s, "a meter that does not come inside the slot")
        stated = installation.first_registers is not None and installation.final_registers is None
        require(stated, "a meter that was there before")
        _check_last_piece(case)
    require_in_force(case, opened, "installation", begin_s, as_of)
    require(installation.point == case.bundle.point.entity.name, "the installation measures another point")


def _ended_at(case: Case, opened: Opened, ended_by: Opened) -> int:
    as_of, at_s = case.bundle.run.as_of_height, ended_by.row.from_s
    require(ended_by.entity.leaf.digest == opened.entity.leaf.digest, "an end of another installation")
    require(case.slot_start_s < at_s < case.slot_end_s, "a piece ends outside the slot")
    require_in_force(case, ended_by, "installation", at_s, as_of)
    require(opens_in_force(opened, at_s - 1, as_of), "the end does not follow")
    value = ended_by.row.value
    if not isinstance(value, Installation | Ended):
        raise LieError("an end that is no entry of an installation")
    require(value.final_registers is not None, "an end without final registers")
    require(value.point == case.bundle.point.entity.name, "an end at another point")
    return at_s


def _check_last_piece(case: Case) -> None:
    last, changed = case.bundle.pieces[-1].installation, case.bundle.pieces[-1].end_installation
    require_in_force(case, case.last_installation, "installation", case.slot_end_s, case.bundle.run.as_of_height)
    at_end = value_of(case.last_installation, Installation)
    require(at_end.point == case.bundle.point.entity.name, "the last installation measures another point")
    if changed:
        same = changed.entity.leaf.digest == last.entity.leaf.digest
        require(same and changed.row.digest != last.row.digest, "end_installation is not another entry of the last one")
        require(at_end.final_registers is None, "a break inside the last piece")


def _check_gateways(case: Case) -> None:
    """The gateway of each reading, in force when its batch was recorded; no other one, in order."""
    shown, used = case.bundle.gateways, set()
    for reading, (installation, _) in zip(case.bundle.readings, case.ends, strict=True):
        header = reading.transaction.header
        key = f"gateway/{value_of(installation, Installation).gateway}"
        at_s, as_of = header.ledger_time_s, header.height - 1
        found = [gateway for gateway in shown if gateway.row.key == key and opens_in_force(gateway, at_s, as_of)]
        require(len(found) == 1, f"the entry of {key} in force at its batch is not shown once")
        require_in_force(case, found[0], "gateway", at_s, as_of)
        value_of(found[0], Gateway)
        used.add(found[0].row.digest)
    require(len(used) == len(shown), "a gateway's entry that no reading rests on")
    places = [_place(gateway) for gateway in shown]
    require(places == sorted(places), "the gateways do not ascend")


def _check_imported(case: Case, imported: Imported) -> None:
    """On a chain of imports, the meter of the point, and its gateway in force when the import was recorded."""
    require(not case.bundle.pieces, "meters beside an imported energy")
    require(case.bundle.chain.clock == "imported", "an import on a chain of meters")
    require_in_force(case, imported.installation, "installation", case.slot_start_s, case.bundle.run.as_of_height)
    installation = value_of(imported.installation, Installation)
    require(installation.point == case.bundle.point.entity.name, "the installation measures another point")
    header, gateways = imported.told.transaction.header, case.bundle.gateways
    require(len(gateways) == 1, "not the one gateway of an import")
    require_in_force(case, gateways[0], "gateway", header.ledger_time_s, header.height - 1)
    require(gateways[0].entity.name == installation.gateway, "the gateway is not the installation's")
    value_of(gateways[0], Gateway)


def _check_mandates(case: Case) -> None:
    """The party's entry in force in the slot as of the block before each batch of orders."""
    for order, mandate in zip(case.bundle.orders, case.bundle.mandates, strict=True):
        if mandate is not None:
            same = mandate.entity.leaf.digest == case.bundle.party.entity.leaf.digest
            require(same and mandate.entity.leaf.path == case.bundle.party.entity.leaf.path, "another party's mandate")
            as_of = order.transaction.header.height - 1
            require_in_force(case, mandate, "party", case.slot_start_s, as_of)
            value_of(mandate, Party)


def _place(opened: Opened) -> tuple[str, int, int]:
    row = opened.row
    heights = [entry.recorded_height for entry in opened.entity.entries if entry.digest == row.digest]
    return row.key, row.from_s, heights[0]


def check_registry(case: Case) -> None:
    """Claim 3."""
    _check_zone(case)
    _check_owners(case)
    _check_agreements(case)
    _check_prices(case)
    _check_siblings(case)
    if case.bundle.imported is not None:
        _check_imported(case, case.bundle.imported)
        _check_mandates(case)
        return
    if case.is_estimated:
        require(not case.bundle.pieces and not case.bundle.gateways, "meters of an estimated energy")
        return
    require(bool(case.bundle.pieces), "no meter of an energy that is not estimated")
    _check_pieces(case)
    _check_gateways(case)
    _check_mandates(case)


def check_position(case: Case) -> None:
    """Claim 4."""
    bundle, run = case.bundle, case.bundle.run
    require(bundle.position.root == run.rows_root, "the position does not lie under the run's rows")
    require(bundle.area_result.root == run.areas_root, "the area row does not lie under the run's areas")
    require(case.position.row == bundle.point.entity.number, "the position is another point's")
    for one, position in zip(bundle.siblings, case.siblings, strict=True):
        require(one.position.root == run.rows_root, "a sibling's position does not lie under the run's rows")
        require(position.row == one.point.entity.number, "a sibling's position is another point's")
    require(case.area_result.number == bundle.area.entity.number, "the area row is another area's")
    require(case.area_result.rules == bundle.rules.row.digest, "the run settled by other rules")
    if case.contract is None:
        raise UnsureError(f"the contract {run.contract} is unknown")
    require(len(case.position.columns) == case.contract.position_columns, "the position has not the contract's columns")
    same = all(len(one.columns) == case.contract.position_columns for one in case.siblings)
    require(same, "a sibling's position has not the contract's columns")
    require(len(case.area_result.columns) == case.contract.area_columns, "the area row has not the contract's columns")
