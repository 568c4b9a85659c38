"""The meters of an area: which point has one, what its register can show, and which firmware it has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from firmware_profiles import Dlt645Profile, ModbusProfile, Profile, load_profile
from firmware_profiles.schema import BILLING_OBIS
from gridcore.errors import UsageError
from simulators.grid.diversity import Stream, generator
from simulators.grid.feeder import Feeder
from simulators.grid.spans import spans
from simulators.scenarios.keys import GROUP, PPM
from simulators.scenarios.meter_kinds import (
    DLT645,
    MODBUS_RTU,
    MODBUS_TCP,
    USUAL_WIRING,
    MeterKind,
    Wiring,
    kinds_of_ten,
)
from simulators.scenarios.schema import CLOCK_DRIFT, Event

CLOCK_OFF_MS: Final = 60_000
FRAMINGS: Final = {MODBUS_TCP: "tcp", MODBUS_RTU: "rtu"}
"""What a firmware profile calls them."""
LOAD_PROFILE_ID = "acrel_adl400"
LOAD_RESOLUTION_WH = 10  # secondary side, times the CT ratio
LOAD_REGISTER_MODULUS = 2**32
HOUSEHOLD_LIMIT_WH = 11_000  # 3 x 63 A at 230 V for a quarter of an hour
LIMIT_WH_PER_RATIO = 1_000  # 3 x 5 A x ratio at 230 V for a quarter of an hour is 862 Wh x ratio
FEEDER_RATIO = 120
LOAD_RATIOS = ((5_000, 10), (15_000, 20))  # up to this rated power in W: this CT ratio
LOAD_RATIO_LARGEST = 40
START_HOUSEHOLD_WH = (2_000_000, 30_000_000)  # stays below 40,000 kWh, where a float32 of kWh steps by 3.9 Wh
START_EXPORT_WH = (500_000, 25_000_000)
START_LOAD_WH = (5_000_000, 400_000_000)
START_FEEDER_IMPORT_WH = (500_000_000, 5_000_000_000)
START_FEEDER_EXPORT_WH = (50_000_000, 900_000_000)


class ClockError(NamedTuple):
    """How far the clock of a meter is ahead when a run begins, and what it gains; negative where it is behind, and loses."""

    ahead_s: int
    drift_ppm: int

    def ahead_ms(self, after_s: NDArray[np.int64]) -> NDArray[np.int64]:
        """By how much it is ahead so many seconds after the begin, in whole ms."""
        return self.ahead_s * 1000 + after_s * 1000 * self.drift_ppm // PPM

    def is_off(self, after_s: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether what it freezes at a boundary, so many seconds after the begin, bears the stamp of another minute.

        A stamp holds minutes: of a clock that is up to a minute behind it is that of the minute before, which an agent still takes.
        """
        ahead_ms = self.ahead_ms(after_s)
        return (ahead_ms < -CLOCK_OFF_MS) | (ahead_ms >= CLOCK_OFF_MS)


RIGHT_CLOCK: Final = ClockError(0, 0)


@dataclass(frozen=True, slots=True)
class MeterSpec:
    """One billing or feeder meter as ``meters.csv`` lists it; every energy in primary Wh."""

    meter: str  # "M-" and the point's code: M-H001, M-L001, M-F1
    area: str
    party: str  # "" for a feeder
    role: str  # household | load | feeder
    ratio: int  # current transformer; 1 = none
    resolution_wh: int  # step of the shown register
    modulus_wh: int  # the register starts again at 0 here; 0 = never (float register)
    limit_wh: int  # largest plausible energy of one slot, each direction
    start_import_wh: int  # true cumulative at the first boundary
    start_export_wh: int
    profile: str  # firmware profile id
    wiring: Wiring = USUAL_WIRING  # the line that it hangs on
    clock: ClockError = RIGHT_CLOCK


@cache
def home_profile(kind: MeterKind) -> Profile:
    """The firmware profile of a home's meter. UsageError where there is none, or it cannot be such a meter's."""
    name, speaks = kind.profile_id, kind.speaks
    is_dlt645 = speaks == DLT645
    profile = load_profile(name, kind=Dlt645Profile if is_dlt645 else ModbusProfile)
    if isinstance(profile, ModbusProfile) and FRAMINGS[speaks] not in profile.modbus.framings:
        raise UsageError(
            f"profile {name!r} does not speak {speaks}; its framings are {', '.join(profile.modbus.framings)}"
        )
    if set(profile.billing) != set(BILLING_OBIS):
        raise UsageError(f"profile {name!r} does not bill what is taken and what is given; choose one that does")
    return profile


def check_meters(kinds: Sequence[MeterKind]) -> None:
    """UsageError naming the table of meters whose firmware profile cannot be theirs."""
    for number, kind in enumerate(kinds):
        try:
            home_profile(kind)
        except UsageError as error:
            raise UsageError(f"meters[{number}]: {error}") from None


