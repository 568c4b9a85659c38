"""A server started in code: ready when it answers, ended by an event, whatever its clients do meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from gridcore.errors import UsageError
from gridcore.serving import asgi
from gridcore.serving.asgi import Limits, open_socket, serve

PATIENCE_S = 30.0


class Streams:
    """An ASGI application: ``/`` answers at once, ``/stream`` until ``stop`` is set or the client is gone, ``/deaf`` never."""

    def __init__(self, stop: asyncio.Event) -> None:
        self.stop = stop
        self.opened = asyncio.Event()

    async def __call__(self, scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b".", "more_body": scope["path"] != "/"})
        if scope["path"] == "/":
            return
        self.opened.set()
        leaving = asyncio.create_task(receive_disconnect(receive))
        while scope["path"] == "/deaf" or not (self.stop.is_set() or leaving.done()):
            await asyncio.wait((leaving,), timeout=0.05)
            await send({"type": "http.response.body", "body": b".", "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _live(self, receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        for word in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{word}.complete"})


async def receive_disconnect(receive: Callable[..., Any]) -> None:
    """Return when the client is said to be gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


@asynccontextmanager
async def serving(limits: Limits | None = None) -> AsyncIterator[tuple[str, Streams, asyncio.Task[None]]]:
    """A server on a free port; stopped at the end."""
    stop, ready = asyncio.Event(), asyncio.Queue[str]()
    app, bound = Streams(stop), open_socket("127.0.0.1", 0)
    task = asyncio.create_task(serve(app, bound, stop, ready=ready.put_nowait, limits=limits))  # type: ignore[arg-type]  # plain dicts
    async with asyncio.timeout(PATIENCE_S):
        try:
            yield await ready.get(), app, task
        finally:
            stop.set()
            await task


async def test_a_websocket_is_refused_before_the_application_sees_it() -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Version": "13",
    }
    async with serving() as (url, app, _), httpx.AsyncClient(base_url=url) as http:
        assert (await http.get("/stream", headers=upgrade)).status_code == 403
        assert not app.opened.is_set()


async def test_ready_is_said_when_requests_are_answered_and_the_port_is_free_after_the_stop() -> None:
    async with serving() as (url, _, _), httpx.AsyncClient(base_url=url) as http:
        assert (await http.get("/")).text == "."
    with open_socket("127.0.0.1", int(url.rpartition(":")[2])):
        pass


async def test_streams_that_watch_the_stop_end_in_order(capfd: pytest.CaptureFixture[str]) -> None:
    async with serving() as (url, app, task), httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as http:
        reading = asyncio.create_task(http.get("/stream"))
        await app.opened.wait()
        app.stop.set()
        assert (await reading).status_code == 200
        await task
    assert "http_connections_cut" not in capfd.readouterr().err


async def test_a_stream_that_does_not_listen_is_cut_and_logged(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(asgi, "GRACE_S", 0.1)
    async with serving() as (url, app, task), httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as http:
        reading = asyncio.create_task(http.get("/deaf"))
        await app.opened.wait()
        app.stop.set()
        await task
        with pytest.raises(httpx.RemoteProtocolError):
            await reading
    errors = capfd.readouterr().err
    assert "http_connections_cut" in errors
    assert "Traceback" not in errors


async def test_a_limit_on_silence_cuts_a_listener_and_no_limit_leaves_it() -> None:
    async with (
        serving(Limits(read_timeout_s=1)) as (short, _, _),
        serving(Limits(read_timeout_s=None)) as (endless, _, _),
        httpx.AsyncClient(timeout=PATIENCE_S) as http,
        http.stream("GET", f"{endless}/stream") as kept,
    ):
        chunks = kept.aiter_raw()
        await anext(chunks)
        with contextlib.suppress(httpx.RemoteProtocolError):  # cut in the middle of its answer
            await http.get(f"{short}/stream")
        for _ in range(3):
            assert await anext(chunks)


def test_an_address_that_is_taken_or_foreign_is_one_line() -> None:
    with open_socket("127.0.0.1", 0) as first:
        first.listen()
        with pytest.raises(UsageError, match="in use by another program"):
            open_socket("127.0.0.1", first.getsockname()[1])
    with pytest.raises(UsageError, match="cannot listen there"):
        open_socket("192.0.2.1", 0)
