"""What a ledger hands in so that a bundle of version 2 can be written (docs/spec/bundle.md): names, row proofs, transactions.

A ledger gathers a ``SettledPoint`` (once a run is made, nothing of it changes any more) and offers an ``EvidenceLedger``, which
gives entries, paths and headers while it stands at one height. ``gridevidence.export`` opens the entries, finds the signers' keys and
puts the bundle together.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from gridcore import merkle
from gridcore.errors import GridError, broken


class EvidenceError(GridError):
    """There is no such point, slot, run or book in this ledger; the text says which."""


class EvidenceNotYetError(EvidenceError):
    """The ledger cannot prove it yet: the next block, or the certificate of the newest one, makes it possible."""


# --------------------------------------------------------------------------------------------------------------- rows


@dataclass(frozen=True)
class RowProof:
    """One salted row and its sided path (33-byte items) to the root of its tree."""

    row: bytes
    salt: bytes
    path: Sequence[bytes]


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
        _require(self._tree.root() == root, what)
        return RowProof(self.rows[index], merkle.salt_at(self.seed, index), self._tree.sided_path(index))


@dataclass(frozen=True)
class ChunkedRows:
    """One chunk of the rows of a tree whose root is the RFC 9162 root over chunk roots taken as nodes.

    So a proof hashes one chunk again, and of every other chunk its root alone. Each chunk but the last has 1,024 rows.
    """

    chunk: int
    """Which chunk ``rows`` are."""
    rows: Sequence[bytes]
    salts: Sequence[bytes]
    """16 bytes each: those of the same rows."""
    chunk_roots: Sequence[bytes]
    """Of every chunk, in order, as the state keeps them."""

    def proof(self, index: int, root: bytes, what: str) -> RowProof:
        """The proof of row ``index`` of the chunk; stops where the rows are not those of the certified ``root``."""
        pairs = zip(self.salts, self.rows, strict=True)
        hashes = merkle.leaf_hashes([salt + row for salt, row in pairs])
        path = [*merkle.sided_path(hashes, index), *merkle.sided_path(self.chunk_roots, self.chunk)]
        _require(merkle.fold(hashes[index], path) == root, what)
        return RowProof(self.rows[index], self.salts[index], path)


def _require(is_certified: bool, what: str) -> None:
    if not is_certified:
        broken(f"the {what} rows made again are those that were certified")


# ------------------------------------------------------------------------------------------------------- transactions


@dataclass(frozen=True)
class RecordedTransaction:
    """A signed transaction that was accepted (code 0) in a block, with its path to the block's data root."""

    height: int
    ledger_time_s: int
    """Item 4 of the block's header."""
    signer: str
    signed: bytes
    signature: bytes
    attachment_digest: bytes
    header: bytes
    """Canonical bytes of the block's header."""
    data_path: Sequence[bytes]


@dataclass(frozen=True)
class ProvenReading:
    """The register reading of a meter at one boundary: a row of a recorded batch."""

    batch: RecordedTransaction
    row: RowProof


@dataclass(frozen=True)
class Approval:
    """The registers of a meter at one boundary, for which its organisation answers: a ``metering/approve``."""

    transaction: RecordedTransaction
    gateway: str
    """Name of the gateway on which the installation hung at the boundary."""


@dataclass(frozen=True)
class ProvenInterval:
    """The energy of a meter in one slot: a row of a recorded import; installation: the meter's number."""

    transaction: RecordedTransaction
    row: RowProof
    installation: int


@dataclass(frozen=True)
class MeterPiece:
    """A part of a slot in which one meter's registers go on, from ``begin_s`` on (UTC seconds; the slot's start, or within it)."""

    installation: int
    """Its number."""
    begin_s: int
    ended_s: int | None = None
    """When its entry that ends the piece begins; None where its registers go on at the slot's end."""
    start: ProvenReading | Approval | None = None
    """Of the first piece alone; None where its meter was put up inside the slot."""
    end: ProvenReading | Approval | None = None
    """Of the last piece alone; None where its meter was taken down inside the slot."""


@dataclass(frozen=True)
class ProvenOrder:
    """A filled order, and its row under the area's fills root; placed: where it stands in a batch, its row there.

    trades: what the fill comes from, rows under the area's trades root; none under a contract with one price for all, and where the
    party's trades in the slot are more than a bundle shows.
    """

    order: RecordedTransaction
    fill: RowProof
    placed: RowProof | None = None
    trades: Sequence[RowProof] = ()


