"""Whatever a broker sends, the agent stays up, comes back, and takes nothing but messages of the topics that it asked for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from edge.links.broker import Arrival, BrokerConfig, BrokerLink
from tests.waiting import until

HOST = "127.0.0.1"
TOPIC, GOOD = b"tele", b"good"
CONNACK = b"\x20\x02\x00\x00"
SUBACK, PUBACK, PINGRESP = 0x90, 0x40, b"\xd0\x00"
AGAIN = 0x08
RETRY_MS = 200


def _packet(head: int, body: bytes) -> bytes:
    left, size = len(body), b""
    while True:
        size += bytes((left % 128 | (128 if left > 127 else 0),))
        left //= 128
        if not left:
            return bytes((head,)) + size + body


def _publish(topic: bytes, payload: bytes, flags: int = 0, number: bytes = b"") -> bytes:
    return _packet(0x30 | flags, len(topic).to_bytes(2, "big") + topic + number + payload)


UP = CONNACK + b"\x90\x04\x00\x01\x01\x01"
MODES = {
    "nothing": b"",
    "half a head": b"\x20",
    "half an acceptance": b"\x20\x02\x00",
    "an acceptance without content": b"\x20\x00",
    "an acceptance that is too short": b"\x20\x01\x00",
    "an acceptance that is too long": b"\x20\x05\x00\x00\x00\x00\x00",
    **{f"refusal {code}": b"\x20\x02\x00" + bytes((code,)) for code in (1, 2, 3, 4, 5, 6, 128, 255)},
    "two acceptances": CONNACK * 2,
    "a session that nobody has": b"\x20\x02\xff\x00",
    "a message before the acceptance": _publish(b"other", b"x") + CONNACK,
    "an acknowledgement before the acceptance": b"\x90\x03\x00\x01\x01",
    "an acknowledgement of a subscription that nobody made": CONNACK + b"\x90\x03\xff\xff\x01",
    "an acknowledgement without codes": CONNACK + b"\x90\x02\x00\x01",
    "an acknowledgement without a number": CONNACK + b"\x90\x00",
    "subscriptions refused": CONNACK + b"\x90\x04\x00\x01\x80\x80",
    "codes that do not exist": CONNACK + b"\x90\x04\x00\x01\x7f\x7f",
    "more codes than topics": CONNACK + b"\x90\x09\x00\x01" + b"\x01" * 7,
    "a receipt that nobody asked for": UP + b"\x40\x02\xff\xff",
    "a receipt without a number": UP + b"\x40\x00",
    "half a number in a receipt": UP + b"\x40\x01\x00",
    "a release that nobody asked for": UP + b"\x62\x02\x00\x07",
    "a completion that nobody asked for": UP + b"\x70\x02\x00\x07",
    "a topic longer than its packet": UP + b"\x30\x04\xff\xffab",
    "no topic": UP + b"\x30\x00",
    "an empty topic": UP + _publish(b"", b"x"),
    "a topic that is not UTF-8": UP + _publish(b"\xff\xfe", b"x"),
    "a topic with a zero byte": UP + _publish(b"te\0le", b"x"),
    "a topic of wildcards": UP + _publish(b"#", b"x"),
    "a topic of 60,000 bytes": UP + _publish(b"t" * 60_000, b"x"),
    "a topic that nobody asked for": UP + _publish(b"other", b"x"),
    "an old message, kept": UP + _publish(TOPIC, b"old", 1),
    "10,000 kept ones": UP + _publish(TOPIC, b"old", 1) * 10_000,
    "quality 1 without a number": UP + b"\x32\x06\x00\x04tele",
    "quality 2": UP + _publish(TOPIC, b"x", 4, b"\0\1"),
    "quality 3": UP + _publish(TOPIC, b"x", 6, b"\0\1"),
    "a length that never ends": UP + b"\x30\xff\xff\xff\xff\xff\xff",
    "a length of 256 MiB": UP + b"\x30\xff\xff\xff\x7f",
    "packet type 0": UP + b"\x00\x00",
    "packet type 15": UP + b"\xf0\x00",
    "what only clients say": UP + b"\x10\x00" + b"\x82\x00" + b"\xa2\x00" + b"\xe0\x00",
    "questions whether we live": UP + b"\xc0\x00" * 100,
    "10,000 answers to no question": UP + PINGRESP * 10_000,
    "half a message": UP + b"\x30\x20\x00\x04te",
    "a web server": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "a TLS alert": b"\x15\x03\x01\x00\x02\x02\x28",
    "a login": b"\xff\xfd\x01\xff\xfd\x1fgateway login: ",
    "zero bytes": bytes(300),
    "bytes of ones": b"\xff" * 300,
}


class Broker:
    """Spoils its first connection as a mode says and hangs up; from the second one on it does what a broker does."""

    def __init__(self, spoilt: bytes) -> None:
        self.spoilt = spoilt
        self.connects = 0
        self.tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        self.connects += 1
        try:
            await self._heard(reader)
            if self.connects == 1:
                writer.write(self.spoilt)
                await writer.drain()
            else:
                await self._honest(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()
            self.tasks.discard(task)

    async def _honest(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CONNACK)
        while True:
            head, body = await self._heard(reader)
            if head == 0x82:
                writer.write(_packet(SUBACK, body[:2] + b"\x01\x01"))
            elif head & 0xF0 == 0x30:  # the mark
                size = int.from_bytes(body[:2], "big")
                topic, number, payload = body[2 : 2 + size], body[2 + size : 4 + size], body[4 + size :]
                writer.write(_packet(PUBACK, number) + _publish(topic, payload))
                if not head & AGAIN:  # the first connection's mark may come once more
                    writer.write(_publish(TOPIC, GOOD))
            elif head == 0xC0:
                writer.write(PINGRESP)

    async def _heard(self, reader: asyncio.StreamReader) -> tuple[int, bytes]:
        head, size, shift = (await reader.readexactly(1))[0], 0, 0
        while True:
            byte = (await reader.readexactly(1))[0]
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return head, await reader.readexactly(size)


@asynccontextmanager
async def _listening(broker: Broker) -> AsyncIterator[int]:
    server = await asyncio.start_server(broker.serve, HOST, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        tasks = tuple(broker.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
async def test_link_comes_back_from_whatever_a_broker_sends_and_takes_only_what_it_asked_for(mode: bytes) -> None:
    broker = Broker(mode)
    heard: list[Arrival] = []
    async with _listening(broker) as port:
        link = BrokerLink(BrokerConfig("odd", HOST, port, connect_timeout_ms=2000, retry_ms_max=RETRY_MS), "gw-1")
        link.subscribe(TOPIC.decode(), heard.append)
        link.start()
        try:
            await until(lambda: heard and link.is_up)
            assert broker.connects == 2
            assert [(arrival.topic, arrival.payload, arrival.kept) for arrival in heard] == [("tele", GOOD, False)]
        finally:
            await link.close()
