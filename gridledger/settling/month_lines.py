"""What the lines of a party's month come to after a run, step by step, by whole numbers and plain sums: a second way beside the columns.

The contract's lines are summed by local day; each entry of the tariff goes from energies, power or days to its amount. The local time of
each slot, and whether an entry holds in it, are found here again; what both ways have in common are the energies that the runs keep, the
registry's entries, and the contract's lines of each slot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from gridledger.settling.dataset import InvoiceTerms
from gridledger.settling.derivation import Step, Text, numbers
from gridledger.settling.power_factor_steps import derive_share
from gridledger.settling.results.billing import Billing
from gridledger.settling.results.tariff_lines import Charging
from settlement.catalogue import CATALOGUE
from settlement.tariffs.charges import PointUsage, Usage, level_prices
from settlement.tariffs.components import DAY, ENERGY_BASES, KW_PEAK, OF_POINT, PERCENT, POWER_BASES, Component
from settlement.tariffs.named_days import kind_of

_PPM: Final = 1_000_000
_HOUR_S: Final = 3_600
_BASES: Final[Mapping[str, Text]] = {
    "import": {"en": "import", "zh_CN": "用电量"},
    "export": {"en": "export", "zh_CN": "上网电量"},
    "traded": {"en": "import that was traded", "zh_CN": "已交易的用电量"},
    "residual": {"en": "import that was not traded", "zh_CN": "未交易的用电量"},
}


class MonthLine(NamedTuple):
    """A kind of line of a month after a run, at one rate of tax (None: no tax), exact. energy_wh: 0 where the line has none."""

    kind: str
    title: Text
    steps: Sequence[Step]
    energy_wh: int
    amount_nano: int
    tax_ppm: int | None


def month_lines(billing: Billing, party: str, run: str) -> list[MonthLine]:
    """All lines of a party's month after a run, in the order in which they are charged. ``billing``: of one month."""
    lines = list(_contract_lines(billing, party, run))
    charging = next((one for one in billing.chargings() if (one.run, one.party) == (run, party)), None)
    if charging is not None:
        lines += _component_lines(billing, charging, _by_kind(lines))
    return [line for line in lines if line.steps]


def _by_kind(lines: Iterable[MonthLine]) -> dict[str, int]:
    """What the lines of each kind come to, at all rates of tax."""
    found: dict[str, int] = {}
    for line in lines:
        found[line.kind] = found.get(line.kind, 0) + line.amount_nano
    return found


# ------------------------------------------------------------------------------------------------- lines of the contract


def _contract_lines(billing: Billing, party: str, run: str) -> Iterator[MonthLine]:
    """The contract's lines of all runs up to this one, by local day; the tax is the tariff's, that of the day."""
    day_of_slot, terms = [local.toordinal() for local in _local_times(billing)], own_terms(billing, party)
    of_day: dict[tuple[str, int], dict[int, int]] = {}
    energy_wh: dict[tuple[str, int], int] = {}
    names = billing.sheets.names
    for name in names[: names.index(run) + 1]:
        rows = billing.contract_rows(name, party)
        columns = (rows.slot, rows.kind, rows.energy_wh, rows.amount_nano)
        for slot, place, wh, nano in zip(*(column.tolist() for column in columns), strict=True):
            day = day_of_slot[slot]
            of_line = billing.kinds[place].line_kind, terms.rate_on(day)
            days = of_day.setdefault(of_line, {})
            days[day] = days.get(day, 0) + nano
            energy_wh[of_line] = energy_wh.get(of_line, 0) + wh
    words = CATALOGUE[billing.contract.contract_id].vocabulary.line_kinds
    for (kind, tax_ppm), days in sorted(of_day.items()):
        what = {
            "en": f"Lines {kind} of all slots, by local day; each slot: --line {party}/SLOT/{kind}",
            "zh_CN": f"全部时段的 {kind} 明细，按本地日；每个时段：--line {party}/SLOT/{kind}",
        }
        total = sum(days.values())
        step = Step(what, numbers(_sum(days[day] for day in sorted(days))), total, _nano(billing), holds=True)
        yield MonthLine(kind, words[kind].title, [step], energy_wh[kind, tax_ppm], total, tax_ppm)


# ------------------------------------------------------------------------------------------------- lines of the tariff


class _Slots(NamedTuple):
    """The slots of the month in which an entry holds for the party: their places, and the local day of each."""

    places: Sequence[int]
    day_of_place: Sequence[int]

    @property
    def days(self) -> Sequence[int]:
        """The days that they are of, ascending, each once."""
        return sorted(set(self.day_of_place))


