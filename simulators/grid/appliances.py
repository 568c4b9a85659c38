"""Electric cars and heat pumps of homes: what they take in each slot, whole Wh, from the scenario and a seed."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from simulators.grid.local_time import is_first_of_day
from simulators.scenarios.home_devices import ON_ARRIVAL, HeatPumps, Vehicles

SLOTS_PER_HOUR = 4
COP_AT_0_C = 3.0
COP_PER_K = 0.07
COP_MIN = 1.2
CYCLING = 0.3
"""How far a heat pump's slot lies from the mean that the house needs, as it switches on and off."""


def vehicle_loads(
    rng: np.random.Generator, local_slot: NDArray[np.int64], owners: NDArray[np.bool_], spec: Vehicles
) -> NDArray[np.int64]:
    """Energy of each home's car [slots, homes]. local_slot: 0 to 95 of the local wall clock.

    A car comes home once a local day in the hours of the scenario, and takes at full power what it drove: at once, or from its hour of night on.
    """
    slots, homes = len(local_slot), len(owners)
    taken = np.zeros((slots, homes), dtype=np.int64)
    most_wh = spec.power_w // SLOTS_PER_HOUR
    bounds = [*np.flatnonzero(is_first_of_day(local_slot)).tolist(), slots]
    for start, end in pairwise(bounds):
        arrives = rng.integers(
            spec.arrive_from_hour * SLOTS_PER_HOUR, spec.arrive_until_hour * SLOTS_PER_HOUR, size=homes, endpoint=True
        )
        wanted_wh = rng.integers(spec.daily_wh_min, spec.daily_wh_max, size=homes, endpoint=True) * owners
        begins = arrives if spec.strategy == ON_ARRIVAL else np.maximum(arrives, spec.night_hour * SLOTS_PER_HOUR)
        reached = local_slot[start:end, None] >= begins
        first = start + np.where(reached.any(axis=0), reached.argmax(axis=0), end - start)
        for home in np.flatnonzero(owners).tolist():
            whole, rest = divmod(int(wanted_wh[home]), most_wh)
            last = int(first[home]) + whole
            taken[first[home] : last, home] += most_wh
            taken[last : last + 1, home] += rest
    return np.minimum(taken, most_wh)


def heat_pump_loads(
    rng: np.random.Generator, outside_c: NDArray[np.float64], owners: NDArray[np.bool_], spec: HeatPumps
) -> NDArray[np.int64]:
    """Energy of each home's heat pump [slots, homes]: what the house loses to the outside, by a coefficient that falls with the cold."""
    homes = len(owners)
    loss_w_per_k = rng.integers(spec.loss_w_per_k_min, spec.loss_w_per_k_max, size=homes, endpoint=True) * owners
    needed_w = np.maximum(spec.inside_c - outside_c, 0.0)[:, None] * loss_w_per_k
    cop = np.maximum(COP_AT_0_C + COP_PER_K * outside_c, COP_MIN)[:, None]
    cycling = 1.0 + CYCLING * rng.integers(-1000, 1000, size=needed_w.shape, endpoint=True) / 1000
    power_w = np.minimum(needed_w / cop * cycling, spec.power_w)
    return np.rint(power_w / SLOTS_PER_HOUR).astype(np.int64)
