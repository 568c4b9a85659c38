"""As much DER (ITU-T X.690) as keystores and certificates need: definite lengths, minimal forms, nothing tolerated."""

from __future__ import annotations

from typing import Final

from gridcore.errors import EncodingError, require

BOOLEAN: Final = 0x01
INTEGER: Final = 0x02
BIT_STRING: Final = 0x03
OCTET_STRING: Final = 0x04
NULL: Final = 0x05
OBJECT_IDENTIFIER: Final = 0x06
UTF8_STRING: Final = 0x0C
PRINTABLE_STRING: Final = 0x13
UTC_TIME: Final = 0x17
GENERALIZED_TIME: Final = 0x18
SEQUENCE: Final = 0x30
SET: Final = 0x31
CONTEXT_0: Final = 0xA0
CONTEXT_1: Final = 0xA1
CONTEXT_3: Final = 0xA3

LENGTH_MAX: Final = 0xFFFF
"""Longest content written or read: a keystore or a certificate has a few hundred bytes."""
_ARC_MAX: Final = (1 << 63) - 1
"""Of an object identifier: real ones have 32 bits, and a number without bound has no text (Python stops at 4,300 digits)."""


def encode(tag: int, *parts: bytes) -> bytes:
    """One element: tag, shortest length, the parts joined."""
    content = b"".join(parts)
    length = len(content)
    require(length <= LENGTH_MAX, f"a DER element here has at most {LENGTH_MAX} bytes")
    if length < 0x80:
        return bytes((tag, length)) + content
    if length < 0x100:
        return bytes((tag, 0x81, length)) + content
    return bytes((tag, 0x82)) + length.to_bytes(2, "big") + content


def encode_integer(value: int) -> bytes:
    """A non-negative INTEGER."""
    return encode(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def encode_object_identifier(dotted: str) -> bytes:
    """An OBJECT IDENTIFIER from its dotted form."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    content = bytearray()
    for arc in (40 * first + second, *rest):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(0x80 | (arc & 0x7F))
        content.extend(reversed(groups))
    return encode(OBJECT_IDENTIFIER, bytes(content))


class Reader:
    """Reads the elements of ``data`` in order. Every method raises EncodingError for what is not the expected DER."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._offset = 0

    @property
    def is_at_end(self) -> bool:
        """Whether every byte was read."""
        return self._offset == len(self._data)

    def next_tag(self) -> int | None:
        """The tag of the next element, or None at the end."""
        return None if self.is_at_end else self._data[self._offset]

    def read(self, tag: int) -> bytes:
        """The content of the next element, which must have ``tag``."""
        data, start = self._data, self._offset
        if start + 2 > len(data) or data[start] != tag:
            raise EncodingError(f"no DER element with tag 0x{tag:02x} at offset {start}")
        length, content = data[start + 1], start + 2
        if length >= 0x80:
            width = length & 0x7F
            if width not in (1, 2) or content + width > len(data):
                raise EncodingError(f"a DER length at offset {start} that is indefinite or too long")
            length = int.from_bytes(data[content : content + width], "big")
            content += width
            if length < (0x80 if width == 1 else 0x100):
                raise EncodingError(f"a DER length at offset {start} that is not the shortest form")
        if content + length > len(data):
            raise EncodingError(f"the DER element at offset {start} runs past the end")
        self._offset = content + length
        return data[content : self._offset]

    def read_whole(self, tag: int) -> bytes:
        """The next element with its tag and length; it must have ``tag``."""
        start = self._offset
        self.read(tag)
        return self._data[start : self._offset]

    def read_sequence(self) -> Reader:
        """A reader over the next SEQUENCE."""
        return Reader(self.read(SEQUENCE))

    def read_true_or_absent(self) -> bool:
        """Whether the next element is a BOOLEAN, which is true: false is the default here, and so is absent in DER."""
        is_there = self.next_tag() == BOOLEAN
        if is_there and self.read(BOOLEAN) != b"\xff":
            raise EncodingError("a DER BOOLEAN that is not true, where absence says false")
        return is_there

    def read_integer(self) -> int:
        """The next INTEGER, non-negative and in its shortest form."""
        content = self.read(INTEGER)
        value = int.from_bytes(content, "big", signed=True)
        if value < 0 or encode_integer(value)[2:] != content:
            raise EncodingError("a DER INTEGER that is negative or not in its shortest form")
        return value

    def read_object_identifier(self) -> str:
        """The next OBJECT IDENTIFIER, dotted."""
        content = self.read(OBJECT_IDENTIFIER)
        arcs: list[int] = []
        arc, is_open = 0, False
        for byte in content:
            if arc > _ARC_MAX >> 7 or (byte == 0x80 and not is_open):
                raise EncodingError("a DER OBJECT IDENTIFIER with an arc above 2^63, or not in its shortest form")
            arc = (arc << 7) | (byte & 0x7F)
            is_open = byte >= 0x80
            if not is_open:
                arcs.append(arc)
                arc = 0
        if not arcs or is_open:
            raise EncodingError("a DER OBJECT IDENTIFIER that is cut short")
        first = min(arcs[0] // 40, 2)
        return ".".join(str(value) for value in (first, arcs[0] - 40 * first, *arcs[1:]))

    def check_end(self) -> None:
        """Raise EncodingError unless every byte was read."""
        if not self.is_at_end:
            raise EncodingError(f"{len(self._data) - self._offset} bytes too many in a DER element")
