"""The process that serves the pages: one TOML file, a node to ask, a store of time series that follows it, and the site.

node = "http://127.0.0.1:7070"       # the way to the ledger

[key]                                # who asks: an id on the ledger that may read everything and do nothing, such as a regulator
signer = "web"
uri = "file:web.pem"
password = "file:web.password"

[web]                                # gridweb.config
trust = "trust.json"
people = "people.db"                 # gridledger people
book = "book"                        # gridledger settle issue

[series]                             # gridseries.config
path = "series.db"

[replay]                             # gridledger.remaking; without: runs are not made again on the pages
archive = "archive"
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from sqlite3 import Connection
from tempfile import TemporaryDirectory
from typing import Final
from urllib.parse import urlsplit

from gridcore.clock import WallClock
from gridcore.config import load_config
from gridcore.errors import GridError, UsageError
from gridcore.files import read_bounded
from gridcore.logs import LEVELS, get_logger
from gridcore.serving import asgi
from gridcore.serving.metrics import Metrics
from gridcore.serving.ports import is_loopback
from gridcore.serving.tls import check_tls
from gridcore.signers import SCHEMES, open_signer
from gridcore.sm import Signer
from gridcore.verify import Halt, Trust, decode_trust
from gridledger import __version__
from gridledger.remaking import ReplayConfig, remake
from gridseries.config import SeriesConfig
from gridseries.projection import Projector
from gridseries.stores import open_series
from gridweb.app import create_app
from gridweb.config import WebConfig
from gridweb.database import check_database, open_database
from gridweb.exports.jobs import Exports
from gridweb.exports.pdf_file import check_fonts
from gridweb.feed import Feed
from gridweb.freshness import Pulse
from gridweb.health import Health
from gridweb.issued import Issued
from gridweb.people import PEOPLE, People
from gridweb.replays import Replays
from gridweb.sessions import Sessions
from gridweb.site import SIGN_INS, Site
from gridweb.source import NOT_FOUND, Source
from gridweb.static_files import check_static_files
from gridweb.throttle import Throttle
from gridweb.users import Users
from gridweb.worklist import Worklist
from ledger.client import Client, NodeRefused, NodeUnreachable, check_url

TRUST_BYTES_MAX: Final = 1024 * 1024
PAGE_TIMEOUT_S: Final = 5.0
"""How long a page waits for the node before it says that the node is away."""
EVENT_STREAMS: Final = asgi.Limits(read_timeout_s=None)
"""A browser says nothing while it listens to events; a limit on silence would cut every stream once in a while."""
STATUS_EVERY_S: Final = 1.0
"""New heights are told to open pages at most this often."""
PROBE_EVERY_S: Final = 1.0
"""What is away, and what is back, is looked for so often, also where nobody asks and the ledger stands still."""

log = get_logger(__name__)


@dataclass(frozen=True)
class KeyConfig:
    """Who asks the node. ``signer``: its id on the ledger; ``uri`` and ``password`` (by reference): its key."""

    signer: str = field(metadata={"min": 1, "max": 64})
    uri: str = field(metadata={"schemes": SCHEMES})
    password: str | None = field(default=None, metadata={"secret": True})


@dataclass(frozen=True)
class ServeConfig:
    """The pages of one node. ``node_authority``: certificates (PEM) that an https node is compared with, None for this machine's."""

    node: str = field(metadata={"min": 1, "max": 2_000})
    key: KeyConfig
    web: WebConfig
    series: SeriesConfig
    replay: ReplayConfig | None = None
    node_authority: Path | None = None
    log_level: str = field(default="info", metadata={"choices": LEVELS})

    def __post_init__(self) -> None:
        """Rules over several fields. UsageError names the key and what would be right."""
        check_url(self.node)
        if self.web.demo and not is_loopback(self.web.listen.host):
            raise UsageError(
                f"web.demo = true lets everybody in without a password; listen on loopback alone, not {self.web.listen.host}"
            )
        if self.web.demo and not is_loopback(urlsplit(self.web.public_url or "//localhost").hostname or ""):
            raise UsageError("web.demo = true is open under this machine's own name alone; leave web.public_url out")


