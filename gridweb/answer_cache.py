"""Answers of the node that pages keep for a moment: asked once for many readers, bounded by the memory that they really take."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from contextvars import Context
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

CACHE_BYTES_MAX: Final = 128 * 1024 * 1024
"""Memory of all answers that are kept, as ``held_bytes`` reckons it."""
CACHE_AGE_S_MAX: Final = 10.0
"""An answer is asked for anew after this, whether or not a newer height was seen: the follower may be behind."""
ENTRY_BYTES: Final = 2_048
"""Of an entry with its key and the question under way, beside the answer."""

Key = tuple[str, tuple[tuple[str, str | int], ...]]
"""A question: path and sorted parameters."""


class Fetched(NamedTuple):
    """The JSON of an answer, and the bytes that it takes in memory."""

    value: Any
    held_bytes: int


@dataclass
class _Entry:
    """An answer, or the question under way (then ``value`` is None), and the height at which it was asked."""

    height: int
    asked_s: float
    held_bytes: int
    filling: asyncio.Task[Any] | None = None
    value: Any = None

    def is_fresh(self, height: int) -> bool:
        return self.height == height and time.monotonic() - self.asked_s <= CACHE_AGE_S_MAX


class AnswerCache:
    """Answers by question, those used least recently go first; used by one event loop alone."""

    def __init__(self) -> None:
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()
        self.held_bytes = 0

    async def get(self, key: Key, height: int, ask: Callable[[], Coroutine[Any, Any, Fetched]]) -> Any:
        """The answer to ``key``, asked for by ``ask`` unless it is kept and ``height`` is still the newest. Raises as ``ask``."""
        entry = self._entries.get(key)
        if entry is None or not entry.is_fresh(height):
            entry = self._begin(key, height, ask)
        self._entries.move_to_end(key)
        return entry.value if entry.filling is None else await asyncio.shield(entry.filling)

    def _begin(self, key: Key, height: int, ask: Callable[[], Coroutine[Any, Any, Fetched]]) -> _Entry:
        self._drop(key)
        entry = self._entries[key] = _Entry(height, time.monotonic(), ENTRY_BYTES + len(repr(key)))
        self.held_bytes += entry.held_bytes
        # The question is everybody's: in a context of its own it keeps nothing of the request that was the first to ask.
        entry.filling = asyncio.get_running_loop().create_task(self._fill(key, entry, ask), context=Context())
        entry.filling.add_done_callback(_retrieve)
        return entry

    async def _fill(self, key: Key, entry: _Entry, ask: Callable[[], Coroutine[Any, Any, Fetched]]) -> Any:
        try:
            fetched = await ask()
        except BaseException:
            if self._entries.get(key) is entry:
                self._drop(key)
            raise
        if self._entries.get(key) is entry:
            entry.value, entry.filling = fetched.value, None
            entry.held_bytes += fetched.held_bytes
            self.held_bytes += fetched.held_bytes
            while self.held_bytes > CACHE_BYTES_MAX:
                self._drop(next(iter(self._entries)))
        return fetched.value

    def _drop(self, key: Key) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.held_bytes -= entry.held_bytes


def held_bytes(data: bytes) -> int:
    """The memory that the value of the JSON ``data`` takes in CPython, bytes: rather too much than too little.

    Reckoned from its characters alone, so that nobody walks through a large answer: an object is 232 bytes with five members
    and less than 48 for each further one, an array 56; an item is a place of 8 bytes and a text or number of up to 49 beside
    its characters. One character beyond Latin-1 makes all of its text two or four times as wide.
    """
    is_wide = not data.isascii() or b"\\u" in data
    containers = 300 * data.count(b"{") + 128 * data.count(b"[")
    return len(data) * (4 if is_wide else 1) + containers + 64 * data.count(b",") + 48 * data.count(b":")


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Look at an error that nobody waits for any more: it is told to whoever asks next."""
    if not task.cancelled():
        task.exception()
