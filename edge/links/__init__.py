"""What carries bytes to meters and back: a TCP connection, a serial port; ``broker`` carries MQTT messages.

A link knows no protocol. It gives bytes in the order in which they came, says when it is lost, and keeps the one form of
deadline that everything above uses: ``until_ms``, a moment on the monotonic clock.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import Enum, auto

from gridcore.clock import monotonic_ms
from gridcore.errors import GridError
from gridcore.logs import get_logger

RECEIVED_BYTES_MAX = 4096
"""More than any answer is long: of what arrives beyond it only the end is kept."""
UNASKED_BYTES_MAX = 262_144
"""A place that sends this much to one request, or to none, is not heard any longer: the link is closed."""

_log = get_logger(__name__)


class Down(Enum):
    """Why a link cannot be opened, as far as a person has to look elsewhere for it."""

    NO_HOST = auto()
    SILENT_HOST = auto()
    REFUSED = auto()
    NO_TLS = auto()
    NO_DEVICE = auto()
    NO_RIGHT = auto()
    IN_USE = auto()
    OTHER = auto()


class LinkDownError(GridError):
    """A link cannot be opened."""

    def __init__(self, message: str, down: Down = Down.OTHER) -> None:
        super().__init__(message)
        self.down = down


class LinkLostError(GridError):
    """An open link has ended."""


class Link(ABC):
    """Bytes to and from one place, for one user at a time. ``place`` as a person writes it, e.g. 192.0.2.10:502."""

    sheds_when_reopened = True
    """Whether what is still under way on it is gone once it is opened anew."""
    silence_ms = 0.0
    """Silence that has to lie between what came and the next request."""

    def __init__(self, place: str, clock_ms: Callable[[], float] = monotonic_ms) -> None:
        self.place = place
        self.buffer = bytearray()
        """What has arrived and nobody has taken yet."""
        self.last_traffic_ms = clock_ms()
        self.is_open = False
        self._clock_ms = clock_ms
        self._waiting: asyncio.Future[None] | None = None
        self._has_news = False
        self._unasked = 0

    @abstractmethod
    async def open(self) -> None:
        """Open it; LinkDownError with the reason when that does not work in time."""

    async def send(self, data: bytes) -> None:
        """Send ``data`` whole. LinkLostError."""
        self._unasked = 0
        await self._write(data)

    @abstractmethod
    async def _write(self, data: bytes) -> None:
        """See ``send``."""

    @abstractmethod
    def close(self) -> None:
        """Close it at once; it can be opened again."""

    def wire_ms(self, count: int) -> float:
        """Return how long ``count`` bytes are on the wire; 0 where that is too short to count."""
        return 0.0

    async def receive(self, until_ms: float) -> bool:
        """Wait until more bytes are in ``buffer``; False when ``until_ms`` comes first. LinkLostError when none can come."""
        while not self._has_news:
            if not self.is_open:
                raise LinkLostError(f"{self.place}: the connection was lost")
            left_s = (until_ms - self._clock_ms()) / 1000.0
            if left_s <= 0:
                return False
            loop = asyncio.get_running_loop()
            self._waiting = loop.create_future()
            timer = loop.call_later(left_s, self._wake)  # lighter than asyncio.timeout, once a read
            try:
                await self._waiting
            finally:
                timer.cancel()
                self._waiting = None
        self._has_news = False
        return True

    async def drain(self, quiet_ms: float, rounds_max: int, discard: Callable[[bytearray], None]) -> None:
        """Let ``discard`` empty the buffer until nothing has come for ``quiet_ms``, for at most ``rounds_max`` times as long."""
        start_ms = self._clock_ms()
        while True:
            discard(self.buffer)
            self._has_news = False
            now_ms = self._clock_ms()
            wait_ms = max(start_ms, self.last_traffic_ms) + quiet_ms - now_ms
            if wait_ms <= 0 or now_ms - start_ms >= rounds_max * quiet_ms:
                return
            await asyncio.sleep(wait_ms / 1000.0)

    def _opened(self) -> None:
        self.buffer.clear()
        self._has_news = False
        self.is_open = True
        self._unasked = 0
        self.last_traffic_ms = self._clock_ms()

    def _take(self, data: bytes) -> None:
        """Keep what has arrived."""
        self.last_traffic_ms = self._clock_ms()
        self.buffer += data
        if len(self.buffer) > RECEIVED_BYTES_MAX:
            del self.buffer[:-RECEIVED_BYTES_MAX]
        self._has_news = True
        self._wake()
        self._unasked += len(data)
        if self._unasked > UNASKED_BYTES_MAX:
            _log.error("line_floods", place=self.place, bytes=self._unasked)
            self.close()

    def _ended(self) -> None:
        self.is_open = False
        self._wake()

    def _wake(self) -> None:
        """Let ``receive`` look again."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
