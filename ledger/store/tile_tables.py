"""Tiles of the two trees in the database: over the leaves of the state, and over the headers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Final

from gridcore.sm3 import DIGEST_BYTES
from ledger.store.errors import StoreError
from ledger.store.tables import Tables
from ledger.tiles import Replaced, TileId, TreeChange, digests_in

_LEVEL_BITS: Final = 48
_SLOT_BYTES: Final = 1 + DIGEST_BYTES


class TileTable:
    """Tiles in one table: a TileSource."""

    table: str

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def load_tile(self, tile: TileId) -> bytes | None:
        """The digests of a tile, or None."""
        found = self._tables.first(f"SELECT digests FROM {self.table} WHERE tile = ?", row_of(tile))  # noqa: S608 - our own names
        return None if found is None else bytes(found[0])

    def damage(self, what: str) -> StoreError:
        """See ``Tables.damage``."""
        return self._tables.damage(what)

    def each(self) -> Iterator[tuple[TileId, bytes]]:
        """Every tile, level by level from the left."""
        for row, digests in self._tables.each(f"SELECT tile, digests FROM {self.table} ORDER BY tile"):  # noqa: S608 - our own names
            yield TileId(row >> _LEVEL_BITS, row & ((1 << _LEVEL_BITS) - 1)), bytes(digests)

    def save(self, change: TreeChange) -> None:
        """Keep the tiles of a block. sqlite3.Error when the disk does not take them."""
        query = f"INSERT INTO {self.table} VALUES (?, ?) ON CONFLICT (tile) DO UPDATE SET digests = excluded.digests"  # noqa: S608
        self._tables.connection.executemany(query, ((row_of(tile), digests) for tile, digests in change.tiles.items()))


class HistoryTiles(TileTable):
    """The tree over S_0 ... S_(h-1): it only grows."""

    table = "history_tiles"


class StateTiles(TileTable):
    """The tree over the leaves, and what the last blocks replaced in it."""

    table = "state_tiles"

    def load_at(self, tile: TileId, height: int, newest: int) -> bytes:
        """A tile as it was after the block of ``height``; digests that were added since may follow."""
        found = self.load_tile(tile)
        if found is None:
            raise self.damage(f"tile {tile.level}/{tile.number} of the state tree")
        digests = bytearray(found)
        query = "SELECT slots FROM replaced_digests WHERE height = ? AND tile = ?"
        for overwriting in range(newest, height, -1):  # from the newest back: the oldest one that replaced it stands
            replaced = self._tables.first(query, overwriting, row_of(tile))
            slots = b"" if replaced is None else replaced[0]
            for start in range(0, len(slots), _SLOT_BYTES):
                at = slots[start] * DIGEST_BYTES
                digests[at : at + DIGEST_BYTES] = slots[start + 1 : start + _SLOT_BYTES]
        return bytes(digests)

    def load_genesis(self, tile: TileId) -> bytes:
        """A tile as it was at genesis; digests that were added since may follow."""
        found = self.load_tile(tile)
        if found is None:
            raise self.damage(f"tile {tile.level}/{tile.number} of the state tree")
        digests = bytearray(found)
        for slot, digest in self._tables.each("SELECT slot, digest FROM genesis_digests WHERE tile = ?", row_of(tile)):
            digests[slot * DIGEST_BYTES : (slot + 1) * DIGEST_BYTES] = digest
        return bytes(digests)

    def save_genesis(self, change: TreeChange, genesis_size: int) -> None:
        """Keep what a block is the first to replace of genesis, a tree of ``genesis_size``. sqlite3.Error when the disk does not take it."""
        self._tables.connection.executemany(
            "INSERT OR IGNORE INTO genesis_digests VALUES (?, ?, ?)",
            (
                (row_of(replaced.tile), replaced.slot, replaced.digest)
                for replaced in change.replaced
                if replaced.slot < digests_in(replaced.tile, genesis_size)
            ),
        )

    def save_replaced(self, change: TreeChange, height: int) -> None:
        """Keep what the block of ``height`` replaced. sqlite3.Error when the disk does not take it."""
        self._tables.connection.executemany(
            "INSERT INTO replaced_digests VALUES (?, ?, ?)",
            (
                (height, row_of(tile), b"".join(map(_encode_slot, replaced)))
                for tile, replaced in groupby(change.replaced, key=lambda entry: entry.tile)
            ),
        )


def row_of(tile: TileId) -> int:
    """The row number of a tile: those of a level stand together."""
    return tile.level << _LEVEL_BITS | tile.number


def _encode_slot(replaced: Replaced) -> bytes:
    return bytes([replaced.slot]) + replaced.digest
