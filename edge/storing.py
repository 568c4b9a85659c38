"""Samples on their way into the outbox: signed and committed together with what is known of them, or held in memory until they can be."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from edge.alarms import FILL_ALARM_PERCENT
from edge.backfill import Fetched
from edge.batches import BatchMaker, readings_of
from edge.clocks import BoundaryClock, missed_between
from edge.lacks import Lack, since, with_lack
from edge.meters import MeterLine
from edge.outbox import Entry, Outbox, OutboxError
from edge.outbox_file import QueuedBatch
from edge.progress import Gap, Progress, Seen
from edge.raw_words import RawWords
from edge.samples import Sample
from gridcore.logs import get_logger
from gridcore.quality import SUSPECT
from gridcore.sm import SignerError
from gridcore.transactions.reading_batch import ClockState

UNSTORED_SAMPLES_MAX: Final = 96
"""Samples kept in memory while the outbox cannot take them; the oldest are kept."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Unstored:
    """A sample that the outbox has not taken: meters still without a reading at the newest boundary, the clock's state when it was
    taken, encoded observations beside it (b"": none), and what its boundary still lacks that meters may have recorded;
    ``is_fetched``: it is out of their records, of an earlier boundary.
    """

    sample: Sample
    absent: tuple[int, ...]
    clock_state: ClockState
    lack: Lack
    observations: bytes = b""
    seen: Seen | None = None
    is_fetched: bool = False


