"""Canonical CBOR, and the types of what it holds: docs/spec/encoding.md."""

from typing import TypeAlias

Item: TypeAlias = "int | bytes | str | list[Item] | dict[str, Item]"  # a bool is an int to Python; as_int refuses it

MAX_DEPTH = 8
TIME_MAX_S = 253_402_300_799
I64_MIN, I64_MAX = -(2**63), 2**63 - 1
U32_MAX = 2**32 - 1
_NAME_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
_UINT, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _SIMPLE = 0, 1, 2, 3, 4, 5, 7


class MalformedError(ValueError):
    """Bytes or an item that do not have the form of the specification."""


class _Reader:
    def __init__(self, data: bytes, longest_array: int, booleans: bool) -> None:
        self.data = data
        self.at = 0
        self.longest_array = longest_array
        self.booleans = booleans

    def take(self, size: int) -> bytes:
        if self.at + size > len(self.data):
            raise MalformedError("bytes end too early")
        self.at += size
        return self.data[self.at - size : self.at]

    def head(self) -> tuple[int, int]:
        first = self.take(1)[0]
        major, low = first >> 5, first & 31
        if major == _SIMPLE:
            if low not in (20, 21) or not self.booleans:
                raise MalformedError("a simple value that may not stand here")
            return major, low
        if low < 24:
            return major, low
        if low > 27:
            raise MalformedError("an indefinite or reserved length")
        size = 1 << (low - 24)
        value = int.from_bytes(self.take(size), "big")
        if value < (24 if size == 1 else 1 << (4 * size)):
            raise MalformedError("a number that is not in its shortest form")
        return major, value

    def item(self, depth: int) -> Item:
        major, value = self.head()
        if major == _UINT:
            return value
        if major == _NEGATIVE:
            return -1 - value
        if major == _BYTES:
            return self.take(value)
        if major == _TEXT:
            return self.text(value)
        if major == _SIMPLE:
            return value == 21
        if major not in (_ARRAY, _MAP):
            raise MalformedError("a tag")
        if depth == MAX_DEPTH:
            raise MalformedError("arrays and maps too deep")
        if major == _MAP:
            return self.map(value, depth + 1)
        if value > self.longest_array:
            raise MalformedError("an array of too many items")
        return [self.item(depth + 1) for _ in range(value)]

    def text(self, size: int) -> str:
        try:
            return self.take(size).decode()
        except UnicodeDecodeError:
            raise MalformedError("a text that is not UTF-8") from None

    def map(self, size: int, depth: int) -> Item:
        pairs: dict[str, Item] = {}
        before = b""
        for _ in range(size):
            start = self.at
            major, length = self.head()
            if major != _TEXT:
                raise MalformedError("a key that is not a text")
            key = self.text(length)
            encoded = self.data[start : self.at]
            if encoded <= before:
                raise MalformedError("keys out of order")
            before = encoded
            pairs[key] = self.item(depth)
        return pairs


def decode(data: bytes, *, longest_array: int = 256, booleans: bool = False) -> Item:
    """The one item that `data` holds; MalformedError for any other bytes."""
    reader = _Reader(data, longest_array, booleans)
    item = reader.item(0)
    if reader.at != len(data):
        raise MalformedError("bytes behind the item")
    return item


def _head(major: int, value: int) -> bytes:
    if value < 24:
        return bytes([major << 5 | value])
    for low, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if value < 1 << (8 * size):
            return bytes([major << 5 | low]) + value.to_bytes(size, "big")
    raise MalformedError("an integer beyond 64 bits")


def encode(item: Item) -> bytes:
    """Canonical bytes of an item."""
    if isinstance(item, bool):
        return b"\xf5" if item else b"\xf4"
    if isinstance(item, int):
        return _head(_UINT, item) if item >= 0 else _head(_NEGATIVE, -1 - item)
    if isinstance(item, bytes):
        return _head(_BYTES, len(item)) + item
    if isinstance(item, str):
        return _head(_TEXT, len(item.encode())) + item.encode()
    if isinstance(item, list):
        return _head(_ARRAY, len(item)) + b"".join(encode(part) for part in item)
    pairs = sorted((encode(key), encode(value)) for key, value in item.items())
    return _head(_MAP, len(item)) + b"".join(key + value for key, value in pairs)


def as_int(item: Item, low: int = I64_MIN, high: int = I64_MAX) -> int:
    if isinstance(item, bool) or not isinstance(item, int) or not low <= item <= high:
        raise MalformedError(f"not an integer from {low} to {high}")
    return item


def as_natural(item: Item) -> int:
    return as_int(item, 0)


def as_time(item: Item) -> int:
    return as_int(item, 0, TIME_MAX_S)


def as_u32(item: Item) -> int:
    return as_int(item, 0, U32_MAX)


def as_bool(item: Item) -> bool:
    if not isinstance(item, bool):
        raise MalformedError("not a boolean")
    return item


def as_bytes(item: Item, size: int | None = None) -> bytes:
    if not isinstance(item, bytes) or (size is not None and len(item) != size):
        raise MalformedError(f"not a byte string of {size} bytes")
    return item


def as_digest(item: Item) -> bytes:
    return as_bytes(item, 32)


def as_text(item: Item, least: int = 1, most: int = 64) -> str:
    if not isinstance(item, str) or not least <= len(item) <= most:
        raise MalformedError(f"not a text of {least} to {most} characters")
    return item


def as_name(item: Item) -> str:
    name = as_text(item)
    if not set(name) <= _NAME_LETTERS:
        raise MalformedError("not a name")
    return name


def as_word(item: Item, words: str) -> str:
    """One of the words of a blank-separated list."""
    if not isinstance(item, str) or item not in words.split():
        raise MalformedError(f"not one of: {words}")
    return item


def as_array(item: Item, least: int = 0, most: int = 256) -> list[Item]:
    if not isinstance(item, list) or not least <= len(item) <= most:
        raise MalformedError(f"not an array of {least} to {most} items")
    return item


def as_map(item: Item, keys: str, optional: str = "") -> dict[str, Item]:
    """A map with exactly the blank-separated keys, and any of the optional ones."""
    if not isinstance(item, dict):
        raise MalformedError("not a map")
    wanted = set(keys.split())
    if not wanted <= set(item) <= wanted | set(optional.split()):
        raise MalformedError(f"a map with other keys than: {keys} {optional}")
    return item
