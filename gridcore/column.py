"""Columns of integers as bytes: base (i64) || width (1, 2, 4 or 8) || n unsigned offsets, little-endian (docs/spec/batch.md).

Pure Python, so that a gateway needs no numpy; ``ledger.state.columns`` decodes the same bytes into arrays.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from gridcore.errors import EncodingError

HEAD_BYTES = 9
I64_MIN, I64_MAX = -(1 << 63), (1 << 63) - 1
_FORMAT = {1: "B", 2: "H", 4: "I", 8: "Q"}


def narrowest_width(spread: int) -> int:
    """Bytes (1, 2, 4 or 8) of the narrowest unsigned integer that holds ``spread`` >= 0."""
    return 1 if spread < 1 << 8 else 2 if spread < 1 << 16 else 4 if spread < 1 << 32 else 8


def encode_column(values: Sequence[int]) -> bytes:
    """Encode one or more 64-bit signed integers. Raises EncodingError for none, or for one outside i64."""
    if not values:
        raise EncodingError("a column holds at least one value")
    base, top = min(values), max(values)
    if base < I64_MIN or top > I64_MAX:
        raise EncodingError("a column's values lie within 64-bit signed integers")
    width = narrowest_width(top - base)
    offsets = [value - base for value in values]
    return struct.pack(f"<qB{len(values)}{_FORMAT[width]}", base, width, *offsets)


def decode_column(data: bytes, count: int) -> list[int]:
    """Decode a column of exactly ``count`` >= 1 values. Raises EncodingError unless the bytes are the one canonical form."""
    width = check_column(data, count)
    base, _, *offsets = struct.unpack(f"<qB{count}{_FORMAT[width]}", data)
    if min(offsets) != 0 or narrowest_width(max(offsets)) != width or base + max(offsets) > I64_MAX:
        raise EncodingError("a column's base is its minimum and its width the narrowest")
    return [base + offset for offset in offsets]


def check_column(data: bytes, count: int) -> int:
    """Return the width of a column of ``count`` values after checking its length; EncodingError names the fault."""
    if count < 1 or len(data) < HEAD_BYTES:
        raise EncodingError("a column holds a base, a width and at least one value")
    width = data[8]
    if width not in _FORMAT or len(data) != HEAD_BYTES + count * width:
        raise EncodingError(f"a column of {count} values with width {width} has another length")
    return width
