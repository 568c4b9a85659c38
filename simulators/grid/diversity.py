"""From SimBench's few household shapes to homes that differ: time shift, day order, noise, PV and battery, all from one seed.

SimBench's 113 households are 12 distinct series (``docs/simulated-grid.md``). Here each home reads its shape with its own shift and its own order of
days within (season, kind of day), times a noise of mean 1, so that its yearly energy stays roughly SimBench's. Energies come out
in whole Wh. Only +, -, x, / and rounding are used: the same numbers on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulators.grid.appliances import heat_pump_loads, vehicle_loads
from simulators.grid.batteries import BatteryOperation, battery_hours, operate_batteries, strategies_of
from simulators.grid.feeder import SHAPE_SLOTS, Feeder
from simulators.grid.local_time import SLOTS_PER_DAY, SLOTS_PER_HOUR
from simulators.grid.weather import cloud_cover, level_w_per_m2, roof_shares, temperature_c
from simulators.scenarios.home_devices import NO_BATTERIES, NO_PV, Pv
from simulators.scenarios.keys import GROUP
from simulators.scenarios.schema import CLEAR_SKY, Households, Scenario, Weather

SUMMER = (135, 258)  # wall-clock day of a leap year: 15 May to 14 September
WINTER = (305, 80)  # 1 November to 20 March


class Stream(IntEnum):
    """One random stream per purpose, so that a new draw in one place moves nothing elsewhere."""

    OWNERS = 0
    HOME = 1
    LOAD_SLOT = 2
    LOAD_DAY = 3
    PV_UNIT = 4
    PV_SLOT = 5
    BATTERY = 6
    REGISTERS = 7
    CLOUDS = 8
    TEMPERATURE = 9
    VEHICLE_OWNERS = 10
    VEHICLES = 11
    HEAT_PUMP_OWNERS = 12
    HEAT_PUMPS = 13
    ROOFS = 14
    FRAUD = 15
    METER_ERRORS = 16
    FRAUD_PLACES = 17
    BATTERY_STRATEGIES = 18
    MQTT_OWNERS = 19
    METER_CLOCKS = 20
    EVENT_CHANCES = 21


class Slots(NamedTuple):
    """Slots of a run: when each begins, UTC seconds; its position in the wall-clock year of the shapes; whether there is power in it."""

    start_s: NDArray[np.int64]
    when: NDArray[np.int64]
    has_power: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class HomeEnergy:
    """Energy at the homes' meters per slot, whole Wh: import and export, never both positive, and the reactive power in var."""

    import_wh: NDArray[np.int64]  # [slots, homes]
    export_wh: NDArray[np.int64]  # [slots, homes]
    q_var: NDArray[np.float64]  # [slots, homes]
    has_pv: NDArray[np.bool_]  # [homes]
    strategies: NDArray[np.int64]  # [homes] of their batteries (``batteries.STRATEGIES``)
    battery: BatteryOperation


