"""How long to wait before another try: one rule for meters, clock, node and outbox."""

from __future__ import annotations

import random


def backoff_ms(attempt: int, base_ms: int, max_ms: int, jitter: random.Random) -> float:
    """Return the pause after try number ``attempt`` (from 1), in ms: ``base_ms`` doubling up to ``max_ms``, its upper half drawn.

    The cap comes before the draw: gateways that have failed for long must not fall into step.
    """
    full_ms = min(max_ms, base_ms << min(attempt - 1, 32))
    return full_ms * (0.5 + 0.5 * jitter.random())
