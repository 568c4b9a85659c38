"""What a bill rests on, gathered from a ledger's blocks and newest state for ``gridevidence.export``.

Rows, salts and paths are made again from what the ledger keeps: the readings from the batches in the blocks, the position from
one chunk of the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from gridcore import merkle
from gridcore.envelope import Transaction, decode_transaction
from gridcore.errors import broken
from gridcore.registry.area import AREA
from gridcore.registry.party import PARTY
from gridcore.registry.point import POINT
from gridcore.registry.rules import RULES
from gridcore.rows import PackedRows
from gridcore.transactions.approve_reading import ApproveReading
from gridcore.transactions.order_batch import OrderBatch
from gridcore.transactions.reading_batch import ReadingBatch
from gridevidence.export import encode_book, encode_bundle
from gridevidence.layout import BOOK_BYTES_MAX, TRADES_MAX
from gridevidence.sources import (
    Approval,
    ChunkedRows,
    EvidenceError,
    MeterPiece,
    ProvenOrder,
    ProvenReading,
    RowProof,
    SaltedRows,
    SettledPoint,
    Sibling,
)
from ledger.contract import Contract
from ledger.evidence_imports import find_imported
from ledger.evidence_ledger import ReaderEvidence, recorded
from ledger.gates import GateOrders, is_closed, load_areas, load_gate, load_gate_orders
from ledger.leaves.chain import CHAIN
from ledger.leaves.clearing import CLEARING
from ledger.leaves.columns import Int64, chunks, split_row
from ledger.leaves.positions import HEAD, POSITIONS
from ledger.leaves.results import RESULTS
from ledger.leaves.run import RUN, RunLeaf
from ledger.leaves.runs import RUNS, RunsLeaf
from ledger.registry.areas import Area
from ledger.registry.bodies import in_force
from ledger.registry.breaks import NOT_SAID
from ledger.registry.zones import Zone
from ledger.run_due import WantedRun, why_not_made
from ledger.runs import find_run_of_zone, lines_of, load_rows, run_words
from ledger.state.agreements import Holding, holding
from ledger.state.clear import areas_seed, book_seed, cleared_rows, fills_seed
from ledger.state.columns import decode_batch
from ledger.state.order_columns import decode_orders
from ledger.state.settle import area_rows, position_rows
from ledger.state.trades import trades_seed
from ledger.store.reader import LedgerReader
from ledger.store.rows import DecidedTransaction, IndexedBatch

Registers = tuple[int, int]
"""Import and export, Wh as the meter shows them."""


def build_bundle(
    reader: LedgerReader,
    contracts: Mapping[str, Contract],
    *,
    party: str,
    slot_start_s: int,
    line_kind: str,
    run: str | None = None,
    point: str | None = None,
) -> bytes:
    """The bundle of what a party was billed for a point in a slot, under the newest certified header.

    Args:
        reader: the ledger; kept at one height only while the paths to that header are taken.
        contracts: by id; the run's contract says which lines there are.
        party: id of the party.
        slot_start_s: start of the slot, UTC seconds.
        line_kind: the line that is asked about: a kind of the run's contract that the party has in this slot.
        run: name of the settlement run; None: the last one.
        point: which of the party's points; None: the first by name that has the line.

    Raises:
        EvidenceError: no such party, run, point or line.
        EvidenceNotYetError: what the bill rests on is in no certified history yet; one of the next blocks makes it provable.
    """
    area, leaf, rows = _find_run(reader, party, slot_start_s, run)
    own = [row for row in rows.tolist() if point in (None, area.zone.points[row])]
    if not own:
        raise EvidenceError(f"party {party!r}: no point {point!r} is billed to it in the slot")
    row = _row_with_line(reader, contracts, area, leaf, own, line_kind)
    return encode_bundle(ReaderEvidence(reader), _settled_point(reader, contracts[leaf.contract], area, leaf, row))


def build_row_bundle(
    reader: LedgerReader,
    contracts: Mapping[str, Contract],
    *,
    area_id: str,
    slot_start_s: int,
    row: int,
    run: str | None = None,
) -> bytes:
    """The bundle of a row of the run of an area's zone, whoever is billed for it: what a sample of rows asks for.

    Raises:
        EvidenceError: no such area, run or row, or nobody is billed for it.
        EvidenceNotYetError: as ``build_bundle``.
    """
    found = reader.registry.zone_of_area(area_id)
    if found is None:
        raise EvidenceError(f"no area {area_id!r} on this chain")
    zone = found[0]
    leaf = _run_of_zone(reader, area_id, zone, slot_start_s, run)
    zone_then = reader.zone_at(zone, slot_start_s, leaf.as_of_height)
    if not 0 <= row < leaf.rows:
        raise EvidenceError(f"row {row}: run {leaf.run} has {leaf.rows} rows")
    number = int(zone_then.area[row])
    area = Area(zone.areas[number], number, zone_then, reader.registry)
    if area.party_of(row) is None:
        raise EvidenceError(f"row {row}: nobody is billed for it")
    return encode_bundle(ReaderEvidence(reader), _settled_point(reader, contracts[leaf.contract], area, leaf, row))


def build_book(reader: LedgerReader, area_id: str, slot_start_s: int) -> bytes:
    """The anonymous order book of a cleared slot, as ``verify --with-book`` reads it. EvidenceError where none was cleared, and for one too large for that.

    It is empty where the gate has closed without orders.
    """
    found = reader.registry.zone_of_area(area_id)
    if found is None or not is_closed(reader, found[0], slot_start_s):
        raise EvidenceError(f"area {area_id}, slot {slot_start_s}: not cleared yet")
    if CLEARING.load(reader, slot_start_s, found[0].name) is None:
        return encode_book(SaltedRows(PackedRows.of([]), b""))
    orders = load_gate_orders(reader, found[0], slot_start_s, found[1])
    book = encode_book(SaltedRows(orders.book_rows, book_seed(orders.seed)))
    if len(book) > BOOK_BYTES_MAX:
        what = f"area {area_id}, slot {slot_start_s}: the book of {len(orders.book_rows)} orders has {len(book)} bytes"
        raise EvidenceError(f"{what}; verifiers read {BOOK_BYTES_MAX}: check bundles without it")
    return book


# ------------------------------------------------------------------------------------------------------ run and line


def _find_run(reader: LedgerReader, party: str, slot_start_s: int, run: str | None) -> tuple[Area, RunLeaf, Int64]:
    """The party's area as it was in the slot, the run, and the rows of the zone that are billed to the party, by name."""
    registered = in_force(reader, PARTY, party, slot_start_s, reader.height) if slot_start_s >= 0 else None
    known = registered or in_force(reader, PARTY, party, reader.ledger_time_s, reader.height)
    found = None if known is None else reader.registry.zone_of_area(known.record.area)
    if known is None or found is None:
        raise EvidenceError(f"party {party!r}: none of that name is billed on this chain")
    zone, number = found
    leaf = _run_of_zone(reader, known.record.area, zone, slot_start_s, run)
    zone_then = reader.zone_at(zone, slot_start_s, leaf.as_of_height)
    area = Area(known.record.area, number, zone_then, reader.registry)
    rows = area.settling_rows_of(party)
    if not len(rows):
        others = [*_runs_that_bill(reader, zone, area.id, slot_start_s, party)]
        raise EvidenceError(
            f"party {party!r}: run {leaf.run} of slot {slot_start_s} bills it no point; {' and '.join(others)} did: name it as the run"
            if others
            else f"party {party!r}: none of that name is billed on this chain"
        )
    return area, leaf, rows


