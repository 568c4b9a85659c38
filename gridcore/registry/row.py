"""Registry rows: from a time on, an entity is as a map says. Exactly these bytes are hashed (docs/spec/registry.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from gridcore import cbor, merkle
from gridcore.errors import EncodingError
from gridcore.forms import INSTANT
from gridcore.registry.entity import Value
from gridcore.sm3 import sm3
from gridcore.sm3.rows import SALT_BYTES

ROW_BYTES_MAX: Final = 32_768
"""A month of prices by quarter hours fits."""
ROW_ITEMS_MAX: Final = ROW_BYTES_MAX
"""CBOR items of a row: each has at least one byte."""
NOT_FOLDED: Final = bytes(32)
"""``folded`` of an entity none of whose entries has been folded yet."""


class Row(NamedTuple):
    """key: of the entity, ``<kind>/<name>``; from_s: UTC seconds from which it is as ``value`` says."""

    key: str
    from_s: int
    value: Value

    def encode(self) -> bytes:
        """Canonical bytes."""
        return cbor.encode([self.key, self.from_s, self.value])


def decode_row(data: bytes) -> Row:
    """Inverse of Row.encode. EncodingError for anything else; whether key and value are those of an entity is not looked at."""
    if len(data) > ROW_BYTES_MAX:
        raise EncodingError(f"a registry row has at most {ROW_BYTES_MAX} bytes")
    item = cbor.decode(data, items_max=ROW_ITEMS_MAX)
    if not isinstance(item, list) or len(item) != 3:
        raise EncodingError("a registry row is an array of three items: key, from_s, value")
    key, from_s, value = item
    if not isinstance(key, str) or not INSTANT.holds(from_s) or not isinstance(value, dict):
        raise EncodingError(f"a registry row is a text, {INSTANT.words} and a map")
    return Row(key, from_s, value)


def salt_rows(seed: bytes, rows: Sequence[bytes]) -> list[bytes]:
    """Each encoded row behind its salt: a leaf of the salted tree over ``rows``, whose hash is the entry's digest."""
    return [bytes(salt) + row for salt, row in zip(merkle.salts(seed, len(rows)), rows, strict=True)]


def rows_root(seed: bytes, rows: Sequence[bytes]) -> bytes:
    """Root over salted rows, which may differ in length."""
    return merkle.root_of_hashes(merkle.leaf_hashes(salt_rows(seed, rows)))


def unsalted(salted: bytes) -> bytes:
    """The encoded row of what ``salt_rows`` gives."""
    return salted[SALT_BYTES:]


def fold_entry(folded: bytes, entry: Sequence[int | bytes]) -> bytes:
    """What stands for the folded entries after one more: an entry is [from_s, recorded height, digest]."""
    return sm3(cbor.encode(["folded/1", folded, list(entry)]))
