"""What every profile may say, whatever its transport, and the rules over several of those keys.

The keys of the TOML file are the field names below; what belongs to one transport stands in its table (``[modbus]``,
``[dlt645]``, ``[mqtt]``: the modules of those names). Types, ranges, choices and unknown keys are checked by ``gridcore.config``;
the rules here are those that need more than one field to be seen. Background: peers' register maps contradict each other
often, so source and evidence are required, every number that money depends on is exact, and a register bills only when a
fixture from another source proves its decoding.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeVar

from firmware_profiles.formats import parse_scale
from gridcore.errors import EncodingError, UsageError

BILLING_OBIS = ("1.8.0", "2.8.0")
"""Active energy import and export, cumulative: the registers that can be signed and billed, in batch order."""

BASE_UNITS = ("Wh", "varh", "VAh", "W", "var", "VA", "V", "A", "Hz", "1")
PRINTED_UNITS = {
    **{unit: Fraction(1) for unit in BASE_UNITS},
    **{f"k{unit}": Fraction(1000) for unit in ("Wh", "varh", "VAh", "W", "var", "VA", "V")},
    "MWh": Fraction(1_000_000),
    "mA": Fraction(1, 1000),
}
"""Unit as a document prints it -> how many base units it is (the base unit is its name without k, M or m)."""
EVIDENCE = ("vendor-doc", "two-sources", "one-source", "field-tested")
NETTING = ("instant", "phase", "single", "unstated")
POINTS_MAX = 256
FIXTURES_MAX = 64
BILLING_LATENCY_MS_MAX = 10_000
"""A register that may be older than this when it is read belongs to no boundary."""

OBIS = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}")
ID = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")


class ProfileError(UsageError):
    """A profile that cannot be used; the line names file, point or key, and what would be right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One quantity of the meter: how much a count is, in which unit, within which bounds. Each transport adds where it lies."""

    obis: str
    """Group values C.D.E of IEC 62056-6-1, e.g. "1.8.0" (active energy import)."""
    scale: str
    """Base units per raw count as an exact fraction, e.g. "1000/1" for a register in kWh."""
    unit: str = field(metadata={"choices": BASE_UNITS})
    min: int | None = None
    """Smallest plausible value in ``unit``."""
    max: int | None = None
    monotonic: bool = False
    """The register only grows, but for its roll-over."""
    modulus_wh: int = field(default=0, metadata={"min": 0})
    """The register starts again from 0 at this value (Wh); 0: never known to."""
    resolution_wh: int = field(default=0, metadata={"min": 0})
    """Step of the register in Wh. Required of a billing register that is a float or has its scale in a register, else its scale."""
    required: bool = True
    """Whether every variant of the meter has it (the probe fails on an absent required point)."""

    @property
    def ratio(self) -> Fraction:
        """``scale`` as a number."""
        return parse_scale(self.scale)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixture:
    """What a named source says that a point's raw content means: the proof without which a register does not bill."""

    obis: str
    raw: str = field(metadata={"min": 1, "max": 16_384})
    """Modbus: its registers in hex, in decode order. DL/T 645: the value's bytes in hex as sent, less 33H. MQTT: the payload."""
    value: str = field(metadata={"min": 1, "max": 40})
    """The value as the source prints it, a decimal number."""
    unit: str = field(metadata={"choices": tuple(PRINTED_UNITS)})
    """The unit as the source prints it."""
    source: str = field(metadata={"min": 8, "max": 400})
    """Document and page, or file of a public project, that prints both: not this profile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One model of meter, inverter or device. After loading, ``digest`` is set."""

    id: str
    vendor: str = field(metadata={"min": 1, "max": 64})
    models: tuple[str, ...] = field(metadata={"min": 1, "max": 64})
    source: tuple[str, ...] = field(metadata={"min": 1, "max": 16})
    """Where each fact comes from: document and page, or file of a public project."""
    evidence: str = field(metadata={"choices": EVIDENCE})
    timeout_ms: int = field(metadata={"min": 10, "max": 60_000})
    """Time for an answer; of a device that only speaks, how long a boundary waits for a message if there is none yet."""
    ratio_applied: bool
    """False: registers count what flows through the meter, and only the ledger multiplies by CT and VT ratio. True: the meter
    multiplies already, and the installation's ratio is 1."""
    netting: str = field(metadata={"choices": NETTING})
    """"instant": power of all phases is added in every instant, then counted, as a billing meter does; "phase": each phase counts by
    itself; "single": one phase; "unstated": no source says."""
    points: tuple[Point, ...] = field(metadata={"min": 1, "max": POINTS_MAX})
    billing: tuple[str, ...] = field(default=(), metadata={"max": len(BILLING_OBIS), "choices": BILLING_OBIS})
    """The points that are signed and billed; empty: the meter informs only."""
    approval: str = field(default="", metadata={"max": 200})
    """Under which rules the energy registers are approved for billing, and of which models, e.g. "MID (SDM630-Modbus MID)"."""
    latency_ms_max: int = field(default=0, metadata={"min": 0, "max": 3_600_000})
    """How old a register may be when it is read, by the meter's own renewal; 0: no source says."""
    firmware: str = field(default="any", metadata={"min": 1, "max": 200})
    """Range of firmware versions for which the facts were seen to hold."""
    notes: str = ""
    fixtures: tuple[Fixture, ...] = field(default=(), metadata={"max": FIXTURES_MAX})
    digest: bytes = field(default=b"", init=False, compare=False)
    """SM3 of the file with LF line ends: what a reading batch names."""

    def point(self, obis: str) -> Point:
        """Return the point ``obis``; ProfileError naming the known ones if the meter has none."""
        return find_point(self.points, obis, self.id)

    @property
    def billing_points(self) -> tuple[Point, ...]:
        """The billing registers in the order of BILLING_OBIS."""
        return tuple(self.point(obis) for obis in BILLING_OBIS if obis in self.billing)

    @property
    def resolution_wh(self) -> int:
        """Step of the billing registers in Wh as the meter counts; the coarsest if they differ, 0 if none bills."""
        return max((point.resolution_wh for point in self.billing_points), default=0)


