"""The components of a tariff as data: ``[[tariff.component]]`` of a ``rules.toml`` (docs/tariffs.md).

A component is what a bill calls one line; its entries say what it costs in which days. One component's entries follow each other
without a gap and without an overlap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from gridcore.registry.tariff import (
    BASES,
    DAY,
    DAY_S,
    ENERGY_BASES,
    KW_CONTRACTED,
    KW_PEAK,
    MONTH,
    OF_PARTY,
    OF_POINT,
    PERCENT,
    POWER_BASES,
    PRICE_MAX,
    TIMED_BASES,
    TRADE,
    TRADED,
    YEAR,
)
from settlement.tariffs.network import VoltageLevel, price_at_level

__all__ = [
    "BASES", "COMPONENTS_MAX", "DAY", "DAY_S", "ENERGY_BASES", "KW_CONTRACTED", "KW_PEAK", "MONTH", "OF_PARTY", "OF_POINT", "PERCENT", "POWER_BASES", "PRICE_MAX",
    "TIMED_BASES", "TRADE", "TRADED", "YEAR", "Component", "NamedDay", "OwnRate", "Step", "Window",
]  # fmt: skip

COMPONENTS_MAX: Final = 200
"""Entries of all tariffs of a file."""


class Window(NamedTuple):
    """A part of the local day: from ``start_s`` on and before ``end_s``, seconds of the wall clock after midnight."""

    start_s: int
    end_s: int


class NamedDay(NamedTuple):
    """A day (``date.toordinal``) that is of another kind than its day of the week says: one of ``DAY_KINDS``."""

    day: int
    kind: str


class Step(NamedTuple):
    """A price for the energy of a month, or of a year so far, below ``until_wh`` (None: all the rest) and above the step before it."""

    until_wh: int | None
    price_micro_per_kwh: int


class OwnRate(NamedTuple):
    """The tax rate of a component from a local day on (``date.toordinal``); None for that of the tariff."""

    day: int
    tax_ppm: int | None


class Component(NamedTuple):
    """One entry of a component.

    name: the kind of its lines; account: who receives it; base: one of BASES. price: micro per kWh, per kW and month, or per day; of
    PERCENT millionths of what the lines ``of`` come to. Any sign: a negative one is paid to the party. tax_ppm: the rate of its tax, None for that of
    the tariff; later_rates: of entries that follow each other and differ in their rate alone, ascending, by each later day. from_day, until_day: days of the
    local calendar (``date.toordinal``), the second one excluded, None without an end. months: 1 to 12, empty for all; windows: empty for the
    whole day; weekdays: 1 (Monday) to 7, empty for all; day_kinds: of DAY_KINDS, empty for all, by the day of the week but for ``named_days``, which ascend; peak_of: of KW_PEAK, whose highest slot; steps: empty for one price; steps_per: MONTH or YEAR. price_series: the name of what says the price of each slot, "" for one price; price is 0 then. levels: from the lowest
    voltage to the highest, empty for one price: each kWh costs the price of its point's level, less that of ``highest_level`` ("" for nothing less); user_level: of points
    of which no level is known, "" for none; power_factor_standard: of PERCENT in hundredths, 0 for one share: the share follows from the month's reactive energy, price is 0 then; covers: TRADE where each trade goes up to the highest level of its sides and of the ``place_levels`` (level by
    place of the grid) under which both lie, and highest_level is that of trades that name no sides. parties: who pays it, empty for all. contracted_w: of KW_CONTRACTED what each party has.
    """

    name: str
    account: str
    base: str
    price: int
    is_taxed: bool = True
    tax_ppm: int | None = None
    later_rates: Sequence[OwnRate] = ()
    from_day: int | None = None
    until_day: int | None = None
    months: Sequence[int] = ()
    windows: Sequence[Window] = ()
    weekdays: Sequence[int] = ()
    day_kinds: Sequence[str] = ()
    named_days: Sequence[NamedDay] = ()
    peak_of: str = OF_PARTY
    steps: Sequence[Step] = ()
    steps_per: str = MONTH
    price_series: str = ""
    levels: Sequence[VoltageLevel] = ()
    highest_level: str = ""
    user_level: str = ""
    covers: str = ""
    place_levels: Sequence[tuple[int, str]] = ()
    power_factor_standard: int = 0
    parties: Sequence[str] = ()
    contracted_w: Mapping[str, int] = {}
    of: Sequence[str] = ()

    @property
    def all_hours(self) -> Component:
        """The same at all hours of all days for which it is valid."""
        return self._replace(windows=(), weekdays=(), day_kinds=(), named_days=())

    @property
    def is_of_year(self) -> bool:
        """Whether its steps count the energy since the year began."""
        return self.steps_per == YEAR

    def own_rate_on(self, day: int) -> int | None:
        """Its own tax rate on a day; None where it has that of the tariff."""
        return next((one.tax_ppm for one in reversed(self.later_rates) if one.day <= day), self.tax_ppm)

    def by_own_rate(self) -> list[Component]:
        """The entries of which it is made, each of one rate of its own."""
        days = [self.from_day, *(one.day for one in self.later_rates)]
        rates = [self.tax_ppm, *(one.tax_ppm for one in self.later_rates)]
        ends = [*days[1:], self.until_day]
        return [
            self._replace(tax_ppm=rate, later_rates=(), from_day=from_day, until_day=until_day)
            for rate, from_day, until_day in zip(rates, days, ends, strict=True)
        ]

    def prices_at_levels(self) -> list[VoltageLevel]:
        """What a kWh costs at each of its levels, up to the highest that a trade covers; the whole price where each trade has a highest of its own."""
        names = [level.name for level in self.levels]
        upto = "" if self.covers else self.highest_level
        priced = self.levels[: names.index(upto) + 1] if upto else self.levels
        return [VoltageLevel(one.name, price_at_level(self.levels, one.name, upto)) for one in priced]
