"""CSV, for spreadsheets: UTF-8, a header row of keys; beside each exact column the one that people read."""

from __future__ import annotations

import csv
import io
import re
from typing import Final

from gridweb.exports.format import Format, Provenance
from gridweb.exports.readable import Readable, readable_of
from gridweb.tables import TABLE_ROWS_MAX, Column, Table

_FORMULA: Final = re.compile(r"[=+\-@\t\r\n＝＋－＠]")


def to_csv(table: Table) -> bytes:
    """A table with empty fields for no value and without its row of sums.

    Text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    columns = [(column, readable_of(column, table)) for column in table.columns]
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([key for column, readable in columns for key in _keys(column, readable)])
    for row in table.rows:
        fields: list[object] = []
        for value, (_, readable) in zip(row, columns, strict=True):
            fields.append(_field(value))
            if readable is not None:
                fields.append(readable.text(value) if isinstance(value, int) else "")
        writer.writerow(fields)
    return text.getvalue().encode()


def _keys(column: Column, readable: Readable | None) -> tuple[str, ...]:
    return (column.key,) if readable is None else (column.key, readable.key)


def _field(value: object) -> object:
    if value is None:
        return ""
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def _encode(table: Table, _: Provenance) -> bytes:
    return to_csv(table)


CSV: Final = Format("csv", "CSV", ".csv", "text/csv; charset=utf-8; header=present", TABLE_ROWS_MAX, False, _encode)