def generator(*key: int) -> np.random.Generator:
    """The random stream of ``key`` (non-negative integers): PCG64, the same on every machine."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(list(key))))


def day_orders(rng: np.random.Generator, homes: int) -> NDArray[np.int64]:
    """[homes, 366] permutations of the days of 2016 that keep season and kind of day (workday, Saturday, Sunday)."""
    day = np.arange(366)
    weekday = (day + 4) % 7  # 1 January 2016 was a Friday; 0 = Monday
    kind = np.where(weekday < 5, 0, weekday - 4)
    is_summer = (day >= SUMMER[0]) & (day < SUMMER[1])
    is_winter = (day >= WINTER[0]) | (day < WINTER[1])
    group = kind + 3 * np.where(is_summer, 0, np.where(is_winter, 1, 2))
    orders = np.tile(day, (homes, 1))
    for value in range(int(group.max()) + 1):
        members = np.flatnonzero(group == value)
        orders[:, members] = rng.permuted(np.tile(members, (homes, 1)), axis=1)
    return orders


def home_loads(
    feeder: Feeder, key: tuple[int, ...], when: NDArray[np.int64], spec: Households
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Consumption of the homes before PV: energy in whole Wh [slots, homes] and reactive power in var [slots, homes].

    ``when`` [slots]: position of each slot in the wall-clock year of the shapes. ``key`` names the random stream.
    """
    homes = feeder.households
    fixed = generator(*key, Stream.HOME)
    orders = day_orders(fixed, homes)
    shifts = fixed.integers(-spec.shift_slots_max, spec.shift_slots_max, size=homes, endpoint=True)
    days = orders[:, when // SLOTS_PER_DAY].T
    at = (days * SLOTS_PER_DAY + (when % SLOTS_PER_DAY)[:, None] + shifts) % SHAPE_SLOTS
    factor = _noise(generator(*key, Stream.LOAD_SLOT), (len(when), homes), spec.slot_noise_percent / 100) * _day_noise(
        generator(*key, Stream.LOAD_DAY), len(when), homes, spec.day_noise_percent / 100
    )
    profile = feeder.load_profile[:homes]
    p_w = feeder.load_p_shapes[profile, at] * (feeder.load_p_scale[profile] * feeder.load_p_w[:homes]) * factor
    q_var = feeder.load_q_shapes[profile, at] * (feeder.load_q_scale[profile] * feeder.load_q_var[:homes]) * factor
    return np.maximum(np.rint(p_w / SLOTS_PER_HOUR), 0).astype(np.int64), q_var


def _noise(rng: np.random.Generator, shape: tuple[int, int], width: float) -> NDArray[np.float64]:
    """Uniform factors of mean 1 within 1 -+ width."""
    drawn = rng.integers(0, 1 << 16, size=shape, endpoint=True)
    return 1.0 + width * (drawn - (1 << 15)) / (1 << 15)


def _day_noise(rng: np.random.Generator, slots: int, homes: int, width: float) -> NDArray[np.float64]:
    days = -(-slots // SLOTS_PER_DAY)
    return np.repeat(_noise(rng, (days, homes), width), SLOTS_PER_DAY, axis=0)[:slots]


def pv_and_battery_homes(
    rng: np.random.Generator, homes: int, pv_of_ten: Sequence[int], batteries_of_ten: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which homes have PV (so many of each ten, in turn) and, of those, a battery (so many of each ten).

    Drawn ten by ten, so that also a few trading homes hold sellers and buyers.
    """
    has_pv, has_battery = np.zeros(homes, dtype=np.bool_), np.zeros(homes, dtype=np.bool_)
    for number, start in enumerate(range(0, homes, GROUP)):
        drawn = start + rng.permutation(GROUP)
        owners = drawn[: pv_of_ten[number % len(pv_of_ten)]]
        has_pv[owners[owners < homes]] = True
        battery = owners[:batteries_of_ten]
        has_battery[battery[battery < homes]] = True
    return has_pv, has_battery


def owners_of_ten(rng: np.random.Generator, homes: int, homes_of_ten: Sequence[int]) -> NDArray[np.bool_]:
    """Which homes have a device: so many of each ten, in turn, drawn ten by ten."""
    owners, _ = pv_and_battery_homes(rng, homes, homes_of_ten, 0)
    return owners


def pv_yield(
    feeder: Feeder, key: tuple[int, ...], slots: Slots, has_pv: NDArray[np.bool_], pv: Pv, weather: Weather
) -> NDArray[np.int64]:
    """PV energy of each home in whole Wh [slots, homes]; 0 where a home has none."""
    homes, when = len(has_pv), slots.when
    fixed = generator(*key, Stream.PV_UNIT)
    low, high = pv.peak_w_min // 100, pv.peak_w_max // 100
    peak_w = fixed.integers(low, high, size=homes, endpoint=True) * 100.0 * has_pv
    if weather.model == CLEAR_SKY:
        shape = _roof_yield(key, slots, homes, pv, weather) * peak_w
    else:
        profile = fixed.integers(0, len(feeder.pv_scale), size=homes)
        at = (when + weather.days_ahead * SLOTS_PER_DAY) % SHAPE_SLOTS
        shape = feeder.pv_shapes[profile[None, :], at[:, None]] * (feeder.pv_scale[profile] * peak_w)
    noise = _noise(generator(*key, Stream.PV_SLOT), (len(when), homes), pv.noise_percent / 100)
    return np.maximum(np.rint(shape * noise / SLOTS_PER_HOUR), 0).astype(np.int64)


def _roof_yield(key: tuple[int, ...], slots: Slots, homes: int, pv: Pv, weather: Weather) -> NDArray[np.float64]:
    """What roofs give, as a share of their peak power [slots, homes]; no more than the peak, at which their inverters stop."""
    spread, equator_side = pv.azimuth_spread_degrees, 180 if weather.latitude_milli_degrees >= 0 else 0
    azimuths = equator_side + generator(*key, Stream.ROOFS).integers(-spread, spread, size=homes, endpoint=True)
    cover = cloud_cover(generator(*key, Stream.CLOUDS), len(slots.start_s), weather)
    sun, level = level_w_per_m2(slots.start_s, cover, weather)
    shares = roof_shares(sun, level, pv.tilt_degrees, azimuths)
    return np.minimum(shares * (pv.yield_percent / 100), 1.0)


def home_energy(feeder: Feeder, key: tuple[int, ...], slots: Slots, scenario: Scenario) -> HomeEnergy:
    """Meter energies of all homes of a feeder in ``slots``; a pure function of its arguments."""
    load_wh, q_var = home_loads(feeder, key, slots.when, scenario.households)
    power = slots.has_power.astype(np.int64)[:, None]
    load_wh, q_var = (load_wh + _appliance_loads(feeder.households, key, slots, scenario)) * power, q_var * power
    pv, batteries = scenario.pv or NO_PV, scenario.batteries or NO_BATTERIES
    owners = generator(*key, Stream.OWNERS)
    has_pv, has_battery = pv_and_battery_homes(owners, feeder.households, pv.homes_of_ten, batteries.homes_of_ten)
    net_wh = load_wh - pv_yield(feeder, key, slots, has_pv, pv, scenario.weather) * power
    strategies = strategies_of(generator(*key, Stream.BATTERY_STRATEGIES), has_battery, batteries)
    hours = battery_hours(slots.when, slots.has_power, batteries)
    battery = operate_batteries(generator(*key, Stream.BATTERY), hours, net_wh, strategies, batteries)
    net_wh = net_wh + battery.flow_wh
    return HomeEnergy(
        import_wh=np.maximum(net_wh, 0),
        export_wh=np.maximum(-net_wh, 0),
        q_var=q_var,
        has_pv=has_pv,
        strategies=strategies,
        battery=battery,
    )


def _appliance_loads(homes: int, key: tuple[int, ...], slots: Slots, scenario: Scenario) -> NDArray[np.int64]:
    """What cars and heat pumps take, whole Wh [slots, homes]."""
    local_slot = slots.when % SLOTS_PER_DAY
    taken = np.zeros((len(slots.when), homes), dtype=np.int64)
    if scenario.vehicles is not None:
        owners = owners_of_ten(generator(*key, Stream.VEHICLE_OWNERS), homes, scenario.vehicles.homes_of_ten)
        taken += vehicle_loads(generator(*key, Stream.VEHICLES), local_slot, owners, scenario.vehicles)
    if scenario.heat_pumps is not None:
        owners = owners_of_ten(generator(*key, Stream.HEAT_PUMP_OWNERS), homes, scenario.heat_pumps.homes_of_ten)
        outside_c = temperature_c(generator(*key, Stream.TEMPERATURE), local_slot, scenario.weather)
        taken += heat_pump_loads(generator(*key, Stream.HEAT_PUMPS), outside_c, owners, scenario.heat_pumps)
    return taken
