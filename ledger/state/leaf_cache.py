"""Values of leaves in memory: those that were asked for or written last, as many as there is room for."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple

from ledger.leaves.family import Value

CACHED_ENTRY_BYTES: Final = 1024
"""What an entry takes beside its leaf's bytes."""


class CachedLeaf(NamedTuple):
    """A leaf in memory; ``value`` None: there is no such leaf. size: bytes of the leaf."""

    number: int
    value: Value | None
    size: int


class LeafCache:
    """Leaves by key, the one that was used last behind all others."""

    def __init__(self) -> None:
        self._leaves: OrderedDict[str, CachedLeaf] = OrderedDict()
        self._bytes = 0

    def __contains__(self, key: str) -> bool:
        return key in self._leaves

    def peek(self, key: str) -> CachedLeaf | None:
        """A leaf that is here; for finding its number it was not used."""
        return self._leaves.get(key)

    def use(self, key: str) -> CachedLeaf | None:
        """A leaf that is here, and stays longer from now on."""
        found = self._leaves.get(key)
        if found is not None:
            self._leaves.move_to_end(key)
        return found

    def keep(self, key: str, leaf: CachedLeaf, most_bytes: int) -> None:
        """Take a leaf up; of others those go that were not used for longest, until all together have ``most_bytes``."""
        before = self._leaves.pop(key, None)
        self._bytes += leaf.size - (0 if before is None else before.size)
        self._leaves[key] = leaf
        while self._bytes + len(self._leaves) * CACHED_ENTRY_BYTES > most_bytes:
            self._bytes -= self._leaves.popitem(last=False)[1].size
