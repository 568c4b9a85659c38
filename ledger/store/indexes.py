"""Where to find transactions, batches and what was written when: tables beside the state, for those who ask and follow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from ledger.application import Decided
from ledger.leaves.families import FOLLOWED_FAMILIES
from ledger.store.rows import (
    Act,
    Change,
    Decision,
    IndexedBatch,
    act_entries,
    batch_entries,
    refused_rows,
    result_entries,
)
from ledger.store.tables import Tables

PAGE_BATCHES_MAX: Final = 1000


R = TypeVar("R", Act, Change)


class Indexes:
    """Look-ups by transaction id, by gateway and boundary, and by height."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def find_transaction(self, transaction_id: bytes) -> Decision | None:
        """How a transaction was decided: the block that applied it, else the last that refused it, else None."""
        found = self._tables.first("SELECT height, position, code FROM transactions WHERE id = ?", transaction_id)
        return Decision(*found) if found else None

    def find_batches(
        self,
        gateway: str,
        first_boundary_s: int,
        last_boundary_s: int,
        after: IndexedBatch | None = None,
    ) -> list[IndexedBatch]:
        """Accepted batches of a gateway between two boundaries (both included), at most PAGE_BATCHES_MAX.

        Ascending by boundary, height and position. ``after``: the last one of the page before.
        """
        rows = self._tables.rows(
            "SELECT boundary_s, height, position, id FROM batches WHERE gateway = ? AND boundary_s BETWEEN ? AND ? "
            "AND (boundary_s, height, position) > (?, ?, ?) ORDER BY boundary_s, height, position LIMIT ?",
            gateway,
            first_boundary_s,
            last_boundary_s,
            *(after[:3] if after else (-1, 0, 0)),
            PAGE_BATCHES_MAX,
        )
        return [IndexedBatch(*row) for row in rows]

    def acts(self, after_height: int, rows_max: int) -> tuple[int, list[Act]]:
        """The height up to which it tells, and the acts after ``after_height`` up to there, in order; cut as ``changes``."""
        return _cut(self._acts_between, after_height, self._tables.height(), rows_max)

    def _acts_between(self, after_height: int, height: int, limit: int) -> list[Act]:
        query = "SELECT * FROM acts WHERE height > ? AND height <= ? ORDER BY height, position LIMIT ?"
        return [Act(*row) for row in self._tables.rows(query, after_height, height, limit)]

    def accepted_acts(self, kind: str, to_height: int, after_height: int = 0) -> list[Act]:
        """The accepted transactions of a kind after a height, up to another, the newest first; of kinds that are kept for ever."""
        query = "SELECT * FROM acts WHERE height > ? AND height <= ? AND kind = ? AND code = 0 ORDER BY height DESC, position DESC"
        return [Act(*row) for row in self._tables.rows(query, after_height, to_height, kind)]

    def refused_rows(self, gateway: str, epoch: int, counter: int) -> bytes:
        """The rows of an accepted batch that were not used: see RefusedRows. Empty where every row was."""
        found = self._tables.first(
            "SELECT rows FROM refused_rows WHERE gateway = ? AND epoch = ? AND counter = ?", gateway, epoch, counter
        )
        return found[0] if found else b""

    def changes(self, after_height: int, rows_max: int) -> tuple[int, list[Change]]:
        """The height up to which it tells, and what was written after ``after_height`` up to there, ascending by height.

        Cut after ``rows_max`` rows, but only between heights: one height may have more. A leaf counts for its last write alone.
        """
        return _cut(self._changes_between, after_height, self._tables.height(), rows_max)

    def _changes_between(self, after_height: int, height: int, limit: int) -> list[Change]:
        names = [family.name for family in FOLLOWED_FAMILIES]
        kinds = " OR ".join(f"key BETWEEN '{name}/' AND '{name}0'" for name in names)  # "0" follows "/"
        rows = self._tables.rows(
            f"SELECT height, key FROM leaves WHERE height > ? AND height <= ? AND ({kinds}) "  # noqa: S608 - our own words
            "UNION ALL SELECT height, 'batch/' || gateway || '/' || boundary_s || '/' || observed FROM batches "
            "WHERE height > ? AND height <= ? ORDER BY 1 LIMIT ?",
            *(after_height, height) * 2,
            limit,
        )
        return [Change(*row) for row in rows]

    def save(self, decided: Decided) -> None:
        """Keep what a block decided. sqlite3.Error when the disk does not take it."""
        height, connection = decided.header.height, self._tables.connection
        # An accepted transaction (code 0) keeps its place for ever; of refusals the latest counts.
        connection.executemany(
            "INSERT INTO transactions VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
            "height = excluded.height, position = excluded.position, code = excluded.code WHERE code <> 0",
            (
                (entry.id, height, position, entry.code)
                for position, entry in enumerate(result_entries(decided))
                if entry.id
            ),
        )
        connection.executemany("INSERT INTO acts VALUES (?, ?, ?, ?, ?, ?)", act_entries(decided))
        connection.executemany(
            "INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?)",
            (
                (entry.gateway, entry.boundary_s, height, entry.position, entry.id, int(entry.is_observed))
                for entry in batch_entries(decided)
            ),
        )
        connection.executemany("INSERT INTO refused_rows VALUES (?, ?, ?, ?)", refused_rows(decided))


def _cut(
    between: Callable[[int, int, int], list[R]], after_height: int, newest: int, rows_max: int
) -> tuple[int, list[R]]:
    """The height up to which rows are told, and they: cut after ``rows_max``, but only between heights: one may have more.

    between: the rows after a height, up to a height, at most so many (-1: all).
    """
    found = between(after_height, newest, rows_max + 1)
    if len(found) <= rows_max:
        return newest, found
    cut = found[-1].height  # this height may go on beyond the rows that were asked for
    whole = [row for row in found if row.height < cut]
    return (cut - 1, whole) if whole else (cut, between(after_height, cut, -1))