class Storing:
    """The way of samples into ``outbox``. ``maker`` signs them; ``on_stored`` is called when there is something new to submit.

    ``first_s``: before this boundary (UTC) nothing is missing; ``slot_s``: their distance.
    """

    def __init__(
        self,
        clock: BoundaryClock,
        outbox: Outbox,
        maker: BatchMaker,
        raw_words: RawWords,
        on_stored: Callable[[], None],
        *,
        first_s: int,
        slot_s: int,
    ) -> None:
        self.maker = maker
        self._clock, self._outbox, self._raw_words, self._on_stored = clock, outbox, raw_words, on_stored
        self._first_s, self._slot_s = first_s, slot_s
        self._records_s: Mapping[int, int] = {}
        self._unstored: deque[_Unstored] = deque()
        self._with_raw_words = 0  # so many of them, from the first on, have their raw words on the disk
        self._is_unsynced = False
        self._is_filling = False

    def follow(self, lines: Sequence[MeterLine]) -> None:
        """From now on these are the meters. On simulated time, which is not that of their clocks, their records count for nothing."""
        meters = [] if self._clock.simulated else [meter for line in lines for meter in line.meters]
        self._records_s = {m.config.number: m.reader.records_s for m in meters if m.reader.records_s}

    @property
    def waiting(self) -> int:
        """Samples in memory."""
        return len(self._unstored)

    def batches_at(self, boundary_s: int) -> int:
        """How many batches there are of the newest boundary, those that wait in memory among them."""
        progress = self._outbox.progress
        stored = 1 + progress.further if progress.last_boundary_s == boundary_s else 0
        return stored + sum(one.sample.boundary_s == boundary_s for one in self._unstored)

    async def keep(self, sample: Sample, absent: frozenset[int], observations: bytes, seen: Seen | None) -> None:
        """Put the sample of the newest boundary into the outbox, or keep it in memory while the outbox cannot take it."""
        if len(self._unstored) >= UNSTORED_SAMPLES_MAX:
            _log.critical("readings_lost", boundary_s=sample.boundary_s, readings=len(sample.meters))
            return
        suspect = {reading.number for reading in sample.meters if reading.quality == SUSPECT}
        lacking = tuple(sorted((absent | suspect) & self._records_s.keys()))
        state = self._clock.state()
        self._note_clock(state)
        lack = Lack(sample.boundary_s, sample.boundary_s, lacking)
        self._unstored.append(_Unstored(sample, tuple(sorted(absent)), state, lack, observations, seen))
        await self.store()

    async def keep_fetched(self, fetched: Fetched) -> None:
        """Put what meters had recorded of an earlier boundary into the outbox."""
        absent = self._outbox.progress.absent
        self._unstored.append(_Unstored(fetched.sample, absent, self._clock.state(), fetched.lack, is_fetched=True))
        await self.store()

    async def store(self) -> None:
        """Try to store what waits in memory; what cannot be stored is said and waits on."""
        while self._unstored:
            committing = asyncio.ensure_future(asyncio.to_thread(self._commit, tuple(self._unstored)))
            try:
                await asyncio.shield(committing)
            except asyncio.CancelledError:  # a thread that commits is not stopped half-way
                await asyncio.wait({committing})
                raise
            except (OutboxError, SignerError) as error:
                _log.critical("readings_not_stored", reason=str(error), samples_in_memory=len(self._unstored))
                return
            for _ in range(committing.result()):
                self._unstored.popleft()
            self._on_stored()
            self._watch_fill()

    def _note_clock(self, state: ClockState) -> None:
        """Say once that readings are taken by a clock that nothing disciplines, and once that it is disciplined again."""
        is_unsynced = state.state == "unsynced"
        if is_unsynced and not self._is_unsynced:
            _log.error("clock_not_synchronised", effect="the ledger sets these readings aside (ROW_CLOCK)")
        elif self._is_unsynced and not is_unsynced:
            _log.warning("clock_synchronised", offset_ms=state.offset_ms)
        self._is_unsynced = is_unsynced

    def _commit(self, unstored: Sequence[_Unstored]) -> int:
        """Sign samples and store them in one commit (blocking), after their raw words; how many the outbox had room for."""
        self._raw_words.keep([one.sample for one in unstored[self._with_raw_words :]])
        self._with_raw_words = len(unstored)
        after_s = self._outbox.progress.last_boundary_s
        entries: list[Entry] = []
        for one in unstored:
            boundary_s = one.sample.boundary_s
            missed = missed_between(after_s, boundary_s, first_s=self._first_s, slot_s=self._slot_s)
            make = partial(self._make, one) if one.sample.meters else None
            lacks = partial(self._lacks_after, one, missed)
            entries.append(Entry(boundary_s, make, one.absent, one.seen, missed, lacks))
            after_s = max(after_s, boundary_s)
        stored = self._outbox.store(entries)
        self._with_raw_words -= len(stored)
        for one, made in zip(unstored, stored, strict=False):
            if made is not None:
                _log.info(
                    "batch_queued",
                    boundary_s=made.boundary_s,
                    counter=made.counter,
                    rows=made.rows,
                    absent=len(one.absent),
                    sampled_ms=one.sample.duration_ms,
                )
        return len(stored)

    def _lacks_after(self, one: _Unstored, missed: Gap | None, lacks: tuple[Lack, ...]) -> tuple[Lack, ...]:
        """What is lacking after a sample that meters may have recorded: all of the gap before it too.

        Only as far back as they record, and as half the age that the outbox may have: what is fetched counts for as old as its boundary,
        and must not fill it.
        """
        if missed is not None and self._records_s:
            lacks = with_lack(lacks, Lack(*missed, tuple(sorted(self._records_s))), self._slot_s)
        lacks = with_lack(lacks, one.lack, self._slot_s)
        if one.is_fetched:
            return lacks
        boundary_s, age_s_max = one.sample.boundary_s, self._outbox.limits.age_s_max
        reach_s = min(max(self._records_s.values(), default=0), age_s_max // 2) // self._slot_s * self._slot_s
        return since(lacks, boundary_s - reach_s)

    def _make(self, unstored: _Unstored, progress: Progress) -> QueuedBatch:
        """The signed batch of one sample."""
        sample = unstored.sample
        readings = readings_of(sample.meters, simulated=self._clock.simulated)
        return self.maker.make(sample.boundary_s, readings, progress, unstored.clock_state, unstored.observations)

    def _watch_fill(self) -> None:
        percent = self._outbox.fill_percent()
        if percent >= FILL_ALARM_PERCENT and not self._is_filling:
            _log.error("outbox_fills_up", percent=percent, batches=self._outbox.depth, bytes=self._outbox.size)
        self._is_filling = percent >= FILL_ALARM_PERCENT
