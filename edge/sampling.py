"""One place says how a reading is taken.

``read_meter`` reads the billing registers twice, by two separate requests. The reading counts only if both decode, no
register went back in between, and none grew by more than its limit allows in the time between (plus one step of the
register). Anything else is quarantined: an event in the log and no reading, never a value. What is signed is the second
reading, with the offset of its arrival from the slot boundary on a clock that does not jump.

``sample_boundary`` reads all meters of all lines: lines side by side, the meters of one line one after the other, those
that answered last time first. Whatever fails is tried again after the others, with growing pauses, while the sampling
window is open: a dead meter costs its own time-outs and nobody's reading.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from edge.backoff import backoff_ms
from edge.blocks import Block
from edge.decode import register_wh
from edge.drivers.modbus import LineDownError, LineError, NoAnswerError
from edge.meters import BACKOFF_MS_MAX, Meter, MeterLine, SamplePolicy
from firmware_profiles.schema import Point
from gridcore.clock import monotonic_ms
from gridcore.errors import EncodingError, GridError
from gridcore.logs import get_logger
from gridcore.quality import FLAG_LATE, MEASURED

OFFSET_MS_MAX = 0xFFFF_FFFF
SUSPECT_BOUNDARIES = 3
"""A meter that failed at this many boundaries in a row gets one try at each boundary until it answers again."""

_log = get_logger(__name__)


class QuarantinedError(GridError):
    """Two readings of one billing register do not agree, or do not decode: there is no reading."""


class WordReader(Protocol):
    """What ``read_meter`` needs of a line (see ``ModbusLine.read_words``)."""

    async def read_words(
        self, unit_id: int, function_code: int, address: int, count: int, *, timeout_ms: int = 1000, min_gap_ms: int = 0
    ) -> Sequence[int]:
        """Return ``count`` registers; LineError when there is no usable answer."""


@dataclass(frozen=True, slots=True)
class MeterSample:
    """One accepted reading. ``registers_wh`` in the order of BILLING_OBIS (import, export), secondary Wh."""

    number: int
    meter: str
    registers_wh: tuple[int, ...]
    quality: int
    flags: int
    offset_ms: int
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class Absence:
    """A meter without a reading at this boundary.

    ``reason`` is one of line_down, no_answer, refused, quarantined, window.
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
    line: WordReader,
    meter: Meter,
    *,
    boundary_ms: float,
    policy: SamplePolicy,
    clock_ms: Callable[[], float] = monotonic_ms,
) -> MeterSample:
    """Take one reading: both requests, once. ``boundary_ms`` is the boundary on the monotonic ``clock_ms``.

    Raises LineError when the meter does not answer properly, QuarantinedError when its two answers do not agree.
    """
    started_ms = clock_ms()
    first = await _read_registers(line, meter, meter.plan.billing)
    second = await _read_registers(line, meter, meter.plan.confirm)
    now_ms = clock_ms()
    for point, before_wh, after_wh in zip(meter.profile.billing, first, second, strict=True):
        _check_agreement(meter, point, before_wh, after_wh, now_ms - started_ms, policy.slot_s)
    offset_ms = min(max(0, round(now_ms - boundary_ms)), OFFSET_MS_MAX)
    flags = FLAG_LATE if offset_ms > policy.late_after_ms else 0
    return MeterSample(meter.config.number, meter.config.meter, second, MEASURED, flags, offset_ms)


async def read_block(line: WordReader, meter: Meter, block: Block) -> Sequence[int]:
    """The registers of one block of a meter, asked as its profile says. Raises as ``read_words`` does."""
    profile = meter.profile
    return await line.read_words(
        meter.config.unit_id,
        block.function_code,
        block.address,
        block.count,
        timeout_ms=profile.timeout_ms,
        min_gap_ms=profile.min_gap_ms,
    )


async def _read_registers(line: WordReader, meter: Meter, blocks: Sequence[Block]) -> tuple[int, ...]:
    """Return the billing registers (Wh, in the order of BILLING_OBIS) as ``blocks`` bring them."""
    registers: dict[str, int] = {}
    for block in blocks:
        words = await read_block(line, meter, block)
        for point in block.points:
            if point.is_billing:
                registers[point.obis] = _decoded_register(block.words_of(point, words), point, meter)
    return tuple(registers[point.obis] for point in meter.profile.billing)


def _decoded_register(words: Sequence[int], point: Point, meter: Meter) -> int:
    try:
        register = register_wh(words, point)
    except EncodingError as error:
        raise QuarantinedError(f"{meter.config.meter}: {error} (words {_hex(words)})") from None
    if register is None:
        raise QuarantinedError(f"{meter.config.meter}: {point.obis} says 'no value' (words {_hex(words)})")
    return register


def _check_agreement(meter: Meter, point: Point, before_wh: int, after_wh: int, elapsed_ms: float, slot_s: int) -> None:
    # + 1 step: the register may turn over between the two requests; + 1 Wh: the limit's share is rounded down
    growth_max_wh = int(meter.config.limit_wh * elapsed_ms / (slot_s * 1000.0)) + 1 + point.resolution_wh
    if before_wh <= after_wh <= before_wh + growth_max_wh:
        return
    raise QuarantinedError(
        f"{meter.config.meter}: {point.obis} read {before_wh} Wh, then {after_wh} Wh after {elapsed_ms:.0f} ms; "
        f"at most {growth_max_wh} Wh more is plausible"
    )


