"""The nodes of a consortium whose folders lie in one folder: run together on one machine, and asked how they are.

Each member's folder is what ``gridledger consortium`` left there: node.toml, keys, the engine's home, the ledger.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from gridcore.config import load_config
from gridcore.errors import GridError, UsageError
from gridledger.supervised import Supervised
from ledger.client import Client, NodeStatus
from ledger.config import NodeConfig

NODE_TOML: Final = "node.toml"
READY_S_MAX: Final = 120.0
"""So long all nodes together have until each is ready, which needs more than two thirds of the power."""
ASK_EVERY_S: Final = 0.2
ASK_S_MAX: Final = 5.0


@dataclass(frozen=True)
class Place:
    """A member's node. ``folder``: its own; ``url``: where it answers."""

    name: str
    folder: Path
    url: str


@dataclass(frozen=True)
class Asked:
    """What a node answered. ``status``: None where it did not, for the ``reason``; ``is_ready``: as its /readyz says."""

    name: str
    url: str
    status: NodeStatus | None
    is_ready: bool
    reason: str = ""


def places_in(folder: Path) -> list[Place]:
    """Every member's node in ``folder``, by name. UsageError where there is none, naming the command that makes them."""
    files = sorted(folder.glob(f"*/{NODE_TOML}"))
    if not files:
        raise UsageError(
            f"{folder}: holds no member's folder; make one with: gridledger consortium init --out {folder}"
        )
    return [Place(file.parent.name, file.parent, _url_of(file)) for file in files]


def _url_of(file: Path) -> str:
    listen = load_config(file, NodeConfig).listen
    scheme = "https" if listen.tls is not None else "http"
    return f"{scheme}://{listen.host}:{listen.port}"


async def run_all(places: Sequence[Place], ready: Callable[[Sequence[Asked]], None]) -> None:
    """Run every node until SIGINT or SIGTERM; ``ready`` is called once, when all of them are.

    GridError naming the node that cannot run, or those that are not ready within READY_S_MAX; all are ended then.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    children = [_child(place) for place in places]
    try:
        async with asyncio.TaskGroup() as group:
            for child in children:
                group.create_task(child.run())
            try:
                stopping = group.create_task(stop.wait())
                waiting = group.create_task(_wait_ready(places))
                await asyncio.wait({stopping, waiting}, return_when=asyncio.FIRST_COMPLETED)
                if not stop.is_set():
                    ready(await waiting)
                    await stop.wait()
                waiting.cancel()
            finally:
                stop.set()
                await asyncio.gather(*(child.stop() for child in children))
    except* (GridError, OSError) as errors:
        raise errors.exceptions[0] from None


def _child(place: Place) -> Supervised:
    command = [sys.executable, "-m", "gridledger", "node", "run", "--config", str(place.folder / NODE_TOML)]
    return Supervised("node", command, place.folder)


async def _wait_ready(places: Sequence[Place]) -> list[Asked]:
    loop = asyncio.get_running_loop()
    give_up = loop.time() + READY_S_MAX
    while True:
        asked = await ask_all([(place.name, place.url) for place in places])
        late = [f"{one.name} ({one.reason or 'not ready'})" for one in asked if not one.is_ready]
        if not late:
            return asked
        if loop.time() > give_up:
            raise GridError(f"gridledger consortium: not ready within {READY_S_MAX:.0f} s: {', '.join(late)}")
        await asyncio.sleep(ASK_EVERY_S)


async def ask_all(nodes: Sequence[tuple[str, str]]) -> list[Asked]:
    """How each of these nodes (name, URL) is; all are asked at once."""
    return list(await asyncio.gather(*(_ask(name, url) for name, url in nodes)))


def alarms_of(asked: Sequence[Asked]) -> list[str]:
    """What must not be among nodes of one consortium: another chain, another header of the same height."""
    answered = [(one.name, one.status) for one in asked if one.status is not None]
    alarms = []
    for number, (name, status) in enumerate(answered):
        for other, first in answered[:number]:
            if first.chain != status.chain:
                alarms.append(f"{name} is of chain {status.chain}, {other} of {first.chain}")
            elif first.height == status.height and first.header_digest != status.header_digest:
                digests = f"{first.header_digest.hex()} and {status.header_digest.hex()}"
                alarms.append(f"{other} and {name} have two headers of height {status.height}: {digests}")
    return alarms


async def _ask(name: str, url: str) -> Asked:
    try:
        async with Client(url, timeout_s=ASK_S_MAX) as client:
            status = await client.status()
    except GridError as error:
        return Asked(name, url, None, False, " ".join(str(error).split()))
    try:
        async with httpx.AsyncClient(timeout=ASK_S_MAX) as web:
            answer = await web.get(f"{url}/readyz")
    except httpx.HTTPError as error:
        return Asked(name, url, status, False, str(error) or type(error).__name__)
    return Asked(name, url, status, answer.is_success, "" if answer.is_success else _detail_of(answer))


def _detail_of(answer: httpx.Response) -> str:
    """What a node says why it is not ready."""
    try:
        return str(answer.json()["detail"])[:300]
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status_code}"
