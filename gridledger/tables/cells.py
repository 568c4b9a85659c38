"""Fields of many rows as bytes at once: canonical CBOR, and CSV.

A field is a cell of one width for all rows of a block, and how much of it counts is said byte by byte. What counts, row by row,
is the row's bytes: one selection for the whole block.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridcore import cbor
from gridledger.tables.columns import Codes, Flags, IntColumn, Places, Table, TextColumn

Bytes = NDArray[np.uint8]

_DIGITS: Final = np.frombuffer("".join(f"{number:04}" for number in range(10_000)).encode(), dtype=np.uint32)
"""The four decimal digits of each number below 10,000, four bytes in one item."""
_DIGIT_GROUP: Final = np.uint64(10_000)
_DIGITS_MAX: Final = 20
_POWERS: Final = np.array([10**power for power in range(1, _DIGITS_MAX)], dtype=np.uint64)
_CBOR_BOUNDS: Final = np.array([24, 1 << 8, 1 << 16, 1 << 32], dtype=np.uint64)
"""From each of these on an argument takes another byte, two, four or eight (RFC 8949 section 3)."""
_CBOR_WIDTHS: Final = (0, 1, 2, 4, 8)
_CBOR_HEADS: Final = np.array([0, 24, 25, 26, 27], dtype=np.uint8)
_NEGATIVE: Final = 0x20
_PLAIN: Final = re.compile(r"[\w.:/+-]+")
"""Texts that no CSV file has in quotes."""
_EMPTY_TEXT: Final = 0x60


class Cells(NamedTuple):
    """One field of n rows: its bytes uint8[n, width], which of them count bool[n, width], and how many these are int64[n]."""

    data: Bytes
    counts: Flags
    lengths: Places


class Packed(NamedTuple):
    """Rows of any lengths back to back; row i is ``data[offsets[i]:offsets[i + 1]]``, offsets uint64[n + 1]."""

    data: bytes
    offsets: NDArray[np.uint64]


class KeptTexts:
    """The texts of a file's columns as cells: a list that block after block brings is encoded once."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[Sequence[str], Cells]] = {}
        """By the column's place: its texts, and their cells."""

    def cells(self, place: int, column: TextColumn, encode: Callable[[str], bytes]) -> Cells:
        """The fields of the column at a place; whoever keeps these encodes by one ``encode`` a place."""
        texts, cells = self._kept.get(place, (None, None))
        if cells is None or texts is not column.texts or len(cells.lengths) != len(column.texts):
            cells = _encoded(column.texts, encode)
            self._kept[place] = column.texts, cells
        return _dealt(cells, column.codes)


def cbor_rows(table: Table, kept: KeptTexts | None = None) -> Packed:
    """The canonical array of each row's fields: numbers as integers, an empty field as the empty text."""
    kept, head = kept or KeptTexts(), cbor.encode([0] * len(table.columns))[:1]
    cells = [_same(head, table.rows)]
    for place, column in enumerate(table.columns):
        if isinstance(column, TextColumn):
            cells.append(kept.cells(place, column, cbor.encode))
        else:
            cells.append(_cbor_numbers(column))
    return _packed(cells)


def csv_rows(table: Table, kept: KeptTexts | None = None) -> bytes:
    """The rows as CSV: a comma between fields, a newline behind each row, a text in quotes where it has to be."""
    kept, cells = kept or KeptTexts(), list[Cells]()
    ends = [b","] * (len(table.columns) - 1) + [b"\n"]
    for place, (column, end) in enumerate(zip(table.columns, ends, strict=True)):
        if isinstance(column, TextColumn):
            cells.append(kept.cells(place, column, partial(_csv_field, end=end)))
        else:
            cells += [*_decimals(column), _same(end, column.values.size)]
    return _packed(cells).data


def csv_text(text: str) -> bytes:
    """One text as a field of a CSV file."""
    if _PLAIN.fullmatch(text):
        return text.encode()
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow([text, ""])
    return out.getvalue()[:-2].encode()  # without the empty second field and the newline


def _packed(cells: Sequence[Cells]) -> Packed:
    data = np.concatenate([cell.data for cell in cells], axis=1)
    counts = np.concatenate([cell.counts for cell in cells], axis=1)
    offsets = np.zeros(data.shape[0] + 1, dtype=np.uint64)
    np.cumsum(sum(cell.lengths for cell in cells), out=offsets[1:])
    return Packed(data[counts].tobytes(), offsets)


