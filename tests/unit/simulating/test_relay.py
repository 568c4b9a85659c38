"""The way between a gateway and its node: bytes pass, are lost, or tell an earlier time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from gridledger.demo.field import Field
from gridledger.demo.relay import Relay

if TYPE_CHECKING:
    from gridledger.demo.scene import Scene
    from gridledger.demo.troubles import Troubles
    from gridledger.supervised import Supervised

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


async def test_a_gateway_whose_cut_ends_at_a_boundary_is_let_through_when_ledger_time_is_there_and_not_before() -> None:
    """What it kept would else be decided before or behind a metering deadline of that moment."""
    cuts = {0: False, 1: True, 2: False, 3: False}
    troubles = SimpleNamespace(
        is_cut_from_node=lambda index, _: cuts.get(index, False),
        clock_behind_s=lambda *_: 0,
        is_broker_dead=lambda _: False,
        is_gateway_dead=lambda *_: False,
        nodes_down=lambda _: set(),
        nodes_cut_off=lambda _: frozenset(),
        stands=lambda _: False,
        world=SimpleNamespace(areas=("area-1",)),
    )
    place = object.__new__(Field)
    place._troubles = cast("Troubles", troubles)
    place._relays = {"area-1": Relay("http://127.0.0.1:1")}
    place._scene = cast("Scene", SimpleNamespace(node_instead=lambda *_: SimpleNamespace(url="http://127.0.0.1:1")))
    place._broker = None
    place._agents = {"area-1": cast("Supervised", SimpleNamespace(resume=lambda: None))}
    place._is_broker_dead, place._down, place._cut_off = False, set(), frozenset()
    seen = []
    for index in cuts:
        await place.arrange(index)
        before = place._relays["area-1"].is_cut
        place.reconnect(index)
        seen.append((before, place._relays["area-1"].is_cut))
    assert seen == [(False, False), (True, True), (True, False), (False, False)]
