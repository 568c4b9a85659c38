"""Hash trees (RFC 9162 section 2.1 over SM3)."""

from __future__ import annotations

from collections.abc import Sequence

from gridevidence.verifier.sm3 import sm3


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of a leaf; that of a salted row: of salt || row."""
    return sm3(b"\x00" + leaf)


def root_of_path(leaf: bytes, path: Sequence[bytes]) -> bytes:
    """The root that ``leaf`` and its path lead to."""
    return fold_path(leaf_hash(leaf), path)


def fold_path(current: bytes, path: Sequence[bytes]) -> bytes:
    """The root above a hash: each item of a path is the sibling's side (00 left, 01 right) and its digest."""
    for item in path:
        current = sm3(b"\x01" + (current + item[1:] if item[0] else item[1:] + current))
    return current


def root_of_leaves(leaves: Sequence[bytes]) -> bytes:
    """Root of a whole tree; an odd last node is handed up unchanged."""
    level = [leaf_hash(leaf) for leaf in leaves]
    while len(level) > 1:
        level = [sm3(b"\x01" + level[i] + level[i + 1]) for i in range(0, len(level) - 1, 2)] + level[len(level) & ~1 :]
    return level[0] if level else sm3(b"")
