from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, MutableMapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs

import edge.agent
import edge.storing
from edge.agent import Agent, unless_stopped
from edge.backoff import SUSPECT_BOUNDARIES
from edge.clocks import BoundaryClock, LedgerBoundaries, WallBoundaries
from edge.config import EdgeConfig, OutboxLimits
from edge.meters import SamplePolicy
from edge.outbox import Entry, Outbox, OutboxWriteError
from edge.parts import load_field
from edge.progress import Gap
from edge.submit import Submitter
from edge.wall_time import WallTime
from gridcore.clock import monotonic_ms
from gridcore.config import load_config
from gridcore.errors import GridError
from gridcore.quality import FLAG_LATE, MEASURED
from tests.unit.edge_agent.edge_world import (
    CHAIN,
    FIRST_S,
    GATEWAY,
    METERS,
    SLOT_S,
    FakeNode,
    check_chain,
    fake_lines,
    maker,
    new_outbox,
    trusted,
    write_config,
)
from tests.waiting import until
from tests.worlds.transactions import readings_of

POLICY = SamplePolicy(slot_s=SLOT_S, backoff_ms=1, attempts_max=4)
LAST_S = FIRST_S + 3 * SLOT_S


class World:
    """An agent over fake meters and a fake node."""

    def __init__(self, folder: Path, outbox: Outbox | None = None, clock: BoundaryClock | None = None) -> None:
        self.node = FakeNode()
        self.outbox = outbox or new_outbox(folder / "outbox.sqlite")
        self.line, self.lines = fake_lines()
        config = load_config(write_config(folder), EdgeConfig)
        config = replace(config, sampling=POLICY, submit=replace(config.submit, retry_ms_min=1, retry_ms_max=5))
        self.submitter = Submitter(self.node, self.outbox, trust=trusted(), policy=config.submit)
        wake = self.submitter.wake
        self.clock = LedgerBoundaries(self.node, POLICY, first_s=FIRST_S, last_s=LAST_S, on_answer=wake)
        self.sampling: asyncio.Task[None] | None = None
        self.agent = Agent(self.lines, clock or self.clock, self.outbox, maker(), self.submitter, config)

    async def arrived(self, count: int) -> None:
        """Wait until the ledger has so many batches and the outbox none."""
        await until(lambda: len(self.node.accepted) >= count and not self.outbox.depth)

    async def sees(self, time_s: int) -> None:
        """Wait until the agent's clock stands at ``time_s``."""
        await until(lambda: self.clock.ledger_time_s == time_s)

    async def ended(self) -> None:
        """Move ledger time past the last boundary and wait until the agent has ended by itself: all it does is done."""
        await self.node.move_clock(LAST_S + SLOT_S)
        assert self.sampling is not None
        await asyncio.wait_for(self.sampling, 10)

    def is_sampled(self, boundary_s: int) -> bool:
        """Whether the outbox knows of a sample at the boundary."""
        return self.outbox.progress.last_boundary_s >= boundary_s

    def holds(self, batches: int, samples: int) -> bool:
        """Whether the outbox has so many batches and so many samples wait for it in memory."""
        return (self.outbox.depth, self.agent._storing.waiting) == (batches, samples)

    def absent(self) -> tuple[int, ...]:
        """Meters that lack a reading at the last boundary."""
        return self.outbox.progress.absent

    def rows(self) -> list[tuple[int, list[int]]]:
        """(boundary, meters) of each accepted batch."""
        found = []
        for transaction in self.node.accepted:
            readings = readings_of(transaction.attachment, transaction.body["rows"])
            found.append((transaction.body["boundary_s"], [reading.meter for reading in readings]))
        return found


@asynccontextmanager
async def running(world: World) -> AsyncIterator[World]:
    world.sampling = asyncio.create_task(world.agent.run())
    tasks = [world.sampling, asyncio.create_task(world.submitter.run())]
    try:
        yield world
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        world.outbox.close()


