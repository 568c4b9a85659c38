"""Evidence bundles: the proof of one bill line under the newest certified header (docs/spec/bundle.md).

Nothing is stored for this. The ledger hands in what a line rests on (rows, transactions, keys of leaves) and gives paths and
headers through ``CertifiedLedger``. Each row is compared with the certified root before it leaves: a bundle that would not
verify is an error here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from gridcore import cbor, merkle
from gridcore.errors import GridError, broken
from gridcore.sm3 import sm3
from gridevidence.layout import BOOK_TYPE, BUNDLE_TYPE, TRUST_TYPE, VERSION

Proof = dict[str, Any]
"""A part of a bundle, as docs/spec/bundle.md names its keys."""


class EvidenceError(GridError):
    """There is no such line, party, slot or book in this ledger; the text says which."""


class EvidenceNotYetError(EvidenceError):
    """The ledger cannot prove it yet: the next block, or the certificate of the newest one, makes it possible."""


class ProvenLeaf(Protocol):
    """A state leaf and its path."""

    @property
    def leaf(self) -> bytes:
        """Canonical [key, value]."""

    @property
    def path(self) -> Sequence[bytes]:
        """Sided path to the newest header's state root."""


class CertifiedLedger(Protocol):
    """What an export asks of a ledger."""

    @property
    def height(self) -> int:
        """Height of the newest certified header."""

    def frozen(self) -> AbstractContextManager[None]:
        """Keep the ledger at one height meanwhile."""

    def leaf_proof(self, key: str) -> ProvenLeaf | None:
        """A leaf under the newest header, or None where there is none of that key."""

    def digest(self, height: int) -> bytes:
        """SM3 of the header of a height; 0: the genesis digest."""

    def header_bytes(self, height: int) -> bytes:
        """The canonical header of a height."""

    def certificate(self, height: int) -> Sequence[tuple[bytes, bytes]]:
        """(public key, signature) over the header of a height, ascending by key."""

    def history_path(self, height: int, of_height: int) -> list[bytes]:
        """Sided path from the digest of ``height`` to the history root of header ``of_height``."""


@dataclass(frozen=True)
class RowProof:
    """One salted row and its sided path to the root of its tree."""

    row: bytes
    salt: bytes
    path: Sequence[bytes]

    def as_part(self) -> Proof:
        """As a bundle holds it."""
        return {"path": self.path, "row": self.row, "salt": self.salt}


@dataclass(frozen=True)
class SaltedRows:
    """All rows of one tree, and the 32-byte seed from which their salts follow."""

    rows: Sequence[bytes]
    seed: bytes

    @cached_property
    def _tree(self) -> merkle.Tree:
        return merkle.Tree(merkle.salted_leaf_hashes(self.seed, self.rows))

    def proof(self, index: int, root: bytes, what: str) -> RowProof:
        """The proof of row ``index``; stops where the rows are not those of the certified ``root`` (``what``: its name)."""
        if self._tree.root() != root:
            broken(f"the {what} rows made again are those that were certified")
        return RowProof(self.rows[index], merkle.salt_at(self.seed, index), self._tree.sided_path(index))


@dataclass(frozen=True)
class RecordedTransaction:
    """A signed transaction that was accepted in a block, with its path to the block's data root."""

    height: int
    signed: bytes
    signature: bytes
    attachment_digest: bytes
    header: bytes
    """Canonical bytes of the block's header."""
    data_path: Sequence[bytes]

    def as_part(self, ledger: CertifiedLedger, height: int) -> Proof:
        """As a bundle under the header of ``height`` holds it. EvidenceNotYetError where no header covers its block yet."""
        if self.height >= height:
            raise EvidenceNotYetError(f"block {self.height} is the newest; the next block makes its content provable")
        return {
            "attachment_digest": self.attachment_digest,
            "data_path": self.data_path,
            "header": self.header,
            "history_path": ledger.history_path(self.height, height),
            "signature": self.signature,
            "signed": self.signed,
        }


@dataclass(frozen=True)
class ProvenReading:
    """The register reading of a meter at one boundary: a row of a recorded batch."""

    batch: RecordedTransaction
    row: RowProof


