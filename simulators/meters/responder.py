"""Modbus of virtual meters, byte by byte: Modbus TCP, and RTU frames on a serial line or through a serial device server.

Responders of our own because a day of a feeder is 30,000 requests, and because faults and line times have to be placed
exactly: a request costs less than half the CPU of one to pymodbus' server (``gridledger bench run modbus_fleet``). Tests read them with mbpoll,
pymodbus and others and compare them with other people's servers. Functions 3 and 4 are answered; all else is refused with
exception 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from simulators.meters.bus import Heard, NonsenseError, Reply
from simulators.meters.faults import LineFault
from simulators.meters.registers import RegisterImage
from simulators.meters.station import Answer, MeterClock, Station

WORDS_PER_REQUEST_MAX = 125
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, TARGET_SILENT = 1, 2, 3, 11
_REQUEST_BYTES = 5  # function, address, count: the part that both framings share
_RTU_OVERHEAD_BYTES: Final = 3  # unit id and checksum: what a frame on the bus has beside it
_RTU_REQUEST_BYTES: Final = 8
_SOCKET_HEADER_BYTES: Final = 7
_SOCKET_FRAME_BYTES_MAX: Final = 260


class ModbusStation(Station):
    """A meter that answers Modbus requests from its registers."""

    def __init__(
        self, image: RegisterImage, serial: int = 0, turnaround_ms: int = 0, clock: MeterClock | None = None
    ) -> None:
        super().__init__(serial, turnaround_ms, clock)
        self._image = image
        self._on_display = self.shown()

    def answer(self, request: bytes) -> Answer | None:
        """See ``Station``; a request is function code, address and count, an answer function code and data."""
        fault = self.hear()
        if fault.silent:
            return None
        if fault.exception:
            return Answer(bytes((request[0] | 0x80, fault.exception)), fault.late_ms)
        shown = self.shown()
        if shown != self._on_display:
            self._on_display = shown
            self._image.show(shown[0], serial=self.serial, shows=shown[1])
        return Answer(self._read(request), fault.late_ms)

    def _read(self, request: bytes) -> bytes:
        function_code = request[0]
        if function_code not in (3, 4) or len(request) != _REQUEST_BYTES:
            return bytes((function_code | 0x80, ILLEGAL_FUNCTION))
        count = request[3] << 8 | request[4]
        if not 1 <= count <= WORDS_PER_REQUEST_MAX:
            return bytes((function_code | 0x80, ILLEGAL_VALUE))
        data = self._image.read(function_code, request[1] << 8 | request[2], count)
        if data is None:
            return bytes((function_code | 0x80, ILLEGAL_ADDRESS))
        return bytes((function_code, len(data))) + data


class SocketSpeech:
    """Modbus TCP: a gateway with the meters behind it. ``stations`` by unit id."""

    def __init__(self, stations: Mapping[int, Station]) -> None:
        self._stations = stations

    def take(self, buffer: bytes) -> tuple[Heard | None, bytes]:
        """Take one request with its 7-byte header off the buffer. NonsenseError: there is no way back to a frame's start."""
        if len(buffer) <= _SOCKET_HEADER_BYTES:
            return None, buffer
        end = 6 + (buffer[4] << 8 | buffer[5])
        if buffer[2:4] != b"\0\0" or not _SOCKET_HEADER_BYTES < end <= _SOCKET_FRAME_BYTES_MAX:
            raise NonsenseError("not Modbus TCP")
        if len(buffer) < end:
            return None, buffer
        return Heard(buffer[:end], end - _SOCKET_HEADER_BYTES + _RTU_OVERHEAD_BYTES), buffer[end:]

    def answer(self, heard: Heard, fault: LineFault) -> Reply | None:
        """The gateway's answer; it speaks for a meter that is silent, if it has a time limit of its own."""
        frame = heard.frame
        unit_id, request = frame[6], frame[_SOCKET_HEADER_BYTES:]
        station = self._stations.get(unit_id)
        answer = None if station is None else station.answer(request)
        wait_ms = fault.gateway_timeout_ms
        if station is None or (wait_ms and (answer is None or answer.late_ms > wait_ms)):
            refusal = bytes((request[0] | 0x80, TARGET_SILENT))
            return Reply(_socket_frame(frame, refusal, fault), 0, held_ms=wait_ms)
        if answer is None:
            return None
        size = len(answer.body) + _RTU_OVERHEAD_BYTES
        return Reply(_socket_frame(frame, answer.body, fault), size, station.turnaround_ms, answer.late_ms)


class RtuSpeech:
    """RTU frames. A frame for nobody, or with a wrong checksum, meets silence."""

    def __init__(self, stations: Mapping[int, Station]) -> None:
        self._stations = stations

    def take(self, buffer: bytes) -> tuple[Heard | None, bytes]:
        """Take one request of 8 bytes off the buffer; bytes before it are noise."""
        for start in range(len(buffer) - _RTU_REQUEST_BYTES + 1):
            frame = buffer[start : start + _RTU_REQUEST_BYTES]
            if crc16(frame[:6]) == frame[6:]:
                return Heard(frame, len(frame)), buffer[start + _RTU_REQUEST_BYTES :]
        return None, buffer[1 - _RTU_REQUEST_BYTES :]

    def answer(self, heard: Heard, fault: LineFault) -> Reply | None:
        """The answer of the meter that the request is for."""
        station = self._stations.get(heard.frame[0])
        answer = None if station is None else station.answer(heard.frame[1:6])
        if station is None or answer is None:
            return None
        frame = bytes(((heard.frame[0] + fault.unit_id_off) % 256,)) + answer.body
        return Reply(frame + crc16(frame), len(frame) + 2, station.turnaround_ms, answer.late_ms)


def _socket_frame(request: bytes, body: bytes, fault: LineFault) -> bytes:
    transaction_id = (int.from_bytes(request[:2], "big") + fault.transaction_id_off) % 0x10000
    unit_id = (request[6] + fault.unit_id_off) % 256
    return transaction_id.to_bytes(2, "big") + b"\0\0" + (len(body) + 1).to_bytes(2, "big") + bytes((unit_id,)) + body


def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
        table.append(value)
    return tuple(table)


_CRC_TABLE = _crc_table()


def crc16(frame: bytes) -> bytes:
    """Return the checksum of an RTU frame as sent, low byte first (Modbus over serial line 1.02, 6.2.2)."""
    crc = 0xFFFF
    for byte in frame:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return bytes((crc & 0xFF, crc >> 8))
