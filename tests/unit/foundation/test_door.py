"""Connections from people who mean ill: too many, silent, never reading, or with requests that are none."""

from __future__ import annotations

import asyncio
import errno
import resource
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from quart import Quart

from gridcore.errors import UsageError
from gridcore.serving import asgi, door
from gridcore.serving.asgi import Limits, open_socket, serve
from gridcore.serving.door import CLOSING_MAX, FILES, Door, Seldom, network_of, room_for_connections
from gridcore.serving.tls import TlsFiles, check_tls
from tests.waiting import until
from tests.worlds.certificates import own_certificate

PATIENCE_S = 30.0
LARGE = bytes(1 << 20)


@asynccontextmanager
async def serving(limits: Limits | None = None, tls: TlsFiles | None = None) -> AsyncIterator[str]:
    """The URL of a server with two pages, one of them large; stopped at the end."""
    app = Quart("door")

    @app.get("/page")
    async def page() -> str:
        return "here"

    @app.get("/large")
    async def large() -> bytes:
        return LARGE

    stop, ready = asyncio.Event(), asyncio.Queue[str]()
    bound = open_socket("127.0.0.1", 0)
    task = asyncio.create_task(serve(app, bound, stop, ready=ready.put_nowait, limits=limits, tls=tls))
    async with asyncio.timeout(PATIENCE_S):
        try:
            yield await ready.get()
        finally:
            stop.set()
            await task


def address_of(url: str) -> tuple[str, int]:
    """Host and port of a URL of this machine."""
    return "127.0.0.1", int(url.rpartition(":")[2])


async def crowd_of(url: str, count: int) -> list[socket.socket]:
    """Connections that say nothing."""
    return await asyncio.to_thread(lambda: [socket.create_connection(address_of(url)) for _ in range(count)])


async def raw(url: str, request: bytes) -> bytes:
    """Everything that comes back for some bytes, until the server closes."""
    reader, writer = await asyncio.open_connection(*address_of(url))
    writer.write(request)
    answer = await reader.read(4096)
    writer.close()
    return answer


async def test_a_crowd_of_silent_connections_keeps_nobody_out_and_one_line_is_logged(
    capfd: pytest.CaptureFixture[str],
) -> None:
    async with serving(Limits(connections=20)) as url, httpx.AsyncClient(base_url=url, trust_env=False) as http:
        crowd = await crowd_of(url, 20 + CLOSING_MAX)
        for _ in range(5):
            assert (await http.get("/page")).text == "here"
            crowd += await crowd_of(url, 10)
        assert (await http.get("/page")).text == "here"
        for connection in crowd:
            connection.close()
    assert capfd.readouterr().err.count("connection_dropped") == 1


