"""Questions to the tables of ``state.db``: one way to ask, and one line for whatever cannot be answered."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ledger.store.errors import StoreError
from ledger.store.schema import is_disk_refusal

Parameter = int | str | bytes
Row = tuple[Any, ...]


class Tables:
    """An open database. Whoever owns it lets one thread in at a time. StoreError when something cannot be read."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self.connection = connection

    def damage(self, what: str) -> StoreError:
        """The error that says that something here is not what was saved, and the way out."""
        return StoreError(
            f"{self.path}: {what} is damaged. Stop the node and remove {self.path.name}: it is made again from blocks.log"
        )

    def each(self, query: str, *values: Parameter) -> Iterator[Row]:
        """The rows of an answer one by one."""
        try:
            yield from self.connection.execute(query, values)
        except sqlite3.Error as error:
            raise self._unreadable(error) from error

    def rows(self, query: str, *values: Parameter) -> list[Row]:
        """All rows of an answer."""
        return list(self.each(query, *values))

    def first(self, query: str, *values: Parameter) -> Row | None:
        """The first row of an answer, or None."""
        try:
            found: Row | None = self.connection.execute(query, values).fetchone()
        except sqlite3.Error as error:
            raise self._unreadable(error) from error
        return found

    def row(self, query: str, *values: Parameter) -> Row:
        """The first row of an answer that always has one."""
        found = self.first(query, *values)
        if found is None:
            raise self.damage("the list of blocks")
        return found

    def height(self) -> int:
        """Height of the last block that has been saved; 0: genesis."""
        return int(self.row("SELECT MAX(height) FROM blocks")[0])

    def _unreadable(self, error: sqlite3.Error) -> StoreError:
        if is_disk_refusal(error):
            return StoreError(f"{self.path}: cannot be read: {error}")
        return self.damage(f"the file ({error})")