def _same(data: bytes, rows: int) -> Cells:
    """The same bytes in every row."""
    one = np.frombuffer(data, dtype=np.uint8)
    counts = np.ones((1, one.size), dtype=np.bool_)
    shape = (rows, one.size)
    return Cells(np.broadcast_to(one, shape), np.broadcast_to(counts, shape), np.full(rows, one.size, dtype=np.intp))


def _csv_field(text: str, end: bytes) -> bytes:
    """A text and what ends it."""
    return csv_text(text) + end


def _encoded(texts: Sequence[str], encode: Callable[[str], bytes]) -> Cells:
    """A row for each text."""
    encoded = [encode(text) for text in texts]
    lengths = np.array([len(item) for item in encoded], dtype=np.intp)
    width = int(lengths.max(initial=0))
    data = np.frombuffer(b"".join(item.ljust(width, b"\0") for item in encoded), dtype=np.uint8)
    return Cells(data.reshape(len(encoded), width), np.arange(width) < lengths[:, np.newaxis], lengths)


def _dealt(texts: Cells, codes: Codes) -> Cells:
    """The text of each row."""
    if len(texts.lengths) == 1:
        shape = (codes.size, texts.data.shape[1])
        lengths = np.full(codes.size, shape[1], dtype=np.intp)
        return Cells(np.broadcast_to(texts.data, shape), np.broadcast_to(texts.counts, shape), lengths)
    return Cells(texts.data[codes], texts.counts[codes], texts.lengths[codes])


def _cbor_numbers(column: IntColumn) -> Cells:
    """Major type and argument, the argument's bytes at the right end of the cell."""
    values = column.values
    argument = (values ^ (values >> 63)).view(np.uint64)  # of a negative number n: -1 - n
    sizes = np.searchsorted(_CBOR_BOUNDS, argument, side="right")
    width = _CBOR_WIDTHS[int(sizes.max(initial=0))]
    data = np.empty((values.size, 1 + width), dtype=np.uint8)
    data[:, 0] = np.where(sizes == 0, argument.astype(np.uint8), _CBOR_HEADS[sizes])
    data[:, 0] |= np.where(values < 0, _NEGATIVE, 0).astype(np.uint8)
    data[:, 1:] = argument.astype(">u8").view(np.uint8).reshape(-1, 8)[:, 8 - width :]
    if column.is_empty is not None:
        data[column.is_empty, 0] = _EMPTY_TEXT
        sizes = np.where(column.is_empty, 0, sizes)
    lengths = np.array(_CBOR_WIDTHS, dtype=np.intp)[sizes]
    counts = np.concatenate((np.ones((5, 1), dtype=np.bool_), _right(_CBOR_WIDTHS, width)), axis=1)
    return Cells(data, counts[sizes], lengths + 1)


def _decimals(column: IntColumn) -> list[Cells]:
    """A minus sign where a number of the block needs one, and decimal digits at the right end of their cell."""
    values, is_negative = column.values, column.values < 0
    left = np.where(is_negative, ~values, values).view(np.uint64) + is_negative
    digits = np.searchsorted(_POWERS, left, side="right") + 1
    if column.is_empty is not None:
        is_negative, digits = is_negative & ~column.is_empty, np.where(column.is_empty, 0, digits)
    groups = -(-int(digits.max(initial=1)) // 4)
    data = np.empty((values.size, groups), dtype=np.uint32)
    for group in reversed(range(groups)):
        above = left // _DIGIT_GROUP
        data[:, group] = _DIGITS[left - above * _DIGIT_GROUP]
        left = above
    counts = _right(range(_DIGITS_MAX + 1), 4 * groups)
    number = Cells(data.view(np.uint8), counts[digits], digits)
    if not is_negative.any():
        return [number]
    minus = np.full((values.size, 1), ord("-"), dtype=np.uint8)
    return [Cells(minus, is_negative[:, np.newaxis], is_negative.astype(np.intp)), number]


def _right(lengths: Sequence[int], width: int) -> Flags:
    """For each length, which bytes of a cell count when so many at its right end do."""
    flags: Flags = np.arange(width) >= width - np.array(lengths, dtype=np.int64)[:, np.newaxis]
    return flags
