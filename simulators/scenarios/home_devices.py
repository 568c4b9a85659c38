"""What stands behind the meters of homes in a scenario: PV, batteries with their strategies, cars, heat pumps."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final

from gridcore.errors import UsageError
from simulators.scenarios.keys import GROUP, check_group, check_order, check_strategies, one_of, whole

HOURS: Final = 24
ON_ARRIVAL: Final = "on_arrival"
AT_NIGHT: Final = "at_night"
SELF_CONSUMPTION, TARIFF_ARBITRAGE = "self_consumption", "tariff_arbitrage"
PEAK_SHAVING, NO_STRATEGY = "peak_shaving", "none"
BATTERY_STRATEGIES: Final = (SELF_CONSUMPTION, TARIFF_ARBITRAGE, PEAK_SHAVING, NO_STRATEGY)


@dataclass(frozen=True)
class Pv:
    """PV behind the meters of homes. ``homes_of_ten``: of each ten homes, in turn.

    Under a clear_sky weather roofs have a tilt, look so far from the equator's side at most, and give ``yield_percent`` of what they get.
    """

    homes_of_ten: tuple[int, ...] = dataclasses.field(metadata={"min": 1, "max": GROUP})
    peak_w_min: int = whole(100, 100_000)
    peak_w_max: int = whole(100, 100_000)
    noise_percent: int = whole(0, 100)
    tilt_degrees: int = whole(0, 90, 30)
    azimuth_spread_degrees: int = whole(0, 180, 60)
    yield_percent: int = whole(1, 100, 85)

    def __post_init__(self) -> None:
        """Check what no range says."""
        check_group(self.homes_of_ten)
        check_order(self.peak_w_min, self.peak_w_max, "peak_w")


def _hours(first: int, end: int) -> set[int]:
    """From one hour to before another, over midnight where the first is the later one."""
    return {hour % HOURS for hour in range(first, end if first <= end else end + HOURS)}


@dataclass(frozen=True)
class Batteries:
    """Batteries of homes with PV, each with a strategy: ``strategies`` says how many of ten have which; without it all consume their own.

    self_consumption: surplus charges, own need discharges, at sale hours ``sale_w`` is given besides (0: none). tariff_arbitrage: takes
    ``power_w`` at cheap hours, covers the home's need at dear ones. peak_shaving: gives what the home takes beyond ``peak_w``, and is filled
    again below it. none: stays as it is.
    """

    homes_of_ten: int = whole(0, GROUP)
    capacity_wh_min: int = whole(100, 1_000_000)
    capacity_wh_max: int = whole(100, 1_000_000)
    power_w: int = whole(4, 100_000)
    reserve_percent: int = whole(0, 50)
    charge_percent: int = whole(1, 100)
    sale_w_min: int = whole(0, 100_000)
    sale_w_max: int = whole(0, 100_000)
    sale_from_hour: int = whole(0, 23)
    sale_until_hour: int = whole(0, 23)
    strategies: dict[str, int] = dataclasses.field(default_factory=dict)
    cheap_from_hour: int = whole(0, 23, 0)
    cheap_until_hour: int = whole(0, 23, 0)
    dear_from_hour: int = whole(0, 23, 0)
    dear_until_hour: int = whole(0, 23, 0)
    peak_w: int = whole(0, 100_000, 0)

    def __post_init__(self) -> None:
        """Check what no range says."""
        check_order(self.capacity_wh_min, self.capacity_wh_max, "capacity_wh")
        check_order(self.sale_w_min, self.sale_w_max, "sale_w")
        check_strategies(self.strategies, BATTERY_STRATEGIES, "batteries")
        cheap, dear = (
            _hours(first, end)
            for first, end in (
                (self.cheap_from_hour, self.cheap_until_hour),
                (self.dear_from_hour, self.dear_until_hour),
            )
        )
        if both := cheap & dear:
            raise UsageError(f"hour {min(both)} is cheap and dear at once; give hours that do not overlap")
        if self.strategies.get(TARIFF_ARBITRAGE) and not (cheap and dear):
            raise UsageError(
                f"strategies.{TARIFF_ARBITRAGE} needs cheap_from_hour, cheap_until_hour, dear_from_hour and dear_until_hour"
            )
        if self.strategies.get(PEAK_SHAVING) and not self.peak_w:
            raise UsageError(f"strategies.{PEAK_SHAVING} needs peak_w, what a home may take before its battery helps")


NO_PV: Final = Pv(homes_of_ten=(0,), peak_w_min=100, peak_w_max=100, noise_percent=0)
NO_BATTERIES: Final = Batteries(
    homes_of_ten=0,
    capacity_wh_min=100,
    capacity_wh_max=100,
    power_w=4,
    reserve_percent=0,
    charge_percent=100,
    sale_w_min=0,
    sale_w_max=0,
    sale_from_hour=0,
    sale_until_hour=0,
)


@dataclass(frozen=True)
class Vehicles:
    """Electric cars: home once a day between two hours, then charged for what they drove, at once or from ``night_hour`` on."""

    homes_of_ten: tuple[int, ...] = dataclasses.field(metadata={"min": 1, "max": GROUP})
    power_w: int = whole(4, 43_000)
    daily_wh_min: int = whole(0, 100_000)
    daily_wh_max: int = whole(0, 100_000)
    arrive_from_hour: int = whole(0, 23)
    arrive_until_hour: int = whole(0, 23)
    strategy: str = one_of(ON_ARRIVAL, AT_NIGHT)
    night_hour: int = whole(0, 23, 23)

    def __post_init__(self) -> None:
        """Check what no range says."""
        check_group(self.homes_of_ten)
        check_order(self.daily_wh_min, self.daily_wh_max, "daily_wh")
        if self.arrive_from_hour > self.arrive_until_hour:
            raise UsageError("arrive_from_hour is later than arrive_until_hour")


@dataclass(frozen=True)
class HeatPumps:
    """Heat pumps. ``loss_w_per_k``: what a house loses for each kelvin between inside and outside."""

    homes_of_ten: tuple[int, ...] = dataclasses.field(metadata={"min": 1, "max": GROUP})
    power_w: int = whole(100, 40_000)
    loss_w_per_k_min: int = whole(1, 10_000)
    loss_w_per_k_max: int = whole(1, 10_000)
    inside_c: int = whole(0, 30, 20)

    def __post_init__(self) -> None:
        """Check what no range says."""
        check_group(self.homes_of_ten)
        check_order(self.loss_w_per_k_min, self.loss_w_per_k_max, "loss_w_per_k")
