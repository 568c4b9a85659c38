"""After an outage of agent, line or meter: what the meters recorded themselves is fetched, by an agent on simulated DL/T 645 meters.

Their clocks and the agent's go by the same false time, so a record of a quarter of an hour takes no quarter of an hour.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, MutableMapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

import edge.agent
import edge.readers.dlt645
from edge import lacks as lacks_module
from edge import window
from edge.agent import BATCHES_AT_BOUNDARY_MAX, Agent
from edge.backfill import RECORD_ROUNDS_MAX
from edge.clocks import WallBoundaries
from edge.config import EdgeConfig, OutboxLimits
from edge.lacks import LACKING_METERS_MAX, LACKS_MAX, Lack, count_missing, newest_missing, with_lack
from edge.lines import LineConfig
from edge.memory import Memories
from edge.meters import MeterConfig, SamplePolicy, build_lines
from edge.outbox import Outbox
from edge.outbox_file import create_outbox
from edge.progress import Progress
from edge.submit import Submitter
from edge.wall_time import WallTime
from firmware_profiles import load_profile
from gridcore.clock import monotonic_ms
from gridcore.config import load_config
from gridcore.quality import FLAG_FROZEN, MEASURED, SUSPECT
from gridcore.transactions.reading_batch import ClockState
from gridcore.transactions.readings import Reading
from ledger.kinds.reading_batch import LATE_BATCHES_MAX
from simulators.meters import Fault, MeterFleet, VirtualMeter
from tests.unit.edge_agent.edge_world import (
    CHAIN,
    FIRST_S,
    GATEWAY,
    SLOT_S,
    FakeNode,
    fake_lines,
    maker,
    new_outbox,
    trusted,
    write_config,
)
from tests.waiting import until
from tests.worlds.transactions import readings_of

LINE = "bus"
POLICY = SamplePolicy(slot_s=SLOT_S, backoff_ms=1, attempts_max=1, window_ms=600_000, late_after_ms=600_000)
SYNCED = ClockState(0, "synced")
FROZEN = MEASURED | FLAG_FROZEN
LIMIT_WH = 5_000
STEP_WH = 100
"""What each meter counts in a slot."""


class Time:
    """Time of day that goes on by itself and is set ahead between two lives of an agent."""

    def __init__(self) -> None:
        self._ahead_ms = 0
        self.set_to(FIRST_S * 1000 - 60_000)

    def __call__(self) -> int:
        return round(monotonic_ms()) + self._ahead_ms

    def set_to(self, time_ms: int) -> None:
        self._ahead_ms = time_ms - round(monotonic_ms())


class Site:
    """Meters that count STEP_WH a slot, the gateway's disk, and the node that it submits to."""

    def __init__(self, folder: Path, time: Time, meters: Sequence[VirtualMeter]) -> None:
        self.node = FakeNode(simulated=False, ledger_time_s=FIRST_S + 10_000 * SLOT_S)
        self.time, self.slot = time, -1
        self.fleet = MeterFleet(meters, framer="dlt645", true_ms=time)
        self._outbox = folder / "outbox.sqlite"
        self._config = load_config(write_config(folder), EdgeConfig)
        self.memories = Memories()
        self.clock_state = SYNCED
        self.limits = OutboxLimits()
        create_outbox(self._outbox, Progress(GATEWAY, CHAIN, 1))

    async def start(self) -> None:
        (self._end,) = await self.fleet.start()

    def pass_to(self, slot: int, wrong_wh: int = 0) -> None:
        """The boundary of ``slot`` is passed; the meters show what has flowed until then and ``wrong_wh`` more."""
        while self.slot < slot:
            self.slot += 1
            self.time.set_to((FIRST_S + self.slot * SLOT_S) * 1000 - 5_000)
            count = len(self.fleet.meters)
            self.fleet.set_registers([self.import_wh(self.slot) + wrong_wh] * count, [self.slot * 10] * count)
            self.time.set_to((FIRST_S + self.slot * SLOT_S) * 1000 + 1_000)

    def import_wh(self, slot: int) -> int:
        return 100_000 + slot * STEP_WH

    @asynccontextmanager
    async def agent(self) -> AsyncIterator[Outbox]:
        """One life of the agent."""
        profile = load_profile("dlt645_2007")
        table = [
            MeterConfig(n, meter.meter, LINE, profile.id, LIMIT_WH, address=f"{meter.unit_id:012d}", timeout_ms=200)
            for n, meter in enumerate(self.fleet.meters, 1)
        ]
        line = LineConfig(LINE, self._end.host, self._end.port, "dlt645", drain_ms=20)
        lines = build_lines([line], table, {profile.id: profile})
        outbox = Outbox.open(self._outbox, gateway=GATEWAY, chain=CHAIN, limits=self.limits)
        config = replace(self._config, sampling=POLICY, submit=replace(self._config.submit, retry_ms_min=1, report_s=0))
        submitter = Submitter(self.node, outbox, trust=trusted(), policy=config.submit)
        clock = WallBoundaries(POLICY, time=WallTime(SLOT_S, now_ms=self.time, state=lambda: self.clock_state))
        agent = Agent(lines, clock, outbox, maker(), submitter, config, memories=self.memories)
        tasks = [asyncio.create_task(agent.run()), asyncio.create_task(submitter.run())]
        try:
            yield outbox
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await agent.close()
            outbox.close()

    async def live(self, has_happened: object = None) -> None:
        """A life of the agent in which it samples the boundary at hand, and ``has_happened``, if given, comes true."""
        async with self.agent() as outbox:
            boundary_s = FIRST_S + self.slot * SLOT_S
            await until(lambda: outbox.progress.last_boundary_s == boundary_s and not outbox.depth)
            if callable(has_happened):
                await until(has_happened)

    def rows(self) -> dict[int, list[Reading]]:
        """The readings that the ledger has, by slot."""
        found: dict[int, list[Reading]] = {}
        for transaction in self.node.accepted:
            slot = (transaction.body["boundary_s"] - FIRST_S) // SLOT_S
            found.setdefault(slot, []).extend(readings_of(transaction.attachment, transaction.body["rows"]))
        return found

    def order(self) -> list[int]:
        """The slots of the batches in their order."""
        return [(transaction.body["boundary_s"] - FIRST_S) // SLOT_S for transaction in self.node.accepted]


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(edge.readers.dlt645, "wall_ms", time)
    return time


@asynccontextmanager
async def site(folder: Path, time: Time, *meters: VirtualMeter) -> AsyncIterator[Site]:
    made = Site(folder, time, meters or [VirtualMeter("M1", LINE, 1), VirtualMeter("M2", LINE, 2)])
    await made.start()
    try:
        yield made
    finally:
        await made.fleet.close()


def events(logs: Sequence[MutableMapping[str, object]], *names: str) -> list[object]:
    return [line["event"] for line in logs if line["event"] in names]


async def test_what_was_missed_while_the_agent_was_off_is_fetched_from_the_meters_records_newest_first(
    tmp_path: Path, time: Time
) -> None:
    async with site(tmp_path, time) as here:
        here.pass_to(0)
        await here.live()
        here.pass_to(5)
        await here.live(lambda: len(here.order()) == 6)
        assert here.order() == [0, 5, 4, 3, 2, 1]
        for slot in range(1, 5):
            rows = here.rows()[slot]
            assert [(row.meter, row.quality, row.offset_ms) for row in rows] == [(1, FROZEN, 0), (2, FROZEN, 0)]
            assert {(row.import_wh, row.export_wh) for row in rows} == {(here.import_wh(slot), slot * 10)}
        here.pass_to(6)
        async with here.agent() as outbox:
            await until(lambda: here.order()[-1] == 6 and not outbox.depth)
            assert outbox.progress.lacks == ()
            assert [(gap.first_s, gap.last_s) for gap in outbox.progress.gaps] == [
                (FIRST_S + SLOT_S, FIRST_S + 4 * SLOT_S)
            ]


async def test_an_agent_that_dies_while_it_fetches_goes_on_where_it_was_and_fetches_nothing_twice(
    tmp_path: Path, time: Time
) -> None:
    async with site(tmp_path, time) as here:
        here.pass_to(0)
        await here.live()
        here.pass_to(4)
        async with here.agent() as outbox:
            await until(lambda: count_missing(outbox.progress.lacks, SLOT_S) == 4)  # of 6: one boundary is fetched
        here.pass_to(5)
        await here.live(lambda: {*here.order()} == {0, 1, 2, 3, 4, 5})
        assert sorted(here.order()) == [0, 1, 2, 3, 4, 5]


async def test_meters_behind_a_line_that_was_down_are_fetched_and_no_other_boundary_waits_for_them(
    tmp_path: Path, time: Time
) -> None:
    async with site(tmp_path, time) as here:
        here.pass_to(0)
        await here.live()
        for slot in (1, 2):
            here.pass_to(slot)
            here.fleet.set_fault("M2", Fault(silent=True))
            await here.live()
            assert [row.meter for row in here.rows()[slot]] == [1]
        here.fleet.set_fault("M2", None)
        here.pass_to(3)
        await here.live(lambda: len(here.order()) == 6)
        assert here.order() == [0, 1, 2, 3, 2, 1]
        assert [(row.meter, row.import_wh) for row in here.rows()[1]] == [
            (1, here.import_wh(1)),
            (2, here.import_wh(1)),
        ]
        assert here.rows()[1][1].quality == FROZEN


async def test_meter_without_records_is_asked_once_for_each_boundary_and_given_up(tmp_path: Path, time: Time) -> None:
    async with site(tmp_path, time, VirtualMeter("M1", LINE, 1, load_record_min=0)) as here:
        here.pass_to(0)
        await here.live()
        here.pass_to(3)
        async with here.agent() as outbox:
            await until(lambda: outbox.progress.last_boundary_s == FIRST_S + 3 * SLOT_S and not outbox.progress.lacks)
        assert here.order() == [0, 3]


async def test_records_of_a_meter_whose_clock_is_off_do_not_count(tmp_path: Path, time: Time) -> None:
    async with site(tmp_path, time, VirtualMeter("M1", LINE, 1, clock_ahead_ms=40_000)) as here:
        here.pass_to(0)
        await here.live()
        here.pass_to(2)
        with capture_logs() as logs:
            async with here.agent() as outbox:
                await until(lambda: "record_not_believed" in events(logs, "record_not_believed"))
                await until(lambda: not outbox.progress.lacks)
        assert here.order() == [0, 2]


async def test_record_that_does_not_fit_to_what_follows_is_not_signed_and_those_around_it_are(
    tmp_path: Path, time: Time
) -> None:
    async with site(tmp_path, time, VirtualMeter("M1", LINE, 1)) as here:
        here.pass_to(0)
        await here.live()
        here.pass_to(1)
        here.pass_to(2, wrong_wh=50_000)
        here.pass_to(4)
        with capture_logs() as logs:
            await here.live(lambda: len(here.order()) == 4)
        assert here.order() == [0, 4, 3, 1]
        assert events(logs, "record_not_believed") == ["record_not_believed"]


async def test_meter_that_boots_at_the_present_boundary_loses_no_record_and_its_suspect_reading_is_replaced_by_one(
    tmp_path: Path, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch_records, rounds = Agent._fetch_records, list[int]()

    async def fetch_and_note(agent: Agent, boundary_s: int, upcoming: asyncio.Future[int | None]) -> None:
        await fetch_records(agent, boundary_s, upcoming)
        rounds.append(boundary_s)

    monkeypatch.setattr(Agent, "_fetch_records", fetch_and_note)
    async with site(tmp_path, time, VirtualMeter("M1", LINE, 1)) as here:
        here.pass_to(0)
        await here.live()
        here.pass_to(2)
        here.fleet.set_fault("M1", Fault(shows="zero"))
        await here.live(lambda: FIRST_S + 2 * SLOT_S in rounds)
        assert [row.quality for row in here.rows()[2]] == [SUSPECT | FLAG_FROZEN]
        here.fleet.set_fault("M1", None)
        here.pass_to(3)
        await here.live(lambda: len(here.order()) == 5)
        assert here.order() == [0, 2, 3, 2, 1]
        assert [(row.quality, row.import_wh) for row in here.rows()[2][1:]] == [(FROZEN, here.import_wh(2))]


async def test_records_are_fetched_as_far_back_as_half_the_age_of_the_outbox_so_that_they_never_fill_it(
    tmp_path: Path, time: Time
) -> None:
    async with site(tmp_path, time, VirtualMeter("M1", LINE, 1)) as here:
        here.limits = OutboxLimits(age_s_max=5 * SLOT_S)
        here.pass_to(0)
        await here.live()
        here.pass_to(6)
        async with here.agent() as outbox:
            await until(lambda: len(here.order()) == 4 and not outbox.progress.lacks)
        assert here.order() == [0, 6, 5, 4]


async def test_while_the_gateway_s_clock_is_not_disciplined_nothing_is_fetched_and_nothing_given_up(
    tmp_path: Path, time: Time
) -> None:
    async with site(tmp_path, time, VirtualMeter("M1", LINE, 1)) as here:
        here.pass_to(0)
        await here.live()
        here.pass_to(2)
        here.clock_state = ClockState(0, "unsynced")
        await here.live()
        assert here.order() == [0, 2]
        here.clock_state = SYNCED
        here.pass_to(3)
        await here.live(lambda: len(here.order()) == 4)
        assert here.order() == [0, 2, 3, 1]


async def test_meter_that_is_silent_when_asked_is_asked_in_three_rounds_and_then_given_up(
    tmp_path: Path, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with site(tmp_path, time, VirtualMeter("M1", LINE, 1)) as here:
        here.pass_to(0)
        await here.live()
        monkeypatch.setattr(edge.readers.dlt645.Dlt645Meter, "read_record", _no_answer)
        with capture_logs() as logs:
            for slot, rounds in ((2, [1]), (3, [2]), (4, [])):
                here.pass_to(slot)
                async with here.agent() as outbox:
                    await until(partial(_has_rounds, outbox, slot, rounds))
        assert len(events(logs, "record_not_read")) == RECORD_ROUNDS_MAX
        assert events(logs, "records_given_up") == ["records_given_up"]


def _has_rounds(outbox: Outbox, slot: int, rounds: list[int]) -> bool:
    progress = outbox.progress
    return progress.last_boundary_s == FIRST_S + slot * SLOT_S and [lack.rounds for lack in progress.lacks] == rounds


async def _no_answer(*_: object) -> None:
    raise edge.readers.NoAnswerError("no answer")


async def test_long_outage_is_fetched_in_rounds_of_a_bounded_number_of_boundaries(
    tmp_path: Path, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge.agent, "BOUNDARIES_PER_ROUND_MAX", 3)
    missed = 5
    async with site(tmp_path, time, VirtualMeter("M1", LINE, 1)) as here:
        here.pass_to(0)
        await here.live()
        here.pass_to(missed + 1)
        await here.live(lambda: len(here.order()) == 5)
        here.pass_to(missed + 2)
        await here.live(lambda: len(here.order()) == missed + 3)
        assert here.order() == [0, 6, 5, 4, 3, 7, 2, 1]


class OneBoundary:
    """A clock that has come to one boundary, and to no other."""

    simulated = False

    def __init__(self) -> None:
        self._at_ms = monotonic_ms()

    async def wait_until_known(self) -> None:
        """It is."""

    async def next_boundary(self, after_s: int) -> int | None:
        if after_s >= FIRST_S:
            await asyncio.Event().wait()
        return FIRST_S

    def is_open(self, boundary_s: int) -> bool:
        return True

    def boundary_ms(self, boundary_s: int) -> float:
        return self._at_ms

    def state(self) -> ClockState:
        return SYNCED


async def test_line_whose_meters_answer_one_by_one_makes_no_more_batches_than_the_ledger_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "ROUND_PAUSE_MS_MAX", 20)  # rounds follow each other at once
    meters = 12
    node, (line, lines) = FakeNode(), fake_lines(meters)
    outbox = new_outbox(tmp_path / "outbox.sqlite")
    policy = SamplePolicy(slot_s=SLOT_S, backoff_ms=1, window_ms=600_000)
    config = replace(load_config(write_config(tmp_path), EdgeConfig), sampling=policy)
    submitter = Submitter(node, outbox, trust=trusted(), policy=config.submit)
    agent = Agent(lines, OneBoundary(), outbox, maker(), submitter, config)
    line.silent = set(range(2, meters + 1))
    tasks = [asyncio.create_task(agent.run()), asyncio.create_task(submitter.run())]
    for count in range(1, BATCHES_AT_BOUNDARY_MAX + 1):
        await until(lambda count=count: len(node.accepted) == count)  # type: ignore[misc]
        line.silent.discard(count + 1)
    for unit in range(BATCHES_AT_BOUNDARY_MAX + 1, meters + 1):
        reads = line.reads
        line.silent.discard(unit)
        await until(lambda reads=reads: line.reads > reads + 2 * meters or not line.silent)  # type: ignore[misc]
    await until(lambda: not outbox.progress.absent and not outbox.depth)
    assert len(node.accepted) == BATCHES_AT_BOUNDARY_MAX + 1
    rows = [readings_of(one.attachment, one.body["rows"]) for one in node.accepted]
    assert sorted(row.meter for batch in rows for row in batch) == list(range(1, meters + 1))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    outbox.close()


def test_all_batches_that_an_agent_may_make_for_a_boundary_that_has_one_are_taken_by_the_ledger() -> None:
    """Behind the first one: those of a window, the one with what was held, and one for each round of records."""
    assert (BATCHES_AT_BOUNDARY_MAX - 1) + 1 + RECORD_ROUNDS_MAX <= LATE_BATCHES_MAX


SPANS = st.builds(
    lambda first, more, meters, rounds: Lack(
        FIRST_S + first * SLOT_S, FIRST_S + (first + more) * SLOT_S, tuple(sorted(meters)), rounds
    ),
    st.integers(0, 20),
    st.integers(0, 8),
    st.sets(st.integers(1, 5), max_size=3),
    st.integers(0, 1),
)


@given(spans=st.lists(SPANS, max_size=8))
def test_the_last_word_on_each_boundary_stands(spans: list[Lack]) -> None:
    kept: tuple[Lack, ...] = ()
    said: dict[int, tuple[tuple[int, ...], int]] = {}
    for span in spans:
        kept = with_lack(kept, span, SLOT_S)
        for boundary_s in range(span.first_s, span.last_s + 1, SLOT_S):
            said.pop(boundary_s, None)
            if span.meters:
                said[boundary_s] = (span.meters, span.rounds)
    found = list(newest_missing(kept, SLOT_S))
    assert [missing.boundary_s for missing in found] == sorted(said, reverse=True)
    assert {missing.boundary_s: missing[1:] for missing in found} == said
    assert count_missing(kept, SLOT_S) == sum(len(meters) for meters, _ in said.values())


def test_neighbours_that_say_the_same_are_one_span() -> None:
    kept: tuple[Lack, ...] = ()
    for slot in (2, 0, 1):
        boundary_s = FIRST_S + slot * SLOT_S
        kept = with_lack(kept, Lack(boundary_s, boundary_s, (1, 2)), SLOT_S)
    assert kept == (Lack(FIRST_S, FIRST_S + 2 * SLOT_S, (1, 2)),)


def test_beyond_its_limits_the_oldest_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: tuple[Lack, ...] = ()
    for slot in range(LACKS_MAX + 2):
        boundary_s = FIRST_S + slot * SLOT_S
        kept = with_lack(kept, Lack(boundary_s, boundary_s, (1 + slot % 2,)), SLOT_S)
    assert len(kept) == LACKS_MAX
    assert kept[0].first_s == FIRST_S + 2 * SLOT_S
    assert LACKING_METERS_MAX >= 4096
    monkeypatch.setattr(lacks_module, "LACKING_METERS_MAX", 10)
    kept = with_lack(kept, Lack(FIRST_S + 900 * SLOT_S, FIRST_S + 900 * SLOT_S, (1, 2, 3)), SLOT_S)
    assert sum(len(lack.meters) for lack in kept) == 10
