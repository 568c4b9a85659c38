"""The replicated state: numbered leaves under one root, read lazily from wherever they are kept (docs/spec/state.md)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Final, NamedTuple, Protocol

from gridcore import cbor, merkle
from gridcore.errors import require
from ledger.state.block import Applied
from ledger.state.registry import Registry

CACHED_LEAVES_MAX: Final = 4096
Value = Mapping[str, Any]


class LeafSource(Protocol):
    """Where leaves that are not in memory come from."""

    def load_leaf(self, key: str) -> bytes | None:
        """Canonical [key, value] of a leaf, or None."""

    def leaf_index(self) -> Iterable[tuple[int, str, bytes]]:
        """(number, key, leaf hash) of every leaf, ascending by number."""


class LeafChange(NamedTuple):
    """One leaf as a block left it: what a store keeps."""

    number: int
    key: str
    leaf: bytes
    leaf_hash: bytes


class MemoryLeaves:
    """A LeafSource that holds every leaf in memory: tests, genesis, replay."""

    def __init__(self) -> None:
        self._leaves: dict[str, bytes] = {}

    def load_leaf(self, key: str) -> bytes | None:
        """See LeafSource."""
        return self._leaves.get(key)

    def leaf_index(self) -> Iterable[tuple[int, str, bytes]]:
        """See LeafSource; here in order of creation."""
        hashes = merkle.leaf_hashes(list(self._leaves.values()))
        return [
            (number, key, leaf_hash) for number, (key, leaf_hash) in enumerate(zip(self._leaves, hashes, strict=True))
        ]

    def save(self, changes: Iterable[LeafChange]) -> None:
        """Keep the leaves of a block."""
        self._leaves.update((change.key, change.leaf) for change in changes)


class State:
    """Leaves by key, their numbers, and the tree over them. Changed by ``commit`` alone.

    ``chain`` is the chain id: it follows from genesis, so it stands beside the leaves, not in them.

    Values handed out are shared: whoever wants another value makes a new one.
    """

    def __init__(self, source: LeafSource, chain: str) -> None:
        self.chain = chain
        self._source = source
        self._numbers: dict[str, int] = {}
        self._tree = merkle.Tree()
        self._unsaved: dict[str, bytes] = {}
        self._cache: OrderedDict[str, Value] = OrderedDict()
        for number, key, leaf_hash in source.leaf_index():
            require(number == len(self._numbers), f"leaf {key} has the next number")
            self._numbers[key] = number
            self._tree.append(leaf_hash)

    @classmethod
    def from_genesis(cls, genesis: Mapping[str, Any]) -> State:
        """The state before the first block, in memory. ``genesis`` has passed ``ledger.genesis.check_genesis``."""
        leaves = MemoryLeaves()
        leaves.save(genesis_leaves(genesis))
        return cls(leaves, genesis["chain"])

    def __len__(self) -> int:
        return len(self._numbers)

    def __contains__(self, key: str) -> bool:
        return key in self._numbers

    def get(self, key: str) -> Value | None:
        """The value of a leaf, or None."""
        if key not in self._numbers:
            return None
        value = self._cache.get(key)
        if value is None:
            leaf = self.leaf(key)
            value = cbor.decode(leaf, items_max=len(leaf))[1]  # our own bytes: as many items as they hold
            self._remember(key, value)
        else:
            self._cache.move_to_end(key)
        return value

    def leaf(self, key: str) -> bytes:
        """Canonical [key, value] of a leaf that exists."""
        leaf = self._unsaved.get(key)
        if leaf is None:
            leaf = self._source.load_leaf(key)
        if leaf is None:
            raise KeyError(key)
        return leaf

    def number(self, key: str) -> int:
        """The permanent number of a leaf that exists."""
        return self._numbers[key]

    def leaf_keys(self) -> Iterable[str]:
        """Every leaf's key, in number order."""
        return self._numbers.keys()

    def root(self) -> bytes:
        """The state root."""
        return self._tree.root()

    def sided_path(self, key: str) -> list[bytes]:
        """Path from a leaf to the state root."""
        return self._tree.sided_path(self._numbers[key])

    @cached_property
    def registry(self) -> Registry:
        """Installations, areas and gateways as columns; derived from leaves that only genesis writes."""
        return Registry.from_leaves(self)

    @property
    def is_simulated(self) -> bool:
        """Whether ledger time moves by clock_advance alone."""
        chain = self.get("chain")
        require(chain is not None, "the state has a chain leaf")
        return chain is not None and chain["clock"] == "simulated"

    def commit(self, applied: Applied) -> tuple[LeafChange, ...]:
        """Take over what a block changed; returns what a store must keep. New leaves are numbered by ascending key."""
        keys = sorted(applied.changes, key=str.encode)
        leaves = [cbor.encode([key, applied.changes[key]]) for key in keys]
        committed = []
        for key, leaf, leaf_hash in zip(keys, leaves, merkle.leaf_hashes(leaves), strict=True):
            number = self._numbers.get(key)
            if number is None:
                number = self._numbers[key] = self._tree.append(leaf_hash)
            else:
                self._tree.update(number, leaf_hash)
            self._unsaved[key] = leaf
            self._remember(key, applied.changes[key])
            committed.append(LeafChange(number, key, leaf, leaf_hash))
        return tuple(committed)

    def saved(self) -> None:
        """The source now holds everything that was committed: forget our copies."""
        self._unsaved.clear()

    def _remember(self, key: str, value: Value) -> None:
        self._cache[key] = value
        self._cache.move_to_end(key)
        if len(self._cache) > CACHED_LEAVES_MAX:
            self._cache.popitem(last=False)


def genesis_leaves(genesis: Mapping[str, Any]) -> tuple[LeafChange, ...]:
    """The leaves of a genesis, numbered in its order."""
    keys = [key for key, _ in genesis["leaves"]]
    leaves = [cbor.encode([key, value]) for key, value in genesis["leaves"]]
    return tuple(map(LeafChange, range(len(keys)), keys, leaves, merkle.leaf_hashes(leaves)))
