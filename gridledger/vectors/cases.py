"""Reading the input of a case: what has a wrong shape is a failure that says so, what has a forbidden value is refused.

Two errors keep these apart. ``CaseError``: the case itself is broken (bad TOML, a missing key or column, a wrong type);
it can never pass. ``CaseRefusedError``: well-formed input that the format says must be refused (an integer outside 64 bits,
malformed hex, a duplicate id); that is what a case without ``[expect]`` asks for.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from gridcore.errors import GridError

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
_WHOLE_NUMBER = re.compile(r"-?[0-9]+")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})*")
_INT64_DIGITS_MAX = 20


class CaseError(GridError):
    """A case that cannot be run: ``field`` is not what the format asks for."""

    def __init__(self, field: str, expected: str, got: object) -> None:
        super().__init__(f"{field}: expected {expected}, got {got!r}")
        self.field = field
        self.expected = expected
        self.got = got


class CaseRefusedError(GridError):
    """Input that the format says must be refused."""


def check_int64(value: int, field: str) -> int:
    """Return ``value``; CaseRefusedError where it does not fit into a signed 64-bit integer."""
    if not INT64_MIN <= value <= INT64_MAX:
        raise CaseRefusedError(f"{field} is outside the signed 64-bit range")
    return value


def by_name(names: Iterable[str]) -> list[str]:
    """Names in the order in which ties are decided: ascending by their UTF-8 bytes."""
    return sorted(names, key=lambda name: name.encode("utf-8"))


def check_unique(names: Iterable[str], field: str) -> None:
    """CaseRefusedError for a name that occurs twice."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise CaseRefusedError(f"{field} {name!r} occurs twice")
        seen.add(name)


