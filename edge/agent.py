"""The gateway agent: wait for the next boundary, sample, sign, queue; and beside that, submit.

    boundary (edge.clocks) -> meters (edge.sampling) -> signed batch (edge.batches) -> outbox (edge.outbox) -> node (edge.submit)

Between sampling and signing stand observations (edge.observing), for a bounded time: they bill nothing and cost no
reading. A batch is in the outbox before anything of it is sent, so the process may die at any moment. A dead meter
costs its own time-outs; a dead node stops nothing but submission. ``Agent.run`` is the whole path.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from edge.alarms import FILL_ALARM_PERCENT
from edge.backfill import BOUNDARIES_PER_ROUND_MAX, QUIET_MS, Backfill
from edge.batches import BatchMaker
from edge.bindings import Bindings
from edge.clocks import BoundaryClock
from edge.config import EdgeConfig
from edge.memory import Memories, memory_path
from edge.meters import MeterLine, close_lines
from edge.nodes import Nodes, open_nodes
from edge.observing import Observer
from edge.outbox import Outbox
from edge.outbox_file import lock_outbox
from edge.parts import FieldParts, boundary_clock, load_parts
from edge.raw_words import RawWords, raw_words_path
from edge.reloading import follow_reloads
from edge.reporting import follow_facts
from edge.samples import MeterSample, Sample
from edge.sampling import Sampling
from edge.standing import open_standing
from edge.status import AgentState, LastReads, facts
from edge.status_page import status_served
from edge.storing import Storing
from edge.submit import Submitter
from edge.truth import RegisterLimits
from gridcore.clock import monotonic_ms, wall_ms
from gridcore.logs import get_logger
from gridcore.observations import encode_observations

BATCHES_AT_BOUNDARY_MAX = 5
"""So many batches bring what a boundary's meters give one after the other; what comes later waits for the last one."""
STORE_RETRY_S = 5.0
POWER_OBIS = "16.7.0"
"""Active power of all phases: by it a register that stands still is known to be stuck."""

_log = get_logger(__name__)


async def run_agent(path: Path, version: str, stop: asyncio.Event, reload: asyncio.Event | None = None) -> None:
    """Run the agent of the configuration at ``path`` until ``stop`` is set; ``reload``: set when it may have changed.

    UsageError when it cannot start.
    """
    parts = load_parts(path, version)
    config = parts.config
    with lock_outbox(config.outbox):
        async with open_nodes(config, config.gateway, parts.signer) as client:
            outbox = await unless_stopped(stop, open_standing(config, client))
            if outbox is None:
                return
            submitter = Submitter(client, outbox, trust=parts.trust, policy=config.submit)
            clock = boundary_clock(config, client, submitter.wake)
            memories = Memories(memory_path(config.outbox))
            field = parts.field
            raw_words = RawWords(raw_words_path(config.outbox), config.raw_words, field.versions)
            agent = Agent(
                field.lines,
                clock,
                outbox,
                parts.maker,
                submitter,
                config,
                observer=field.observer,
                memories=memories,
                raw_words=raw_words,
                observed=field.observed,
            )
            facts_now = partial(agent.facts, client, version)
            aside = [
                asyncio.create_task(follow_reloads(path, config, reload or asyncio.Event(), agent.offer)),
                asyncio.create_task(follow_facts(client, config.gateway, facts_now, config.submit.report_s)),
            ]
            try:
                field.observer.start()
                progress = outbox.progress
                _log.info(
                    "agent_started",
                    gateway=config.gateway,
                    epoch=progress.epoch,
                    counter=progress.counter,
                    waiting=outbox.depth,
                    meters=len(config.meters),
                    devices=len(config.devices),
                )
                async with status_served(config.status_port, facts_now):
                    await unless_stopped(stop, agent.run(), submitter.run())
            finally:
                for task in aside:
                    task.cancel()
                await agent.close()
                raw_words.close()
                outbox.close()
                _log.info("agent_stopped", gateway=config.gateway, waiting=outbox.depth)


