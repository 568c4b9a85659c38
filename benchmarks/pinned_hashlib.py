"""A salted root by hashlib, one Python call for each hash: the hashing of a bound, pinned here so that it does not move with our own.

What ``gridcore.merkle`` did before there was a row kernel, with hashlib's SM3 alone; no implementation of ours is asked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, cast


def salted_root(seed: bytes, rows: Sequence[bytes]) -> bytes:
    """RFC 9162 root over leaves SM3(0x00 || salt || row), two 16-byte salts from each SM3(seed || counter)."""
    level = [_taken(_LEAF, salt + row) for salt, row in zip(_salts(seed, len(rows)), rows, strict=True)]
    while len(level) > 1:
        above = [_taken(_NODE, left + right) for left, right in zip(level[::2], level[1::2], strict=False)]
        level = above + level[len(above) * 2 :]
    return level[0]


def _salts(seed: bytes, count: int) -> list[bytes]:
    start = _prefixed(seed)
    digests = [_taken(start, counter.to_bytes(4, "big")) for counter in range(1, (count + 1) // 2 + 1)]
    return [half for digest in digests for half in (digest[:16], digest[16:])][:count]


def _prefixed(prefix: bytes) -> Any:
    return hashlib.new("sm3", prefix)  # noqa: TID251 - pinned: the point is not to go through gridcore.sm3


def _taken(start: Any, data: bytes) -> bytes:
    running = start.copy()
    running.update(data)
    return cast("bytes", running.digest())


_LEAF, _NODE = _prefixed(b"\x00"), _prefixed(b"\x01")
