"""The tables of a file that ``pandapower.to_json`` has written, read without pandapower: JSON that holds each DataFrame by columns, index and data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gridcore.errors import UsageError
from gridcore.files import read_bounded

NET_BYTES_MAX: Final = 64 << 20
ELEMENTS: Final = ("bus", "line", "trafo", "load", "ext_grid", "switch", "sgen", "storage")
"""Tables that an import reads: their rows are numbered, each number once."""
_NUMBER_MAX: Final = 1e9
_POSITIVE_MIN: Final = 1e-9
"""What is smaller is no size of anything, and what is divided by it no number."""
_RIGHT: Final = "save the net with pandapower.to_json(net, path)"


@dataclass(frozen=True)
class Row:
    """A row of a table of the net; ``index``: its label there."""

    path: Path
    table: str
    index: int
    cells: Mapping[str, Any]

    def refused(self, why: str) -> UsageError:
        """The error that names file, table and row."""
        return UsageError(f"{self.path}: {self.table} row {self.index}: {why}")

    def number(self, name: str, default: float | None = None) -> float:
        """A number; UsageError where it is none, out of all range, or missing without a default."""
        value = self.cells.get(name)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _NUMBER_MAX:
            raise self.refused(f"{name} is {value!r:.40}; it must be a number within {_NUMBER_MAX:g}")
        return float(value)

    def positive(self, name: str, default: float | None = None) -> float:
        """A number above 0."""
        value = self.number(name, default)
        if value < _POSITIVE_MIN:
            raise self.refused(f"{name} is {value:g}; it must be above 0, and {_POSITIVE_MIN:g} at least")
        return value

    def whole(self, name: str, default: int | None = None) -> int:
        """A whole number, such as a bus."""
        value = self.number(name, default)
        if value != int(value):
            raise self.refused(f"{name} is {value}; it must be a whole number")
        return int(value)

    def text(self, name: str) -> str:
        """A text, empty where there is none."""
        value = self.cells.get(name)
        return value if isinstance(value, str) else ""

    def is_true(self, name: str, *, default: bool) -> bool:
        """A yes or no."""
        value = self.cells.get(name)
        return default if value is None else bool(value)

    @property
    def is_in_service(self) -> bool:
        """As pandapower's column says."""
        return self.is_true("in_service", default=True)


@dataclass(frozen=True)
class Net:
    """Its tables by name, each row by row; those without rows are left out."""

    path: Path
    tables: Mapping[str, Sequence[Row]]

    def rows(self, table: str) -> Sequence[Row]:
        """The rows of a table."""
        return self.tables.get(table, ())

    def in_service(self, table: str) -> list[Row]:
        """Those that are in service."""
        return [row for row in self.rows(table) if row.is_in_service]

    def refused(self, why: str) -> UsageError:
        """The error that names the file."""
        return UsageError(f"{self.path}: {why}")


def read_net(path: Path) -> Net:
    """The net in a file. UsageError in one line where the file is none that pandapower wrote."""
    data = read_bounded(path, NET_BYTES_MAX, "check the path")
    found = _json_of(path, data, "")
    if (
        not isinstance(found, dict)
        or found.get("_class") != "pandapowerNet"
        or not isinstance(found.get("_object"), dict)
    ):
        raise UsageError(f"{path}: holds no pandapower net; {_RIGHT}")
    frames = {
        name: value
        for name, value in found["_object"].items()
        if isinstance(value, dict) and value.get("_class") == "DataFrame"
    }
    tables = {name: _rows(path, name, value) for name, value in frames.items()}
    if "bus" not in tables:
        raise UsageError(f"{path}: has no table of buses; {_RIGHT}")
    return Net(path, {name: rows for name, rows in tables.items() if rows})


def _json_of(path: Path, data: bytes | str, what: str) -> Any:
    try:
        return json.loads(data)
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path}: {what}is no JSON (byte {error.start} is not UTF-8); {_RIGHT}, without a key"
        ) from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: {what}is no JSON ({error}); {_RIGHT}, without a key") from None


def _rows(path: Path, table: str, frame: Mapping[str, Any]) -> list[Row]:
    held = frame.get("_object")
    parts = _json_of(path, held, f"table {table}: ") if isinstance(held, str) else held
    if not isinstance(parts, dict):
        raise UsageError(f"{path}: table {table}: is not held by columns, index and data; {_RIGHT}")
    columns, index, rows = (parts.get(name) for name in ("columns", "index", "data"))
    if not (isinstance(columns, list) and isinstance(index, list) and isinstance(rows, list)) or len(index) != len(
        rows
    ):
        raise UsageError(f"{path}: table {table}: is not held by columns, index and data; {_RIGHT}")
    is_numbered = all(type(label) is int for label in index) and len(set(index)) == len(index)
    if not is_numbered or not all(isinstance(name, str) for name in columns):
        if table in ELEMENTS:
            raise UsageError(
                f"{path}: table {table}: its rows must be named by whole numbers, each once, and its columns by texts"
            )
        return []
    if not all(isinstance(cells, list) and len(cells) == len(columns) for cells in rows):
        raise UsageError(f"{path}: table {table}: a row has other cells than there are columns; {_RIGHT}")
    return [
        Row(path, table, label, dict(zip(columns, cells, strict=True)))
        for label, cells in zip(index, rows, strict=True)
    ]
