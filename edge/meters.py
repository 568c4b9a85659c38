"""The agent's meter table: which meter hangs on which line, by which profile it is read, and how patient reading is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edge.blocks import Block, ReadPlan, plan_reads, plan_telemetry
from edge.drivers import UNIT_ID_MAX
from edge.drivers.modbus import LineConfig, ModbusLine
from firmware_profiles.schema import POINTS_MAX, Profile
from gridcore.errors import UsageError

NUMBER_MAX = 0xFFFF_FFFF
BACKOFF_MS_MAX = 300_000


@dataclass(frozen=True, slots=True)
class MeterConfig:
    """One row of the meter table. Field metadata as in ``gridcore.config``."""

    number: int = field(metadata={"min": 0, "max": NUMBER_MAX})
    """The meter's number in this gateway's batches."""
    meter: str = field(metadata={"min": 1, "max": 64})
    line: str = field(metadata={"min": 1, "max": 64})
    unit_id: int = field(metadata={"min": 1, "max": UNIT_ID_MAX})
    profile: str = field(metadata={"min": 1, "max": 64})
    limit_wh: int = field(metadata={"min": 1})
    """Largest plausible advance of a register in one slot, in Wh on the meter's (secondary) side."""
    observe: tuple[str, ...] = field(default=(), metadata={"max": POINTS_MAX})
    """Points of its profile (OBIS) that are read besides, for information."""


@dataclass(frozen=True, slots=True)
class SamplePolicy:
    """How patient sampling is. Times in milliseconds. Field metadata as in ``gridcore.config``."""

    slot_s: int = field(default=900, metadata={"min": 1})
    window_ms: int = field(default=60_000, metadata={"min": 1, "max": 900_000})
    """After this, counted from the boundary, no further request is sent for it."""
    attempts_max: int = field(default=6, metadata={"min": 1, "max": 100})
    backoff_ms: int = field(default=100, metadata={"min": 1, "max": BACKOFF_MS_MAX})
    """Pause before the second try; it doubles with each further one, up to BACKOFF_MS_MAX, with jitter."""
    late_after_ms: int = field(default=5000, metadata={"min": 0})
    """A reading taken later than this after the boundary is flagged late."""
    observe_ms: int = field(default=5000, metadata={"min": 0, "max": 900_000})
    """So long at most the signing of a boundary's readings waits for observations."""


@dataclass(frozen=True, slots=True)
class Meter:
    """A meter ready to be read: its row of the table, its profile, and the requests that read it."""

    config: MeterConfig
    profile: Profile
    plan: ReadPlan
    observed: tuple[Block, ...] = ()
    """The requests for what ``config.observe`` names; their points may be more than those."""


@dataclass(slots=True)
class MeterLine:
    """A line with its meters, and how many boundaries in a row each of them (by number) has failed."""

    line: ModbusLine
    meters: tuple[Meter, ...]
    failures: dict[int, int] = field(default_factory=dict)


def build_lines(
    lines: Sequence[LineConfig], meters: Sequence[MeterConfig], profiles: Mapping[str, Profile]
) -> tuple[MeterLine, ...]:
    """Join the tables of lines and meters with the loaded ``profiles`` (by id). Opens nothing.

    Raises UsageError for a meter on an unknown line, a profile that is not loaded, a number, name or address given twice.
    """
    check_unique("lines: line", [config.line for config in lines])
    check_unique("meters: number", [str(config.number) for config in meters])
    check_unique("meters: meter", [config.meter for config in meters])
    check_unique("meters: line and unit_id", [f"{config.line}/{config.unit_id}" for config in meters])
    by_line: dict[str, list[Meter]] = {config.line: [] for config in lines}
    plans = {profile_id: plan_reads(profile) for profile_id, profile in profiles.items()}
    for config in meters:
        if config.line not in by_line:
            raise UsageError(
                f"meters: meter {config.meter!r} is on line {config.line!r}; lines are {', '.join(by_line)}"
            )
        if config.profile not in profiles:
            raise UsageError(f"meters: meter {config.meter!r} has profile {config.profile!r}, which is not loaded")
        profile, plan = profiles[config.profile], plans[config.profile]
        by_line[config.line].append(Meter(config, profile, plan, _plan_observed(config, profile, plan)))
    places = {config.line: f"{config.host}:{config.port}" for config in lines}  # two lines to one place are one bus
    check_unique("meters: host:port/unit_id", [f"{places[config.line]}/{config.unit_id}" for config in meters])
    return tuple(MeterLine(ModbusLine(config), tuple(by_line[config.line])) for config in lines)


async def close_lines(lines: Sequence[MeterLine]) -> None:
    """Close the connections of all ``lines``."""
    for line in lines:
        await line.line.close()


def _plan_observed(config: MeterConfig, profile: Profile, plan: ReadPlan) -> tuple[Block, ...]:
    """The requests for a meter's observed points; UsageError for one that its profile lacks, or that is billed."""
    where = f"meters: meter {config.meter!r}"
    check_unique(f"{where}: observe", config.observe)
    try:
        points = [profile.point(obis) for obis in config.observe]
    except UsageError as error:
        raise UsageError(f"{where}: observe: {error}") from None
    for point in points:
        if point.is_billing:
            raise UsageError(f"{where}: observe: {point.obis} is billed, it is read anyway; leave it out")
    return plan_telemetry(points, profile, plan)


def check_unique(what: str, values: Sequence[str]) -> None:
    """UsageError when one of ``values`` is given twice; ``what`` says of which table and key."""
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise UsageError(f"{what} {value!r} is given twice; each stands once")
        seen.add(value)
