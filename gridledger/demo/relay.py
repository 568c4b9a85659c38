"""What lies between a gateway and its node where a scenario says that something happens there: it passes bytes on, or loses them.

A gateway of a simulated world has its time from the node. A real one has it from elsewhere, so a cut line leaves questions about the
time alone; and a gateway whose clock is set back hears an earlier one.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import Final
from urllib.parse import urlsplit

from gridcore.node_interface import API
from gridcore.serving.ports import HOST

_READ_BYTES: Final = 65_536
_METHODS: Final = (b"GET ", b"POST ")
_CLOCK: Final = f"GET {API}/clock".encode()
_ASKED: Final = re.compile(rb"(?<=after_s=)\d+")
_TOLD: Final = re.compile(rb'(?<="ledger_time_s":)\d+|(?<="ledger_time_s": )\d+')


class Relay:
    """The way of one gateway. ``is_cut``: nothing but the time passes; ``behind_s``: by so much the time that it tells is behind."""

    def __init__(self, node_url: str) -> None:
        self.is_cut = False
        self.behind_s = 0
        self.url = ""
        """What the gateway takes for its node's."""
        self._node = urlsplit(node_url)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen at ``url``."""
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        self.url = f"http://{HOST}:{self._server.sockets[0].getsockname()[1]}"

    def lead_to(self, node_url: str) -> None:
        """Lead to another node from now on, if it is another one: connections to the one before end."""
        node = urlsplit(node_url)
        if node == self._node:
            return
        self._node = node
        for task in self._open:
            task.cancel()

    async def close(self) -> None:
        """End all connections."""
        if self._server is not None:
            self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        self._open.add(task)
        way = _Way(self)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):  # it ends here: nobody waits for it
                to_node = await asyncio.open_connection(self._node.hostname, self._node.port)
                try:
                    pipes = [
                        asyncio.ensure_future(way.ask(reader, to_node[1])),
                        asyncio.ensure_future(way.answer(to_node[0], writer)),
                    ]
                    await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for pipe in pipes:
                        pipe.cancel()
                    await asyncio.gather(*pipes, return_exceptions=True)
                    to_node[1].transport.abort()
        finally:
            writer.transport.abort()
            self._open.discard(task)


class _Way:
    """One connection. A request begins with its method, in a piece of its own; there is one at a time."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._asks_time = False

    async def ask(self, gateway: asyncio.StreamReader, node: asyncio.StreamWriter) -> None:
        """Pass on what the gateway says; ends where it is lost."""
        while data := await gateway.read(_READ_BYTES):
            if data.startswith(_METHODS):
                self._asks_time = data.startswith(_CLOCK)
            if self._relay.is_cut and not self._asks_time:
                return
            node.write(_moved(data, _ASKED, self._relay.behind_s) if self._asks_time else data)
            await node.drain()

    async def answer(self, node: asyncio.StreamReader, gateway: asyncio.StreamWriter) -> None:
        """Pass on what the node says; ends where it is lost."""
        while data := await node.read(_READ_BYTES):
            if self._relay.is_cut and not self._asks_time:
                return
            gateway.write(_moved(data, _TOLD, -self._relay.behind_s) if self._asks_time else data)
            await gateway.drain()


def _moved(data: bytes, times: re.Pattern[bytes], by_s: int) -> bytes:
    """The same bytes with other times in them, of as many digits."""
    return times.sub(lambda found: b"%d" % (int(found[0]) + by_s), data)
