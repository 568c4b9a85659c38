"""Hash trees (RFC 9162 section 2.1 over SM3)."""

from __future__ import annotations

from collections.abc import Sequence

from gridevidence.verifier.answers import hold
from gridevidence.verifier.sm3 import sm3


def root_of_path(leaf: bytes, path: Sequence[bytes]) -> bytes:
    """The root that ``leaf`` and its path lead to: each item is the sibling's side (00 left, 01 right) and its digest."""
    current = sm3(b"\x00" + leaf)
    for item in path:
        hold(item[0] <= 1, "a path item that is neither left nor right")
        current = sm3(b"\x01" + (current + item[1:] if item[0] else item[1:] + current))
    return current


def root_of_leaves(leaves: Sequence[bytes]) -> bytes:
    """Root of a whole tree; an odd last node is handed up unchanged."""
    level = [sm3(b"\x00" + leaf) for leaf in leaves]
    while len(level) > 1:
        level = [sm3(b"\x01" + level[i] + level[i + 1]) for i in range(0, len(level) - 1, 2)] + level[len(level) & ~1 :]
    return level[0] if level else sm3(b"")