class _Entry(NamedTuple):
    """One entry of a component, or its days of one rate of tax: where it holds, on how many days the party was billed, and what the lines come to of which

    it is a share. so_far: where it holds on these days and on those of earlier rates; valid: where it would hold so far at all hours of all days of the
    week; whole: where it holds in the month; earlier_nano: what it came to on the days of earlier rates; used_wh: of steps of a year, what was used before,
    by month, then by earlier entries of this month; used_here_wh: of steps, on the days of earlier rates.
    """

    component: Component
    billing: Billing
    charging: Charging
    slots: _Slots
    so_far: _Slots
    valid: _Slots
    whole: _Slots
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
        return self.step("Amount", "金额", formula, amount_nano, _nano(self.billing))


class _Part(NamedTuple):
    """Days of a month that follow each other, of one rate of tax of an entry."""

    tax_ppm: int | None
    days: Sequence[int]


def _component_lines(billing: Billing, charging: Charging, lines_nano: Mapping[str, int]) -> list[MonthLine]:
    """One line a name and rate of tax; ``lines_nano``: what the contract's lines come to."""
    so_far_nano, of_year = dict(lines_nano), dict[str, int]()
    found: dict[tuple[str, int | None], MonthLine] = {}
    for component in billing.tariffs[charging.party].components:
        before_wh = [*billing.used_before_wh.get(charging.party, {}).get(component.name, {}).values()]
        used_wh = [*before_wh, of_year.get(component.name, 0)] if component.is_of_year else []
        shared_nano = [so_far_nano.get(kind, 0) for kind in component.of]
        title = {
            "en": f"charge of the tariff, to {component.account}",
            "zh_CN": f"费率项目，收款科目 {component.account}",
        }
        for tax_ppm, steps, energy_wh, amount in _entry_parts(billing, charging, component, shared_nano, used_wh):
            if component.is_of_year:
                of_year[component.name] = of_year.get(component.name, 0) + energy_wh
            so_far_nano[component.name] = so_far_nano.get(component.name, 0) + amount
            key = component.name, tax_ppm
            before = found.get(key, MonthLine(component.name, title, (), 0, 0, tax_ppm))
            found[key] = before._replace(
                steps=[*before.steps, *steps],
                energy_wh=before.energy_wh + energy_wh,
                amount_nano=before.amount_nano + amount,
            )
    return list(found.values())


def _entry_parts(
    billing: Billing, charging: Charging, component: Component, shared_nano: Sequence[int], used_wh: Sequence[int]
) -> Iterator[tuple[int | None, Sequence[Step], int, int]]:
    """What an entry comes to at each rate of its tax: the rate, the steps, the energy and the amount."""
    local = _local_times(billing)
    day_of_slot = [of_slot.toordinal() for of_slot in local]
    billed = [at for at, is_billed in enumerate(charging.is_billed.tolist()) if is_billed]
    places = [at for at in billed if _holds(component, local[at])]
    valid = [at for at in billed if _holds(component.all_hours, local[at])]
    earlier_wh, earlier_nano = 0, 0

    def of_days(of: Sequence[int], first: int, last: int) -> _Slots:
        own = [at for at in of if first <= day_of_slot[at] <= last]
        return _Slots(own, [day_of_slot[at] for at in own])

    first_day, last_day = day_of_slot[0], day_of_slot[-1]
    for tax_ppm, days in _rate_parts(billing, charging.party, component):
        entry = _Entry(
            component=component,
            billing=billing,
            charging=charging,
            slots=of_days(places, days[0], days[-1]),
            so_far=of_days(places, first_day, days[-1]),
            valid=of_days(valid, first_day, days[-1]),
            whole=of_days(places, first_day, last_day),
            days_billed=len({day_of_slot[at] for at in billed}),
            shared_nano=shared_nano,
            earlier_nano=earlier_nano,
            used_wh=used_wh,
            used_here_wh=earlier_wh,
        )
        counted = of_days(valid if component.base in POWER_BASES else places, days[0], days[-1])
        steps, amount = _STEPS[component.base](entry) if places and counted.places else ([], 0)
        energy_wh = steps[0].result if steps and component.base in ENERGY_BASES else 0
        earlier_wh, earlier_nano = earlier_wh + energy_wh, earlier_nano + amount
        yield tax_ppm, steps, energy_wh, amount


def _rate_parts(billing: Billing, party: str, component: Component) -> list[_Part]:
    """The days of the month by the rate of tax of an entry: its own, else the tariff's on the day, None where no tax is paid."""
    terms, parts = own_terms(billing, party), list[_Part]()
    for day in sorted({local.toordinal() for local in _local_times(billing)}):
        rate = terms.rate_on(day) if (own_ppm := component.own_rate_on(day)) is None else own_ppm
        rate_of_day = rate if component.is_taxed else None
        if parts and parts[-1].tax_ppm == rate_of_day:
            parts[-1] = _Part(rate_of_day, [*parts[-1].days, day])
        else:
            parts.append(_Part(rate_of_day, [day]))
    return parts


