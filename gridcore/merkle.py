"""Merkle trees of RFC 9162 (section 2.1) over SM3: leaf prefix 0x00, node prefix 0x01, the odd last node promoted.

Splitting at the largest power of two, as the RFC writes it, gives the same tree as pairing neighbours level by level and
handing an odd last node up unchanged; the latter needs no recursion and is what stands here. Nothing is ever duplicated,
so two different leaf lists never share a root.

Salted rows: where rows may be shown one by one, leaf = SM3(0x00 || salt || row) with 16-byte salts from a seed, so that the
siblings in a path say nothing about a neighbour's row.

Whole levels are hashed at once (``gridcore.sm3.ROWS``): lists of hashes are taken as they are, ``PackedRows`` without a copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from gridcore.errors import EncodingError, require
from gridcore.rows import PackedRows
from gridcore.sm3 import DIGEST_BYTES, ROWS, hasher, sm3
from gridcore.sm3.rows import LEAF_PREFIX, NODE_PREFIX, SALT_BYTES

EMPTY_ROOT: Final = sm3(b"")
"""Root of the tree without leaves: SM3 of the empty string."""

ROW_BYTES_MAX: Final = 38
"""A row this long fills one SM3 block with prefix, salt and padding; row codecs stay at or below it (a longer one costs twice)."""

PATH_ITEMS_MAX: Final = 64
"""Siblings in a path: enough for 2^64 leaves."""

_LEAF_HASHER = hasher(LEAF_PREFIX)
_NODE_HASHER = hasher(NODE_PREFIX)


def leaf_hash(leaf: bytes) -> bytes:
    """SM3(0x00 || leaf)."""
    running = _LEAF_HASHER.copy()
    running.update(leaf)
    return running.digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SM3(0x01 || left || right), for two 32-byte digests."""
    running = _NODE_HASHER.copy()
    running.update(left + right)
    return running.digest()


def _packed(hashes: Sequence[bytes]) -> bytes:
    """32-byte digests back to back."""
    return PackedRows.of(hashes, DIGEST_BYTES).data


def root_of_hashes(hashes: Sequence[bytes]) -> bytes:
    """Root over leaf hashes (32 bytes each), in order."""
    return ROWS.root(_packed(hashes)) if hashes else EMPTY_ROOT


def leaf_hashes(leaves: Sequence[bytes]) -> PackedRows:
    """``leaf_hash`` of each of many leaves, of any lengths."""
    return PackedRows(ROWS.messages(LEAF_PREFIX, leaves), DIGEST_BYTES)


def root(leaves: Iterable[bytes]) -> bytes:
    """Root over raw leaves, in order."""
    return root_of_hashes(leaf_hashes(list(leaves)))


# ---------------------------------------------------------------------------------------------------------- inclusion


def inclusion_path(hashes: Sequence[bytes], index: int) -> list[bytes]:
    """Siblings from leaf ``index`` up to the root (RFC 9162 section 2.1.3.1). Many paths of one tree: use ``Tree``."""
    return [item[1:] for item in sided_path(hashes, index)]


def sided_path(hashes: Sequence[bytes], index: int) -> list[bytes]:
    """The same path in 33-byte items: side of the sibling (0x00 left, 0x01 right), then its digest. Needs no size to check."""
    _check_index(index, len(hashes))
    path: list[bytes] = []
    level = _packed(hashes)
    while len(level) > DIGEST_BYTES:
        _append_sibling(path, level, index)
        level = ROWS.level(level)
        index >>= 1
    return path


def _check_index(index: int, size: int) -> None:
    require(0 <= index < size, f"leaf index {index} lies inside a tree of {size}")


def _append_sibling(path: list[bytes], level: bytes | bytearray, index: int) -> None:
    sibling = index ^ 1
    digest = level[DIGEST_BYTES * sibling : DIGEST_BYTES * (sibling + 1)]
    if digest:
        path.append((b"\x01" if sibling > index else b"\x00") + digest)


