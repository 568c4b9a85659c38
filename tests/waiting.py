"""Waiting for what other tasks, threads and processes do: as long as it takes, up to a deadline that fails the test.

No test sleeps for a time in which something else is hoped to happen: it waits until it can see that it has.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable

PATIENCE_S = 120.0
"""More than anything takes on a loaded machine."""
LOOK_EVERY_S = 0.005


async def until(condition: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
    """Let others run until ``condition()`` is true, itself or awaited; TimeoutError after ``patience_s``."""
    async with asyncio.timeout(patience_s):
        while True:
            found = condition()
            if inspect.isawaitable(found):
                found = await found
            if found:
                return
            await asyncio.sleep(LOOK_EVERY_S)


def wait_until(condition: Callable[[], object], what: str, patience_s: float = PATIENCE_S) -> None:
    """The same without an event loop; fails, naming ``what`` was waited for."""
    give_up_s = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < give_up_s, f"not within {patience_s:.0f} s: {what}"
        time.sleep(LOOK_EVERY_S)
