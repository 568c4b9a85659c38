"""The process that serves the pages, put together: what it refuses to start on, what ends it, what open pages are told."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from gridcore.errors import InvariantError, UsageError
from gridcore.serving.asgi import open_socket
from gridcore.sm import SigningKey
from gridcore.verify import Trust
from gridledger import serving
from gridledger.serving import KeyConfig, Parts, ServeConfig, doubts, probe, serve_pages
from gridseries.config import SeriesConfig
from gridseries.projection import Projector
from gridweb.config import ListenConfig, WebConfig
from gridweb.feed import Feed
from ledger.client import NodeUnreachable
from tests.unit.web.web_world import FakeNode, make_world
from tests.waiting import until
from tests.worlds.certificates import own_certificate

PATIENCE_S = 30.0


class OneNode(FakeNode):
    """A node in place of the client of one."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def query(self, path: str, **params: Any) -> Any:
        """Nothing is projected here."""
        raise NodeUnreachable("no node")


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    """A demonstration's configuration."""
    key = SigningKey.generate()
    trust = Trust("test-0123456789abcdef", bytes(32), ((key.public_key, 1, "operator"),), ())
    web = WebConfig(tmp_path / "trust.json", tmp_path / "users.db", demo=True, listen=ListenConfig(port=0))
    config = ServeConfig(
        "http://127.0.0.1:1", KeyConfig("web", "file:x"), web, SeriesConfig(path=tmp_path / "series.db")
    )
    return Parts(config, trust, key)


def use_node(monkeypatch: pytest.MonkeyPatch, node: OneNode) -> None:
    """Let every client be this node."""
    monkeypatch.setattr(serving, "Client", lambda *_, **__: node)


async def test_a_demonstration_does_not_start_on_a_chain_that_is_not_simulated(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_node(monkeypatch, OneNode(clock="block"))
    with open_socket("127.0.0.1", 0) as bound, pytest.raises(UsageError, match="is not simulated; set it to false"):
        await serve_pages(parts, bound, asyncio.Event())


async def test_a_demonstration_starts_while_its_node_is_not_there_yet(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_node(monkeypatch, OneNode(away=True))
    stop, urls = asyncio.Event(), list[str]()

    def ready(url: str) -> None:
        urls.append(url)
        stop.set()

    async with asyncio.timeout(PATIENCE_S):
        await serve_pages(parts, open_socket("127.0.0.1", 0), stop, ready=ready)
    assert urls[0].startswith("http://127.0.0.1:")


async def test_pages_with_a_certificate_speak_tls_and_their_cookies_are_secure(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_node(monkeypatch, OneNode(away=True))
    tls = own_certificate(tmp_path)
    listen = ListenConfig(port=0, certificate=tls.certificate, certificate_key=tls.key)
    config = replace(parts.config, web=replace(parts.config.web, listen=listen))
    stop, urls = asyncio.Event(), asyncio.Queue[str]()
    serving = asyncio.create_task(
        serve_pages(replace(parts, config=config), open_socket("127.0.0.1", 0), stop, ready=urls.put_nowait)
    )
    async with asyncio.timeout(PATIENCE_S):
        url = await urls.get()
        context = ssl.create_default_context(cafile=str(tls.certificate))
        async with httpx.AsyncClient(base_url=url, verify=context, trust_env=False) as http:
            answer = await http.get("/sign-in")
        assert url.startswith("https://")
        assert answer.headers["Set-Cookie"].startswith("__Host-")
        stop.set()
        await serving


async def test_what_is_away_and_what_is_back_is_noticed_though_nobody_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "PROBE_EVERY_S", 0.01)
    world, stop = make_world(tmp_path), asyncio.Event()
    probing = asyncio.create_task(probe(world.site.source, stop, world.site.feed))
    world.node.away = world.series.away = True
    await until(lambda: len(world.site.source.outages()) == 2)
    world.node.away = world.series.away = False
    await until(lambda: world.site.source.outages() == [])
    stop.set()
    async with asyncio.timeout(PATIENCE_S):
        await probing


async def test_a_node_that_starts_beside_the_pages_is_not_called_away_before_anybody_asked(tmp_path: Path) -> None:
    world, stop = make_world(tmp_path), asyncio.Event()
    world.node.away = world.series.away = True
    probing = asyncio.create_task(probe(world.site.source, stop, world.site.feed))
    for _ in range(20):  # far enough for a question that nothing holds up
        await asyncio.sleep(0)
    assert world.site.source.outages() == []
    stop.set()
    async with asyncio.timeout(PATIENCE_S):
        await probing


async def test_a_broken_promise_of_the_projection_ends_the_process_and_comes_out(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(self: Projector, stop: asyncio.Event) -> None:
        raise InvariantError("a projection writes what the ledger says")

    use_node(monkeypatch, OneNode())
    monkeypatch.setattr(Projector, "run", run)
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(InvariantError, match="writes what the ledger says"):
            await serve_pages(parts, open_socket("127.0.0.1", 0), asyncio.Event())


class Progress:
    """Where a projection stands; counts how often it was looked at."""

    def __init__(self) -> None:
        self.newest = 1
        self.looks = 0

    @property
    def height(self) -> int:
        """Always the same."""
        self.looks += 1
        return 1


async def test_open_pages_are_told_of_a_new_height_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "STATUS_EVERY_S", 0.001)
    stop, progress = asyncio.Event(), Progress()
    feed = Feed(stop)
    telling = asyncio.create_task(serving._tell_heights(progress, feed, stop))  # type: ignore[arg-type]  # it has what is used
    stream = feed.open(None)
    async with asyncio.timeout(PATIENCE_S):
        await anext(stream)
        assert (await anext(stream)).endswith(b"event: status\ndata: {}\n\n")
        progress.newest += 1
        assert (await anext(stream)).startswith(b"id: 2\n")
    looks = progress.looks
    await until(lambda: progress.looks > looks + 5)
    stop.set()
    await telling
    assert [piece async for piece in stream] == []


def test_a_demonstration_has_no_address_of_its_own_in_the_world(tmp_path: Path) -> None:
    def configure(url: str) -> ServeConfig:
        web = WebConfig(tmp_path / "trust.json", demo=True, public_url=url)
        return ServeConfig(
            "http://127.0.0.1:1", KeyConfig("web", "file:web.pem"), web, SeriesConfig(path=tmp_path / "series.db")
        )

    configure("http://localhost:7080")
    with pytest.raises(UsageError, match=r"web\.public_url"):
        configure("https://grid.example")


@pytest.mark.parametrize(
    ("web", "events"),
    [
        ({"public_url": "https://grid.example", "proxies": 1}, []),
        ({"public_url": "https://grid.example"}, ["all_browsers_seem_one"]),
        ({"listen": ListenConfig("0.0.0.0")}, ["listens_without_tls"]),
        ({"listen": ListenConfig("0.0.0.0", certificate=Path("c.pem"), certificate_key=Path("k.pem"))}, []),
    ],
)
def test_what_is_mostly_not_meant_is_said_at_the_start(tmp_path: Path, web: dict[str, Any], events: list[str]) -> None:
    series = SeriesConfig(path=tmp_path / "series.db")
    config = ServeConfig(
        "http://127.0.0.1:1", KeyConfig("web", "file:x"), WebConfig(tmp_path / "t.json", **web), series
    )
    assert [event for event, _ in doubts(config)] == events
