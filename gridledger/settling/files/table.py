"""One CSV file as blocks of columns: fields stay bytes in one buffer, and are cut out many at once.

A file is read a block at a time, whatever its size. Quotation marks are rare in such files: a block that has some is taken
apart by the standard library first, and goes on like any other.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from gridcore.errors import excerpt
from gridcore.sm3 import hasher
from gridledger.settling.dataset import InputFile
from gridledger.settling.files.fault import FilesError, fault, nearest
from gridledger.settling.files.records import Records, flat_lines
from gridledger.settling.files.source import Source
from settlement.contract_kit_1 import Int64Column

FIELD_BYTES_MAX: Final = 256
"""No field of any of our files is as long; a longer one is a missing line break or separator."""
_NEWLINE, _RETURN = b"\n"[0], b"\r"[0]
_UNIT: Final = "\x1f"
"""Separates the fields of a block that had quotation marks: no text holds it."""
_SEPARATORS: Final = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Fields:
    """A column of a block: where its n fields lie in ``data``, which has FIELD_BYTES_MAX zero bytes behind the last of them.

    row: int64[n], the numbers of their rows, the first line of the file being row 1.
    """

    file: str
    column: str
    row: Int64Column
    data: Bytes
    start: Int64Column
    end: Int64Column

    def __len__(self) -> int:
        return len(self.start)

    def lengths(self) -> Int64Column:
        """int64[n]: bytes of each field."""
        return self.end - self.start

    def matrix(self, width: int) -> Bytes:
        """uint8[n, width]: the fields from the left, zero behind them; what is longer is cut."""
        if not width:
            return np.zeros((len(self), 0), dtype=np.uint8)
        characters: Bytes = sliding_window_view(self.data, width)[self.start]
        length = self.lengths()
        if len(length) and int(length.min()) < width:
            characters[np.arange(width) >= length[:, None]] = 0
        return characters

    def some(self, rows: Int64Column) -> Fields:
        """The fields at some places."""
        return replace(self, row=self.row[rows], start=self.start[rows], end=self.end[rows])

    def text(self, index: int) -> str:
        """One field."""
        return self.data[self.start[index] : self.end[index]].tobytes().decode("utf-8", "replace")

    def texts(self) -> list[str]:
        """All fields."""
        return [self.text(index) for index in range(len(self))]

    def fault(self, index: int, what: str, right: str) -> FilesError:
        """The error for one field."""
        return fault(self.file, what, right, row=int(self.row[index]), column=self.column)


class Header(NamedTuple):
    """The columns that a file must and may have; ``others`` True: it may have any others, which are not read."""

    required: Sequence[str]
    optional: Sequence[str] = ()
    others: bool = False

    def text(self, delimiter: str) -> str:
        """As a person reads it."""
        optional = f" (and may have {', '.join(self.optional)})" if self.optional else ""
        return delimiter.join(self.required) + optional


class Form(NamedTuple):
    """How the text of a file is written. header_row: where its header stands; with ``records`` it has none.

    short_rows: the last fields of a row may be left out.
    """

    delimiter: str = ","
    encoding: str = "utf-8"
    header_row: int = 1
    short_rows: bool = False
    records: Records | None = None


PLAIN: Final = Form()


class Block(NamedTuple):
    """Some rows of a file. row: int64[n], their numbers, the first line of the file being row 1."""

    row: Int64Column
    columns: Mapping[str, Fields]


class Table:
    """A file that is read once. After its last block ``input_file`` says what it was."""

    def __init__(self, path: Path, header: Header, form: Form = PLAIN) -> None:
        self.name = f"{path.parent.name}/{path.name}" if path.parent.name == "readings" else path.name
        self._source = Source(path, self.name, form.encoding, hasher())
        self._header = header
        self._form = form
        self._names: Sequence[str] = ()
        self._rows = 0
        self._has_ended = False

    def input_file(self) -> InputFile:
        """The file as it was read."""
        return InputFile(self.name, self._source.digest(), self._rows)

    def blocks(self) -> Iterator[Block]:
        """The rows behind the header; FilesError at the first that is none."""
        for row, lines in self._lines():
            block = self._block(lines, row)
            self._rows += len(block.row)
            if len(block.row):
                yield block
        if not self._names:
            raise fault(self.name, "is empty", f"its header is {self._header.text(self._form.delimiter)}")

    def _lines(self) -> Iterator[tuple[Int64Column, bytes]]:
        """Row numbers and bytes of whole lines behind the header."""
        if self._form.records is not None:
            self._names = (*self._form.records.header_columns, *self._form.records.data_columns)
            yield from flat_lines(self.name, self._source.chunks(), self._form.records, self._form.delimiter)
            return
        row = 1
        for chunk in self._source.chunks():
            if not self._names:
                chunk = self._take_header(chunk)
                row = self._form.header_row + 1
            count = chunk.count(b"\n")
            if count:
                yield np.arange(row, row + count), chunk
            row += count

    def _take_header(self, chunk: bytes) -> bytes:
        """What follows the header."""
        lines = chunk.split(b"\n", self._form.header_row)
        right = f"row {self._form.header_row} is {self._header.text(self._form.delimiter)}"
        if len(lines) <= self._form.header_row:
            raise fault(self.name, "has no header", right)
        text = lines[self._form.header_row - 1].decode().removesuffix("\r")
        if not text:
            raise fault(self.name, "has no header", right)
        try:
            names = next(csv.reader([text], delimiter=self._form.delimiter, strict=True), [])
        except csv.Error:
            raise fault(self.name, "its header cannot be read", f"end each row with a line feed; {right}") from None
        self._check_header(names, text)
        self._names = names
        return lines[-1]

    def _check_header(self, names: Sequence[str], text: str) -> None:
        known = (*self._header.required, *self._header.optional)
        row = self._form.header_row
        for name in self._header.required:
            if name not in names:
                raise self._lacking(name, text)
        for place, name in enumerate(names):
            if name in names[:place] and (name in known or not self._header.others):
                raise fault(self.name, f"has the column {excerpt(name)} twice", "leave one of them", row=row)
            if name not in known and not self._header.others:
                raise fault(self.name, f"has an unknown column {excerpt(name)}", nearest(name, known), row=row)

    def _lacking(self, name: str, text: str) -> FilesError:
        row = self._form.header_row
        for separator, words in _SEPARATORS.items():
            if separator != self._form.delimiter and name in text.split(separator):
                wanted = _SEPARATORS.get(self._form.delimiter, repr(self._form.delimiter))
                right = f"use {wanted}, or name its layout with --preset"
                return fault(self.name, f"its columns are separated by {words}", right, row=row)
        return fault(
            self.name, f"has no column {name!r}", f"its header is {self._header.text(self._form.delimiter)}", row=row
        )

    def _block(self, lines: bytes, row: Int64Column) -> Block:
        delimiter = self._form.delimiter
        if b'"' in lines:
            lines = self._without_quotes(lines, row)
            delimiter = _UNIT
        kept = lines.rstrip(b"\r\n")  # empty lines at the end of a file hold nothing
        if self._has_ended and kept:
            raise fault(self.name, "is empty", "take the row out", row=int(row[0]) - 1)
        self._has_ended = lines.count(b"\n") > kept.count(b"\n") + 1 or not kept
        if not kept:
            return Block(row[:0], {})
        if self._form.short_rows:
            kept = b"\n".join(self._whole(line, delimiter) for line in kept.split(b"\n"))
        data = np.frombuffer(kept + b"\n" + bytes(FIELD_BYTES_MAX), dtype=np.uint8)
        marks = np.flatnonzero((data == delimiter.encode()[0]) | (data == _NEWLINE))
        width = len(self._names)
        counts = np.diff(np.flatnonzero(data[marks] == _NEWLINE), prepend=-1)
        if (counts != width).any():
            at = int(np.argmax(counts != width))
            raise self._wrong_width(kept.split(b"\n", at + 1)[at].strip(), int(row[at]), int(counts[at]))
        ends = marks.reshape(-1, width)
        starts = np.concatenate([[0], marks[:-1] + 1]).reshape(-1, width)
        ends[:, -1] -= (data[ends[:, -1] - 1] == _RETURN) & (ends[:, -1] > starts[:, -1])
        row = row[: len(ends)]
        too_long = (ends - starts > FIELD_BYTES_MAX).any(axis=1)
        if too_long.any():
            at = int(row[np.argmax(too_long)])
            raise fault(self.name, f"a field has more than {FIELD_BYTES_MAX} bytes", "check its separators", row=at)
        columns = {
            name: Fields(self.name, name, row, data, starts[:, place], ends[:, place])
            for place, name in enumerate(self._names)
        }
        return Block(row, columns)

    def _whole(self, line: bytes, delimiter: str) -> bytes:
        """A row with the fields that it leaves out at its end as empty ones."""
        line = line.removesuffix(b"\r")
        return line + delimiter.encode() * max(len(self._names) - 1 - line.count(delimiter.encode()), 0)

    def _without_quotes(self, lines: bytes, row: Int64Column) -> bytes:
        """The same rows with a unit separator between fields, and no quotation marks."""
        made: list[str] = []
        reader = csv.reader(io.StringIO(lines.decode(), newline=""), delimiter=self._form.delimiter, strict=True)
        try:
            for fields in reader:
                if reader.line_num != len(made) + 1:
                    at = int(row[len(made)])
                    raise fault(self.name, "a field holds a line break", "take it out", row=at)
                # ="541448": a number that a spreadsheet shall leave as text
                made.append(_UNIT.join(field.removeprefix('="').removesuffix('"') for field in fields))
        except csv.Error:
            at = int(row[min(len(made), len(row) - 1)])
            raise fault(self.name, "a quotation mark does not end", "write no quotation marks", row=at) from None
        return "".join(f"{line}\n" for line in made).encode()

    def _wrong_width(self, line: bytes, row: int, count: int) -> FilesError:
        if not line:
            return fault(self.name, "is empty", "take the row out", row=row)
        width = len(self._names)
        what = f"has {count} fields, the header {width}"
        if count > width and self._form.delimiter == ",":
            return fault(self.name, what, "write decimals with a point and no thousands separators", row=row)
        return fault(self.name, what, "give each column its field, an empty one where nothing is known", row=row)
