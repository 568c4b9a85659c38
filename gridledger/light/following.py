"""Following the certificates of one or several nodes, and keeping what was learned and what is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from gridcore.errors import GridError, UsageError
from gridcore.files import replace_file
from gridcore.light.codec import encode_fork
from gridcore.light.follow import ForkError, compare, follow
from gridcore.light.state import LightState, begin_with_trust, load_state, save_state
from gridcore.light.trusted import CertifiedHeader, OtherHistoryError
from gridcore.logs import get_logger
from ledger.client import Client

_log = get_logger(__name__)


@dataclass(frozen=True)
class Nodes:
    """Whom to follow. authority: certificates (PEM) that https nodes are compared with, None for those of this machine."""

    urls: Sequence[str]
    authority: Path | None = None


@dataclass(frozen=True)
class Followed:
    """What one round came to. faults: one line a node of which something is wrong, by its URL."""

    state: LightState
    faults: dict[str, str]


class ForkFoundError(GridError):
    """A fork was found; the line names both headers and the file that holds them."""


def open_state(path: Path, trust: Path | None) -> LightState:
    """The state of the last run, else what a trust file says. UsageError where there is neither, or they are of different chains."""
    kept = load_state(path)
    if trust is None:
        if kept is None:
            raise UsageError(f"--state {path}: is not there yet; begin with --trust FILE, the trust root of the chain")
        return kept
    given = begin_with_trust(trust, "check --trust")
    if kept is None:
        return given
    for name in ("chain", "genesis"):
        if getattr(kept.trusted, name) != getattr(given.trusted, name):
            raise UsageError(f"--state {path}: is of another {name} than {trust}; give each chain a file of its own")
    return replace(kept, pins=given.pins)


def fork_path(state: Path) -> Path:
    """Where the evidence of a fork is kept: beside the state."""
    return state.with_name(f"{state.name}.fork")


def keep_fork(path: Path, fork: ForkError) -> ForkFoundError:
    """Put both headers in a file beside the state, and the alarm that names it."""
    evidence = fork_path(path)
    replace_file(evidence, encode_fork(fork.ours, fork.theirs))
    return ForkFoundError(f"{fork}; kept in {evidence}")


async def follow_nodes(clients: Sequence[Client], state: LightState, path: Path) -> Followed:
    """One round over all nodes; the state is on the disk after each one that led further. ForkFoundError where two histories show."""
    faults: dict[str, str] = {}
    strange: list[CertifiedHeader] = []
    for client in clients:
        try:
            trusted = await follow(client, state.trusted)
        except ForkError as fork:
            raise keep_fork(path, fork) from None
        except GridError as error:
            if isinstance(error, OtherHistoryError):
                strange.append(error.shown)
            line = str(error)
            faults[client.url] = line if line.startswith(client.url) else f"{client.url}: {line}"
            continue
        if trusted != state.trusted:
            state = replace(state, trusted=trusted)
            save_state(path, state)
    honest = [client for client in clients if client.url not in faults]
    for client, shown in product(honest, strange):
        try:
            await compare(client, state.trusted, shown)
        except ForkError as fork:
            raise keep_fork(path, fork) from None
        except GridError as error:  # it is not that far yet: in the next round
            _log.info("not_compared", url=client.url, height=shown.header.height, reason=str(error))
    return Followed(state, faults)


async def follow_on(
    nodes: Nodes, state: LightState, path: Path, *, every_s: float, tell: Callable[[Followed], bool]
) -> None:
    """Round after round, ``every_s`` apart, until ``tell`` says that it was enough. Each node has a connection of its own."""
    async with AsyncExitStack() as resources:
        made = [Client(url, chain=state.trusted.chain, authority=nodes.authority) for url in nodes.urls]
        clients = [await resources.enter_async_context(client) for client in made]
        while True:
            followed = await follow_nodes(clients, state, path)
            state = followed.state
            if tell(followed):
                return
            await asyncio.sleep(every_s)
