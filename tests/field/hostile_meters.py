"""A meter that answers like none: what it sends by name, on Modbus TCP, on RTU and on DL/T 645, beside a neighbour that is honest.

A mode gets the request and the honest answer of the first meter on the line (M1) and says what is sent instead: pieces of
bytes, one after the other, and whether the connection ends behind them. The second meter (M2) answers through the same server.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from edge.dlt645 import encode_frame
from edge.readers.modbus_frames import crc16

HOST: Final = "127.0.0.1"
READ_BYTES: Final = 4096
TRICKLE_S: Final = 0.01
ADDRESSES: Final = ("000000000001", "000000000002")


class Sent(NamedTuple):
    """What a hostile meter sends: pieces with TRICKLE_S between them, then the end of the connection where ``ends``."""

    pieces: tuple[bytes, ...]
    ends: bool = False


Mode = Callable[[bytes, bytes], Sent]
"""From the request and the honest answer to what is sent."""


def _sent(make: Callable[[bytes, bytes], bytes], *, ends: bool = False) -> Mode:
    return lambda asked, honest: Sent((make(asked, honest),), ends)


def _always(data: bytes, *, ends: bool = False) -> Mode:
    return _sent(lambda _asked, _honest: data, ends=ends)


def _trickle(_asked: bytes, honest: bytes) -> Sent:
    return Sent(tuple(bytes((byte,)) for byte in honest[:-1]))


def _mbap(asked: bytes, pdu: bytes, *, unit: int = 1, number: int = 0, protocol: int = 0, length: int = -1) -> bytes:
    """A Modbus TCP frame; ``number``: added to the transaction's; ``length``: what it announces, -1: the right one."""
    transaction = (int.from_bytes(asked[:2], "big") + number) % 65_536
    announced = len(pdu) + 1 if length < 0 else length
    return struct.pack(">HHHB", transaction, protocol, announced, unit) + pdu


def _registers(words: int) -> Callable[[bytes], bytes]:
    """The PDU of an answer of so many registers."""
    return lambda honest: honest[:1] + bytes((2 * words,)) + (honest[2:] * 64)[: 2 * words]


