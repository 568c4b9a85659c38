"""Serial numbers and models of all meters, read at the start and once a day: who answers at each address, and who may not be
signed for. Their own clocks are looked at with them.

Whoever is bound to a serial number has to show it before its first reading since the start is signed as measured, and again
after it was silent at a boundary (``edge.sampling.Proofs``): while the gateway or the meter was off, it may have been exchanged.
Reading comes after a boundary's readings and stops when the next boundary comes. Whoever did not answer, or must not be billed,
is asked again after each boundary, so that a mended address is found by itself. What a meter answered last stands until it answers
again: silence neither clears nor accuses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, NamedTuple

from edge.identity import AS_BOUND, FIRST_SEEN, Finding, Place, judge_identities, tidy_serial
from edge.memory import Memories
from edge.meters import Meter, MeterLine
from edge.readers import LineDownError, LineError, QuarantinedError
from gridcore.logs import get_logger

DAY_S: Final = 86_400
CLOCK_OFF_S_MAX: Final = 30
"""A meter's own clock that is further off is said once a day: what it freezes or records by itself is of another moment."""

_log = get_logger(__name__)


class Known(NamedTuple):
    """What meters have shown of themselves, by number: serial numbers answered last, what is none, who has proved itself since
    the start, and what was made of it.
    """

    answered: Mapping[int, str]
    misfits: Mapping[int, str]
    proven: Collection[int]
    findings: Mapping[int, Finding]


class Bindings:
    """Which meter stands where. Numbers as in the meter table; ``memories`` keeps what is bound over restarts."""

    def __init__(
        self, lines: Sequence[MeterLine], memories: Memories, known: Known | None = None, *, asks_clocks: bool = True
    ) -> None:
        """``known``: what others have found of the same meters at the same places; ``asks_clocks``: whether there is a time of day
        between boundaries to hold meters' clocks against: simulated time jumps.
        """
        self._asks_clocks = asks_clocks
        self._lines = tuple(lines)
        self._memories = memories
        self._numbers = frozenset(meter.config.number for line in lines for meter in line.meters)
        known = known or Known({}, {}, frozenset(), {})
        self._answered: dict[int, str] = dict(known.answered)
        self._misfits: dict[int, str] = dict(known.misfits)
        self._proven: set[int] = set(known.proven)
        self._is_judged = False  # by all that has been told
        self._findings: dict[int, Finding] = dict(known.findings)
        self._day: int | None = None

    def of(self, numbers: Collection[int]) -> Known:
        """What is known of these meters."""
        return Known(
            {number: serial for number, serial in self._answered.items() if number in numbers},
            {number: misfit for number, misfit in self._misfits.items() if number in numbers},
            frozenset(self._proven & {*numbers}),
            {number: finding for number, finding in self._findings.items() if number in numbers},
        )

    @property
    def barred(self) -> Mapping[int, str]:
        """Meters that may not be signed for, each with the reason in a line."""
        return {number: finding.detail for number, finding in self._findings.items() if not finding.may_bill}

    async def check(self, boundary_s: int, is_over: Callable[[], bool]) -> None:
        """Read the serial numbers that are due, until ``is_over``, and judge all. Raises nothing for what a meter does."""
        is_new_day, self._day = boundary_s // DAY_S != self._day, boundary_s // DAY_S
        settled = {n for n, finding in self._findings.items() if finding.finding in (AS_BOUND, FIRST_SEEN)}
        due = self._numbers if is_new_day else (self._numbers - settled) | (self._numbers - self._proven)
        with_clocks = is_new_day and self._asks_clocks
        await asyncio.gather(*(self._ask(line, due, with_clocks, is_over) for line in self._lines))
        self.judge()
        bound = {n: found.serial for n, found in self._findings.items() if found.finding == FIRST_SEEN}
        news = {number: serial for number, serial in bound.items() if number not in self._memories.serials}
        for number, serial in news.items():
            _log.info("meter_bound", meter=self._findings[number].meter, serial=serial)
        self._is_judged = not news
        await asyncio.to_thread(self._memories.bind, news)

    def is_proven(self, number: int) -> bool:
        """See ``edge.sampling.Proofs``."""
        return number in self._proven

    async def prove(self, meter: Meter, until_ms: float) -> bool:
        """See ``edge.sampling.Proofs``. A meter that is bound to nothing has nothing to prove: it may have no number to read."""
        try:
            await self._learn(meter, until_ms)
        except LineDownError:
            raise
        except (LineError, QuarantinedError):
            if meter.config.number not in self._memories.serials:
                self._proven.add(meter.config.number)  # it is asked again between boundaries
        return self.is_proven(meter.config.number)

    def doubt(self, number: int) -> None:
        """See ``edge.sampling.Proofs``."""
        self._proven.discard(number)

    async def _learn(self, meter: Meter, until_ms: float) -> None:
        """Read who answers at the meter's place. LineError, QuarantinedError."""
        number = meter.config.number
        serial = tidy_serial(await meter.reader.read_serial(until_ms))
        misfit = await meter.reader.read_misfit(until_ms)
        self._is_judged = False
        self._answered[number] = serial
        self._misfits[number] = misfit
        if serial or number not in self._memories.serials:
            self._proven.add(number)

    async def _ask(self, line: MeterLine, due: Collection[int], with_clocks: bool, is_over: Callable[[], bool]) -> None:
        for meter in line.meters:
            number = meter.config.number
            if is_over():
                return
            if number not in due or (line.failures.is_suspect(number) and number not in self.barred):
                continue
            try:
                await self._learn(meter, float("inf"))
                ahead_s = await meter.reader.read_clock_ahead(float("inf")) if with_clocks else None
            except LineDownError:
                return
            except (LineError, QuarantinedError):
                continue
            if ahead_s is not None and abs(ahead_s) > CLOCK_OFF_S_MAX:
                _log.warning("meter_clock_off", meter=meter.config.meter, ahead_s=ahead_s)

    def judge(self) -> Mapping[int, str]:
        """See ``edge.sampling.Proofs``: every meter by its last answer."""
        if self._is_judged:
            return self.barred
        meters: list[Meter] = [meter for line in self._lines for meter in line.meters]
        places = [
            Place(
                meter.config.meter,
                f"{meter.config.line}/{meter.config.place}",
                self._memories.serials.get(meter.config.number, ""),
                self._misfits.get(meter.config.number, ""),
            )
            for meter in meters
        ]
        answered = {meter.config.meter: self._answered.get(meter.config.number, "") for meter in meters}
        for meter, finding in zip(meters, judge_identities(places, answered), strict=True):
            number, before = meter.config.number, self._findings.get(meter.config.number)
            if not finding.may_bill and (before is None or before.finding != finding.finding):
                _log.error("meter_identity", meter=finding.meter, finding=finding.finding, detail=finding.detail)
            elif before is not None and not before.may_bill and finding.may_bill:
                _log.warning("meter_identity_right_again", meter=finding.meter)
            self._findings[number] = finding
        self._is_judged = True
        return self.barred
