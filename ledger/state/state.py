"""The replicated state: numbered leaves under one root, read lazily from wherever they are kept (docs/spec/state.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final, NamedTuple, Protocol

from gridcore import cbor, merkle
from ledger.leaves.family import Value
from ledger.registry.bodies import OpenedEntities
from ledger.registry.columns import COLUMN_PREFIXES
from ledger.registry.entries import ENTITY_FAMILIES, EntityLeaf, Entry
from ledger.registry.in_force import Registry
from ledger.state.leaf_cache import CachedLeaf, LeafCache
from ledger.tiles import TileSource, TileTree, TreeChange

CACHED_BYTES_MAX: Final = 64 * 1024 * 1024
"""Leaf bytes of the values kept in memory."""


class LeafSource(TileSource, Protocol):
    """Where leaves and the tiles of the tree over them are kept."""

    def load_leaf(self, key: str) -> tuple[int, bytes] | None:
        """Number and canonical [key, value] of a leaf, or None."""
        ...

    def load_leaves(self, keys: Sequence[str]) -> Mapping[str, tuple[int, bytes]]:
        """The same of several keys, by key; without those that have no leaf."""
        ...

    def find_number(self, key: str) -> int | None:
        """Number of a leaf, or None."""
        ...

    def leaf_keys(self, prefix: str = "") -> Iterable[str]:
        """Keys that begin with ``prefix``, in number order."""
        ...

    def leaves(self, prefix: str) -> Iterable[tuple[int, str, bytes]]:
        """(number, key, canonical [key, value]) of the leaves whose keys begin with ``prefix``, in number order."""
        ...

    def load_bodies(self, digests: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """The salted registry rows of digests, by digest; without those that are not there."""
        ...


class LeafChange(NamedTuple):
    """One leaf as a block left it. ``leaf``: canonical [key, value]."""

    number: int
    key: str
    leaf: bytes


@dataclass(frozen=True)
class StateChange:
    """What a block makes of the state: leaves in ascending order of their keys' bytes, their values, and the tree over all.

    bodies: digest and bytes of the salted registry rows that it recorded, ascending. Those of a genesis are made anew by each
    iteration, its leaves too, which stand in its own order and without values.
    """

    leaves: Iterable[LeafChange]
    values: Mapping[str, Value]
    tree: TreeChange
    bodies: Iterable[tuple[bytes, bytes]] = ()


_LEAVES_TOGETHER: Final = 1_024
"""How many are loaded and hashed at once where all of a kind are read."""
_HASHED_TOGETHER: Final = 256
"""How many that a block wrote are hashed at once: hashing holds them twice, and a block may have gigabytes of them."""
_ABSENT: Final = CachedLeaf(-1, None, 0)


def _as_it_is(value: Value) -> Value:
    return value


class State:
    """Leaves by key and the tree over them. ``commit`` alone changes it.

    ``chain`` is the chain id: it follows from genesis, so it stands beside the leaves, not in them. A leaf that is loaded is
    compared with the tree, and the tree with ``root``, before its value is used.

    Values handed out are shared: whoever wants another value makes a new one. opened: entities of the registry whose rows
    were compared and decoded before.
    """

    def __init__(self, source: LeafSource, chain: str, tree: TileTree) -> None:
        self.chain = chain
        self._source = source
        self._tree = tree
        self._cache = LeafCache()
        self._cache_of_family = LeafCache()
        self._cached_prefix, self._cached_more_bytes = "", 0
        self._kept: Callable[[Value], Value] = _as_it_is
        self._registry: Registry | None = None
        self._registered: set[str] = set()
        self.opened = OpenedEntities()

    def cache_more(self, prefix: str, more_bytes: int, kept: Callable[[Value], Value] = _as_it_is) -> None:
        """Keep so many bytes of the leaves whose keys begin with ``prefix`` in memory beside ``CACHED_BYTES_MAX``: for who goes through the same
        leaves again and again. They have this room for themselves: what is written meanwhile does not push them out. 0 bytes: it is given back.

        kept: the map that is held, and handed out, in place of a leaf's own: one that takes less room and that the family's readers understand.
        """
        self._cached_prefix, self._cached_more_bytes, self._kept = prefix, more_bytes, kept
        self._cache, self._cache_of_family = LeafCache(), LeafCache()  # each leaf has one place

    def __len__(self) -> int:
        return self._tree.size

    def __contains__(self, key: str) -> bool:
        return self._find_number(key) is not None

    def get(self, key: str) -> Value | None:
        """The value of a leaf, or None."""
        cached = self._cache_for(key).use(key)
        if cached is None:
            cached = self._load(key)
            self._remember(key, cached)
        return cached.value

    def load_together(self, keys: Iterable[str]) -> None:
        """Bring the values of leaves into memory together, for a ``get`` of each to find them there."""
        wanted = (key for key in keys if key not in self._cache_for(key))
        while some := list(islice(wanted, _LEAVES_TOGETHER)):
            found = self._source.load_leaves(some)
            hashes = merkle.leaf_hashes([leaf for _, leaf in found.values()])
            for (key, (number, leaf)), leaf_hash in zip(found.items(), hashes, strict=True):
                self._check_leaf(number, key, leaf_hash)
                self._remember(key, CachedLeaf(number, self._value(key, leaf), len(leaf)))

    def leaf(self, key: str) -> bytes:
        """Canonical [key, value] of a leaf that exists, compared with the tree. KeyError when there is none."""
        return self._load_leaf(key)[1]

    def folded(self, key: str, leaf: EntityLeaf) -> Sequence[Entry]:
        """None: slots that are settled are not final, and what is folded speaks of final ones."""
        del key, leaf
        return ()

    def body(self, digest: bytes) -> bytes:
        """The salted registry row whose digest a leaf holds, compared with it."""
        return self.bodies([digest])[0]

    def bodies(self, digests: Sequence[bytes]) -> list[bytes]:
        """``body`` of each of many digests."""
        bodies: list[bytes] = []
        for start in range(
            0, len(digests), _LEAVES_TOGETHER
        ):  # a database takes so many values in a question, not any number
            some = digests[start : start + _LEAVES_TOGETHER]
            found = self._source.load_bodies(some)
            bodies += [found.get(digest, b"") for digest in some]
        for digest, is_digest in zip(digests, merkle.leaf_hashes(bodies), strict=True):
            if digest != is_digest:
                raise self._source.damage(f"registry row {digest.hex()}")
        return bodies

    def each_entity(self, kind: str) -> Iterator[tuple[str, EntityLeaf]]:
        """Name and leaf of the entities of a kind, in number order; they are not kept in memory."""
        family = ENTITY_FAMILIES[kind]
        leaves = iter(self._source.leaves(family.prefix))
        while some := list(islice(leaves, _LEAVES_TOGETHER)):
            for (number, key, leaf), leaf_hash in zip(some, merkle.leaf_hashes([row[2] for row in some]), strict=True):
                self._check_leaf(number, key, leaf_hash)
                yield key.removeprefix(family.prefix), family.decode(**self._value(key, leaf))

    def number(self, key: str) -> int:
        """The permanent number of a leaf that exists. KeyError when there is none."""
        number = self._find_number(key)
        if number is None:
            raise KeyError(key)
        return number

    def leaf_keys(self, prefix: str = "") -> Iterable[str]:
        """Keys that begin with ``prefix``, in number order."""
        return self._source.leaf_keys(prefix)

    def root(self) -> bytes:
        """The state root."""
        return self._tree.root

    def sided_path(self, key: str) -> list[bytes]:
        """Path from a leaf to the state root."""
        return self._tree.sided_path(self.number(key))

    @property
    def registry(self) -> Registry:
        """Who and what is registered, as columns."""
        if self._registry is None:
            self._registry = Registry.from_state(self)
        elif self._registered:
            self._registry = self._registry.after(self, self._registered)
        self._registered = set()
        return self._registry

    def with_registry(self, registry: Registry) -> State:
        """This state with nothing in memory but a registry that was derived from its leaves before."""
        state = State(self._source, self.chain, self._tree)
        state._registry = registry
        return state

    def changed(self, values: Mapping[str, Value], bodies: Mapping[bytes, bytes]) -> StateChange:
        """What new values of leaves make of the state; nothing is changed yet. New leaves are numbered by ascending key."""
        keys = sorted(values, key=str.encode)
        encoded = [cbor.encode([key, values[key]]) for key in keys]
        parts = (encoded[start : start + _HASHED_TOGETHER] for start in range(0, len(encoded), _HASHED_TOGETHER))
        hashes = chain.from_iterable(map(merkle.leaf_hashes, parts))
        leaves: list[LeafChange] = []
        updates: dict[int, bytes] = {}
        appended: list[bytes] = []
        for key, leaf, leaf_hash in zip(keys, encoded, hashes, strict=True):
            number = self._find_number(key)
            if number is None:
                number = self._tree.size + len(appended)
                appended.append(leaf_hash)
            else:
                updates[number] = leaf_hash
            leaves.append(LeafChange(number, key, leaf))
        return StateChange(tuple(leaves), values, self._tree.changed(updates, appended), sorted(bodies.items()))

    def commit(self, change: StateChange) -> None:
        """Take over a change of this very state; the source holds it from now on."""
        self._tree.take(change.tree)
        for leaf in change.leaves:
            self._remember(leaf.key, CachedLeaf(leaf.number, change.values[leaf.key], len(leaf.leaf)))
        self._registered |= {leaf.key for leaf in change.leaves if leaf.key.startswith(COLUMN_PREFIXES)}

    def _find_number(self, key: str) -> int | None:
        cached = self._cache_for(key).peek(key)
        if cached is not None:
            return None if cached.value is None else cached.number
        return self._source.find_number(key)

    def _load(self, key: str) -> CachedLeaf:
        try:
            number, leaf = self._load_leaf(key)
        except KeyError:
            return _ABSENT
        return CachedLeaf(number, self._value(key, leaf), len(leaf))

    def _load_leaf(self, key: str) -> tuple[int, bytes]:
        found = self._source.load_leaf(key)
        if found is None:
            raise KeyError(key)
        number, leaf = found
        self._check_leaf(number, key, merkle.leaf_hash(leaf))
        return number, leaf

    def _check_leaf(self, number: int, key: str, leaf_hash: bytes) -> None:
        if not 0 <= number < self._tree.size or leaf_hash != self._tree.leaf(number):
            raise self._source.damage(f"leaf {key}")

    def _value(self, key: str, leaf: bytes) -> Value:
        """The value of a leaf that was compared with the tree."""
        value: Value
        found, value = cbor.decode(leaf, items_max=len(leaf))  # our own bytes: as many items as they hold
        if found != key:
            raise self._source.damage(f"leaf {key}")
        return value

    def _remember(self, key: str, cached: CachedLeaf) -> None:
        cache = self._cache_for(key)
        if cache is self._cache:
            cache.keep(key, cached, CACHED_BYTES_MAX)
            return
        value = None if cached.value is None else self._kept(cached.value)
        cache.keep(key, cached._replace(value=value), self._cached_more_bytes)

    def _cache_for(self, key: str) -> LeafCache:
        is_of_family = self._cached_more_bytes > 0 and key.startswith(self._cached_prefix)
        return self._cache_of_family if is_of_family else self._cache
