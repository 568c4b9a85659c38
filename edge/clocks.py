"""When to sample: slot boundaries of this machine's clock, or of the node's simulated ledger time.

Neither clock yields one that has passed, or a boundary twice but where a false time had given it too early: what was missed is said in
the log and never invented.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Protocol

from edge.backoff import backoff_ms
from edge.meters import SamplePolicy
from edge.progress import Gap
from edge.wall_time import WallTime
from gridcore.clock import monotonic_ms
from gridcore.logs import get_logger
from gridcore.node_interface import WAIT_S_MAX
from gridcore.transactions.reading_batch import ClockState
from ledger.client import NodeRefused, NodeUnreachable

SLEEP_S_MAX = 10.0
"""Longest sleep in one go, so that a clock that is set is noticed."""
DOUBT_SLEEP_S = 1.0
"""Sleep in one go while the time of day is not believed."""
LEDGER_RETRY_MS_MAX = 200
"""A day in lock-step waits for whoever finds its node again: simulated time alone is asked for here."""
LEDGER_RETRY_MS = 20
HELD_MS_MIN = 1000
"""A node that answers sooner, and without news, did not hold the question."""
UNKNOWN_S = -1

_log = get_logger(__name__)


class BoundaryClock(Protocol):
    """Where slot boundaries come from. Boundaries in UTC seconds."""

    @property
    def simulated(self) -> bool:
        """Whether this is simulated ledger time."""
        ...

    async def wait_until_known(self) -> None:
        """Return when the clock has a time."""
        ...

    async def next_boundary(self, after_s: int) -> int | None:
        """Return the next boundary later than ``after_s`` as soon as it may be sampled; None when there is none any more."""
        ...

    def is_open(self, boundary_s: int) -> bool:
        """Whether a reading taken now still belongs to ``boundary_s``."""
        ...

    def boundary_ms(self, boundary_s: int) -> float:
        """Return the boundary on the monotonic clock (``monotonic_ms``)."""
        ...

    def state(self) -> ClockState:
        """What a batch says of the clock."""
        ...


class WallBoundaries:
    """Boundaries of this machine's clock. A boundary may be sampled until the sampling window closes."""

    simulated = False

    def __init__(
        self,
        policy: SamplePolicy,
        *,
        first_s: int = 0,
        last_s: int | None = None,
        time: WallTime | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._policy = policy
        self._first_s, self._last_s = first_s, last_s
        self._time = time or WallTime(policy.slot_s)
        self._sleep = sleep

    async def wait_until_known(self) -> None:
        """See ``BoundaryClock``."""

    async def next_boundary(self, after_s: int) -> int | None:
        """See ``BoundaryClock``. There is none while the time of day is not believed (``edge.wall_time``)."""
        slot_s = self._policy.slot_s
        while True:
            now_ms = self._time.now_ms(after_s)
            if now_ms is None:
                await self._sleep(DOUBT_SLEEP_S)
                continue
            after_s = self._unless_false(after_s, now_ms)
            newest_s = now_ms // 1000 // slot_s * slot_s
            if self._last_s is not None and now_ms >= self._last_s * 1000 + self._policy.window_ms:
                _report_gap(after_s, self._last_s + slot_s, self._first_s, slot_s)
                return None
            if self._is_wanted(newest_s, after_s) and self.is_open(newest_s):
                _report_gap(after_s, newest_s, self._first_s, slot_s)
                return newest_s
            due_s = max(newest_s + slot_s, after_s + slot_s if after_s >= 0 else 0, self._first_s)
            await self._sleep(min(SLEEP_S_MAX, max(0.001, (due_s * 1000 - now_ms) / 1000.0)))

    def is_open(self, boundary_s: int) -> bool:
        """Whether the sampling window of ``boundary_s`` is open."""
        now_ms = self._time.now_ms(boundary_s)
        return now_ms is not None and 0 <= now_ms - boundary_s * 1000 < self._policy.window_ms

    def boundary_ms(self, boundary_s: int) -> float:
        """See ``BoundaryClock``."""
        return self._time.on_clock_ms(boundary_s)

    def state(self) -> ClockState:
        """What the kernel says of its clock: "synced" with the offset it knows of, else "unsynced"."""
        return self._time.state()

    def _unless_false(self, after_s: int, now_ms: int) -> int:
        """The last boundary, or UNKNOWN_S for one that a believed clock has not reached: an earlier, false time gave it.

        It would silence the gateway until that time has come, and the boundary's true reading would never be taken. A clock
        that was only put back a little, less than a reading may be late, does not make a boundary come twice.
        """
        if after_s * 1000 <= now_ms + self._policy.late_after_ms:
            return after_s
        _log.error("last_boundary_not_believed", last_boundary_s=after_s, time_s=now_ms // 1000)
        return UNKNOWN_S

    def _is_wanted(self, boundary_s: int, after_s: int) -> bool:
        is_over = self._last_s is not None and boundary_s > self._last_s
        return boundary_s > after_s and boundary_s >= self._first_s and not is_over


class LedgerTime(Protocol):
    """What ``LedgerBoundaries`` needs of ``ledger.client.Client``."""

    async def wait_clock(self, after_s: int, wait_s: float = WAIT_S_MAX) -> int:
        """See ``ledger.client.Client``."""
        ...


class LedgerBoundaries:
    """Boundaries of the simulated ledger time. It stands still at each boundary, so readings belong to it until it moves.

    ``on_answer`` is called with every answer after a time without one: whoever waits for the node can try again.
    """

    simulated = True

    def __init__(
        self,
        client: LedgerTime,
        policy: SamplePolicy,
        *,
        first_s: int = 0,
        last_s: int | None = None,
        on_answer: Callable[[], None] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: random.Random | None = None,
    ) -> None:
        self._client = client
        self._policy = policy
        self._first_s, self._last_s = first_s, last_s
        self._on_answer = on_answer
        self._sleep = sleep
        self._jitter = jitter or random.SystemRandom()
        self._failures = 0
        self._idle = 0
        self.ledger_time_s = UNKNOWN_S

    async def wait_until_known(self) -> None:
        """See ``BoundaryClock``."""
        while self.ledger_time_s == UNKNOWN_S:
            await self._follow()

    async def next_boundary(self, after_s: int) -> int | None:
        """See ``BoundaryClock``; waits by long poll."""
        while True:
            now_s = self.ledger_time_s
            if self._last_s is not None and now_s > self._last_s:
                _report_gap(after_s, self._last_s + self._policy.slot_s, self._first_s, self._policy.slot_s)
                return None
            if now_s > after_s and now_s >= self._first_s and now_s % self._policy.slot_s == 0:
                _report_gap(after_s, now_s, self._first_s, self._policy.slot_s)
                return now_s
            await self._follow()

    def is_open(self, boundary_s: int) -> bool:
        """Whether ledger time, as far as is known, stands at ``boundary_s``."""
        return self.ledger_time_s == boundary_s

    def boundary_ms(self, boundary_s: int) -> float:
        """Now: simulated time stands still while meters are read."""
        return monotonic_ms()

    def state(self) -> ClockState:
        """Simulated."""
        return ClockState(0, "simulated")

    async def _follow(self) -> None:
        """Wait for ledger time to move, or for the node to come back."""
        asked_ms = monotonic_ms()
        try:
            answer_s = await self._client.wait_clock(self.ledger_time_s)
        except (NodeUnreachable, NodeRefused) as error:
            if self._failures == 0:
                _log.warning("ledger_time_not_known", reason=str(error))
            self._failures += 1
            await self._pause(self._failures)
            return
        has_moved = answer_s > self.ledger_time_s
        self.ledger_time_s = max(self.ledger_time_s, answer_s)
        if self._failures:
            _log.info("ledger_time_known_again", ledger_time_s=self.ledger_time_s, failures=self._failures)
            self._failures = 0
            if self._on_answer is not None:
                self._on_answer()
        if has_moved:
            self._idle = 0
        elif monotonic_ms() - asked_ms < HELD_MS_MIN:  # do not ask in a loop
            self._idle += 1
            await self._pause(self._idle)

    async def _pause(self, attempt: int) -> None:
        await self._sleep(backoff_ms(attempt, LEDGER_RETRY_MS, LEDGER_RETRY_MS_MAX, self._jitter) / 1000.0)


def missed_between(after_s: int, reached_s: int, *, first_s: int, slot_s: int) -> Gap | None:
    """The boundaries between the last one sampled and ``reached_s``, or None. Before the first sample there is no gap."""
    missed_s = max(after_s + slot_s, first_s)
    return Gap(missed_s, reached_s - slot_s) if after_s >= first_s and missed_s < reached_s else None


def _report_gap(after_s: int, reached_s: int, first_s: int, slot_s: int) -> None:
    """Say which boundaries were missed."""
    gap = missed_between(after_s, reached_s, first_s=first_s, slot_s=slot_s)
    if gap is not None:
        count = (gap.last_s - gap.first_s) // slot_s + 1
        _log.error("boundaries_missed", first_s=gap.first_s, last_s=gap.last_s, count=count)
