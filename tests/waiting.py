"""Waiting for what other tasks, threads and processes do: as long as it takes, up to a deadline that fails the test."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

PATIENCE_S = 30.0
"""More than anything takes on a loaded machine."""
LOOK_EVERY_S = 0.005


async def until(condition: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
    """Let others run until ``condition`` holds; TimeoutError after ``patience_s``."""
    async with asyncio.timeout(patience_s):
        while not condition():  # noqa: ASYNC110 - for what sets no event
            await asyncio.sleep(LOOK_EVERY_S)


def wait_until(condition: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
    """The same without an event loop."""
    deadline_s = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"not so after {patience_s} s")
        time.sleep(LOOK_EVERY_S)
