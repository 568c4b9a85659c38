"""MQTT 5 beside 3.1.1, and brokers that send what no device says: nothing of it takes the agent down."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from itertools import repeat
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from edge.links.broker import PACKET_BYTES_MAX, QUEUED_MAX, Arrival, BrokerConfig, BrokerLink, broker_tls
from gridcore.clock import WallClock
from gridcore.tls_certificates import issue, make_authority
from simulators.meters import open_broker
from tests.integration.mqtt_world import Proxy, say, skip_without_mosquitto, until_up
from tests.waiting import until

CHUNK = b"\0" * 65_536
CHUNKS_MAX = 4096
"""256 MiB."""
MESSAGES, RECORD_BYTES = 20_000, 16_384


class FloodingBroker:
    """Accepts whoever comes, and announces a message of 256 MiB to the first so many; ``connects``: what clients began with."""

    def __init__(self, floods: int) -> None:
        self.floods = floods
        self.connects: list[bytes] = []
        self.sent = 0
        self.handlers: list[asyncio.Task[None]] = []

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.handlers.append(asyncio.create_task(self.serve(reader, writer)))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = await reader.readexactly(2)
            self.connects.append(await reader.readexactly(head[1]))
            writer.write(b"\x20\x02\x00\x00")
            if len(self.connects) <= self.floods:
                for chunk in self.flood():
                    writer.write(chunk)
                    await writer.drain()
                    self.sent += len(chunk)
            else:
                await reader.read()
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    def flood(self) -> Iterator[bytes]:
        yield b"\x32\xff\xff\xff\x7f\x00\x05burst\x00\x01"
        yield from repeat(CHUNK, CHUNKS_MAX)

    @property
    def clean(self) -> list[bool]:
        """Whether each client began a new session: the second bit of the flags behind name and level."""
        return [bool(connect[7] & 2) for connect in self.connects]


@contextlib.asynccontextmanager
async def listening(broker: FloodingBroker) -> AsyncIterator[int]:
    """The port at which it listens."""
    server = await asyncio.start_server(broker.accept, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    for handler in broker.handlers:
        handler.cancel()
    await asyncio.gather(*broker.handlers, return_exceptions=True)


class TwiceSureBroker(FloodingBroker):
    """Sends messages of QoS 2 and releases none of them."""

    def flood(self) -> Iterator[bytes]:
        for number in range(1, 65_536):  # 1 KiB each, its length as MQTT writes it
            yield b"\x34\x80\x08\x00\x05burst" + number.to_bytes(2, "big") + bytes(1015)


async def test_messages_of_qos_2_that_nobody_subscribed_are_not_kept() -> None:
    broker = TwiceSureBroker(floods=1)
    async with listening(broker) as port:
        link = BrokerLink(BrokerConfig("two", "127.0.0.1", port, retry_ms_max=200), "gw-1")
        heard: list[Arrival] = []
        link.subscribe("burst", heard.append)
        with capture_logs() as lines:
            link.start()
            await until(lambda: len(broker.connects) >= 2 and link.is_up)
        assert broker.sent < 64 * len(CHUNK), "hung up long before 64 MiB"
        assert [line["reason"] for line in lines if line["event"] == "broker_breaks_protocol"] == [
            "a message of QoS 2 was refused, 1 is the most that was subscribed"
        ]
        assert heard == []
        await link.close()


def flood_over_tls(bound: socket.socket, certificate: Path) -> None:
    """Accept one client and send it MESSAGES messages of 14 bytes in records that never end where a message does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.with_suffix(".crt"), certificate.with_suffix(".key"))
    with bound, context.wrap_socket(bound.accept()[0], server_side=True) as secured:
        secured.recv(4096)
        stream = b"\x20\x02\x00\x00" + b"\x30\x0c\x00\x05burst12345" * MESSAGES
        secured.sendall(stream[:11])
        for start in range(11, len(stream), RECORD_BYTES):
            secured.sendall(stream[start : start + RECORD_BYTES])
        with contextlib.suppress(OSError):
            secured.recv(1)


