"""Meters by their codes: which installations have a meter of a code, whatever area it hangs in.

An index beside the state: whoever asks compares with the registry what it gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from gridcore.errors import EncodingError, excerpt
from gridcore.forms import NAME
from gridcore.registry.installation import INSTALLATION
from gridcore.registry.row import Row, decode_row, unsalted
from gridcore.sm3.rows import SALT_BYTES
from ledger.store.tables import Tables

_KEY_AT: Final = SALT_BYTES + 2
"""Where the key begins in a salted row: behind the head of the array and that of a text of less than 24 bytes, as all keys of installations are."""
_KEY: Final = INSTALLATION.key("").encode()


class MeterTable:
    """Numbers of installations by the codes of their meters."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def numbers(self, code: str) -> list[int]:
        """The installations that ever had a meter of a code, ascending."""
        return [number for (number,) in self._tables.rows("SELECT number FROM meters WHERE code = ?", code)]

    def each(self) -> Iterator[tuple[str, int]]:
        """Code and number of every installation."""
        yield from self._tables.each("SELECT code, number FROM meters ORDER BY code, number")

    def save(self, bodies: Iterable[bytes]) -> None:
        """Keep what salted registry rows say of meters. EncodingError for a row of no installation, as a snapshot that lies may have;
        sqlite3.Error when the disk does not take it.
        """
        rows = (decode_row(unsalted(body)) for body in bodies if body.startswith(_KEY, _KEY_AT))
        self._tables.connection.executemany(
            "INSERT OR IGNORE INTO meters VALUES (?, ?)",
            (_meter_of(row) for row in rows if "meter" in row.value),  # a removal names none
        )


def _meter_of(row: Row) -> tuple[str, int]:
    """The code and the number that the row of an installation names."""
    code, number = row.value["meter"], row.key.removeprefix(_KEY.decode())
    if not NAME.holds(code) or not INSTALLATION.name_form.holds(number):
        raise EncodingError(f"{excerpt(row.key)}: is the row of no installation")
    return code, int(number)
