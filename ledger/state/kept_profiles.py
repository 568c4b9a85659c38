"""The profiles of a chunk of parties while a block is made: what it takes and ends is joined and written once (docs/spec/state.md, "Profiles").

A block may bring thousands for one chunk: each costs a look at its own party's, and the chunk is not written anew for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ledger.leaves.columns import Int64, join_columns
from ledger.leaves.family import WritableLeaves
from ledger.leaves.profiles import PROFILES, ProfilesLeaf, join_profiles


class OwnParts(NamedTuple):
    """The kept parts of one party, columns int64[n] as those of ``ProfilesLeaf``; ids: of their transactions."""

    counter: Int64
    end_s: Int64
    entries: Int64
    first_slot_s: Int64
    ids: list[bytes]


class KeptProfiles:
    """The parts of a chunk that stood before the block, and those that it has taken. Kept are those whose last or first slot begins at
    ``first_s`` (UTC seconds) or later.
    """

    def __init__(self, before: ProfilesLeaf, first_s: int, slot_s: int) -> None:
        self._first_s, self._slot_s = first_s, slot_s
        self._before = before
        self._taken: dict[int, list[ProfilesLeaf]] = {}
        self._order: list[ProfilesLeaf] = []
        self._is_changed = False

    def own(self, party: int) -> OwnParts:
        """The kept parts of the party of a number."""
        before = np.flatnonzero(self._before.party == party)
        parts = [(self._before, before[self._is_kept(self._before, before)])]
        for leaf in self._taken.get(party, ()):
            every = np.arange(len(leaf.party))
            parts.append((leaf, every[self._is_kept(leaf, every)]))
        columns: dict[str, Any] = {
            name: join_columns(getattr(leaf, name)[rows] for leaf, rows in parts) for name in OwnParts._fields[:-1]
        }
        return OwnParts(**columns, ids=[bytes(digest) for leaf, rows in parts for digest in leaf.ids[rows]])

    def take(self, party: int, parts: ProfilesLeaf) -> None:
        """Keep the parts of one more profile of a party."""
        self._taken.setdefault(party, []).append(parts)
        self._order.append(parts)
        self._is_changed = True

    def end(self, party: int, transaction_id: bytes, end_s: int) -> None:
        """Have the parts that a transaction of a party gave end before a slot."""
        for leaf in (self._before, *self._taken.get(party, ())):
            rows = np.flatnonzero(leaf.party == party)
            rows = rows[(leaf.ids[rows] == np.frombuffer(transaction_id, dtype=np.uint8)).all(axis=1)]
            leaf.end_s[rows] = end_s
        self._is_changed = True

    def write(self, leaves: WritableLeaves, zone: str, chunk: int) -> None:
        """Write the chunk, where the block has changed it."""
        if self._is_changed:
            leaf = join_profiles([self._before, *self._order])
            kept = leaf.take(self._is_kept(leaf, np.arange(len(leaf.party))))
            PROFILES.save(leaves, kept, zone, chunk)

    def _is_kept(self, leaf: ProfilesLeaf, rows: Int64) -> NDArray[np.bool_]:
        ends_s = np.maximum(leaf.end_s[rows], leaf.first_slot_s[rows] + self._slot_s)
        is_kept: NDArray[np.bool_] = ends_s > self._first_s
        return is_kept


def write_profiles(leaves: WritableLeaves, profiles: Mapping[tuple[str, int], KeptProfiles]) -> None:
    """Write what a block has made of profiles, which stand by zone and chunk."""
    for (zone, chunk), kept in profiles.items():
        kept.write(leaves, zone, chunk)
