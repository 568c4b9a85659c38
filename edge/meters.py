"""The agent's meter table: which meter hangs on which line, by which profile it is read, and how patient reading is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from edge.backoff import Failures
from edge.blocks import ReadPlan, plan_reads, plan_telemetry
from edge.lines import LineConfig
from edge.readers import UNIT_ID_MAX, MeterReader
from edge.readers.dlt645 import Dlt645Line, Dlt645Meter
from edge.readers.modbus import ModbusLine, ModbusMeter, WordReader
from edge.truth import RegisterLimits
from firmware_profiles.dlt645 import Dlt645Profile
from firmware_profiles.modbus import ModbusProfile
from firmware_profiles.schema import BILLING_OBIS, POINTS_MAX, Point, Profile
from gridcore.errors import UsageError

NUMBER_MAX = 0xFFFF_FFFF
LIMIT_WH_MAX = 10**9
"""Of one slot, as the ledger has it for an installation."""
BACKOFF_MS_MAX = 300_000


@dataclass(frozen=True, slots=True)
class MeterConfig:
    """One row of the meter table. Field metadata as in ``gridcore.config``."""

    number: int = field(metadata={"min": 0, "max": NUMBER_MAX})
    """The meter's number in this gateway's batches."""
    meter: str = field(metadata={"min": 1, "max": 64})
    line: str = field(metadata={"min": 1, "max": 64})
    profile: str = field(metadata={"min": 1, "max": 64})
    limit_wh: int = field(metadata={"min": 1, "max": LIMIT_WH_MAX})
    """Largest plausible advance of a register in one slot, in Wh on the meter's (secondary) side."""
    unit_id: int | None = field(default=None, metadata={"min": 0, "max": UNIT_ID_MAX})
    """Its place on a Modbus line."""
    address: str | None = field(default=None, metadata={"min": 12, "max": 12})
    """Its place on a DL/T 645 line: 12 digits."""
    observe: tuple[str, ...] = field(default=(), metadata={"max": POINTS_MAX})
    """Points of its profile (OBIS) that are read besides, for information."""
    timeout_ms: int = field(default=0, metadata={"min": 0, "max": 60_000})
    """Time for an answer of this meter; 0: as its line says, else its profile."""

    def __post_init__(self) -> None:
        """UsageError for a meter without a place, with two, or with an address that is none."""
        where = f"meters: meter {self.meter!r}"
        if (self.unit_id is None) == (self.address is None):
            raise UsageError(f"{where} needs one place: unit_id on a Modbus line, address on a DL/T 645 line")
        if self.address is not None and not (self.address.isascii() and self.address.isdigit()):
            raise UsageError(f"{where}: address {self.address!r} is not 12 digits, as printed on the meter")

    @property
    def place(self) -> str:
        """Where it is on its line."""
        return str(self.unit_id) if self.address is None else self.address


@dataclass(frozen=True, slots=True)
class SamplePolicy:
    """How patient sampling is. Times in milliseconds. Field metadata as in ``gridcore.config``."""

    slot_s: int = field(default=900, metadata={"min": 1})
    window_ms: int = field(default=60_000, metadata={"min": 1, "max": 900_000})
    """After this, counted from the boundary, no further request is sent for it."""
    attempts_max: int = field(default=0, metadata={"min": 0, "max": 100})
    """At most so many tries of a meter at one boundary; 0: as many as the window has time for."""
    backoff_ms: int = field(default=100, metadata={"min": 1, "max": BACKOFF_MS_MAX})
    """Pause before the second try; it doubles with each further one, up to BACKOFF_MS_MAX, with jitter."""
    late_after_ms: int = field(default=5000, metadata={"min": 0})
    """A reading taken later than this after the boundary is flagged late."""
    observe_ms: int = field(default=5000, metadata={"min": 0, "max": 900_000})
    """So long at most the signing of a boundary's readings waits for observations."""


@dataclass(frozen=True, slots=True)
class Meter:
    """A meter ready to be read: its row of the table, what reads it, and what is plausible of its billing registers."""

    config: MeterConfig
    reader: MeterReader
    limits: tuple[RegisterLimits, ...]


P = TypeVar("P", bound=Profile)
Point_co = TypeVar("Point_co", bound=Point, covariant=True)


class ProfileOf(Protocol[Point_co]):
    """A profile, as far as its points are asked for."""

    @property
    def billing(self) -> tuple[str, ...]:
        """The points that are billed."""
        ...

    def point(self, obis: str) -> Point_co:
        """The point ``obis``."""
        ...


class MeterBus(Protocol):
    """A line, as far as its meters do not speak for it."""

    async def begin(self, boundary_s: int, boundary_ms: float) -> None:
        """A boundary (UTC, and on the monotonic clock) begins: tell all meters at once what they have to do. Raises nothing."""
        ...

    async def close(self) -> None:
        """Close its connection, if any."""
        ...


@dataclass(slots=True)
class MeterLine:
    """A line with its meters in the order in which they are read, and how often each of them has failed."""

    line: MeterBus
    meters: tuple[Meter, ...]
    failures: Failures = field(default_factory=Failures)