def fold(leaf_hash: bytes, sided: Sequence[bytes]) -> bytes:
    """The root that ``leaf_hash`` and a sided path lead to. EncodingError on an item that is not side byte and digest."""
    if len(leaf_hash) != DIGEST_BYTES:
        raise EncodingError(f"leaf hash of {len(leaf_hash)} bytes, expected {DIGEST_BYTES}")
    if len(sided) > PATH_ITEMS_MAX:
        raise EncodingError(f"path of {len(sided)} items, at most {PATH_ITEMS_MAX}")
    current = leaf_hash
    for position, item in enumerate(sided):
        if len(item) != 1 + DIGEST_BYTES or item[0] > 1:
            raise EncodingError(f"path item {position}: expected 33 bytes that start with 00 or 01")
        current = node_hash(current, item[1:]) if item[0] else node_hash(item[1:], current)
    return current


def is_included(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether ``path`` proves that the raw ``leaf`` stands at ``index`` of a tree of ``size`` with this ``root``.

    RFC 9162 section 2.1.3.2. Malformed input is False, never an exception.
    """
    if not 0 <= index < size or len(root) != DIGEST_BYTES or any(len(item) != DIGEST_BYTES for item in path):
        return False
    position, last = index, size - 1
    current = leaf_hash(leaf)
    for sibling in path:
        if last == 0:
            return False
        if position & 1 or position == last:
            current = node_hash(sibling, current)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            current = node_hash(current, sibling)
        position >>= 1
        last >>= 1
    return last == 0 and current == root


# -------------------------------------------------------------------------------------------------------- consistency


def is_consistent(size_old: int, root_old: bytes, size_new: int, root_new: bytes, path: Sequence[bytes]) -> bool:
    """Whether ``path`` proves that the tree of ``size_new`` only appended to the one of ``size_old``.

    RFC 9162 section 2.1.4.2. Equal sizes and an empty old tree take an empty path. Malformed input is False.
    """
    if not 0 <= size_old <= size_new or any(len(item) != DIGEST_BYTES for item in (root_old, root_new, *path)):
        return False
    if size_old == size_new:
        return not path and root_old == root_new and (size_new > 0 or root_new == EMPTY_ROOT)
    if size_old == 0:
        return not path and root_old == EMPTY_ROOT
    if not path:
        return False
    items = list(path)
    if size_old & (size_old - 1) == 0:
        items.insert(0, root_old)
    position, last = size_old - 1, size_new - 1
    while position & 1:
        position >>= 1
        last >>= 1
    old = new = items[0]
    for sibling in items[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            new = node_hash(new, sibling)
        position >>= 1
        last >>= 1
    return last == 0 and old == root_old and new == root_new


# --------------------------------------------------------------------------------------------------------------- tree


class Tree:
    """A tree kept in memory, 64 bytes a leaf. Changes are noted; ``root`` and the paths rehash each touched node once, a level at a time."""

    __slots__ = ("_levels", "_touched")

    def __init__(self, hashes: Iterable[bytes] = ()) -> None:
        packed = hashes if isinstance(hashes, PackedRows) else list(hashes)
        self._levels: list[bytearray] = [bytearray(_packed(packed))]
        self._touched: set[int] | None = None  # None: everything, as after construction

    def __len__(self) -> int:
        """Number of leaves."""
        return len(self._levels[0]) // DIGEST_BYTES

    def append(self, leaf_hash: bytes) -> int:
        """Add a leaf hash (32 bytes); returns its index."""
        require(len(leaf_hash) == DIGEST_BYTES, "a leaf hash has 32 bytes")
        index = len(self)
        self._levels[0] += leaf_hash
        if self._touched is not None:
            self._touched.add(index)
        return index

    def update(self, index: int, leaf_hash: bytes) -> None:
        """Replace the leaf hash at ``index``."""
        _check_index(index, len(self))
        require(len(leaf_hash) == DIGEST_BYTES, "a leaf hash has 32 bytes")
        self._levels[0][DIGEST_BYTES * index : DIGEST_BYTES * (index + 1)] = leaf_hash
        if self._touched is not None:
            self._touched.add(index)

    def leaf(self, index: int) -> bytes:
        """The leaf hash at ``index``."""
        _check_index(index, len(self))
        return bytes(self._levels[0][DIGEST_BYTES * index : DIGEST_BYTES * (index + 1)])

    def root(self) -> bytes:
        """Root over all leaves; costs what was touched since the last call."""
        if not self._levels[0]:
            return EMPTY_ROOT
        self._rehash()
        return bytes(self._levels[-1])

    def path(self, index: int) -> list[bytes]:
        """Inclusion path of leaf ``index``, as ``inclusion_path`` gives it."""
        return [item[1:] for item in self.sided_path(index)]

    def sided_path(self, index: int) -> list[bytes]:
        """Sided path of leaf ``index``, as the function of that name gives it."""
        _check_index(index, len(self))
        self._rehash()
        path: list[bytes] = []
        for level in self._levels:
            _append_sibling(path, level, index)
            index >>= 1
        return path

    def _rehash(self) -> None:
        leaves = self._levels[0]
        # With a quarter touched, most parents change anyway and whole levels are the cheaper way.
        if self._touched is None or 4 * len(self._touched) >= len(self):
            if self._touched is None or self._touched:
                self._levels = [leaves]
                while len(self._levels[-1]) > DIGEST_BYTES:
                    self._levels.append(bytearray(ROWS.level(bytes(self._levels[-1]))))
        else:
            self._rehash_touched(self._touched)
        self._touched = set()

    def _rehash_touched(self, touched: set[int]) -> None:
        height = 0
        while len(self._levels[height]) > DIGEST_BYTES:
            level = self._levels[height]
            height += 1
            if height == len(self._levels):
                self._levels.append(bytearray())
            above = self._levels[height]
            # A leaf appended to an even-sized level also changes nothing left of it: parents of touched nodes suffice.
            touched = {index >> 1 for index in touched}
            above.extend(bytes((len(level) // DIGEST_BYTES + 1) // 2 * DIGEST_BYTES - len(above)))
            _rehash_parents(level, above, sorted(touched))


def _rehash_parents(level: bytearray, above: bytearray, parents: list[int]) -> None:
    """Hash the nodes ``parents`` of ``above`` again from their children in ``level``; ascending."""
    pair_bytes = 2 * DIGEST_BYTES
    pairs = b"".join([level[pair_bytes * index : pair_bytes * (index + 1)] for index in parents])
    digests = ROWS.level(pairs)  # the last pair may be one odd digest: it is handed up, as in a whole level
    for position, index in enumerate(parents):
        above[DIGEST_BYTES * index : DIGEST_BYTES * (index + 1)] = digests[
            DIGEST_BYTES * position : DIGEST_BYTES * (position + 1)
        ]


# -------------------------------------------------------------------------------------------------------- salted rows


def salts(seed: bytes, count: int, first: int = 0) -> PackedRows:
    """``count`` salts of 16 bytes from number ``first`` on: the GB/T 32918.4 key-derivation stream SM3(seed || counter), two per digest.

    The counter is 32 bits big-endian and starts at 1.
    """
    require(0 <= first <= first + count <= 0x1_FFFF_FFFE, "a seed gives 0 to 2^33 - 2 salts")
    counters = range(first // 2 + 1, (first + count + 1) // 2 + 1)
    if first:
        stream = ROWS.messages(seed, [counter.to_bytes(4, "big") for counter in counters])
    else:
        stream = ROWS.stream(seed, len(counters))
    start = first % 2 * SALT_BYTES
    return PackedRows(stream[start : start + SALT_BYTES * count], SALT_BYTES)


def salt_at(seed: bytes, index: int) -> bytes:
    """Salt ``index`` (from 0) of a seed: that of ``salts``, without the others."""
    start = index % 2 * SALT_BYTES
    return sm3(seed + (index // 2 + 1).to_bytes(4, "big"))[start : start + SALT_BYTES]


def salted_leaf_hash(salt: bytes, row: bytes) -> bytes:
    """SM3(0x00 || salt || row) for a 16-byte salt."""
    if len(salt) != SALT_BYTES:
        raise EncodingError(f"salt of {len(salt)} bytes, expected {SALT_BYTES}")
    return leaf_hash(salt + row)


def salted_leaf_hashes(seed: bytes, rows: Sequence[bytes]) -> PackedRows:
    """Leaf hashes of all ``rows`` (of one length), salted in order from ``seed``: ``salted_leaf_hash`` with ``salts``."""
    packed = PackedRows.of(rows)
    salted = salts(seed, len(packed))
    return PackedRows(ROWS.rows(LEAF_PREFIX, salted.data, SALT_BYTES, packed.data, packed.row_bytes), DIGEST_BYTES)


def salted_root(seed: bytes, rows: Sequence[bytes]) -> bytes:
    """Root over ``salted_leaf_hashes``."""
    packed = PackedRows.of(rows)
    return ROWS.salted_root(seed, packed.data, packed.row_bytes) if packed else EMPTY_ROOT
