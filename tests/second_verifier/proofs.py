"""Headers, leaves, rows and signed maps as a bundle carries them: docs/spec/header.md, envelope.md, batch.md, bundle.md.

Everything here has its form checked when it is read (claim 1); that it is true is what the other claims say.
"""

from dataclasses import dataclass

from tests.second_verifier.encoding import (
    Item,
    MalformedError,
    as_array,
    as_bytes,
    as_digest,
    as_int,
    as_map,
    as_name,
    as_natural,
    as_text,
    as_time,
    as_u32,
    as_word,
    decode,
    encode,
)
from tests.second_verifier.sm import sm3
from tests.second_verifier.trees import Path, as_path, fold, leaf_hash, salted_hash


@dataclass(frozen=True)
class Header:
    chain: str
    height: int
    time_s: int
    ledger_time_s: int
    previous: bytes
    history_root: bytes
    data_root: bytes
    state_root: bytes
    signers: bytes
    signers_pending: bytes  # empty where none waits
    protocol_version: int
    digest: bytes  # S_h


def as_header(item: Item) -> Header:
    data = as_bytes(item)
    parts = as_array(decode(data), 12, 12)
    as_word(parts[0], "header/2")
    return Header(
        chain=as_text(parts[1], 17, 56),
        height=as_natural(parts[2]),
        time_s=as_time(parts[3]),
        ledger_time_s=as_time(parts[4]),
        previous=as_digest(parts[5]),
        history_root=as_digest(parts[6]),
        data_root=as_digest(parts[7]),
        state_root=as_digest(parts[8]),
        signers=as_digest(parts[9]),
        signers_pending=b"" if parts[10] == b"" else as_digest(parts[10]),
        protocol_version=as_natural(parts[11]),
        digest=sm3(data),
    )


@dataclass(frozen=True)
class RowProof:
    path: Path
    row: bytes
    salt: bytes

    @property
    def root(self) -> bytes:
        return fold(salted_hash(self.salt, self.row), self.path)


def as_row_proof(item: Item, *sizes: int) -> RowProof:
    """A row proof whose row has one of `sizes`, where its layout is known."""
    fields = as_map(item, "path row salt")
    row = as_bytes(fields["row"])
    if sizes and len(row) not in sizes:
        raise MalformedError("a row that has not the length of its layout")
    return RowProof(as_path(fields["path"]), row, as_bytes(fields["salt"], 16))


@dataclass(frozen=True)
class Leaf:
    """A state leaf and its path; `value` still has its raw form."""

    key: str
    value: Item
    path: Path
    digest: bytes

    @property
    def root(self) -> bytes:
        return fold(self.digest, self.path)


def as_leaf(leaf: Item, path: Item) -> Leaf:
    data = as_bytes(leaf)
    key, value = as_array(decode(data, booleans=True), 2, 2)
    return Leaf(as_text(key, 1, 256), value, as_path(path), leaf_hash(data))


@dataclass(frozen=True)
class Transaction:
    """A signed map, and the proof that it stands in a block with code 0."""

    kind: str
    chain: str
    signer: str
    identity: dict[str, Item]
    body: dict[str, Item]
    signed: bytes
    signature: bytes
    attachment_digest: bytes
    header: Header
    data_path: Path
    history_path: Path

    @property
    def data_leaf(self) -> bytes:
        digest = sm3(encode([self.signed, self.signature, self.attachment_digest]))
        return encode([digest, 0])


def as_transaction(fields: dict[str, Item], *kinds: str) -> Transaction:
    """The transaction of a proof; `fields` may hold more keys than those of a transaction proof."""
    signed = as_bytes(fields["signed"])
    if len(signed) > 65_536:
        raise MalformedError("a signed map of more than 65,536 bytes")
    parts = as_map(decode(signed), "body chain identity kind signer type version")
    as_word(parts["type"], "transaction")
    as_int(parts["version"], 1, 1)
    kind = as_word(parts["kind"], " ".join(kinds))
    identity, body = parts["identity"], parts["body"]
    if not isinstance(identity, dict) or not isinstance(body, dict):
        raise MalformedError("identity or body is no map")
    return Transaction(
        kind=kind,
        chain=as_text(parts["chain"], 1, 65_536),
        signer=as_name(parts["signer"]),
        identity=identity,
        body=body,
        signed=signed,
        signature=as_bytes(fields["signature"], 64),
        attachment_digest=as_digest(fields["attachment_digest"]),
        header=as_header(fields["header"]),
        data_path=as_path(fields["data_path"]),
        history_path=as_path(fields["history_path"]),
    )


TRANSACTION_KEYS = "attachment_digest data_path header history_path signature signed "


