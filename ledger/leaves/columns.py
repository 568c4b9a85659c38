"""Columns of leaves: numpy int64 arrays, little-endian bytes as stored, in chunks of rows."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]
UInt8 = NDArray[np.uint8]
CHUNK_ROWS: Final = 1024
NO_SEED: Final = bytes(32)
"""What a chunk's seed starts from. Chunks of small numbers hold a seed so that their leaf hashes tell a neighbour nothing."""


def pack(column: Int64) -> bytes:
    """int64 little-endian bytes."""
    return column.astype("<i8").tobytes()


def unpack(data: bytes) -> Int64:
    """A fresh, writable int64 array."""
    return np.frombuffer(data, dtype="<i8").astype(np.int64)


def unpack_quality(data: bytes) -> UInt8:
    """A fresh, writable uint8 array of quality bytes."""
    return np.frombuffer(data, dtype=np.uint8).copy()


def chunks(count: int) -> list[tuple[int, int, int]]:
    """(chunk, first row, end row) of ``count`` rows."""
    return [(start // CHUNK_ROWS, start, min(start + CHUNK_ROWS, count)) for start in range(0, count, CHUNK_ROWS)]
