"""Files of records of several kinds, made flat: each data record with the fields of the header record that it stands under."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from gridcore.errors import excerpt
from gridledger.settling.files.fault import fault
from settlement.contract_kit_1 import Int64Column


class Records(NamedTuple):
    """Kinds are told by the first field: each ``data`` record belongs to the ``header`` before it, ``skipped`` are not read.

    Columns of a row: those of the header, then those of the data record. Of the latter the last ones may be left out, all
    but ``data_fields_min``.
    """

    header: str
    header_columns: Sequence[str]
    data: str
    data_columns: Sequence[str]
    data_fields_min: int
    skipped: Sequence[str]


def flat_lines(
    file: str, chunks: Iterable[bytes], records: Records, delimiter: str
) -> Iterator[tuple[Int64Column, bytes]]:
    """For each chunk the rows of its data records: their numbers, and lines of the columns of ``records``."""
    separator = delimiter.encode()
    header = b""
    row = 0
    for chunk in chunks:
        rows: list[int] = []
        lines: list[bytes] = []
        for line in chunk.splitlines():
            row += 1
            kind = line.partition(separator)[0].decode()
            if kind == records.header:
                header = _padded(line, len(records.header_columns), separator)
            elif kind == records.data:
                if not header:
                    right = f"a record {records.header} stands before it"
                    raise fault(file, f"the record {records.data} belongs to nothing", right, row=row)
                _check_width(file, row, line.count(separator) + 1, records)
                rows.append(row)
                lines.append(header + separator + _padded(line, len(records.data_columns), separator))
            elif kind not in records.skipped and line:
                known = ", ".join((records.header, records.data, *records.skipped))
                raise fault(file, f"{excerpt(kind)} is no kind of record", f"its kinds are {known}", row=row)
        if rows:
            yield np.array(rows), b"".join(line + b"\n" for line in lines)


def _check_width(file: str, row: int, count: int, records: Records) -> None:
    most = len(records.data_columns)
    if not records.data_fields_min <= count <= most:
        what = f"the record {records.data} has {count} fields, not {records.data_fields_min} to {most}"
        raise fault(file, what, "check [timeline] slot_s in rules.toml against the length of its intervals", row=row)


def _padded(line: bytes, columns: int, separator: bytes) -> bytes:
    """The line with its last fields, which may be left out, as empty ones."""
    return line + separator * max(columns - 1 - line.count(separator), 0)
