"""Connections that are passed on: whoever listens here, and for each connection the way there and the way back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from gridcore.serving.ports import HOST

READ_BYTES: Final = 65_536
"""The longest piece in which bytes are passed on."""

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Way = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]
"""Passes on what one end says to the other; ends where it is lost, or its end has nothing more to say."""


class Passing:
    """Listens, and leads each connection elsewhere. ``connect``: to where it leads; ``ways``: there and back, of one connection."""

    def __init__(self, connect: Callable[[], Awaitable[Ends]], ways: Callable[[], tuple[Way, Way]]) -> None:
        self._connect = connect
        self._ways = ways
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def start(self, port: int) -> int:
        """Listen at a port of this machine, 0 for any free one; which one it is."""
        self._server = await asyncio.start_server(self._serve, HOST, port)
        return int(self._server.sockets[0].getsockname()[1])

    def end_connections(self) -> None:
        """End those that are open; others may follow."""
        for task in self._open:
            task.cancel()

    async def close(self) -> None:
        """End all connections, and listen no more."""
        if self._server is not None:
            self._server.close()
        self.end_connections()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        self._open.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):  # it ends here: nobody waits for it
                await self._lead(reader, writer)
        finally:
            writer.transport.abort()
            self._open.discard(task)

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await self._connect()
        there, back = self._ways()
        ways = [asyncio.ensure_future(there(reader, far_writer)), asyncio.ensure_future(back(far_reader, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            far_writer.transport.abort()
