"""What the components of a tariff come to for one party, month by month. Exact integers; divisions are floored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import mul
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from settlement.contract_kit_1 import Int64Column
from settlement.errors import SettlementError
from settlement.tariffs.components import DAY, ENERGY_BASES, KW_PEAK, OF_POINT, PERCENT, Component
from settlement.tariffs.dealing import deal
from settlement.tariffs.holding import Holding
from settlement.tariffs.network import price_at_level
from settlement.tariffs.power_factor import ReactiveMonth, power_factor_adjustment
from settlement.tariffs.taxes import RateFrom, rate_spans

_PPM: Final = 1_000_000
_HOUR_S: Final = 3_600
_NANO_PER_MICRO: Final = 1_000
NO_TAX: Final = (RateFrom(0, 0),)
"""Of a tariff whose rate is always 0."""


class Usage(NamedTuple):
    """What a party took and gave, Wh int64[slots]: all its points together. traded_wh: the part of the import that was traded.

    at_level: the same of its points at each voltage level, "" for those of which none is known; empty where nobody asks for levels.
    ways: what it bought on each way from a seller, Wh int64[slots]; empty where nobody asks for ways, and where no trade names both sides.
    at_point: what each of its points took, by name; empty where nobody asks for points. reactive: by the place of a month its points' reactive energy; no month of
    which it is not known.
    """

    import_wh: Int64Column
    export_wh: Int64Column
    traded_wh: Int64Column
    at_level: Mapping[str, LevelUsage] = {}
    at_point: Mapping[str, PointUsage] = {}
    ways: Mapping[Way, Int64Column] = {}
    reactive: Mapping[int, ReactiveMonth] = {}


class Way(NamedTuple):
    """Where energy of trades comes from. levels: of the seller's points, ascending as texts, "" for one of which none is known; place: of the grid, the

    lowest under which both sides lie, 0 where places are not known.
    """

    levels: Sequence[str]
    place: int = 0


class PointUsage(NamedTuple):
    """What a point of a party took, Wh int64[slots]; is_billed: bool[slots], in which it is billed to the party."""

    import_wh: Int64Column
    is_billed: NDArray[np.bool_]


class LevelUsage(NamedTuple):
    """What a party took and gave at a voltage level; is_billed: bool[slots], in which it has a point there."""

    usage: Usage
    is_billed: NDArray[np.bool_]


class SlotPrices(NamedTuple):
    """What a price series says of slots: micro per kWh, int64[slots]; is_said: bool[slots], where it says a price."""

    price_micro_per_kwh: Int64Column
    is_said: NDArray[np.bool_]


class NoPriceError(SettlementError):
    """A component holds in a slot of which its price series says no price. slot: its place in the calendar."""

    def __init__(self, component: Component, slot: int) -> None:
        super().__init__(f"{component.name}: price series {component.price_series} says no price of slot {slot}")
        self.component, self.slot = component, slot


class Sold(NamedTuple):
    """Where a seller has a point: the way on which he sold, and one of the way's levels, "" where none is known."""

    way: Way
    level: str


class NoLevelError(SettlementError):
    """A component has its prices by voltage level, and none for a level ("" where none is known) at which the party has a point in a slot, or for
    what was traded there.

    remedy: what the component is to say; "" where a point is to have another level: the party's own, or the seller's where ``sold`` names one.
    """

    def __init__(
        self, component: Component, level: str, slot: int, words: str, remedy: str = "", sold: Sold | None = None
    ) -> None:
        super().__init__(f"{component.name}: {words}")
        self.component, self.level, self.slot, self.words = component, level, slot, words
        self.remedy, self.sold = remedy, sold


class Charge(NamedTuple):
    """One entry's charge for a month, or for its days of one tax rate: energy_wh 0 where the base is none; price None where there is no one price of a kWh.

    entry: the place of its component among those of the tariff; tax_ppm: None where no tax is paid on it; from_day, until_day: its days, the second
    one excluded.
    """

    name: str
    account: str
    month: int
    energy_wh: int
    price_micro_per_kwh: int | None
    amount_nano: int
    entry: int = 0
    tax_ppm: int | None = 0
    from_day: int = 0
    until_day: int = 0