P = TypeVar("P", bound=Point)


def find_point(points: Sequence[P], obis: str, profile_id: str) -> P:
    """Return the point ``obis`` of ``points``; ProfileError naming the known ones."""
    for point in points:
        if point.obis == obis:
            return point
    raise ProfileError(f"profile {profile_id} has no point {obis!r}; it has {', '.join(p.obis for p in points)}")


def fill(record: object, name: str, value: object) -> None:
    """Set a field of a frozen record while it is made."""
    object.__setattr__(record, name, value)  # frozen for everyone else


def check_profile(profile: Profile) -> None:
    """The rules over common keys that hold whatever the transport. ProfileError names point or key and what would be right."""
    if not ID.fullmatch(profile.id):
        raise ProfileError(f"id {profile.id!r} is not lower-case words joined by '_', such as 'eastron_sdm630'")
    for key, what in (("models", "which model"), ("source", "where the facts come from")):
        if not all(text.strip() for text in getattr(profile, key)):
            raise ProfileError(f"{key} has an empty entry; say {what}")
    seen: set[str] = set()
    for point in profile.points:
        if point.obis in seen:
            raise ProfileError(f"point {point.obis} is given twice; each obis stands once")
        seen.add(point.obis)
        _check_point(point)
    for obis in profile.billing:
        if profile.billing.count(obis) > 1:
            raise ProfileError(f"billing names {obis} twice; each stands once")
        if obis not in seen:
            raise ProfileError(
                f"billing names {obis}, but points lacks {obis}; add the point, or take it out of billing"
            )
    if profile.billing:
        _check_may_bill(profile)


def _check_point(point: Point) -> None:
    where = f"point {point.obis}"
    if not OBIS.fullmatch(point.obis):
        raise ProfileError(f"{where}: obis is not of the form C.D.E, such as '1.8.0'")
    try:
        scale = parse_scale(point.scale)
    except EncodingError as error:
        raise ProfileError(f"{where}: {error}") from None
    if scale == 0:
        raise ProfileError(f"{where}: scale is 0; give the unit's amount of one raw count")
    if point.min is not None and point.max is not None and point.min > point.max:
        raise ProfileError(f"{where}: min {point.min} is above max {point.max}")


def _check_may_bill(profile: Profile) -> None:
    if profile.netting == "phase" and not profile.approval:
        raise ProfileError(
            "billing with netting = 'phase': such counters differ from a billing meter's as soon as one phase exports "
            "while another imports; name the approval under which they bill, or leave billing out"
        )
    for point in profile.points:
        if point.obis in BILLING_OBIS and point.obis not in profile.billing:
            raise ProfileError(
                f"billing lacks {point.obis}, which the meter counts: bill both directions, or leave billing out"
            )
    if profile.latency_ms_max > BILLING_LATENCY_MS_MAX:
        raise ProfileError(
            f"billing with latency_ms_max = {profile.latency_ms_max}: a register older than {BILLING_LATENCY_MS_MAX} ms "
            "belongs to no boundary; leave billing out"
        )
    for point in profile.billing_points:
        where = f"point {point.obis}"
        if point.unit != "Wh":
            raise ProfileError(f"{where}: a billing register has unit 'Wh', not {point.unit!r}; put kWh into scale")
        if point.ratio < 0:
            raise ProfileError(f"{where}: scale {point.scale} is negative; a cumulative register never is")
        if not point.monotonic:
            raise ProfileError(f"{where}: monotonic = true is missing; a billing register only grows")


def checked_resolution_wh(point: Point, raw_values: int | None, why: str = "") -> int:
    """Return the step of a billing register in Wh.

    ``raw_values``: how many counts an integer register holds; None where the step does not follow from the scale (``why``),
    and ``resolution_wh`` has to say it. ProfileError names the point.
    """
    where = f"point {point.obis}"
    if raw_values is None:
        if point.resolution_wh < 1:
            raise ProfileError(f"{where}: {why} needs resolution_wh, the step it is rounded to (Wh)")
        if point.modulus_wh % point.resolution_wh:
            raise ProfileError(f"{where}: modulus_wh {point.modulus_wh} is no multiple of {point.resolution_wh} Wh")
        return point.resolution_wh
    scale = point.ratio
    step = max(1, scale.numerator // scale.denominator)
    if point.resolution_wh not in (0, step):
        raise ProfileError(
            f"{where}: resolution_wh {point.resolution_wh} differs from its scale; leave it out or say {step}"
        )
    if point.modulus_wh > raw_values * scale:
        raise ProfileError(
            f"{where}: modulus_wh {point.modulus_wh} is more than its type holds: {raw_values * scale} Wh"
        )
    return step
