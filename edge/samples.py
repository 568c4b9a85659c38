"""What a reading is before it is signed, and what stands for one that is missing: records, and how a read of a meter becomes one."""

from __future__ import annotations

from dataclasses import dataclass

from edge.meters import Meter, SamplePolicy
from edge.readers import BillingRead, RawAnswer
from edge.truth import Doubt, judge_confirmation
from firmware_profiles.schema import BILLING_OBIS
from gridcore.quality import FLAG_FROZEN, FLAG_LATE, MEASURED

OFFSET_MS_MAX = 0xFFFF_FFFF


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

    ``reason`` is one of line_down, no_answer, refused, quarantined, suspect, identity, window; ``answers``: what it sent that is
    no reading, the newest of it at the boundary.
    """

    number: int
    meter: str
    reason: str
    detail: str
    answers: tuple[RawAnswer, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """What one boundary brought: readings and absences, each ascending by meter number, together every meter once."""

    boundary_s: int
    meters: tuple[MeterSample, ...]
    absent: tuple[Absence, ...]
    duration_ms: int


def confirmation_doubts(meter: Meter, first: BillingRead, second: BillingRead, slot_s: int) -> tuple[Doubt, ...]:
    """The doubts that a second read throws on the first (``edge.truth``)."""
    elapsed_ms = max(0, round(second.arrived_ms - first.arrived_ms))
    return judge_confirmation(meter.limits, registers_wh(first), registers_wh(second), elapsed_ms, slot_s)


def registers_wh(read: BillingRead) -> tuple[int, ...]:
    """The registers of a read, in its order."""
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
