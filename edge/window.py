"""The time in which one boundary may be read: from the boundary to the end of the sampling window, on a clock that never jumps."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from edge.backoff import backoff_ms
from edge.meters import SamplePolicy
from edge.readers import BillingRead

ROUND_PAUSE_MS_MAX = 4000


@dataclass(slots=True)
class SamplingWindow:
    """The time in which one boundary may be read."""

    boundary_s: int
    boundary_ms: float
    policy: SamplePolicy
    clock_ms: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    jitter: random.Random

    @property
    def until_ms(self) -> float:
        """When it closes (on ``clock_ms``)."""
        return self.boundary_ms + self.policy.window_ms

    def left_ms(self) -> float:
        """How long it is still open; negative: it has closed."""
        return self.until_ms - self.clock_ms()

    def read_ms(self, read: BillingRead) -> int:
        """When a read was taken (UTC ms), by the boundary and its offset."""
        return self.boundary_s * 1000 + max(0, round(read.arrived_ms - self.boundary_ms))

    def is_late(self) -> bool:
        """Whether a reading taken now is flagged late."""
        return self.clock_ms() > self.boundary_ms + self.policy.late_after_ms

    def pause_ms(self, tries: int) -> float:
        """The pause after so many tries."""
        return backoff_ms(tries, self.policy.backoff_ms, ROUND_PAUSE_MS_MAX, self.jitter)

    async def pause(self, tries: int) -> None:
        """Wait it out, not beyond the end."""
        await self.sleep(max(0.0, min(self.pause_ms(tries), self.left_ms())) / 1000.0)