def doubts(config: ServeConfig) -> Iterator[tuple[str, str]]:
    """(event, remedy) of what may be meant so and mostly is not: said in the log at the start."""
    if config.web.listen.is_open_to_readers:
        yield "listens_without_tls", "give web.listen.certificate, or put a proxy with TLS before it"
    if config.web.is_secure and config.web.listen.tls is None and not config.web.proxies:
        yield (
            "all_browsers_seem_one",
            "count the proxies in web.proxies: guessed passwords lock an address, here the proxy's",
        )


@dataclass(frozen=True)
class Parts:
    """What a configuration refers to, opened and tested."""

    config: ServeConfig
    trust: Trust
    signer: Signer


def open_parts(config: ServeConfig) -> Parts:
    """Read trust file, key and certificate, and look for the files that browsers load. UsageError naming what cannot be used."""
    check_static_files()
    check_fonts()
    if config.web.listen.tls is not None:
        check_tls(config.web.listen.tls)
    data = read_bounded(config.web.trust, TRUST_BYTES_MAX, "check the key 'web.trust'")
    try:
        trust = decode_trust(data)
    except Halt as halt:
        raise UsageError(f"web.trust: {config.web.trust}: {halt.args[-1]}") from None
    return Parts(config, trust, open_signer(config.key.uri, config.key.password, origin="key.uri"))


def check_file(path: Path) -> Parts:
    """Everything that can be known of a configuration file before the process runs. UsageError naming file and key."""
    config = load_config(path, ServeConfig)
    parts = open_parts(config)
    open_series(config.series)
    check_database(config.web.users)
    if config.web.people is not None:
        check_database(config.web.people, PEOPLE)
    if config.web.book is not None:
        from gridledger.settling.outgoing.shown import check_book_folder

        check_book_folder(config.web.book)
    return parts


async def serve_pages(
    parts: Parts, bound: socket.socket, stop: asyncio.Event, *, ready: Callable[[str], None] | None = None
) -> None:
    """Serve on ``bound`` until ``stop`` is set, and follow the node into the time series meanwhile.

    UsageError when a demonstration finds a chain that is not simulated. A broken promise of ours is raised at the end.
    """
    config = parts.config
    series = open_series(config.series)
    try:
        with closing(open_database(config.web.users)) as database, _people(config.web) as people:
            async with (
                open_client(parts, PAGE_TIMEOUT_S) as client,
                open_client(parts) as follower,
                _exports() as exports,
                _replays(config.replay) as replays,
            ):
                if config.web.demo:
                    await _check_simulated(client)
                health = Health(WallClock())
                feed = Feed(stop, first_id=WallClock().now_s() * 1_000)
                health.on_change = feed.publish_status
                projector = Projector(follower, series, on_slots=feed.publish_slots, on_health=health.report)
                source = Source(client, series, projector, health)
                site = _site(config, database, people, source, health, feed, exports, replays, stop)
                exports.on_broken = site.take_down
                if replays is not None:
                    replays.on_broken = site.take_down
                async with (
                    _beside(projector.run(stop), stop),
                    _beside(_tell_heights(projector, feed, stop), stop),
                    _beside(probe(site.source, stop, feed), stop),
                ):
                    await asgi.serve(
                        create_app(site), bound, stop, ready=ready, limits=EVENT_STREAMS, tls=config.web.listen.tls
                    )
                site.check_whole()
    finally:
        await series.close()


@asynccontextmanager
async def _exports() -> AsyncIterator[Exports]:
    """What is made beside the pages: it ends with the process, and so do its files."""
    with TemporaryDirectory(prefix="gridledger-exports-") as folder:
        exports = Exports(WallClock(), Path(folder))
        try:
            yield exports
        finally:
            await exports.close()


@asynccontextmanager
async def _replays(config: ReplayConfig | None) -> AsyncIterator[Replays | None]:
    """Runs that are made again beside the pages, where there is something to make them from."""
    if config is None:
        yield None
        return
    replays = Replays(WallClock(), partial(remake, config))
    try:
        yield replays
    finally:
        await replays.close()