def own_terms(billing: Billing, party: str) -> InvoiceTerms:
    """By which terms a party's documents of the month are made."""
    return billing.tariffs[party].terms_of(int(billing.months.calendar.day[0]))


def _holds(component: Component, local: datetime) -> bool:
    """Whether an entry holds in the slot that starts at a local time."""
    day, second = local.toordinal(), local.hour * _HOUR_S + local.minute * 60 + local.second
    return (
        (component.from_day is None or component.from_day <= day)
        and (component.until_day is None or day < component.until_day)
        and (not component.months or local.month in component.months)
        and (not component.weekdays or local.isoweekday() in component.weekdays)
        and (not component.day_kinds or kind_of(component, day) in component.day_kinds)
        and (not component.windows or any(start_s <= second < end_s for start_s, end_s in component.windows))
    )


_Steps = tuple[list[Step], int]


def _of_energy(entry: _Entry) -> _Steps:
    """Per kWh, at one price or by steps of the month's energy."""
    component = entry.component
    energies_wh = _energies_of(component.base, entry.charging.usage)
    of_day = _by_day(entry.slots, energies_wh)
    energy_wh, base, span = sum(of_day.values()), _BASES[component.base], _span(entry.slots)
    english, chinese = (
        f"{component.name}: {base['en']}, {span['en']}",
        f"{component.name}：{base['zh_CN']}，{span['zh_CN']}",
    )
    steps = [entry.step(english, chinese, _sum(of_day.values()), energy_wh, "Wh")]
    if component.price_series:
        return _by_series(entry, steps, energies_wh)
    if component.levels:
        return _by_levels(entry, steps)
    if not component.steps:
        amount = energy_wh * component.price
        return [*steps, entry.price("kWh"), entry.amount(f"{energy_wh} × {bracketed(component.price)}", amount)], amount
    below_wh, parts = sum(entry.used_wh) + entry.used_here_wh, []
    if component.is_of_year:
        english = "Used from the year's begin to the month's, by month, as the last runs say; and by earlier entries of the month"
        chinese = "本年初至本月初的用电量，按月，以最后批次为准；以及本月先前条目的用电量"
        steps.append(entry.step(english, chinese, _sum(entry.used_wh), sum(entry.used_wh), "Wh"))
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
    return [*steps, entry.step(english, chinese, formula, amount, _nano(entry.billing))], amount


def _energies_of(base: str, usage: Usage) -> list[int]:
    """Wh of each slot that a base counts."""
    imports, exports, traded = usage.import_wh.tolist(), usage.export_wh.tolist(), usage.traded_wh.tolist()
    residual = [took - of_it for took, of_it in zip(imports, traded, strict=True)]
    found: list[int] = {"import": imports, "export": exports, "traded": traded, "residual": residual}[base]
    return found


def _by_day(slots: _Slots, of_slot: Sequence[int]) -> dict[int, int]:
    """The sum of something of the slots by local day."""
    of_day = dict.fromkeys(slots.days, 0)
    for at, day in zip(slots.places, slots.day_of_place, strict=True):
        of_day[day] += of_slot[at]
    return of_day


def _by_levels(entry: _Entry, steps: list[Step]) -> _Steps:
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
        steps.append(entry.step(f"Of it at {named}", f"其中电压等级 {named}", _sum(of_day.values()), energy_wh, "Wh"))
        english, chinese = f"Price {named}{upto}: {where['en']}", f"价格 {named}{upto}：{where['zh_CN']}"
        steps.append(entry.step(english, chinese, formula, price, unit))
        parts.append((energy_wh, price))
    amount = sum(energy_wh * price for energy_wh, price in parts)
    formula = " + ".join(f"{energy_wh} × {bracketed(price)}" for energy_wh, price in parts)
    return [*steps, entry.amount(formula, amount)], amount


def _by_ways(entry: _Entry, steps: list[Step]) -> _Steps:
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
    return [*steps, entry.amount(formula, amount)], amount


def _by_series(entry: _Entry, steps: list[Step], energies_wh: Sequence[int]) -> _Steps:
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
    return [*steps, entry.step(english, chinese, _sum(of_day.values()), amount, _nano(entry.billing))], amount


