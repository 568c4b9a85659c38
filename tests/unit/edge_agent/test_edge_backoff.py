from __future__ import annotations

import random

import pytest

from edge.backoff import backoff_ms
from edge.clocks import LEDGER_RETRY_MS_MAX, LedgerBoundaries
from edge.meters import BACKOFF_MS_MAX, SamplePolicy
from ledger.client import NodeUnreachable
from tests.unit.edge_agent.edge_world import FIRST_S, SLOT_S

POLICY = SamplePolicy(slot_s=SLOT_S)


@pytest.mark.parametrize(
    ("attempt", "full_ms"),
    [(1, 100), (2, 200), (5, 1600), (12, 204_800), (13, BACKOFF_MS_MAX), (1000, BACKOFF_MS_MAX)],
)
def test_pauses_double_and_end_at_the_cap(attempt: int, full_ms: int) -> None:
    jitter = random.Random(5)
    pauses = [backoff_ms(attempt, 100, BACKOFF_MS_MAX, jitter) for _ in range(50)]
    assert full_ms / 2 <= min(pauses) < max(pauses) <= full_ms


@pytest.mark.parametrize("max_ms", [5, 1000, 60_000, 3_600_000])
def test_two_gateways_that_failed_fifty_times_do_not_try_in_step(max_ms: int) -> None:
    first, second = (backoff_ms(50, 100, max_ms, random.Random(seed)) for seed in (1, 2))
    assert first != second
    assert max(first, second) <= max_ms


class _Naps:
    """Counts the pauses of a clock and ends it after ``count`` of them."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        if len(self.seconds) >= self.left:
            raise TimeoutError


class _Dead:
    async def wait_clock(self, after_s: int, wait_s: float = 20) -> int:
        raise NodeUnreachable("no node answers there")


class _Hasty:
    """Answers at once, whatever was asked, with the same time."""

    asked = 0

    async def wait_clock(self, after_s: int, wait_s: float = 20) -> int:
        self.asked += 1
        return FIRST_S + 1


async def _pauses(node: _Dead | _Hasty, seed: int, count: int) -> list[float]:
    naps = _Naps(count)
    clock = LedgerBoundaries(node, POLICY, sleep=naps, jitter=random.Random(seed))
    with pytest.raises(TimeoutError):
        await clock.next_boundary(-1)
    return naps.seconds


async def test_clocks_of_two_gateways_do_not_ask_a_dead_node_in_step() -> None:
    first, second = await _pauses(_Dead(), 1, 50), await _pauses(_Dead(), 2, 50)
    assert first[-1] != second[-1]
    assert max(first + second) <= LEDGER_RETRY_MS_MAX / 1000
    assert len(set(first[-20:])) == 20


async def test_node_that_does_not_hold_the_question_is_not_asked_in_a_loop() -> None:
    node = _Hasty()
    pauses = await _pauses(node, 1, 50)
    assert node.asked == 51  # the first answer moved the clock
    assert pauses[0] >= 0.01
    assert pauses[-1] >= LEDGER_RETRY_MS_MAX / 2000