@dataclass(frozen=True)
class Reading:
    transaction: Transaction
    boundary_s: int
    clock_state: str
    clock_offset_ms: int
    registers: tuple[str, ...]
    rows_root: bytes
    proof: RowProof

    @property
    def meter(self) -> int:
        return int.from_bytes(self.proof.row[:4], "little")

    @property
    def offset_ms(self) -> int:
        return int.from_bytes(self.proof.row[4:8], "little", signed=True)

    @property
    def quality(self) -> int:
        return self.proof.row[8]

    @property
    def import_export(self) -> tuple[int, int]:
        return int.from_bytes(self.proof.row[9:17], "little"), int.from_bytes(self.proof.row[17:25], "little")


def as_reading(item: Item) -> Reading:
    fields = as_map(item, TRANSACTION_KEYS + "reading")
    transaction = as_transaction(fields, "metering/reading_batch")
    identity = as_map(transaction.identity, "counter epoch")
    as_int(identity["counter"], 1)
    as_int(identity["epoch"], 1)
    keys = "agent boundary_s clock configuration previous profiles registers rows rows_root"
    body = as_map(transaction.body, keys, "observations receipt")
    as_text(body["agent"], 0)
    for key in {"configuration", "previous", "profiles", "observations"} & set(body):
        as_digest(body[key])
    if "receipt" in body:
        height, digest = as_array(body["receipt"], 2, 2)
        as_int(height)
        as_digest(digest)
    clock = as_map(body["clock"], "offset_ms state")
    as_int(body["rows"], 1, 4096)
    return Reading(
        transaction=transaction,
        boundary_s=as_int(body["boundary_s"]),
        clock_state=as_word(clock["state"], "synced holdover unsynced simulated"),
        clock_offset_ms=as_int(clock["offset_ms"]),
        registers=tuple(as_text(code) for code in as_array(body["registers"], 1, 3)),
        rows_root=as_digest(body["rows_root"]),
        proof=as_row_proof(fields["reading"], 25),
    )


@dataclass(frozen=True)
class Approval:
    transaction: Transaction
    boundary_s: int
    installation: int
    import_export: tuple[int, int]


def as_approval(item: Item) -> Approval:
    transaction = as_transaction(as_map(item, TRANSACTION_KEYS), "metering/approve")
    identity = as_map(transaction.identity, "client_id valid_until_s")
    as_bytes(identity["client_id"], 16)
    as_int(identity["valid_until_s"])
    body = as_map(transaction.body, "boundary_s installation reason registers")
    as_text(body["reason"], 1, 200)
    read_import, read_export = as_array(body["registers"], 2, 2)
    return Approval(
        transaction=transaction,
        boundary_s=as_time(body["boundary_s"]),
        installation=as_u32(body["installation"]),
        import_export=(as_int(read_import, 0, 10**13), as_int(read_export, 0, 10**13)),
    )


@dataclass(frozen=True)
class Import:
    """A metering/interval_import, and its row of a meter in a slot."""

    transaction: Transaction
    slot_s: int
    rows_root: bytes
    proof: RowProof

    @property
    def meter(self) -> int:
        return int.from_bytes(self.proof.row[:4], "little")

    @property
    def slot_start_s(self) -> int:
        return int.from_bytes(self.proof.row[4:12], "little", signed=True)

    @property
    def quality(self) -> int:
        return self.proof.row[12]

    @property
    def energies(self) -> tuple[int, int]:
        parts = (self.proof.row[13:21], self.proof.row[21:29])
        imported, exported = (int.from_bytes(part, "little", signed=True) for part in parts)
        return imported, exported


def as_import(fields: dict[str, Item]) -> Import:
    transaction = as_transaction(fields, "metering/interval_import")
    identity = as_map(transaction.identity, "client_id valid_until_s")
    as_bytes(identity["client_id"], 16)
    as_int(identity["valid_until_s"])
    body = as_map(transaction.body, "agent estimates files first_slot_s meters rows_root slot_s slots")
    as_text(body["agent"], 0)
    as_text(body["estimates"], 0)
    for file in as_array(body["files"], 1, 16):
        name, digest = as_array(file, 2, 2)
        as_text(name)
        as_digest(digest)
    as_time(body["first_slot_s"])
    as_int(body["meters"], 1, 65_536)
    as_int(body["slots"], 1, 288)
    return Import(
        transaction=transaction,
        slot_s=as_int(body["slot_s"], 1, 86_400),
        rows_root=as_digest(body["rows_root"]),
        proof=as_row_proof(fields["interval"], 29),
    )


@dataclass(frozen=True)
class Enrolment:
    transaction: Transaction
    rows_root: bytes
    row_path: Path


def as_enrolment(item: Item) -> Enrolment:
    fields = as_map(item, TRANSACTION_KEYS + "row_path")
    transaction = as_transaction(fields, "registry/register")
    identity = as_map(transaction.identity, "client_id valid_until_s")
    as_bytes(identity["client_id"], 16)
    as_int(identity["valid_until_s"])
    body = as_map(transaction.body, "rows rows_root")
    as_int(body["rows"], 1, 4096)
    return Enrolment(transaction, as_digest(body["rows_root"]), as_path(fields["row_path"]))