def _of_power(entry: _Entry) -> _Steps:
    """Per kW and month: by what was contracted, or by the highest mean power of a slot, of all points together or of each one."""
    component, days = entry.component, len(entry.valid.days)
    name, steps, parts = component.name, list[Step](), list[tuple[int, int]]()
    if component.base == KW_PEAK:
        usage, everybody = entry.charging.usage, PointUsage(entry.charging.usage.import_wh, entry.charging.is_billed)
        whose = usage.at_point if component.peak_of == OF_POINT else {"": everybody}
        for point, own in whose.items():
            found, power_w, own_days = _peak_steps(entry, point, own)
            steps += found
            parts.append((power_w, own_days))
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
    return [*steps, entry.price("kW"), entry.step(english, chinese, formula, amount, _nano(entry.billing))], amount


def _peak_steps(entry: _Entry, point: str, own: PointUsage) -> tuple[list[Step], int, int]:
    """The highest slot of a point ("" for all of the party together), its power, and the days on which the entry is valid there."""
    imports, billed = own.import_wh.tolist(), own.is_billed.tolist()
    places = [at for at in entry.whole.places if billed[at]]
    days = {day for at, day in zip(entry.valid.places, entry.valid.day_of_place, strict=True) if billed[at]}
    if not places:
        return [], 0, len(days)
    name = f"{entry.component.name}, {point}" if point else entry.component.name
    at, slot_s = max(places, key=lambda place: imports[place]), entry.billing.dataset.slot_s
    start = _local_times(entry.billing)[at].isoformat(timespec="minutes")
    power_w = imports[at] * _HOUR_S // slot_s
    return [
        entry.step(f"{name}: highest import of a slot, {start}", f"{name}：最大的时段用电量，{start}", str(imports[at]), imports[at], "Wh"),
        entry.step("Its mean power, rounded down", "其平均功率，向下取整", f"{imports[at]} × {_HOUR_S} ÷ {slot_s}", power_w, "W"),
    ], power_w, len(days)  # fmt: skip


def _of_days(entry: _Entry) -> _Steps:
    """Per day."""
    component, days, span = entry.component, len(entry.slots.days), _span(entry.slots)
    amount = days * component.price * 1_000
    steps = [entry.step(f"{component.name}: {span['en']}", f"{component.name}：{span['zh_CN']}", str(days), days, "d"), entry.price("d")]  # fmt: skip
    return [*steps, entry.amount(f"{days} × {bracketed(component.price)} × 1000", amount)], amount


def _of_lines(entry: _Entry) -> _Steps:
    """A share of other lines, and of the days."""
    component, days = entry.component, len(entry.so_far.days)
    of_what, total = ", ".join(component.of), sum(entry.shared_nano)
    english, chinese = f"{component.name}: a share of {of_what}", f"{component.name}：以 {of_what} 为基数"
    where = _registered(entry.billing, entry.charging.party, component)
    of_share = derive_share(component, entry.charging, entry.billing, where)
    if not of_share:
        return [], 0
    share_ppm = of_share[-1].result
    amount = total * share_ppm * days // (_PPM * entry.days_billed) - entry.earlier_nano
    return [
        entry.step(english, chinese, _sum(entry.shared_nano), total, _nano(entry.billing)),
        *of_share,
        entry.step(
            f"Amount: lines × share × its days ÷ days billed, rounded down; {_span(entry.so_far)['en']}",
            f"金额：基数 × 比例 × 有效天数 ÷ 计费天数，向下取整；{_span(entry.so_far)['zh_CN']}",
            entry.less_earlier(
                f"{bracketed(total)} × {bracketed(share_ppm)} × {days} ÷ ({_PPM} × {entry.days_billed})"
            ),
            amount,
            _nano(entry.billing),
        ),
    ], amount


_STEPS: Final[Mapping[str, Callable[[_Entry], _Steps]]] = {
    **dict.fromkeys(ENERGY_BASES, _of_energy),
    **dict.fromkeys(POWER_BASES, _of_power),
    DAY: _of_days,
    PERCENT: _of_lines,
}


# ------------------------------------------------------------------------------------------------------------- words


def _span(of: _Slots) -> Text:
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


def _local_times(billing: Billing) -> Sequence[datetime]:
    """When each slot starts, by the clock of the ledger's time zone."""
    zone = ZoneInfo(billing.dataset.timezone)
    return [datetime.fromtimestamp(start_s, zone) for start_s in billing.dataset.slot_start_s.tolist()]


def _days_of_month(day: date) -> int:
    """How many days the month of a day has."""
    first = day.replace(day=1)
    return ((first + timedelta(days=31)).replace(day=1) - first).days


def _currency(billing: Billing) -> str:
    return billing.dataset.rules.invoice.currency


def _nano(billing: Billing) -> str:
    return f"1e-9 {_currency(billing)}"


def bracketed(number: int) -> str:
    """A number of a formula."""
    return f"({number})" if number < 0 else str(number)


def _sum(values: Iterable[int]) -> str:
    return " + ".join(map(bracketed, values)) or "0"
