"""Trees in tiles: the roots and paths of plain Merkle trees, whatever is changed, and only what touches the change is read."""

from __future__ import annotations

from random import Random

import pytest

from gridcore import merkle
from gridcore.rows import PackedRows
from ledger import tiles as tiles_module
from ledger.tiles import (
    MemoryTiles,
    TileId,
    TileTree,
    digests_in,
    empty_tree,
    height_of,
    prefix_tile,
    sided_path,
    tree_over,
)

SIZES = (0, 1, 2, 63, 64, 65, 127, 128, 4095, 4096, 4097, 5000)


def grown(leaves: list[bytes]) -> tuple[MemoryTiles, TileTree]:
    source = MemoryTiles()
    tree = empty_tree(source)
    change = tree.changed({}, leaves)
    source.tiles.update(change.tiles)
    tree.take(change)
    return source, tree


def digests(random: Random, count: int) -> list[bytes]:
    return [random.randbytes(32) for _ in range(count)]


@pytest.mark.parametrize("size", SIZES)
def test_a_tree_over_all_leaves_at_once_is_the_one_that_grew(size: int) -> None:
    leaves = digests(Random(size), size)
    assert tree_over(PackedRows.of(leaves, 32)) == empty_tree(MemoryTiles()).changed({}, leaves)


@pytest.mark.parametrize("first", SIZES)
def test_any_changes_lead_to_the_root_and_the_paths_of_the_plain_tree(first: int) -> None:
    random = Random(first)
    leaves = digests(random, first)
    source, tree = grown(leaves)
    for _ in range(6):
        appended = digests(random, random.choice((0, 1, 2, 63, 64, 65, 130, 4100)))
        updates = {random.randrange(len(leaves)): random.randbytes(32) for _ in range(9)} if leaves else {}
        change = tree.changed(updates, appended)
        assert (tree.size, tree.root) == (len(leaves), merkle.root_of_hashes(leaves)), "nothing is changed yet"
        for number, digest in updates.items():
            leaves[number] = digest
        leaves += appended
        source.tiles.update(change.tiles)
        tree.take(change)
        assert (tree.size, tree.root) == (len(leaves), merkle.root_of_hashes(leaves))
        reread = TileTree(source, tree.size, tree.root)
        for number in {0, len(leaves) - 1, random.randrange(max(len(leaves), 1))} if leaves else ():
            assert reread.leaf(number) == leaves[number]
            assert reread.sided_path(number) == merkle.sided_path(leaves, number)


@pytest.mark.parametrize("size", SIZES[1:])
def test_a_tree_that_only_grew_gives_the_paths_of_every_earlier_size(size: int) -> None:
    leaves = digests(Random(1), 5200)
    _, tree = grown(leaves)
    for number in {0, size - 1, size // 2}:
        path = sided_path(lambda tile: prefix_tile(tree.tile, tile, size), size, number)
        assert path == merkle.sided_path(leaves[:size], number)


def test_what_is_replaced_is_told_and_what_is_new_is_not() -> None:
    leaves = digests(Random(2), 130)
    _, tree = grown(leaves)
    change = tree.changed({70: bytes(32)}, digests(Random(3), 1))
    replaced = [(entry.tile, entry.slot) for entry in change.replaced]
    assert replaced == [(TileId(0, 1), 6), (TileId(1, 0), 1), (TileId(1, 0), 2)]
    assert change.replaced[0].digest == leaves[70]
    assert set(change.tiles) == {TileId(0, 1), TileId(0, 2), TileId(1, 0)}


def test_a_change_reads_the_tiles_above_it_alone() -> None:
    class Counted(MemoryTiles):
        read: list[TileId] = []  # noqa: RUF012 - one test

        def load_tile(self, tile: TileId) -> bytes | None:
            self.read.append(tile)
            return super().load_tile(tile)

    _, tree = grown(digests(Random(4), 64 * 64 * 3))
    source = Counted()
    source.tiles = tree._source.tiles  # type: ignore[attr-defined]
    TileTree(source, tree.size, tree.root).changed({5000: bytes(32)}, [])
    assert sorted(source.read) == [TileId(0, 78), TileId(1, 1), TileId(2, 0)]


def test_tiles_at_hand_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles_module, "CACHED_TILES_MAX", 8)
    _, tree = grown(digests(Random(5), 64 * 20))
    for number in range(0, 64 * 20, 64):
        tree.leaf(number)
    assert len(tree._cache) == 8


@pytest.mark.parametrize(("size", "height"), [(0, 0), (1, 1), (64, 1), (65, 2), (4096, 2), (4097, 3)])
def test_levels_and_widths_follow_from_the_size(size: int, height: int) -> None:
    assert height_of(size) == height
    assert digests_in(TileId(0, size // 64), size) == size % 64
    assert digests_in(TileId(0, size // 64 + 1), size) == 0
