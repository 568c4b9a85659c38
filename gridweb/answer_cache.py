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

NEVER_FRESH: Final = -1
"""A height that no chain has."""

Key = tuple[str, tuple[tuple[str, str | int], ...]]
"""A question: path and sorted parameters."""


class Fetched(NamedTuple):
    """The JSON of an answer, and the bytes that it takes in memory."""

    value: Any
    held_bytes: int


class Kept(NamedTuple):
    """What was answered last. ``asked_s``: monotonic."""

    value: Any
    asked_s: float
    held_bytes: int


@dataclass
class _Entry:
    """An answer, or the question under way (then ``value`` is None), and the height at which it was asked. ``before``: what was
    answered last; it stands again if the question fails.
    """

    height: int
    asked_s: float
    held_bytes: int
    filling: asyncio.Task[Any] | None = None
    value: Any = None
    before: Kept | None = None

    @property
    def kept(self) -> Kept | None:
        """What there is to show while nobody answers."""
        return self.before if self.filling is not None else Kept(self.value, self.asked_s, self.held_bytes)

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

    def kept(self, key: Key) -> Kept | None:
        """What was answered last to ``key``, however old; None for what was never answered or has given way."""
        entry = self._entries.get(key)
        return None if entry is None else entry.kept

    def _begin(self, key: Key, height: int, ask: Callable[[], Coroutine[Any, Any, Fetched]]) -> _Entry:
        before = self.kept(key)
        self._drop(key)
        held = ENTRY_BYTES + len(repr(key)) + (before.held_bytes if before is not None else 0)
        entry = self._entries[key] = _Entry(height, time.monotonic(), held, before=before)
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
                self._restore(key, entry)
            raise
        if self._entries.get(key) is entry:
            grown = fetched.held_bytes - (entry.before.held_bytes if entry.before is not None else 0)
            entry.value, entry.filling, entry.before = fetched.value, None, None
            entry.held_bytes += grown
            self.held_bytes += grown
            while self.held_bytes > CACHE_BYTES_MAX:
                self._drop(next(iter(self._entries)))
        return fetched.value

    def _restore(self, key: Key, entry: _Entry) -> None:
        """A question failed: what was answered before it stands again, and is asked anew by whoever comes next."""
        before = entry.before
        self._drop(key)
        if before is not None:
            self._entries[key] = _Entry(NEVER_FRESH, before.asked_s, before.held_bytes, value=before.value)
            self.held_bytes += before.held_bytes

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
