"""What a node has pruned, and what it has kept of it: tables of ``state.db``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ledger.leaves.families import FAMILIES
from ledger.store.errors import PrunedError
from ledger.store.tables import Tables


class Pruned(NamedTuple):
    """Blocks 1 ... ``height``, and bodies of leaves of slots and boundaries before ``before_s`` (UTC seconds). Nothing: 0, 0."""

    height: int
    before_s: int


class KeptTransaction(NamedTuple):
    """A transaction of a pruned block that is still needed. ``wire``: its bytes."""

    height: int
    position: int
    wire: bytes


class PrunedTables:
    """See the module."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def extent(self) -> Pruned:
        """What is pruned."""
        found = self._tables.first("SELECT height, before_s FROM pruned")
        return Pruned(*found) if found else Pruned(0, 0)

    def kept(self, height: int) -> Mapping[int, bytes]:
        """Transactions of a pruned block that were kept, by position."""
        return dict(self._tables.rows("SELECT position, wire FROM kept_transactions WHERE height = ?", height))

    def error(self, what: str) -> PrunedError:
        """The error that says that ``what`` was pruned, and what is still here."""
        extent = self.extent()
        return PrunedError(
            f"{what}: pruned; this node keeps blocks above {extent.height} and slots from {extent.before_s} (UTC seconds) on, "
            "the rest is in its archive"
        )

    def save(self, pruned: Pruned, kept: Iterable[KeptTransaction]) -> None:
        """Prune leaves up to ``pruned``, and keep transactions of its blocks. sqlite3.Error when the disk does not take it."""
        connection, earlier = self._tables.connection, self.extent()
        connection.execute("DELETE FROM pruned")
        connection.execute("INSERT INTO pruned VALUES (?, ?)", pruned)
        connection.executemany("INSERT OR IGNORE INTO kept_transactions VALUES (?, ?, ?)", kept)
        for prefix in (family.prefix for family in FAMILIES.values() if family.is_prunable):
            # The instant is the first number after the prefix.
            connection.execute(
                "UPDATE leaves SET leaf = NULL WHERE key >= ? AND key < ? AND leaf IS NOT NULL AND CAST(SUBSTR(key, ?) AS INTEGER) < ?",
                (*_keys(prefix, earlier.before_s, pruned.before_s), len(prefix) + 1, pruned.before_s),
            )


def _keys(prefix: str, first_s: int, end_s: int) -> tuple[str, str]:
    """The first key and the end of those that may be of an instant from ``first_s`` to ``end_s``: others were pruned before.

    As text, instants of as many digits stand in their order; else all keys of the prefix are looked at ("0" follows "/").
    """
    if len(str(first_s)) == len(str(end_s)):
        return f"{prefix}{first_s}", f"{prefix}{end_s}"
    return prefix, prefix[:-1] + "0"
