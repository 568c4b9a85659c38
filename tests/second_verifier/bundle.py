"""An evidence bundle as typed records: the table of docs/spec/bundle.md. Reading one is claim 1, *shape*."""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.second_verifier.encoding import (
    Item,
    MalformedError,
    as_array,
    as_bytes,
    as_int,
    as_map,
    as_name,
    as_natural,
    as_time,
    decode,
)
from tests.second_verifier.leaves import Chain, Clearing, Run, Runs, as_chain, as_clearing, as_run, as_runs
from tests.second_verifier.orders import Order, as_orders
from tests.second_verifier.proofs import (
    TRANSACTION_KEYS,
    Approval,
    Enrolment,
    Header,
    Import,
    Leaf,
    Reading,
    RowProof,
    Transaction,
    as_approval,
    as_enrolment,
    as_header,
    as_import,
    as_leaf,
    as_reading,
    as_row_proof,
)
from tests.second_verifier.registry import Entity, Opened, RegistryRow, as_entity, as_opened, as_registry_row
from tests.second_verifier.rows import read_area_result, read_position
from tests.second_verifier.sm import is_public_key
from tests.second_verifier.trees import Path, as_path

MAX_BYTES = 1_048_576


class OtherVersionError(Exception):
    """A bundle of a version that this verifier does not know."""


@dataclass(frozen=True)
class Piece:
    installation: Opened
    start: Reading | Approval | None
    end: Reading | Approval | None
    end_installation: Opened | None
    ended_by: Opened | None

    @property
    def is_part(self) -> bool:
        """Whether one end alone of the slot is read: its meter came, or went, inside it."""
        return (self.start is not None, self.end is not None) == (self.ended_by is not None, self.ended_by is None)


def _piece(item: Item) -> Piece:
    fields = as_map(item, "installation", "approved_end approved_start end end_installation ended_by start")
    return Piece(
        installation=as_opened(fields["installation"]),
        start=_end(fields, "start"),
        end=_end(fields, "end"),
        end_installation=as_opened(fields["end_installation"]) if "end_installation" in fields else None,
        ended_by=as_opened(fields["ended_by"]) if "ended_by" in fields else None,
    )


def _end(fields: Mapping[str, Item], when: str) -> Reading | Approval | None:
    approved = f"approved_{when}"
    if when in fields and approved in fields:
        raise MalformedError("a reading and an approval of one end")
    if approved in fields:
        return as_approval(fields[approved])
    return as_reading(fields[when]) if when in fields else None


def _pieces(item: Item) -> tuple[Piece, ...]:
    pieces = tuple(_piece(piece) for piece in as_array(item, 0, 4))
    if len(pieces) == 1 and pieces[0].is_part:
        if pieces[0].ended_by is not None and pieces[0].end_installation is not None:
            raise MalformedError("an entry at the end of a meter that was taken down")
        return pieces
    for i, piece in enumerate(pieces):
        first, last = i == 0, i == len(pieces) - 1
        if (piece.start is not None) != first or (piece.end is not None) != last:
            raise MalformedError("readings that are not of the first and the last piece")
        if (piece.ended_by is None) != last or (piece.end_installation is not None and not last):
            raise MalformedError("a piece with parts of another place")
    return pieces


@dataclass(frozen=True)
class Imported:
    """What was imported, and the meter of it."""

    told: Import
    installation: Opened


def _imported(item: Item) -> Imported:
    fields = as_map(item, TRANSACTION_KEYS + "installation interval")
    return Imported(as_import(fields), as_opened(fields["installation"]))


@dataclass(frozen=True)
class Sibling:
    """Another point of the party."""

    point: Opened
    position: RowProof


def _sibling(item: Item) -> Sibling:
    fields = as_map(item, "point position")
    position = as_row_proof(fields["position"])
    read_position(position.row)
    return Sibling(as_opened(fields["point"]), position)


@dataclass(frozen=True)
class Voted:
    """A proposal that has passed; `gives`: whether its action has a row with the key and value of an entry's row."""

    leaf: Leaf
    decided_height: int
    gives: bool


