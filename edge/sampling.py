"""One place says how a reading is taken. It knows neither the protocol of a meter nor what carries its bytes.

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
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from edge.meters import Meter, MeterLine, SamplePolicy
from edge.readers import BillingRead, LineDownError, LineError, NoAnswerError, QuarantinedError, RawAnswer
from edge.truth import Doubt, MeterMemory, judge_confirmation, judge_registers
from edge.window import SamplingWindow
from firmware_profiles.schema import BILLING_OBIS
from gridcore.clock import monotonic_ms
from gridcore.errors import GridError
from gridcore.logs import get_logger
from gridcore.quality import FLAG_FROZEN, FLAG_LATE, MEASURED, SUSPECT

OFFSET_MS_MAX = 0xFFFF_FFFF
FIRST_PASS_TRIES = 2
"""Tries of each meter before the batch of those that answered is signed; the others get a batch of their own later."""
SUSPECT_ROUNDS = 5
"""A suspect is tried again in one of so many further rounds."""
NO_MEMORIES: Final[Mapping[int, MeterMemory]] = MappingProxyType({})
NOBODY: Final[Mapping[int, str]] = MappingProxyType({})

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class MeterSample:
    """One accepted reading. ``registers_wh``: secondary, in the order of BILLING_OBIS; ``answers``: what they were decoded from."""

    number: int
    meter: str
    registers_wh: tuple[int, ...]
    quality: int
    flags: int
    offset_ms: int
    attempts: int = 1
    answers: tuple[RawAnswer, ...] = ()


@dataclass(frozen=True, slots=True)
class Absence:
    """A meter without a reading at this boundary.

    ``reason`` is one of line_down, no_answer, refused, quarantined, suspect, identity, window.
    """

    number: int
    meter: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Sample:
    """What one boundary brought: readings and absences, each ascending by meter number, together every meter once."""

    boundary_s: int
    meters: tuple[MeterSample, ...]
    absent: tuple[Absence, ...]
    duration_ms: int


async def read_meter(
    meter: Meter, *, boundary_ms: float, policy: SamplePolicy, until_ms: float = float("inf")
) -> MeterSample:
    """Take one reading: both requests, once. ``boundary_ms`` is the boundary on the monotonic clock.

    Raises LineError when the meter does not answer properly, QuarantinedError when its two answers do not agree.
    """
    first = await meter.reader.read_billing(until_ms)
    check_agreement(meter, first, await meter.reader.confirm_billing(until_ms), policy.slot_s)
    return sample_of(meter, first, boundary_ms, policy)


def check_agreement(meter: Meter, first: BillingRead, second: BillingRead, slot_s: int) -> None:
    """QuarantinedError unless ``second`` confirms ``first``."""
    doubts = _confirmation_doubts(meter, first, second, slot_s)
    if doubts:
        raise QuarantinedError(f"{meter.config.meter}: {doubts[0].detail}")


def _confirmation_doubts(meter: Meter, first: BillingRead, second: BillingRead, slot_s: int) -> tuple[Doubt, ...]:
    elapsed_ms = max(0, round(second.arrived_ms - first.arrived_ms))
    return judge_confirmation(meter.limits, _wh(first), _wh(second), elapsed_ms, slot_s)


def _wh(read: BillingRead) -> tuple[int, ...]:
    return tuple(register.register_wh for register in read.registers)


def sample_of(
    meter: Meter,
    read: BillingRead,
    boundary_ms: float,
    policy: SamplePolicy,
    attempts: int = 1,
    *,
    quality: int = MEASURED,
    flags: int = 0,
) -> MeterSample:
    """The reading that a read makes. ``flags``: what its registers say; that it came late is added here."""
    offset_ms = min(max(0, round(read.arrived_ms - boundary_ms)), OFFSET_MS_MAX)
    flags |= FLAG_LATE if offset_ms > policy.late_after_ms else 0
    flags |= FLAG_FROZEN if read.frozen else 0
    # A meter that counts one direction only has no register of the other: nothing has ever flowed that way.
    read_wh = {register.obis: register.register_wh for register in read.registers}
    registers_wh = tuple(read_wh.get(obis, 0) for obis in BILLING_OBIS)
    row = meter.config
    return MeterSample(row.number, row.meter, registers_wh, quality, flags, offset_ms, attempts, read.answers)


class Proofs(Protocol):
    """Who has shown since the start, and since it was silent last, which meter it is (``edge.bindings``)."""

    def is_proven(self, number: int) -> bool:
        """Whether nothing speaks for another meter there."""
        ...

    async def prove(self, meter: Meter, until_ms: float) -> bool:
        """Ask the meter who it is; whether it is proven now. LineDownError."""
        ...

    def judge(self) -> Mapping[int, str]:
        """Judge all by what they have told: the meters that may not be signed for, each with the reason."""
        ...

    def doubt(self, number: int) -> None:
        """The meter was silent, or showed what is not believed: it may have been exchanged."""
        ...


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
        self._lines = [_LineSampling(line, self._window, memories, barred, proofs) for line in lines]
        self._proofs = proofs
        self._tries = FIRST_PASS_TRIES

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

    async def _gather(self, work: Sequence[Awaitable[_Outcome]]) -> Sample:
        started_ms = self._window.clock_ms()
        found = await asyncio.gather(*work)
        if self._proofs is not None:
            barred = self._proofs.judge()  # all lines together: one meter may answer on two of them
            for line, outcome in zip(self._lines, found, strict=True):
                line.bar(barred, outcome)
        taken = sorted((reading for outcome in found for reading in outcome.taken), key=lambda item: item.number)
        absent = sorted((absence for outcome in found for absence in outcome.absent), key=lambda item: item.number)
        return Sample(self.boundary_s, tuple(taken), tuple(absent), round(self._window.clock_ms() - started_ms))


class _Outcome(NamedTuple):
    """What one pass or round over a line brought."""

    taken: list[MeterSample]
    absent: list[Absence]


class _LineSampling:
    """One boundary on one line."""

    def __init__(
        self,
        line: MeterLine,
        window: SamplingWindow,
        memories: Mapping[int, MeterMemory],
        barred: Mapping[int, str],
        proofs: Proofs | None,
    ) -> None:
        self._line = line
        self._barred = barred
        self._proofs = proofs
        self._meters = [meter for meter in line.meters if meter.config.number not in barred]
        self._memories = memories
        self._failures = line.failures
        self._window = window
        self._first: dict[int, BillingRead] = {}  # by meter number: read once, not confirmed yet
        self._flags: dict[int, int] = {}
        self._doubted: dict[int, BillingRead] = {}  # the first read of a meter that is not believed
        self._held: dict[int, MeterSample] = {}  # confirmed readings of meters that have not shown who they are
        self._absent: dict[int, Absence] = {}

    def bar(self, barred: Mapping[int, str], outcome: _Outcome) -> None:
        """Take what was read of barred meters out of ``outcome``."""
        self._barred = barred
        read = {reading.number for reading in outcome.taken} | set(self._held) | set(self._doubted)
        for meter in self._line.meters:
            number = meter.config.number
            if number in barred and number in read:
                self._held.pop(number, None)
                self._doubted.pop(number, None)
                self._miss(meter, "identity", barred[number])
                outcome.taken[:] = [reading for reading in outcome.taken if reading.number != number]
                outcome.absent[:] = [absence for absence in outcome.absent if absence.number != number]
                outcome.absent.append(self._absent[number])

    def suspects(self) -> list[MeterSample]:
        """The meters that have shown only what is not believed, each by the first of it, and those that have not shown who they are."""
        held = [replace(reading, quality=SUSPECT) for reading in self._held.values()]
        window, doubted = self._window, self._doubted
        return held + [
            sample_of(meter, doubted[meter.config.number], window.boundary_ms, window.policy, quality=SUSPECT)
            for meter in self._line.meters
            if meter.config.number in doubted
        ]

    async def first_pass(self) -> _Outcome:
        """Healthy meters in their order, those that failed last time behind the others; then suspects while it is not late."""
        taken: list[MeterSample] = []
        await self._line.line.begin(self._window.boundary_s, self._window.boundary_ms)
        for meter in self._line.meters:
            if meter.config.number in self._barred:
                self._miss(meter, "identity", self._barred[meter.config.number])
        ordered = self._ranked(self._meters)
        healthy = [meter for meter in ordered if not self._failures.is_suspect(meter.config.number)]
        await self._try(healthy, 1, taken)
        failed = [meter for meter in healthy if meter.config.number in self._absent]
        if failed and self._window.policy.attempts_max != 1 and self._window.left_ms() > 0:
            await self._window.pause(1)
            await self._try(self._ranked(failed), FIRST_PASS_TRIES, taken)
        for meter in ordered[len(healthy) :]:
            if self._window.is_late():
                silent = self._failures.of(meter.config.number)
                self._miss(meter, "no_answer", f"silent at {silent} boundaries in a row, it is tried after the others")
            else:
                await self._try([meter], 1, taken)
        taken = await self._proven(taken)
        self._count_failures()
        return _Outcome(taken, list(self._absent.values()))

    async def another_round(self, numbers: Collection[int], tries: int, with_suspects: bool) -> _Outcome:
        """Try whoever of ``numbers`` is on this line once."""
        taken: list[MeterSample] = []
        wanted = [meter for meter in self._line.meters if meter.config.number in numbers]
        for meter in wanted:
            self._absent.setdefault(meter.config.number, _absence(meter, "no_answer", "not tried yet"))
        pending = [
            meter
            for meter in wanted
            if meter.config.number not in self._barred
            and meter.config.number not in self._held
            and (with_suspects or not self._failures.is_suspect(meter.config.number))
        ]
        await self._try(self._ranked(pending), tries, taken)
        taken = await self._proven([*taken, *self._held.values()])
        return _Outcome(taken, [self._absent[number] for number in numbers if number in self._absent])

    async def _proven(self, readings: Sequence[MeterSample]) -> list[MeterSample]:
        """Those of ``readings`` whose meters have shown who they are; the others are held back until they do.

        Meters that showed something that is not believed are asked too: another one there would explain it.
        """
        proofs = self._proofs
        if proofs is None:
            return list(readings)
        asked = {reading.number for reading in readings} | set(self._doubted)
        for meter in self._line.meters:
            if meter.config.number in asked and not proofs.is_proven(meter.config.number):
                try:
                    await proofs.prove(meter, self._window.until_ms)
                except LineDownError:
                    break
        proven: list[MeterSample] = []
        for reading in readings:
            if proofs.is_proven(reading.number):
                self._held.pop(reading.number, None)
                self._absent.pop(reading.number, None)
                proven.append(reading)
            else:
                self._held[reading.number] = reading
                detail = f"{reading.meter} has not shown its serial number yet"
                self._absent[reading.number] = Absence(reading.number, reading.meter, "identity", detail)
        return proven

    def _ranked(self, meters: Sequence[Meter]) -> list[Meter]:
        """In the order of their turns; of a rank in that of the table, so that offsets are the same from slot to slot."""
        return sorted(meters, key=lambda meter: self._failures.rank(meter.config.number))

    async def _try(self, meters: Sequence[Meter], tries: int, taken: list[MeterSample]) -> None:
        """Confirm who has been read once; read the billing registers of all others, then what confirms them.

        Readings go into ``taken``, absences aside.
        """
        fresh = [meter for meter in meters if meter.config.number not in self._first]
        try:
            await self._confirm([meter for meter in meters if meter.config.number in self._first], tries, taken)
            for meter in fresh:
                await self._read_first(meter)
            await self._confirm([meter for meter in fresh if meter.config.number in self._first], tries, taken)
        except LineDownError as error:  # holds for every other meter of the line too
            done = {reading.number for reading in taken}
            for meter in meters:
                if meter.config.number not in done:
                    self._miss(meter, "line_down", str(error))

    async def _confirm(self, meters: Sequence[Meter], tries: int, taken: list[MeterSample]) -> None:
        for meter in meters:
            reading = await self._confirmed(meter, tries)
            if reading is not None:
                taken.append(reading)

    async def _read_first(self, meter: Meter) -> None:
        if not self._has_time(meter):
            return
        number = meter.config.number
        try:
            read = await meter.reader.read_billing(self._window.until_ms)
        except LineDownError:
            raise
        except (LineError, QuarantinedError) as error:
            self._miss_for(meter, error)
            return
        self._failures.heard.add(number)
        slot_s = self._window.policy.slot_s
        verdict = judge_registers(
            meter.limits, self._memories.get(number), _wh(read), self._window.read_ms(read), slot_s
        )
        if verdict.doubts:
            self._doubt(meter, read, verdict.doubts)
        else:
            self._first[number], self._flags[number] = read, verdict.flags

    async def _confirmed(self, meter: Meter, tries: int) -> MeterSample | None:
        """The reading of a meter that has been read once; one that only fails to confirm keeps its first read."""
        number = meter.config.number
        if not self._has_time(meter):
            return None
        try:
            second = await meter.reader.confirm_billing(self._window.until_ms)
        except LineDownError:
            raise
        except (LineError, QuarantinedError) as error:
            if isinstance(error, QuarantinedError):
                del self._first[number]
            self._miss_for(meter, error)
            return None
        first, window = self._first[number], self._window
        doubts = _confirmation_doubts(meter, first, second, window.policy.slot_s)
        if doubts:
            del self._first[number]
            self._doubt(meter, first, doubts)
            return None
        del self._first[number]
        self._absent.pop(number, None)
        self._doubted.pop(number, None)
        self._failures.answered(number)
        return sample_of(meter, first, window.boundary_ms, window.policy, tries, flags=self._flags[number])

    def _doubt(self, meter: Meter, read: BillingRead, doubts: Sequence[Doubt]) -> None:
        """Keep the first read that is not believed, and read the meter again."""
        number, name = meter.config.number, meter.config.meter
        if number not in self._doubted:
            self._doubted[number] = read
            if self._proofs is not None:
                self._proofs.doubt(number)
            for doubt in doubts:
                _log.warning(
                    "reading_doubted",
                    boundary_s=self._window.boundary_s,
                    meter=name,
                    reason=doubt.reason,
                    detail=doubt.detail,
                )
        self._miss(meter, "suspect", f"{name}: {doubts[0].detail}")

    def _has_time(self, meter: Meter) -> bool:
        if self._window.left_ms() > 0:
            return True
        self._absent.setdefault(meter.config.number, _absence(meter, "window", "the sampling window has closed"))
        return False

    def _miss(self, meter: Meter, reason: str, detail: str) -> None:
        self._absent[meter.config.number] = _absence(meter, reason, detail)

    def _miss_for(self, meter: Meter, error: GridError) -> None:
        self._miss(meter, _reason_of(error), str(error))
        if isinstance(error, QuarantinedError):
            _log.warning(
                "reading_quarantined",
                boundary_s=self._window.boundary_s,
                meter=meter.config.meter,
                detail=str(error),
            )

    def _count_failures(self) -> None:
        """Note who has given nothing in the first pass; a line that is down is not its meters' fault and is said once."""
        down = [absence for absence in self._absent.values() if absence.reason == "line_down"]
        for absence in self._absent.values():
            if self._proofs is not None and absence.reason in ("line_down", "no_answer"):
                self._proofs.doubt(absence.number)
            if absence.reason not in ("line_down", "identity"):
                self._failures.failed(absence.number)
                _log.warning(
                    "meter_not_read",
                    boundary_s=self._window.boundary_s,
                    meter=absence.meter,
                    reason=absence.reason,
                    detail=absence.detail,
                )
        if down:
            _log.warning("line_not_read", boundary_s=self._window.boundary_s, meters=len(down), detail=down[0].detail)


def _reason_of(error: GridError) -> str:
    if isinstance(error, QuarantinedError):
        return "quarantined"
    return "no_answer" if isinstance(error, NoAnswerError) else "refused"


def _absence(meter: Meter, reason: str, detail: str) -> Absence:
    return Absence(meter.config.number, meter.config.meter, reason, detail)
