"""A table as columns of numbers and of texts, and its rows in the order of their tuples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridcore.errors import GridError, require

Int64Column = NDArray[np.int64]
Codes = NDArray[np.int32]
Flags = NDArray[np.bool_]
Places = NDArray[np.intp]


class IntColumn(NamedTuple):
    """Whole numbers int64[n]; ``is_empty`` bool[n]: the fields without a value, None where every field has one."""

    values: Int64Column
    is_empty: Flags | None = None

    def take(self, at: Places | slice) -> IntColumn:
        """The rows ``at`` these places."""
        return IntColumn(self.values[at], None if self.is_empty is None else self.is_empty[at])

    def ranks(self) -> list[Int64Column]:
        """Sort keys, the weightiest first: an empty field stands before every number."""
        if self.is_empty is None:
            return [self.values]
        return [(~self.is_empty).astype(np.int64), np.where(self.is_empty, 0, self.values)]


class TextColumn(NamedTuple):
    """Texts out of few: row i holds ``texts[codes[i]]``, ``codes`` int32[n]."""

    texts: Sequence[str]
    codes: Codes

    def take(self, at: Places | slice) -> TextColumn:
        """The rows ``at`` these places."""
        return TextColumn(self.texts, self.codes[at])

    def ranks(self) -> list[Int64Column]:
        """Sort keys: texts by their UTF-8 bytes."""
        ranks = {text: rank for rank, text in enumerate(sorted(set(self.texts), key=utf8))}
        return [np.array([ranks[text] for text in self.texts], dtype=np.int64)[self.codes]]


Column = IntColumn | TextColumn


class Table(NamedTuple):
    """Named columns of one length."""

    names: Sequence[str]
    columns: Sequence[Column]

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return len(self.columns[0][-1] if isinstance(self.columns[0], TextColumn) else self.columns[0].values)

    def take(self, at: Places | slice) -> Table:
        """The rows ``at`` these places."""
        return Table(self.names, [column.take(at) for column in self.columns])

    def order(self) -> Places:
        """The places of the rows in ascending order of their tuples."""
        keys = [rank for column in self.columns for rank in column.ranks()]
        order: Places = np.lexsort(keys[::-1])
        return order

    def sorted(self) -> Table:
        """The same rows in ascending order of their tuples: numbers by value, texts by their UTF-8 bytes."""
        return self.take(self.order())


def utf8(text: str) -> bytes:
    """The bytes by which texts are ordered."""
    return text.encode("utf-8")


def table_of(names: Sequence[str], rows: Iterable[Sequence[int | str]]) -> Table:
    """A table of rows of Python values; "" is the empty field of a column that has numbers.

    GridError for a number outside int64, and for a column that has both numbers and texts.
    """
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    require(len(columns) == len(names), "a row has a field for each column")
    return Table(names, [_column_of(name, values) for name, values in zip(names, columns, strict=True)])


def _column_of(name: str, values: Sequence[int | str]) -> Column:
    if not any(isinstance(value, int) for value in values):
        return text_column([str(value) for value in values])
    if any(value for value in values if isinstance(value, str)):
        raise GridError(f"column {name} holds both numbers and texts")
    is_empty = np.array([value == "" for value in values], dtype=np.bool_)
    try:
        numbers = np.array([value or 0 for value in values], dtype=np.int64)
    except OverflowError:
        raise GridError(f"column {name} holds a number outside the signed 64-bit range") from None
    return IntColumn(numbers, is_empty if is_empty.any() else None)


def text_column(values: Sequence[str]) -> TextColumn:
    """A column of texts, each of them kept once."""
    codes: dict[str, int] = {}
    of_row = [codes.setdefault(value, len(codes)) for value in values]
    return TextColumn(list(codes), np.array(of_row, dtype=np.int32))


def same_text(text: str, rows: int) -> TextColumn:
    """A column that holds one text in every row."""
    return TextColumn([text], np.zeros(rows, dtype=np.int32))
