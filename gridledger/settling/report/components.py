"""The section of the report about a tariff's components: what each is charged by, at which price, when, and from which day on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from html import escape
from typing import Final

from gridcore.registry.named_days import HOLIDAY, WEEKEND, WORKDAY
from gridcore.report.markup import Cell, Text, kilo, money, number, paragraph, say, section, table, word
from gridledger.settling.report.figures import ROWS_MAX, ComponentFigures, Figures
from gridledger.settling.uncharged_components import NOT_THERE, PARTIAL, REASONS
from settlement.tariffs.components import DAY, ENERGY_BASES, OF_PARTY, PERCENT, Component

_MICRO_NANO: Final = 1_000
"""A micro of the currency."""
_PERCENT_NANO: Final = 100_000
"""A millionth as parts of a per cent."""
_BASES: Final[Mapping[str, Text]] = {
    "import": Text("import", "用电量"),
    "export": Text("export", "上网电量"),
    "traded": Text("import that was traded", "已交易的用电量"),
    "residual": Text("import that was not traded", "未交易的用电量"),
    "kw_contracted": Text("what was contracted", "合同容量"),
    "kw_peak": Text("the month's highest slot", "当月最大需量"),
    DAY: Text("day", "天数"),
}
_REASONS: Final[Mapping[str, Text]] = {
    NOT_THERE: Text(REASONS[NOT_THERE], "该计量点没有无功电量"),
    PARTIAL: Text(REASONS[PARTIAL], "其无功电量的时段与该用户当月已结算的时段不一致"),
}
_OF_EACH_POINT: Final = Text("the month's highest slot of each point", "各计量点当月最大需量")
_UNITS: Final[Mapping[str, Text]] = {DAY: Text("day", "日"), **dict.fromkeys(ENERGY_BASES, Text("kWh", "千瓦时"))}


_DAY_KINDS: Final[Mapping[str, Text]] = {
    HOLIDAY: Text("holidays", "节假日"),
    WEEKEND: Text("weekends", "休息日"),
    WORKDAY: Text("working days", "工作日"),
}


def components_section(figures: Figures) -> str:
    """Every entry of a component, in the order in which they are charged; "" where there is none."""
    if not figures.components:
        return ""
    heads = (
        (Text("Component", "项目"), False),
        (Text("Charged by", "计费基数"), False),
        (Text("Price", "价格"), True),
        (Text("When", "时段"), False),
        (Text("Days", "有效期"), False),
        (Text("Tax", "税"), False),
        (Text("Account", "收款科目"), False),
        (Text("Parties", "户数"), True),
    )
    note = Text(
        "Charges of a month are computed from the ledger, and no bundle proves them. gridledger settle explain --settled OUT --line "
        "PARTY/MONTH/KIND shows how one comes about, gridledger settle replay --settled OUT computes all documents again.",
        "按月收取的项目由账本计算得出，证据包不证明这些项目。gridledger settle explain --settled OUT --line PARTY/MONTH/KIND "
        "逐步显示其计算过程，gridledger settle replay --settled OUT 重新计算全部单据。",
    )
    rows = [_row(one, figures.currency) for one in figures.components]
    return section(Text("Charges by the month", "按月收取的项目"), table(heads, rows), paragraph(note))


def uncharged_section(figures: Figures) -> str:
    """Components that are left out of some months; "" where none is."""
    if not figures.uncharged:
        return ""
    heads = (
        (Text("Party", "用户"), False),
        (Text("Month", "月份"), False),
        (Text("Component", "项目"), False),
        (Text("Point", "计量点"), False),
        (Text("Why", "原因"), False),
    )
    rows = [
        [word(one.party), word(one.month), word(one.component), word(one.point), Cell(say(_REASONS[one.reason]))]
        for one in figures.uncharged[:ROWS_MAX]
    ]
    more = len(figures.uncharged) - len(rows)
    also, also_zh = (f" {more} more.", f"另有 {more} 项。") if more else ("", "")
    english = (
        "Without the reactive energy of all points of a party there is no power factor: nothing is added or taken off."
    )
    note = Text(f"{english}{also}", f"用户任一计量点缺少无功电量时，没有功率因数，不增收也不减收。{also_zh}")
    return section(Text("Not charged", "未收取的项目"), table(heads, rows), paragraph(note))


def _row(of: ComponentFigures, currency: str) -> list[Cell]:
    component = of.component
    base = _BASES.get(component.base) if component.peak_of == OF_PARTY else _OF_EACH_POINT
    tax = Text("taxed", "计税") if component.is_taxed else Text("not taxed", "不计税")
    if component.tax_ppm is not None:
        rate = money(component.tax_ppm, _PERCENT_NANO)
        tax = Text(f"{rate} %", f"{rate} %")
    return [
        word(component.name),
        Cell(say(base)) if base is not None else Cell(escape(", ".join(component.of)), is_list=True),
        Cell(_price(component, currency), is_number=True),
        Cell(_when(component), is_list=True),
        word(_days(component)),
        Cell(say(tax)),
        word(component.account),
        number(str(of.parties)),
    ]


def _price(component: Component, currency: str) -> str:
    """The price with its unit; of steps each with the energy above which it counts, of levels each with its name; where a series says it, the name of that."""
    if component.levels:
        prices = component.prices_at_levels()
        upto = Text(", less that of the highest level of each trade", "，减去每笔交易所及最高等级的价格")
        shown = escape(f"{'; '.join(f'{level}: {_amount(price)}' for level, price in prices)} {currency}/kWh")
        return shown + (say(upto) if component.covers else "")
    if component.price_series:
        name = component.price_series
        return say(Text(f"by slot: series {name}", f"按时段：价格序列 {name}"))
    if component.power_factor_standard:
        standard = f"0.{component.power_factor_standard}"
        return say(Text(f"by the power factor, standard {standard}", f"按功率因数，标准 {standard}"))
    if component.base == PERCENT:
        return f"{money(component.price, _PERCENT_NANO)} %"
    if component.steps:
        begins_wh = [0, *(step.until_wh or 0 for step in component.steps)]
        steps = zip(begins_wh, component.steps, strict=False)
        texts = [f"> {kilo(begin_wh)} kWh: {_amount(step.price_micro_per_kwh)}" for begin_wh, step in steps]
        per = say(Text(" (of the year)", "（全年）")) if component.is_of_year else ""
        return escape(f"{'; '.join(texts)} {currency}/kWh") + per
    unit = _UNITS.get(component.base, Text("kW and month", "千瓦·月"))
    return f"{escape(f'{_amount(component.price)} {currency}')}/{say(unit)}"


def _amount(micro: int) -> str:
    return money(micro, _MICRO_NANO)


def _when(component: Component) -> str:
    """The times of day, the kinds of days, the days of the week and the months in which it counts; "" for all."""
    hours = ", ".join(f"{_clock(start_s)}–{_clock(end_s)}" for start_s, end_s in component.windows)
    months = ", ".join(map(str, component.months))
    of_year = say(Text(f"months {months}", f"{months} 月")) if months else ""
    kinds = ", ".join(say(_DAY_KINDS[kind]) for kind in component.day_kinds)
    days = ", ".join(map(str, component.weekdays))
    of_week = say(Text(f"days of the week {days} (1: Monday)", f"星期 {days}（1 为周一）")) if days else ""
    return "; ".join(part for part in (escape(hours), kinds, of_week, of_year) if part)


def _clock(second: int) -> str:
    return f"{second // 3_600:02}:{second % 3_600 // 60:02}"


def _days(component: Component) -> str:
    """The first local day and the last one; "" where it has none."""
    first = "" if component.from_day is None else date.fromordinal(component.from_day).isoformat()
    last = "" if component.until_day is None else date.fromordinal(component.until_day - 1).isoformat()
    return f"{first} – {last}".strip() if first or last else ""
