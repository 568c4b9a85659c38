"""One boundary: all meters on all lines are read, and who is missing is tried again. ``LineSampling`` tells how a reading is taken.

Neither knows the protocol of a meter nor what carries its bytes.

The billing registers of a meter are read twice, by two separate requests. What is signed is the **first** reading, with the
offset of its arrival from the slot boundary on a clock that does not jump; the second one confirms it. Both are judged before
anything is signed (``edge.truth``): a reading that is not plausible, or that the second one does not confirm, is read again as
long as the sampling window is open, and given as *suspect* when the window closes. What does not decode is no reading.

At a boundary the lines are read side by side. On each line the order is the same every time, so that a meter's offset is the
same from slot to slot: first the billing registers of all meters, then what confirms them, then once more whoever failed, then
the suspects (``edge.backoff``): a dead meter costs its own time-outs, after everybody else's reading. Whatever is missing then
is tried again in further rounds, with growing pauses, as long as the sampling window is open.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from edge.line_sampling import FIRST_PASS_TRIES, LineSample, LineSampling, Proofs
from edge.meters import MeterLine, SamplePolicy
from edge.samples import MeterSample, Sample
from edge.truth import MeterMemory
from edge.window import SamplingWindow
from gridcore.clock import monotonic_ms

SUSPECT_ROUNDS = 5
"""A suspect is tried again in one of so many further rounds."""
NO_MEMORIES: Final[Mapping[int, MeterMemory]] = MappingProxyType({})
NOBODY: Final[Mapping[int, str]] = MappingProxyType({})


class Sampling:
    """The reading of all meters for one boundary: a first pass, then rounds over whoever is missing.

    ``boundary_s`` (UTC seconds), ``boundary_ms``: the boundary, the latter on ``clock_ms`` (default: now); ``memories``: last
    trusted readings by meter number; ``barred``: meters that are not read, with the reason (``edge.bindings``); ``proofs``: who
    has to show first which meter it is: its reading is held back until it does, and is suspect if it never does. Nothing here
    raises for what a meter or a line does.
    """

    def __init__(
        self,
        lines: Sequence[MeterLine],
        boundary_s: int,
        *,
        policy: SamplePolicy | None = None,
        boundary_ms: float | None = None,
        memories: Mapping[int, MeterMemory] = NO_MEMORIES,
        barred: Mapping[int, str] = NOBODY,
        proofs: Proofs | None = None,
        clock_ms: Callable[[], float] = monotonic_ms,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: random.Random | None = None,
    ) -> None:
        self.boundary_s = boundary_s
        self._window = SamplingWindow(
            boundary_s,
            clock_ms() if boundary_ms is None else boundary_ms,
            policy or SamplePolicy(),
            clock_ms,
            sleep,
            jitter or random.SystemRandom(),  # gateways that start together must not retry together
        )
        self._lines = [LineSampling(line, self._window, memories, barred, proofs) for line in lines]
        self._proofs = proofs
        self._tries = FIRST_PASS_TRIES
        self._told: set[int] = set()  # meters whose unusable bytes have been given with an absence

    async def first_pass(self) -> Sample:
        """Try every meter, and whoever fails once more."""
        return await self._gather([line.first_pass() for line in self._lines])

    async def another_round(self, numbers: Collection[int]) -> Sample:
        """Try each of these meters once; a suspect only in one of SUSPECT_ROUNDS rounds."""
        self._tries += 1
        with_suspects = self._tries % SUSPECT_ROUNDS == 0
        return await self._gather([line.another_round(numbers, self._tries, with_suspects) for line in self._lines])

    def suspects(self, numbers: Collection[int]) -> list[MeterSample]:
        """Suspect readings of those of these meters that have shown only what is not believed, ascending by number."""
        taken = [reading for line in self._lines for reading in line.suspects() if reading.number in numbers]
        return sorted(taken, key=lambda reading: reading.number)

    def with_suspects(self, sample: Sample) -> Sample:
        """``sample`` with its absent meters' suspect readings: for when no further try helps."""
        suspects = self.suspects([absence.number for absence in sample.absent])
        numbers = {reading.number for reading in suspects}
        return replace(
            sample,
            meters=tuple(sorted((*sample.meters, *suspects), key=lambda reading: reading.number)),
            absent=tuple(absence for absence in sample.absent if absence.number not in numbers),
        )

    def stand_still(self) -> None:
        """Simulated time stands still at the boundary: it is now, and the window begins anew."""
        self._window.boundary_ms = self._window.clock_ms()

    @property
    def has_tries_left(self) -> bool:
        """Whether the window and ``attempts_max`` leave room for another round."""
        attempts_max = self._window.policy.attempts_max
        return self._window.left_ms() > 0 and (not attempts_max or self._tries < attempts_max)

    def pause_s(self) -> float:
        """How long to wait before the next round (s)."""
        return self._window.pause_ms(self._tries) / 1000.0

    async def _gather(self, work: Sequence[Awaitable[LineSample]]) -> Sample:
        started_ms = self._window.clock_ms()
        found = await asyncio.gather(*work)
        if self._proofs is not None:
            barred = self._proofs.judge()  # all lines together: one meter may answer on two of them
            for line, of_line in zip(self._lines, found, strict=True):
                line.bar(barred, of_line)
        taken = sorted((reading for of_line in found for reading in of_line.taken), key=lambda item: item.number)
        absent = sorted((absence for of_line in found for absence in of_line.absent), key=lambda item: item.number)
        if taken or self._tries == FIRST_PASS_TRIES:  # of another round that brought nothing no sample is kept
            absent = [replace(absence, answers=()) if absence.number in self._told else absence for absence in absent]
            self._told |= {absence.number for absence in absent if absence.answers}
        return Sample(self.boundary_s, tuple(taken), tuple(absent), round(self._window.clock_ms() - started_ms))
