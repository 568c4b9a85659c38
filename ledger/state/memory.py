"""A state whose leaves are all in memory: for checks, benchmarks and tests, which replay from genesis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from gridcore.genesis import Genesis
from ledger.leaves.family import Value
from ledger.state.genesis import genesis_change
from ledger.state.state import State, StateChange
from ledger.tiles import MemoryTiles, TileTree

NO_BODIES: Final[Mapping[bytes, bytes]] = {}


class MemoryLeaves(MemoryTiles):
    """A LeafSource that holds everything in memory."""

    def __init__(self) -> None:
        super().__init__()
        self._leaves: dict[str, tuple[int, bytes]] = {}
        self.bodies: dict[bytes, bytes] = {}

    def load_leaf(self, key: str) -> tuple[int, bytes] | None:
        """See LeafSource."""
        return self._leaves.get(key)

    def load_leaves(self, keys: Sequence[str]) -> Mapping[str, tuple[int, bytes]]:
        """See LeafSource."""
        return {key: self._leaves[key] for key in keys if key in self._leaves}

    def find_number(self, key: str) -> int | None:
        """See LeafSource."""
        found = self._leaves.get(key)
        return None if found is None else found[0]

    def leaf_keys(self, prefix: str = "") -> Iterable[str]:
        """See LeafSource; leaves stand here in order of creation."""
        return [key for key in self._leaves if key.startswith(prefix)]

    def leaves(self, prefix: str) -> Iterable[tuple[int, str, bytes]]:
        """See LeafSource."""
        return ((number, key, leaf) for key, (number, leaf) in self._leaves.items() if key.startswith(prefix))

    def load_bodies(self, digests: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """See LeafSource."""
        return {digest: self.bodies[digest] for digest in digests if digest in self.bodies}

    def save(self, change: StateChange) -> None:
        """Keep what a block changed."""
        self._leaves.update((leaf.key, (leaf.number, leaf.leaf)) for leaf in change.leaves)
        self.bodies.update(change.bodies)
        self.tiles.update(change.tree.tiles)


class MemoryState(State):
    """The state of a genesis, to be moved on block by block. ``leaves``: where it is kept."""

    def __init__(self, genesis: Genesis) -> None:
        change = genesis_change(genesis)
        self.leaves = MemoryLeaves()
        self.leaves.save(change)
        super().__init__(self.leaves, genesis.chain, TileTree(self.leaves, change.tree.size, change.tree.root))

    def advance(self, values: Mapping[str, Value], bodies: Mapping[bytes, bytes] = NO_BODIES) -> StateChange:
        """Take over what a block changed: values by key, and the registry rows that it recorded, by digest."""
        change = self.changed(values, bodies)
        self.leaves.save(change)
        self.commit(change)
        return change
