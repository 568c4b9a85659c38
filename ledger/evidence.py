"""What a bill line rests on, gathered from a ledger's blocks and newest state for ``gridevidence.export``.

Rows, salts and paths are made again from what the ledger keeps: the readings from the batches in the blocks, lines from the
positions by the area's contract.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gridcore.codes import Code
from gridcore.envelope import Transaction, decode_transaction
from gridcore.errors import broken
from gridcore.sm3 import sm3
from gridcore.transactions.reading_batch import ReadingBatch
from gridevidence.export import (
    EvidenceError,
    LeafKeys,
    LineEvidence,
    ProvenOrder,
    ProvenReading,
    RecordedTransaction,
    RowProof,
    SaltedRows,
    encode_book,
    encode_bundle,
)
from ledger.contract import Contract
from ledger.leaves.area import AREA
from ledger.leaves.book import load_orders
from ledger.leaves.chain import CHAIN
from ledger.leaves.clearing import CLEARING, ClearingLeaf
from ledger.leaves.columns import Int64
from ledger.leaves.exception import EXCEPTION
from ledger.leaves.fills import Fill, load_fills
from ledger.leaves.gateway import GATEWAY
from ledger.leaves.installation import INSTALLATION
from ledger.leaves.party import PARTY
from ledger.leaves.rules import RULES
from ledger.leaves.run import RUN
from ledger.leaves.signer import SIGNER
from ledger.runs import SettledRun, load_run
from ledger.state.columns import decode_batch, encode_rows
from ledger.state.market import book_seed, fills_seed, gate_rows
from ledger.state.registry import Area
from ledger.state.runs import INITIAL, line_fields, row_fields
from ledger.store.reader import DecidedTransaction, LedgerReader


def build_bundle(
    reader: LedgerReader,
    contracts: Mapping[str, Contract],
    *,
    party: str,
    slot_start_s: int,
    line_kind: str,
    run: str = INITIAL,
) -> bytes:
    """The bundle of one line of a party's bill, under the newest header.

    Args:
        reader: the ledger; kept at one height only while the paths to its newest header are taken.
        contracts: by id; the run's contract computes the lines again.
        party: id of the party.
        slot_start_s: start of the slot, UTC seconds.
        line_kind: one of the kinds of the run's contract.
        run: name of the settlement run.

    Raises:
        EvidenceError: no such party, run or line.
        EvidenceNotYetError: what the line rests on stands in the newest block; one block later it can be proved.
    """
    return encode_bundle(reader, _find_line(reader, contracts, party, slot_start_s, line_kind, run))


def build_book(reader: LedgerReader, area_id: str, slot_start_s: int) -> bytes:
    """The anonymous order book of a cleared slot, as ``verify --with-book`` reads it. EvidenceError where none was cleared."""
    area = next((known for known in reader.registry.areas if known.id == area_id), None)
    gate = _load_gate(reader, area, slot_start_s) if area else None
    if gate is None:
        raise EvidenceError(f"area {area_id}, slot {slot_start_s}: not cleared yet")
    return encode_book(gate.book_rows())


# ---------------------------------------------------------------------------------------------------- what a line rests on


@dataclass(frozen=True)
class _Gate:
    """A cleared slot: the clearing leaf, its fills by order id, and the meter of each order's party."""

    clearing: ClearingLeaf
    fills: Sequence[Fill]
    meters: Sequence[int]
    seed: bytes

    def fill_rows(self) -> SaltedRows:
        """The rows of ``fills_root``."""
        return SaltedRows(gate_rows(self.meters, self.fills).fills, fills_seed(self.seed))

    def book_rows(self) -> SaltedRows:
        """The rows of ``book_root``."""
        return SaltedRows(gate_rows(self.meters, self.fills).book, book_seed(self.seed))


def _load_gate(reader: LedgerReader, area: Area, slot_start_s: int) -> _Gate | None:
    clearing = CLEARING.load(reader, area.id, slot_start_s)
    if clearing is None:
        return None
    whole = load_fills(reader, area.id, slot_start_s, clearing.orders)
    rows = [area.settling_row_of[fill.party] for fill in whole.fills]
    return _Gate(clearing, whole.fills, area.settling_numbers[rows].tolist(), whole.seed)


def _orders(reader: LedgerReader, gate: _Gate, party: str) -> list[ProvenOrder]:
    """Every order of the party that was filled, ascending by counter."""
    own = sorted(
        (fill.counter, index) for index, fill in enumerate(gate.fills) if fill.party == party and fill.filled_wh > 0
    )
    if not own:
        return []
    book = load_orders(reader, gate.clearing.area, gate.clearing.slot_start_s)
    ids = {order.counter: order.transaction_id for order in book if order.party == party}
    rows = gate.fill_rows()
    orders = []
    for counter, index in own:
        decided = _transaction(reader, ids[counter])
        fill = rows.proof(index, gate.clearing.fills_root, "fill")
        orders.append(ProvenOrder(_recorded(reader, decided, decode_transaction(decided.wire)), fill))
    return orders


