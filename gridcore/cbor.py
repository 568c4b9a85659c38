"""Deterministic CBOR: the one module that makes the bytes that are signed or hashed (RFC 8949 section 4.2.1).

Only what the ledger needs: integers -2^64..2^64-1, byte strings, text strings, booleans, arrays, and maps whose keys are
text, ordered by the bytes of their encoding. No floats, no tags, no null, no indefinite lengths. One value has exactly one
encoding, so anything received must equal its own re-encoding; ``decode`` checks that while it reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, TypeAlias

from gridcore.errors import EncodingError, excerpt

Value: TypeAlias = bool | int | bytes | str | Sequence["Value"] | Mapping[str, "Value"]
"""What has a canonical encoding. Arrays come back as ``list``, maps as ``dict`` in canonical key order."""

DEPTH_MAX: Final = 16
"""Arrays and maps nested inside one another, for ``encode`` and ``decode``; a lone scalar has depth 0."""

ITEMS_MAX: Final = 1 << 20
"""Values and map keys, containers among them, in what ``decode`` reads, unless its caller names another bound."""

INT_MIN: Final = -(1 << 64)
INT_MAX: Final = (1 << 64) - 1

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_DIGEST_BYTES: Final = 32
_FALSE, _TRUE, _NULL = 0xF4, 0xF5, 0xF6
_SIMPLE_NAMES = {0xF7: "undefined", 0xF9: "a half float", 0xFA: "a single float", 0xFB: "a double float"}


def encode(value: Value) -> bytes:
    """The canonical bytes of ``value``. EncodingError for a type, an integer or a depth that has none."""
    out: list[bytes] = []
    _encode(value, out, 0)
    return b"".join(out)


def encode_digests(packed: bytes) -> bytes:
    """``encode`` of a list of 32-byte strings, which ``packed`` holds one behind the other: many at once."""
    head = _head(_BYTES, _DIGEST_BYTES)
    items = [head + packed[start : start + _DIGEST_BYTES] for start in range(0, len(packed), _DIGEST_BYTES)]
    return _head(_ARRAY, len(items)) + b"".join(items)


def decode(data: bytes, *, items_max: int = ITEMS_MAX) -> Any:
    """The one value in ``data``. EncodingError, naming offset and reason, unless ``data`` is exactly its canonical form.

    items_max: most items in it, each container, scalar and map key counting as one. An array or map that announces more is
    refused at its head, so that foreign bytes cost no more than those items.
    """
    return _decode(data, DEPTH_MAX, items_max, null_allowed=False)


def is_canonical(data: bytes) -> bool:
    """Whether ``data`` is one item in core deterministic form, at any depth.

    Null counts as canonical here (the conformance kit's ``cbor_canonical/1``); the ledger's own ``decode`` refuses it.
    """
    try:
        _decode(data, len(data), len(data), null_allowed=True)
    except EncodingError:
        return False
    return True


# ---------------------------------------------------------------------------------------------------------- encoding


def _head(major: int, argument: int) -> bytes:
    """Major type and argument in the shortest form."""
    top = major << 5
    if argument < 24:
        return _SHORT_HEADS[top | argument]
    if argument < 0x100:
        return bytes((top | 24, argument))
    if argument < 0x1_0000:
        return bytes((top | 25,)) + argument.to_bytes(2, "big")
    if argument < 0x1_0000_0000:
        return bytes((top | 26,)) + argument.to_bytes(4, "big")
    return bytes((top | 27,)) + argument.to_bytes(8, "big")


_SHORT_HEADS: Final = tuple(bytes((head,)) for head in range(256))


def _encode_text(text: str) -> bytes:
    try:
        raw = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise EncodingError(f"text {excerpt(text)} holds a lone surrogate and has no UTF-8 form") from error
    return _head(_TEXT, len(raw)) + raw


def _encode(value: Any, out: list[bytes], depth: int) -> None:
    kind = type(value)
    if kind is bytes:
        out.append(_head(_BYTES, len(value)))
        out.append(value)
    elif kind is int:
        if not INT_MIN <= value <= INT_MAX:
            raise EncodingError(f"an integer of {value.bit_length()} bits lies outside -2^64..2^64-1")
        out.append(_head(_UNSIGNED, value) if value >= 0 else _head(_NEGATIVE, -1 - value))
    elif kind is str:
        out.append(_encode_text(value))
    elif kind is dict:
        _check_depth(depth)
        out.append(_head(_MAP, len(value)))
        for encoded, key in _in_order(tuple(value)):
            out.append(encoded)
            _encode(value[key], out, depth + 1)
    elif kind is list or kind is tuple:
        _check_depth(depth)
        out.append(_head(_ARRAY, len(value)))
        for item in value:
            _encode(item, out, depth + 1)
    elif kind is bool:
        out.append(b"\xf5" if value else b"\xf4")
    else:
        _encode(_plain(value), out, depth)


def _plain(value: Any) -> Any:
    """A value of a derived type (an enumeration's member, a named tuple) as the type it derives from."""
    if isinstance(value, int):
        return int(value)
    if isinstance(value, bytes):
        return bytes(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise EncodingError(f"{type(value).__name__} has no canonical form: int, bytes, str, bool, list, tuple or dict")


@lru_cache(maxsize=1024)
def _in_order(keys: tuple[Any, ...]) -> list[tuple[bytes, str]]:
    """(encoded key, key) in canonical order. Most maps have the keys of one of a few record types."""
    for key in keys:
        if not isinstance(key, str):
            raise EncodingError(f"a map key is {type(key).__name__}, not str")
    return sorted((_encode_text(key), key) for key in keys)


def _check_depth(depth: int) -> None:
    if depth >= DEPTH_MAX:
        raise EncodingError(f"nested deeper than {DEPTH_MAX} arrays and maps")


# ---------------------------------------------------------------------------------------------------------- decoding


def _refused(offset: int, reason: str) -> EncodingError:
    return EncodingError(f"not canonical CBOR at offset {offset}: {reason}")


def _decode(data: bytes, depth_max: int, items_max: int, *, null_allowed: bool) -> Any:
    """Iterative, so that no input reaches the interpreter's recursion limit."""
    root: list[Any] = []
    around: list[tuple[Any, bool, int, bytes]] = []
    # The array or map whose items are being read (at first an array around all), how many are missing, the key read last.
    container: Any = root
    is_map, missing, key_bytes = False, 1, b""
    key, offset = "", 0
    items_left = items_max - 1  # items that no head has announced yet
    while missing:
        if is_map:
            key, key_bytes, offset = _read_key(data, offset, key_bytes)
        start = offset
        value, offset, count = _read_item(data, start, null_allowed)
        if is_map:
            container[key] = value
        else:
            container.append(value)
        missing -= 1
        if count >= 0:
            if len(around) >= depth_max:
                raise _refused(start, f"nested deeper than {depth_max} arrays and maps")
            opens_map = type(value) is dict
            items_left -= 2 * count if opens_map else count
            if items_left < 0:
                raise _refused(start, f"more than {items_max} items")
            around.append((container, is_map, missing, key_bytes))
            container, is_map, missing, key_bytes = value, opens_map, count, b""
        while not missing and around:
            container, is_map, missing, key_bytes = around.pop()
    if offset != len(data):
        raise _refused(offset, f"{len(data) - offset} bytes after the item")
    return root[0]


def _read_key(data: bytes, start: int, before: bytes) -> tuple[str, bytes, int]:
    """A key that follows the encoded key ``before`` in a map: itself, encoded, and the offset behind it."""
    key, end, _ = _read_item(data, start, null_allowed=True)
    if type(key) is not str:
        raise _refused(start, "a map key that is not a text string")
    encoded = data[start:end]
    if encoded <= before:
        reason = "duplicate" if encoded == before else "out of order (by the bytes of its encoding)"
        raise _refused(start, f"map key {excerpt(key)} is {reason}")
    return key, encoded, end


def _read_item(data: bytes, start: int, null_allowed: bool) -> tuple[Any, int, int]:
    """One head, with the content of a string: (value, next offset, entries of the array or map that it opens, else -1)."""
    if start >= len(data):
        raise _refused(start, "the item is cut short")
    initial = data[start]
    major, argument, offset = initial >> 5, initial & 0x1F, start + 1
    if argument >= 24 and major != _SIMPLE:
        argument, offset = _read_argument(data, start, argument)
    if major == _UNSIGNED:
        return argument, offset, -1
    # Each array item takes at least one byte, each map entry two: a declared length that cannot fit is refused unread.
    end = offset + (2 * argument if major == _MAP else argument)
    if end > len(data) and _BYTES <= major <= _MAP:
        raise _refused(start, f"length {argument} runs past the end")
    if major == _TEXT:
        try:
            return data[offset:end].decode(), end, -1
        except UnicodeDecodeError as error:
            raise _refused(offset + error.start, "text that is not UTF-8") from error
    if major == _BYTES:
        return data[offset:end], end, -1
    if major == _ARRAY:
        return [], offset, argument
    if major == _MAP:
        return {}, offset, argument
    if major == _NEGATIVE:
        return -1 - argument, offset, -1
    if major == _TAG:
        raise _refused(start, f"tag {argument}; tags are not allowed")
    return _read_simple(initial, start, null_allowed), offset, -1


def _read_simple(initial: int, start: int, null_allowed: bool) -> bool | None:
    if initial == _TRUE:
        return True
    if initial == _FALSE:
        return False
    if initial == _NULL:
        if null_allowed:
            return None
        raise _refused(start, "null; a value that is absent is left out")
    raise _refused(start, _SIMPLE_NAMES.get(initial, f"simple value or break 0x{initial:02x}") + " is not allowed")


def _read_argument(data: bytes, start: int, info: int) -> tuple[int, int]:
    """An argument that stands in bytes of its own, and the offset behind it."""
    if info > 27:
        raise _refused(start, "an indefinite length" if info == 31 else f"reserved additional information {info}")
    width = 1 << (info - 24)
    end = start + 1 + width
    if end > len(data):
        raise _refused(start, "the item is cut short")
    argument = int.from_bytes(data[start + 1 : end], "big")
    if argument < 24 or (width > 1 and argument < 1 << (4 * width)):
        raise _refused(start, f"argument {argument} in {width} bytes is not the shortest form")
    return argument, end
