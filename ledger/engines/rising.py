"""Waiting for a height or an instant that only grows."""

from __future__ import annotations

import asyncio
import contextlib


class Rising:
    """A number that only grows, and those who wait until it is beyond theirs."""

    def __init__(self, value: int) -> None:
        self._value = value
        self._risen = asyncio.Condition()

    async def reach(self, value: int) -> None:
        """Take over a value; whoever waits looks again."""
        if value != self._value:
            async with self._risen:
                self._value = value
                self._risen.notify_all()

    async def wait_beyond(self, value: int, timeout_s: float) -> int:
        """The number as soon as it is above ``value``, or as it is after ``timeout_s``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s), self._risen:
                await self._risen.wait_for(lambda: self._value > value)
        return self._value