def _reading(reader: LedgerReader, gateway: str, number: int, boundary_s: int) -> ProvenReading:
    """The row that gave a meter's register of a boundary: the first one of its gateway's batches that was not refused."""
    for transaction_id in _batches(reader, gateway, boundary_s):
        decided = _transaction(reader, transaction_id)
        transaction = decode_transaction(decided.wire)
        batch = ReadingBatch.decode(transaction)
        columns = decode_batch(transaction.attachment, batch.rows)
        exception = EXCEPTION.load(reader, gateway, batch.epoch, batch.counter)
        refused = {verdict.row for verdict in exception.rows} if exception else set()
        for row in np.flatnonzero(columns.meter == number).tolist():
            if row not in refused:
                proof = SaltedRows(columns.rows, columns.seed).proof(row, batch.rows_root, batch.kind)
                return ProvenReading(_recorded(reader, decided, transaction), proof)
    return broken(f"the register of meter {number} came in a batch")


def _batches(reader: LedgerReader, gateway: str, boundary_s: int) -> Iterator[bytes]:
    """Transaction ids of a gateway's accepted batches for a boundary, in block order, page by page."""
    after = (boundary_s, 0, 0)
    while page := reader.find_batches(gateway, boundary_s, boundary_s, after):
        yield from (transaction_id for *_, transaction_id in page)
        after = page[-1][:3]


def _transaction(reader: LedgerReader, transaction_id: bytes) -> DecidedTransaction:
    found = reader.transaction(transaction_id)
    return found if found is not None else broken(f"transaction {transaction_id.hex()} stands in a block")


# ------------------------------------------------------------------------------------------------------------- line


def _find_line(
    reader: LedgerReader,
    contracts: Mapping[str, Contract],
    party: str,
    slot_start_s: int,
    line_kind: str,
    run_name: str,
) -> LineEvidence:
    """The part of ``build_bundle`` that takes time; blocks are made meanwhile."""
    registered = PARTY.load(reader, party)
    area = next((known for known in reader.registry.areas if registered and known.id == registered.area), None)
    if registered is None or area is None or party not in area.settling_row_of:
        raise EvidenceError(f"party {party!r}: none of that name is billed on this chain")
    run = load_run(reader, contracts, area, slot_start_s, run_name)
    if run is None:
        raise EvidenceError(f"slot {slot_start_s} of area {area.id}: no run {run_name!r} (yet)")
    gate = _load_gate(reader, area, slot_start_s) or broken("a settled slot was cleared")
    orders = _orders(reader, gate, party)
    line, input_row, position = _result_rows(area, run, party, line_kind)
    number = int(area.settling_numbers[area.settling_row_of[party]])
    gateway, slot_s = INSTALLATION.must(reader, number).gateway, CHAIN.must(reader).slot_s
    has_orders = any(fill.party == party for fill in gate.fills)
    return LineEvidence(
        keys=LeafKeys(
            chain=CHAIN.key(),
            run=RUN.key(area.id, slot_start_s, run_name),
            rules=RULES.key(AREA.must(reader, area.id).rules),
            installation=INSTALLATION.key(number),
            gateway=GATEWAY.key(gateway),
            gateway_signer=SIGNER.key(gateway),
            clearing=CLEARING.key(area.id, slot_start_s) if has_orders else "",
            party_signer=SIGNER.key(party) if orders else "",
        ),
        line=line,
        input=input_row,
        position=position,
        start=_reading(reader, gateway, number, slot_start_s),
        end=_reading(reader, gateway, number, slot_start_s + slot_s),
        orders=orders,
    )


def _recorded(reader: LedgerReader, decided: DecidedTransaction, transaction: Transaction) -> RecordedTransaction:
    if decided.code != Code.ACCEPTED:
        broken(f"transaction {decided.id.hex()} was accepted")
    return RecordedTransaction(
        height=decided.height,
        signed=transaction.signed,
        signature=transaction.signature,
        attachment_digest=sm3(transaction.attachment),
        header=reader.header_bytes(decided.height),
        data_path=reader.data_path(decided.height, decided.position),
    )


def _result_rows(area: Area, run: SettledRun, party: str, line_kind: str) -> tuple[RowProof, RowProof, RowProof]:
    """Row proofs of line, input and position."""
    kinds = [line.kind for line in run.lines]
    if line_kind not in kinds:
        raise EvidenceError(f"line kind {line_kind!r}: one of {', '.join(kinds)}")
    lines = line_fields(area, run.lines)
    point = area.settling_row_of[party]
    number = int(area.settling_numbers[point])
    at = np.flatnonzero((lines[0][1] == number) & (lines[1][1] == kinds.index(line_kind)))
    if not len(at):
        raise EvidenceError(f"{party} has no line {line_kind} in slot {run.leaf.slot_start_s}, run {run.leaf.run}")

    def proof(name: str, fields: list[tuple[str, Int64]], index: int, root: bytes) -> RowProof:
        rows = SaltedRows(encode_rows(fields), sm3(run.kept.seed + name.encode()))
        return rows.proof(index, root, name)

    fields, leaf = row_fields(area, run.kept), run.leaf
    return (
        proof("line", lines, int(at[0]), leaf.line_root),
        proof("input", fields["input"], point, leaf.input_root),
        proof("position", fields["position"], point, leaf.position_root),
    )
