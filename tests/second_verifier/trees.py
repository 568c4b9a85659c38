"""SM3 trees, paths and salted rows: docs/spec/encoding.md."""

from collections.abc import Sequence
from typing import TypeAlias

from tests.second_verifier.encoding import Item, MalformedError, as_array, as_bytes
from tests.second_verifier.sm import sm3

Path: TypeAlias = tuple[bytes, ...]
LEFT, RIGHT = 0, 1
NO_LEAVES = sm3(b"")


def leaf_hash(leaf: bytes) -> bytes:
    return sm3(b"\x00" + leaf)


def node_hash(left: bytes, right: bytes) -> bytes:
    return sm3(b"\x01" + left + right)


def salted_hash(salt: bytes, row: bytes) -> bytes:
    return leaf_hash(salt + row)


def as_path(item: Item) -> Path:
    path = tuple(as_bytes(step, 33) for step in as_array(item, 0, 64))
    if any(step[0] not in (LEFT, RIGHT) for step in path):
        raise MalformedError("a path step with an unknown side")
    return path


def fold(digest: bytes, path: Path) -> bytes:
    """The root to which a path leads from a leaf's hash."""
    for step in path:
        side, sibling = step[0], step[1:]
        digest = node_hash(sibling, digest) if side == LEFT else node_hash(digest, sibling)
    return digest


def levels(hashes: Sequence[bytes]) -> list[list[bytes]]:
    """All levels of the tree, leaves first: pairs are joined, an odd last node moves up unchanged (RFC 9162's shape)."""
    rows = [list(hashes)]
    while len(rows[-1]) > 1:
        low = rows[-1]
        pairs = [node_hash(low[i], low[i + 1]) for i in range(0, len(low) - 1, 2)]
        rows.append(pairs + low[len(low) - len(low) % 2 :])
    return rows


def root(hashes: Sequence[bytes]) -> bytes:
    return levels(hashes)[-1][0] if hashes else NO_LEAVES


def path(hashes: Sequence[bytes], index: int) -> Path:
    steps = []
    for level in levels(hashes)[:-1]:
        sibling = index ^ 1
        if sibling < len(level):
            steps.append(bytes([LEFT if sibling < index else RIGHT]) + level[sibling])
        index //= 2
    return tuple(steps)


def salts(seed: bytes, count: int) -> list[bytes]:
    """The 16-byte salts of rows 0 ... count - 1."""
    stream = b"".join(sm3(seed + (i + 1).to_bytes(4, "big")) for i in range((count + 1) // 2))
    return [stream[16 * i : 16 * i + 16] for i in range(count)]


def salted_hashes(seed: bytes, rows: Sequence[bytes]) -> list[bytes]:
    return [salted_hash(salt, row) for salt, row in zip(salts(seed, len(rows)), rows, strict=True)]