class _HomeMeter(NamedTuple):
    """What all homes of a kind have alike: step and modulus of their registers in Wh, and one record of their line."""

    kind: MeterKind
    resolution_wh: int
    modulus_wh: int
    wiring: Wiring


@cache
def _home_meters(kinds: tuple[MeterKind, ...]) -> tuple[_HomeMeter, ...]:
    """Of each ten homes which has which."""
    made = {}
    for kind in kinds:
        profile = home_profile(kind)
        made[kind] = _HomeMeter(kind, profile.resolution_wh, profile.billing_points[0].modulus_wh, kind.wiring)
    return tuple(made[kind] for kind in kinds_of_ten(kinds))


def meters_of_area(
    feeder: Feeder, key: tuple[int, ...], number: int, has_pv: NDArray[np.bool_], kinds: Sequence[MeterKind]
) -> tuple[MeterSpec, ...]:
    """The meters of the area ``number``: homes, other loads, feeder. key: names the random streams; kinds: of homes, whose firmware profiles are there (``check_meters``)."""
    of_ten, rng = _home_meters(tuple(kinds)), generator(*key, Stream.REGISTERS)
    area, homes, others = area_name(number), feeder.households, feeder.loads - feeder.households
    home_import = rng.integers(*START_HOUSEHOLD_WH, size=homes)
    home_export = rng.integers(*START_EXPORT_WH, size=homes) * has_pv
    load_import = rng.integers(*START_LOAD_WH, size=others)
    feeder_import, feeder_export = rng.integers(*START_FEEDER_IMPORT_WH), rng.integers(*START_FEEDER_EXPORT_WH)
    clocks = _clocks(generator(*key, Stream.METER_CLOCKS), [of_ten[home % GROUP].kind for home in range(homes)])
    specs = []
    for home in range(homes):
        code = household_code(number * homes + home)
        start = (int(home_import[home]), int(home_export[home]))
        own = of_ten[home % GROUP]
        specs.append(
            MeterSpec(
                f"M-{code}",
                area,
                code,
                "household",
                1,
                own.resolution_wh,
                own.modulus_wh,
                HOUSEHOLD_LIMIT_WH,
                *start,
                own.kind.profile_id,
                own.wiring,
                clocks[home],
            )
        )
    for load in range(others):
        code = f"L{number * others + load + 1:03d}"
        specs.append(
            _ct_meter(code, area, code, "load", _load_ratio(feeder.load_p_w[homes + load]), (int(load_import[load]), 0))
        )
    start = (int(feeder_import), int(feeder_export))
    specs.append(_ct_meter(f"F{number + 1}", area, "", "feeder", FEEDER_RATIO, start))
    return tuple(specs)


def _clocks(rng: np.random.Generator, kinds: Sequence[MeterKind]) -> list[ClockError]:
    """How wrong the clock of each meter is."""
    if not any(kind.is_clock_wrong for kind in kinds):
        return [RIGHT_CLOCK] * len(kinds)
    ahead_s = rng.integers(
        [kind.clock_ahead_s_min for kind in kinds], [kind.clock_ahead_s_max for kind in kinds], endpoint=True
    )
    drift_ppm = rng.integers(
        [kind.clock_drift_ppm_min for kind in kinds], [kind.clock_drift_ppm_max for kind in kinds], endpoint=True
    )
    return [ClockError(*drawn) for drawn in zip(ahead_s.tolist(), drift_ppm.tolist(), strict=True)]


def clock_labels(meters: Sequence[MeterSpec], boundary_s: NDArray[np.int64]) -> Iterator[Event]:
    """When clocks of meters are so far off that what they froze is not taken. A reading at the first boundary ends no slot, and has no label."""
    for meter in meters:
        if meter.clock != RIGHT_CLOCK:
            is_off = meter.clock.is_off(boundary_s - boundary_s[0]) & (boundary_s > boundary_s[0])
            for first, end in spans(is_off):
                label = f"clock of {meter.meter} is off"
                yield Event(label=label, kind=CLOCK_DRIFT, target=meter.meter, from_slot=first, until_slot=end)


def _ct_meter(code: str, area: str, party: str, role: str, ratio: int, start: tuple[int, int]) -> MeterSpec:
    resolution_wh = LOAD_RESOLUTION_WH * ratio
    modulus_wh = LOAD_REGISTER_MODULUS * resolution_wh
    limit_wh = LIMIT_WH_PER_RATIO * ratio
    return MeterSpec(
        f"M-{code}", area, party, role, ratio, resolution_wh, modulus_wh, limit_wh, *start, LOAD_PROFILE_ID
    )


def _load_ratio(rated_w: float) -> int:
    return next((ratio for bound_w, ratio in LOAD_RATIOS if rated_w <= bound_w), LOAD_RATIO_LARGEST)


def area_name(number: int) -> str:
    """The area with this number, from 0."""
    return f"A{number + 1}"


def household_code(number: int) -> str:
    """The party of the home with this number, from 0."""
    return f"H{number + 1:03d}"
