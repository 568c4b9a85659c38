"""From SimBench's few household shapes to homes that differ: time shift, day order, noise, PV and battery, all from one seed.

SimBench's 113 households are 12 distinct series (``docs/simulated-grid.md``). Here each home reads its shape with its own shift and its own order of
days within (season, kind of day), times a noise of mean 1, so that its yearly energy stays roughly SimBench's. Energies come out
in whole Wh. Only +, -, x, / and rounding are used: the same numbers on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from simulators.grid.feeder import SHAPE_SLOTS, Feeder

SLOT_S = 900
SLOTS_PER_DAY = 96
SLOTS_PER_HOUR = 4
SHIFT_SLOTS_MAX = 6
DAY_NOISE = 0.20
SLOT_NOISE = 0.45
PV_GROUP = 10
PV_PER_GROUP = (4, 5)  # homes with PV in each ten, in turn: 45 %
BATTERIES_PER_GROUP = 1
PV_PEAK_W = (3_000, 6_000)
PV_NOISE = 0.06
# SimBench's 21 June 2016 is the darkest June day of its PV shapes (0.2 to 1.5 kWh per kWp; the mean is 2.2). PV reads the weather of the
# next day, for every home alike, so that the first simulated day has sun.
PV_DAYS_AHEAD = 1
BATTERY_CAPACITY_WH = (6_000, 10_000)
BATTERY_POWER_WH = 625  # per slot: 2.5 kW
BATTERY_RESERVE_PERCENT = 20
BATTERY_CHARGE_PERCENT = 94  # of the energy taken in that can be given back
EVENING_SALE_WH = (100, 250)  # per slot, on top of the home's own need
EVENING_SALE_HOURS = (18, 6)  # from, until (local wall clock)
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


@dataclass(frozen=True, eq=False)
class BatteryOperation:
    """What the batteries of some homes do, in whole Wh; a home without one has capacity, reserve, charge and flow 0.

    ``charge_wh[t + 1] - charge_wh[t]`` is the flow where energy is given, BATTERY_CHARGE_PERCENT of it (floored) where it is taken.
    """

    flow_wh: NDArray[np.int64]  # [slots, homes] taken (positive) or given (negative)
    charge_wh: NDArray[np.int64]  # [slots + 1, homes] state of charge at the slot boundaries: reserve_wh .. capacity_wh
    capacity_wh: NDArray[np.int64]  # [homes]
    reserve_wh: NDArray[np.int64]  # [homes] below this nothing is given


@dataclass(frozen=True, eq=False)
class HomeEnergy:
    """Energy at the homes' meters per slot, whole Wh: import and export, never both positive, and the reactive power in var."""

    import_wh: NDArray[np.int64]  # [slots, homes]
    export_wh: NDArray[np.int64]  # [slots, homes]
    q_var: NDArray[np.float64]  # [slots, homes]
    has_pv: NDArray[np.bool_]  # [homes]
    has_battery: NDArray[np.bool_]  # [homes]
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
    feeder: Feeder, key: tuple[int, ...], when: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Consumption of the homes before PV: energy in whole Wh [slots, homes] and reactive power in var [slots, homes].

    ``when`` [slots]: position of each slot in the wall-clock year of the shapes. ``key`` names the random stream.
    """
    homes = feeder.households
    fixed = generator(*key, Stream.HOME)
    orders = day_orders(fixed, homes)
    shifts = fixed.integers(-SHIFT_SLOTS_MAX, SHIFT_SLOTS_MAX, size=homes, endpoint=True)
    days = orders[:, when // SLOTS_PER_DAY].T
    at = (days * SLOTS_PER_DAY + (when % SLOTS_PER_DAY)[:, None] + shifts) % SHAPE_SLOTS
    factor = _noise(generator(*key, Stream.LOAD_SLOT), (len(when), homes), SLOT_NOISE) * _day_noise(
        generator(*key, Stream.LOAD_DAY), len(when), homes
    )
    profile = feeder.load_profile[:homes]
    p_w = feeder.load_p_shapes[profile, at] * (feeder.load_p_scale[profile] * feeder.load_p_w[:homes]) * factor
    q_var = feeder.load_q_shapes[profile, at] * (feeder.load_q_scale[profile] * feeder.load_q_var[:homes]) * factor
    return np.maximum(np.rint(p_w / SLOTS_PER_HOUR), 0).astype(np.int64), q_var


def _noise(rng: np.random.Generator, shape: tuple[int, int], width: float) -> NDArray[np.float64]:
    """Uniform factors of mean 1 within 1 -+ width."""
    drawn = rng.integers(0, 1 << 16, size=shape, endpoint=True)
    return 1.0 + width * (drawn - (1 << 15)) / (1 << 15)


def _day_noise(rng: np.random.Generator, slots: int, homes: int) -> NDArray[np.float64]:
    days = -(-slots // SLOTS_PER_DAY)
    return np.repeat(_noise(rng, (days, homes), DAY_NOISE), SLOTS_PER_DAY, axis=0)[:slots]


def pv_and_battery_homes(rng: np.random.Generator, homes: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which homes have PV (4 and 5 of each ten in turn) and, of those, a battery (one of each ten).

    Drawn ten by ten, so that also a few trading homes hold sellers and buyers.
    """
    has_pv, has_battery = np.zeros(homes, dtype=np.bool_), np.zeros(homes, dtype=np.bool_)
    for number, start in enumerate(range(0, homes, PV_GROUP)):
        drawn = start + rng.permutation(PV_GROUP)
        owners = drawn[: PV_PER_GROUP[number % len(PV_PER_GROUP)]]
        has_pv[owners[owners < homes]] = True
        battery = owners[:BATTERIES_PER_GROUP]
        has_battery[battery[battery < homes]] = True
    return has_pv, has_battery


