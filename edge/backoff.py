"""How long to wait before another try, and how often somebody has failed: one rule for meters, devices, clock, node and outbox."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

SUSPECT_BOUNDARIES = 3
"""Who gave nothing at this many boundaries in a row is suspect: it comes last and is waited for less, until it answers."""


def backoff_ms(attempt: int, base_ms: int, max_ms: int, jitter: random.Random) -> float:
    """Return the pause after try number ``attempt`` (from 1), in ms: ``base_ms`` doubling up to ``max_ms``, its upper half drawn.

    The cap comes before the draw: gateways that have failed for long must not fall into step.
    """
    full_ms = min(max_ms, base_ms << min(attempt - 1, 32))
    return full_ms * (0.5 + 0.5 * jitter.random())


@dataclass(slots=True)
class Failures:
    """At how many boundaries in a row each meter or device, by number, has given nothing."""

    counts: dict[int, int] = field(default_factory=dict)
    heard: set[int] = field(default_factory=set)
    """Who has ever answered anything."""

    def rank(self, number: int) -> tuple[int, bool]:
        """Whose turn is earlier: fewest failures first; of those alike, who was ever heard before who never was.

        A meter that never answered is dead more often than not, and behind a gateway its turn costs its neighbours theirs.
        """
        return self.of(number), number not in self.heard

    def of(self, number: int) -> int:
        """Boundaries in a row; 0: it answered at the last one."""
        return self.counts.get(number, 0)

    def is_suspect(self, number: int) -> bool:
        """Whether it has failed SUSPECT_BOUNDARIES times in a row or more."""
        return self.of(number) >= SUSPECT_BOUNDARIES

    def failed(self, number: int) -> None:
        """It has given nothing at another boundary."""
        self.counts[number] = self.of(number) + 1

    def answered(self, number: int) -> None:
        """It has answered: its failures are forgotten."""
        self.counts.pop(number, None)
