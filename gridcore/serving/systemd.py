"""What a process tells systemd: that it is ready, that its event loop turns, that it ends (sd_notify(3), Type=notify).

Outside of systemd nothing is told to nobody.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

TURNS_PER_WATCHDOG = 3
"""The loop says that it turns so many times in the time after which systemd holds it for dead."""


@asynccontextmanager
async def told_to_systemd(environ: Mapping[str, str] = os.environ) -> AsyncIterator[None]:
    """Ready at the start of the block, stopping at its end; in between the watchdog hears from the event loop."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        yield
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as telling:
        path = "\0" + address[1:] if address.startswith("@") else address
        _tell(telling, path, b"READY=1")
        watchdog = asyncio.create_task(_turn(telling, path, _watchdog_s(environ)))
        try:
            yield
        finally:
            watchdog.cancel()
            _tell(telling, path, b"STOPPING=1")


def _watchdog_s(environ: Mapping[str, str]) -> float:
    """After how long without a sign the process is held for dead; 0: never."""
    text, whose = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not (text.isascii() and text.isdecimal()) or whose not in ("", str(os.getpid())):
        return 0.0
    return int(text) / 1_000_000


async def _turn(telling: socket.socket, path: str, watchdog_s: float) -> None:
    while watchdog_s:
        await asyncio.sleep(watchdog_s / TURNS_PER_WATCHDOG)
        _tell(telling, path, b"WATCHDOG=1")


def _tell(telling: socket.socket, path: str, state: bytes) -> None:
    with suppress(OSError):  # a manager that does not listen is no reason to end
        telling.sendto(state, path)
