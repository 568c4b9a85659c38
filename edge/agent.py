"""The gateway agent: wait for the next boundary, sample, sign, queue; and beside that, submit.

    boundary (edge.clocks) -> meters (edge.sampling) -> signed batch (edge.batches) -> outbox (edge.outbox) -> node (edge.submit)

Between sampling and signing stand observations (edge.observing), for a bounded time: they bill nothing and cost no
reading. A batch is in the outbox before anything of it is sent, so the process may die at any moment. A dead meter
costs its own time-outs; a dead node stops nothing but submission. ``Agent.run`` is the whole path.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Coroutine, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge.batches import BatchMaker, readings_of
from edge.clocks import BoundaryClock
from edge.config import EdgeConfig
from edge.meters import Meter, MeterLine, close_lines
from edge.observing import Observer
from edge.outbox import Outbox, OutboxError, Seen, lock_outbox
from edge.parts import boundary_clock, load_parts, node_client
from edge.sampling import SUSPECT_BOUNDARIES, Sample, sample_boundary
from edge.standing import open_standing
from edge.submit import Submitter
from gridcore.logs import get_logger
from gridcore.observations import encode_observations
from gridcore.transactions.reading_batch import ClockState

FIRST_PASS_ATTEMPTS = 2
"""Tries of each meter before the batch of those that answered is signed; the others get a batch of their own later."""
LATE_PAUSE_S = 1.0
LATE_PAUSE_S_MAX = 4.0
"""Pause before the next pass over the meters that have not answered: first and, doubling, last."""
UNSTORED_SAMPLES_MAX = 96
"""Samples kept in memory while the outbox cannot take them; the oldest are kept."""
STORE_RETRY_S = 5.0
FILL_ALARM_PERCENT = 80

_log = get_logger(__name__)


async def run_agent(path: Path, version: str, stop: asyncio.Event) -> None:
    """Run the agent of the configuration at ``path`` until ``stop`` is set. UsageError when it cannot start."""
    parts = load_parts(path, version)
    config = parts.config
    with lock_outbox(config.outbox):
        async with node_client(config, config.gateway, parts.signer) as client:
            outbox = await unless_stopped(stop, open_standing(config, client))
            if outbox is None:
                return
            submitter = Submitter(client, outbox, trust=parts.trust, policy=config.submit)
            clock = boundary_clock(config, client, submitter.wake)
            agent = Agent(parts.lines, clock, outbox, parts.maker, submitter, config, parts.observer)
            try:
                parts.observer.start()
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
                await unless_stopped(stop, agent.run(), submitter.run())
            finally:
                await parts.observer.close()
                await close_lines(parts.lines)
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
        observer: Observer | None = None,
    ) -> None:
        self._observer = observer or Observer((), (), (), config.sampling)
        self._lines = tuple(lines)
        self._clock = clock
        self._outbox = outbox
        self._maker = maker
        self._submitter = submitter
        self._policy = config.sampling
        self._unstored: deque[_Unstored] = deque()
        self._is_unsynced = False
        self._is_filling = False

    async def run(self) -> None:
        """Sample every boundary once; ends after the last one, otherwise by cancellation."""
        last_s, absent = self._outbox.progress.last_boundary_s, frozenset(self._outbox.progress.absent)
        await self._clock.wait_until_known()
        upcoming = asyncio.ensure_future(self._clock.next_boundary(last_s))
        try:
            await self._chase(last_s, absent, upcoming)
            while (boundary_s := await self._wait(upcoming)) is not None:
                last_s = boundary_s
                upcoming = asyncio.ensure_future(
                    self._clock.next_boundary(boundary_s)
                )  # the clock is watched meanwhile
                sample = await self._sample(boundary_s)
                if self._belongs(sample):
                    absent = frozenset(absence.number for absence in sample.absent)
                    await self._complete(sample, absent, upcoming)
                    await self._chase(boundary_s, absent, upcoming)
        finally:
            upcoming.cancel()
            if self._unstored:
                _log.critical(
                    "readings_lost", samples=len(self._unstored), reason="stopped before they could be stored"
                )
        _log.info("sampling_is_over", last_boundary_s=last_s)

    async def _sample(self, boundary_s: int) -> Sample:
        """The first pass: every meter, a few tries."""
        attempts_max = min(FIRST_PASS_ATTEMPTS, self._policy.attempts_max)
        return await sample_boundary(
            self._lines,
            boundary_s,
            policy=replace(self._policy, attempts_max=attempts_max),
            boundary_ms=self._clock.boundary_ms(boundary_s),
        )

    async def _chase(self, boundary_s: int, absent: frozenset[int], upcoming: asyncio.Future[int | None]) -> None:
        """Try the meters that have not answered until the boundary closes; each find makes a batch of its own."""
        tries = max(1, self._policy.attempts_max - FIRST_PASS_ATTEMPTS)
        # where time does not stand still: a meter that has been silent for long gets no more than its first pass
        if not self._clock.simulated:
            absent -= {number for line in self._lines for number, n in line.failures.items() if n > SUSPECT_BOUNDARIES}
        pause_s = LATE_PAUSE_S
        while absent and (self._clock.simulated or tries):
            await asyncio.wait({upcoming}, timeout=pause_s)
            pause_s = min(LATE_PAUSE_S_MAX, 2 * pause_s)
            if upcoming.done() or not self._clock.is_open(boundary_s):
                return
            sample = await self._sample_late(boundary_s, absent, upcoming)
            tries -= 1
            if sample is not None and sample.meters and self._belongs(sample):
                absent = frozenset(absence.number for absence in sample.absent)
                for line in self._lines:
                    for reading in sample.meters:
                        line.failures.pop(reading.number, None)
                await self._complete(sample, absent, upcoming)

    async def _sample_late(
        self, boundary_s: int, numbers: Collection[int], upcoming: asyncio.Future[int | None]
    ) -> Sample | None:
        """One try of each of these meters; None when the next boundary came first."""
        late = asyncio.ensure_future(
            sample_boundary(
                self._lines_of(numbers),
                boundary_s,
                policy=replace(self._policy, attempts_max=1),
                boundary_ms=self._clock.boundary_ms(boundary_s),
            )
        )
        racing: set[asyncio.Future[Any]] = {late, upcoming}
        try:
            await asyncio.wait(racing, return_when=asyncio.FIRST_COMPLETED)
            if late.done():
                return late.result()
        finally:
            late.cancel()
        await asyncio.wait({late})
        return None

    def _lines_of(self, numbers: Collection[int]) -> list[MeterLine]:
        """The lines cut down to the meters of these numbers, with failure counts of their own."""
        wanted: list[tuple[MeterLine, tuple[Meter, ...]]] = [
            (line, tuple(meter for meter in line.meters if meter.config.number in numbers)) for line in self._lines
        ]
        return [MeterLine(line.line, meters) for line, meters in wanted if meters]

    def _belongs(self, sample: Sample) -> bool:
        """Whether simulated time stood still while the meters were read; if not, the readings belong to no boundary."""
        if not self._clock.simulated or self._clock.is_open(sample.boundary_s):
            return True
        _log.error("ledger_time_moved_while_sampling", boundary_s=sample.boundary_s, readings=len(sample.meters))
        return False

    async def _complete(self, sample: Sample, absent: frozenset[int], upcoming: asyncio.Future[int | None]) -> None:
        """Observe what belongs to the sample, then put both into the outbox: the sample also when observing ends otherwise."""
        observations = b""
        try:
            if sample.meters and self._observer.has_work:
                observations = await self._observe(sample, upcoming)
        finally:
            await self._keep(sample, absent, observations)

    async def _observe(self, sample: Sample, upcoming: asyncio.Future[int | None]) -> bytes:
        """Encoded observations beside a sample; none when the next boundary came first, or anything at all went wrong."""
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
                return b""
            return encode_observations(observing.result())
        except Exception as error:  # noqa: BLE001 - what informs must not cost what bills
            _log.error(
                "observations_dropped", boundary_s=sample.boundary_s, reason=str(error), error=type(error).__name__
            )
            return b""
        finally:
            observing.cancel()
            await asyncio.gather(observing, return_exceptions=True)

    async def _keep(self, sample: Sample, absent: frozenset[int], observations: bytes) -> None:
        """Put a sample into the outbox, or keep it in memory while the outbox cannot take it."""
        if len(self._unstored) >= UNSTORED_SAMPLES_MAX:
            _log.critical("readings_lost", boundary_s=sample.boundary_s, readings=len(sample.meters))
            return
        seen = self._observer.seen() if observations else None
        state = self._clock.state()
        self._note_clock(state)
        self._unstored.append(_Unstored(sample, tuple(sorted(absent)), state, observations, seen))
        await self._store()

    def _note_clock(self, state: ClockState) -> None:
        """Say once that readings are taken by a clock that nothing disciplines, and once that it is disciplined again."""
        is_unsynced = state.state == "unsynced"
        if is_unsynced and not self._is_unsynced:
            _log.error("clock_not_synchronised", effect="the ledger sets these readings aside (ROW_CLOCK)")
        elif self._is_unsynced and not is_unsynced:
            _log.warning("clock_synchronised", offset_ms=state.offset_ms)
        self._is_unsynced = is_unsynced

    async def _store(self) -> None:
        while self._unstored:
            oldest = self._unstored[0]
            committing = asyncio.ensure_future(asyncio.to_thread(self._commit, oldest))
            try:
                await asyncio.shield(committing)
            except asyncio.CancelledError:  # a thread that commits is not stopped half-way
                await asyncio.wait({committing})
                raise
            except OutboxError as error:
                _log.critical("readings_not_stored", reason=str(error), samples_in_memory=len(self._unstored))
                return
            self._unstored.popleft()
            self._submitter.wake()
            self._watch_fill()

    def _commit(self, unstored: _Unstored) -> None:
        """Sign and store one sample (blocking)."""
        sample = unstored.sample
        if not sample.meters:
            self._outbox.note_boundary(sample.boundary_s, unstored.absent)
            return
        readings = readings_of(sample.meters, simulated=self._clock.simulated)
        made = self._outbox.append(
            lambda progress: self._maker.make(
                sample.boundary_s, readings, progress, unstored.clock_state, unstored.observations
            ),
            unstored.absent,
            unstored.seen,
        )
        _log.info(
            "batch_queued",
            boundary_s=made.boundary_s,
            counter=made.counter,
            rows=made.rows,
            absent=len(unstored.absent),
            sampled_ms=sample.duration_ms,
        )

    async def _wait(self, upcoming: asyncio.Future[int | None]) -> int | None:
        """Wait for the next boundary; meanwhile try again to store what could not be stored."""
        while self._unstored and not upcoming.done():
            await asyncio.wait({upcoming}, timeout=STORE_RETRY_S)
            await self._store()
        return await upcoming

    def _watch_fill(self) -> None:
        percent = self._outbox.fill_percent()
        if percent >= FILL_ALARM_PERCENT and not self._is_filling:
            _log.error("outbox_fills_up", percent=percent, batches=self._outbox.depth, bytes=self._outbox.size)
        self._is_filling = percent >= FILL_ALARM_PERCENT


@dataclass(frozen=True, slots=True)
class _Unstored:
    """A sample on its way into the outbox: meters still without a reading, the clock's state when it was taken, and encoded
    observations beside it (b"": none).
    """

    sample: Sample
    absent: tuple[int, ...]
    clock_state: ClockState
    observations: bytes = b""
    seen: Seen | None = None


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
