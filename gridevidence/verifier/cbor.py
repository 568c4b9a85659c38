"""Canonical CBOR (RFC 8949 section 4.2.1), as far as bundles hold it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gridevidence.layout import DEPTH_MAX
from gridevidence.verifier.answers import NOT_VERIFIED, Halt, hold, same
from gridevidence.verifier.shapes import conform


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


def decode(data: bytes, what: str, shape: Any = None) -> Any:
    """The one canonical item in ``data``, of any or this shape; halts, naming ``what`` and the offset, where it is not."""
    hold(bool(data), f"{what} is empty")
    try:
        value, end = _item(data, 0, 0)
        same("the length of its one item", end, len(data))
    except (Halt, UnicodeDecodeError) as why:
        reason = why.args[1] if isinstance(why, Halt) else "a text that is not UTF-8"
        raise Halt(NOT_VERIFIED, f"{what} cannot be parsed: {reason}") from None
    conform(value, shape or type(value), what)
    return value


def _item(data: bytes, start: int, depth: int) -> tuple[Any, int]:
    hold(depth <= DEPTH_MAX and start < len(data), f"cut short, or nested too deep, at offset {start}")
    hold(data[start] < 0xC0 and data[start] & 31 <= 27, f"of a type that no bundle holds, at offset {start}")
    major, argument, offset = data[start] >> 5, data[start] & 31, start + 1
    if argument >= 24:
        width = 1 << (argument - 24)
        argument, offset = int.from_bytes(data[offset : offset + width], "big"), offset + width
        hold(argument >= (24 if width == 1 else 1 << (4 * width)), "cut short, or not the shortest form")
    if major < 2:
        return (argument if major == 0 else -1 - argument), offset
    hold(argument <= len(data) - offset, f"a length past the end, at offset {start}")
    if major < 4:
        end = offset + argument
        return (data[offset:end] if major == 2 else data[offset:end].decode()), end
    items: list[Any] = []
    entries: dict[str, Any] = {}
    last = b""
    for _ in range(argument):
        item, end = _item(data, offset, depth + 1)
        if major == 4:
            items.append(item)
        else:
            hold(isinstance(item, str), "a map key that is no text")
            hold(data[offset:end] > last, "a map key twice or out of order")
            last = data[offset:end]
            entries[item], end = _item(data, end, depth + 1)
        offset = end
    return (items if major == 4 else entries), offset
