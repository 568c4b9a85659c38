"""What can be asked of a ledger: state, headers, certificates, blocks, receipts, proofs. Every method may be called from any thread.

All answers given inside one ``with reader.frozen():`` belong to one height.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple, TypeVar

from gridcore import merkle
from gridcore.codes import Code
from gridcore.errors import UsageError, require
from gridcore.header import Certificate, Header, LaterHeader, Receipt, decode_header, signers_digest
from gridcore.registry.entity import Entity
from gridcore.sm3 import sm3
from gridcore.validator import Validator, powers_of
from ledger.application import Application, data_hashes
from ledger.leaves.exception import RowVerdict, decode_verdicts
from ledger.leaves.family import Value
from ledger.registry.bodies import OpenedEntities, in_force
from ledger.registry.entries import EntityLeaf, Entry
from ledger.registry.in_force import Registry
from ledger.registry.zones import Zone, ZoneInForce
from ledger.store.block_log import BlockLog
from ledger.store.block_record import BlockRecord
from ledger.store.errors import NotCertifiedError, PrunedError
from ledger.store.files import Files
from ledger.store.leaf_tables import is_provable
from ledger.store.room import Room, room_of
from ledger.store.rows import Act, Change, DecidedTransaction, Decision, IndexedBatch, ResultEntry, decode_results
from ledger.store.state_db import PROVABLE_HEIGHTS, StateDb
from ledger.store.validator_table import SetChange
from ledger.tiles import prefix_tile, sided_path

T = TypeVar("T")
E = TypeVar("E")
KEYS_TOGETHER: Final = 32
"""Leaves that are read in one go while blocks wait: a chunk of positions has 100 KiB."""
BLOCK_TREES_MAX: Final = 8
"""Blocks whose results are kept in memory, with the tree over them; the least recently asked for goes first."""


@dataclass(frozen=True)
class LeafProof:
    """A leaf of the state at one height, the sided path to that header's state_root, and the header with its certificate.

    certificate: empty where the header has none of its own (yet).
    """

    leaf: bytes
    path: tuple[bytes, ...]
    header: Header
    certificate: Certificate


class Power(NamedTuple):
    """Power of the signers of a certificate, and ``total``: of everybody who might have signed."""

    signed: int
    total: int


@dataclass(frozen=True)
class _BlockTree:
    """What became of a block's transactions, and the tree under its data_root."""

    results: tuple[ResultEntry, ...]
    tree: merkle.Tree


