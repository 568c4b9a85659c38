"""What an entry of a tariff comes to in a month, step by step: from energies, power, days or other lines to its amount, by whole numbers and plain sums."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from gridledger.settling.derivation import Step, Text, bracketed, numbers, sum_formula
from gridledger.settling.power_factor_steps import derive_share
from gridledger.settling.results.billing import Billing
from gridledger.settling.results.tariff_lines import Charging
from settlement.tariffs.charges import PointUsage, Usage, level_prices
from settlement.tariffs.components import DAY, ENERGY_BASES, KW_PEAK, OF_POINT, PERCENT, POWER_BASES, Component

_PPM: Final = 1_000_000
_HOUR_S: Final = 3_600
_BASES: Final[Mapping[str, Text]] = {
    "import": {"en": "import", "zh_CN": "用电量"},
    "export": {"en": "export", "zh_CN": "上网电量"},
    "traded": {"en": "import that was traded", "zh_CN": "已交易的用电量"},
    "residual": {"en": "import that was not traded", "zh_CN": "未交易的用电量"},
}


class Slots(NamedTuple):
    """The slots of the month in which an entry holds for the party: their places, and the local day of each."""

    places: Sequence[int]
    day_of_place: Sequence[int]

    @property
    def days(self) -> Sequence[int]:
        """The days that they are of, ascending, each once."""
        return sorted(set(self.day_of_place))


class Entry(NamedTuple):
    """An entry of a tariff, or its days of one rate of tax, that are charged to a party in a month.

    slots: in which it holds on these days; so_far: on these and on the days of earlier rates; valid: in which it would hold so far at all hours of all
    days of the week; whole: in which it holds in the month. days_billed: on which the party was billed. shared_nano: what each of the lines comes to
    of which it is a share. earlier_nano: what the entry came to on the days of earlier rates. used_wh: of steps of a year, what was used before, by
    month, then by earlier entries of this month; used_here_wh: of steps, on the days of earlier rates.
    """

    component: Component
    billing: Billing
    charging: Charging
    slots: Slots
    so_far: Slots
    valid: Slots
    whole: Slots
    days_billed: int
    shared_nano: Sequence[int]
    earlier_nano: int
    used_wh: Sequence[int]
    used_here_wh: int

    def less_earlier(self, formula: str) -> str:
        """A formula of what it comes to so far, less what it came to on the days of earlier rates."""
        return f"{formula} − {bracketed(self.earlier_nano)}" if self.earlier_nano else formula

    def step(self, english: str, chinese: str, formula: str, result: int, unit: str) -> Step:
        """A step whose result is its formula's."""
        return Step({"en": english, "zh_CN": chinese}, numbers(formula), result, unit, holds=True)

    def price(self, per: str) -> Step:
        """The price as the registry has it."""
        where = _registered(self.billing, self.charging.party, self.component)
        unit = f"1e-6 {_currency(self.billing)}/{per}"
        text = str(self.component.price)
        return self.step(f"Price: {where['en']}", f"价格：{where['zh_CN']}", text, self.component.price, unit)

    def amount(self, formula: str, amount_nano: int) -> Step:
        """What the entry comes to."""
        return self.step("Amount", "金额", formula, amount_nano, nano_unit(self.billing))


def entry_steps(entry: Entry) -> list[Step]:
    """From an entry's energies, power, days or lines to its amount, which is the last one's result; no step where nothing is charged."""
    return _STEPS[entry.component.base](entry)


