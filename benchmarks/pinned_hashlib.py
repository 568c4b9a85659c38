"""A salted root by hashlib, one Python call for each hash: the hashing of a bound, pinned here so that it does not move with our own.

What ``gridcore.merkle`` did before there was a row kernel, with hashlib's SM3 alone; no implementation of ours is asked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any


def salted_root(seed: bytes, rows: Sequence[bytes]) -> bytes:
    """RFC 9162 root over leaves SM3(0x00 || salt || row), two 16-byte salts from each SM3(seed || counter)."""
    copy = _LEAF.copy
    level: list[bytes] = []
    for salt, row in zip(_salts(seed, len(rows)), rows, strict=True):
        running = copy()
        running.update(salt + row)
        level.append(running.digest())
    while len(level) > 1:
        level = _parents(level)
    return level[0]


def _salts(seed: bytes, count: int) -> list[bytes]:
    copy = _prefixed(seed).copy
    salts: list[bytes] = []
    for counter in range(1, (count + 1) // 2 + 1):
        running = copy()
        running.update(counter.to_bytes(4, "big"))
        digest = running.digest()
        salts.append(digest[:16])
        salts.append(digest[16:])
    return salts[:count]


def _parents(level: list[bytes]) -> list[bytes]:
    copy = _NODE.copy
    parents: list[bytes] = []
    for left, right in zip(level[::2], level[1::2], strict=False):
        running = copy()
        running.update(left + right)
        parents.append(running.digest())
    if len(level) & 1:
        parents.append(level[-1])
    return parents


def _prefixed(prefix: bytes) -> Any:
    return hashlib.new("sm3", prefix)  # noqa: TID251 - pinned: the point is not to go through gridcore.sm3


_LEAF, _NODE = _prefixed(b"\x00"), _prefixed(b"\x01")
