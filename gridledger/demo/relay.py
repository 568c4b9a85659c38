"""What lies between a gateway and its node where a scenario says that something happens there: it passes bytes on, or loses them.

A gateway of a simulated world has its time from the node. A real one has it from elsewhere, so a cut line leaves questions about the
time alone; and a gateway whose clock is set back hears an earlier one.
"""

from __future__ import annotations

import asyncio
import re
from typing import Final
from urllib.parse import urlsplit

from gridcore.node_interface import API
from gridcore.serving.ports import HOST
from gridledger.demo.passing import READ_BYTES, Ends, Passing, Way

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
        self._passing = Passing(self._connect, self._ways)

    async def start(self) -> None:
        """Listen at ``url``."""
        self.url = f"http://{HOST}:{await self._passing.start(0)}"

    def lead_to(self, node_url: str) -> None:
        """Lead to another node from now on, if it is another one: connections to the one before end."""
        node = urlsplit(node_url)
        if node != self._node:
            self._node = node
            self._passing.end_connections()

    async def close(self) -> None:
        """End all connections."""
        await self._passing.close()

    async def _connect(self) -> Ends:
        return await asyncio.open_connection(self._node.hostname, self._node.port)

    def _ways(self) -> tuple[Way, Way]:
        way = _Way(self)
        return way.ask, way.answer


class _Way:
    """One connection. A request begins with its method, in a piece of its own; there is one at a time."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._asks_time = False

    async def ask(self, gateway: asyncio.StreamReader, node: asyncio.StreamWriter) -> None:
        """Pass on what the gateway says; ends where it is lost."""
        while data := await gateway.read(READ_BYTES):
            if data.startswith(_METHODS):
                self._asks_time = data.startswith(_CLOCK)
            if self._relay.is_cut and not self._asks_time:
                return
            node.write(_moved(data, _ASKED, self._relay.behind_s) if self._asks_time else data)
            await node.drain()

    async def answer(self, node: asyncio.StreamReader, gateway: asyncio.StreamWriter) -> None:
        """Pass on what the node says; ends where it is lost."""
        while data := await node.read(READ_BYTES):
            if self._relay.is_cut and not self._asks_time:
                return
            gateway.write(_moved(data, _TOLD, -self._relay.behind_s) if self._asks_time else data)
            await gateway.drain()


def _moved(data: bytes, times: re.Pattern[bytes], by_s: int) -> bytes:
    """The same bytes with other times in them, of as many digits."""
    return times.sub(lambda found: b"%d" % (int(found[0]) + by_s), data)