def _of_energy(entry: Entry) -> list[Step]:
    """Per kWh, at one price or by steps of the month's energy."""
    component = entry.component
    energies_wh = _energies_of(component.base, entry.charging.usage)
    of_day = _by_day(entry.slots, energies_wh)
    energy_wh, base, span = sum(of_day.values()), _BASES[component.base], _span(entry.slots)
    english, chinese = (
        f"{component.name}: {base['en']}, {span['en']}",
        f"{component.name}：{base['zh_CN']}，{span['zh_CN']}",
    )
    steps = [entry.step(english, chinese, sum_formula(of_day.values()), energy_wh, "Wh")]
    if component.price_series:
        return _by_series(entry, steps, energies_wh)
    if component.levels:
        return _by_levels(entry, steps)
    if not component.steps:
        amount = energy_wh * component.price
        return [*steps, entry.price("kWh"), entry.amount(f"{energy_wh} × {bracketed(component.price)}", amount)]
    below_wh, parts = sum(entry.used_wh) + entry.used_here_wh, []
    if component.is_of_year:
        english = "Used from the year's begin to the month's, by month, as the last runs say; and by earlier entries of the month"
        chinese = "本年初至本月初的用电量，按月，以最后批次为准；以及本月先前条目的用电量"
        steps.append(entry.step(english, chinese, sum_formula(entry.used_wh), sum(entry.used_wh), "Wh"))
    if entry.used_here_wh:
        english, chinese = "Used in the month at earlier rates of tax", "本月在先前税率下的用电量"
        steps.append(entry.step(english, chinese, str(entry.used_here_wh), entry.used_here_wh, "Wh"))
    end_wh = below_wh + energy_wh
    for one in component.steps:
        until_wh = end_wh if one.until_wh is None else min(end_wh, one.until_wh)
        parts.append((max(0, until_wh - below_wh), one.price_micro_per_kwh))
        below_wh = max(below_wh, until_wh)
    amount = sum(part_wh * price for part_wh, price in parts)
    where = _registered(entry.billing, entry.charging.party, component)
    formula = " + ".join(f"{part_wh} × {bracketed(price)}" for part_wh, price in parts)
    english = f"Amount: the energy of each step × its price, {where['en']}"
    chinese = f"金额：各阶梯电量 × 各阶梯价格，{where['zh_CN']}"
    return [*steps, entry.step(english, chinese, formula, amount, nano_unit(entry.billing))]


def _energies_of(base: str, usage: Usage) -> list[int]:
    """Wh of each slot that a base counts."""
    imports, exports, traded = usage.import_wh.tolist(), usage.export_wh.tolist(), usage.traded_wh.tolist()
    residual = [took - of_it for took, of_it in zip(imports, traded, strict=True)]
    found: list[int] = {"import": imports, "export": exports, "traded": traded, "residual": residual}[base]
    return found


def _by_day(slots: Slots, of_slot: Sequence[int]) -> dict[int, int]:
    """The sum of something of the slots by local day."""
    of_day = dict.fromkeys(slots.days, 0)
    for at, day in zip(slots.places, slots.day_of_place, strict=True):
        of_day[day] += of_slot[at]
    return of_day


def _by_levels(entry: Entry, steps: list[Step]) -> list[Step]:
    """The energy at each voltage level at its price, less that of the highest level where a trade covers no more."""
    component, parts = entry.component, []
    if component.covers:
        return _by_ways(entry, steps)
    prices, where = dict(component.levels), _registered(entry.billing, entry.charging.party, entry.component)
    for level, (usage, is_billed) in sorted(entry.charging.usage.at_level.items()):
        billed = is_billed.tolist()
        if not any(billed[at] for at in entry.slots.places):
            continue
        energies_wh, named = _energies_of(component.base, usage), level or component.user_level
        of_day, price = _by_day(entry.slots, energies_wh), prices[named]
        formula, upto = str(price), ""
        if component.highest_level:
            price -= prices[component.highest_level]
            formula, upto = f"{formula} − {bracketed(prices[component.highest_level])}", f" − {component.highest_level}"
        energy_wh, unit = sum(of_day.values()), f"1e-6 {_currency(entry.billing)}/kWh"
        steps.append(
            entry.step(f"Of it at {named}", f"其中电压等级 {named}", sum_formula(of_day.values()), energy_wh, "Wh")
        )
        english, chinese = f"Price {named}{upto}: {where['en']}", f"价格 {named}{upto}：{where['zh_CN']}"
        steps.append(entry.step(english, chinese, formula, price, unit))
        parts.append((energy_wh, price))
    amount = sum(energy_wh * price for energy_wh, price in parts)
    formula = " + ".join(f"{energy_wh} × {bracketed(price)}" for energy_wh, price in parts)
    return [*steps, entry.amount(formula, amount)]


