"""Virtual time: what happens next, in an order that follows from the seed alone."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count


class Schedule:
    """Actions by virtual time. ``now_ms``: milliseconds since the simulation began."""

    def __init__(self) -> None:
        self.now_ms = 0
        self._order = count()
        self._waiting: list[tuple[int, int, Callable[[], None]]] = []

    def after(self, delay_ms: int, action: Callable[[], None]) -> None:
        """Do ``action`` in ``delay_ms``; actions of one instant in the order in which they were asked for."""
        heapq.heappush(self._waiting, (self.now_ms + delay_ms, next(self._order), action))

    def run(self, until_ms: int, is_done: Callable[[], bool] = lambda: False) -> None:
        """Let time pass up to ``until_ms``, or until ``is_done`` after some action."""
        while self._waiting and self._waiting[0][0] <= until_ms:
            self.now_ms, _, action = heapq.heappop(self._waiting)
            action()
            if is_done():
                return
        self.now_ms = until_ms