async def test_each_boundary_brings_one_batch_with_all_meters_in_order(tmp_path: Path) -> None:
    async with running(World(tmp_path)) as world:
        for count, boundary_s in enumerate(range(FIRST_S, LAST_S + 1, SLOT_S), 1):
            await world.node.move_clock(boundary_s - 300)  # a gate: no boundary
            await world.node.move_clock(boundary_s)
            await world.arrived(count)
        await world.ended()
        assert world.rows() == [(s, [1, 2, 3]) for s in range(FIRST_S, LAST_S + 1, SLOT_S)]
        bodies = [transaction.body for transaction in world.node.accepted]
        assert {body["clock"]["state"] for body in bodies} == {"simulated"}
        readings = readings_of(world.node.accepted[0].attachment, METERS)
        assert [(r.meter, r.offset_ms, r.quality, r.import_wh, r.export_wh) for r in readings] == [
            (number, 0, 0, 1000 + 10 * number, 0) for number in (1, 2, 3)
        ]


async def test_boundaries_outside_of_the_configured_days_are_not_sampled(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.node.ledger_time_s = FIRST_S - 2 * SLOT_S
    async with running(world):
        await world.sees(FIRST_S - 2 * SLOT_S)
        await world.node.move_clock(FIRST_S - SLOT_S)
        await world.sees(FIRST_S - SLOT_S)
        await world.ended()
        assert (world.line.reads, world.outbox.progress.counter) == (0, 0)


async def test_restart_at_a_boundary_that_was_not_sampled_samples_it(tmp_path: Path) -> None:
    async with running(World(tmp_path)) as world:
        world.node.ledger_time_s = FIRST_S
        await world.arrived(1)
    node = world.node
    await node.move_clock(FIRST_S + SLOT_S)  # the agent is dead now
    again = World(tmp_path, Outbox.open(tmp_path / "outbox.sqlite", gateway=GATEWAY, chain=CHAIN))
    again.node.__dict__.update(node.__dict__)
    async with running(again):
        await again.arrived(2)
        assert again.rows() == [(FIRST_S, [1, 2, 3]), (FIRST_S + SLOT_S, [1, 2, 3])]


async def test_restart_at_a_boundary_that_was_sampled_sends_nothing_twice(tmp_path: Path) -> None:
    async with running(World(tmp_path)) as world:
        await world.node.move_clock(FIRST_S)
        await world.arrived(1)
    again = World(tmp_path, Outbox.open(tmp_path / "outbox.sqlite", gateway=GATEWAY, chain=CHAIN))
    again.node.__dict__.update(world.node.__dict__)
    async with running(again):
        await again.sees(FIRST_S)
        await again.ended()
        assert (again.line.reads, again.outbox.progress.counter) == (0, 1)
        assert again.rows() == [(FIRST_S, [1, 2, 3])]


async def test_dead_node_does_not_stop_sampling(tmp_path: Path) -> None:
    """The clock answers, submissions do not: what a firewall in between, or a full node, looks like."""
    world = World(tmp_path)
    world.submitter._node = FakeNode(dead=True)
    async with running(world):
        for boundary_s in range(FIRST_S, LAST_S + 1, SLOT_S):
            await world.node.move_clock(boundary_s)
            await until(partial(world.is_sampled, boundary_s))
        assert world.outbox.depth == 4
        check_chain(world.outbox.oldest(9), world.outbox.progress)
        world.submitter._node = world.node
        await world.arrived(4)


async def test_node_that_dies_and_comes_back_is_followed_on(tmp_path: Path) -> None:
    async with running(World(tmp_path)) as world:
        await world.node.move_clock(FIRST_S)
        await world.arrived(1)
        await world.node.die()
        await until(lambda: world.clock._failures >= 2)
        world.node.dead = False
        await world.node.move_clock(FIRST_S + SLOT_S)
        await world.arrived(2)


async def test_late_meter_gets_a_batch_of_its_own(tmp_path: Path) -> None:
    async with running(World(tmp_path)) as world:
        world.line.silent = {2}
        await world.node.move_clock(FIRST_S)
        await world.arrived(1)
        assert world.absent() == (2,)
        world.line.silent = set()
        await world.arrived(2)
        assert world.rows() == [(FIRST_S, [1, 3]), (FIRST_S, [2])]
        assert world.absent() == ()
        assert world.lines[0].failures.counts == {}
        await world.node.move_clock(FIRST_S + SLOT_S)
        await world.arrived(3)
        assert world.rows()[2] == (FIRST_S + SLOT_S, [1, 2, 3])


async def test_meter_that_is_silent_for_long_stays_absent_when_another_one_is_found(tmp_path: Path) -> None:
    """The batch of the late one must not make it look as if it had a reading."""
    world = World(tmp_path)
    world.line.silent = {2, 3}
    (line,) = world.lines
    for _ in range(2 * SUSPECT_BOUNDARIES):
        line.failures.failed(3)
    async with running(world):
        await world.node.move_clock(FIRST_S)
        await until(lambda: world.absent() == (2, 3))
        world.line.silent = {3}
        await world.arrived(2)
        assert world.rows() == [(FIRST_S, [1]), (FIRST_S, [2])]
        assert world.absent() == (3,)


async def test_boundaries_that_nobody_sampled_are_a_gap_in_the_outbox(tmp_path: Path) -> None:
    async with running(World(tmp_path)) as world:
        await world.node.move_clock(FIRST_S)
        await world.arrived(1)
        await world.node.move_clock(FIRST_S + 3 * SLOT_S)
        await world.arrived(2)
        assert world.outbox.progress.gaps == (Gap(FIRST_S + SLOT_S, FIRST_S + 2 * SLOT_S),)


async def test_sample_that_memory_had_no_room_for_is_a_gap_as_soon_as_the_disk_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge.agent, "STORE_RETRY_S", 0.01)
    monkeypatch.setattr(edge.storing, "UNSTORED_SAMPLES_MAX", 1)
    world = World(tmp_path)
    refusing, store = [True], world.outbox.store

    def refuse(entries: Sequence[Entry]) -> Sequence[object]:
        if refusing:
            raise OutboxWriteError("disk full")
        return store(entries)

    monkeypatch.setattr(world.outbox, "store", refuse)
    async with running(world):
        with capture_logs() as logs:
            for slot in range(3):
                await world.node.move_clock(FIRST_S + slot * SLOT_S)
                await until(lambda slot=slot: _events(logs).count("readings_lost") == max(0, slot))  # type: ignore[misc]  # a default binds the loop's value
                await until(lambda: "readings_not_stored" in _events(logs))
        refusing.clear()
        await world.arrived(1)
        await world.node.move_clock(LAST_S)
        await world.arrived(2)
        assert [boundary_s for boundary_s, _ in world.rows()] == [FIRST_S, LAST_S]
        assert world.outbox.progress.gaps == (Gap(FIRST_S + SLOT_S, FIRST_S + 2 * SLOT_S),)


