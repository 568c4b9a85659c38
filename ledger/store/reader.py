"""What can be asked of a ledger: state, headers, certificates, blocks, receipts, proofs. Every method may be called from any thread.

All answers given inside one ``with reader.frozen():`` belong to one height.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from gridcore import merkle
from gridcore.codes import Code
from gridcore.errors import UsageError, broken, require
from gridcore.header import Certificate, Header, Receipt, data_leaf, decode_header
from ledger.genesis import signer_set
from ledger.state.state import State
from ledger.store.block_log import BlockLog, BlockRecord
from ledger.store.errors import StoreError, StoreWriteError
from ledger.store.state_db import Change, Decision, ResultEntry, StateDb, decode_results

BLOCK_TREES_MAX: Final = 8
"""Blocks whose results are kept at hand, with the tree over them; the least recently asked for goes first."""


@dataclass(frozen=True)
class DecidedTransaction:
    """One transaction of a block with what became of it. ``position``: in the block; ``id``: b"" when malformed."""

    height: int
    position: int
    wire: bytes
    digest: bytes
    code: int
    id: bytes


@dataclass(frozen=True)
class LeafProof:
    """A leaf of the newest state, the sided path to that header's state_root, and the header with its certificate."""

    leaf: bytes
    path: tuple[bytes, ...]
    header: Header
    certificate: Certificate


@dataclass(frozen=True)
class _BlockTree:
    """What became of a block's transactions, and the tree under its data_root."""

    results: tuple[ResultEntry, ...]
    tree: merkle.Tree


