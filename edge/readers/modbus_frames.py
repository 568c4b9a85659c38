"""How Modbus requests and answers lie in a stream of bytes: with the header of Modbus TCP, or as RTU frames with a checksum.

Pure: no line, no clock. An answer counts only if it names the transaction (Modbus TCP), the unit, the function and the length
that were asked for. What does not is named: a device that answers under another number is a fault to be mended, and "no
answer" would send an engineer to look for a broken wire.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge.readers import WrongAnswerError

READ_FUNCTIONS = (3, 4)
EXCEPTION = 0x80
_HEADER_BYTES = 7  # transaction, protocol, length, unit (Modbus messaging on TCP/IP 1.0b, 3.1.3)
_LENGTH_MAX = 254
_OWED_MAX = 64
_RTU_BYTES_MAX = 256


@dataclass(frozen=True, slots=True)
class Asked:
    """``count`` registers from ``address`` of device ``unit_id``."""

    unit_id: int
    function_code: int
    address: int
    count: int

    @property
    def pdu(self) -> bytes:
        """The request without any framing."""
        return bytes((self.function_code,)) + self.address.to_bytes(2, "big") + self.count.to_bytes(2, "big")

    def check(self, answer: bytes) -> bytes:
        """Return ``answer`` (function code and data) if it is one to this request. WrongAnswerError."""
        if len(answer) == 2 and answer[0] == self.function_code | EXCEPTION:
            return answer
        if len(answer) < 2 or answer[0] != self.function_code:
            raise WrongAnswerError(
                f"the answer has function code {answer[:1].hex() or 'none'}, not {self.function_code:02x}"
            )
        if answer[1] != len(answer) - 2 or answer[1] != 2 * self.count:
            raise WrongAnswerError(f"the answer of {(len(answer) - 2) / 2:g} registers does not fit the request")
        return answer


class SocketFraming:
    """Modbus TCP: each request has a transaction id, and its answer names it."""

    numbers_requests = True

    def __init__(self) -> None:
        self.stray = ""
        self._number = 0
        self._asked = Asked(0, 3, 0, 1)
        self._owed: set[int] = set()

    @property
    def owed(self) -> int:
        """See ``Framing``."""
        return len(self._owed)

    def frame(self, asked: Asked) -> bytes:
        """The bytes of the next request."""
        self.stray = ""
        self._asked = asked
        self._number = self._number % 0xFFFF + 1
        pdu = asked.pdu
        return (
            self._number.to_bytes(2, "big")
            + b"\0\0"
            + (len(pdu) + 1).to_bytes(2, "big")
            + bytes((asked.unit_id,))
            + pdu
        )

    def take(self, buffer: bytearray) -> bytes | None:
        """See ``Framing``. Answers to requests that were given up, and such under numbers nobody used, are passed over."""
        while (frame := _next_frame(buffer)) is not None:
            number, unit_id = int.from_bytes(frame[:2], "big"), frame[6]
            if number == self._number:
                if unit_id != self._asked.unit_id:
                    raise WrongAnswerError(f"the answer is of unit {unit_id}, not of unit {self._asked.unit_id}")
                return self._asked.check(frame[_HEADER_BYTES:])
            if number in self._owed:
                self._owed.discard(number)
            else:
                self.stray = f"an answer under transaction id {number} was refused, {self._number} was asked"
        return None

    def discard(self, buffer: bytearray) -> None:
        """See ``Framing``."""
        try:
            while (frame := _next_frame(buffer)) is not None:
                self._owed.discard(int.from_bytes(frame[:2], "big"))
        except WrongAnswerError:
            pass
        buffer.clear()

    def give_up(self) -> None:
        """See ``Framing``."""
        if len(self._owed) < _OWED_MAX:
            self._owed.add(self._number)

    def forget(self) -> None:
        """See ``Framing``."""
        self._owed.clear()


def _next_frame(buffer: bytearray) -> bytes | None:
    """Take a whole frame from the front of ``buffer``; WrongAnswerError when there is no header."""
    if len(buffer) < _HEADER_BYTES:
        return None
    length = int.from_bytes(buffer[4:6], "big")
    if buffer[2] or buffer[3] or not 2 < length <= _LENGTH_MAX:
        shown, is_rtu = bytes(buffer[:8]).hex(" "), _is_rtu_frame(bytes(buffer))
        hint = ": these are RTU frames, set framer = 'rtu'" if is_rtu else ""
        raise WrongAnswerError(f"no Modbus TCP header but {shown}{hint}")
    if len(buffer) < 6 + length:
        return None
    frame = bytes(buffer[: 6 + length])
    del buffer[: 6 + length]
    return frame


class RtuFraming:
    """RTU frames: unit, function, data, checksum. Nothing in an answer says which request it belongs to.

    Noise before an answer (a 00 byte when the driver is switched, the echo of the request) is passed over: a frame counts
    wherever it begins, if unit, function, length and checksum fit.
    """

    numbers_requests = False
    owed = 0

    def __init__(self) -> None:
        self.stray = ""
        self._asked = Asked(0, 3, 0, 1)
        self._request = b""

    def frame(self, asked: Asked) -> bytes:
        """The bytes of the next request."""
        self.stray = ""
        self._asked = asked
        body = bytes((asked.unit_id,)) + asked.pdu
        self._request = body + crc16(body)
        return self._request

    def take(self, buffer: bytearray) -> bytes | None:
        """See ``Framing``."""
        echo = buffer.find(self._request)
        if echo >= 0:
            del buffer[echo : echo + len(self._request)]
        if len(buffer) > _RTU_BYTES_MAX:
            del buffer[:-_RTU_BYTES_MAX]
        asked, other = self._asked, None
        for start in range(len(buffer) - 4):
            if buffer[start + 1] & ~EXCEPTION not in READ_FUNCTIONS:
                continue
            end = start + (5 if buffer[start + 1] & EXCEPTION else 5 + buffer[start + 2])
            if end > len(buffer):
                continue
            frame = bytes(buffer[start:end])
            if crc16(frame[:-2]) != frame[-2:]:
                continue
            if frame[0] == asked.unit_id:
                del buffer[:end]
                return asked.check(frame[1:-2])
            other = frame
        if other is not None:
            self.stray = f"an answer of unit {other[0]} was refused, unit {asked.unit_id} was asked"
        return None

    def discard(self, buffer: bytearray) -> None:
        """See ``Framing``."""
        buffer.clear()

    def give_up(self) -> None:
        """See ``Framing``."""

    def forget(self) -> None:
        """See ``Framing``."""


def _is_rtu_frame(data: bytes) -> bool:
    return len(data) > 4 and crc16(data[:-2]) == data[-2:]


def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
        table.append(value)
    return tuple(table)


_CRC_TABLE = _crc_table()


def crc16(data: bytes) -> bytes:
    """Return the checksum of an RTU frame as sent, low byte first (Modbus over serial line 1.02, 6.2.2)."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc.to_bytes(2, "little")