@dataclass(frozen=True)
class Enrolment:
    """The ``registry/register`` that recorded an entry, and the sided path of the entry's row to the body's rows root."""

    transaction: RecordedTransaction
    row_path: Sequence[bytes]


# -------------------------------------------------------------------------------------------------------------- state


@dataclass(frozen=True)
class StateProof:
    """A state leaf (canonical [key, value]) and its sided path to a state root."""

    leaf: bytes
    path: Sequence[bytes]


@dataclass(frozen=True)
class RegistryEntry:
    """One recorded entry of an entity, opened: docs/spec/registry.md."""

    from_s: int
    recorded_height: int
    row: bytes
    """Canonical [key, from_s, value]."""
    salt: bytes


@dataclass(frozen=True)
class HandOver:
    """A header that names another signer set than the one that certified it: as the next one, or as the one that waits."""

    height: int
    signers: Sequence[tuple[bytes, int]]
    """(public key, power) of the set that it names, ascending by key."""


# ---------------------------------------------------------------------------------------------------------- the ledger


@dataclass(frozen=True)
class Sibling:
    """Another point of the party that settled in the slot. position: under the run's rows_root."""

    point: str
    position: RowProof


@dataclass(frozen=True)
class SettledPoint:
    """What one point was billed in one slot by one run, and what that rests on."""

    zone: str
    area: str
    rules: str
    party: str
    point: str
    pieces: Sequence[MeterPiece]
    """One behind the other; none where the energy is estimated."""
    run: str
    slot_start_s: int
    slot_s: int
    as_of_height: int
    open_before_start_s: int
    """Of the zone: when the slot's gate opened, which says whose contract counts."""
    position: RowProof
    """Under the run's rows_root."""
    area_result: RowProof
    """Under the run's areas_root."""
    orders: Sequence[ProvenOrder]
    """Every order of the party that was filled, ascending by counter as a number."""
    cleared_area: RowProof | None
    """Under the clearing's areas_root; None where ``orders`` is empty."""
    imported: ProvenInterval | None = None
    """What was imported, where ``pieces`` is empty and the energy is no estimate of the ledger."""
    siblings: Sequence[Sibling] = ()
    """The other points of the party, ascending by the bytes of their names; none where ``orders`` is empty."""
    point_rules: str | None = None
    """The rules that the point has of its own, None where its area's hold."""
    series: Sequence[str] = ()
    """The price series that these rules, the area's and the agreements name, each once, ascending."""
    agreements: Sequence[str] = ()
    """The agreements of the point that held in the slot, ascending by the bytes of their names."""


class EvidenceLedger(Protocol):
    """What an export asks of a ledger."""

    @property
    def height(self) -> int:
        """Height of the newest certified header, under which everything is proved."""

    def frozen(self) -> AbstractContextManager[None]:
        """Keep the ledger at one height meanwhile."""

    def state_proof(self, key: str) -> StateProof | None:
        """A leaf under the state root of the header of ``height``, or None where there is none of that key."""

    def genesis_proof(self, key: str) -> StateProof | None:
        """A leaf under the state root of the header of height 0."""

    def entry_in_force(self, key: str, at_s: int, as_of_height: int) -> RegistryEntry | None:
        """The last entry of an entity with from_s <= at_s and recorded_height <= as_of_height, opened."""

    def first_entry(self, key: str) -> RegistryEntry | None:
        """An entity's first entry, opened."""

    def enrolment(self, key: str, entry: RegistryEntry) -> Enrolment:
        """The transaction that recorded an entry of a height above 0 of which ``decision`` knows nothing."""

    def decision(self, key: str, entry: RegistryEntry) -> StateProof | None:
        """The leaf of the proposal by which organisations gave a signer an entry, None for one that an administrator enrolled."""

    def header_bytes(self, height: int) -> bytes:
        """The canonical header of a height, 0 included."""

    def certificate(self, height: int) -> Sequence[tuple[bytes, bytes]]:
        """(public key, signature) over the header of a height above 0, ascending by key."""

    def history_path(self, height: int, of_height: int) -> list[bytes]:
        """Sided path from the digest of ``height`` to the history_root of header ``of_height``."""

    def handovers(self, to_height: int) -> Sequence[HandOver]:
        """Every change of the signer set since genesis in headers below ``to_height``, ascending; empty where none was."""
