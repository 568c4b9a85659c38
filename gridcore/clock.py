"""Where the time of day comes from: a ``Clock`` is handed in, so that nothing below the shell reads one by itself.

Ledger time (the only time that contracts see) is data in blocks and never comes from here.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Seconds since 1970-01-01 UTC, whole, never negative."""

    def now_s(self) -> int:
        """Return the present time in whole UTC seconds (rounded down)."""
        ...


def wall_ms() -> int:
    """This machine's time of day in whole UTC milliseconds: slot boundaries need more than whole seconds."""
    return time.time_ns() // 1_000_000


def monotonic_ms() -> float:
    """Milliseconds of a clock that never jumps; its zero means nothing."""
    return time.monotonic() * 1000.0


class WallClock:
    """The machine's own clock."""

    def now_s(self) -> int:
        """Return the machine's time in whole UTC seconds."""
        return time.time_ns() // 1_000_000_000
