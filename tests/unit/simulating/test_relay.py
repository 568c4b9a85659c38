"""The way between a gateway and its node: bytes pass, are lost, or tell an earlier time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from gridledger.demo.relay import Relay

TIME_S = 1_776_182_400


@asynccontextmanager
async def node() -> AsyncIterator[tuple[str, list[bytes]]]:
    """Answers every request with its time; what it was asked."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            asked.append(data)
            writer.write(b'HTTP/1.1 200 OK\r\n\r\n{"ledger_time_s":%d}' % TIME_S)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked


async def ask(relay: Relay, request: bytes) -> bytes:
    """One request over a connection of its own; what came back until it ended, or for a moment."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(relay.url.rpartition(":")[2]))
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.read(4096), 5)
    except ConnectionError:
        return b""
    finally:
        writer.transport.abort()


CLOCK = b"GET /api/v1/clock?after_s=1776181980&wait_s=20 HTTP/1.1\r\n\r\n"
SUBMIT = b"POST /api/v1/transactions HTTP/1.1\r\n\r\nbatch"


@pytest.mark.parametrize(
    ("change", "request_", "reaches", "time_s"),
    [
        (lambda relay: None, SUBMIT, SUBMIT, TIME_S),
        (lambda relay: setattr(relay, "is_cut", True), SUBMIT, None, None),
        (lambda relay: setattr(relay, "is_cut", True), CLOCK, CLOCK, TIME_S),
        (
            lambda relay: setattr(relay, "behind_s", 420),
            CLOCK,
            CLOCK.replace(b"1776181980", b"1776182400"),
            TIME_S - 420,
        ),
        (lambda relay: setattr(relay, "behind_s", 420), SUBMIT, SUBMIT, TIME_S),
    ],
    ids=["whole", "cut", "time passes a cut", "set back", "set back, nothing else changes"],
)
async def test_what_reaches_the_node_and_what_comes_back(
    change: Callable[[Relay], None], request_: bytes, reaches: bytes | None, time_s: int | None
) -> None:
    async with node() as (url, asked):
        relay = Relay(url)
        await relay.start()
        change(relay)
        answer = await ask(relay, request_)
        await relay.close()
    assert asked == ([] if reaches is None else [reaches])
    assert answer == (b"" if time_s is None else b'HTTP/1.1 200 OK\r\n\r\n{"ledger_time_s":%d}' % time_s)


async def test_a_relay_that_is_led_elsewhere_ends_its_connections_and_the_next_ones_come_to_the_other_node() -> None:
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    async with node() as (url, asked), node() as (other_url, asked_instead):
        relay = Relay(url)
        await relay.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", int(relay.url.rpartition(":")[2]))
        for _ in range(2):  # leading it where it leads already ends nothing
            relay.lead_to(url)
            writer.write(SUBMIT)
            assert (await asyncio.wait_for(reader.read(4096), 5)).startswith(b"HTTP/1.1 200")
        relay.lead_to(other_url)
        ended = b""
        with suppress(ConnectionError):
            ended = await asyncio.wait_for(reader.read(4096), 5)
        assert ended == b""
        writer.transport.abort()
        assert (await ask(relay, CLOCK)).startswith(b"HTTP/1.1 200")
        await relay.close()
    assert (asked, asked_instead) == ([SUBMIT, SUBMIT], [CLOCK])
    assert faults == []
