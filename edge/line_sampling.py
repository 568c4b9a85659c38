"""How a reading is taken: the meters of one line at one boundary. ``LineSampling.first_pass`` tells the whole of it.

Each meter is read twice: all first reads of the line, then what confirms them (``_read``). A first read is judged by what the meter showed
before (``_read_first``), then by the second one (``_confirm``); a reading counts once its meter has shown which meter it is (``_proven``).
Whoever gives no reading is absent, with the reason.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple, Protocol

from edge.meters import Meter, MeterLine
from edge.readers import BillingRead, LineDownError, LineError, NoAnswerError, QuarantinedError, RawAnswer
from edge.samples import Absence, MeterSample, confirmation_doubts, registers_wh, sample_of
from edge.truth import Doubt, MeterMemory, judge_registers
from edge.window import SamplingWindow
from gridcore.errors import GridError
from gridcore.logs import get_logger
from gridcore.quality import SUSPECT

FIRST_PASS_TRIES: Final = 2
"""Tries of each meter before the batch of those that answered is signed; the others get a batch of their own later."""

_log = get_logger(__name__)


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


class LineSample(NamedTuple):
    """What one pass or round over a line brought."""

    taken: list[MeterSample]
    absent: list[Absence]


class LineSampling:
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

    def bar(self, barred: Mapping[int, str], sample: LineSample) -> None:
        """Take what was read of barred meters out of ``sample``."""
        self._barred = barred
        read = {reading.number for reading in sample.taken} | set(self._held) | set(self._doubted)
        for meter in self._line.meters:
            number = meter.config.number
            if number in barred and number in read:
                self._held.pop(number, None)
                self._doubted.pop(number, None)
                self._miss(meter, "identity", barred[number])
                sample.taken[:] = [reading for reading in sample.taken if reading.number != number]
                sample.absent[:] = [absence for absence in sample.absent if absence.number != number]
                sample.absent.append(self._absent[number])

    def suspects(self) -> list[MeterSample]:
        """The meters that have shown only what is not believed, each by the first of it, and those that have not shown who they are."""
        held = [replace(reading, quality=SUSPECT) for reading in self._held.values()]
        window, doubted = self._window, self._doubted
        return held + [
            sample_of(meter, doubted[meter.config.number], window.boundary_ms, window.policy, quality=SUSPECT)
            for meter in self._line.meters
            if meter.config.number in doubted
        ]

    async def first_pass(self) -> LineSample:
        """Healthy meters in their order, those that failed last time behind the others; then suspects while it is not late."""
        await self._line.line.begin(self._window.boundary_s, self._window.boundary_ms)
        for meter in self._line.meters:
            if meter.config.number in self._barred:
                self._miss(meter, "identity", self._barred[meter.config.number])
        ordered = self._ranked(self._meters)
        healthy = [meter for meter in ordered if not self._failures.is_suspect(meter.config.number)]
        taken = await self._read(healthy, 1)
        failed = [meter for meter in healthy if meter.config.number in self._absent]
        if failed and self._window.policy.attempts_max != 1 and self._window.left_ms() > 0:
            await self._window.pause(1)
            taken += await self._read(self._ranked(failed), FIRST_PASS_TRIES)
        for meter in ordered[len(healthy) :]:
            if self._window.is_late():
                silent = self._failures.of(meter.config.number)
                self._miss(meter, "no_answer", f"silent at {silent} boundaries in a row, it is tried after the others")
            else:
                taken += await self._read([meter], 1)
        taken = await self._proven(taken)
        self._count_failures()
        return LineSample(taken, list(self._absent.values()))

    async def another_round(self, numbers: Collection[int], tries: int, with_suspects: bool) -> LineSample:
        """Try whoever of ``numbers`` is on this line once."""
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
        taken = await self._read(self._ranked(pending), tries)
        taken = await self._proven([*taken, *self._held.values()])
        return LineSample(taken, [self._absent[number] for number in numbers if number in self._absent])

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

    async def _read(self, meters: Sequence[Meter], tries: int) -> list[MeterSample]:
        """Confirm who has been read once; read the billing registers of all others, then what confirms them. Whoever gives no reading is absent."""
        taken: list[MeterSample] = []
        fresh = [meter for meter in meters if meter.config.number not in self._first]
        try:
            for meter in meters:
                if meter.config.number in self._first:
                    taken += await self._confirm(meter, tries)
            for meter in fresh:
                await self._read_first(meter)
            for meter in fresh:
                if meter.config.number in self._first:
                    taken += await self._confirm(meter, tries)
        except LineDownError as error:  # holds for every other meter of the line too
            done = {reading.number for reading in taken}
            for meter in meters:
                if meter.config.number not in done:
                    self._miss(meter, "line_down", str(error))
        return taken

    async def _read_first(self, meter: Meter) -> None:
        """Read the billing registers of a meter, and keep them for ``_confirm`` where they are believed."""
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
            meter.limits, self._memories.get(number), registers_wh(read), self._window.read_ms(read), slot_s
        )
        if verdict.doubts:
            self._doubt(meter, read, verdict.doubts)
        else:
            self._first[number], self._flags[number] = read, verdict.flags

    async def _confirm(self, meter: Meter, tries: int) -> list[MeterSample]:
        """The reading of a meter that has been read once, or none; one that does not answer keeps its first read for the next try."""
        number = meter.config.number
        if not self._has_time(meter):
            return []
        try:
            second = await meter.reader.confirm_billing(self._window.until_ms)
        except LineDownError:
            raise
        except (LineError, QuarantinedError) as error:
            if isinstance(error, QuarantinedError):
                del self._first[number]
            self._miss_for(meter, error)
            return []
        first, window = self._first[number], self._window
        doubts = confirmation_doubts(meter, first, second, window.policy.slot_s)
        if doubts:
            del self._first[number]
            self._doubt(meter, first, doubts)
            return []
        del self._first[number]
        self._absent.pop(number, None)
        self._doubted.pop(number, None)
        self._failures.answered(number)
        return [sample_of(meter, first, window.boundary_ms, window.policy, tries, flags=self._flags[number])]

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

    def _miss(self, meter: Meter, reason: str, detail: str, answers: tuple[RawAnswer, ...] = ()) -> None:
        before = self._absent.get(meter.config.number)
        if before is not None:
            answers = answers or before.answers
        self._absent[meter.config.number] = _absence(meter, reason, detail, answers)

    def _miss_for(self, meter: Meter, error: GridError) -> None:
        answers = error.answers if isinstance(error, QuarantinedError) else ()
        self._miss(meter, _reason_of(error), str(error), answers)
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


def _absence(meter: Meter, reason: str, detail: str, answers: tuple[RawAnswer, ...] = ()) -> Absence:
    return Absence(meter.config.number, meter.config.meter, reason, detail, answers)
