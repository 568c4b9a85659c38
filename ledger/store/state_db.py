"""``state.db``: what follows from the blocks, kept so that a start does not replay them all. SQLite, one transaction a block.

Everything in it can be derived again from genesis, ``blocks.log`` and ``guard``; so it runs with write-ahead logging and
``synchronous = NORMAL`` and is thrown away when it does not fit.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import starmap
from pathlib import Path
from typing import Final

from gridcore import cbor
from gridcore.errors import require
from gridcore.header import Certificate, decode_header
from ledger.application import Decided
from ledger.origin import Origin
from ledger.registry.columns import COLUMN_PREFIXES
from ledger.state.state import StateChange
from ledger.store.errors import StoreError, StoreWriteError
from ledger.store.indexes import Indexes
from ledger.store.leaf_tables import LeafTable, key_check
from ledger.store.pruned_tables import KeptTransaction, Pruned, PrunedTables
from ledger.store.rows import Certified, Place, encode_results, result_entries
from ledger.store.schema import SCHEMA, SCHEMA_VERSION, check_version, connect, in_transaction, is_disk_refusal
from ledger.store.snapshot_format import Head
from ledger.store.tables import Tables
from ledger.store.tile_tables import HistoryTiles
from ledger.store.validator_table import ValidatorTable
from ledger.tiles import TreeChange

DB_NAME: Final = "state.db"
PROVABLE_HEIGHTS: Final = 64
"""How many of the newest heights the state can be proved at."""


class StateDb:
    """The open database. sqlite3.Error passes through ``save_block``; its owner lets one thread in at a time.

    origin: of the chain; leaves: of the newest block's state, with the tiles over them; history: tiles over S_0 ... S_(h-1);
    validators: who certifies which headers; indexes: look-ups by transaction id, gateway, height; pruned: what is no longer here.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, origin: Origin) -> None:
        self.origin = origin
        self._tables = Tables(path, connection)
        self.leaves = LeafTable(self._tables)
        self.history = HistoryTiles(self._tables)
        self.validators = ValidatorTable(self._tables)
        self.indexes = Indexes(self._tables)
        self.pruned = PrunedTables(self._tables)
        self._certified_height: int | None = None
        self._joined_height: int | None = None

    @classmethod
    def create(cls, path: Path, origin: Origin, genesis: StateChange) -> StateDb:
        """A new database that holds the state of genesis (height 0); whatever was at ``path`` is removed. StoreWriteError: the disk refuses it."""
        try:
            remove_db(path)
            connection = connect(path)
            connection.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
            self = cls(path, connection, origin)
            in_transaction(connection, lambda: self._save_genesis(genesis))
        except (sqlite3.Error, OSError) as error:
            raise StoreWriteError(f"{path}: cannot be made: {error}") from error
        return self

    @classmethod
    def open(cls, path: Path, genesis_digest: bytes) -> StateDb:
        """Open what ``create`` made. StoreError says why it is of no use (missing, damaged, of another genesis or version)."""
        if not path.exists():
            raise StoreError(f"{path}: missing")
        with ExitStack() as resources:
            try:
                connection = connect(path)
                resources.callback(connection.close)
                check_version(path, connection)
                row = connection.execute("SELECT genesis, clock, header FROM origin").fetchone()
                if row is None or row[0] != genesis_digest:
                    raise StoreError(f"{path}: of another genesis")
                origin = Origin(row[1], decode_header(row[2]), ValidatorTable(Tables(path, connection)).at(1))
            except sqlite3.Error as error:
                if is_disk_refusal(error):
                    raise StoreWriteError(f"{path}: cannot be opened: {error}") from None
                raise StoreError(f"{path}: damaged: {error}") from None
            resources.pop_all()
        return cls(path, connection, origin)

    def close(self) -> None:
        """Close the database; committed blocks stay."""
        self._tables.connection.close()

    def damage(self, what: str) -> StoreError:
        """See ``Tables.damage``."""
        return self._tables.damage(what)

    def height(self) -> int:
        """Height of the last block that has been saved; 0: genesis."""
        return self._tables.height()

    def certified_height(self) -> int:
        """The newest height that has a certificate of its own; 0: none has. Looked up once, then kept in memory."""
        if self._certified_height is None:
            query = "SELECT height FROM blocks WHERE certificate <> ? ORDER BY height DESC LIMIT 1"
            found = self._tables.first(query, _encode_certificate([]))
            self._certified_height = found[0] if found else 0
        return self._certified_height

    # ----------------------------------------------------------------------------------------------------- blocks

    def save_block(
        self, decided: Decided, certificate: Certificate, log_offset: int, brought: Certified | None = None
    ) -> None:
        """Keep one block, all of it or nothing. sqlite3.Error when the disk does not take it.

        certificate: of its own header, empty while there is none. brought: that of an earlier header, which this block brings.
        """
        height = decided.header.height
        require(height == self.height() + 1, "blocks are saved in order of height")
        require(brought is None or brought.height < height, "a block brings the certificate of an earlier header")

        def save() -> None:
            self._save_block(decided, certificate, log_offset)
            if brought is not None:
                query = "UPDATE blocks SET certificate = ? WHERE height = ?"
                self._tables.connection.execute(query, (_encode_certificate(brought.certificate), brought.height))

        in_transaction(self._tables.connection, save)
        self._certified_height = None if brought is not None else height if certificate else self._certified_height

    def load_header(self, height: int) -> bytes | None:
        """The canonical header of a height, or None."""
        found = self._tables.first("SELECT header FROM blocks WHERE height = ?", height)
        return bytes(found[0]) if found else None

    def load_digest(self, height: int) -> bytes | None:
        """S_h, or None."""
        found = self._tables.first("SELECT digest FROM blocks WHERE height = ?", height)
        return bytes(found[0]) if found else None

    def load_certificate(self, height: int) -> Certificate | None:
        """The certificate of a height, or None."""
        found = self._tables.first("SELECT certificate FROM blocks WHERE height = ?", height)
        return [(key, signature) for key, signature in cbor.decode(found[0])] if found else None

    def find_certified(self, height: int) -> int | None:
        """The first height from ``height`` on that has a certificate of its own, or None."""
        query = "SELECT height FROM blocks WHERE height >= ? AND certificate <> ? ORDER BY height LIMIT 1"
        found = self._tables.first(query, height, _encode_certificate([]))
        return int(found[0]) if found else None

    def load_results(self, height: int) -> bytes | None:
        """What became of each transaction of a height, for ``decode_results``, or None."""
        found = self._tables.first("SELECT results FROM blocks WHERE height = ?", height)
        return bytes(found[0]) if found else None

    def is_work_pending(self) -> bool:
        """Whether the last block left due work for the next one."""
        return bool(self._tables.row("SELECT work_pending FROM blocks ORDER BY height DESC LIMIT 1")[0])

    def log_offset(self, height: int) -> int | None:
        """Where a block begins in blocks.log, or None."""
        found = self._tables.first("SELECT log_offset FROM blocks WHERE height = ?", height)
        return int(found[0]) if found else None

    def places(self, first: int = 0) -> Iterator[Place]:
        """Every block's place in the log, from height ``first`` on (0: genesis, which has none: offset 0)."""
        query = "SELECT height, digest, log_offset FROM blocks WHERE height >= ? ORDER BY height"
        for row in self._tables.each(query, first):
            yield Place(*row)

    def prune(self, pruned: Pruned, kept: Iterable[KeptTransaction]) -> None:
        """See ``PrunedTables.save``: all of it or nothing, and on the disk on return. sqlite3.Error when the disk does not take it."""
        in_transaction(self._tables.connection, lambda: self.pruned.save(pruned, kept))
        self._tables.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def give_back_room(self) -> None:
        """Make the file as small as what it holds, which takes as much room meanwhile. sqlite3.Error: it stays as it is."""
        self._tables.connection.execute("VACUUM")
        self._tables.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    # -------------------------------------------------------------------------------------------------- snapshots

    @property
    def joined_height(self) -> int:
        """The height of the snapshot that this began with: nothing is known of blocks up to there; 0: it began with genesis."""
        if self._joined_height is None:
            found = self._tables.first("SELECT height FROM joined")
            self._joined_height = found[0] if found else 0
        return self._joined_height

    def freeze(self) -> None:
        """From now on this connection reads what the database holds now, whatever others write; until it is closed."""
        self._tables.connection.execute("BEGIN")
        self.height()

    def save_leaves(self, change: StateChange, height: int) -> None:
        """Keep some leaves and registry rows of the snapshot of a height, which come before its head. sqlite3.Error."""

        def save() -> None:
            self.leaves.keep_genesis(change)
            self.leaves.save(change, height)

        in_transaction(self._tables.connection, save)

    def save_history(self, change: TreeChange) -> None:
        """Keep some of the tree over headers of a snapshot. sqlite3.Error."""
        in_transaction(self._tables.connection, lambda: self.history.save(change))

    def save_head(self, head: Head) -> None:
        """Say that this is the state of a snapshot, whose leaves and history are here; all on the disk on return. sqlite3.Error."""
        in_transaction(self._tables.connection, lambda: self._save_head(head))
        self._joined_height = self._certified_height = None
        self._tables.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    # ----------------------------------------------------------------------------------------------------- writing

    def _save_head(self, head: Head) -> None:
        connection, height = self._tables.connection, head.header.height
        check = sum(key_check(number, key) for number, key in self.leaves.numbers())
        certificates = {one.height: one.certificate for one in head.certificates}
        connection.executemany(
            "INSERT INTO blocks VALUES (?, 0, ?, ?, ?, ?, 0, ?, ?, ?)",
            (
                (
                    header.height,
                    header.encode(),
                    header.digest(),
                    _encode_certificate(certificates.get(header.height, [])),
                    b"",
                    head.leaves,
                    check,
                    height,
                )
                for header in head.headers
            ),
        )
        for change in head.sets:
            self.validators.add(change)
        connection.execute("INSERT INTO joined VALUES (?)", (height,))
        self.pruned.save(Pruned(height, 0), ())

    def _save_genesis(self, genesis: StateChange) -> None:
        origin, header = self.origin, self.origin.header.encode()
        self._tables.connection.execute(
            "INSERT INTO origin VALUES (?, ?, ?)", (origin.header.data_root, origin.clock, header)
        )
        self.validators.save_genesis(origin.validators)
        self.leaves.save(genesis, 0)
        check = sum(starmap(key_check, self._tables.connection.execute("SELECT number, key FROM leaves")))
        empty = cbor.encode([])
        self._tables.connection.execute(
            "INSERT INTO blocks VALUES (0, 0, ?, ?, ?, ?, 0, ?, ?, 0)",
            (header, origin.header.digest(), empty, empty, genesis.tree.size, check),
        )

    def _save_block(self, decided: Decided, certificate: Certificate, log_offset: int) -> None:
        height = decided.header.height
        query = "SELECT leaves, keys_check, registered FROM blocks WHERE height = ?"
        leaves_before, check, registered = self._tables.row(query, height - 1)
        new = [leaf for leaf in decided.state.leaves if leaf.number >= leaves_before]
        self._tables.connection.execute(
            "INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                height,
                log_offset,
                decided.header.encode(),
                decided.digest,
                _encode_certificate(certificate),
                encode_results(result_entries(decided)),
                int(decided.work_pending),
                decided.state.tree.size,
                check + sum(key_check(leaf.number, leaf.key) for leaf in new),
                height if any(leaf.key.startswith(COLUMN_PREFIXES) for leaf in decided.state.leaves) else registered,
            ),
        )
        self.leaves.save_replaced(decided.state, leaves_before, height)
        self.leaves.save(decided.state, height)
        self.leaves.forget_replaced(height - PROVABLE_HEIGHTS)
        self.history.save(decided.history)
        self.validators.save(decided)
        self.indexes.save(decided)


def _encode_certificate(certificate: Certificate) -> bytes:
    return cbor.encode([list(entry) for entry in certificate])


def remove_db(path: Path) -> None:
    """Remove a database that nobody has open, if there is one."""
    for old in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        old.unlink(missing_ok=True)
