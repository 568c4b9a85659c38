from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from edge.clocks import LedgerBoundaries, WallBoundaries
from edge.meters import SamplePolicy
from edge.wall_time import WallTime
from gridcore.kernel_clock import kernel_clock_state
from gridcore.transactions.reading_batch import ClockState
from ledger.client import NodeRefused
from tests.unit.edge_agent.edge_world import FIRST_S, SLOT_S, FakeNode
from tests.waiting import until

POLICY = SamplePolicy(slot_s=SLOT_S, window_ms=60_000)


class Wall:
    """A clock that a sleep moves; ``steps`` are added to the time at the n-th sleep, as a hand that sets the clock."""

    def __init__(self, now_s: float, steps: dict[int, float] | None = None, synced: bool = True) -> None:
        self.now = now_s
        self.monotonic = 5000.0
        self.steps = steps or {}
        self.synced = synced
        self.sleeps = 0

    def now_ms(self) -> int:
        return round(self.now * 1000)

    async def sleep(self, seconds: float) -> None:
        self.sleeps += 1
        self.monotonic += seconds
        self.now += seconds + self.steps.get(self.sleeps, 0)
        await asyncio.sleep(0)

    def state(self) -> ClockState:
        return ClockState(0, "synced" if self.synced else "unsynced")

    def clock(self, first_s: int = 0, last_s: int | None = None) -> WallBoundaries:
        time = WallTime(SLOT_S, now_ms=self.now_ms, clock_ms=lambda: self.monotonic * 1000, state=self.state)
        return WallBoundaries(POLICY, first_s=first_s, last_s=last_s, time=time, sleep=self.sleep)


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
    assert wall.monotonic * 1000 - clock.boundary_ms(FIRST_S) == 59_000
    assert await Wall(FIRST_S + 61).clock().next_boundary(-1) == FIRST_S + SLOT_S


async def test_missed_boundaries_are_said_and_not_invented() -> None:
    wall = Wall(FIRST_S + 5 * SLOT_S + 1)
    with capture_logs() as lines:
        assert await wall.clock().next_boundary(FIRST_S) == FIRST_S + 5 * SLOT_S
    [line] = lines
    assert (line["event"], line["log_level"]) == ("boundaries_missed", "error")
    assert (line["first_s"], line["last_s"], line["count"]) == (FIRST_S + SLOT_S, FIRST_S + 4 * SLOT_S, 4)


async def test_clock_put_back_by_less_than_a_reading_may_be_late_yields_no_boundary_twice() -> None:
    wall = Wall(FIRST_S + 2, steps={1: -4})
    clock = wall.clock()
    assert await clock.next_boundary(FIRST_S - SLOT_S) == FIRST_S
    wall.now -= 4
    assert await clock.next_boundary(FIRST_S) == FIRST_S + SLOT_S


@pytest.mark.parametrize("ahead_s", [SLOT_S, 8 * 3600, 23 * 3600, 5 * 86_400])
@pytest.mark.parametrize("synced", [True, False])
async def test_gateway_whose_clock_was_ahead_samples_again_as_soon_as_the_true_one_has_proved_itself(
    ahead_s: int, synced: bool
) -> None:
    """A clock in local time until the network is there, eight hours ahead; a slot ahead: each true boundary is sampled."""
    wall = Wall(FIRST_S + ahead_s, steps={3: -ahead_s}, synced=synced)
    clock = wall.clock()
    false_s = await clock.next_boundary(FIRST_S + ahead_s - SLOT_S)
    assert false_s == FIRST_S + ahead_s
    with capture_logs() as lines:
        assert await clock.next_boundary(false_s) == FIRST_S + SLOT_S
    assert wall.now_ms() == (FIRST_S + SLOT_S) * 1000
    assert "last_boundary_not_believed" in [line["event"] for line in lines]


async def test_start_before_the_last_boundary_has_to_stand_first() -> None:
    """Nobody knows yet which of the two times was false."""
    wall = Wall(FIRST_S - 130)
    assert await wall.clock().next_boundary(FIRST_S + 8 * 3600) == FIRST_S
    wall = Wall(FIRST_S - 130, steps={30: 8 * 3600 + 100})  # it was this one
    assert await wall.clock().next_boundary(FIRST_S + 8 * 3600) == FIRST_S + 8 * 3600 + SLOT_S