def pv_yield(
    feeder: Feeder, key: tuple[int, ...], when: NDArray[np.int64], has_pv: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """PV energy of each home in whole Wh [slots, homes]; 0 where a home has none."""
    homes = len(has_pv)
    fixed = generator(*key, Stream.PV_UNIT)
    peak_w = fixed.integers(PV_PEAK_W[0] // 100, PV_PEAK_W[1] // 100, size=homes, endpoint=True) * 100.0 * has_pv
    profile = fixed.integers(0, len(feeder.pv_scale), size=homes)
    at = (when + PV_DAYS_AHEAD * SLOTS_PER_DAY) % SHAPE_SLOTS
    shape = feeder.pv_shapes[profile[None, :], at[:, None]] * (feeder.pv_scale[profile] * peak_w)
    yield_wh = np.rint(shape * _noise(generator(*key, Stream.PV_SLOT), (len(when), homes), PV_NOISE) / SLOTS_PER_HOUR)
    return np.maximum(yield_wh, 0).astype(np.int64)


def operate_batteries(
    rng: np.random.Generator, when: NDArray[np.int64], net_wh: NDArray[np.int64], has_battery: NDArray[np.bool_]
) -> BatteryOperation:
    """Run the batteries for the slots ``when`` against ``net_wh`` = load - PV in whole Wh [slots, homes].

    Greedy: surplus charges, own need discharges down to the reserve; by night each sells a little from what is left above it.
    """
    homes = len(has_battery)
    low, high = (bound // 100 for bound in BATTERY_CAPACITY_WH)
    capacity_wh = rng.integers(low, high, size=homes, endpoint=True) * 100 * has_battery
    sale_wh = rng.integers(*EVENING_SALE_WH, size=homes, endpoint=True)
    first_wh = capacity_wh * rng.integers(50, 90, size=homes, endpoint=True) // 100
    reserve_wh = capacity_wh * BATTERY_RESERVE_PERCENT // 100
    hour = when % SLOTS_PER_DAY // SLOTS_PER_HOUR
    is_sale_time = (hour >= EVENING_SALE_HOURS[0]) | (hour < EVENING_SALE_HOURS[1])
    flow_wh = np.zeros_like(net_wh)
    charges_wh = np.concatenate([first_wh[None, :], np.zeros_like(net_wh)])
    for slot, charge_wh in enumerate(charges_wh[:-1]):
        wanted = np.maximum(net_wh[slot], 0) + (sale_wh if is_sale_time[slot] else 0)
        give = np.where(net_wh[slot] >= 0, np.minimum(np.minimum(wanted, BATTERY_POWER_WH), charge_wh - reserve_wh), 0)
        give = np.maximum(give, 0)
        room = (capacity_wh - charge_wh) * 100 // BATTERY_CHARGE_PERCENT
        take = np.minimum(np.minimum(np.maximum(-net_wh[slot], 0), BATTERY_POWER_WH), room)
        charges_wh[slot + 1] = charge_wh + take * BATTERY_CHARGE_PERCENT // 100 - give
        flow_wh[slot] = take - give
    return BatteryOperation(flow_wh, charges_wh, capacity_wh, reserve_wh)


def home_energy(feeder: Feeder, key: tuple[int, ...], when: NDArray[np.int64]) -> HomeEnergy:
    """Meter energies of all homes of a feeder for the slots ``when``; a pure function of its arguments."""
    load_wh, q_var = home_loads(feeder, key, when)
    has_pv, has_battery = pv_and_battery_homes(generator(*key, Stream.OWNERS), feeder.households)
    net_wh = load_wh - pv_yield(feeder, key, when, has_pv)
    battery = operate_batteries(generator(*key, Stream.BATTERY), when, net_wh, has_battery)
    net_wh = net_wh + battery.flow_wh
    return HomeEnergy(
        import_wh=np.maximum(net_wh, 0),
        export_wh=np.maximum(-net_wh, 0),
        q_var=q_var,
        has_pv=has_pv,
        has_battery=has_battery,
        battery=battery,
    )
