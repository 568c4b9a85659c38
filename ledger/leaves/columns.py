"""Columns of leaves: numpy int64 arrays, little-endian bytes as stored, in chunks of rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from gridcore.sm3 import DIGEST_BYTES

Int64 = NDArray[np.int64]
UInt8 = NDArray[np.uint8]
Digests = NDArray[np.uint8]
"""uint8[n, 32]: a digest a row."""
Column = TypeVar("Column", Int64, UInt8)
CHUNK_ROWS: Final = 1024
NO_SEED: Final = bytes(32)
"""What a chunk's seed starts from. Chunks of small numbers hold a seed so that their leaf hashes tell a neighbour nothing."""


def pack(column: Int64) -> bytes:
    """int64 little-endian bytes."""
    return column.astype("<i8", copy=False).tobytes()


def unpack(data: bytes) -> Int64:
    """A fresh, writable int64 array."""
    return np.frombuffer(data, dtype="<i8").astype(np.int64)


def pack_each(columns: Mapping[str, Int64]) -> dict[str, bytes]:
    """``pack`` of columns by name."""
    return {name: pack(column) for name, column in columns.items()}


def unpack_each(columns: Mapping[str, bytes]) -> dict[str, Int64]:
    """``unpack`` of columns by name."""
    return {name: unpack(data) for name, data in columns.items()}


def grown(column: Column, size: int, absent: int) -> Column:
    """A column with at least ``size`` rows: those that were registered after it was written have the value ``absent``."""
    missing = size - len(column)
    return (
        column
        if missing <= 0
        else np.concatenate([column, np.full((missing, *column.shape[1:]), absent, dtype=column.dtype)])
    )


def join_columns(parts: Iterable[Int64]) -> Int64:
    """Neighbouring parts of a column as one; of none: no rows."""
    return np.concatenate([np.zeros(0, dtype=np.int64), *parts])


def digests(values: Sequence[bytes]) -> Digests:
    """Digests, 32 bytes each, as rows."""
    return np.frombuffer(b"".join(values), dtype=np.uint8).reshape(len(values), DIGEST_BYTES)


def unpack_digests(data: bytes) -> Digests:
    """Digests back to back as rows; read-only."""
    return np.frombuffer(data, dtype=np.uint8).reshape(-1, DIGEST_BYTES)


def unpack_quality(data: bytes) -> UInt8:
    """A fresh, writable uint8 array of quality bytes."""
    return np.frombuffer(data, dtype=np.uint8).copy()


def split_row(row: int) -> tuple[int, int]:
    """The chunk of a row, and its place in it."""
    return divmod(row, CHUNK_ROWS)


def chunk_bounds(chunk: int) -> tuple[int, int]:
    """The first row of a chunk, and the first one behind it."""
    return chunk * CHUNK_ROWS, (chunk + 1) * CHUNK_ROWS


def chunks_of(rows: Int64) -> Int64:
    """int64[n]: the chunk of each of some rows."""
    return rows // CHUNK_ROWS


def span_of(rows: Int64) -> Int64 | slice:
    """The same rows as a slice where they follow one another: numpy then copies nothing. Most batches are like that."""
    if not len(rows):
        return slice(0, 0)
    first, last = int(rows[0]), int(rows[-1])
    if last - first + 1 == len(rows) and (rows[1:] > rows[:-1]).all():
        return slice(first, last + 1)
    return rows


def groups(keys: Int64) -> list[tuple[int, Int64]]:
    """Each of the keys, ascending, with the rows that have it, ascending."""
    order = np.argsort(keys, kind="stable")
    found, starts = np.unique(keys[order], return_index=True)
    return list(zip(found.tolist(), np.split(order, starts)[1:], strict=True))


def chunks(count: int) -> list[tuple[int, int, int]]:
    """(chunk, first row, end row) of ``count`` rows."""
    return [(start // CHUNK_ROWS, start, min(start + CHUNK_ROWS, count)) for start in range(0, count, CHUNK_ROWS)]