def _runs_that_bill(reader: LedgerReader, zone: Zone, area_id: str, slot_start_s: int, party: str) -> Iterator[str]:
    """The names of a slot's runs that bill a point of an area to a party: a late change of who is billed leaves it in the earlier ones alone."""
    for name, _ in (RUNS.load(reader, slot_start_s, zone.name) or RunsLeaf([])).runs:
        leaf = RUN.must(reader, slot_start_s, zone.name, name)
        zone_then = reader.zone_at(zone, slot_start_s, leaf.as_of_height)
        if len(Area(area_id, zone.areas.index(area_id), zone_then, reader.registry).settling_rows_of(party)):
            yield name


def _run_of_zone(reader: LedgerReader, area_id: str, zone: Zone, slot_start_s: int, run: str | None) -> RunLeaf:
    """A run of an area's zone; EvidenceError, which says why, where it has not been made."""
    leaf = find_run_of_zone(reader, zone.name, slot_start_s, run)
    if leaf is None:
        runs = RUNS.load(reader, slot_start_s, zone.name) or RunsLeaf([])
        names = [name for name, _ in runs.runs]
        wanted = WantedRun(slot_start_s, CHAIN.must(reader).slot_s, run, names)
        why = why_not_made(zone.timeline, wanted, reader.ledger_time_s)
        raise EvidenceError(f"slot {slot_start_s} of area {area_id}: no {run_words(run)} yet: {why}")
    return leaf


