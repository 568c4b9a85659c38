"""Registry rows in a file: one TOML table a row, or one CSV line a row. What is wrong ends in one line with file, row and key.

TOML: an array of tables for each kind of entity; CSV: a line of column names, then one row a line, empty cells left out. Both have
``name`` and ``from_s`` (UTC seconds, or an instant with its offset) and the fields of docs/spec/registry.md.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from gridcore.config import decode_toml
from gridcore.errors import UsageError, excerpt
from gridcore.files import read_bounded
from gridcore.forms import INSTANT, Form
from gridcore.registry.row import Row
from gridcore.registry.written import candidates, from_toml, packed, read_entity

FILE_BYTES_MAX: Final = 1 << 28


class FileRow(NamedTuple):
    """A row and where it stands, for people: "line 3", "point 2"."""

    where: str
    row: Row


def read_rows(path: Path) -> list[FileRow]:
    """The rows of a ``.toml`` or ``.csv`` file, in its order. UsageError naming file, row and key."""
    data = read_bounded(path, FILE_BYTES_MAX, "check the path of the file")
    if path.suffix not in (".toml", ".csv"):
        raise UsageError(f"{path}: a file of registry rows ends in .toml or .csv")
    rows = list(_of_toml(data, path) if path.suffix == ".toml" else _of_csv(data, path))
    if not rows:
        raise UsageError(f"{path}: there are no rows; one looks like [[point]] name, from_s, area, role")
    return rows


def _of_toml(data: bytes, path: Path) -> Iterator[FileRow]:
    for kind, tables in decode_toml(data, path).items():
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise UsageError(f"{path}: {kind}: write one table a row, [[{kind}]]")
        for number, table in enumerate(tables, 1):
            yield _row(f"{path}: {kind} {number}", kind, table, _from_toml)


def _of_csv(data: bytes, path: Path) -> Iterator[FileRow]:
    try:
        lines = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        columns = next(lines, [])
        for cells in lines:
            where = f"{path}: line {lines.line_num}"
            if len(cells) > len(columns):
                raise UsageError(f"{where}: has {len(cells)} cells, the first line {len(columns)} columns")
            table = {name: cell for name, cell in zip(columns, cells, strict=False) if cell}
            if table:
                yield _row(where, str(table.pop("kind", "")), table, _from_csv)
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from None
    except csv.Error as error:
        raise UsageError(f"{path}: not valid CSV: {error}") from None


def _row(where: str, kind: str, table: Mapping[str, Any], read: Callable[[Form, Any], Any]) -> FileRow:
    key, value = read_entity(where, kind, table, read)
    return FileRow(where, Row(key, _instant(where, table.get("from_s")), value))


def _from_csv(form: Form, cell: str) -> Any:
    """A cell as a row holds it: a text, a number, true or false, hex digits, or an array or a table as JSON."""
    if form is INSTANT:
        return next((found for found in candidates(cell, int, _seconds_of) if form.holds(found)), cell)
    readers = (str, int, bytes.fromhex, json.loads, lambda text: packed(json.loads(text)))
    return next((found for found in candidates(cell, *readers) if form.holds(found)), cell)


def _from_toml(form: Form, item: Any) -> Any:
    """A TOML value as a row holds it; an instant may be written with its offset."""
    return _seconds(item) if form is INSTANT and isinstance(item, datetime) else from_toml(form, item)


def _seconds(item: datetime) -> Any:
    """UTC seconds of an instant with its offset; one without, or with a part of a second, as it is."""
    return item if item.tzinfo is None or item.microsecond else int(item.timestamp())


def _seconds_of(text: str) -> Any:
    return _seconds(datetime.fromisoformat(text))


def _instant(where: str, item: Any) -> int:
    """UTC seconds; an instant may be written with its offset, such as 2027-01-31T10:37:00+08:00."""
    if isinstance(item, str):
        item = next(candidates(item, int, datetime.fromisoformat), item)
    if isinstance(item, datetime):
        item = _seconds(item)
    if not INSTANT.holds(item):
        words = "UTC seconds, or an instant with its offset such as 2027-01-31T10:37:00+08:00"
        raise UsageError(f"{where}: from_s is {words}, not {excerpt(str(item))}")
    return int(item)