class LedgerReader:
    """The reading side of a ledger. ``chain``: its id; ``genesis``: decoded; ``signers``: (public key, power) of genesis.

    ``is_simulated``: ledger time moves by clock/advance alone; otherwise it is the block time.
    """

    def __init__(
        self, genesis: Mapping[str, Any], state: State, db: StateDb, log: BlockLog, digests: list[bytes]
    ) -> None:
        self.genesis = genesis
        self.chain: str = genesis["chain"]
        self.is_simulated: bool = genesis["clock"] == "simulated"
        self.signers: list[tuple[bytes, int]] = signer_set(genesis)
        self._lock = threading.RLock()
        self._state = state
        self._db = db
        self._log = log
        self._digests = digests  # S_0 ... S_h
        self._trees: OrderedDict[int, _BlockTree] = OrderedDict()
        self._trees_lock = threading.Lock()
        self._history = merkle.Tree(map(merkle.leaf_hash, digests[:-1]))  # the tree of header h: S_0 ... S_(h-1)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Keep the ledger at one height meanwhile: for questions that belong together. Blocks wait; be brief."""
        with self._lock:
            yield

    @property
    def height(self) -> int:
        """Height of the newest certified block; 0: only genesis."""
        return len(self._digests) - 1

    @property
    def ledger_time_s(self) -> int:
        """Ledger time, UTC seconds: the ``time`` leaf of a simulated chain, else the newest block's time."""
        with self._lock:
            if self.is_simulated:
                return int(self.must("time")["ledger_time_s"])
            return self.header(self.height).time_s if self.height else int(self.genesis["ledger_time_s"])

    # ------------------------------------------------------------------------------------------------------- state

    def get(self, key: str) -> Mapping[str, Any] | None:
        """The value of a state leaf, or None. Shared: never change it."""
        with self._lock:
            return self._state.get(key)

    def must(self, key: str) -> Mapping[str, Any]:
        """The value of a leaf that cannot be absent."""
        value = self.get(key)
        return value if value is not None else broken(f"leaf {key} exists")

    def leaf(self, key: str) -> bytes | None:
        """Canonical [key, value] of a state leaf, or None."""
        with self._lock:
            return self._state.leaf(key) if key in self._state else None

    def leaf_keys(self, prefix: str = "", start: int = 0, limit: int = -1) -> list[str]:
        """Keys of certified leaves that begin with ``prefix``: see ``StateDb.leaf_keys``."""
        with self._lock:
            return self._db.leaf_keys(prefix, start, limit)

    def changes(self, after_height: int, rows_max: int) -> tuple[int, list[Change]]:
        """What certified blocks wrote after a height (0 ... newest): see ``StateDb.changes``. UsageError for another height."""
        self._check_height(after_height, first=0)
        with self._lock:
            return self._db.changes(after_height, rows_max)

    def state_root(self) -> bytes:
        """State root of the newest certified block (of genesis at height 0)."""
        with self._lock:
            return self.header(self.height).state_root if self.height else self._state.root()

    def leaf_proof(self, key: str) -> LeafProof | None:
        """Proof of a leaf under the newest header, or None when there is no such leaf or no block yet.

        StoreWriteError while the disk refuses a block that is decided already: the state is ahead of every certificate.
        """
        with self._lock:
            if key not in self._state or not self.height:
                return None
            header = self.header(self.height)
            if self._state.root() != header.state_root:
                raise StoreWriteError(
                    f"height {self.height + 1} awaits its certificate: no proof of state until the disk takes it"
                )
            path = tuple(self._state.sided_path(key))
            return LeafProof(self._state.leaf(key), path, header, self.certificate(self.height))

    # ------------------------------------------------------------------------------------------- headers and blocks

    def digest(self, height: int) -> bytes:
        """S_h; height 0: the genesis digest."""
        self._check_height(height, first=0)
        return self._digests[height]

    def header(self, height: int) -> Header:
        """The header of ``height`` (1 ... newest)."""
        return decode_header(self.header_bytes(height))

    def header_bytes(self, height: int) -> bytes:
        """The canonical header whose SM3 is S_h."""
        self._check_height(height)
        with self._lock:
            header = self._db.load_header(height)
        return header if header is not None else _absent("header", height)

    def certificate(self, height: int) -> Certificate:
        """The certificate of ``height`` (1 ... newest)."""
        self._check_height(height)
        with self._lock:
            certificate = self._db.load_certificate(height)
        return certificate if certificate is not None else _absent("certificate", height)

    def block(self, height: int) -> BlockRecord:
        """The block of ``height`` as stored in the log."""
        self._check_height(height)
        return self._log.read(height)

    def results(self, height: int) -> tuple[ResultEntry, ...]:
        """Digest, code and id of each transaction of ``height``, in block order."""
        return self._block_tree(height).results

    def transactions(self, height: int) -> list[DecidedTransaction]:
        """The transactions of ``height`` with their codes, in block order."""
        wires = self.block(height).transactions
        return [
            DecidedTransaction(height, position, wire, entry.digest, entry.code, entry.id)
            for position, (wire, entry) in enumerate(zip(wires, self.results(height), strict=True))
        ]

    def history_path(self, height: int, of_height: int) -> list[bytes]:
        """Sided path from the leaf S_height to history_root of header ``of_height`` (0 <= height < of_height)."""
        self._check_height(of_height)
        require(0 <= height < of_height, f"header {of_height} covers the heights before it, not {height}")
        with self._lock:
            if of_height == len(self._history):
                return self._history.sided_path(height)
            return merkle.sided_path([merkle.leaf_hash(digest) for digest in self._digests[:of_height]], height)

    # ------------------------------------------------------------------------------------------------ transactions

    def find_transaction(self, transaction_id: bytes) -> Decision | None:
        """How a transaction was decided: where it was applied, else where it was last refused, else None."""
        with self._lock:
            return self._db.find_transaction(transaction_id)

    def find_applied(self, transaction_id: bytes) -> Decision | None:
        """Where a transaction was applied, or None."""
        decision = self.find_transaction(transaction_id)
        return decision if decision is not None and decision.code == Code.ACCEPTED else None

    def find_batches(
        self,
        gateway: str,
        first_boundary_s: int,
        last_boundary_s: int,
        after: tuple[int, int, int] = (-1, 0, 0),
    ) -> list[tuple[int, int, int, bytes]]:
        """Accepted batches of a gateway: see ``StateDb.find_batches``."""
        with self._lock:
            return self._db.find_batches(gateway, first_boundary_s, last_boundary_s, after)

    def transaction(self, transaction_id: bytes) -> DecidedTransaction | None:
        """A decided transaction with its bytes, or None."""
        decision = self.find_transaction(transaction_id)
        if decision is None:
            return None
        entry = self.results(decision.height)[decision.position]
        wire = self.block(decision.height).transactions[decision.position]
        return DecidedTransaction(decision.height, decision.position, wire, entry.digest, entry.code, entry.id)

    def data_path(self, height: int, position: int) -> list[bytes]:
        """Sided path from the leaf [digest, code] of a transaction to data_root of its header."""
        return self._block_tree(height).tree.sided_path(position)

    def receipt(self, transaction_id: bytes) -> bytes | None:
        """The canonical receipt of a decided transaction, or None while it is not decided."""
        decision = self.find_transaction(transaction_id)
        if decision is None:
            return None
        decided = self._block_tree(decision.height)
        entry = decided.results[decision.position]
        return Receipt(
            header=self.header(decision.height),
            certificate=self.certificate(decision.height),
            digest=entry.digest,
            code=entry.code,
            path=tuple(decided.tree.sided_path(decision.position)),
        ).encode()

    def _block_tree(self, height: int) -> _BlockTree:
        """Results of a height, which never change: decoded and hashed once, and not under the ledger's lock."""
        self._check_height(height)
        with self._trees_lock:
            found = self._trees.get(height)
            if found is not None:
                self._trees.move_to_end(height)
                return found
        with self._lock:
            encoded = self._db.load_results(height)
        results = decode_results(encoded) if encoded is not None else _absent("results", height)
        tree = merkle.Tree(data_hashes(results))
        tree.root()  # hashed here: from now on threads only read it
        with self._trees_lock:
            self._trees[height] = found = _BlockTree(results, tree)
            if len(self._trees) > BLOCK_TREES_MAX:
                self._trees.popitem(last=False)
        return found

    def _check_height(self, height: int, first: int = 1) -> None:
        if not first <= height <= self.height:
            raise UsageError(f"height {height}: this ledger has heights {first} to {self.height}")


def data_hashes(results: tuple[ResultEntry, ...]) -> list[bytes]:
    """Leaf hashes of the tree under a header's data_root."""
    return [merkle.leaf_hash(data_leaf(entry.digest, entry.code)) for entry in results]


def _absent(what: str, height: int) -> NoReturn:
    raise StoreError(
        f"{what} of height {height} is missing from state.db: remove that file, it is made again at the next start"
    )