async def test_another_address_loses_no_connection_to_a_crowd() -> None:
    async with serving(Limits(connections=10)) as url:
        honest = socket.create_connection(address_of(url), source_address=("127.0.0.2", 0))
        crowd = await crowd_of(url, 40)
        crowd[-1].sendall(b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await asyncio.to_thread(crowd[-1].recv, 12) == b"HTTP/1.1 200"
        honest.sendall(b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await asyncio.to_thread(honest.recv, 12) == b"HTTP/1.1 200"
        for connection in [honest, *crowd]:
            connection.close()


@pytest.fixture
def doors(monkeypatch: pytest.MonkeyPatch) -> list[Door]:
    """The doors of servers that are started, to look at."""
    made: list[Door] = []

    def keep(bound: socket.socket, room: int) -> Door:
        made.append(Door(bound, room))
        return made[-1]

    monkeypatch.setattr(asgi, "Door", keep)
    return made


async def test_who_asks_for_much_and_reads_nothing_is_dropped(
    monkeypatch: pytest.MonkeyPatch, doors: list[Door]
) -> None:
    monkeypatch.setattr(door, "WRITE_TIMEOUT_S", 1)
    async with serving() as url:
        deaf = socket.create_connection(address_of(url))
        deaf.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
        await until(lambda: len(doors[0]) == 1)
        await until(lambda: len(doors[0]) == 0)
        deaf.close()


async def test_who_takes_an_answer_a_few_bytes_at_a_time_is_dropped(
    monkeypatch: pytest.MonkeyPatch, doors: list[Door]
) -> None:
    monkeypatch.setattr(asgi, "SEND_S", 1)
    monkeypatch.setattr(asgi, "SLOWEST_BYTES_S", 1 << 20)
    async with serving() as url:
        slow = socket.create_connection(address_of(url))
        slow.setblocking(False)
        slow.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        await until(lambda: len(doors[0]) == 1)

        async def take_some() -> bool:
            with suppress(OSError):
                slow.recv(100)
            return len(doors[0]) == 0

        await until(take_some)
        slow.close()


async def test_headers_that_trickle_in_have_an_end(doors: list[Door]) -> None:
    async with serving(Limits(keep_alive_s=1)) as url:
        slow = socket.create_connection(address_of(url))
        slow.sendall(b"GET /page HTTP/1.1\r\n")
        await until(lambda: len(doors[0]) == 1)

        async def trickle() -> bool:
            with suppress(OSError):
                slow.sendall(b"x")
            return len(doors[0]) == 0

        await until(trickle)
        slow.close()


async def test_headers_of_more_than_16_kib_are_refused() -> None:
    async with serving() as url:
        answer = await raw(url, b"GET /page HTTP/1.1\r\nHost: x\r\nLong: " + bytes([120]) * (asgi.HEADER_BYTES_MAX + 1))
    assert answer.startswith(b"HTTP/1.1 431")


async def test_who_hangs_up_is_forgotten_at_once(doors: list[Door]) -> None:
    before = len(asyncio.all_tasks())
    async with serving() as url:
        crowd = await crowd_of(url, 50)
        await until(lambda: len(doors[0]) == 50)
        for connection in crowd:
            connection.close()
        async with asyncio.timeout(asgi.KEEP_ALIVE_S / 3):
            await until(lambda: len(doors[0]) == 0 and len(asyncio.all_tasks()) < before + 20)


@pytest.mark.parametrize(
    "request_line",
    [b"GET ?x", b"GET x", b"GET *", b"GET http://else/page", b"GET //page", b"GET /page//", b"GET /%2Fpage"],
)
async def test_a_path_that_is_none_is_a_bad_request_and_no_redirect(request_line: bytes) -> None:
    async with serving() as url:
        answer = await raw(url, request_line + b" HTTP/1.1\r\nHost: else.example\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"application/problem+json" in answer
    assert b"else.example" not in answer


async def test_http_2_is_not_spoken() -> None:
    upgrade = b"GET /page HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: \r\n\r\n"
    async with serving() as url:
        reader, writer = await asyncio.open_connection(*address_of(url))
        writer.write(upgrade)
        assert b"101" in await reader.readuntil(b"\r\n")
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
        answer = b""
        while b"speak HTTP/1.1" not in answer:
            answer += await reader.readexactly(1)
        writer.close()


def test_there_are_fewer_connections_than_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    for soft, room in ((1_024, 1_024 - FILES - CLOSING_MAX), (540, 28), (64, 1), (10**6, 8_192)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, soft=soft: (soft, soft))
        assert room_for_connections() == room


async def test_without_a_descriptor_to_accept_with_one_line_is_logged(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(_: Any) -> Any:
        raise OSError(errno.EMFILE, "Too many open files")

    async with serving() as url:
        with monkeypatch.context() as patch:
            patch.setattr(Door, "accept", fail)
            waiting = socket.create_connection(address_of(url))
            await asyncio.sleep(0.2)
        waiting.close()
        await until(lambda: is_answered(url))  # the event loop accepts again a second later
    assert capfd.readouterr().err.count("cannot_accept") == 1


async def is_answered(url: str) -> bool:
    """Whether the server answers."""
    async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
        return (await http.get("/page")).text == "here"


def test_a_line_stands_for_those_that_were_not_logged(capfd: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    seldom = Seldom(lambda: now[0])
    for second in range(200):
        now[0] = float(second)
        seldom.warn("refused")
    lines = [line for line in capfd.readouterr().err.splitlines() if "refused" in line]
    assert len(lines) == 4
    assert "60" in lines[1]


def test_an_ipv6_subscriber_is_one_address() -> None:
    assert network_of("2001:db8:1:2::1") == network_of("2001:db8:1:2:ffff::9%eth0") != network_of("2001:db8:1:3::1")
    assert network_of("192.0.2.1") == "192.0.2.1"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    """A certificate for 127.0.0.1 that signs itself."""
    return own_certificate(tmp_path_factory.mktemp("tls"))


async def test_a_server_with_a_certificate_is_believed_by_who_knows_it_and_by_nobody_else(tls: TlsFiles) -> None:
    check_tls(tls)
    async with serving(tls=tls) as url:
        assert url.startswith("https://")
        context = ssl.create_default_context(cafile=str(tls.certificate))
        async with httpx.AsyncClient(base_url=url, verify=context, trust_env=False) as http:
            assert (await http.get("/page")).text == "here"
        async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
            with pytest.raises(httpx.ConnectError, match="certificate"):
                await http.get("/page")


def test_a_certificate_without_its_key_is_one_line(tls: TlsFiles, tmp_path: Path) -> None:
    for files in (TlsFiles(tls.certificate, tls.certificate), TlsFiles(tmp_path / "no", tls.key)):
        with pytest.raises(UsageError, match="no certificate with its key"):
            check_tls(files)
