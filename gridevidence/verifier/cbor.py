"""Canonical CBOR (RFC 8949 section 4.2.1), as far as bundles hold it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gridevidence.layout import DEPTH_MAX, LIST_ITEMS_MAX
from gridevidence.verifier.answers import NOT_VERIFIED, Halt, hold, same


def encode(value: int | bytes | str | Sequence[Any]) -> bytes:
    """Canonical bytes of what this file hashes: integers 0 to 2^64 - 1, bytes, texts and arrays of them."""
    raw = value.encode() if isinstance(value, str) else value
    major = 0 if isinstance(value, int) else 2 if isinstance(value, bytes) else 3 if isinstance(value, str) else 4
    argument = raw if isinstance(raw, int) else len(raw)
    content = b"" if isinstance(raw, int) else raw if isinstance(raw, bytes) else b"".join(encode(item) for item in raw)
    if argument < 24:
        return bytes((major << 5 | argument,)) + content
    width = next(width for width in (1, 2, 4, 8) if argument < 1 << (8 * width))
    return bytes((major << 5 | (23 + width.bit_length()),)) + argument.to_bytes(width, "big") + content


def decode(data: bytes, what: str, *, has_booleans: bool = False, items_max: int = LIST_ITEMS_MAX) -> Any:
    """The one canonical item in ``data``; halts, naming ``what`` and the offset, where it is not.

    has_booleans: leaves and registry rows may hold them, nothing else. items_max: of an array.
    """
    hold(bool(data), f"{what} is empty")
    try:
        value, end = _Reader(data, has_booleans, items_max).item(0, 1)
        same("the length of its one item", end, len(data))
    except (Halt, UnicodeDecodeError) as why:
        reason = why.args[1] if isinstance(why, Halt) else "a text that is not UTF-8"
        raise Halt(NOT_VERIFIED, f"{what} cannot be parsed: {reason}") from None
    return value


class _Reader:
    def __init__(self, data: bytes, has_booleans: bool, items_max: int) -> None:
        self.data, self.has_booleans, self.items_max = data, has_booleans, items_max

    def item(self, start: int, depth: int) -> tuple[Any, int]:
        """The item at an offset, and where it ends. ``depth``: that of an array or map that begins here."""
        hold(start < len(self.data), f"cut short, at offset {start}")
        first = self.data[start]
        if self.has_booleans and first in (0xF4, 0xF5):
            return first == 0xF5, start + 1
        hold(first < 0xC0 and first & 31 <= 27, f"of a type that does not belong here, at offset {start}")
        major, argument, offset = first >> 5, first & 31, start + 1
        if argument >= 24:
            width = 1 << (argument - 24)
            argument, offset = int.from_bytes(self.data[offset : offset + width], "big"), offset + width
            is_shortest = argument >= (24 if width == 1 else 1 << (4 * width)) and offset <= len(self.data)
            hold(is_shortest, f"cut short, or not the shortest form, at offset {start}")
        if major < 2:
            return (argument if major == 0 else -1 - argument), offset
        hold(argument <= len(self.data) - offset, f"a length past the end, at offset {start}")
        if major < 4:
            end = offset + argument
            return (self.data[offset:end] if major == 2 else self.data[offset:end].decode()), end
        hold(depth <= DEPTH_MAX, f"nested too deep, at offset {start}")
        return self._array(argument, offset, depth) if major == 4 else self._map(argument, offset, depth)

    def _array(self, count: int, offset: int, depth: int) -> tuple[list[Any], int]:
        hold(count <= self.items_max, f"an array of more than {self.items_max} items")
        items: list[Any] = []
        for _ in range(count):
            item, offset = self.item(offset, depth + 1)
            items.append(item)
        return items, offset

    def _map(self, count: int, offset: int, depth: int) -> tuple[dict[str, Any], int]:
        entries: dict[str, Any] = {}
        last = b""
        for _ in range(count):
            key, end = self.item(offset, depth + 1)
            hold(isinstance(key, str), "a map key that is no text")
            hold(self.data[offset:end] > last, "a map key twice or out of order")
            last = self.data[offset:end]
            entries[key], offset = self.item(end, depth + 1)
        return entries, offset