class _Month(NamedTuple):
    """What an entry charges a party for, in a month: its place, what the lines before it come to by kind, and what was used before in the year."""

    party: str
    usage: Usage
    place: int
    counts: _Counts
    billed_nano: Mapping[str, int]
    before_wh: int


class _Counts(NamedTuple):
    """bool[slots]: where an entry holds for a party, and where the party is billed; is_valid: where it would hold at all hours of all days of the week."""

    holds: NDArray[np.bool_]
    is_billed: NDArray[np.bool_]
    is_valid: NDArray[np.bool_]


class Tariff:
    """Components on a calendar. Tariffs of many parties are given the ``Holding`` of one: a column of all slots for each would not fit."""

    def __init__(
        self,
        components: Sequence[Component],
        holding: Holding,
        prices: Mapping[str, SlotPrices] | None = None,
        rates: Sequence[RateFrom] = NO_TAX,
    ) -> None:
        """prices: of the calendar's slots, by the name of each price series that a component names; rates: of the tariff's tax, as of ``rate_on``."""
        self.components, self.calendar, self._prices, self._rates = components, holding.calendar, prices or {}, rates
        slots = self.calendar.day.size
        self._silent = SlotPrices(np.zeros(slots, dtype=np.int64), np.zeros(slots, dtype=np.bool_))
        whole_days = [component.all_hours for component in components]
        self._holds = [(holding.of(one), holding.of(whole)) for one, whole in zip(components, whole_days, strict=True)]
        self._months = len(self.calendar.days_of_month)
        self._starts = np.searchsorted(self.calendar.month, np.arange(self._months))

    def charges(
        self,
        party: str,
        usage: Usage,
        billed_nano: Sequence[Mapping[str, int]],
        is_billed: NDArray[np.bool_] | None = None,
        used_wh: Mapping[str, Sequence[int]] | None = None,
    ) -> list[Charge]:
        """What the party is charged; ``billed_nano``: of each month what the contract's lines come to, by kind.

        is_billed: bool[slots], in which it has a point; None: in all. used_wh: of components with steps of a year, by name, what the party used
        under them from the year's begin to each month's.

        NoPriceError for a slot in which the party is billed, a component holds and its series says no price, NoLevelError for one in
        which it has a point whose level gives no price: nothing is charged at 0.
        A percent component counts lines and the components that stand before it; one that holds for a part of the month counts for that part of
        the days. One that follows from the power factor is left out in a month of which the reactive energy is not known.
        """
        of_month = [dict(of_kind) for of_kind in billed_nano]
        used = [
            {name: of_months[month] for name, of_months in (used_wh or {}).items()} for month in range(self._months)
        ]
        found: list[Charge] = []
        billed = np.ones(self.calendar.day.size, dtype=np.bool_) if is_billed is None else is_billed
        for entry, (component, (holds, is_valid)) in enumerate(zip(self.components, self._holds, strict=True)):
            if component.parties and party not in component.parties:
                continue
            counts = _Counts(holds & billed, billed, is_valid & billed)
            for place in range(self._months):
                before_wh = used[place].get(component.name, 0)
                month = _Month(party, usage, place, counts, of_month[place], before_wh)
                for charge in self._by_rate(component, month):
                    if component.is_of_year:
                        used[place][component.name] = used[place].get(component.name, 0) + charge.energy_wh
                    if charge.energy_wh or charge.amount_nano:
                        of_month[place][component.name] = of_month[place].get(component.name, 0) + charge.amount_nano
                        found.append(charge._replace(entry=entry))
        return found

    def _by_rate(self, component: Component, month: _Month) -> list[Charge]:
        """What an entry comes to in a month, by the rates of its tax: of each what it comes to up to the rate's last day, less what it did before."""
        slots = self._slots(month.place)
        if slots.start == slots.stop:
            return []
        first_day, last_day = int(self.calendar.day[slots.start]), int(self.calendar.day[slots.stop - 1])
        spans = rate_spans(component, self._rates, first_day, last_day)
        whole = self._charge(component, month, slots)
        found, from_day, energy_wh, amount_nano = list[Charge](), first_day, 0, 0
        for until_day, tax_ppm in spans:
            end = slots.start + int(np.searchsorted(self.calendar.day[slots], until_day))
            upto = whole if end == slots.stop else self._charge(component, month, slice(slots.start, end))
            found.append(
                whole._replace(
                    energy_wh=upto.energy_wh - energy_wh,
                    amount_nano=upto.amount_nano - amount_nano,
                    tax_ppm=tax_ppm,
                    from_day=from_day,
                    until_day=until_day,
                )
            )
            from_day, energy_wh, amount_nano = until_day, upto.energy_wh, upto.amount_nano
        return found

    def _charge(self, component: Component, month: _Month, counted: slice) -> Charge:
        """What an entry comes to up to some slot of a month. counted: the month's slots, or the first of them.

        The peak is that of the whole month, and so are the lines of which a percent component is a share: days of ``counted`` have their part.
        """
        slots, (holds, is_billed, _) = self._slots(month.place), month.counts
        charge = Charge(component.name, component.account, month.place, 0, None, 0)
        if component.base in ENERGY_BASES:
            places = counted.start + np.flatnonzero(holds[counted])
            of_slot = energy_of(component.base, month.usage)[places]
            energy_wh, price = int(of_slot.sum()), None
            if component.levels:
                price, amount = _by_level(component, month.usage, places)
            elif component.price_series:
                amount = self._by_series(component, places, of_slot)
            elif component.steps:
                below_wh = month.before_wh if component.is_of_year else 0
                amount = stepped(component, below_wh + energy_wh) - stepped(component, below_wh)
            else:
                price, amount = component.price, energy_wh * component.price
            return charge._replace(energy_wh=energy_wh, price_micro_per_kwh=price, amount_nano=amount)
        days, days_billed = self._days(holds, counted), self._days(is_billed, slots)
        if component.base == PERCENT:
            lines_nano = sum(month.billed_nano.get(kind, 0) for kind in component.of)
            share = lines_nano * self._share_ppm(component, month) * days // (_PPM * days_billed) if days else 0
            return charge._replace(amount_nano=share)
        if component.base == DAY:
            return charge._replace(amount_nano=days * component.price * _NANO_PER_MICRO)
        if component.base == KW_PEAK:
            power_days = self._peaks(component, month, counted)
        else:
            power_days = component.contracted_w.get(month.party, 0) * days
        # W x micro per kW = nano; a part of a month costs its share of the month's days
        return charge._replace(amount_nano=power_days * component.price // self.calendar.days_of_month[month.place])

    def _share_ppm(self, component: Component, month: _Month) -> int:
        """The share of other lines that a percent component is in a month; 0 where it follows from a power factor that is not known, or of no energy."""
        if not component.power_factor_standard:
            return component.price
        slots, reactive = self._slots(month.place), month.usage.reactive.get(month.place)
        active_wh = int(month.usage.import_wh[slots][month.counts.is_billed[slots]].sum())
        if reactive is None or not active_wh + sum(reactive):
            return 0
        return power_factor_adjustment(active_wh, *reactive, component.power_factor_standard).share_ppm

    def energies_of_year(self, party: str, usage: Usage, is_billed: NDArray[np.bool_]) -> dict[str, list[int]]:
        """What the party used under components with steps of a year: Wh of each month, by name."""
        found: dict[str, list[int]] = {}
        for component, (holds, _) in zip(self.components, self._holds, strict=True):
            if component.is_of_year and (not component.parties or party in component.parties):
                of_slot = np.where(holds & is_billed, energy_of(component.base, usage), 0)
                of_months = found.setdefault(component.name, [0] * self._months)
                for month in range(self._months):
                    of_months[month] += int(of_slot[self._slots(month)].sum())
        return found

    def _slots(self, month: int) -> slice:
        end = self._starts[month + 1] if month + 1 < self._months else self.calendar.month.size
        return slice(int(self._starts[month]), int(end))

    def _days(self, mask: NDArray[np.bool_], slots: slice) -> int:
        """Of how many local days some slots are."""
        return int(np.unique(self.calendar.day[slots][mask[slots]]).size)

    def _peaks(self, component: Component, month: _Month, counted: slice) -> int:
        """The highest mean power of a slot of the month in which the entry holds, W, times the days of ``counted`` on which it is valid; of points each by itself,

        together.
        """
        slots, (holds, is_billed, is_valid), usage = self._slots(month.place), month.counts, month.usage
        everywhere = {"": PointUsage(usage.import_wh, is_billed)}
        found = 0
        for own in (usage.at_point or everywhere if component.peak_of == OF_POINT else everywhere).values():
            peak_wh = int(own.import_wh[slots][(holds & own.is_billed)[slots]].max(initial=0))
            found += peak_wh * _HOUR_S // self.calendar.slot_s * self._days(is_valid & own.is_billed, counted)
        return found

    def _by_series(self, component: Component, places: NDArray[np.intp], energy_wh: Int64Column) -> int:
        """Each slot's energy at its own price: exact at any size."""
        prices = self._prices.get(component.price_series, self._silent)
        unsaid = places[~prices.is_said[places]]
        if unsaid.size:
            raise NoPriceError(component, int(unsaid[0]))
        return sum(map(mul, energy_wh.tolist(), prices.price_micro_per_kwh[places].tolist()))


class LevelPrice(NamedTuple):
    """What a component charges a kWh at a voltage level ("" for points of which none is known); energy_wh: of a party in some slots.

    upto: the highest level that is covered, whose price is off; "" where the whole price is charged.
    """

    level: str
    price_micro_per_kwh: int
    energy_wh: int
    upto: str = ""


class _Taken(NamedTuple):
    """What a party took at a voltage level, "" where none is known: Wh by slot, and the places of the slots in the calendar, at least one."""

    component: Component
    level: str
    energies_wh: Int64Column
    places: NDArray[np.intp]

    @property
    def named(self) -> str:
        """The level by which it is charged, "" where there is none."""
        return self.level or self.component.user_level

    def fault(self, at: int, words: str, remedy: str = "", sold: Sold | None = None) -> NoLevelError:
        """What keeps the energy of a slot, by its place among these, from being charged."""
        return NoLevelError(self.component, self.level, int(self.places[at]), words, remedy, sold)

    def check_highest(self, at: int) -> None:
        """NoLevelError for a highest level below that of the point."""
        names, highest = [one.name for one in self.component.levels], self.component.highest_level
        if highest and names.index(highest) < names.index(self.named):
            words = f"{highest} lies below the user's level {self.named}"
            raise self.fault(at, words, f"let its highest_level be {self.named} or one above it")


def level_prices(component: Component, usage: Usage, places: NDArray[np.intp]) -> list[LevelPrice]:
    """Of each level at which the party has a point in some slots, by the levels' names, and of each highest level that its trades cover.

    NoLevelError as of ``Tariff.charges``.
    """
    found: list[LevelPrice] = []
    everywhere = {"": LevelUsage(usage, np.ones(usage.import_wh.size, dtype=np.bool_))}
    for level, (own, is_billed) in sorted((usage.at_level or everywhere).items()):
        billed = places[is_billed[places]]
        if not billed.size:
            continue
        taken = _Taken(component, level, energy_of(component.base, own)[billed], billed)
        if words := _unpriced(component, taken.named):
            raise taken.fault(0, words if taken.named else "no voltage level of it is known")
        for upto, energy_wh in _covered(taken, usage.ways).items():
            found.append(LevelPrice(level, price_at_level(component.levels, taken.named, upto), energy_wh, upto))
    return found


def _unpriced(component: Component, level: str) -> str:
    """Why a level has no price, "" where it has one."""
    names = [one.name for one in component.levels]
    return "" if level in names else f"{level!r} is none of the voltage levels {', '.join(names)}"


def _covered(taken: _Taken, ways: Mapping[Way, Int64Column]) -> Mapping[str, int]:
    """What a party took at a level by the highest level that it covers. NoLevelError where what it took goes up to one without a price.

    The traded energy of a slot is dealt to the ways of the slot's trades by what was bought on each, by largest remainder, ties to the way that stands first; where
    trades name no sides all of it goes up to ``highest_level``.
    """
    component = taken.component
    if not component.covers:
        taken.check_highest(0)
        return {component.highest_level: int(taken.energies_wh.sum())}
    at = np.flatnonzero(taken.energies_wh)
    taken = taken._replace(energies_wh=taken.energies_wh[at], places=taken.places[at])
    of_ways = sorted(ways)
    bought = np.array([ways[way][taken.places] for way in of_ways], dtype=np.int64).reshape(len(of_ways), at.size)
    found = dict.fromkeys((one.name for one in component.levels), 0)
    for way, part_wh in zip(of_ways, deal(taken.energies_wh, bought), strict=True):
        if part_wh.any():
            found[_highest(taken, way, int(np.argmax(part_wh > 0)))] += int(part_wh.sum())
    without_sides = np.flatnonzero(~bought.any(axis=0))
    if without_sides.size:
        first = int(without_sides[0])
        if not component.highest_level:
            words = "its trades name no sides, and the component has no highest_level"
            raise taken.fault(first, words, "give it a highest_level, up to which they go")
        taken.check_highest(first)
        found[component.highest_level] += int(taken.energies_wh[without_sides].sum())
    return {name: energy_wh for name, energy_wh in found.items() if energy_wh} or {taken.named: 0}


def _highest(taken: _Taken, way: Way, at: int) -> str:
    """The highest of the levels that a trade covers: of the buyer's point, of the seller's, and of the place under which both lie. at: a slot in which
    energy goes on the way. NoLevelError for one without a price.
    """
    component, covered = taken.component, [taken.named]
    for level in way.levels:
        covered.append(level or component.user_level)
        if words := _unpriced(component, covered[-1]):
            words = f"of the level of a seller: {words}" if covered[-1] else "no voltage level of a seller is known"
            raise taken.fault(at, words, sold=Sold(way, level))
    if component.place_levels and way.place:
        of_place = dict(component.place_levels)
        if way.place not in of_place:
            words = f"place_levels do not say the level of grid place {way.place}"
            raise taken.fault(at, words, f"let its place_levels say the level of grid place {way.place}")
        covered.append(of_place[way.place])
    return max(covered, key=[one.name for one in component.levels].index)


def _by_level(component: Component, usage: Usage, places: NDArray[np.intp]) -> tuple[int | None, int]:
    """The one price of all its kWh, None where levels have several, and the amount."""
    found = level_prices(component, usage, places)
    prices = {one.price_micro_per_kwh for one in found}
    amount = sum(one.energy_wh * one.price_micro_per_kwh for one in found)
    return (prices.pop() if len(prices) == 1 else None), amount


def used_before(energies_wh: Sequence[int], first_month: int, before_wh: int) -> list[int]:
    """What was used from the year's begin to the begin of each month. energies_wh: of months that follow each other, the first one the

    ``first_month`` (1 to 12) of its year; before_wh: what was used in that year before them.
    """
    found, used_wh = list[int](), before_wh
    for place, energy_wh in enumerate(energies_wh):
        if (first_month + place) % 12 == 1:
            used_wh = 0
        found.append(used_wh)
        used_wh += energy_wh
    return found


def stepped(component: Component, energy_wh: int) -> int:
    """The nano-currency of some energy, of a month or of a year so far: each step's part of it at the step's price."""
    amount, below_wh = 0, 0
    for step in component.steps:
        until_wh = energy_wh if step.until_wh is None else min(energy_wh, step.until_wh)
        amount += max(0, until_wh - below_wh) * step.price_micro_per_kwh
        below_wh = max(below_wh, until_wh)
    return amount


def energy_of(base: str, usage: Usage) -> Int64Column:
    """What a base of energy counts."""
    match base:
        case "import":
            return usage.import_wh
        case "export":
            return usage.export_wh
        case "traded":
            return usage.traded_wh
    return usage.import_wh - usage.traded_wh
