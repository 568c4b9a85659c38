"""Files that say how long each step of a block took."""

from __future__ import annotations

import time

from ledger.store.files import Files


class Watched(Files):
    """seconds: by the step's name, since ``last``, a time of ``time.perf_counter``."""

    def __init__(self) -> None:
        self.last = time.perf_counter()
        self.seconds: dict[str, float] = {}

    def reach(self, point: str) -> None:
        """See Files."""
        now = time.perf_counter()
        self.seconds[point] = self.seconds.get(point, 0.0) + now - self.last
        self.last = now