def _by_ways(entry: Entry, steps: list[Step]) -> list[Step]:
    """The energy at each level at its price, less that of the highest level that each trade covers."""
    component, parts = entry.component, list[tuple[int, int]]()
    prices, where = dict(component.levels), _registered(entry.billing, entry.charging.party, entry.component)
    unit = f"1e-6 {_currency(entry.billing)}/kWh"
    for one in level_prices(component, entry.charging.usage, np.array(entry.slots.places, dtype=np.intp)):
        named = one.level or component.user_level
        formula = f"{prices[named]} − {bracketed(prices[one.upto])}"
        english, chinese = f"Of it at {named}, by trades up to {one.upto}", f"其中电压等级 {named}、交易至 {one.upto}"
        steps.append(entry.step(english, chinese, str(one.energy_wh), one.energy_wh, "Wh"))
        english, chinese = f"Price {named} − {one.upto}: {where['en']}", f"价格 {named} − {one.upto}：{where['zh_CN']}"
        steps.append(entry.step(english, chinese, formula, one.price_micro_per_kwh, unit))
        parts.append((one.energy_wh, one.price_micro_per_kwh))
    amount = sum(energy_wh * price for energy_wh, price in parts)
    formula = " + ".join(f"{energy_wh} × {bracketed(price)}" for energy_wh, price in parts) or "0"
    return [*steps, entry.amount(formula, amount)]


def _by_series(entry: Entry, steps: list[Step], energies_wh: Sequence[int]) -> list[Step]:
    """The energy of each slot at the price that a series says of it."""
    series = entry.component.price_series
    prices = entry.billing.tariffs[entry.charging.party].prices[series].price_micro_per_kwh.tolist()
    of_day = _by_day(entry.slots, [energy_wh * price for energy_wh, price in zip(energies_wh, prices, strict=True)])
    amount = sum(of_day.values())
    named = _registered(entry.billing, entry.charging.party, entry.component)
    own = [prices[at] for at in entry.slots.places]
    span = f"{min(own)}–{max(own)} × 1e-6 {_currency(entry.billing)}/kWh"
    english = (
        f"Amount: the energy of each slot × its price by price_series/{series} ({span}), by local day; {named['en']}"
    )
    chinese = f"金额：各时段电量 × price_series/{series} 在该时段的价格（{span}），按本地日；{named['zh_CN']}"
    return [*steps, entry.step(english, chinese, sum_formula(of_day.values()), amount, nano_unit(entry.billing))]


def _of_power(entry: Entry) -> list[Step]:
    """Per kW and month: by what was contracted, or by the highest mean power of a slot, of all points together or of each one."""
    component, days = entry.component, len(entry.valid.days)
    name, steps, parts = component.name, list[Step](), list[tuple[int, int]]()
    if component.base == KW_PEAK:
        usage, everybody = entry.charging.usage, PointUsage(entry.charging.usage.import_wh, entry.charging.is_billed)
        whose = usage.at_point if component.peak_of == OF_POINT else {"": everybody}
        for point, own in whose.items():
            peak = _peak_of(entry, point, own)
            steps += peak.steps
            parts.append((peak.power_w, peak.days))
    else:
        power_w = component.contracted_w.get(entry.charging.party, 0)
        steps = [entry.step(f"{name}: contracted by the party", f"{name}：用户合同容量", str(power_w), power_w, "W")]
        parts.append((power_w, days))
    of_month = _days_of_month(date.fromordinal(entry.valid.days[0]))
    amount = sum(power_w * own_days for power_w, own_days in parts) * component.price // of_month - entry.earlier_nano
    formula = " + ".join(f"{power_w} × {bracketed(component.price)} × {own_days}" for power_w, own_days in parts)
    formula = entry.less_earlier(f"{formula if len(parts) == 1 else f'({formula})'} ÷ {of_month}")
    english = f"Amount: power × price × days ÷ days of the month, rounded down; {_span(entry.valid)['en']}"
    chinese = f"金额：功率 × 价格 × 天数 ÷ 当月天数，向下取整；{_span(entry.valid)['zh_CN']}"
    return [*steps, entry.price("kW"), entry.step(english, chinese, formula, amount, nano_unit(entry.billing))]


class _Peak(NamedTuple):
    """The power of the highest slot, and how it follows. days: on which the entry is valid; no step where it holds in no slot that is billed."""

    steps: Sequence[Step]
    power_w: int
    days: int