async def test_broker_that_floods_over_tls_leaves_others_their_turns(tmp_path: Path) -> None:
    now_s = WallClock().now_s()
    issue(make_authority("brokers", now_s, tmp_path), "broker", ["127.0.0.1"], now_s, tmp_path)
    bound = socket.create_server(("127.0.0.1", 0))
    flooding = asyncio.create_task(asyncio.to_thread(flood_over_tls, bound, tmp_path / "broker"))
    config = BrokerConfig("b", "127.0.0.1", bound.getsockname()[1], tls=True, ca=tmp_path / "authority.crt")
    link = BrokerLink(config, "gw-1", tls=broker_tls(config))
    heard: list[Arrival] = []
    link.subscribe("burst", heard.append)
    link.start()
    turns: set[int] = set()
    while len(heard) < MESSAGES:
        turns.add(len(heard))
        await asyncio.sleep(0)
    assert len(turns) > MESSAGES // 100
    await link.close()
    await flooding


async def test_questions_that_a_broker_never_acknowledges_wait_up_to_a_limit() -> None:
    broker = FloodingBroker(floods=0)
    async with listening(broker) as port:
        link = BrokerLink(BrokerConfig("mute", "127.0.0.1", port), "gw-1")
        link.start()
        await until(lambda: link.is_up)
        for _ in range(QUEUED_MAX + 100):
            link.publish("ask", b"?")
        assert len(link._client._out_messages) == QUEUED_MAX
        await link.close()


async def test_packet_of_256_mib_is_refused_unread_and_the_session_that_would_send_it_again_is_given_up() -> None:
    broker = FloodingBroker(floods=1)
    async with listening(broker) as port:
        link = BrokerLink(BrokerConfig("flood", "127.0.0.1", port, retry_ms_max=200), "gw-1")
        heard: list[Arrival] = []
        link.subscribe("burst", heard.append)
        with capture_logs() as lines:
            link.start()
            await until(lambda: len(broker.connects) >= 2 and link.is_up)
        assert broker.clean == [False, True]
        assert broker.sent < 64 * len(CHUNK), "hung up long before 256 MiB"
        assert [line["reason"] for line in lines if line["event"] == "packet_too_long"] == [
            f"a packet of 268435455 bytes was refused, {PACKET_BYTES_MAX} are the most"
        ]
        assert heard == []
        await link.close()


@pytest.mark.external
async def test_mqtt_5_keeps_the_session_and_sends_nothing_retained_or_longer_than_we_read(tmp_path: Path) -> None:
    skip_without_mosquitto()
    async with open_broker(tmp_path / "broker", "mosquitto") as broker:
        await say(broker, "tele", b"old", retain=True)
        proxy = Proxy(broker.port)
        config = BrokerConfig("five", "127.0.0.1", await proxy.start(), protocol="5", retry_ms_max=200)
        link = BrokerLink(config, "gw-1")
        heard: list[Arrival] = []
        link.subscribe("tele", heard.append)
        with capture_logs() as lines:
            link.start()
            assert await link.wait_usable(5)
            await say(broker, "tele", b"new")
            await until(lambda: len(heard) == 1)
            proxy.refuses = True
            proxy.cut()
            await until(lambda: not link.is_up)
            await say(broker, "tele", b"meanwhile")
            proxy.refuses = False
            await until_up(link, 2)
            await until(lambda: heard[-1].payload == b"meanwhile")
        assert (heard[0].payload, heard[0].kept) == (b"new", False)
        assert {(arrival.payload, arrival.kept) for arrival in heard[1:]} <= {(b"new", True), (b"meanwhile", True)}
        assert "retained_message_ignored" not in [line["event"] for line in lines]
        await link.close()
        await proxy.close()


@pytest.mark.external
@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
async def test_message_that_nobody_could_take_is_sent_again(tmp_path: Path, protocol: str) -> None:
    """It is acknowledged when it has been taken: a taker that breaks costs the connection, and the broker keeps the message."""
    skip_without_mosquitto()
    async with open_broker(tmp_path / "broker", "mosquitto") as broker:
        link = BrokerLink(BrokerConfig("b", broker.host, broker.port, protocol=protocol, retry_ms_max=200), "gw-1")
        heard: list[Arrival] = []

        def take(arrival: Arrival) -> None:
            heard.append(arrival)
            if len(heard) == 1:
                raise ZeroDivisionError("a bug of ours")

        link.subscribe("tele", take)
        link.start()
        assert await link.wait_usable(5)
        await say(broker, "tele", b"once")
        await until(lambda: len(heard) == 2)
        assert [(arrival.payload, arrival.kept) for arrival in heard] == [(b"once", False), (b"once", True)]
        await link.close()