@contextmanager
def _people(config: WebConfig) -> Iterator[People | None]:
    """Who stands behind pseudonyms, where the configuration names a file of them."""
    if config.people is None:
        yield None
        return
    with closing(open_database(config.people, PEOPLE)) as database:
        yield People(database)


def _issued(config: WebConfig) -> Issued | None:
    """The documents that were issued, where the configuration names their book; what reads it is loaded for that alone."""
    if config.book is None:
        return None
    from gridledger.settling.outgoing.shown import ShownBook

    return Issued(ShownBook(config.book))


def open_client(parts: Parts, timeout_s: float = 30.0) -> Client:
    """A client of the node that the pages ask, as their signer."""
    config = parts.config
    return Client(
        config.node,
        chain=parts.trust.chain,
        signer_id=config.key.signer,
        signer=parts.signer,
        timeout_s=timeout_s,
        authority=config.node_authority,
    )


async def knows_party(parts: Parts, party: str) -> bool:
    """Whether the registry of the ledger has a party of this name. NodeUnreachable, NodeRefused."""
    async with open_client(parts, PAGE_TIMEOUT_S) as client:
        try:
            await client.query(f"registry/party/{party}")
        except NodeRefused as refused:
            if refused.status == NOT_FOUND:
                return False
            raise
    return True


def _site(
    config: ServeConfig,
    database: Connection,
    people: People | None,
    source: Source,
    health: Health,
    feed: Feed,
    exports: Exports,
    replays: Replays | None,
    stop: asyncio.Event,
) -> Site:
    clock = WallClock()
    return Site(
        config=config.web,
        source=source,
        health=health,
        feed=feed,
        users=Users(database, clock),
        sessions=Sessions(database, clock, is_demo=config.web.demo),
        worklist=Worklist(database, clock),
        throttle=Throttle(time.monotonic),
        metrics=Metrics("web", SIGN_INS),
        exports=exports,
        clock=clock,
        version=__version__,
        stop=stop,
        people=people,
        issued=_issued(config.web),
        replays=replays,
    )


async def _check_simulated(client: Client) -> None:
    """UsageError when the node answers and its chain is a real one; a node that is away is asked again at each sign-in."""
    with suppress(NodeUnreachable, NodeRefused):
        status = await client.status()
        if not status.simulated:
            raise UsageError(
                f"web.demo = true lets everybody in without a password, and chain {status.chain} is not simulated; set it to false"
            )


@asynccontextmanager
async def _beside(work: object, stop: asyncio.Event) -> AsyncIterator[None]:
    """Run ``work`` beside the block; its end stops the process, and what broke it comes out."""
    task = asyncio.ensure_future(work)  # type: ignore[call-overload]  # a coroutine
    task.add_done_callback(lambda _: stop.set())
    try:
        yield
    finally:
        stop.set()
        await task


async def probe(source: Source, stop: asyncio.Event, feed: Feed) -> None:
    """Look at node and store every PROBE_EVERY_S until ``stop``: ``source`` reports what is away and what is back, and open pages are
    told when what they show is no longer current, or is again.
    """
    probing, stopping = asyncio.ensure_future(_probe(source, feed)), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((probing, stopping), return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        probing.cancel()
        with suppress(asyncio.CancelledError):
            await probing


async def _probe(source: Source, feed: Feed) -> None:
    pulse: Pulse | None = None
    while True:
        await asyncio.sleep(PROBE_EVERY_S)  # at first, too: a node that starts beside us is given time
        with suppress(GridError):  # reported where it was noticed
            await source.look()
        fresh = source.freshness()
        before, pulse = pulse, None if fresh is None else fresh.pulse
        if pulse is not before:
            feed.publish_status()


async def _tell_heights(projector: Projector, feed: Feed, stop: asyncio.Event) -> None:
    """Tell open pages of new heights, in bursts at most every STATUS_EVERY_S."""
    told = (-1, -1)
    while not stop.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), STATUS_EVERY_S)
        now = (projector.height, projector.newest)
        if now != told:
            told = now
            feed.publish_status()