@dataclass(frozen=True)
class ProvenOrder:
    """A filled order and its row under the clearing's fills root."""

    order: RecordedTransaction
    fill: RowProof


@dataclass(frozen=True)
class LeafKeys:
    """Keys of the state leaves that a line rests on; "" where it needs none."""

    chain: str
    run: str
    rules: str
    installation: str
    gateway: str
    gateway_signer: str
    clearing: str
    party_signer: str


@dataclass(frozen=True)
class LineEvidence:
    """One bill line and what it rests on. Nothing of it changes any more; only its leaves are proved as they are now."""

    keys: LeafKeys
    line: RowProof
    input: RowProof
    position: RowProof
    start: ProvenReading
    end: ProvenReading
    orders: Sequence[ProvenOrder]
    """Of the party, ascending by counter."""


def encode_bundle(ledger: CertifiedLedger, evidence: LineEvidence) -> bytes:
    """The bundle of a line under the newest header, for which the ledger stands still meanwhile.

    EvidenceNotYetError: what the line rests on stands in the newest block; one block later it can be proved.
    """
    with ledger.frozen():
        parts = _prove(ledger, evidence)
    return cbor.encode(parts)


def encode_book(rows: SaltedRows) -> bytes:
    """The anonymous order book of a cleared slot, in rank order, as ``verify --with-book`` reads it."""
    salts = merkle.salts(rows.seed, len(rows.rows))
    return cbor.encode({"book": list(rows.rows), "salts": list(salts), "type": BOOK_TYPE, "version": VERSION})


@dataclass(frozen=True)
class TrustedSigner:
    """A signer of headers, as a trust root names it."""

    name: str
    public_key: bytes
    power: int


@dataclass(frozen=True)
class Pin:
    """A key that whoever writes a trust root has taken from the device or the household itself."""

    signer: str
    public_key: bytes


def trust_root(
    chain: str, genesis_digest: bytes, signers: Iterable[TrustedSigner], pins: Iterable[Pin] = ()
) -> dict[str, Any]:
    """The trust root of a chain, to be written as JSON: who certifies it, and which keys are pinned.

    genesis_digest: S_0, the SM3 of the header of height 0.
    """
    return {
        "chain": chain,
        "genesis": genesis_digest.hex(),
        "pins": [{"fingerprint": sm3(pin.public_key).hex(), "signer": pin.signer} for pin in pins],
        "signers": [{"name": one.name, "power": one.power, "public_key": one.public_key.hex()} for one in signers],
        "type": TRUST_TYPE,
        "version": VERSION,
    }


def _prove(ledger: CertifiedLedger, evidence: LineEvidence) -> Proof:
    height, keys = ledger.height, evidence.keys
    gateways = {"gateway": _state(ledger, keys.gateway), "signer": _state(ledger, keys.gateway_signer)}
    batches = {
        when: {**reading.batch.as_part(ledger, height), "reading": reading.row.as_part()}
        for when, reading in (("end", evidence.end), ("start", evidence.start))
    }
    parts: Proof = {
        "batches": batches,
        "certificate": [list(entry) for entry in ledger.certificate(height)],
        "chain": _state(ledger, keys.chain),
        "gateways": {"end": gateways, "start": gateways},
        "genesis": {"digest": ledger.digest(0), "path": ledger.history_path(0, height)},
        "header": ledger.header_bytes(height),
        "input": evidence.input.as_part(),
        "installation": _state(ledger, keys.installation),
        "line": evidence.line.as_part(),
        "orders": [{**one.order.as_part(ledger, height), "fill": one.fill.as_part()} for one in evidence.orders],
        "position": evidence.position.as_part(),
        "rules": _state(ledger, keys.rules),
        "run": _state(ledger, keys.run),
        "type": BUNDLE_TYPE,
        "version": VERSION,
    }
    if keys.clearing:
        parts["clearing"] = _state(ledger, keys.clearing)
    if keys.party_signer:
        parts["party"] = _state(ledger, keys.party_signer)
    return parts


def _state(ledger: CertifiedLedger, key: str) -> Proof:
    found = ledger.leaf_proof(key)
    if found is None:
        raise EvidenceError(f"this ledger has no leaf {key}")
    return {"leaf": found.leaf, "path": list(found.path)}
