"""``state.db``: what follows from the blocks, kept so that a start does not replay them all. SQLite, one transaction a block.

Everything in it can be derived again from genesis, ``blocks.log`` and ``guard``; so it runs with write-ahead logging and
``synchronous = NORMAL`` (a power cut may take its newest blocks, never tear one) and is thrown away when it does not fit.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from gridcore import cbor, merkle
from gridcore.errors import require
from gridcore.header import Certificate
from ledger.state.state import LeafChange
from ledger.store.errors import OlderDatabaseError, StoreError, StoreWriteError

DB_NAME = "state.db"
SCHEMA_VERSION = 3
_LAST_CHARACTER = "\U0010ffff"
PAGE_BATCHES_MAX = 1000
FOLLOWED_LEAVES = ("clearing", "exception", "registers", "run")
"""First parts of the keys whose writes ``changes`` tells of."""
_SCHEMA = """
CREATE TABLE meta (item TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE leaves (number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, leaf BLOB NOT NULL, leaf_hash BLOB NOT NULL,
  height INTEGER NOT NULL);
CREATE INDEX leaves_by_height ON leaves (height, key);
CREATE TABLE blocks (height INTEGER PRIMARY KEY, log_offset INTEGER NOT NULL, header BLOB NOT NULL, digest BLOB NOT NULL,
  certificate BLOB NOT NULL, results BLOB NOT NULL, work_pending INTEGER NOT NULL);
CREATE TABLE transactions (id BLOB PRIMARY KEY, height INTEGER NOT NULL, position INTEGER NOT NULL, code INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE batches (gateway TEXT NOT NULL, boundary_s INTEGER NOT NULL, height INTEGER NOT NULL, position INTEGER NOT NULL,
  id BLOB NOT NULL, observed INTEGER NOT NULL, PRIMARY KEY (gateway, boundary_s, height, position)) WITHOUT ROWID;
CREATE INDEX batches_by_height ON batches (height);
"""
"""``height`` of a leaf: of the block that wrote it last; 0: genesis."""


_DISK_REFUSALS = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_BUSY,
)


def is_disk_refusal(error: sqlite3.Error) -> bool:
    """Whether the disk (not the content) is at fault, so that the same statement may work later."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DISK_REFUSALS


@dataclass(frozen=True)
class Decision:
    """Where and how a transaction was decided: ``position`` in the block of ``height``, and its code."""

    height: int
    position: int
    code: int


@dataclass(frozen=True)
class BatchEntry:
    """One accepted reading batch, by gateway and boundary. ``is_observed``: it carries observations."""

    gateway: str
    boundary_s: int
    position: int
    id: bytes
    is_observed: bool


class Change(NamedTuple):
    """One write that followers of the ledger care for.

    height: of the block; subject: a leaf's key (it was written last in that block), or
    ``batch/<gateway>/<boundary_s>/<1: with observations, else 0>``.
    """

    height: int
    subject: str


@dataclass(frozen=True)
class ResultEntry:
    """What became of one transaction of a block: its digest and code (the leaf of data_root) and its id (b"": malformed)."""

    digest: bytes
    code: int
    id: bytes


@dataclass(frozen=True)
class StoredBlock:
    """Everything that the database keeps of one block."""

    height: int
    log_offset: int
    header: bytes
    digest: bytes
    certificate: Certificate
    results: tuple[ResultEntry, ...]
    work_pending: bool
    leaves: tuple[LeafChange, ...] = ()
    batches: tuple[BatchEntry, ...] = ()


class StateDb:
    """The open database: a LeafSource, and look-ups by height, transaction id, gateway. sqlite3.Error passes through ``save_block``.

    Its owner lets one thread in at a time.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection

    @classmethod
    def create(cls, path: Path, genesis_digest: bytes, leaves: Iterable[LeafChange]) -> StateDb:
        """A new database that holds the state of genesis (height 0); whatever was at ``path`` is removed."""
        for old in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
            old.unlink(missing_ok=True)
        connection = _connect(path)
        connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
        self = cls(path, connection)
        self._in_transaction(lambda: self._save_genesis(genesis_digest, leaves))
        return self

    @classmethod
    def open(cls, path: Path, genesis_digest: bytes) -> StateDb:
        """Open what ``create`` made. StoreError says why it is of no use (missing, damaged, of another genesis or version)."""
        if not path.exists():
            raise StoreError(f"{path}: missing")
        with ExitStack() as resources:
            try:
                connection = _connect(path)
                resources.callback(connection.close)
                _check_use(path, connection, genesis_digest)
            except sqlite3.Error as error:
                if is_disk_refusal(error):
                    raise StoreWriteError(f"{path}: cannot be opened: {error}") from None
                raise StoreError(f"{path}: damaged: {error}") from None
            resources.pop_all()
        return cls(path, connection)

    def close(self) -> None:
        """Close the database; committed blocks stay."""
        self._connection.close()

    def height(self) -> int:
        """Height of the last block that has been saved; 0: genesis."""
        return int(self._rows("SELECT COALESCE(MAX(height), 0) FROM blocks")[0][0])

    # ------------------------------------------------------------------------------------------------- LeafSource

    def load_leaf(self, key: str) -> bytes | None:
        """Canonical [key, value] of a leaf, or None. StoreError when it does not match its hash."""
        rows = self._rows("SELECT leaf, leaf_hash FROM leaves WHERE key = ?", key)
        if not rows:
            return None
        leaf, leaf_hash = rows[0]
        if merkle.leaf_hash(leaf) != leaf_hash:
            raise StoreError(
                f"{self._path}: leaf {key} is damaged. Stop the node and remove {self._path.name}: it is made again from blocks.log"
            )
        return bytes(leaf)

    def leaf_index(self) -> Iterable[tuple[int, str, bytes]]:
        """(number, key, leaf hash) of every leaf, ascending by number."""
        return self._rows("SELECT number, key, leaf_hash FROM leaves ORDER BY number")

    def leaf_keys(self, prefix: str = "", start: int = 0, limit: int = -1) -> list[str]:
        """Keys that begin with ``prefix``, in number order, from the ``start``-th on; ``limit`` -1: all of them."""
        # "+number": by the index over keys, then sorted; in number order every leaf would be looked at.
        rows = self._rows(
            "SELECT key FROM leaves WHERE key >= ? AND key < ? ORDER BY +number LIMIT ? OFFSET ?",
            prefix,
            prefix + _LAST_CHARACTER,
            limit,
            start,
        )
        return [key for (key,) in rows]

    # ----------------------------------------------------------------------------------------------------- blocks

    def save_block(self, block: StoredBlock) -> None:
        """Keep one block, all of it or nothing. sqlite3.Error when the disk does not take it."""
        require(block.height == self.height() + 1, "blocks are saved in order of height")
        self._in_transaction(lambda: self._save_block(block))

    def load_header(self, height: int) -> bytes | None:
        """The canonical header of a height, or None."""
        rows = self._rows("SELECT header FROM blocks WHERE height = ?", height)
        return bytes(rows[0][0]) if rows else None

    def load_certificate(self, height: int) -> Certificate | None:
        """The certificate of a height, or None."""
        rows = self._rows("SELECT certificate FROM blocks WHERE height = ?", height)
        return [(key, signature) for key, signature in cbor.decode(rows[0][0])] if rows else None

    def load_results(self, height: int) -> bytes | None:
        """What became of each transaction of a height, for ``decode_results``, or None."""
        rows = self._rows("SELECT results FROM blocks WHERE height = ?", height)
        return bytes(rows[0][0]) if rows else None

    def is_work_pending(self) -> bool:
        """Whether the last block left due work for the next one."""
        rows = self._rows("SELECT work_pending FROM blocks ORDER BY height DESC LIMIT 1")
        return bool(rows and rows[0][0])

    def load_digests(self) -> list[bytes]:
        """S_1 ... S_h in order."""
        return [bytes(row[0]) for row in self._rows("SELECT digest FROM blocks ORDER BY height")]

    def load_offsets(self) -> array[int]:
        """Where each block begins in blocks.log, from height 1."""
        return array("Q", (row[0] for row in self._rows("SELECT log_offset FROM blocks ORDER BY height")))

    # ------------------------------------------------------------------------------------------------ transactions

    def find_transaction(self, transaction_id: bytes) -> Decision | None:
        """How a transaction was decided: the block that applied it, else the last that refused it, else None."""
        rows = self._rows("SELECT height, position, code FROM transactions WHERE id = ?", transaction_id)
        return Decision(*rows[0]) if rows else None

    def find_batches(
        self,
        gateway: str,
        first_boundary_s: int,
        last_boundary_s: int,
        after: tuple[int, int, int] = (-1, 0, 0),
    ) -> list[tuple[int, int, int, bytes]]:
        """Accepted batches of a gateway between two boundaries (both included), at most PAGE_BATCHES_MAX.

        Each as (boundary_s, height, position, transaction id), ascending. ``after``: (boundary_s, height, position) of the
        last one of the page before.
        """
        rows = self._rows(
            "SELECT boundary_s, height, position, id FROM batches WHERE gateway = ? AND boundary_s BETWEEN ? AND ? "
            "AND (boundary_s, height, position) > (?, ?, ?) ORDER BY boundary_s, height, position LIMIT ?",
            gateway,
            first_boundary_s,
            last_boundary_s,
            *after,
            PAGE_BATCHES_MAX,
        )
        return [(boundary_s, height, position, bytes(found)) for boundary_s, height, position, found in rows]

    # ----------------------------------------------------------------------------------------------------- changes

    def changes(self, after_height: int, rows_max: int) -> tuple[int, list[Change]]:
        """The height up to which it tells, and what was written after ``after_height`` up to there, ascending by height.

        Cut after ``rows_max`` rows, but only between heights: one height may have more. A leaf counts for its last write alone.
        """
        found = self._changes_between(after_height, self.height(), rows_max + 1)
        if len(found) <= rows_max:
            return self.height(), found
        cut = found[-1].height  # this height may go on beyond the rows that were asked for
        whole = [change for change in found if change.height < cut]
        return (cut - 1, whole) if whole else (cut, self._changes_between(after_height, cut, -1))

    def _changes_between(self, after_height: int, height: int, limit: int) -> list[Change]:
        kinds = " OR ".join(f"key BETWEEN '{kind}/' AND '{kind}0'" for kind in FOLLOWED_LEAVES)  # "0" follows "/"
        rows = self._rows(
            f"SELECT height, key FROM leaves WHERE height > ? AND height <= ? AND ({kinds}) "  # noqa: S608 - our own words
            "UNION ALL SELECT height, 'batch/' || gateway || '/' || boundary_s || '/' || observed FROM batches WHERE height > ? AND height <= ? "
            "ORDER BY 1 LIMIT ?",
            *(after_height, height) * 2,
            limit,
        )
        return [Change(*row) for row in rows]

    def _rows(self, query: str, *values: int | str | bytes) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"{self._path}: cannot be read: {error}") from error

    # ----------------------------------------------------------------------------------------------------- writing

    def _in_transaction(self, write: Callable[[], None]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            write()
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _save_genesis(self, genesis_digest: bytes, leaves: Iterable[LeafChange]) -> None:
        self._connection.execute("INSERT INTO meta VALUES ('genesis', ?)", (genesis_digest,))
        self._save_leaves(leaves, 0)

    def _save_block(self, block: StoredBlock) -> None:
        certificate = cbor.encode([list(entry) for entry in block.certificate])
        results = encode_results(block.results)
        self._connection.execute(
            "INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?, ?)",
            (block.height, block.log_offset, block.header, block.digest, certificate, results, int(block.work_pending)),
        )
        self._save_leaves(block.leaves, block.height)
        self._save_decisions(block.height, block.results)
        self._connection.executemany(
            "INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?)",
            [
                (entry.gateway, entry.boundary_s, block.height, entry.position, entry.id, int(entry.is_observed))
                for entry in block.batches
            ],
        )

    def _save_leaves(self, leaves: Iterable[LeafChange], height: int) -> None:
        self._connection.executemany(
            "INSERT INTO leaves VALUES (?, ?, ?, ?, ?) ON CONFLICT (number) DO UPDATE SET "
            "leaf = excluded.leaf, leaf_hash = excluded.leaf_hash, height = excluded.height",
            ((*leaf, height) for leaf in leaves),
        )

    def _save_decisions(self, height: int, results: Sequence[ResultEntry]) -> None:
        # An accepted transaction (code 0) keeps its place for ever; of refusals the latest counts.
        rows = [(entry.id, height, position, entry.code) for position, entry in enumerate(results) if entry.id]
        self._connection.executemany(
            "INSERT INTO transactions VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
            "height = excluded.height, position = excluded.position, code = excluded.code WHERE code <> 0",
            rows,
        )


def encode_results(results: Iterable[ResultEntry]) -> bytes:
    """Canonical bytes of the results of a block."""
    return cbor.encode([[entry.digest, entry.code, entry.id] for entry in results])


def decode_results(encoded: bytes) -> tuple[ResultEntry, ...]:
    """Inverse of encode_results."""
    return tuple(ResultEntry(*entry) for entry in cbor.decode(encoded))


def _connect(path: Path) -> sqlite3.Connection:
    path.touch(mode=0o600)  # load curves are personal data; SQLite gives its journal the same mode
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _check_use(path: Path, connection: sqlite3.Connection, genesis_digest: bytes) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version != SCHEMA_VERSION:
        kind = OlderDatabaseError if version < SCHEMA_VERSION else StoreError
        raise kind(f"{path}: version {version}, not {SCHEMA_VERSION}")
    verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise StoreError(f"{path}: damaged: {verdict}")
    stored = connection.execute("SELECT value FROM meta WHERE item = 'genesis'").fetchone()
    if stored is None or stored[0] != genesis_digest:
        raise StoreError(f"{path}: of another genesis")
    for query in (
        "SELECT COUNT(*), COALESCE(MAX(number) + 1, 0), COALESCE(MIN(number), 0) FROM leaves",
        "SELECT COUNT(*), COALESCE(MAX(height), 0), COALESCE(MIN(height) - 1, 0) FROM blocks",
    ):
        count, end, first = connection.execute(query).fetchone()
        if first != 0 or count != end:
            raise StoreError(f"{path}: damaged: rows are missing")
