"""What is new, told to open pages as it happens: events with ids, a bounded backlog to resume from, bounded listeners."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gridcore.serving.problems import Problem

BACKLOG_MAX: Final = 1_024
"""Events kept for listeners that come back; whoever missed more is told to load the page anew (``reset``)."""
LISTENERS_MAX: Final = 1_000
LISTENERS_OF_ONE_MAX: Final = 200
"""Streams of one user, in all its browsers: nobody takes them all."""
HEARTBEAT_S: Final = 2.0
"""A beat is sent after so much silence, so that proxies keep the stream and a browser notices within 5 s that nobody is there."""
BEAT: Final = b"event: beat\ndata: {}\n\n"
"""It has no id: a browser resumes behind the last event."""


@dataclass(frozen=True)
class Event:
    """One event. ``id`` ascends by one; ``data``: a flat object of texts and numbers."""

    id: int
    name: str
    data: Mapping[str, str | int]

    def encode(self) -> bytes:
        """The event as an event stream carries it."""
        return f"id: {self.id}\nevent: {self.name}\ndata: {json.dumps(self.data, separators=(',', ':'))}\n\n".encode()


class Feed:
    """The hub between what happens and who listens; used by one event loop alone."""

    def __init__(self, stop: asyncio.Event, *, first_id: int = 1, heartbeat_s: float = HEARTBEAT_S) -> None:
        """``stop`` ends all streams. ``first_id``: ids go on from here, so that those of an earlier process are older."""
        self._stop = stop
        self._heartbeat_s = heartbeat_s
        self._next_id = first_id
        self._backlog: deque[Event] = deque(maxlen=BACKLOG_MAX)
        self._changed = asyncio.Event()
        self._listeners: Counter[str] = Counter()

    @property
    def listeners(self) -> int:
        """Streams that are open."""
        return self._listeners.total()

    @property
    def newest_id(self) -> int:
        """Of the newest event: a page that is made now and listens from behind it misses none."""
        return self._next_id - 1

    def publish(self, name: str, data: Mapping[str, str | int]) -> None:
        """Tell everybody who listens."""
        self._backlog.append(Event(self._next_id, name, data))
        self._next_id += 1
        self._wake()

    def publish_slots(self, slots: Iterable[tuple[str, int]]) -> None:
        """Slots of areas whose rows in the time series are new: one event ``slot`` each."""
        for area, slot_start_s in slots:
            self.publish("slot", {"area": area, "slot_start_s": slot_start_s})

    def publish_status(self) -> None:
        """What pages say of themselves is new: a height, an outage."""
        self.publish("status", {})

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def look_again(self) -> None:
        """A session has ended: the streams that rest on it end now."""
        self._wake()

    def open(
        self, last_id: int | None, who: str = "", *, stands: Callable[[], bool] = lambda: True
    ) -> AsyncIterator[bytes]:
        """A stream from behind event ``last_id`` (None: from now on) for user ``who``, for as long as its session ``stands``.

        Problem 503 when too many are open.
        """
        if self.listeners >= LISTENERS_MAX:
            raise Problem("busy", f"{LISTENERS_MAX} event streams are open already; try again later")
        if not self._has_room(who):
            raise Problem("busy", f"{self._listeners[who]} event streams of yours are open already; close some")
        return self._stream(last_id, who, stands)

    def _has_room(self, who: str) -> bool:
        """Nobody has more streams than are still free: however many take all they can, there is one for who comes next."""
        return self._listeners[who] < min(LISTENERS_OF_ONE_MAX, LISTENERS_MAX - self.listeners)

    async def _stream(self, last_id: int | None, who: str, stands: Callable[[], bool]) -> AsyncIterator[bytes]:
        if not self._has_room(who):  # counted from here on: others were opened at the same time
            yield b"retry: 30000\n\n"
            return
        self._listeners[who] += 1
        stopping = asyncio.ensure_future(self._stop.wait())
        try:
            position = self.newest_id if last_id is None else last_id
            yield b"retry: 2000\n\n"
            oldest = self._backlog[0].id if self._backlog else self._next_id
            if not oldest - 1 <= position < self._next_id:
                position = self.newest_id
                yield Event(position, "reset", {}).encode()
            while stands():
                changed = self._changed
                for event in [event for event in self._backlog if event.id > position]:
                    position = event.id
                    yield event.encode()
                if self._stop.is_set():
                    return
                if not changed.is_set() and not await self._news(changed, stopping):
                    yield BEAT
        finally:
            self._listeners -= Counter((who,))  # and forgets who has none left
            stopping.cancel()

    async def _news(self, changed: asyncio.Event, stopping: asyncio.Future[Any]) -> bool:
        """Wait until something changed or all streams end; False when a heartbeat's time has passed before."""
        waiting = asyncio.ensure_future(changed.wait())
        try:
            done, _ = await asyncio.wait(
                (waiting, stopping), timeout=self._heartbeat_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            waiting.cancel()
        return bool(done)