def _row_with_line(
    reader: LedgerReader,
    contracts: Mapping[str, Contract],
    area: Area,
    leaf: RunLeaf,
    rows: Sequence[int],
    line_kind: str,
) -> int:
    """The first of some rows that has a line of this kind in the run; EvidenceError where none has."""
    lines = lines_of(reader, contracts, area, leaf, load_rows(reader, leaf, np.array(rows)))
    if line_kind not in [line.kind for line in lines]:
        raise EvidenceError(f"line kind {line_kind!r}: one of {', '.join(line.kind for line in lines)}")
    of_kind = [at for line in lines if line.kind == line_kind for at in np.flatnonzero(line.energy_wh).tolist()]
    if not of_kind:
        party, slot_start_s = area.party_of(rows[0]), leaf.slot_start_s
        raise EvidenceError(f"{party} has no line {line_kind} in slot {slot_start_s}, run {leaf.run}")
    return rows[min(of_kind)]


# ---------------------------------------------------------------------------------------------------- what it rests on


def _settled_point(reader: LedgerReader, contract: Contract, area: Area, leaf: RunLeaf, row: int) -> SettledPoint:
    """The part of ``build_bundle`` that takes time; blocks are made meanwhile."""
    zone, slot_start_s, slot_s = area.zone, leaf.slot_start_s, CHAIN.must(reader).slot_s
    party = area.party_of(row) or broken(f"row {row} of zone {leaf.zone} is billed to a party")
    registered = in_force(reader, AREA, area.id, slot_start_s, leaf.as_of_height)
    area_rules = (
        registered.record.rules if registered is not None else broken(f"area {area.id} was in force in the slot")
    )
    shown = in_force(reader, POINT, zone.points[row], slot_start_s, leaf.as_of_height)
    point_rules = shown.record.rules if shown is not None else broken(f"point {zone.points[row]} was in force")
    named = [area_rules] if point_rules is None else [area_rules, point_rules]
    imported = find_imported(reader, area, leaf, row, slot_s)
    is_read = imported is None and not load_rows(reader, leaf, np.array([row])).is_estimated[0]
    orders = _orders(reader, area, slot_start_s, party)
    series = {series for name in named for series in _series_of(reader, name, leaf)}
    agreed = _agreed(reader, area, leaf, row) if contract.takes_agreements else []
    return SettledPoint(
        zone=zone.name,
        area=area.id,
        rules=area_rules,
        party=party,
        point=zone.points[row],
        pieces=_pieces(reader, area, leaf, row, slot_s) if is_read else [],
        run=leaf.run,
        slot_start_s=slot_start_s,
        slot_s=slot_s,
        as_of_height=leaf.as_of_height,
        open_before_start_s=zone.timeline.open_before_start_s,
        position=_position(reader, contract, leaf, row),
        area_result=_area_result(reader, contract, leaf, area.number),
        orders=orders,
        cleared_area=_cleared_area(reader, area, slot_start_s) if orders else None,
        imported=imported,
        siblings=_siblings(reader, contract, area, leaf, row) if orders else (),
        point_rules=point_rules,
        series=sorted(series | {held.agreement.series for held in agreed if held.agreement.series is not None}),
        agreements=[held.name for held in agreed],
    )


def _agreed(reader: LedgerReader, area: Area, leaf: RunLeaf, row: int) -> list[Holding]:
    """The agreements of a row that held in a run's slot, ascending by name."""
    zone = reader.zone_at(area.zone, leaf.slot_start_s, leaf.as_of_height)
    held = holding(reader, area.registry.parties, zone, leaf.slot_start_s, leaf.as_of_height)
    return [one for one in held if row in (one.seller, one.buyer)]


def _series_of(reader: LedgerReader, rules: str, leaf: RunLeaf) -> Sequence[str]:
    """The price series that rules name in a run's slot."""
    found = in_force(reader, RULES, rules, leaf.slot_start_s, leaf.as_of_height)
    series = found.record.series if found is not None else broken(f"rules {rules} were in force in the slot")
    return list((series or {}).values())


