"""The lines between validators where a scenario cuts some of them off: every connection of one engine to another passes one, and is held while it is cut.

A line that is cut loses nothing that TCP would not send again: what is on its way arrives when the line is there again, and a new connection waits. All
processes live meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from gridcore.serving.ports import HOST
from gridledger.demo.nodes import NodePlace, engine_home
from gridledger.demo.passing import READ_BYTES, Ends, Passing
from ledger.engines.cometbft.home import load_keys, peer_ports


class PeerLine:
    """By which the engine of ``caller`` reaches that of ``called``: listens at ``port``, leads to ``to_port``."""

    def __init__(self, caller: str, called: str, port: int, to_port: int) -> None:
        self.ends = frozenset({caller, called})
        self._port = port
        self._to_port = to_port
        self._is_there = asyncio.Event()
        self._is_there.set()
        self._passing = Passing(self._connect, lambda: (self._pass, self._pass))

    async def start(self) -> None:
        """Listen."""
        await self._passing.start(self._port)

    @property
    def is_cut(self) -> bool:
        """Whether everything is held."""
        return not self._is_there.is_set()

    def set_cut(self, is_cut: bool) -> None:
        """Hold everything from now on, or let it pass."""
        if is_cut:
            self._is_there.clear()
        else:
            self._is_there.set()

    async def close(self) -> None:
        """End all connections."""
        await self._passing.close()

    async def _connect(self) -> Ends:
        await self._is_there.wait()
        return await asyncio.open_connection(HOST, self._to_port)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(READ_BYTES):
            await self._is_there.wait()
            writer.write(data)
            await writer.drain()


class PeerLines:
    """All of a run."""

    def __init__(self, lines: Collection[PeerLine]) -> None:
        self.lines = tuple(lines)

    def cut_off(self, names: Collection[str]) -> None:
        """Cut the lines between these nodes and all others, and no other line."""
        for line in self.lines:
            line.set_cut(len(line.ends.intersection(names)) == 1)


@asynccontextmanager
async def peer_lines_of(run_dir: Path, places: Collection[NodePlace]) -> AsyncIterator[PeerLines]:
    """The lines that engines' configurations in ``run_dir`` lead over, while the block is in progress."""
    async with contextlib.AsyncExitStack() as stack:
        lines = list(_lines_in(run_dir, places))
        for line in lines:
            await line.start()
            stack.push_async_callback(line.close)
        yield PeerLines(lines)


def _lines_in(run_dir: Path, places: Collection[NodePlace]) -> Iterator[PeerLine]:
    """A line for each peer that an engine calls elsewhere than where that one listens."""
    homes = {place.name: engine_home(run_dir, place.name) for place in places}
    if not all(home.exists() for home in homes.values()):
        return  # one node alone has no engine beside it
    ids = {name: load_keys(home).node_id for name, home in homes.items()}
    listens = {name: peer_ports(home)[0] for name, home in homes.items()}
    for caller, home in homes.items():
        calls = peer_ports(home)[1]
        for called in homes.keys() - {caller}:
            if calls[ids[called]] != listens[called]:
                yield PeerLine(caller, called, calls[ids[called]], listens[called])
