"""Columns of batches and of rows that are hashed, as numpy arrays; the bytes are those of gridcore.column and gridcore.transactions.readings."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from gridcore.column import HEAD_BYTES, I64_MAX, check_column, narrowest_width
from gridcore.errors import EncodingError
from gridcore.rows import PackedRows
from gridcore.transactions.reading_batch import ClockState
from gridcore.transactions.readings import split_attachment
from ledger.leaves.columns import Int64, UInt8

_BASE = struct.Struct("<q")
_OFFSETS = {width: np.dtype(f"<u{width}") for width in (1, 2, 4, 8)}
_ROW_CODES = ("<u4", "<i4", "u1", "<u8", "<u8")
"""Types of the columns of a batch in a row."""
_COLUMNS = (
    ("meter", 0, 1 << 32),
    ("offset_ms", -(1 << 31), 1 << 31),
    ("quality", 0, 256),
    ("import", 0, I64_MAX + 1),
    ("export", 0, I64_MAX + 1),
)
"""Name, lowest value and end of each column of a batch."""


Field = tuple[str, Int64 | UInt8]
"""A part of a row: numpy's code for its type (u1, <u4, <i8; 32u1 for a digest), and its column."""


@dataclass(frozen=True)
class BatchColumns:
    """The readings of one batch, row by row; int64[n] except quality uint8[n]; registers in Wh as the meter shows them."""

    seed: bytes
    meter: Int64
    offset_ms: Int64
    quality: UInt8
    import_wh: Int64
    export_wh: Int64
    observations: bytes
    """Encoded observations beside the rows, not looked into; empty without."""

    @property
    def rows(self) -> PackedRows:
        """Each row's 25 bytes, as a salted leaf covers them; made anew each time."""
        columns = (self.meter, self.offset_ms, self.quality, self.import_wh, self.export_wh)
        return encode_rows(list(zip(_ROW_CODES, columns, strict=True)))


class Batch(NamedTuple):
    """A batch whose header holds and whose rows are those that its gateway signed. id: of its transaction; clock: its gateway's."""

    id: bytes
    gateway: str
    epoch: int
    counter: int
    boundary_s: int
    clock: ClockState
    columns: BatchColumns


def decode_column(name: str, data: bytes, count: int, low: int, end: int) -> Int64:
    """int64[count] of one encoded column, each value from ``low`` to ``end`` - 1. EncodingError unless the bytes are canonical."""
    width = check_column(data, count)
    base: int = _BASE.unpack_from(data)[0]
    offsets = np.frombuffer(data, _OFFSETS[width], count, HEAD_BYTES)
    top = int(np.maximum.reduce(offsets))
    if int(np.minimum.reduce(offsets)) != 0 or narrowest_width(top) != width:
        raise EncodingError("a column's base is its minimum and its width the narrowest")
    if base < low or base + top >= end:
        raise EncodingError(f"column {name} holds a value outside {low} to {end - 1}")
    # Wide offsets of a negative base wrap on the way and come back into range: the sum was checked above.
    values = offsets.astype(np.int64)
    values += base
    return values


def encode_column(column: Int64 | UInt8) -> bytes:
    """The canonical bytes of a column of one or more values, in their order."""
    flat = column.ravel().astype(np.int64, copy=False)
    base, top = int(flat.min()), int(flat.max())
    width = narrowest_width(top - base)
    return _BASE.pack(base) + bytes([width]) + (flat - base).astype(f"<u{width}").tobytes()


def decode_batch(attachment: bytes, count: int) -> BatchColumns:
    """Columns of a batch's attachment. EncodingError for anything but the canonical form."""
    seed, encoded, observations = split_attachment(attachment)
    meter, offset, quality, import_wh, export_wh = (
        decode_column(name, data, count, low, end) for (name, low, end), data in zip(_COLUMNS, encoded, strict=True)
    )
    return BatchColumns(seed, meter, offset, quality.astype(np.uint8), import_wh, export_wh, observations)


def encode_rows(fields: Sequence[Field]) -> PackedRows:
    """Row bytes of equally long columns, packed in order."""
    table = np.empty(len(fields[0][1]), dtype=_row_type(tuple(code for code, _ in fields)))
    for name, (_, column) in zip(table.dtype.names or (), fields, strict=True):
        table[name] = column
    return PackedRows(table.tobytes(), table.dtype.itemsize)


@lru_cache(maxsize=64)
def _row_type(codes: tuple[str, ...]) -> np.dtype[np.void]:
    return np.dtype([(f"f{index}", code) for index, code in enumerate(codes)])