def _position(reader: LedgerReader, contract: Contract, leaf: RunLeaf, row: int) -> RowProof:
    """The row of a point, out of its chunk alone; of the other chunks their roots."""
    chunk, at = split_row(row)
    parts = [
        POSITIONS.must(reader, leaf.slot_start_s, leaf.zone, leaf.run, number) for number, _, _ in chunks(leaf.rows)
    ]
    own, first = parts[chunk], row - at
    columns = {name: own.columns[name] for name in (*HEAD, *contract.position_columns)}
    rows = ChunkedRows(
        chunk=chunk,
        rows=position_rows(first, own.quality, columns),
        salts=merkle.salts(own.seed, len(own.quality), first),
        chunk_roots=[part.root for part in parts],
    )
    return rows.proof(at, leaf.rows_root, "position")


def _siblings(reader: LedgerReader, contract: Contract, area: Area, leaf: RunLeaf, row: int) -> list[Sibling]:
    """The other points of the party of a row, among which its fills were dealt."""
    others = [one for one in area.settling_rows_of(area.party_of(row) or "").tolist() if one != row]
    return [Sibling(area.zone.points[one], _position(reader, contract, leaf, one)) for one in others]


def _area_result(reader: LedgerReader, contract: Contract, leaf: RunLeaf, number: int) -> RowProof:
    parts = [RESULTS.must(reader, leaf.slot_start_s, leaf.zone, leaf.run, chunk) for chunk, _, _ in chunks(leaf.areas)]
    rules = np.concatenate([part.rules for part in parts])
    columns: list[Int64] = [np.concatenate([part.columns[name] for part in parts]) for name in contract.area_columns]
    rows = SaltedRows(area_rows(rules, columns), areas_seed(parts[0].seed))
    return rows.proof(number, leaf.areas_root, "area")


def _cleared_area(reader: LedgerReader, area: Area, slot_start_s: int) -> RowProof:
    clearing = CLEARING.must(reader, slot_start_s, area.zone.name)
    cleared = load_areas(reader, area.zone, slot_start_s)
    return SaltedRows(cleared_rows(cleared), areas_seed(cleared.seed)).proof(
        area.number, clearing.areas_root, "cleared area"
    )


def _orders(reader: LedgerReader, area: Area, slot_start_s: int, party: str) -> list[ProvenOrder]:
    """Every order of the party that was filled, ascending by counter."""
    clearing = CLEARING.load(reader, slot_start_s, area.zone.name)
    gate = None if clearing is None else load_gate(reader, clearing, area.number)
    if gate is None or not gate.orders:
        return []
    orders = load_gate_orders(reader, area.zone, slot_start_s, area.number)
    fills, number = orders.fills, reader.registry.party_number[party]
    own = np.flatnonzero((fills.party == number) & (fills.filled_wh > 0))
    rows = SaltedRows(orders.fill_rows, fills_seed(orders.seed))
    own = own[np.argsort(fills.counter[own], kind="stable")]
    trades_of = _trades_of_orders(orders, own, gate.trades_root)
    proven = []
    for at, trades in zip(own.tolist(), trades_of, strict=True):
        decided = _transaction(reader, orders.ids[at].tobytes())
        transaction, fill = decode_transaction(decided.wire), rows.proof(at, gate.fills_root, "fill")
        placed = _placed(transaction, number, int(fills.counter[at]))
        proven.append(ProvenOrder(recorded(reader, decided, transaction), fill, placed, trades))
    return proven


def _trades_of_orders(orders: GateOrders, own: Int64, trades_root: bytes | None) -> list[list[RowProof]]:
    """The trades of some orders, by their places among the fills; of none where a bundle does not show as many."""
    places = [np.flatnonzero((orders.trades.buy == at) | (orders.trades.sell == at)).tolist() for at in own.tolist()]
    if trades_root is None or sum(map(len, places)) > TRADES_MAX:
        return [[] for _ in places]
    rows = SaltedRows(orders.trade_rows, trades_seed(orders.seed))
    return [[rows.proof(place, trades_root, "trade") for place in of_order] for of_order in places]


def _placed(transaction: Transaction, party: int, counter: int) -> RowProof | None:
    """The row of an order in an aggregator's batch, None where the transaction is the order: the first of the party and counter."""
    if transaction.kind != OrderBatch.kind:
        return None
    batch = OrderBatch.decode(transaction)
    columns = decode_orders(transaction.attachment, batch.rows)
    row = int(np.flatnonzero((columns.party == party) & (columns.counter == counter))[0])
    return SaltedRows(columns.rows, columns.seed).proof(row, batch.rows_root, batch.kind)


