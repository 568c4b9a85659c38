"""Columns of batches, canonical or not."""

from __future__ import annotations

import struct


def encode_column(values: list[int], width: int = 0, base: int | None = None) -> bytes:
    """A column; another ``width`` or ``base`` than the canonical one on request."""
    base = min(values) if base is None else base
    top = max(values) - base
    width = width or next(w for w in (1, 2, 4, 8) if top < 1 << (8 * w))
    mask = (1 << (8 * width)) - 1
    return struct.pack("<qB", base, width) + b"".join(((v - base) & mask).to_bytes(width, "little") for v in values)
