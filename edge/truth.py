"""Is what a meter shows true? Judged before anything is signed. Pure: no device, no clock, integers alone.

What the field taught, each a rule here:

* a meter that boots shows 0 or all ones, a confused one 0.15 kWh less for some seconds: such a register is read again while
  the sampling window is open, and is *suspect* if it stays; it is never silently *measured* (``judge_registers``);
* what counts is the first reading; a second one only confirms it (``judge_confirmation``);
* a register that does not move while the meter shows a load is *stuck* (``stuck_registers``).

The agent compares with its own last trusted reading (``MeterMemory``). A suspect reading never becomes that, so one wrong
register cannot make the true ones after it look wrong. A meter without memory is judged by the bounds of its profile alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from firmware_profiles.formats import NATURE
from firmware_profiles.schema import BILLING_OBIS, Point
from gridcore.quality import FLAG_ROLLOVER, MEASURED, SUSPECT

STUCK_STEPS: Final = 20
"""A register is stuck when the load has been worth this many of its steps and it has not moved by one."""

EXPORT_OBIS: Final = BILLING_OBIS[1]
_WORD_BITS: Final = 16
_MS_PER_HOUR: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class RegisterLimits:
    """What is plausible of one billing register, all in Wh on the meter's own (secondary) side."""

    obis: str
    resolution_wh: int
    """The register's step."""
    limit_wh: int
    """Largest advance in one slot: Pmax times the slot."""
    modulus_wh: int = 0
    """The register starts again from 0 here; 0: never known to."""
    min_wh: int = 0
    max_wh: int | None = None

    @classmethod
    def of(cls, point: Point, limit_wh: int) -> RegisterLimits:
        """The limits of a profile's billing ``point`` at a place where ``limit_wh`` is the largest advance in a slot."""
        return cls(point.obis, point.resolution_wh, limit_wh, point.modulus_wh, max(0, point.min or 0), point.max)

    def growth_max_wh(self, elapsed_ms: int, slot_s: int) -> int:
        """Largest plausible advance in ``elapsed_ms``: Pmax times the time, and one step because both ends are rounded."""
        return -(-self.limit_wh * elapsed_ms // (slot_s * 1000)) + self.resolution_wh

    def advance_wh(self, before_wh: int, after_wh: int) -> int:
        """From one value of the register to a later one; negative only where it cannot have started again."""
        advance_wh = after_wh - before_wh
        return advance_wh + self.modulus_wh if advance_wh < 0 else advance_wh


@dataclass(frozen=True, slots=True)
class RegisterMemory:
    """What the agent itself holds for true of one register.

    register_wh: the last trusted value; still_since_ms: when it was first seen (UTC ms); least_load_w: the smallest load in
    the register's direction that the meter has shown at each reading since; 0 where one of them came without a power.
    """

    register_wh: int
    still_since_ms: int
    least_load_w: int


@dataclass(frozen=True, slots=True)
class MeterMemory:
    """The last trusted reading of a meter: when (UTC ms), and its registers in the order of its limits."""

    read_ms: int
    registers: tuple[RegisterMemory, ...]


class Doubt(NamedTuple):
    """Why a register is not believed. ``reason`` is one of REASONS, ``detail`` one line with the values."""

    reason: str
    obis: str
    detail: str


REASONS: Final = ("out_of_bounds", "fell_to_zero", "went_back", "grew_too_much", "readings_differ")
"""What a doubt can be."""


class Verdict(NamedTuple):
    """How a reading may be signed: ``quality`` MEASURED or SUSPECT, ``flags`` of gridcore.quality, and the doubts behind it."""

    quality: int
    flags: int
    doubts: tuple[Doubt, ...]


def says_no_data(words: Sequence[int], type_name: str) -> bool:
    """Whether raw registers hold what a meter shows instead of a value: all ones, and the ends of a signed range.

    A profile's own ``nan`` values and a float's NaN are the decoder's (``firmware_profiles.decode``).
    """
    if all(word == 0xFFFF for word in words):
        return True
    if NATURE[type_name] != "signed":
        return False
    highest = (1 << _WORD_BITS * len(words) - 1) - 1
    raw, reversed_raw = _joined(words), _joined(words[::-1])
    return any(value in (highest, highest + 1) for value in (raw, reversed_raw))


def judge_registers(
    limits: Sequence[RegisterLimits],
    memory: MeterMemory | None,
    registers_wh: Sequence[int],
    read_ms: int,
    slot_s: int,
) -> Verdict:
    """Judge one reading, ``registers_wh`` in the order of ``limits``, taken at ``read_ms`` (UTC).

    A memory of another number of registers, from before the meter's profile was changed, counts for nothing.
    """
    doubts: list[Doubt] = []
    flags = 0
    known = _known(memory, limits)
    for index, (limit, register_wh) in enumerate(zip(limits, registers_wh, strict=True)):
        doubt = _bounds_doubt(limit, register_wh)
        if doubt is None and known is not None:
            before_wh = known.registers[index].register_wh
            doubt = _advance_doubt(limit, before_wh, register_wh, read_ms - known.read_ms, slot_s)
            if doubt is None and register_wh < before_wh:
                flags |= FLAG_ROLLOVER
        if doubt is not None:
            doubts.append(doubt)
    return Verdict(SUSPECT, 0, tuple(doubts)) if doubts else Verdict(MEASURED, flags, ())


def judge_confirmation(
    limits: Sequence[RegisterLimits],
    first_wh: Sequence[int],
    second_wh: Sequence[int],
    elapsed_ms: int,
    slot_s: int,
) -> tuple[Doubt, ...]:
    """The doubts that a second reading, ``elapsed_ms`` later, throws on the first: none if each register stood or advanced."""
    doubts = []
    for limit, before_wh, after_wh in zip(limits, first_wh, second_wh, strict=True):
        growth_max_wh = limit.growth_max_wh(elapsed_ms, slot_s)
        if not 0 <= limit.advance_wh(before_wh, after_wh) <= growth_max_wh:
            detail = (
                f"{limit.obis} read {before_wh} Wh, then {after_wh} Wh after {elapsed_ms} ms; "
                f"at most {growth_max_wh} Wh more is plausible"
            )
            doubts.append(Doubt("readings_differ", limit.obis, detail))
    return tuple(doubts)


def stuck_registers(
    limits: Sequence[RegisterLimits],
    memory: MeterMemory | None,
    registers_wh: Sequence[int],
    read_ms: int,
    power_w: int | None,
) -> tuple[str, ...]:
    """OBIS of the registers that stand still under load: they have not moved by a step while it was worth STUCK_STEPS.

    ``power_w``: active power that the meter shows with the reading, import positive; None where it was not read.
    """
    known = _known(memory, limits)
    if known is None:
        return ()
    return tuple(
        limit.obis
        for limit, before, register_wh in zip(limits, known.registers, registers_wh, strict=True)
        if register_wh == before.register_wh and _is_stuck(limit, before, read_ms, _load_w(power_w, limit))
    )


def remember(
    limits: Sequence[RegisterLimits],
    memory: MeterMemory | None,
    registers_wh: Sequence[int],
    read_ms: int,
    power_w: int | None,
) -> MeterMemory:
    """What the agent knows after a trusted reading; ``power_w`` as for ``stuck_registers``."""
    known = _known(memory, limits)
    kept = []
    for index, (limit, register_wh) in enumerate(zip(limits, registers_wh, strict=True)):
        load_w = _load_w(power_w, limit)
        before = known.registers[index] if known is not None else None
        if before is not None and before.register_wh == register_wh:
            kept.append(RegisterMemory(register_wh, before.still_since_ms, min(before.least_load_w, load_w)))
        else:
            kept.append(RegisterMemory(register_wh, read_ms, load_w))
    return MeterMemory(read_ms, tuple(kept))


def _bounds_doubt(limit: RegisterLimits, register_wh: int) -> Doubt | None:
    if limit.min_wh <= register_wh and (limit.max_wh is None or register_wh <= limit.max_wh):
        return None
    most = "" if limit.max_wh is None else f" to {limit.max_wh}"
    return Doubt(
        "out_of_bounds", limit.obis, f"{limit.obis} shows {register_wh} Wh; {limit.min_wh}{most} Wh is plausible"
    )


def _known(memory: MeterMemory | None, limits: Sequence[RegisterLimits]) -> MeterMemory | None:
    return memory if memory is not None and len(memory.registers) == len(limits) else None


def _advance_doubt(limit: RegisterLimits, before_wh: int, after_wh: int, elapsed_ms: int, slot_s: int) -> Doubt | None:
    # A clock that was set back makes the time since the last reading meaningless: one slot is the least that lies between.
    elapsed_ms = max(elapsed_ms, slot_s * 1000)
    growth_max_wh = limit.growth_max_wh(elapsed_ms, slot_s)
    if 0 <= limit.advance_wh(before_wh, after_wh) <= growth_max_wh:
        return None
    shown = f"{limit.obis} shows {after_wh} Wh after {before_wh} Wh"
    if after_wh > before_wh:
        return Doubt(
            "grew_too_much", limit.obis, f"{shown}; at most {growth_max_wh} Wh more is plausible in {elapsed_ms} ms"
        )
    if after_wh == 0:
        return Doubt("fell_to_zero", limit.obis, f"{shown}; a meter that boots shows 0 before it knows")
    return Doubt("went_back", limit.obis, f"{shown}; a cumulative register never goes back")


def _is_stuck(limit: RegisterLimits, known: RegisterMemory, read_ms: int, load_w: int) -> bool:
    expected_wh = min(known.least_load_w, load_w) * max(0, read_ms - known.still_since_ms) // _MS_PER_HOUR
    return expected_wh >= STUCK_STEPS * max(1, limit.resolution_wh)


def _load_w(power_w: int | None, limit: RegisterLimits) -> int:
    """The load in the direction of a register: of import what is taken, of export what is fed in."""
    return 0 if power_w is None else max(0, -power_w if limit.obis == EXPORT_OBIS else power_w)


def _joined(words: Sequence[int]) -> int:
    raw = 0
    for word in words:
        raw = raw << _WORD_BITS | word
    return raw