def as_voted(item: Item, entry: bytes) -> Voted:
    proof = as_map(item, "leaf path")
    leaf = as_leaf(proof["leaf"], proof["path"])
    names = "action against decided_height in_favour open_until_s organisation proposed_height status"
    fields = as_map(leaf.value, names)
    for name in (*as_array(fields["against"]), *as_array(fields["in_favour"], 1), fields["organisation"]):
        as_name(name)
    as_time(fields["open_until_s"])
    as_natural(fields["proposed_height"])
    if fields["status"] != "passed":
        raise MalformedError("a proposal that has not passed")
    action = as_map(decode(as_bytes(fields["action"]), booleans=True), "rows seed sort")
    as_bytes(action["seed"], 32)
    if action["sort"] != "membership":
        raise MalformedError("a proposal that gives no keys")
    rows = as_array(action["rows"], 1, 16)
    for row in rows:
        key, value = as_array(row, 2, 2)
        if not isinstance(key, str) or not isinstance(value, dict):
            raise MalformedError("a row of members is a key and a map")
    key, _, value = as_array(decode(entry, booleans=True), 3, 3)
    return Voted(leaf, as_natural(fields["decided_height"]), [key, value] in rows)


@dataclass(frozen=True)
class KeyEntry:
    row: RegistryRow
    genesis: Entity | None
    enrolment: Enrolment | None
    voted: Voted | None = None


@dataclass(frozen=True)
class Key:
    entity: Entity
    entries: tuple[KeyEntry, ...]


def _key_entry(item: Item) -> KeyEntry:
    fields = as_map(item, "row salt", "genesis enrolment voted")
    if len(fields) != 3:
        raise MalformedError("a key's entry needs one of genesis, enrolment and voted")
    row = as_registry_row(fields["row"], fields["salt"])
    if "voted" in fields:
        return KeyEntry(row, None, None, as_voted(fields["voted"], as_bytes(fields["row"])))
    if "enrolment" in fields:
        return KeyEntry(row, None, as_enrolment(fields["enrolment"]))
    proof = as_map(fields["genesis"], "leaf path")
    return KeyEntry(row, as_entity(proof["leaf"], proof["path"]), None)


def _key(item: Item) -> Key:
    fields = as_map(item, "entries leaf path")
    entries = tuple(_key_entry(entry) for entry in as_array(fields["entries"], 1, 4))
    return Key(as_entity(fields["leaf"], fields["path"]), entries)


@dataclass(frozen=True)
class Signature:
    public_key: bytes
    signature: bytes


def _certificate(item: Item) -> tuple[Signature, ...]:
    pairs = [as_array(pair, 2, 2) for pair in as_array(item)]
    return tuple(Signature(as_public_key(key), as_bytes(signature, 64)) for key, signature in pairs)


def as_public_key(item: Item) -> bytes:
    key = as_bytes(item, 65)
    if not is_public_key(key):
        raise MalformedError("not a public key")
    return key


@dataclass(frozen=True)
class HandOver:
    certificate: tuple[Signature, ...]
    header: Header
    path: Path
    signers: tuple[tuple[bytes, int], ...]


def _hand_over(item: Item) -> HandOver:
    fields = as_map(item, "certificate header path signers")
    pairs = [as_array(pair, 2, 2) for pair in as_array(fields["signers"], 1)]
    signers = tuple((as_public_key(key), as_int(power, 1, 2**31)) for key, power in pairs)
    return HandOver(_certificate(fields["certificate"]), as_header(fields["header"]), as_path(fields["path"]), signers)


@dataclass(frozen=True)
class Placed:
    """A header and the path from its digest to the history_root of another one (genesis), or of it (certified)."""

    header: Header
    path: Path


def _placed(item: Item) -> Placed:
    fields = as_map(item, "header path")
    return Placed(as_header(fields["header"]), as_path(fields["path"]))