def build_lines(
    lines: Sequence[LineConfig], meters: Sequence[MeterConfig], profiles: Mapping[str, Profile]
) -> tuple[MeterLine, ...]:
    """Join the tables of lines and meters with the loaded ``profiles`` (by id). Opens nothing.

    Raises UsageError for a meter on an unknown line, a profile that is not loaded or of another protocol, a number, name or
    address given twice.
    """
    check_unique("lines: line", [config.line for config in lines])
    check_unique("lines: serial", [config.place for config in lines if config.serial is not None])
    check_unique("meters: number", [str(config.number) for config in meters])
    check_unique("meters: meter", [config.meter for config in meters])
    check_unique("meters: line and place", [f"{config.line}/{config.place}" for config in meters])
    known = {config.line: line_of(config) for config in lines}
    by_line: dict[str, list[Meter]] = {config.line: [] for config in lines}
    plans: dict[str, ReadPlan] = {}
    for config in meters:
        if config.line not in known:
            raise UsageError(f"meters: meter {config.meter!r} is on line {config.line!r}; lines are {', '.join(known)}")
        if config.profile not in profiles:
            raise UsageError(f"meters: meter {config.meter!r} has profile {config.profile!r}, which is not loaded")
        line, profile = known[config.line], profiles[config.profile]
        timeout_ms = config.timeout_ms or line.config.timeout_ms
        reader: MeterReader
        limits: tuple[RegisterLimits, ...]
        if isinstance(line, Dlt645Line):
            dlt645_profile = _of_kind(config, profile, Dlt645Profile)
            line.freezes |= "broadcast" in dlt645_profile.dlt645.freeze
            reader, limits = dlt645_meter(line, config, dlt645_profile, timeout_ms), limits_of(config, dlt645_profile)
        else:
            modbus_profile = _of_kind(config, profile, ModbusProfile)
            plan = plans.setdefault(profile.id, plan_reads(modbus_profile))
            reader = modbus_meter(line, config, modbus_profile, plan, timeout_ms, line.config.meters_ahead_s)
            limits = limits_of(config, modbus_profile)
        by_line[config.line].append(Meter(config, reader, limits))
    places = {config.line: config.place for config in lines}  # two lines to one place are one bus
    check_unique("meters: place of the line, and on it", [f"{places[config.line]}/{config.place}" for config in meters])
    return tuple(MeterLine(line, tuple(by_line[name])) for name, line in known.items())


def line_of(config: LineConfig) -> ModbusLine | Dlt645Line:
    """The line of a row of the table, not opened yet. UsageError for a certificate or key that cannot be used."""
    return Dlt645Line(config) if config.framer == "dlt645" else ModbusLine(config)


def _of_kind(config: MeterConfig, profile: Profile, kind: type[P]) -> P:
    if not isinstance(profile, kind):
        raise UsageError(
            f"meters: meter {config.meter!r}: profile {profile.id!r} is not one for the framer of line {config.line!r}"
        )
    if not profile.billing:
        raise UsageError(f"meters: meter {config.meter!r}: profile {profile.id!r} informs only, it has nothing to bill")
    return profile


async def close_lines(lines: Sequence[MeterLine]) -> None:
    """Close the connections of all ``lines``."""
    for line in lines:
        await line.line.close()


def modbus_meter(
    line: WordReader,
    config: MeterConfig,
    profile: ModbusProfile,
    plan: ReadPlan,
    timeout_ms: int = 0,
    clock_zone_s: int = 0,
) -> ModbusMeter:
    """The reader of a row of the table; UsageError for an observed point that its profile lacks, or that is billed.

    ``timeout_ms``: time for an answer; 0: as the profile says; ``clock_zone_s``: see ``ModbusMeter``.
    """
    if config.unit_id is None:
        raise UsageError(f"meters: meter {config.meter!r} is on a Modbus line; give unit_id, not address")
    points = _observed_points(config, profile)
    return ModbusMeter(
        line,
        config.meter,
        config.unit_id,
        profile,
        plan,
        plan_telemetry(points, profile, plan),
        config.observe,
        timeout_ms=timeout_ms,
        clock_zone_s=clock_zone_s,
    )


def dlt645_meter(line: Dlt645Line, config: MeterConfig, profile: Dlt645Profile, timeout_ms: int = 0) -> Dlt645Meter:
    """As ``modbus_meter``, on a DL/T 645 line."""
    if config.address is None:
        raise UsageError(f"meters: meter {config.meter!r} is on a DL/T 645 line; give address, not unit_id")
    points = _observed_points(config, profile)
    return Dlt645Meter(line, config.meter, config.address, profile, points, timeout_ms=timeout_ms)


def _observed_points(config: MeterConfig, profile: ProfileOf[Point_co]) -> list[Point_co]:
    where = f"meters: meter {config.meter!r}"
    check_unique(f"{where}: observe", config.observe)
    try:
        points = [profile.point(obis) for obis in config.observe]
    except UsageError as error:
        raise UsageError(f"{where}: observe: {error}") from None
    for point in points:
        if point.obis in profile.billing:
            raise UsageError(f"{where}: observe: {point.obis} is billed, it is read anyway; leave it out")
    return points


def limits_of(config: MeterConfig, profile: ProfileOf[Point]) -> tuple[RegisterLimits, ...]:
    """What is plausible of the billing registers of a meter of ``profile`` at its place."""
    return tuple(
        RegisterLimits.of(profile.point(obis), config.limit_wh) for obis in BILLING_OBIS if obis in profile.billing
    )


def check_unique(what: str, values: Sequence[str]) -> None:
    """UsageError when one of ``values`` is given twice; ``what`` says of which table and key."""
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise UsageError(f"{what} {value!r} is given twice; each stands once")
        seen.add(value)
