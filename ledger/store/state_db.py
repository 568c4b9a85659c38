"""``state.db``: what follows from the blocks, kept so that a start does not replay them all. SQLite, one transaction a block.

Everything in it can be derived again from genesis, ``blocks.log`` and ``guard``; so it runs with write-ahead logging and
``synchronous = NORMAL`` and is thrown away when it does not fit. Leaves and tiles are compared with the state root when they are
loaded (``ledger.state.state``); that a key has no leaf rests on ``check_keys``, which a start does once.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from gridcore import cbor
from gridcore.errors import require
from gridcore.header import Certificate, decode_header
from ledger.application import Decided
from ledger.leaves.families import FAMILIES, FOLLOWED_FAMILIES
from ledger.origin import Origin
from ledger.registry.columns import COLUMN_PREFIXES
from ledger.state.state import LeafChange, StateChange
from ledger.store.errors import StoreError, StoreWriteError
from ledger.store.rows import (
    Change,
    Decision,
    Place,
    batch_entries,
    encode_results,
    result_entries,
)
from ledger.store.schema import SCHEMA, SCHEMA_VERSION, check_version, connect, in_transaction, is_disk_refusal
from ledger.store.tile_tables import HistoryTiles, StateTiles
from ledger.tiles import TileId

DB_NAME: Final = "state.db"
PAGE_BATCHES_MAX: Final = 1000
PROVABLE_HEIGHTS: Final = 64
"""How many of the newest heights the state can be proved at."""
_LAST_CHARACTER: Final = "\U0010ffff"


class StateDb:
    """The open database: a LeafSource, and look-ups by height, transaction id, gateway. sqlite3.Error passes through ``save_block``.

    origin: of the chain; tiles: of the tree over the leaves; history: of that over S_0 ... S_(h-1). Its owner lets one thread in at a time.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, origin: Origin) -> None:
        self.origin = origin
        self._path = path
        self._connection = connection
        self.tiles = StateTiles(connection, self.damage)
        self.history = HistoryTiles(connection, self.damage)

    @classmethod
    def create(cls, path: Path, origin: Origin, genesis: StateChange) -> StateDb:
        """A new database that holds the state of genesis (height 0); whatever was at ``path`` is removed."""
        for old in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
            old.unlink(missing_ok=True)
        connection = connect(path)
        connection.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
        self = cls(path, connection, origin)
        in_transaction(connection, lambda: self._save_genesis(genesis))
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
                row = connection.execute("SELECT genesis, clock, header, signers FROM origin").fetchone()
                if row is None or row[0] != genesis_digest:
                    raise StoreError(f"{path}: of another genesis")
                origin = decode_origin(*row[1:])
            except sqlite3.Error as error:
                if is_disk_refusal(error):
                    raise StoreWriteError(f"{path}: cannot be opened: {error}") from None
                raise StoreError(f"{path}: damaged: {error}") from None
            resources.pop_all()
        return cls(path, connection, origin)

    def close(self) -> None:
        """Close the database; committed blocks stay."""
        self._connection.close()

    def damage(self, what: str) -> StoreError:
        """The error that says that something here is not what was saved, and the way out."""
        return StoreError(
            f"{self._path}: {what} is damaged. Stop the node and remove {self._path.name}: it is made again from blocks.log"
        )

    def height(self) -> int:
        """Height of the last block that has been saved; 0: genesis."""
        return int(self._row("SELECT MAX(height) FROM blocks")[0])

    # ------------------------------------------------------------------------------------------------- LeafSource

    def load_leaf(self, key: str) -> tuple[int, bytes] | None:
        """Number and canonical [key, value] of a leaf, or None; whoever asks compares it with the tree."""
        return self._first("SELECT number, leaf FROM leaves WHERE key = ?", key)

    def find_number(self, key: str) -> int | None:
        """Number of a leaf, or None."""
        found = self._first("SELECT number FROM leaves WHERE key = ?", key)
        return None if found is None else int(found[0])

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

    def load_body(self, digest: bytes) -> bytes | None:
        """The salted registry row of a digest, or None; whoever asks compares it."""
        found = self._first("SELECT body FROM bodies WHERE digest = ?", digest)
        return None if found is None else bytes(found[0])

    def bodies(self) -> Iterator[tuple[bytes, bytes]]:
        """Every salted registry row by its digest."""
        for digest, body in self._connection.execute("SELECT digest, body FROM bodies ORDER BY digest"):
            yield bytes(digest), bytes(body)

    def is_registered_after(self, height: int) -> bool:
        """Whether a block after ``height`` wrote an entity of the registry's columns."""
        return bool(self._row("SELECT registered FROM blocks ORDER BY height DESC LIMIT 1")[0] > height)

    def load_tile(self, tile: TileId) -> bytes | None:
        """A tile of the tree over the leaves, or None."""
        return self.tiles.load_tile(tile)

    def leaves(self) -> Iterator[tuple[int, str, bytes]]:
        """(number, key, canonical [key, value]) of every leaf, in number order."""
        yield from self._each("SELECT number, key, leaf FROM leaves ORDER BY number")

    def leaf_count(self, height: int) -> int:
        """How many leaves the state had after the block of ``height``."""
        return int(self._row("SELECT leaves FROM blocks WHERE height = ?", height)[0])

    def check_keys(self) -> None:
        """StoreError unless the index holds exactly the keys that blocks have written, so that one it lacks is no leaf."""
        count = total = 0
        for number, key in self._each("SELECT number, key FROM leaves INDEXED BY leaves_by_key"):
            count += 1
            total += key_check(number, key)
        query = "SELECT leaves, keys_check FROM blocks ORDER BY height DESC LIMIT 1"
        if (count, total) != self._row(query):
            raise self.damage("the index of leaves by key")

    # ----------------------------------------------------------------------------------- the state at earlier heights

    def tile_at(self, tile: TileId, height: int) -> bytes:
        """A tile as it was after the block of ``height``, at most PROVABLE_HEIGHTS ago; longer if digests were added since."""
        return self.tiles.load_at(tile, height, self.height())

    def leaf_at(self, key: str, height: int) -> tuple[int, bytes] | None:
        """Number and body of a provable leaf as they were after the block of ``height``, or None when there was no such leaf."""
        found = self.load_leaf(key)
        if found is None or found[0] >= self.leaf_count(height):
            return None
        heights = self._heights_after(height)
        query = (
            f"SELECT leaf FROM replaced_leaves WHERE height IN ({heights}) AND number = ? "  # noqa: S608 - numbers
            "ORDER BY height LIMIT 1"
        )
        replaced = self._first(query, found[0])
        return (found[0], bytes(replaced[0])) if replaced else found

    def genesis_tile(self, tile: TileId) -> bytes:
        """A tile as it was at genesis; longer if digests were added since."""
        return self.tiles.load_genesis(tile)

    def genesis_leaf(self, key: str) -> tuple[int, bytes] | None:
        """Number and body of a provable leaf as they were at genesis, or None when there was no such leaf."""
        found = self.load_leaf(key)
        if found is None or found[0] >= self.leaf_count(0):
            return None
        replaced = self._first("SELECT leaf FROM genesis_leaves WHERE number = ?", found[0])
        return (found[0], bytes(replaced[0])) if replaced else found

    # ----------------------------------------------------------------------------------------------------- blocks

    def save_block(self, decided: Decided, certificate: Certificate, log_offset: int) -> None:
        """Keep one block, all of it or nothing. sqlite3.Error when the disk does not take it."""
        require(decided.header.height == self.height() + 1, "blocks are saved in order of height")
        in_transaction(self._connection, lambda: self._save_block(decided, certificate, log_offset))

    def load_header(self, height: int) -> bytes | None:
        """The canonical header of a height, or None."""
        found = self._first("SELECT header FROM blocks WHERE height = ?", height)
        return bytes(found[0]) if found else None

    def load_digest(self, height: int) -> bytes | None:
        """S_h, or None."""
        found = self._first("SELECT digest FROM blocks WHERE height = ?", height)
        return bytes(found[0]) if found else None

    def load_certificate(self, height: int) -> Certificate | None:
        """The certificate of a height, or None."""
        found = self._first("SELECT certificate FROM blocks WHERE height = ?", height)
        return [(key, signature) for key, signature in cbor.decode(found[0])] if found else None

    def load_results(self, height: int) -> bytes | None:
        """What became of each transaction of a height, for ``decode_results``, or None."""
        found = self._first("SELECT results FROM blocks WHERE height = ?", height)
        return bytes(found[0]) if found else None

    def is_work_pending(self) -> bool:
        """Whether the last block left due work for the next one."""
        return bool(self._row("SELECT work_pending FROM blocks ORDER BY height DESC LIMIT 1")[0])

    def log_offset(self, height: int) -> int | None:
        """Where a block begins in blocks.log, or None."""
        found = self._first("SELECT log_offset FROM blocks WHERE height = ?", height)
        return int(found[0]) if found else None

    def places(self) -> Iterator[Place]:
        """Every block's place in the log, from height 0 (genesis, which has none: offset 0)."""
        for row in self._each("SELECT height, digest, log_offset FROM blocks ORDER BY height"):
            yield Place(*row)

    # ------------------------------------------------------------------------------------------------ transactions

    def find_transaction(self, transaction_id: bytes) -> Decision | None:
        """How a transaction was decided: the block that applied it, else the last that refused it, else None."""
        found = self._first("SELECT height, position, code FROM transactions WHERE id = ?", transaction_id)
        return Decision(*found) if found else None

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
        names = [family.name for family in FOLLOWED_FAMILIES]
        kinds = " OR ".join(f"key BETWEEN '{name}/' AND '{name}0'" for name in names)  # "0" follows "/"
        rows = self._rows(
            f"SELECT height, key FROM leaves WHERE height > ? AND height <= ? AND ({kinds}) "  # noqa: S608 - our own words
            "UNION ALL SELECT height, 'batch/' || gateway || '/' || boundary_s || '/' || observed FROM batches WHERE height > ? AND height <= ? "
            "ORDER BY 1 LIMIT ?",
            *(after_height, height) * 2,
            limit,
        )
        return [Change(*row) for row in rows]

    # ----------------------------------------------------------------------------------------------------- reading

    def _rows(self, query: str, *values: int | str | bytes) -> list[tuple[Any, ...]]:
        return list(self._each(query, *values))

    def _each(self, query: str, *values: int | str | bytes) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._connection.execute(query, values)
        except sqlite3.Error as error:
            raise self._unreadable(error) from error

    def _first(self, query: str, *values: int | str | bytes) -> tuple[Any, ...] | None:
        try:
            found: tuple[Any, ...] | None = self._connection.execute(query, values).fetchone()
        except sqlite3.Error as error:
            raise self._unreadable(error) from error
        return found

    def _unreadable(self, error: sqlite3.Error) -> StoreError:
        if is_disk_refusal(error):
            return StoreError(f"{self._path}: cannot be read: {error}")
        return self.damage(f"the file ({error})")

    def _row(self, query: str, *values: int | str | bytes) -> tuple[Any, ...]:
        found = self._first(query, *values)
        if found is None:
            raise self.damage("the list of blocks")
        return found

    def _heights_after(self, height: int) -> str:
        return ", ".join(map(str, range(height + 1, self.height() + 1)))

    # ----------------------------------------------------------------------------------------------------- writing

    def _save_genesis(self, genesis: StateChange) -> None:
        origin, signers = self.origin, cbor.encode([list(signer) for signer in self.origin.signers])
        header = origin.header.encode()
        self._connection.execute(
            "INSERT INTO origin VALUES (?, ?, ?, ?)", (origin.header.data_root, origin.clock, header, signers)
        )
        self._save_leaves(genesis.leaves, 0)
        self._save_bodies(genesis)
        self.tiles.save(genesis.tree)
        check = sum(key_check(leaf.number, leaf.key) for leaf in genesis.leaves)
        empty = cbor.encode([])
        self._connection.execute(
            "INSERT INTO blocks VALUES (0, 0, ?, ?, ?, ?, 0, ?, ?, 0)",
            (header, origin.header.digest(), empty, empty, genesis.tree.size, check),
        )

    def _save_block(self, decided: Decided, certificate: Certificate, log_offset: int) -> None:
        height, results = decided.header.height, result_entries(decided)
        query = "SELECT leaves, keys_check, registered FROM blocks WHERE height = ?"
        leaves_before, check, registered = self._row(query, height - 1)
        new = [leaf for leaf in decided.state.leaves if leaf.number >= leaves_before]
        self._connection.execute(
            "INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                height,
                log_offset,
                decided.header.encode(),
                decided.digest,
                cbor.encode([list(entry) for entry in certificate]),
                encode_results(results),
                int(decided.work_pending),
                decided.state.tree.size,
                check + sum(key_check(leaf.number, leaf.key) for leaf in new),
                height if any(leaf.key.startswith(COLUMN_PREFIXES) for leaf in decided.state.leaves) else registered,
            ),
        )
        self._keep_replaced_leaves(decided.state.leaves, leaves_before, height)
        genesis_size = self.leaf_count(0)
        self._keep_genesis_leaves(decided.state.leaves, genesis_size)
        self._save_leaves(decided.state.leaves, height)
        self._save_bodies(decided.state)
        self.tiles.save(decided.state.tree)
        self.tiles.save_replaced(decided.state.tree, height)
        self.tiles.save_genesis(decided.state.tree, genesis_size)
        self.history.save(decided.history)
        # An accepted transaction (code 0) keeps its place for ever; of refusals the latest counts.
        self._connection.executemany(
            "INSERT INTO transactions VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
            "height = excluded.height, position = excluded.position, code = excluded.code WHERE code <> 0",
            [(entry.id, height, position, entry.code) for position, entry in enumerate(results) if entry.id],
        )
        self._connection.executemany(
            "INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?)",
            [
                (entry.gateway, entry.boundary_s, height, entry.position, entry.id, int(entry.is_observed))
                for entry in batch_entries(decided)
            ],
        )
        self._forget_replaced(height - PROVABLE_HEIGHTS)

    def _save_leaves(self, leaves: Iterable[LeafChange], height: int) -> None:
        self._connection.executemany(
            "INSERT INTO leaves VALUES (?, ?, ?, ?) ON CONFLICT (number) DO UPDATE SET "
            "leaf = excluded.leaf, height = excluded.height",
            ((*leaf, height) for leaf in leaves),
        )

    def _save_bodies(self, change: StateChange) -> None:
        self._connection.executemany("INSERT OR IGNORE INTO bodies VALUES (?, ?)", sorted(change.bodies.items()))

    def _keep_replaced_leaves(self, leaves: Iterable[LeafChange], leaves_before: int, height: int) -> None:
        self._connection.executemany(
            "INSERT INTO replaced_leaves SELECT ?, number, leaf FROM leaves WHERE number = ?",
            ((height, leaf.number) for leaf in leaves if leaf.number < leaves_before and is_provable(leaf.key)),
        )

    def _keep_genesis_leaves(self, leaves: Iterable[LeafChange], genesis_size: int) -> None:
        self._connection.executemany(
            "INSERT OR IGNORE INTO genesis_leaves SELECT number, leaf FROM leaves WHERE number = ?",
            ((leaf.number,) for leaf in leaves if leaf.number < genesis_size and is_provable(leaf.key)),
        )

    def _forget_replaced(self, height: int) -> None:
        for table in ("replaced_digests", "replaced_leaves"):
            self._connection.execute(f"DELETE FROM {table} WHERE height <= ?", (height,))  # noqa: S608 - our own names


def decode_origin(clock: str, header: bytes, signers: bytes) -> Origin:
    """The origin out of its columns."""
    return Origin(clock, decode_header(header), tuple((key, power) for key, power in cbor.decode(signers)))


def is_provable(key: str) -> bool:
    """Whether a leaf enters bundles, so that what is replaced of it is kept for PROVABLE_HEIGHTS heights."""
    return FAMILIES[key.partition("/")[0]].is_provable


def key_check(number: int, key: str) -> int:
    """What one leaf adds to the sum over all keys: any changed bit of key or number changes it."""
    return zlib.crc32(b"%s/%d" % (key.encode(), number))