class LedgerReader:
    """The reading side of a ledger.

    ``chain``: its id; ``clock``: what moves ledger time (``gridcore.genesis.CLOCKS``).
    """

    def __init__(self, application: Application, db: StateDb, log: BlockLog) -> None:
        self.application = application
        self.chain: str = application.origin.chain
        self.clock: str = application.origin.clock
        self._lock = application.lock
        self._db = db
        self._log = log
        self._trees: OrderedDict[int, _BlockTree] = OrderedDict()
        self._trees_lock = threading.Lock()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Keep the ledger at one height meanwhile: for questions that belong together. Blocks wait; be brief."""
        with self._lock:
            yield

    @property
    def height(self) -> int:
        """Height of the newest decided block; 0: only genesis."""
        return self.application.tip.height

    @property
    def certified_height(self) -> int:
        """The newest height whose header has a certificate here, 0 without one: what others are shown is proved under it.

        With the embedded engine it is the newest block; in a consortium certificates come some blocks later.
        """
        with self._lock:
            return min(self._db.certified_height(), self.height)

    def certificate_power(self, height: int) -> Power:
        """The power behind the certificate of a height, and that of the whole set which it is of; 0 of it without a certificate."""
        powers = dict(powers_of(self.validators_at(height) if height else self.application.origin.validators))
        signed = [key for key, _ in self.certificate(height)] if height else []
        return Power(sum(powers.get(key, 0) for key in signed), sum(powers.values()))

    @property
    def joined_height(self) -> int:
        """The height of the snapshot that this ledger began with; 0: it began with genesis. Of blocks up to there it has headers at most."""
        with self._lock:
            return self._db.joined_height

    @property
    def ledger_time_s(self) -> int:
        """Ledger time after the newest block, UTC seconds."""
        return self.application.tip.ledger_time_s

    def get(self, key: str) -> Value | None:
        """The value of a state leaf, or None. Shared: never change it."""
        with self._lock:
            return self.application.state.get(key)

    @property
    def registry(self) -> Registry:
        """Who and what is registered in the newest state. It never changes: a later state has another one."""
        with self._lock:
            return self.application.state.registry

    def leaf(self, key: str) -> bytes | None:
        """Canonical [key, value] of a state leaf, or None."""
        with self._lock:
            state = self.application.state
            return state.leaf(key) if key in state else None

    def load_together(self, keys: Iterable[str]) -> None:
        """Bring the values of state leaves into memory together, for a ``get`` of each to find them there."""
        wanted = iter(keys)
        while some := list(islice(wanted, KEYS_TOGETHER)):
            with self._lock:
                self.application.state.load_together(some)

    def body(self, digest: bytes) -> bytes:
        """The salted registry row whose digest a leaf holds."""
        return self.bodies([digest])[0]

    def bodies(self, digests: Sequence[bytes]) -> list[bytes]:
        """``body`` of each of many digests."""
        with self._lock:
            return self.application.state.bodies(digests)

    def folded(self, key: str, leaf: EntityLeaf) -> Sequence[Entry]:
        """The entries of a price series, or of reactive energy, that its leaf has folded, oldest first. PrunedError where this node does not have all of them."""
        with self._lock:
            entries = self._db.leaves.folded.whole(key, leaf)
        if entries is None:
            words = f"what it said up to {leaf.folded_to_s} is not on this node, which did not apply all blocks"
            raise PrunedError(f"{key}: {words}; ask one that has from the first on")
        return entries

    @property
    def opened(self) -> OpenedEntities:
        """Entities that were opened before."""
        return self.application.state.opened

    def installations_of(self, meter: str) -> list[int]:
        """The numbers of the installations that ever had a meter of a code, by an index beside the state."""
        with self._lock:
            return self._db.leaves.meters.numbers(meter)

    def in_force(self, entity: Entity[E], name: str, time_s: int | None = None) -> E | None:
        """The record of an entity in force at ``time_s`` (by itself ledger time) for the next block, or None."""
        with self.frozen():
            at_s = self.ledger_time_s if time_s is None else time_s
            found = in_force(self, entity, name, at_s, self.height)
        return None if found is None else found.record

    def zone_at(self, zone: Zone, time_s: int, as_of_height: int) -> ZoneInForce:
        """A zone as it is at ``time_s`` (UTC seconds) as of ``as_of_height``."""
        with self._lock:
            return self.registry.at(time_s, as_of_height).zone(zone)

    def leaf_keys(self, prefix: str = "", start: int = 0, limit: int = -1) -> list[str]:
        """Keys of leaves that begin with ``prefix``: see ``LeafTable.leaf_keys``."""
        with self._lock:
            return self._db.leaves.leaf_keys(prefix, start, limit)

    def room(self) -> Room:
        """How much the disk still takes, and for how long."""
        with self._lock:
            return room_of(self._log.folder, self._db, Files())

    def changes(self, after_height: int, rows_max: int) -> tuple[int, list[Change]]:
        """What blocks wrote after a height (0 ... newest): see ``Indexes.changes``. UsageError for another height."""
        self._check_height(after_height, first=0)
        with self._lock:
            return self._db.indexes.changes(after_height, rows_max)

    def acts(self, after_height: int, rows_max: int) -> tuple[int, list[Act]]:
        """Who did what after a height (0 ... newest): see ``Indexes.acts``. UsageError for another height."""
        self._check_height(after_height, first=0)
        with self._lock:
            return self._db.indexes.acts(after_height, rows_max)

    def state_root(self) -> bytes:
        """State root of the newest block (of genesis at height 0)."""
        with self._lock:
            return self.application.state.root()

    def leaf_proof(self, key: str, height: int | None = None) -> LeafProof | None:
        """Proof of a leaf under the header of ``height`` (the newest certified one), or None when there was no such leaf or header.

        UsageError for a height that the state cannot be proved at any more, or a leaf that is proved at the newest height alone.
        NotCertifiedError where no height is given and certificates have stayed away for longer than that.
        """
        with self._lock:
            at = self.certified_height if height is None else height
            if height is None and at < self.height - PROVABLE_HEIGHTS:
                raise NotCertifiedError(
                    f"the newest certificate is of height {at}, and the state is proved at the newest {PROVABLE_HEIGHTS} heights "
                    f"before {self.height}: a certificate of one of these is needed"
                )
            if not at and height is None:
                return None
            if at < self.joined_height:
                raise NotCertifiedError(
                    f"this node began with the state of height {self.joined_height}: what it has is proved from the next certificate on"
                )
            self._check_height(at)
            return self._leaf_proof(key) if at == self.height else self._earlier_leaf_proof(key, at)

    def _leaf_proof(self, key: str) -> LeafProof | None:
        state, height = self.application.state, self.height
        if key not in state:
            return None
        return LeafProof(state.leaf(key), tuple(state.sided_path(key)), self.header(height), self.certificate(height))

    def _earlier_leaf_proof(self, key: str, height: int) -> LeafProof | None:
        if height < self.height - PROVABLE_HEIGHTS:
            raise UsageError(
                f"height {height}: the state is proved at the newest {PROVABLE_HEIGHTS} heights before {self.height}"
            )
        if not is_provable(key):
            raise UsageError(f"leaf {key}: is proved at the newest height alone")
        found = self._db.leaves.leaf_at(key, height)
        if found is None:
            return None
        number, leaf = found
        path = sided_path(lambda tile: self._db.leaves.tile_at(tile, height), self._db.leaves.count(height), number)
        header = self.header(height)
        if merkle.fold(merkle.leaf_hash(leaf), path) != header.state_root:
            raise self._db.damage(f"leaf {key} as of height {height}")
        return LeafProof(leaf, tuple(path), header, self.certificate(height))

    def genesis_leaf_proof(self, key: str) -> tuple[bytes, Sequence[bytes]] | None:
        """A provable leaf as it was at genesis and its sided path to the state root of header 0; None when there was no such leaf."""
        with self._lock:
            found = self._db.leaves.genesis_leaf(key)
            if found is None:
                return None
            number, leaf = found
            path = sided_path(self._db.leaves.genesis_tile, self._db.leaves.count(0), number)
        if merkle.fold(merkle.leaf_hash(leaf), path) != self.application.origin.header.state_root:
            raise self._db.damage(f"leaf {key} of genesis")
        return leaf, path

    # ------------------------------------------------------------------------------------------- headers and blocks

    def digest(self, height: int) -> bytes:
        """S_h."""
        self._check_height(height, first=0)
        with self._lock:
            if height == self.height:
                return self.application.tip.digest
            digest = self._found(self._db.load_digest(height), "digest", height)
            if merkle.leaf_hash(digest) != self.application.history.leaf(height):
                raise self._db.damage(f"the digest of height {height}")
            return digest

    def header(self, height: int) -> Header:
        """The header of ``height`` (0 ... newest)."""
        return decode_header(self.header_bytes(height))

    def header_bytes(self, height: int) -> bytes:
        """The canonical header whose SM3 is S_h."""
        self._check_height(height, first=0)
        with self._lock:
            header = self._found(self._db.load_header(height), "header", height)
            if sm3(header) != self.digest(height):
                raise self._db.damage(f"the header of height {height}")
            return header

    def certificate(self, height: int) -> Certificate:
        """The certificate of ``height`` (1 ... newest); empty while there is none, or where a later header's covers it."""
        self._check_height(height)
        with self._lock:
            return self._found(self._db.load_certificate(height), "certificate", height)

    def validators_at(self, height: int) -> tuple[Validator, ...]:
        """The set that certifies header ``height`` (1 ... newest)."""
        self._check_height(height)
        with self._lock:
            validators = self._db.validators.at(height)
        if signers_digest(powers_of(validators)) != self.header(height - 1).signers:
            raise self._db.damage(f"the set of validators of height {height}")
        return validators

    def set_changes(self, before_height: int, named_after: int = 0, limit: int = -1) -> list[SetChange]:
        """The sets of validators that took over in blocks before a height, ascending: see ``ValidatorTable.changes``."""
        with self._lock:
            return self._db.validators.changes(before_height, named_after, limit)

    def block(self, height: int) -> BlockRecord:
        """The block of ``height`` as stored in the log. PrunedError where it was pruned."""
        self._check_height(height)
        with self._lock:
            if height <= self.joined_height:
                raise self.before_joining(f"block {height}")
            if height < self._log.first:
                raise self._db.pruned.error(f"block {height}")
            offset = self._found(self._db.log_offset(height), "place", height)
        return self._log.read(height, offset)

    def results(self, height: int) -> tuple[ResultEntry, ...]:
        """Digest, code and id of each transaction of ``height``, in block order."""
        return self._block_tree(height).results

    def transactions(self, height: int) -> list[DecidedTransaction]:
        """The transactions of ``height`` with their codes, in block order; of a pruned block those that are kept."""
        results, wires = self.results(height), self._wires(height)
        return [
            DecidedTransaction(
                height, position, wire, results[position].digest, results[position].code, results[position].id
            )
            for position, wire in sorted(wires.items())
        ]

    def _wires(self, height: int) -> Mapping[int, bytes]:
        """Transactions of a block by position; of a pruned block those that are kept."""
        if height >= self._log.first:
            return dict(enumerate(self.block(height).transactions))
        with self._lock:
            return self._db.pruned.kept(height)

    def history_path(self, height: int, of_height: int) -> list[bytes]:
        """Sided path from the leaf S_height to history_root of header ``of_height`` (0 <= height < of_height)."""
        self._check_height(of_height)
        require(0 <= height < of_height, f"header {of_height} covers the heights before it, not {height}")
        with self._lock:
            history = self.application.history
            return sided_path(lambda tile: prefix_tile(history.tile, tile, of_height), of_height, height)

    # ------------------------------------------------------------------------------------------------ transactions

    def find_transaction(self, transaction_id: bytes) -> Decision | None:
        """How a transaction was decided: where it was applied, else where it was last refused, else None."""
        with self._lock:
            return self._db.indexes.find_transaction(transaction_id)

    def result_of(self, transaction_id: bytes, decision: Decision) -> ResultEntry:
        """What the block of a decision has of that transaction. StoreError where the block knows another one there."""
        results = self.results(decision.height) if 1 <= decision.height <= self.height else ()
        entry = results[decision.position] if 0 <= decision.position < len(results) else None
        if entry is None or (entry.id, entry.code) != (transaction_id, decision.code):
            raise self._db.damage("the index of transactions")
        return entry

    def find_applied(self, transaction_id: bytes) -> Decision | None:
        """Where a transaction was applied, or None."""
        decision = self.find_transaction(transaction_id)
        return decision if decision is not None and decision.code == Code.ACCEPTED else None

    def find_batches(
        self,
        gateway: str,
        first_boundary_s: int,
        last_boundary_s: int,
        after: IndexedBatch | None = None,
    ) -> list[IndexedBatch]:
        """Accepted batches of a gateway: see ``Indexes.find_batches``."""
        with self._lock:
            return self._db.indexes.find_batches(gateway, first_boundary_s, last_boundary_s, after)

    def accepted_acts(self, kind: str, to_height: int, after_height: int = 0) -> list[Act]:
        """See ``Indexes.accepted_acts``."""
        with self._lock:
            return self._db.indexes.accepted_acts(kind, to_height, after_height)

    def refused_rows(self, gateway: str, epoch: int, counter: int) -> list[RowVerdict]:
        """The rows of an accepted batch that were not used, and why, ascending by index."""
        with self._lock:
            return list(decode_verdicts(self._db.indexes.refused_rows(gateway, epoch, counter)))

    def transaction(self, transaction_id: bytes) -> DecidedTransaction | None:
        """A decided transaction with its bytes, or None. PrunedError where these were pruned."""
        decision = self.find_transaction(transaction_id)
        if decision is None:
            return None
        entry = self.result_of(transaction_id, decision)
        wire = self._wires(decision.height).get(decision.position)
        if wire is None:
            raise self._db.pruned.error(f"transaction {transaction_id.hex()} of block {decision.height}")
        return DecidedTransaction(decision.height, decision.position, wire, entry.digest, entry.code, entry.id)

    def data_path(self, height: int, position: int) -> list[bytes]:
        """Sided path from the leaf [digest, code] of a transaction to data_root of its header."""
        return self._block_tree(height).tree.sided_path(position)

    def receipt(self, transaction_id: bytes) -> bytes | None:
        """The canonical receipt of a decided transaction, or None while it is not decided.

        NotCertifiedError while neither its block nor a later one has a certificate.
        """
        decision = self.find_transaction(transaction_id)
        if decision is None:
            return None
        height, entry = decision.height, self.result_of(transaction_id, decision)
        certified = self._covered_by_set_in_force(height)
        if certified is None:
            raise NotCertifiedError(f"block {height} has decided this transaction, and is not certified yet")
        return Receipt(
            header=self.header(height),
            certificate=self.certificate(certified),
            digest=entry.digest,
            code=entry.code,
            path=tuple(self.data_path(height, decision.position)),
            certified=None if certified == height else self.later_header(height, certified),
        ).encode()

    def covering_height(self, height: int) -> int | None:
        """The height of the header whose certificate covers that of ``height``: its own, or the first later one; None while there is none."""
        with self._lock:
            return self._db.find_certified(height)

    def _covered_by_set_in_force(self, height: int) -> int | None:
        """As ``covering_height``, but by a certificate of the set in force, whichever set certified ``height`` first.

        It is the first header that this set has certified from there on, or the one in which it took over: the same at every node that
        knows the set.
        """
        with self._lock:
            newest, covering = self.certified_height, self._db.find_certified(height)
            since = self._db.validators.since(newest)
            if covering is None or covering > since:
                return covering
            return self._db.find_certified(since + 1) or newest

    def later_header(self, height: int, later: int) -> LaterHeader:
        """A later header, with the path that shows the header of ``height`` in its history."""
        return LaterHeader(self.header(later), tuple(self.history_path(height, later)))

    def _block_tree(self, height: int) -> _BlockTree:
        """Results of a height, which never change: decoded and hashed once, and not under the ledger's lock."""
        self._check_height(height)
        if height <= self.joined_height:
            raise self.before_joining(f"block {height}")
        with self._trees_lock:
            found = self._trees.get(height)
            if found is not None:
                self._trees.move_to_end(height)
                return found
        with self._lock:
            results = decode_results(self._found(self._db.load_results(height), "results", height))
        tree = merkle.Tree(data_hashes((entry.digest, entry.code) for entry in results))
        if tree.root() != self.header(height).data_root:  # hashed here: from now on threads only read it
            raise self._db.damage(f"what became of block {height}")
        with self._trees_lock:
            self._trees[height] = found = _BlockTree(results, tree)
            if len(self._trees) > BLOCK_TREES_MAX:
                self._trees.popitem(last=False)
        return found

    def before_joining(self, what: str) -> PrunedError:
        """The error that says that ``what`` was before the snapshot that this ledger began with."""
        return PrunedError(
            f"{what}: this node began with the snapshot of height {self.joined_height}; ask a node that has earlier blocks"
        )

    def _found(self, value: T | None, what: str, height: int) -> T:
        if value is None and height <= self.joined_height:
            raise self.before_joining(f"the {what} of height {height}")
        if value is None:
            raise self._db.damage(f"the {what} of height {height}")
        return value

    def _check_height(self, height: int, first: int = 1) -> None:
        if not first <= height <= self.height:
            raise UsageError(f"height {height}: this ledger has heights {first} to {self.height}")