def _events(logs: Sequence[MutableMapping[str, object]]) -> list[object]:
    return [line["event"] for line in logs]


async def test_restart_goes_on_chasing_the_meters_that_were_absent(tmp_path: Path) -> None:
    async with running(World(tmp_path)) as world:
        world.line.silent = {1, 2, 3}
        await world.node.move_clock(FIRST_S)
        await until(lambda: world.is_sampled(FIRST_S))
    assert world.node.accepted == []  # no reading, no batch
    again = World(tmp_path, Outbox.open(tmp_path / "outbox.sqlite", gateway=GATEWAY, chain=CHAIN))
    again.node.__dict__.update(world.node.__dict__)
    async with running(again):
        await again.arrived(1)
        assert again.rows() == [(FIRST_S, [1, 2, 3])]


async def test_next_boundary_ends_the_chase_of_a_dead_meter(tmp_path: Path) -> None:
    async with running(World(tmp_path)) as world:
        world.line.silent = {3}
        for count, boundary_s in enumerate(range(FIRST_S, LAST_S + 1, SLOT_S), 1):
            await world.node.move_clock(boundary_s)
            await world.arrived(count)
        assert [meters for _, meters in world.rows()] == [[1, 2]] * 4


async def test_readings_taken_while_ledger_time_moved_are_not_signed(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def move(unit_id: int) -> None:
        if unit_id == 3 and world.node.ledger_time_s == FIRST_S:
            await world.node.move_clock(FIRST_S + SLOT_S)
            await world.sees(FIRST_S + SLOT_S)

    world.line.on_read = move
    async with running(world):
        await world.node.move_clock(FIRST_S)
        await world.arrived(1)
        assert world.rows() == [(FIRST_S + SLOT_S, [1, 2, 3])]


async def test_full_outbox_holds_samples_in_memory_until_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge.agent, "STORE_RETRY_S", 0.01)
    world = World(tmp_path, new_outbox(tmp_path / "outbox.sqlite", limits=OutboxLimits(batches_max=2)))
    world.submitter._node = FakeNode(dead=True)
    async with running(world):
        for count, boundary_s in enumerate(range(FIRST_S, LAST_S + 1, SLOT_S), 1):
            await world.node.move_clock(boundary_s)
            await until(partial(world.holds, min(count, 2), max(0, count - 2)))
        assert (world.outbox.depth, world.agent._storing.waiting) == (2, 2)
        with capture_logs() as logs:
            world.agent.offer(load_field(write_config(tmp_path)))
        world.agent._offered = None  # what it names is nowhere; how it is taken: tests/integration/test_edge_reload.py
        world.agent._has_offer.clear()
        assert [(line["event"], line["samples_in_memory"]) for line in logs] == [("configuration_waits", 2)]
        world.submitter._node = world.node
        await world.arrived(4)
        assert [boundary_s for boundary_s, _ in world.rows()] == list(range(FIRST_S, LAST_S + 1, SLOT_S))


