"""Merkle trees (RFC 9162 over SM3) kept in tiles of 64 digests, so that a node holds only the part of a tree that it works on.

A tile is a node six levels above its 64 digests: tile (0, n) holds the leaf hashes 64n ... 64n + 63, tile (1, n) the roots of
tiles (0, 64n) ... (0, 64n + 63), and so on up to the one tile whose root is the tree's. Neighbours are paired inside a tile
only, and an odd last digest moves up unchanged, so this is the tree of ``gridcore.merkle``.

A tile that is loaded is compared with the digest that the tile above has of it, up to the tree's root, before it is used.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from gridcore import merkle
from gridcore.rows import PackedRows
from gridcore.sm3 import DIGEST_BYTES

LEVEL_BITS: Final = 6
TILE_DIGESTS: Final = 1 << LEVEL_BITS
CACHED_TILES_MAX: Final = 4096
"""Of one tree, 2 KiB each."""


class TileId(NamedTuple):
    """``level``: 0 for leaf hashes; ``number``: from the left, from 0."""

    level: int
    number: int

    @property
    def above(self) -> TileId:
        """The tile that holds this one's root."""
        return TileId(self.level + 1, self.number // TILE_DIGESTS)


class TileSource(Protocol):
    """Where tiles are kept."""

    def load_tile(self, tile: TileId) -> bytes | None:
        """The digests of a tile one after the other, or None."""
        ...

    def damage(self, what: str) -> Exception:
        """The error to raise when ``what`` (a tile, a leaf) is not what it was when it was saved."""
        ...


class Replaced(NamedTuple):
    """One digest as it was before a change. ``slot``: its place in the tile, 0 ... 63."""

    tile: TileId
    slot: int
    digest: bytes


@dataclass(frozen=True)
class TreeChange:
    """A tree as a change would leave it: its size and root, the tiles that are new or different, and what they replaced."""

    size: int
    root: bytes
    tiles: Mapping[TileId, bytes]
    replaced: tuple[Replaced, ...]


class TileTree:
    """A tree of ``size`` leaves with ``root``, over a source that holds its tiles. ``take`` alone changes it."""

    def __init__(self, source: TileSource, size: int, root: bytes) -> None:
        self._source = source
        self._cache: OrderedDict[TileId, bytes] = OrderedDict()
        self.size = size
        self.root = root

    def leaf(self, number: int) -> bytes:
        """The leaf hash of ``number``."""
        tile, slot = divmod(number, TILE_DIGESTS)
        return _digest(self.tile(TileId(0, tile)), slot)

    def tile(self, tile: TileId) -> bytes:
        """A tile that exists, compared with the tile above it."""
        found = self._cache.get(tile)
        if found is not None:
            self._cache.move_to_end(tile)
            return found
        found = self._source.load_tile(tile)
        count = digests_in(tile, self.size)
        if found is None or len(found) != count * DIGEST_BYTES or tile_root(found) != self._expected_root(tile):
            raise self._source.damage(f"tile {tile.level}/{tile.number} of the tree of {self.size}")
        self._remember(tile, found)
        return found

    def sided_path(self, number: int) -> list[bytes]:
        """Sided path from leaf ``number`` to the root, as ``merkle.sided_path`` gives it."""
        return sided_path(self.tile, self.size, number)

    def changed(self, updates: Mapping[int, bytes], appended: Sequence[bytes]) -> TreeChange:
        """What new hashes of existing leaves (by number) and further leaf hashes make of the tree; nothing is changed yet."""
        size = self.size + len(appended)
        digests = {**updates, **dict(enumerate(appended, self.size))}
        tiles: dict[TileId, bytes] = {}
        replaced: list[Replaced] = []
        height, height_before = height_of(size), height_of(self.size)
        for level in range(height if digests else 0):
            if level == height_before and level and 0 not in digests:
                digests[0] = self.root  # what was the whole tree is now the first digest of a new level
            written = []
            for number, slots in _by_tile(digests):
                tile = TileId(level, number)
                is_there = level < height_before and digests_in(tile, self.size)
                before = self.tile(tile) if is_there else b""
                tiles[tile] = _with_slots(before, slots)
                known = len(before) // DIGEST_BYTES
                replaced += [Replaced(tile, slot, _digest(before, slot)) for slot, _ in slots if slot < known]
                written.append(tile)
            digests = {tile.number: tile_root(tiles[tile]) for tile in written}
        return TreeChange(size, digests.get(0, self.root), tiles, tuple(replaced))

    def take(self, change: TreeChange) -> None:
        """Take over a change that was made of this very tree; the source holds its tiles from now on."""
        self.size, self.root = change.size, change.root
        for tile, digests in change.tiles.items():
            self._remember(tile, digests)

    def _expected_root(self, tile: TileId) -> bytes:
        if tile.level + 1 >= height_of(self.size):
            return self.root
        return _digest(self.tile(tile.above), tile.number % TILE_DIGESTS)

    def _remember(self, tile: TileId, digests: bytes) -> None:
        self._cache[tile] = digests
        self._cache.move_to_end(tile)
        if len(self._cache) > CACHED_TILES_MAX:
            self._cache.popitem(last=False)


class MemoryTiles:
    """A TileSource in memory: genesis, replay, tests."""

    def __init__(self) -> None:
        self.tiles: dict[TileId, bytes] = {}

    def load_tile(self, tile: TileId) -> bytes | None:
        """See TileSource."""
        return self.tiles.get(tile)

    def damage(self, what: str) -> Exception:
        """See TileSource."""
        return RuntimeError(f"{what} was changed in memory")


def empty_tree(source: TileSource) -> TileTree:
    """The tree without leaves."""
    return TileTree(source, 0, merkle.EMPTY_ROOT)


def tree_over(hashes: PackedRows) -> TreeChange:
    """What leaf hashes make of the tree without leaves, tile by tile: as ``changed`` would, which keeps every digest apart."""
    tiles: dict[TileId, bytes] = {}
    digests, root = hashes, merkle.EMPTY_ROOT
    for level in range(height_of(len(hashes))):
        own = [digests[start : start + TILE_DIGESTS].data for start in range(0, len(digests), TILE_DIGESTS)]
        tiles.update((TileId(level, number), tile) for number, tile in enumerate(own))
        digests = PackedRows.of([tile_root(tile) for tile in own])
        root = digests[0]
    return TreeChange(len(hashes), root, tiles, ())


def height_of(size: int) -> int:
    """Levels of tiles in a tree of ``size`` leaves."""
    height = 0
    while size > 0:
        height += 1
        size = -(-size // TILE_DIGESTS) if size > TILE_DIGESTS else 0
    return height


def digests_in(tile: TileId, size: int) -> int:
    """How many digests a tile holds in a tree of ``size`` leaves, 0 to 64."""
    width = -(-size // (1 << LEVEL_BITS * tile.level))
    return min(max(width - tile.number * TILE_DIGESTS, 0), TILE_DIGESTS)


def tile_root(digests: bytes) -> bytes:
    """The root over a tile's digests."""
    return merkle.root_of_hashes(PackedRows(digests, DIGEST_BYTES))


def sided_path(tile_of: Callable[[TileId], bytes], size: int, number: int) -> list[bytes]:
    """Sided path from leaf ``number`` to the root of a tree of ``size`` leaves.

    tile_of: its tiles; digests that were added to the tree later may follow those of this size.
    """
    path: list[bytes] = []
    for level in range(height_of(size)):
        number, slot = divmod(number, TILE_DIGESTS)
        tile = TileId(level, number)
        digests = tile_of(tile)[: digests_in(tile, size) * DIGEST_BYTES]
        path += merkle.sided_path(PackedRows(digests, DIGEST_BYTES), slot)
    return path


def prefix_tile(tile_of: Callable[[TileId], bytes], tile: TileId, size: int) -> bytes:
    """A tile of the tree over the first ``size`` leaves, out of the tiles of a tree that has only grown since."""
    count = digests_in(tile, size)
    digests = tile_of(tile)[: count * DIGEST_BYTES]
    last = tile.number * TILE_DIGESTS + count - 1
    if tile.level == 0 or (last + 1) << LEVEL_BITS * tile.level <= size:
        return digests
    # The tile under the last digest was not full then.
    return digests[:-DIGEST_BYTES] + tile_root(prefix_tile(tile_of, TileId(tile.level - 1, last), size))


def _digest(digests: bytes, slot: int) -> bytes:
    return digests[slot * DIGEST_BYTES : (slot + 1) * DIGEST_BYTES]


def _by_tile(digests: Mapping[int, bytes]) -> Iterator[tuple[int, list[tuple[int, bytes]]]]:
    """(tile number, its (slot, digest) pairs) of new digests of one level, both ascending."""
    tiles: dict[int, list[tuple[int, bytes]]] = {}
    for number in sorted(digests):
        tile, slot = divmod(number, TILE_DIGESTS)
        tiles.setdefault(tile, []).append((slot, digests[number]))
    return iter(tiles.items())


def _with_slots(digests: bytes, slots: Iterable[tuple[int, bytes]]) -> bytes:
    changed = bytearray(digests)
    for slot, digest in slots:
        changed[slot * DIGEST_BYTES : (slot + 1) * DIGEST_BYTES] = digest
    return bytes(changed)
