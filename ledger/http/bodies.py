"""Room for the bodies of submissions: taken as bytes arrive, in shares, so that nobody keeps others out by what he says he will send."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterable, Iterator
from contextlib import contextmanager
from typing import Final

from gridcore.node_interface import SUBMISSION_BYTES_MAX
from gridcore.serving.problems import Problem

BODIES_BYTES_MAX: Final = 256 * 1024 * 1024
"""Bytes of submissions in hand at once."""
OF_NETWORK_MAX: Final = 128 * 1024 * 1024
"""Of these, from one address."""
SMALL_BYTES: Final = 1024 * 1024
"""The last quarter of all room is for bodies up to this size."""
BODY_S: Final = 60
"""How long a body may take to arrive."""


class BodyRoom:
    """The bytes of submissions that one node has in hand. Used by one event loop."""

    def __init__(self) -> None:
        self._by_network: Counter[str] = Counter()
        self._total = 0

    @property
    def taken(self) -> int:
        """Bytes in hand."""
        return self._total

    @contextmanager
    def body(self, network: str) -> Iterator[Body]:
        """Room for one body from a network, given back at the end."""
        body = Body(self, network)
        try:
            yield body
        finally:
            self._by_network[network] -= body.size
            self._total -= body.size
            if not self._by_network[network]:
                del self._by_network[network]

    def take(self, network: str, size: int, more: int) -> None:
        """Room for ``more`` bytes of a body that has ``size`` already. Problem 503 where there is none."""
        part = 1.0 if size + more <= SMALL_BYTES else 0.75
        of_network = self._by_network[network] + more
        if self._total + more > part * BODIES_BYTES_MAX or of_network > part * OF_NETWORK_MAX:
            raise Problem("busy", f"submissions of {self._total} bytes are in hand already; send again later")
        self._by_network[network] = of_network
        self._total += more


class Body:
    """One body as it arrives. ``size``: its bytes so far."""

    def __init__(self, room: BodyRoom, network: str) -> None:
        self._room = room
        self._network = network
        self.size = 0

    async def read(self, chunks: AsyncIterable[bytes], content_length: int | None) -> bytes:
        """All of it. Problem 413 beyond SUBMISSION_BYTES_MAX, 503 without room, 400 where it does not come within BODY_S."""
        if (content_length or 0) > SUBMISSION_BYTES_MAX:
            raise Problem("too-large", f"a submission has at most {SUBMISSION_BYTES_MAX} bytes")
        parts: list[bytes] = []
        try:
            async with asyncio.timeout(BODY_S):
                async for chunk in chunks:
                    self._room.take(self._network, self.size, len(chunk))
                    self.size += len(chunk)
                    parts.append(chunk)
                    if self.size > SUBMISSION_BYTES_MAX:
                        raise Problem("too-large", f"a submission has at most {SUBMISSION_BYTES_MAX} bytes")
        except TimeoutError:
            raise Problem("bad-request", f"the body did not come within {BODY_S} s") from None
        return b"".join(parts)