async def test_disk_that_refuses_for_a_while_costs_no_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge.agent, "STORE_RETRY_S", 0.01)
    world = World(tmp_path)
    commit, failures = world.agent._storing._commit, [OutboxWriteError("disk full")] * 3

    def failing(unstored: Sequence[edge.storing._Unstored]) -> int:
        if failures:
            raise failures.pop()
        return commit(unstored)

    monkeypatch.setattr(world.agent._storing, "_commit", failing)
    async with running(world):
        await world.node.move_clock(FIRST_S)
        await world.arrived(1)
        assert failures == []


async def test_restart_inside_the_window_samples_late_and_says_so(tmp_path: Path) -> None:
    """Real time: 7 s after the boundary its readings still count, with their offset and the flag late."""
    started_ms = FIRST_S * 1000 + 7000 - round(monotonic_ms())
    clock = WallBoundaries(POLICY, time=WallTime(SLOT_S, now_ms=lambda: started_ms + round(monotonic_ms())))
    world = World(tmp_path, clock=clock)
    async with running(world):
        await world.arrived(1)
        body = world.node.accepted[0].body
        readings = readings_of(world.node.accepted[0].attachment, METERS)
    assert body["clock"]["state"] in ("synced", "unsynced")
    assert {reading.quality for reading in readings} == {MEASURED | FLAG_LATE}
    assert all(7000 <= reading.offset_ms <= POLICY.window_ms for reading in readings)


async def test_work_ends_when_it_is_told_to_stop_and_passes_errors_on() -> None:
    stop = asyncio.Event()

    async def fail() -> None:
        raise GridError("broken")

    async def answer() -> int:
        return 7

    assert await unless_stopped(stop, answer()) == 7
    with pytest.raises(GridError, match="broken"):
        await unless_stopped(stop, asyncio.sleep(60), fail())
    asyncio.get_running_loop().call_later(0.01, stop.set)
    assert await unless_stopped(stop, asyncio.sleep(60)) is None


@pytest.mark.parametrize("last_words", [GridError("second"), OSError(28, "No space left on device")])
async def test_second_error_is_in_the_log_while_the_first_is_raised(last_words: Exception) -> None:
    async def fail() -> None:
        raise GridError("first")

    async def fail_at_the_end() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            raise last_words

    with capture_logs() as lines, pytest.raises(GridError, match="first"):
        await unless_stopped(asyncio.Event(), fail(), fail_at_the_end(), asyncio.sleep(60))
    assert [(line["event"], line["error"]) for line in lines] == [("work_failed", type(last_words).__name__)]
    assert lines[0]["reason"] == str(last_words)


async def test_of_two_errors_at_once_the_first_work_s_is_raised_and_the_other_is_in_the_log() -> None:
    async def fail(words: str) -> None:
        raise GridError(words)

    with capture_logs() as lines, pytest.raises(GridError, match="first"):
        await unless_stopped(asyncio.Event(), fail("first"), fail("second"))
    assert [line["reason"] for line in lines] == ["second"]
