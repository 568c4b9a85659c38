"""Leaves of the state in the database, as they are and as the last blocks found them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from gridcore.errors import GridError
from ledger.leaves.families import FAMILIES
from ledger.registry.columns import COLUMN_PREFIXES
from ledger.state.state import StateChange
from ledger.store.errors import StoreError
from ledger.store.folded_table import FoldedTable
from ledger.store.meter_table import MeterTable
from ledger.store.pruned_tables import PrunedTables
from ledger.store.tables import Tables
from ledger.store.tile_tables import StateTiles
from ledger.tiles import TileId

_LAST_CHARACTER: Final = "\U0010ffff"
_BODIES_TOGETHER: Final = 10_000
"""Registry rows that are written at once: a genesis makes its millions one by one."""


class LeafTable:
    """A LeafSource. What it gives is compared with the tree by whoever asks (``ledger.state.state``); that a key has no leaf
    rests on ``check_keys``, which a start does once.

    tiles: of the tree over the leaves; meters: installations by the codes of their meters; folded: entries of price
    series that their leaves hold no more.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._pruned = PrunedTables(tables)
        self.tiles = StateTiles(tables)
        self.meters = MeterTable(tables)
        self.folded = FoldedTable(tables)

    def load_leaf(self, key: str) -> tuple[int, bytes] | None:
        """Number and canonical [key, value] of a leaf, or None. PrunedError where the body was pruned."""
        found = self._tables.first("SELECT number, leaf FROM leaves WHERE key = ?", key)
        if found is not None and found[1] is None:
            raise self._explain_absence(key)
        return found

    def load_leaves(self, keys: Sequence[str]) -> Mapping[str, tuple[int, bytes]]:
        """Number and canonical [key, value] by key; without those that have no leaf. PrunedError as ``load_leaf``."""
        query = f"SELECT key, number, leaf FROM leaves WHERE key IN ({_places(keys)})"  # noqa: S608 - question marks alone
        found = {key: (number, leaf) for key, number, leaf in self._tables.each(query, *keys)}
        for key, (_, leaf) in found.items():
            if leaf is None:
                raise self._explain_absence(key)
        return found

    def find_number(self, key: str) -> int | None:
        """Number of a leaf, or None."""
        found = self._tables.first("SELECT number FROM leaves WHERE key = ?", key)
        return None if found is None else int(found[0])

    def leaf_keys(self, prefix: str = "", start: int = 0, limit: int = -1) -> list[str]:
        """Keys that begin with ``prefix``, in number order, from the ``start``-th on; ``limit`` -1: all of them."""
        # "+number": by the index over keys, then sorted; in number order every leaf would be looked at.
        rows = self._tables.rows(
            "SELECT key FROM leaves WHERE key >= ? AND key < ? ORDER BY +number LIMIT ? OFFSET ?",
            prefix,
            prefix + _LAST_CHARACTER,
            limit,
            start,
        )
        return [key for (key,) in rows]

    def load_tile(self, tile: TileId) -> bytes | None:
        """A tile of the tree over the leaves, or None."""
        return self.tiles.load_tile(tile)

    def damage(self, what: str) -> StoreError:
        """See ``Tables.damage``."""
        return self._tables.damage(what)

    def each(self) -> Iterator[tuple[int, str, bytes | None]]:
        """(number, key, canonical [key, value], None where it was pruned) of every leaf, in number order."""
        yield from self._tables.each("SELECT number, key, leaf FROM leaves ORDER BY number")

    def count(self, height: int) -> int:
        """How many leaves the state had after the block of ``height``."""
        return int(self._tables.row("SELECT leaves FROM blocks WHERE height = ?", height)[0])

    def leaves(self, prefix: str) -> Iterator[tuple[int, str, bytes]]:
        """(number, key, canonical [key, value]) of the leaves whose keys begin with ``prefix``, in number order. PrunedError as ``load_leaf``."""
        query = "SELECT number, key, leaf FROM leaves WHERE key >= ? AND key < ? ORDER BY +number"
        for number, key, leaf in self._tables.each(query, prefix, prefix + _LAST_CHARACTER):
            if leaf is None:
                raise self._explain_absence(key)
            yield number, key, leaf

    def load_bodies(self, digests: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """The salted registry rows of digests, by digest; without those that are not there. Whoever asks compares them."""
        query = f"SELECT digest, body FROM bodies WHERE digest IN ({_places(digests)})"  # noqa: S608 - question marks alone
        return dict(self._tables.rows(query, *digests))

    def bodies(self) -> Iterator[tuple[bytes, bytes]]:
        """Every salted registry row by its digest."""
        yield from self._tables.each("SELECT digest, body FROM bodies ORDER BY digest")

    def is_registered_after(self, height: int) -> bool:
        """Whether a block after ``height`` wrote an entity of the registry's columns."""
        return bool(self._tables.row("SELECT registered FROM blocks ORDER BY height DESC LIMIT 1")[0] > height)

    def registered_after(self, height: int) -> list[str]:
        """The keys of the entities of the registry's columns that blocks after ``height`` wrote; an index is read for it."""
        keys = self._tables.each("SELECT key FROM leaves INDEXED BY leaves_by_height WHERE height > ?", height)
        return [key for (key,) in keys if key.startswith(COLUMN_PREFIXES)]

    def _explain_absence(self, key: str) -> GridError:
        """Why a leaf has no body: pruned, unless it is none of those that were."""
        name, _, rest = key.partition("/")
        instant = rest.partition("/")[0]
        is_pruned = FAMILIES[name].is_prunable and int(instant) < self._pruned.extent().before_s
        return self._pruned.error(f"leaf {key}") if is_pruned else self.damage(f"leaf {key}")

    def numbers(self) -> Iterator[tuple[int, str]]:
        """Number and key of every leaf, as the index by key has them."""
        yield from self._tables.each("SELECT number, key FROM leaves INDEXED BY leaves_by_key")

    def check_keys(self) -> None:
        """StoreError unless the index holds exactly the keys that blocks have written, so that one it lacks is no leaf."""
        count = total = 0
        for number, key in self.numbers():
            count += 1
            total += key_check(number, key)
        query = "SELECT leaves, keys_check FROM blocks ORDER BY height DESC LIMIT 1"
        if (count, total) != self._tables.row(query):
            raise self.damage("the index of leaves by key")

    # ----------------------------------------------------------------------------------- the state at earlier heights

    def tile_at(self, tile: TileId, height: int) -> bytes:
        """A tile as it was after the block of ``height``, one that is kept; longer if digests were added since."""
        return self.tiles.load_at(tile, height, self._tables.height())

    def leaf_at(self, key: str, height: int) -> tuple[int, bytes] | None:
        """Number and body of a provable leaf as they were after the block of ``height``, or None when there was no such leaf."""
        found = self.load_leaf(key)
        if found is None or found[0] >= self.count(height):
            return None
        query = "SELECT leaf FROM replaced_leaves WHERE height = ? AND number = ?"
        for overwriting in range(height + 1, self._tables.height() + 1):  # the first block that replaced it found it so
            replaced = self._tables.first(query, overwriting, found[0])
            if replaced is not None:
                return found[0], bytes(replaced[0])
        return found

    def genesis_tile(self, tile: TileId) -> bytes:
        """A tile as it was at genesis; longer if digests were added since."""
        return self.tiles.load_genesis(tile)

    def genesis_leaf(self, key: str) -> tuple[int, bytes] | None:
        """Number and body of a provable leaf as they were at genesis, or None when there was no such leaf."""
        found = self.load_leaf(key)
        if found is None or found[0] >= self.count(0):
            return None
        replaced = self._tables.first("SELECT leaf FROM genesis_leaves WHERE number = ?", found[0])
        return (found[0], bytes(replaced[0])) if replaced else found

    # ----------------------------------------------------------------------------------------------------- writing

    def save(self, change: StateChange, height: int) -> None:
        """Keep leaves, tiles and registry rows of a block. sqlite3.Error when the disk does not take them."""
        self._tables.connection.executemany(
            "INSERT INTO leaves VALUES (?, ?, ?, ?) ON CONFLICT (number) DO UPDATE SET "
            "leaf = excluded.leaf, height = excluded.height",
            ((*leaf, height) for leaf in change.leaves),
        )
        bodies = iter(change.bodies)
        while some := list(islice(bodies, _BODIES_TOGETHER)):
            self._tables.connection.executemany("INSERT OR IGNORE INTO bodies VALUES (?, ?)", some)
            self.meters.save(body for _, body in some)
        self.tiles.save(change.tree)

    def save_replaced(self, change: StateChange, leaves_before: int, height: int) -> None:
        """Keep what a block is about to replace of provable leaves and of the tree. ``leaves_before``: number of leaves before it."""
        provable = [leaf.number for leaf in change.leaves if leaf.number < leaves_before and is_provable(leaf.key)]
        self._tables.connection.executemany(
            "INSERT INTO replaced_leaves SELECT ?, number, leaf FROM leaves WHERE number = ?",
            ((height, number) for number in provable),
        )
        self.tiles.save_replaced(change.tree, height)
        self.folded.save_replaced(change.leaves)
        self.keep_genesis(change)

    def keep_genesis(self, change: StateChange) -> None:
        """Keep what a change is the first to replace of genesis, of provable leaves and of the tree."""
        genesis_size = self.count(0)
        provable = [leaf.number for leaf in change.leaves if leaf.number < genesis_size and is_provable(leaf.key)]
        self._tables.connection.executemany(
            "INSERT OR IGNORE INTO genesis_leaves SELECT number, leaf FROM leaves WHERE number = ?",
            ((number,) for number in provable),
        )
        self.tiles.save_genesis(change.tree, genesis_size)

    def forget_replaced(self, height: int) -> None:
        """What blocks up to ``height`` replaced is no longer needed."""
        for table in ("replaced_digests", "replaced_leaves"):
            self._tables.connection.execute(f"DELETE FROM {table} WHERE height <= ?", (height,))  # noqa: S608 - our own names


def _places(values: Sequence[str] | Sequence[bytes]) -> str:
    return ", ".join("?" * len(values))


def is_provable(key: str) -> bool:
    """Whether a leaf enters bundles, so that what the newest blocks replaced of it is kept."""
    return FAMILIES[key.partition("/")[0]].is_provable


def key_check(number: int, key: str) -> int:
    """What one leaf adds to the sum over all keys: any changed bit of key or number changes it."""
    return zlib.crc32(b"%s/%d" % (key.encode(), number))