def _hex(words: Sequence[int]) -> str:
    return " ".join(f"{word:04x}" for word in words)


async def sample_boundary(
    lines: Sequence[MeterLine],
    boundary_s: int,
    *,
    policy: SamplePolicy | None = None,
    boundary_ms: float | None = None,
    clock_ms: Callable[[], float] = monotonic_ms,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    jitter: random.Random | None = None,
) -> Sample:
    """Read every meter of ``lines`` for the slot boundary ``boundary_s`` (UTC seconds; only a label here).

    ``boundary_ms`` is the boundary on ``clock_ms`` (default: now). Never raises for what a meter or a line does.
    """
    started_ms = clock_ms()
    window = _Window(
        boundary_s,
        started_ms if boundary_ms is None else boundary_ms,
        policy or SamplePolicy(),
        clock_ms,
        sleep,
        jitter or random.SystemRandom(),  # gateways that start together must not retry together
    )
    results = await asyncio.gather(*(_sample_line(line, window) for line in lines))
    readings = sorted((reading for taken, _ in results for reading in taken), key=lambda item: item.number)
    absences = sorted((absence for _, absent in results for absence in absent), key=lambda item: item.number)
    return Sample(boundary_s, tuple(readings), tuple(absences), round(clock_ms() - started_ms))


@dataclass(frozen=True, slots=True)
class _Window:
    """The time in which one boundary may be read."""

    boundary_s: int
    boundary_ms: float
    policy: SamplePolicy
    clock_ms: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    jitter: random.Random

    def left_ms(self) -> float:
        return self.boundary_ms + self.policy.window_ms - self.clock_ms()

    async def pause(self, attempt: int) -> None:
        pause_ms = backoff_ms(attempt, self.policy.backoff_ms, BACKOFF_MS_MAX, self.jitter)
        await self.sleep(max(0.0, min(pause_ms, self.left_ms())) / 1000.0)


async def _sample_line(line: MeterLine, window: _Window) -> tuple[list[MeterSample], list[Absence]]:
    taken: list[MeterSample] = []
    absent: dict[int, Absence] = {}
    pending = sorted(line.meters, key=lambda meter: (line.failures.get(meter.config.number, 0), meter.config.number))
    for attempt in range(1, window.policy.attempts_max + 1):
        await _read_round(line, pending, window, attempt, taken, absent)
        pending = [meter for meter in pending if _deserves_another_try(line, meter, absent)]
        if not pending or window.left_ms() <= 0 or attempt == window.policy.attempts_max:
            break
        await window.pause(attempt)
    for reading in taken:
        line.failures.pop(reading.number, None)
    for absence in absent.values():
        if absence.reason == "line_down":  # the line's fault, not the meter's: one event for all of them
            continue
        line.failures[absence.number] = line.failures.get(absence.number, 0) + 1
        _log.warning(
            "meter_not_read",
            boundary_s=window.boundary_s,
            meter=absence.meter,
            reason=absence.reason,
            detail=absence.detail,
        )
    down = [absence for absence in absent.values() if absence.reason == "line_down"]
    if down:
        _log.warning("line_not_read", boundary_s=window.boundary_s, meters=len(down), detail=down[0].detail)
    return taken, list(absent.values())


def _deserves_another_try(line: MeterLine, meter: Meter, absent: dict[int, Absence]) -> bool:
    absence = absent.get(meter.config.number)
    if absence is None:
        return False
    return absence.reason == "line_down" or line.failures.get(meter.config.number, 0) < SUSPECT_BOUNDARIES


async def _read_round(
    line: MeterLine,
    pending: Sequence[Meter],
    window: _Window,
    attempt: int,
    taken: list[MeterSample],
    absent: dict[int, Absence],
) -> None:
    """Try each of ``pending`` once; put its reading into ``taken`` or its absence into ``absent`` (by number)."""
    for position, meter in enumerate(pending):
        if window.left_ms() <= 0:
            for other in pending[position:]:
                absent.setdefault(other.config.number, _absence(other, "window", "the sampling window has closed"))
            return
        try:
            reading = await read_meter(
                line.line, meter, boundary_ms=window.boundary_ms, policy=window.policy, clock_ms=window.clock_ms
            )
        except LineDownError as error:  # holds for every other meter of the line too
            for other in pending[position:]:
                absent[other.config.number] = _absence(other, "line_down", str(error))
            return
        except (LineError, QuarantinedError) as error:
            absent[meter.config.number] = _absence(meter, _reason_of(error), str(error))
            if isinstance(error, QuarantinedError):
                _log.warning(
                    "reading_quarantined", boundary_s=window.boundary_s, meter=meter.config.meter, detail=str(error)
                )
            continue
        taken.append(replace(reading, attempts=attempt))
        absent.pop(meter.config.number, None)


def _reason_of(error: GridError) -> str:
    if isinstance(error, QuarantinedError):
        return "quarantined"
    return "no_answer" if isinstance(error, NoAnswerError) else "refused"


def _absence(meter: Meter, reason: str, detail: str) -> Absence:
    return Absence(meter.config.number, meter.config.meter, reason, detail)