async def test_clock_set_forward_is_noticed_within_one_sleep() -> None:
    wall = Wall(FIRST_S + 100, steps={2: 10 * SLOT_S})
    assert await wall.clock().next_boundary(FIRST_S) == FIRST_S + 11 * SLOT_S
    assert wall.sleeps < 400


def _2036(now_s: float) -> float:
    return 2_087_000_100 // SLOT_S * SLOT_S + 5 - now_s


async def test_forty_seconds_of_2036_give_no_boundary_and_the_next_true_one_is_sampled() -> None:
    """The false time stands right behind one of its own boundaries: its window is open."""
    away = _2036(FIRST_S + 120)
    wall = Wall(FIRST_S + 100, steps={2: away, 42: -away})
    with capture_logs() as lines:
        assert await wall.clock().next_boundary(FIRST_S) == FIRST_S + SLOT_S
    assert wall.now_ms() == (FIRST_S + SLOT_S) * 1000
    assert [line["event"] for line in lines] == ["clock_not_believed", "clock_believed_again"]


async def test_window_closes_when_the_clock_jumps_in_its_middle_and_the_offset_stays_true() -> None:
    wall = Wall(FIRST_S + 2)
    clock = wall.clock()
    assert await clock.next_boundary(FIRST_S - SLOT_S) == FIRST_S
    wall.now += 40
    wall.synced = False
    assert not clock.is_open(FIRST_S)
    assert clock.state().state == "unsynced"
    wall.monotonic += 3
    assert wall.monotonic * 1000 - clock.boundary_ms(FIRST_S) == 5000


async def test_gateway_that_boots_in_1970_waits_for_the_time_and_then_samples() -> None:
    wall = Wall(60, steps={300: FIRST_S - 400}, synced=False)
    clock = wall.clock()
    assert await clock.next_boundary(-1) == FIRST_S
    assert wall.now_ms() >= FIRST_S * 1000


async def test_clock_177_s_behind_after_a_power_cut_is_set_and_the_boundary_counts_from_the_true_time() -> None:
    """It is set 30 s after the true boundary: the reading is 30 s late and flagged so, not on time by a false clock."""
    wall = Wall(FIRST_S + SLOT_S - 177 - 20, steps={5: 177}, synced=True)
    clock = wall.clock()
    assert await clock.next_boundary(FIRST_S) == FIRST_S + SLOT_S
    assert wall.now_ms() - (FIRST_S + SLOT_S) * 1000 == 30_000
    assert wall.monotonic * 1000 - clock.boundary_ms(FIRST_S + SLOT_S) == 30_000


async def test_small_jump_of_a_clock_that_nothing_disciplines_has_to_stand_first() -> None:
    wall = Wall(FIRST_S + 500, steps={3: 360}, synced=False)
    assert await wall.clock().next_boundary(FIRST_S) == FIRST_S + 2 * SLOT_S
    wall = Wall(FIRST_S + 500, steps={3: 360}, synced=True)
    assert await wall.clock().next_boundary(FIRST_S) == FIRST_S + SLOT_S


async def test_last_boundary_left_behind_by_a_false_time_silences_nobody() -> None:
    wall = Wall(FIRST_S + 100)
    with capture_logs() as lines:
        assert await wall.clock().next_boundary(2_087_000_100) == FIRST_S + SLOT_S
    assert "last_boundary_not_believed" in [line["event"] for line in lines]


async def test_start_years_after_the_last_boundary_has_to_stand_first() -> None:
    away = _2036(FIRST_S)
    wall = Wall(FIRST_S + away, steps={40: -away + SLOT_S})
    assert await wall.clock().next_boundary(FIRST_S) == FIRST_S + SLOT_S
    wall = Wall(FIRST_S + away)
    assert await wall.clock().next_boundary(FIRST_S) == FIRST_S + round(away) // SLOT_S * SLOT_S + SLOT_S
    assert wall.monotonic >= 5120


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
