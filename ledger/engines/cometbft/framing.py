"""How ABCI messages follow one another on a socket: each as the length of its bytes, an unsigned varint, and the bytes.

Source: CometBFT 0.38, spec/abci "Client and server". Nothing is assumed of how the bytes are cut into reads.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gridcore.errors import GridError

MESSAGE_BYTES_MAX: Final = 32 << 20
"""The greatest block that a chain is founded with (8 MiB), twice over, with room; the engine's own cap is 2 GB."""
LENGTH_BYTES_MAX: Final = 5
"""Of a varint up to 2^35 - 1: no length that is allowed needs more."""


class FrameError(GridError):
    """What came is no message of ABCI, or longer than may be. The connection cannot be understood any further."""


class FrameReader:
    """Cuts a stream into messages. bytes_max: of one message."""

    def __init__(self, bytes_max: int = MESSAGE_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._buffer = bytearray()

    @property
    def is_between(self) -> bool:
        """Whether the stream may end here: no message has begun."""
        return not self._buffer

    def feed(self, data: bytes | memoryview) -> list[bytes]:
        """Take what was read, and return the messages that are whole now. FrameError for a length beyond ``bytes_max``."""
        self._buffer += data
        messages: list[bytes] = []
        start = 0
        while (found := self._read_length(start)) is not None:
            length, begin = found
            if len(self._buffer) < begin + length:
                break
            messages.append(bytes(memoryview(self._buffer)[begin : begin + length]))
            start = begin + length
        del self._buffer[:start]
        return messages

    def _read_length(self, start: int) -> tuple[int, int] | None:
        """The length that stands at ``start`` and where the message begins; None while it is not whole."""
        length = 0
        for count, byte in enumerate(self._buffer[start : start + LENGTH_BYTES_MAX]):
            length |= (byte & 0x7F) << (7 * count)
            if not byte & 0x80:
                if length > self._bytes_max:
                    raise FrameError(f"a message of {length} bytes; at most {self._bytes_max} are taken")
                return length, start + count + 1
        if len(self._buffer) - start >= LENGTH_BYTES_MAX:
            raise FrameError("a length of more than 2^35")
        return None


def frame(messages: Iterable[bytes]) -> bytes:
    """Messages as they go onto the socket, one after the other."""
    out = bytearray()
    for message in messages:
        length = len(message)
        while length > 0x7F:
            out.append(0x80 | (length & 0x7F))
            length >>= 7
        out.append(length)
        out += message
    return bytes(out)
