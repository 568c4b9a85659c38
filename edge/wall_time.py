"""Whether this machine's time of day can be believed: a clock that jumps gives no slot boundary until it has proved itself.

A gateway boots in 1970, a receiver says 2036 for 40 s, a clock runs minutes behind after a power cut until somebody sets it. The
time of day is therefore held against a clock that never jumps. Time is believed as long as the two go on together. After a
jump it is believed again when it is back where it was, when it moved by less than a slot and the kernel says that something
disciplines it, or else when it has stood where it is now for HOLD_MS. A start before the last boundary that was sampled has to stand
too, for one of the two times was false. Before EARLIEST_S it is never believed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gridcore.clock import monotonic_ms, wall_ms
from gridcore.kernel_clock import kernel_clock_state
from gridcore.logs import get_logger
from gridcore.transactions.reading_batch import ClockState

JUMP_MS: Final = 2000
"""A clock that is slewed moves by less than this between two looks; more is a jump."""
HOLD_MS: Final = 120_000
EARLIEST_S: Final = 1_767_225_600
"""2026-01-01: this program is not older, so no clock before it is right."""
LONG_MS: Final = 400 * 86_400_000
"""A gateway has not been off for longer than this; a start that far after its last boundary has to prove itself too."""

_log = get_logger(__name__)


class WallTime:
    """The time of day as far as it is believed. All times in ms; ``now_ms`` is UTC, ``clock_ms`` never jumps."""

    def __init__(
        self,
        slot_s: int,
        *,
        now_ms: Callable[[], int] = wall_ms,
        clock_ms: Callable[[], float] = monotonic_ms,
        state: Callable[[], ClockState] = kernel_clock_state,
    ) -> None:
        self._slot_ms = slot_s * 1000
        self._now_ms, self._clock_ms, self._state = now_ms, clock_ms, state
        self._ahead_ms: float | None = None  # of the time of day against the clock that never jumps, while believed
        self._candidate_ms, self._since_ms = 0.0, 0.0
        self._is_doubted = False

    def now_ms(self, last_boundary_s: int = -1) -> int | None:
        """The time of day; None while it is not believed. ``last_boundary_s``: the last one that was sampled, if any."""
        now_ms, clock_ms = self._now_ms(), self._clock_ms()
        ahead_ms = now_ms - clock_ms
        if self._ahead_ms is not None and abs(ahead_ms - self._ahead_ms) <= JUMP_MS:
            self._believe(ahead_ms)
            return now_ms
        if not self._is_doubted or abs(ahead_ms - self._candidate_ms) > JUMP_MS:
            self._candidate_ms, self._since_ms = ahead_ms, clock_ms
        if clock_ms - self._since_ms >= self._hold_ms(now_ms, ahead_ms, last_boundary_s):
            self._believe(ahead_ms)
            return now_ms
        if not self._is_doubted:
            moved_ms = None if self._ahead_ms is None else round(ahead_ms - self._ahead_ms)
            _log.error("clock_not_believed", time_s=now_ms // 1000, moved_ms=moved_ms, effect="no boundary is sampled")
        self._is_doubted = True
        return None

    def on_clock_ms(self, time_s: int) -> float:
        """The moment ``time_s`` (UTC) on the clock that never jumps, by the time that was believed last."""
        return time_s * 1000 - (self._now_ms() - self._clock_ms() if self._ahead_ms is None else self._ahead_ms)

    def state(self) -> ClockState:
        """What a batch says of the clock: what the kernel says of it, and "unsynced" while it is not believed."""
        return ClockState(0, "unsynced") if self._is_doubted else self._state()

    def _believe(self, ahead_ms: float) -> None:
        if self._is_doubted:
            moved_ms = None if self._ahead_ms is None else round(ahead_ms - self._ahead_ms)
            _log.warning("clock_believed_again", time_s=self._now_ms() // 1000, moved_ms=moved_ms)
        self._ahead_ms, self._is_doubted = ahead_ms, False

    def _hold_ms(self, now_ms: int, ahead_ms: float, last_boundary_s: int) -> float:
        """For how long this time has to stand before it is believed."""
        if now_ms < EARLIEST_S * 1000:
            return float("inf")
        if self._ahead_ms is None:
            is_likely = last_boundary_s < 0 or 0 <= now_ms - last_boundary_s * 1000 < LONG_MS
            return 0.0 if is_likely else HOLD_MS
        is_small = abs(ahead_ms - self._ahead_ms) < self._slot_ms
        return 0.0 if is_small and self._state().state == "synced" else HOLD_MS
