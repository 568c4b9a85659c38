"""A line of virtual meters on a TCP socket: Modbus TCP, or RTU frames as a serial device server passes them on.

A responder of our own because a day of a feeder is 30,000 requests, and because faults have to be placed exactly: it needs
about 40 us of CPU a request where pymodbus' simulator server needs about 140. ``tests/integration/test_modbus_fleet.py``
checks it with mbpoll and pymodbus clients and compares it with pymodbus' server on the same registers. Functions 3 and 4
are answered; all else is refused with exception 1.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from simulators.meters.registers import RegisterImage

WORDS_PER_REQUEST_MAX = 125
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, TARGET_SILENT = 1, 2, 3, 11
_REQUEST_BYTES = 5  # function, address, count: the part that both framings share


@dataclass(slots=True)
class Fault:
    """What is wrong with a meter. Times in milliseconds."""

    silent: bool = False
    """It never answers."""
    exception: int = 0
    """It answers every request with this exception code."""
    late_ms: int = 0
    """It answers this much later."""
    late_answers: int = -1
    """Only so many answers are late; -1: all."""
    no_value: bool = False
    """Its billing registers say "no value"."""
    back_wh: int = 0
    """Its registers go back by this much at every request."""


@dataclass(slots=True)
class Station:
    """One unit id on a line: the registers, its fault, and what happens before each answer."""

    image: RegisterImage
    fault: Fault | None = None
    before_read: Callable[[], None] | None = None
    requests: int = 0


def answer(station: Station | None, request: bytes) -> bytes | None:
    """Return the answer (function code and data) of ``station`` to ``request``, None for silence."""
    function_code = request[0]
    if station is None:
        return bytes((function_code | 0x80, TARGET_SILENT))
    station.requests += 1
    fault = station.fault
    if fault is not None:
        if fault.silent:
            return None
        if fault.exception:
            return bytes((function_code | 0x80, fault.exception))
    if station.before_read is not None:
        station.before_read()
    if function_code not in (3, 4) or len(request) != _REQUEST_BYTES:
        return bytes((function_code | 0x80, ILLEGAL_FUNCTION))
    count = request[3] << 8 | request[4]
    if not 1 <= count <= WORDS_PER_REQUEST_MAX:
        return bytes((function_code | 0x80, ILLEGAL_VALUE))
    data = station.image.read(function_code, request[1] << 8 | request[2], count)
    if data is None:
        return bytes((function_code | 0x80, ILLEGAL_ADDRESS))
    return bytes((function_code, len(data))) + data


class LineProtocol(asyncio.Protocol):
    """One client's connection to a line. ``connections`` holds the open ones, so that the line can be cut."""

    def __init__(self, stations: Mapping[int, Station], connections: set[asyncio.Transport], *, rtu: bool) -> None:
        self._stations = stations
        self._connections = connections
        self._take = self._take_rtu if rtu else self._take_socket
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the connection."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
            self._connections.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self._transport is not None:
            self._connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        """Answer every whole request in the stream."""
        self._buffer += data
        while self._take():
            pass

    def _take_socket(self) -> bool:
        """Take one request with its 7-byte header off the buffer; return whether there was one."""
        buffer = self._buffer
        if len(buffer) < 8:
            return False
        end = 6 + (buffer[4] << 8 | buffer[5])
        if buffer[2:4] != b"\0\0" or not 8 <= end <= 260:
            self._cut()  # not Modbus TCP: there is no way back to a frame's start
            return False
        if len(buffer) < end:
            return False
        self._buffer = buffer[end:]
        unit_id = buffer[6]
        reply = answer(self._stations.get(unit_id), buffer[7:end])
        if reply is not None:
            size = len(reply) + 1
            self._send(unit_id, buffer[:4] + bytes((size >> 8, size & 0xFF, unit_id)) + reply)
        return True

    def _take_rtu(self) -> bool:
        """Take one request of 8 bytes off the buffer; a frame with a wrong checksum meets silence, as on a real line."""
        if len(self._buffer) < 8:
            return False
        frame, self._buffer = self._buffer[:8], self._buffer[8:]
        if crc16(frame[:6]) != frame[6:]:
            self._buffer = b""
            return False
        unit_id = frame[0]
        reply = answer(self._stations[unit_id], frame[1:6]) if unit_id in self._stations else None
        if reply is not None:
            body = bytes((unit_id,)) + reply
            self._send(unit_id, body + crc16(body))
        return True

    def _send(self, unit_id: int, frame: bytes) -> None:
        station = self._stations.get(unit_id)
        fault = station.fault if station is not None else None
        if fault is not None and fault.late_ms and fault.late_answers:
            fault.late_answers -= 1
            asyncio.get_running_loop().call_later(fault.late_ms / 1000.0, self._write, frame)
        else:
            self._write(frame)

    def _write(self, frame: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(frame)

    def _cut(self) -> None:
        self._buffer = b""
        if self._transport is not None:
            self._transport.close()


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