class CaseInput:
    """The ``[input]`` table of one case, read key by key with its type."""

    def __init__(self, values: Mapping[str, object], folder: Path) -> None:
        self._values = values
        self._folder = folder

    def check_keys(self, required: Iterable[str], optional: Iterable[str]) -> None:
        """CaseError for a required key that is absent, or a key that the handler does not know."""
        required, optional = tuple(required), tuple(optional)
        for key in required:
            if key not in self._values:
                raise CaseError(f"input.{key}", "a value", "nothing")
        for key in self._values:
            if key not in required and key not in optional:
                raise CaseError(f"input.{key}", f"only {', '.join((*required, *optional))}", "an unknown key")

    def has(self, key: str) -> bool:
        """Whether the optional ``key`` is given."""
        return key in self._values

    def integer(self, key: str) -> int:
        """A whole number of 64 bits."""
        return _integer(self._values[key], f"input.{key}")

    def integers(self, key: str) -> list[int]:
        """A list of whole numbers of 64 bits."""
        return [_integer(item, f"input.{key}[{row}]") for row, item in enumerate(self._list(key))]

    def text(self, key: str) -> str:
        """A string."""
        return _text(self._values[key], f"input.{key}")

    def texts(self, key: str) -> list[str]:
        """A list of strings."""
        return [_text(item, f"input.{key}[{row}]") for row, item in enumerate(self._list(key))]

    def data(self, key: str) -> bytes:
        """Bytes, written as hex."""
        return _data(self._values[key], f"input.{key}")

    def data_list(self, key: str) -> list[bytes]:
        """A list of byte strings, each written as hex."""
        return [_data(item, f"input.{key}[{row}]") for row, item in enumerate(self._list(key))]

    def integer_table(self, key: str) -> dict[str, int]:
        """A table whose values are whole numbers of 64 bits."""
        return _integer_table(self._values[key], f"input.{key}")

    def named_integers(self, key: str, names: Sequence[str]) -> list[int]:
        """A table that names exactly ``names``: its values in their order; CaseRefusedError for another set of names."""
        table = self.integer_table(key) if self.has(key) else {}
        if table.keys() != set(names):
            raise CaseRefusedError(f"input.{key} does not name exactly {', '.join(names)}")
        return [table[name] for name in names]

    def table(self, key: str) -> object:
        """A table; what is in it is read by whoever knows."""
        return self._values[key]

    def tables(self, key: str) -> list[dict[str, object]]:
        """A list of tables; what is in them is read by whoever knows."""
        items = self._list(key)
        for row, item in enumerate(items):
            if not isinstance(item, dict):
                raise CaseError(f"input.{key}[{row}]", "a table", item)
        return [item for item in items if isinstance(item, dict)]

    def integer_tables(self, key: str) -> list[dict[str, int]]:
        """A list of tables whose values are whole numbers of 64 bits."""
        return [_integer_table(item, f"input.{key}[{row}]") for row, item in enumerate(self._list(key))]

    def named_values(self, key: str) -> list[tuple[str, int]]:
        """A list of pairs, each of a string and a whole number of 64 bits."""
        return [_named_value(item, f"input.{key}[{row}]") for row, item in enumerate(self._list(key))]

    def file(self, key: str) -> bytes:
        """The bytes of the file that ``key`` names."""
        name = self.text(key)
        if name != Path(name).name or not name:
            raise CaseError(f"input.{key}", "the name of a file beside case.toml", name)
        try:
            return (self._folder / name).read_bytes()
        except OSError as error:
            raise CaseError(name, "a file that can be read", _reason(error)) from error

    def csv(self, key: str, columns: Iterable[str]) -> list[dict[str, str]]:
        """The rows of the CSV file that ``key`` names, by column; blank lines and columns not asked for are left out."""
        name = self.text(key)
        try:
            text = self.file(key).decode("utf-8-sig")
            lines = [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
        except (UnicodeDecodeError, csv.Error) as error:
            raise CaseError(name, "a CSV file in UTF-8", _reason(error)) from error
        header = lines[0] if lines else []
        for column in columns:
            if header.count(column) != 1:
                raise CaseError(name, f"one column {column}", ",".join(header))
        rows: list[dict[str, str]] = []
        for number, line in enumerate(lines[1:], start=1):
            if len(line) != len(header):
                raise CaseError(f"{name} row {number}", f"{len(header)} fields", len(line))
            rows.append(dict(zip(header, line, strict=True)))
        return rows

    def _list(self, key: str) -> list[object]:
        value = self._values[key]
        if not isinstance(value, list):
            raise CaseError(f"input.{key}", "a list", value)
        return value


def rational(value: Fraction) -> str:
    """A rational as cases write it: ``8/15``, in lowest terms, ``3/1`` for 3."""
    return f"{value.numerator}/{value.denominator}"


def csv_integers(rows: list[dict[str, str]], column: str) -> list[int]:
    """One column of a CSV file as whole numbers of 64 bits."""
    return [csv_integer(row[column], f"row {number}, {column}") for number, row in enumerate(rows, start=1)]


def csv_integer(text: str, field: str) -> int:
    """One field of a CSV file as a whole number of 64 bits."""
    if not _WHOLE_NUMBER.fullmatch(text):
        raise CaseError(field, "a whole number", text)
    digits = text.lstrip("-").lstrip("0")
    if len(digits) > _INT64_DIGITS_MAX:
        raise CaseRefusedError(f"{field} is outside the signed 64-bit range")
    value = int(digits or "0")
    return check_int64(-value if text.startswith("-") else value, field)


def _integer(value: object, field: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise CaseError(field, "a whole number", value)
    return check_int64(value, field)


def _integer_table(value: object, field: str) -> dict[str, int]:
    if not isinstance(value, dict):
        raise CaseError(field, "a table", value)
    return {name: _integer(item, f"{field}.{name}") for name, item in value.items()}


def _named_value(value: object, field: str) -> tuple[str, int]:
    if not isinstance(value, list) or len(value) != 2:
        raise CaseError(field, "a pair of a string and a whole number", value)
    return _text(value[0], field), _integer(value[1], field)


def _text(value: object, field: str) -> str:
    if not isinstance(value, str):
        raise CaseError(field, "a string", value)
    return value


def _data(value: object, field: str) -> bytes:
    text = _text(value, field)
    if not _HEX.fullmatch(text):
        raise CaseRefusedError(f"{field} is not hex: pairs of 0-9, a-f and A-F, nothing else")
    return bytes.fromhex(text)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error)