def _peak_of(entry: Entry, point: str, own: PointUsage) -> _Peak:
    """Of a point, or of all of the party together ("")."""
    imports, billed = own.import_wh.tolist(), own.is_billed.tolist()
    places = [at for at in entry.whole.places if billed[at]]
    days = {day for at, day in zip(entry.valid.places, entry.valid.day_of_place, strict=True) if billed[at]}
    if not places:
        return _Peak([], 0, len(days))
    name = f"{entry.component.name}, {point}" if point else entry.component.name
    at, slot_s = max(places, key=lambda place: imports[place]), entry.billing.dataset.slot_s
    start = local_times(entry.billing)[at].isoformat(timespec="minutes")
    power_w = imports[at] * _HOUR_S // slot_s
    steps = [
        entry.step(f"{name}: highest import of a slot, {start}", f"{name}：最大的时段用电量，{start}", str(imports[at]), imports[at], "Wh"),
        entry.step("Its mean power, rounded down", "其平均功率，向下取整", f"{imports[at]} × {_HOUR_S} ÷ {slot_s}", power_w, "W"),
    ]  # fmt: skip
    return _Peak(steps, power_w, len(days))


def _of_days(entry: Entry) -> list[Step]:
    """Per day."""
    component, days, span = entry.component, len(entry.slots.days), _span(entry.slots)
    amount = days * component.price * 1_000
    steps = [entry.step(f"{component.name}: {span['en']}", f"{component.name}：{span['zh_CN']}", str(days), days, "d"), entry.price("d")]  # fmt: skip
    return [*steps, entry.amount(f"{days} × {bracketed(component.price)} × 1000", amount)]


def _of_lines(entry: Entry) -> list[Step]:
    """A share of other lines, and of the days."""
    component, days = entry.component, len(entry.so_far.days)
    of_what, total = ", ".join(component.of), sum(entry.shared_nano)
    english, chinese = f"{component.name}: a share of {of_what}", f"{component.name}：以 {of_what} 为基数"
    where = _registered(entry.billing, entry.charging.party, component)
    of_share = derive_share(component, entry.charging, entry.billing, where)
    if not of_share:
        return []
    share_ppm = of_share[-1].result
    amount = total * share_ppm * days // (_PPM * entry.days_billed) - entry.earlier_nano
    return [
        entry.step(english, chinese, sum_formula(entry.shared_nano), total, nano_unit(entry.billing)),
        *of_share,
        entry.step(
            f"Amount: lines × share × its days ÷ days billed, rounded down; {_span(entry.so_far)['en']}",
            f"金额：基数 × 比例 × 有效天数 ÷ 计费天数，向下取整；{_span(entry.so_far)['zh_CN']}",
            entry.less_earlier(
                f"{bracketed(total)} × {bracketed(share_ppm)} × {days} ÷ ({_PPM} × {entry.days_billed})"
            ),
            amount,
            nano_unit(entry.billing),
        ),
    ]


_STEPS: Final[Mapping[str, Callable[[Entry], list[Step]]]] = {
    **dict.fromkeys(ENERGY_BASES, _of_energy),
    **dict.fromkeys(POWER_BASES, _of_power),
    DAY: _of_days,
    PERCENT: _of_lines,
}


# ------------------------------------------------------------------------------------------------------------- words


def _span(of: Slots) -> Text:
    """In how many slots and days an entry holds."""
    slots, days = len(of.places), of.days
    first, last = (date.fromordinal(days[at]).isoformat() for at in (0, -1))
    return {
        "en": f"{slots} slots, {first} to {last} ({len(days)} d)",
        "zh_CN": f"{slots} 个时段，{first} 至 {last}（{len(days)} 天）",
    }


def _registered(billing: Billing, party: str, component: Component) -> Text:
    """Which tariff of the registry has an entry, and from which day on."""
    terms = billing.tariffs[party].terms
    first = next(one for one in terms if component.from_day in (None, one.day))
    day = date.fromordinal(first.day).isoformat()
    return {"en": f"tariff/{first.tariff}, in force on {day}", "zh_CN": f"tariff/{first.tariff}，{day} 有效"}


def local_times(billing: Billing) -> Sequence[datetime]:
    """When each slot starts, by the clock of the ledger's time zone."""
    zone = ZoneInfo(billing.dataset.timezone)
    return [datetime.fromtimestamp(start_s, zone) for start_s in billing.dataset.slot_start_s.tolist()]


def _days_of_month(day: date) -> int:
    """How many days the month of a day has."""
    first = day.replace(day=1)
    return ((first + timedelta(days=31)).replace(day=1) - first).days


def _currency(billing: Billing) -> str:
    return billing.dataset.rules.invoice.currency


def nano_unit(billing: Billing) -> str:
    """Of amounts."""
    return f"1e-9 {_currency(billing)}"
