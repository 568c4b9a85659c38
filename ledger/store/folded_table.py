"""Entries of price series and reactive energies that their leaves have folded: what a price of a final slot was is asked for as long as its lines are.

An index beside the state: the digest over all that a leaf has folded says whether it is whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from gridcore import cbor
from gridcore.registry.price_series import PRICE_SERIES
from gridcore.registry.reactive_energy import REACTIVE_ENERGY
from gridcore.registry.row import NOT_FOLDED, fold_entry
from ledger.registry.entries import ENTITY_FAMILIES, EntityLeaf, Entry
from ledger.state.state import LeafChange
from ledger.store.tables import Tables

KEPT_MAX: Final = 64
"""Entities whose folded entries are kept in memory."""
_KEPT: Final = tuple(ENTITY_FAMILIES[kind].prefix for kind in (PRICE_SERIES.kind, REACTIVE_ENERGY.kind))
"""Begin the keys of what documents of old months ask for."""
_FAMILY: Final = ENTITY_FAMILIES[PRICE_SERIES.kind]
"""Leaves of both have one form."""


class FoldedTable:
    """Entries by the key of their entity."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._whole: dict[str, tuple[bytes, Sequence[Entry]]] = {}
        """By key what a leaf's digest of folded entries has been found to stand for: lines ask for each slot and price."""

    def whole(self, key: str, leaf: EntityLeaf) -> Sequence[Entry] | None:
        """All entries that a leaf has folded, oldest first; None where some of them are not here."""
        known = self._whole.get(key)
        if known is not None and known[0] == leaf.folded:
            return known[1]
        query = "SELECT from_s, height, digest FROM folded_entries WHERE key = ? ORDER BY from_s, height"
        found = [Entry(from_s, height, bytes(digest)) for from_s, height, digest in self._tables.rows(query, key)]
        if not is_whole(found, leaf):
            return None
        if len(self._whole) >= KEPT_MAX:
            self._whole.clear()
        self._whole[key] = leaf.folded, found
        return found

    def save_replaced(self, leaves: Iterable[LeafChange]) -> None:
        """Keep the entries that a block is about to fold. sqlite3.Error when the disk does not take it."""
        query = "SELECT leaf FROM leaves WHERE number = ?"
        for changed in leaves:
            if not changed.key.startswith(_KEPT):
                continue
            found = self._tables.first(query, changed.number)
            before = () if found is None else _leaf_of(bytes(found[0])).entries
            gone = _folded_by(before, _leaf_of(changed.leaf))
            rows = ((changed.key, *entry) for entry in gone)
            self._tables.connection.executemany("INSERT OR IGNORE INTO folded_entries VALUES (?, ?, ?, ?)", rows)


def is_whole(entries: Sequence[Entry], leaf: EntityLeaf) -> bool:
    """Whether these are all that a leaf has folded."""
    folded = NOT_FOLDED
    for entry in entries:
        folded = fold_entry(folded, entry)
    return folded == leaf.folded


def _leaf_of(data: bytes) -> EntityLeaf:
    return _FAMILY.decode(**cbor.decode(data)[1])


def _folded_by(before: Sequence[Entry], after: EntityLeaf) -> Iterator[Entry]:
    """The entries of a leaf that its next version has folded; those that were withdrawn are behind them."""
    left = set(after.entries)
    return (entry for entry in before if entry not in left and entry.from_s <= after.folded_to_s)
