"""What batteries of homes do, slot by slot, in whole Wh: each by its strategy, never beyond power, capacity and reserve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulators.grid.local_time import SLOTS_PER_HOUR, is_between
from simulators.scenarios.home_devices import (
    NO_STRATEGY,
    PEAK_SHAVING,
    SELF_CONSUMPTION,
    TARIFF_ARBITRAGE,
    Batteries,
)
from simulators.scenarios.keys import GROUP

FIRST_CHARGE_PERCENT = (50, 90)  # of a battery's capacity, when the simulation begins
STRATEGIES: Final = (SELF_CONSUMPTION, TARIFF_ARBITRAGE, PEAK_SHAVING, NO_STRATEGY)
WITHOUT_BATTERY: Final = -1

Wh = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class BatteryOperation:
    """What the batteries of some homes do, in whole Wh; a home without one has capacity, reserve, charge and flow 0.

    ``charge_wh[t + 1] - charge_wh[t]`` is the flow where energy is given, ``charge_percent`` of it (floored) where it is taken.
    """

    flow_wh: Wh  # [slots, homes] taken (positive) or given (negative)
    charge_wh: Wh  # [slots + 1, homes] state of charge at the slot boundaries: reserve_wh .. capacity_wh
    capacity_wh: Wh  # [homes]
    reserve_wh: Wh  # [homes] below this nothing is given


class BatteryHours(NamedTuple):
    """bool[slots]: when batteries sell, when energy is cheap and when it is dear, and when there is power at all."""

    sells: NDArray[np.bool_]
    cheap: NDArray[np.bool_]
    dear: NDArray[np.bool_]
    has_power: NDArray[np.bool_]


class _Homes(NamedTuple):
    """Homes of one strategy: ``net_wh`` [slots, homes] = load - PV; what each sells in a slot, [homes]; most that flows, and is taken from the grid."""

    hours: BatteryHours
    net_wh: Wh
    sale_wh: Wh
    power_wh: int
    peak_wh: int


def battery_hours(when: NDArray[np.int64], has_power: NDArray[np.bool_], spec: Batteries) -> BatteryHours:
    """The hours of a scenario's batteries. when: int64[slots], positions in the wall-clock year of the shapes."""
    return BatteryHours(
        is_between(when, spec.sale_from_hour, spec.sale_until_hour) & has_power,
        is_between(when, spec.cheap_from_hour, spec.cheap_until_hour),
        is_between(when, spec.dear_from_hour, spec.dear_until_hour),
        has_power,
    )


def strategies_of(rng: np.random.Generator, has_battery: NDArray[np.bool_], spec: Batteries) -> NDArray[np.int64]:
    """int64[homes]: the place in STRATEGIES of each home's; WITHOUT_BATTERY. Drawn for ten batteries at a time."""
    with_battery = np.flatnonzero(has_battery)
    shares = [spec.strategies.get(name, 0) for name in STRATEGIES] if spec.strategies else [GROUP]
    pool = np.repeat(np.arange(len(shares)), shares)
    drawn = [rng.permutation(pool) for _ in range(0, len(with_battery), GROUP)]
    strategies = np.full(len(has_battery), WITHOUT_BATTERY, dtype=np.int64)
    strategies[with_battery] = np.concatenate([*drawn, pool[:0]])[: len(with_battery)]
    return strategies


def operate_batteries(
    rng: np.random.Generator,
    hours: BatteryHours,
    net_wh: Wh,
    strategies: NDArray[np.int64],
    spec: Batteries,
) -> BatteryOperation:
    """Run the batteries against ``net_wh`` = load - PV in whole Wh [slots, homes]. strategies: as ``strategies_of`` gives them."""
    homes = len(strategies)
    low, high = spec.capacity_wh_min // 100, spec.capacity_wh_max // 100
    capacity_wh = rng.integers(low, high, size=homes, endpoint=True) * 100 * (strategies != WITHOUT_BATTERY)
    low, high = spec.sale_w_min // SLOTS_PER_HOUR, spec.sale_w_max // SLOTS_PER_HOUR
    sale_wh = rng.integers(low, high, size=homes, endpoint=True)
    first_wh = capacity_wh * rng.integers(*FIRST_CHARGE_PERCENT, size=homes, endpoint=True) // 100
    reserve_wh = capacity_wh * spec.reserve_percent // 100
    power_wh, peak_wh = spec.power_w // SLOTS_PER_HOUR, spec.peak_w // SLOTS_PER_HOUR
    flow_wh = np.zeros_like(net_wh)
    charges_wh = np.repeat(first_wh[None, :], len(net_wh) + 1, axis=0)
    for number, strategy in enumerate(STRATEGIES):
        own = np.flatnonzero(strategies == number)
        if not len(own):
            continue
        group, law = _Homes(hours, net_wh[:, own], sale_wh[own], power_wh, peak_wh), _LAWS[strategy]
        charge_wh = first_wh[own]
        for slot in range(len(net_wh)):
            wish = law(group, slot) * hours.has_power[slot]
            room = (capacity_wh[own] - charge_wh) * 100 // spec.charge_percent
            take = np.clip(wish, 0, np.minimum(power_wh, room))
            give = np.clip(-wish, 0, np.minimum(power_wh, charge_wh - reserve_wh[own]))
            charge_wh = charge_wh + take * spec.charge_percent // 100 - give
            charges_wh[slot + 1, own], flow_wh[slot, own] = charge_wh, take - give
    return BatteryOperation(flow_wh, charges_wh, capacity_wh, reserve_wh)


def _self_consumption(homes: _Homes, slot: int) -> Wh:
    """Surplus charges, own need discharges; at hours of sale each gives a little besides."""
    net_wh = homes.net_wh[slot]
    wish_wh: Wh = -net_wh - np.where(net_wh >= 0, homes.sale_wh * homes.hours.sells[slot], 0)
    return wish_wh


def _tariff_arbitrage(homes: _Homes, slot: int) -> Wh:
    """From the grid at cheap hours, for the home's need at dear ones; between them surplus alone is taken, and nothing given."""
    surplus_wh: Wh = -homes.net_wh[slot]
    if homes.hours.cheap[slot]:
        return np.full_like(surplus_wh, homes.power_wh)
    return surplus_wh if homes.hours.dear[slot] else np.maximum(surplus_wh, 0)


def _peak_shaving(homes: _Homes, slot: int) -> Wh:
    """What a home takes beyond its peak comes out of the battery; below the peak it is filled again."""
    spare_wh: Wh = homes.peak_wh - homes.net_wh[slot]
    return spare_wh


def _nothing(homes: _Homes, slot: int) -> Wh:
    """It stays as it is."""
    return np.zeros_like(homes.net_wh[slot])


_LAWS: Final[dict[str, Callable[[_Homes, int], Wh]]] = {
    SELF_CONSUMPTION: _self_consumption,
    TARIFF_ARBITRAGE: _tariff_arbitrage,
    PEAK_SHAVING: _peak_shaving,
    NO_STRATEGY: _nothing,
}
"""By strategy what homes would have their batteries take (positive) or give in a slot, before the batteries' own limits; int64[homes]."""
