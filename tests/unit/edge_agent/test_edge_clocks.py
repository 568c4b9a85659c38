from __future__ import annotations

import asyncio

from structlog.testing import capture_logs

from edge.clocks import LedgerBoundaries, WallBoundaries
from edge.meters import SamplePolicy
from gridcore.clock import monotonic_ms
from gridcore.kernel_clock import kernel_clock_state
from ledger.client import NodeRefused
from tests.unit.edge_agent.edge_world import FIRST_S, SLOT_S, FakeNode
from tests.waiting import until

POLICY = SamplePolicy(slot_s=SLOT_S, window_ms=60_000)


class Wall:
    """A clock that a sleep moves; ``steps`` are added to the time at the n-th sleep, as a hand that sets the clock."""

    def __init__(self, now_s: float, steps: dict[int, float] | None = None) -> None:
        self.now = now_s
        self.steps = steps or {}
        self.sleeps = 0

    def now_ms(self) -> int:
        return round(self.now * 1000)

    async def sleep(self, seconds: float) -> None:
        self.sleeps += 1
        self.now += seconds + self.steps.get(self.sleeps, 0)
        await asyncio.sleep(0)

    def clock(self, first_s: int = 0, last_s: int | None = None) -> WallBoundaries:
        return WallBoundaries(POLICY, first_s=first_s, last_s=last_s, now_ms=self.now_ms, sleep=self.sleep)


async def test_wall_clock_yields_each_boundary_when_it_comes() -> None:
    wall = Wall(FIRST_S + 100)
    clock = wall.clock()
    assert await clock.next_boundary(FIRST_S) == FIRST_S + SLOT_S
    assert wall.now_ms() == (FIRST_S + SLOT_S) * 1000
    assert await clock.next_boundary(FIRST_S + SLOT_S) == FIRST_S + 2 * SLOT_S


async def test_start_shortly_after_a_boundary_still_samples_it() -> None:
    wall = Wall(FIRST_S + 59)
    clock = wall.clock()
    assert await clock.next_boundary(-1) == FIRST_S
    assert abs(monotonic_ms() - clock.boundary_ms(FIRST_S) - 59_000) < 5_000
    assert await Wall(FIRST_S + 61).clock().next_boundary(-1) == FIRST_S + SLOT_S


async def test_missed_boundaries_are_said_and_not_invented() -> None:
    wall = Wall(FIRST_S + 5 * SLOT_S + 1)
    with capture_logs() as lines:
        assert await wall.clock().next_boundary(FIRST_S) == FIRST_S + 5 * SLOT_S
    [line] = lines
    assert (line["event"], line["log_level"]) == ("boundaries_missed", "error")
    assert (line["first_s"], line["last_s"], line["count"]) == (FIRST_S + SLOT_S, FIRST_S + 4 * SLOT_S, 4)


async def test_clock_set_back_yields_no_boundary_twice() -> None:
    wall = Wall(FIRST_S + 10, steps={1: -3600})
    assert await wall.clock().next_boundary(FIRST_S) == FIRST_S + SLOT_S


async def test_clock_set_forward_is_noticed_within_one_sleep() -> None:
    wall = Wall(FIRST_S + 100, steps={2: 10 * SLOT_S})
    assert await wall.clock().next_boundary(FIRST_S) == FIRST_S + 11 * SLOT_S
    assert wall.sleeps < 200


async def test_wall_clock_keeps_to_first_and_last_boundary() -> None:
    wall = Wall(FIRST_S - 3 * SLOT_S)
    clock = wall.clock(first_s=FIRST_S, last_s=FIRST_S + SLOT_S)
    assert await clock.next_boundary(-1) == FIRST_S
    assert await clock.next_boundary(FIRST_S) == FIRST_S + SLOT_S
    assert await clock.next_boundary(FIRST_S + SLOT_S) is None
    assert wall.now_ms() >= (FIRST_S + SLOT_S) * 1000 + POLICY.window_ms  # late meters had their time
    assert await Wall(FIRST_S + 9 * SLOT_S).clock(last_s=FIRST_S).next_boundary(-1) is None


def test_kernel_says_synced_or_unsynced() -> None:
    state = kernel_clock_state()
    assert state.state in ("synced", "unsynced")
    assert isinstance(state.offset_ms, int)


async def test_ledger_time_between_boundaries_is_waited_out() -> None:
    node = FakeNode(ledger_time_s=FIRST_S - 300)
    clock = LedgerBoundaries(node, POLICY)
    waiting = asyncio.create_task(clock.next_boundary(-1))
    await until(lambda: clock.ledger_time_s == FIRST_S - 300)
    assert not waiting.done()
    await node.move_clock(FIRST_S)
    assert await waiting == FIRST_S
    assert clock.is_open(FIRST_S)


async def test_skipped_ledger_boundaries_are_said() -> None:
    clock = LedgerBoundaries(FakeNode(ledger_time_s=FIRST_S + 3 * SLOT_S), POLICY, first_s=FIRST_S)
    with capture_logs() as lines:
        assert await clock.next_boundary(FIRST_S) == FIRST_S + 3 * SLOT_S
    assert [(line["event"], line["count"]) for line in lines] == [("boundaries_missed", 2)]


async def test_ledger_clock_ends_after_the_last_boundary() -> None:
    node = FakeNode(ledger_time_s=FIRST_S + SLOT_S)
    clock = LedgerBoundaries(node, POLICY, first_s=FIRST_S, last_s=FIRST_S + SLOT_S)
    assert await clock.next_boundary(FIRST_S) == FIRST_S + SLOT_S
    await node.move_clock(FIRST_S + SLOT_S + 1)
    assert await clock.next_boundary(FIRST_S + SLOT_S) is None


async def test_node_that_refuses_or_dies_is_asked_again_and_its_return_is_told() -> None:
    returned: list[int] = []

    class Shaky(FakeNode):
        async def wait_clock(self, after_s: int, wait_s: float = 60) -> int:
            if self.height:
                self.height -= 1
                raise NodeRefused("busy", 503, "busy")
            return await super().wait_clock(after_s, wait_s)

    clock = LedgerBoundaries(Shaky(ledger_time_s=FIRST_S, height=3), POLICY, on_answer=lambda: returned.append(1))
    await clock.wait_until_known()
    assert await clock.next_boundary(-1) == FIRST_S
    assert returned == [1]