def _pieces(reader: LedgerReader, area: Area, leaf: RunLeaf, row: int, slot_s: int) -> list[MeterPiece]:
    """The meters that measured the slot of a row, one behind the other; of a part slot the one that was put up, or taken down, inside it."""
    with reader.frozen():
        registry, start_s, end_s = reader.registry, leaf.slot_start_s, leaf.slot_start_s + slot_s
        columns = registry.columns
        entries = columns.installation_entries
        breaks = registry.breaks.within(columns, start_s, end_s, leaf.as_of_height)
    shown = _shown_registers(reader, leaf, row)
    point, place, begin_s = (
        registry.points_of(area.zone.place).start + row,
        int(area.in_force.installation[row]),
        start_s,
    )
    start = _end(reader, place, start_s, leaf.as_of_height, shown[0]) if place >= 0 else None
    pieces = []
    for entry in breaks.tolist():
        meter, at_s = int(entries.entity[entry]), int(entries.from_s[entry])
        if columns.installation_point[meter] != point:
            continue
        if columns.final_import_wh[entry] != NOT_SAID:
            pieces.append(MeterPiece(int(registry.numbers[place]), begin_s, ended_s=at_s, start=start))
            place, start = -1, None
        if columns.first_import_wh[entry] != NOT_SAID:
            place, begin_s = meter, at_s
    if place < 0:
        return pieces
    end = _end(reader, place, end_s, leaf.as_of_height, shown[1])
    return [*pieces, MeterPiece(int(registry.numbers[place]), begin_s, start=start, end=end)]


def _shown_registers(reader: LedgerReader, leaf: RunLeaf, row: int) -> tuple[Registers, Registers]:
    """The registers of a position at the slot's start and at its end: import and export each."""
    chunk, at = split_row(row)
    columns = POSITIONS.must(reader, leaf.slot_start_s, leaf.zone, leaf.run, chunk).columns
    start_import, end_import, start_export, end_export = (int(columns[name][at]) for name in HEAD[:4])
    return (start_import, start_export), (end_import, end_export)


def _end(
    reader: LedgerReader, place: int, boundary_s: int, as_of_height: int, registers: Registers
) -> ProvenReading | Approval:
    """What tells a meter's registers at a boundary: the newest approval, else the row of a batch of its gateway."""
    registry = reader.registry
    with reader.frozen():
        gateway = registry.gateways[int(registry.at(boundary_s, as_of_height).gateway[place])]
    number = int(registry.numbers[place])
    for act in reader.accepted_acts(ApproveReading.kind, as_of_height + 1):
        decided = _transaction(reader, act.id)
        transaction = decode_transaction(decided.wire)
        approval = ApproveReading.decode(transaction)
        if (approval.installation, approval.boundary_s) == (number, boundary_s):
            return Approval(recorded(reader, decided, transaction), gateway)
    return _reading(reader, number, gateway, boundary_s, registers)


def _reading(reader: LedgerReader, number: int, gateway: str, boundary_s: int, registers: Registers) -> ProvenReading:
    """The row that gave a meter's registers at a boundary: the first one of its gateway's batches that was not refused."""
    for transaction_id in _batches(reader, gateway, boundary_s):
        decided = _transaction(reader, transaction_id)
        transaction = decode_transaction(decided.wire)
        batch = ReadingBatch.decode(transaction)
        columns = decode_batch(transaction.attachment, batch.rows)
        refused = {verdict.row for verdict in reader.refused_rows(gateway, batch.epoch, batch.counter)}
        for row in np.flatnonzero(columns.meter == number).tolist():
            if row not in refused and registers == (columns.import_wh[row], columns.export_wh[row]):
                proof = SaltedRows(columns.rows, columns.seed).proof(row, batch.rows_root, batch.kind)
                return ProvenReading(recorded(reader, decided, transaction), proof)
    if reader.joined_height:
        raise reader.before_joining(f"the reading of installation {number} at {boundary_s}")
    return broken(f"the registers of installation {number} at {boundary_s} came in a batch, or were approved")


def _batches(reader: LedgerReader, gateway: str, boundary_s: int) -> Iterator[bytes]:
    """Transaction ids of a gateway's accepted batches for a boundary, in block order, page by page."""
    after: IndexedBatch | None = None
    while page := reader.find_batches(gateway, boundary_s, boundary_s, after):
        yield from (batch.id for batch in page)
        after = page[-1]


def _transaction(reader: LedgerReader, transaction_id: bytes) -> DecidedTransaction:
    found = reader.transaction(transaction_id)
    return found if found is not None else broken(f"transaction {transaction_id.hex()} stands in a block")
