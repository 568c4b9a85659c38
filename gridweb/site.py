"""What a running site consists of, and how views get at it: ``site()``, ``viewer()``, ``source()``."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final, cast

from quart import current_app, g

from gridcore.clock import Clock
from gridcore.errors import broken
from gridcore.serving.metrics import CounterKind, Metrics
from gridweb.access import Viewer
from gridweb.config import WebConfig
from gridweb.exports.jobs import Exports
from gridweb.feed import Feed
from gridweb.health import Health
from gridweb.issued import Issued
from gridweb.people import People
from gridweb.replays import Replays
from gridweb.sessions import Sessions
from gridweb.source import Source
from gridweb.throttle import Throttle
from gridweb.users import Users
from gridweb.worklist import Worklist

SIGN_INS: Final = CounterKind("sign_ins_total", "Sign-ins by their outcome.", "outcome")


@dataclass(frozen=True)
class Site:
    """The parts of one site, made by ``gridledger.serving`` (or a test) and handed to ``gridweb.app.create_app``.

    ``people``, ``issued``, ``replays``: None where the configuration names none. ``stop``: set when the process goes down; ``broken``: promises that were broken in answers, which set it.
    """

    config: WebConfig
    source: Source
    health: Health
    feed: Feed
    users: Users
    sessions: Sessions
    worklist: Worklist
    throttle: Throttle
    metrics: Metrics
    exports: Exports
    clock: Clock
    version: str
    stop: asyncio.Event
    people: People | None = None
    issued: Issued | None = None
    replays: Replays | None = None
    broken: list[BaseException] = field(default_factory=list)

    def take_down(self, error: BaseException) -> None:
        """Keep a promise that was broken and let the process end; ``check_whole`` raises it then, outside the web framework."""
        self.broken.append(error)
        self.stop.set()

    def check_whole(self) -> None:
        """Raise the promise that was broken in an answer, if one was: what is in memory is not to be relied on."""
        if self.broken:
            raise self.broken[0]


def site() -> Site:
    """The site of the request under way."""
    return cast("Site", current_app.extensions["gridweb"])


def source() -> Source:
    """Where the request under way gets its data."""
    return site().source


def viewer() -> Viewer:
    """Who asks; only in views that are not public."""
    found = maybe_viewer()
    return found if found is not None else broken("a view for signed-in people runs for one")


def maybe_viewer() -> Viewer | None:
    """Who asks, if anybody is signed in."""
    return cast("Viewer | None", g.get("viewer"))