def _value(number: float) -> Callable[[bytes], bytes]:
    """The PDU of an answer in which each pair of registers is this float."""
    return lambda honest: honest[:2] + struct.pack(">f", number) * ((len(honest) - 2) // 4)


def _exception(code: int) -> Callable[[bytes], bytes]:
    return lambda _: bytes((0x84, code))


PDUS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    **{f"exception {code}": _exception(code) for code in (0, 1, 2, 3, 4, 5, 6, 8, 10, 11, 255)},
    "an exception without a code": lambda _: b"\x84",
    "an exception of two codes": lambda _: b"\x84\x02\x02",
    "an exception of another function": lambda _: b"\x83\x02",
    "the other read function": lambda honest: b"\x03" + honest[1:],
    "a write function": lambda honest: b"\x10" + honest[1:],
    "no byte count": lambda honest: honest[:1],
    "byte count 0": lambda honest: honest[:1] + b"\0",
    "byte count 0 before registers": lambda honest: honest[:1] + b"\0" + honest[2:],
    "byte count 255": lambda honest: honest[:1] + b"\xff" + honest[2:],
    "an odd byte count": lambda honest: honest[:1] + bytes((honest[1] - 1,)) + honest[2:-1],
    "one register less": lambda honest: _registers(honest[1] // 2 - 1)(honest),
    "one register more": lambda honest: _registers(honest[1] // 2 + 1)(honest),
    "125 registers": _registers(125),
    "registers of all ones": lambda honest: honest[:2] + b"\xff" * (len(honest) - 2),
    "not a number": _value(float("nan")),
    "infinity": _value(float("inf")),
    "minus infinity": _value(float("-inf")),
    "the largest float": _value(3.4e38),
    "less than nothing": _value(-1.0),
}
"""Answers that are framed as they should be, and are none: from the honest PDU to what is sent."""

_NOISE: Final[Mapping[str, Mode]] = {
    "silence": lambda _asked, _honest: Sent(()),
    "a closed connection": lambda _asked, _honest: Sent((), ends=True),
    "half an answer": _sent(lambda _asked, honest: honest[: len(honest) // 2]),
    "half an answer and the end": _sent(lambda _asked, honest: honest[: len(honest) // 2], ends=True),
    "an answer that trickles and never ends": _trickle,
    "300 zero bytes": _always(bytes(300)),
    "300 bytes of ones": _always(b"\xff" * 300),
    "a web server": _always(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", ends=True),
    "a TLS alert": _always(b"\x15\x03\x01\x00\x02\x02\x28", ends=True),
    "a login": _always(b"\xff\xfd\x01\xff\xfd\x1fgateway login: "),
    "its own request": _sent(lambda asked, _honest: asked),
}


def _tcp_pdu(make: Callable[[bytes], bytes]) -> Mode:
    return _sent(lambda asked, honest: _mbap(asked, make(honest[7:])))


def _rtu_pdu(make: Callable[[bytes], bytes]) -> Mode:
    return _sent(lambda _asked, honest: _rtu(honest[:1] + make(honest[1:-2])))


TCP: Final[Mapping[str, Mode]] = {
    **_NOISE,
    **{name: _tcp_pdu(make) for name, make in PDUS.items()},
    "a header alone": _sent(lambda asked, honest: honest[:7]),
    "length 0": _sent(lambda asked, honest: _mbap(asked, honest[7:], length=0)),
    "length 1": _sent(lambda asked, honest: _mbap(asked, honest[7:], length=1)),
    "length 255": _sent(lambda asked, honest: _mbap(asked, honest[7:], length=255)),
    "length 65535": _sent(lambda asked, honest: _mbap(asked, honest[7:], length=65_535)),
    "another protocol": _sent(lambda asked, honest: _mbap(asked, honest[7:], protocol=1)),
    "the next transaction": _sent(lambda asked, honest: _mbap(asked, honest[7:], number=1)),
    "the transaction before": _sent(lambda asked, honest: _mbap(asked, honest[7:], number=-1)),
    "a hundred other transactions": _sent(
        lambda asked, honest: b"".join(_mbap(asked, honest[7:], number=n) for n in range(1, 101))
    ),
    "unit 0": _sent(lambda asked, honest: _mbap(asked, honest[7:], unit=0)),
    "unit 255": _sent(lambda asked, honest: _mbap(asked, honest[7:], unit=255)),
    "an RTU frame": _sent(lambda asked, honest: honest[6:] + crc16(honest[6:])),
}
"""On Modbus TCP."""


def _rtu(body: bytes) -> bytes:
    return body + crc16(body)


RTU: Final[Mapping[str, Mode]] = {
    **_NOISE,
    **{name: _rtu_pdu(make) for name, make in PDUS.items()},
    "a wrong checksum": _sent(lambda asked, honest: honest[:-1] + bytes((honest[-1] ^ 1,))),
    "a checksum with its bytes exchanged": _sent(lambda asked, honest: honest[:-2] + honest[:-3:-1]),
    "no checksum": _sent(lambda asked, honest: honest[:-2]),
    "unit 0": _sent(lambda asked, honest: _rtu(b"\0" + honest[1:-2])),
    "unit 255": _sent(lambda asked, honest: _rtu(b"\xff" + honest[1:-2])),
    "a Modbus TCP frame": _sent(lambda asked, honest: b"\0\1\0\0" + struct.pack(">H", len(honest) - 2) + honest[:-2]),
}
"""RTU frames over TCP."""


def _dlt(change: Callable[[bytearray], object]) -> Mode:
    """The honest frame with something changed and its checksum right again."""

    def make(_asked: bytes, honest: bytes) -> bytes:
        frame = bytearray(honest[honest.index(0x68) :])
        change(frame)
        frame[-2] = sum(frame[:-2]) % 256
        return bytes(frame)

    return _sent(make)


def _put(place: int, *values: int) -> Callable[[bytearray], object]:
    return lambda frame: frame.__setitem__(slice(place, place + len(values)), bytes(values))


DLT645: Final[Mapping[str, Mode]] = {
    **_NOISE,
    **{f"error {code:02x}": _always(encode_frame(ADDRESSES[0], 0xD1, bytes((code,)))) for code in (0, 1, 2, 0x40, 255)},
    "an error without a code": _always(encode_frame(ADDRESSES[0], 0xD1)),
    "an error of two codes": _always(encode_frame(ADDRESSES[0], 0xD1, b"\2\2")),
    "a wrong checksum": _sent(lambda _, honest: honest[:-2] + bytes((honest[-2] ^ 1,)) + honest[-1:]),
    "no end": _sent(lambda _, honest: honest[:-1] + b"\0"),
    "wake bytes alone": _always(b"\xfe" * 200),
    "starts alone": _always(b"\x68" * 200),
    "another control byte": _dlt(_put(8, 0x92)),
    "the meter beside it": _dlt(_put(1, 0x99)),
    "an address of letters": _dlt(_put(1, 0xAB)),
    "another item": _dlt(_put(10, 0x34)),
    "digits that are letters": _dlt(_put(14, 0x3D, 0x3D, 0x3D, 0x3D)),
    "all ones": _dlt(_put(14, 0x32, 0x32, 0x32, 0x32)),
    "no data": _always(encode_frame(ADDRESSES[0], 0x91)),
    "an item without a value": _sent(lambda asked, honest: _cut_value(honest, 0)),
    "a value a byte short": _sent(lambda asked, honest: _cut_value(honest, 3)),
    "no value at all behind 200 bytes": _sent(lambda asked, honest: bytes(200) + _cut_value(honest, 0)),
}
"""DL/T 645-2007 over TCP."""


def _cut_value(honest: bytes, width: int) -> bytes:
    """The honest answer with a value of so many bytes."""
    frame = honest[honest.index(0x68) :]
    data = bytes((byte - 0x33) % 256 for byte in frame[10 : 14 + width])
    return encode_frame(ADDRESSES[0], 0x91, data)


def is_for_the_first(framer: str, asked: bytes) -> bool:
    """Whether a request is for M1."""
    if framer == "dlt645":
        return asked[asked.index(0x68) + 1 :][:6][::-1].hex() == ADDRESSES[0]
    return asked[6 if framer == "socket" else 0] == 1


@asynccontextmanager
async def hostile_server(framer: str, port_of_fleet: int, mode: Mode) -> AsyncIterator[int]:
    """A server in front of an honest fleet; what M1 answers is spoilt by ``mode``. Yields its port."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        far_reader, far_writer = await asyncio.open_connection(HOST, port_of_fleet)
        try:
            while asked := await reader.read(READ_BYTES):
                far_writer.write(asked)
                honest = await far_reader.read(READ_BYTES)
                if not is_for_the_first(framer, asked):
                    writer.write(honest)
                    continue
                sent = mode(asked, honest)
                for piece in sent.pieces:
                    writer.write(piece)
                    await asyncio.sleep(TRICKLE_S if len(sent.pieces) > 1 else 0)
                if sent.ends:
                    break
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for end in (writer, far_writer):
                end.close()
                with contextlib.suppress(OSError, asyncio.CancelledError):
                    await end.wait_closed()
            tasks.discard(task)

    server = await asyncio.start_server(serve, HOST, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tuple(tasks), return_exceptions=True)