class Agent:
    """The path of one gateway from boundary to outbox."""

    def __init__(
        self,
        lines: Sequence[MeterLine],
        clock: BoundaryClock,
        outbox: Outbox,
        maker: BatchMaker,
        submitter: Submitter,
        config: EdgeConfig,
        *,
        observer: Observer | None = None,
        memories: Memories | None = None,
        raw_words: RawWords | None = None,
        observed: tuple[object, ...] = (),
    ) -> None:
        """``observed``: as of ``FieldParts``, of the observer."""
        self._observer = observer or Observer((), (), (), config.sampling)
        self._memories = Memories() if memories is None else memories
        self._raw_words = raw_words or RawWords(None, config.raw_words, {})
        self._limits = _limits_of(lines)
        self._bindings = Bindings(lines, self._memories, asks_clocks=not clock.simulated)
        self._lines = tuple(lines)
        self._clock = clock
        self._outbox = outbox
        self._policy = config.sampling
        self._storing = Storing(
            clock,
            outbox,
            maker,
            self._raw_words,
            submitter.wake,
            first_s=config.first_boundary_s,
            slot_s=config.sampling.slot_s,
        )
        self._storing.follow(self._lines)
        self._has_room = True
        self._config = config
        self._observed = observed
        self._reads = LastReads()
        self._offered: FieldParts | None = None
        self._has_offer = asyncio.Event()

    async def run(self) -> None:
        """Sample every boundary once; ends after the last one, otherwise by cancellation."""
        last_s, absent = self._outbox.progress.last_boundary_s, frozenset(self._outbox.progress.absent)
        await self._clock.wait_until_known()
        upcoming = asyncio.ensure_future(self._clock.next_boundary(last_s))
        try:
            await self._chase(self._begin(last_s), absent, upcoming)
            await self._bindings.check(last_s, upcoming.done)
            while (boundary_s := await self._wait(upcoming, last_s)) is not None:
                last_s = boundary_s
                upcoming = asyncio.ensure_future(self._clock.next_boundary(boundary_s))  # watched meanwhile
                sampling = self._begin(boundary_s)
                sample = await sampling.first_pass()
                if self._belongs(sample):
                    if self._clock.simulated:  # it stands still: a further look shows the same moment
                        sample = sampling.with_suspects(sample)
                    absent = frozenset(absence.number for absence in sample.absent)
                    await self._complete(sample, absent, upcoming)
                    await self._chase(sampling, absent, upcoming)
                    await self._bindings.check(boundary_s, upcoming.done)
                    await self._fetch_records(boundary_s, upcoming)
        finally:
            upcoming.cancel()
            if self._storing.waiting:
                _log.critical(
                    "readings_lost", samples=self._storing.waiting, reason="stopped before they could be stored"
                )
        _log.info("sampling_is_over", last_boundary_s=last_s)

    def facts(self, nodes: Nodes, version: str) -> dict[str, Any]:
        """How the agent stands now, for its status page (``edge.status``)."""
        return facts(
            AgentState(
                config=self._config,
                version=version,
                time_s=wall_ms() // 1000,
                clock=self._clock.state(),
                outbox=self._outbox.state,
                nodes=nodes.states(),
                lines=self._lines,
                reads=self._reads,
                versions=self._raw_words.versions,
                profiles=self._storing.maker.profiles,
                in_memory=self._storing.waiting,
            )
        )

    def offer(self, field: FieldParts) -> None:
        """Take these meters and devices in place of the present ones as soon as no boundary is at hand; of several the last one."""
        if self._storing.waiting:
            effect = "the new configuration is taken when they are stored"
            _log.warning("configuration_waits", samples_in_memory=self._storing.waiting, effect=effect)
        self._offered = field
        self._has_offer.set()

    async def close(self) -> None:
        """Leave the brokers and close the lines."""
        await self._observer.close()
        await close_lines(self._lines)

    async def _take(self, field: FieldParts, last_s: int, upcoming: asyncio.Future[int | None]) -> None:
        """Exchange meters and devices; whoever stayed as they were keep what is known of them."""
        before, rows = self._config, {row.number: row for row in self._config.meters}
        await close_lines(self._lines)  # a serial port has one user
        if self._observed == field.observed:
            self._observer = self._observer.over(field.lines, field.config.sampling)
        else:
            await self._observer.close()
            self._observer = field.observer
            self._observer.start()
        failures = {row.line: line.failures for row, line in zip(before.lines, self._lines, strict=True)}
        for row, line in zip(field.config.lines, field.lines, strict=True):
            line.failures = failures.get(row.line, line.failures)
        same = {row.line for row in field.config.lines if row in before.lines}
        kept = {row.number for row in field.config.meters if rows.get(row.number) == row and row.line in same}
        known = self._bindings.of(kept)
        self._bindings = Bindings(field.lines, self._memories, known, asks_clocks=not self._clock.simulated)
        self._lines, self._limits = field.lines, _limits_of(field.lines)
        self._storing.follow(self._lines)
        self._storing.maker = replace(self._storing.maker, configuration=field.configuration, profiles=field.profiles)
        self._raw_words.versions = field.versions
        self._config, self._observed = field.config, field.observed
        meters = {row.number for row in field.config.meters}
        _log.warning(
            "configuration_reloaded",
            meters=len(meters),
            added=len(meters - set(rows)),
            removed=len(set(rows) - meters),
            devices=len(field.config.devices),
            profiles=field.profiles.hex(),
        )
        await self._bindings.check(last_s, upcoming.done)

    def _begin(self, boundary_s: int) -> Sampling:
        return Sampling(
            self._lines,
            boundary_s,
            policy=self._policy,
            boundary_ms=self._clock.boundary_ms(boundary_s),
            memories=self._memories,
            barred=self._bindings.barred,
            proofs=self._bindings,
        )

    async def _chase(self, sampling: Sampling, absent: frozenset[int], upcoming: asyncio.Future[int | None]) -> None:
        """Try the meters that have not answered until the boundary closes; each find makes a batch of its own.

        Beyond BATCHES_AT_BOUNDARY_MAX they wait for the last one: the ledger takes few batches for a boundary that it has had one of.
        What a meter showed that was never believed comes with it.
        """
        held: list[MeterSample] = []
        while absent and (self._clock.simulated or sampling.has_tries_left):
            await asyncio.wait({upcoming}, timeout=sampling.pause_s())
            if upcoming.done() or not self._clock.is_open(sampling.boundary_s):
                break
            if self._clock.simulated:
                sampling.stand_still()
            sample = await self._unless_next(sampling.another_round(absent), upcoming)
            if sample is not None and sample.meters and self._belongs(sample):
                absent = frozenset(absence.number for absence in sample.absent)
                if self._clock.simulated or self._storing.batches_at(sampling.boundary_s) < BATCHES_AT_BOUNDARY_MAX:
                    await self._complete(sample, absent, upcoming)
                else:
                    held += sample.meters
        suspects = [] if self._clock.simulated else sampling.suspects(absent)
        last = tuple(sorted((*held, *suspects), key=lambda reading: reading.number))
        if last and self._storing.batches_at(sampling.boundary_s) <= BATCHES_AT_BOUNDARY_MAX:
            left = absent - {reading.number for reading in suspects}
            await self._complete(Sample(sampling.boundary_s, last, (), 0), left, upcoming)
        elif last:  # it was started again and again within one window
            _log.critical("readings_lost", boundary_s=sampling.boundary_s, readings=len(last))

    async def _unless_next(
        self, work: Coroutine[Any, Any, Sample], upcoming: asyncio.Future[int | None]
    ) -> Sample | None:
        """The result of ``work``; None when the next boundary came first."""
        late = asyncio.ensure_future(work)
        racing: set[asyncio.Future[Any]] = {late, upcoming}
        try:
            await asyncio.wait(racing, return_when=asyncio.FIRST_COMPLETED)
            if late.done():
                return late.result()
        finally:
            late.cancel()
        await asyncio.wait({late})
        return None

    def _belongs(self, sample: Sample) -> bool:
        """Whether simulated time stood still while the meters were read; if not, the readings belong to no boundary."""
        if not self._clock.simulated or self._clock.is_open(sample.boundary_s):
            return True
        _log.error("ledger_time_moved_while_sampling", boundary_s=sample.boundary_s, readings=len(sample.meters))
        return False

    async def _complete(self, sample: Sample, absent: frozenset[int], upcoming: asyncio.Future[int | None]) -> None:
        """Observe what belongs to the sample, then put both into the outbox: the sample also when observing ends otherwise."""
        observed = _Observed()
        try:
            if sample.meters and self._observer.has_work and self._has_room_for_observations():
                observed = await self._observe(sample, upcoming)
        finally:
            sample = self._memories.marked(sample, self._limits, observed.powers_w)
            self._reads.note(sample)
            seen = self._observer.seen() if observed.encoded else None
            await self._storing.keep(sample, absent, observed.encoded, seen)
            await asyncio.to_thread(self._memories.note, sample, self._limits, observed.powers_w)

    def _has_room_for_observations(self) -> bool:
        """Whether the outbox takes readings, and is not so full that what only informs is left out; said once."""
        has_room = not self._storing.waiting and self._outbox.fill_percent() < self._outbox.limits.observations_percent
        if self._has_room and not has_room:
            _log.error("observations_left_out", percent=self._outbox.fill_percent(), effect="what bills needs the room")
        elif has_room and not self._has_room:
            _log.warning("observations_taken_again", percent=self._outbox.fill_percent())
        self._has_room = has_room
        return has_room

    async def _observe(self, sample: Sample, upcoming: asyncio.Future[int | None]) -> _Observed:
        """What was seen beside a sample; nothing when the next boundary came first, or anything at all went wrong."""
        observing = asyncio.ensure_future(
            self._observer.observe(
                sample,
                boundary_ms=self._clock.boundary_ms(sample.boundary_s),
                simulated=self._clock.simulated,
            )
        )
        racing: set[asyncio.Future[Any]] = {observing, upcoming}
        try:
            await asyncio.wait(racing, return_when=asyncio.FIRST_COMPLETED)
            if not observing.done() or (self._clock.simulated and not self._clock.is_open(sample.boundary_s)):
                _log.warning(
                    "observations_dropped", boundary_s=sample.boundary_s, reason="the next boundary came first"
                )
                return _Observed()
            found = observing.result()
            powers_w = {row.device: row.value_milli // 1000 for row in found.rows if row.obis == POWER_OBIS}
            return _Observed(encode_observations(found), powers_w)
        except Exception as error:  # noqa: BLE001 - what informs must not cost what bills
            _log.error(
                "observations_dropped", boundary_s=sample.boundary_s, reason=str(error), error=type(error).__name__
            )
            return _Observed()
        finally:
            observing.cancel()
            await asyncio.gather(observing, return_exceptions=True)

    async def _fetch_records(self, boundary_s: int, upcoming: asyncio.Future[int | None]) -> None:
        """Fetch what earlier boundaries lack out of the meters' own records, as far as the next boundary leaves time and the outbox room.

        While the clock is not disciplined the ledger would set it aside: then it waits.
        """
        slot_s, lacks = self._policy.slot_s, self._outbox.progress.lacks
        if not lacks or self._clock.simulated:
            return
        until_ms = self._clock.boundary_ms(boundary_s + slot_s) - QUIET_MS
        barred = self._bindings.barred
        backfill = Backfill(
            self._lines, self._policy, self._memories, boundary_s=boundary_s, barred=barred, proofs=self._bindings
        )
        for missing in islice(backfill.due(lacks), BOUNDARIES_PER_ROUND_MAX):
            if upcoming.done() or monotonic_ms() >= until_ms or self._has_offer.is_set() or self._storing.waiting:
                return
            if self._outbox.fill_percent() >= FILL_ALARM_PERCENT or self._clock.state().state == "unsynced":
                return
            await self._storing.keep_fetched(await backfill.fetch(missing, until_ms, upcoming.done))

    async def _wait(self, upcoming: asyncio.Future[int | None], last_s: int) -> int | None:
        """Wait for the next boundary; meanwhile try again to store what could not be stored, and take meters that are offered.

        These wait for what was sampled before them: a batch names the profiles by which it was read.
        """
        while not upcoming.done():
            if self._offered is not None and not self._storing.waiting:
                field, self._offered = self._offered, None
                self._has_offer.clear()
                await self._take(field, last_s, upcoming)
                continue
            news = asyncio.ensure_future(
                asyncio.sleep(STORE_RETRY_S) if self._storing.waiting else self._has_offer.wait()
            )
            racing: set[asyncio.Future[Any]] = {upcoming, news}
            try:
                await asyncio.wait(racing, return_when=asyncio.FIRST_COMPLETED)
            finally:
                news.cancel()
            await self._storing.store()
        return await upcoming


class _Observed(NamedTuple):
    """Encoded observations (b"": none), and among them the active power of meters by number, import positive."""

    encoded: bytes = b""
    powers_w: Mapping[int, int] = MappingProxyType({})


def _limits_of(lines: Sequence[MeterLine]) -> dict[int, tuple[RegisterLimits, ...]]:
    """What is plausible of each meter's billing registers, by number."""
    return {meter.config.number: meter.limits for line in lines for meter in line.meters}


async def unless_stopped(stop: asyncio.Event, *work: Coroutine[Any, Any, Any]) -> Any:
    """Run ``work`` side by side until all of it is done or ``stop`` is set; return the first one's result, or None.

    The first error of any of it ends all of it and is raised; further ones are logged.
    """
    tasks = [asyncio.ensure_future(part) for part in work]
    stopping = asyncio.ensure_future(stop.wait())
    pending: set[asyncio.Future[Any]] = set(tasks)
    raised: BaseException | None = None
    try:
        while pending and not stop.is_set():
            await asyncio.wait({*pending, stopping}, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:  # in their order: of two that fail at once the same one is raised each time
                if task.done():
                    task.result()
                    pending.discard(task)
    except BaseException as error:
        raised = error
        raise
    finally:
        for task in (*tasks, stopping):
            task.cancel()
        for result in await asyncio.gather(*tasks, stopping, return_exceptions=True):
            if (
                isinstance(result, BaseException)
                and not isinstance(result, asyncio.CancelledError)
                and result is not raised
            ):
                _log.error("work_failed", error=type(result).__name__, reason=str(result))
    return None if tasks[0].cancelled() else tasks[0].result()