@dataclass(frozen=True)
class Bundle:
    area: Opened
    agreements: tuple[Opened, ...]
    area_result: RowProof
    certificate: tuple[Signature, ...]
    certified: Placed | None
    chain: Chain
    clearing: Clearing | None
    gateways: tuple[Opened, ...]
    genesis: Placed
    handovers: tuple[HandOver, ...]
    header: Header
    imported: Imported | None
    keys: tuple[Key, ...]
    orders: tuple[Order, ...]
    mandates: tuple[Opened | None, ...]  # beside each order: of those in a batch
    party: Opened
    pieces: tuple[Piece, ...]
    point: Opened
    point_rules: Opened | None
    position: RowProof
    rules: Opened
    run: Run
    runs: Runs
    series: tuple[Opened, ...]
    siblings: tuple[Sibling, ...]
    zone: Opened
    zone_contract: Opened

    @property
    def readings(self) -> list[Reading | Approval]:
        """What tells the registers at the start, then at the end."""
        ends = (self.pieces[0].start, self.pieces[-1].end) if self.pieces else ()
        return [reading for reading in ends if reading is not None]

    @property
    def transactions(self) -> list[Transaction]:
        enrolments = [entry.enrolment for key in self.keys for entry in key.entries if entry.enrolment is not None]
        return [
            *(reading.transaction for reading in self.readings),
            *([self.imported.told.transaction] if self.imported else []),
            *(order.transaction for order in self.orders),
            *(enrolment.transaction for enrolment in enrolments),
        ]

    @property
    def certified_header(self) -> Header:
        return self.certified.header if self.certified else self.header


_KEYS = (
    "area area_result certificate chain gateways genesis handovers header keys orders party pieces point position rules "
    "run runs type version zone zone_contract"
)


def read_bundle(data: bytes) -> Bundle:
    """The records of a bundle; MalformedError where it is none, OtherVersionError where its version is unknown."""
    if len(data) > MAX_BYTES:
        raise MalformedError("more than 1,048,576 bytes")
    item = decode(data)
    if not isinstance(item, dict) or item.get("type") != "gridledger-evidence":
        raise MalformedError("no evidence bundle")
    if as_int(item.get("version", ""), -(2**64), 2**64) != 2:
        raise OtherVersionError
    fields = as_map(item, _KEYS, "agreements certified clearing imported point_rules series siblings")
    orders = as_orders(fields["orders"])
    if ("clearing" in fields) != bool(orders):
        raise MalformedError("a clearing without orders, or orders without one")
    if "siblings" in fields and not orders:
        raise MalformedError("siblings without orders")
    position, area_result = as_row_proof(fields["position"]), as_row_proof(fields["area_result"])
    read_position(position.row)
    read_area_result(area_result.row)
    return Bundle(
        agreements=_some(fields, "agreements", 8),
        area=as_opened(fields["area"]),
        area_result=area_result,
        certificate=_certificate(fields["certificate"]),
        certified=_placed(fields["certified"]) if "certified" in fields else None,
        chain=as_chain(fields["chain"]),
        clearing=as_clearing(fields["clearing"]) if "clearing" in fields else None,
        gateways=tuple(as_opened(gateway) for gateway in as_array(fields["gateways"], 0, 8)),
        genesis=_placed(fields["genesis"]),
        handovers=tuple(_hand_over(change) for change in as_array(fields["handovers"], 0, 64)),
        header=as_header(fields["header"]),
        imported=_imported(fields["imported"]) if "imported" in fields else None,
        keys=tuple(_key(key) for key in as_array(fields["keys"], 0, 16)),
        orders=orders,
        mandates=tuple(as_opened(order.placed.mandate) if order.placed else None for order in orders),
        party=as_opened(fields["party"]),
        pieces=_pieces(fields["pieces"]),
        point=as_opened(fields["point"]),
        point_rules=as_opened(fields["point_rules"]) if "point_rules" in fields else None,
        position=position,
        rules=as_opened(fields["rules"]),
        run=as_run(fields["run"]),
        runs=as_runs(fields["runs"]),
        series=_some(fields, "series", 24),
        siblings=tuple(_sibling(one) for one in as_array(fields["siblings"], 1, 15)) if "siblings" in fields else (),
        zone=as_opened(fields["zone"]),
        zone_contract=as_opened(fields["zone_contract"]),
    )


def _some(fields: Mapping[str, Item], key: str, most: int) -> tuple[Opened, ...]:
    """Opened entries that may be absent."""
    return tuple(as_opened(one) for one in as_array(fields[key], 1, most)) if key in fields else ()
