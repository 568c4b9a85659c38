"""How the share of a component follows from a month's power factor, step by step: a second way beside the columns, by the tables as the rule prints them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from gridledger.settling.dataset import ReactiveRow
from gridledger.settling.derivation import Step, Text, numbers
from gridledger.settling.results.billing import Billing
from gridledger.settling.results.tariff_lines import Charging
from settlement.tariffs.components import Component

_BELOW: Final = ((20, 5_000), (5, 10_000), (100, 20_000))
"""How many hundredths below the standard add how many millionths each, one behind the other."""
_LAST: Final = {90: 95, 85: 94, 80: 92}
"""By standard: the power factor from which on no more is taken off."""
_MILD_PPM: Final = 1_000
_KEEN: Final = 90
_KEEN_PPM: Final = 1_500


def derive_share(component: Component, charging: Charging, billing: Billing, where: Text) -> list[Step]:
    """The steps to the share of a percent component, the last one its millionths; none where the month has no power factor.

    billing: of one month; where: which tariff has the component, in words.
    """
    if not component.power_factor_standard:
        share_ppm = component.price
        return [_step(f"The share: {where['en']}", f"比例：{where['zh_CN']}", str(share_ppm), share_ppm, "ppm")]
    if not charging.usage.reactive:
        return []
    standard, rows = component.power_factor_standard, _rows(charging, billing)
    days: dict[int, int] = {}
    zone = ZoneInfo(billing.dataset.timezone)
    energies = zip(billing.dataset.slot_start_s.tolist(), charging.usage.import_wh.tolist(), charging.is_billed.tolist(), strict=True)  # fmt: skip
    for start_s, import_wh, is_billed in energies:
        if is_billed:
            day = datetime.fromtimestamp(start_s, zone).toordinal()
            days[day] = days.get(day, 0) + import_wh
    active_wh = sum(days.values())
    energies_varh = [row.reactive_varh + row.returned_varh for row in rows]
    reactive_varh, points = sum(energies_varh), ", ".join(dict.fromkeys(row.point for row in rows))
    steps = [
        _step("Active energy: import of the month, by local day", "有功电量：当月用电量，按本地日", _sum(days.values()), active_wh, "Wh"),
        _step(
            f"Reactive energy, taken and given back: reactive_energy of {points}", f"无功电量，含反送：{points} 的 reactive_energy",
            " + ".join(f"({row.reactive_varh} + {row.returned_varh})" for row in rows), reactive_varh, "varh",
        ),
    ]  # fmt: skip
    if not active_wh + reactive_varh:
        none = _step("No energy, no power factor", "没有电量，没有功率因数", "0", 0, "ppm")
        return [*steps, none]
    hundredths = _hundredths(active_wh, reactive_varh)
    share_ppm, formula = _share(hundredths, standard)
    cos_phi = f"100 × {active_wh} ÷ √({active_wh}² + {reactive_varh}²)"
    english, chinese = (
        f"Power factor cos φ × 100, rounded, a half up (0.{hundredths:02})",
        f"功率因数 cos φ × 100，四舍五入（0.{hundredths:02}）",
    )
    if hundredths == 100:
        english, chinese = english.replace("0.100", "1.00"), chinese.replace("0.100", "1.00")
    steps.append(_step(english, chinese, cos_phi, hundredths, "1e-2"))
    english = f"The share, by the table of the standard 0.{standard}: {where['en']}"
    steps.append(_step(english, f"比例，按标准 0.{standard} 的调整表：{where['zh_CN']}", formula, share_ppm, "ppm"))
    return steps


def _rows(charging: Charging, billing: Billing) -> list[ReactiveRow]:
    """The spans that lie in slots in which a point is billed to the party."""
    starts_s, slot_s = billing.dataset.slot_start_s, billing.dataset.slot_s
    begins_s, ends_s = int(starts_s[0]), int(starts_s[-1]) + slot_s
    billed = billing.sheets.is_billed(charging.run)
    own: dict[str, set[int]] = {}
    for place in billing.points_of_party[charging.party].tolist():
        slots = starts_s[billed[:, place]].tolist()
        own.setdefault(billing.dataset.points[place].point, set()).update(slots)
    return [
        row
        for point, slots in sorted(own.items())
        for row in billing.tariffs[charging.party].reactive.get(point, ())
        if begins_s <= row.from_s and row.until_s <= ends_s and row.from_s in slots
    ]


def _hundredths(active_wh: int, reactive_varh: int) -> int:
    """100 x cos phi, counted down from 100 until half a hundredth below is not above it."""
    for hundredths in range(100, 0, -1):
        # cos phi >= (hundredths - 1/2) / 100, squared: without a root
        if active_wh**2 * 200**2 >= (2 * hundredths - 1) ** 2 * (active_wh**2 + reactive_varh**2):
            return hundredths
    return 0


def _share(hundredths: int, standard: int) -> tuple[int, str]:
    """The table's share in millionths, hundredth by hundredth, and how it comes about."""
    if hundredths >= standard:
        last = min(hundredths, _LAST[standard])
        keen = max(0, last - max(standard, _KEEN))
        mild = last - standard - keen
        parts = [(mild, _MILD_PPM), (keen, _KEEN_PPM)]
        return -sum(count * ppm for count, ppm in parts), f"−({_parts(parts)})"
    left, parts = standard - hundredths, list[tuple[int, int]]()
    for count, ppm in _BELOW:
        part = min(left, count)
        parts.append((part, ppm))
        left -= part
    return sum(count * ppm for count, ppm in parts), _parts(parts)


def _parts(parts: list[tuple[int, int]]) -> str:
    return " + ".join(f"{count} × {ppm}" for count, ppm in parts if count) or "0"


def _step(english: str, chinese: str, formula: str, result: int, unit: str) -> Step:
    return Step({"en": english, "zh_CN": chinese}, numbers(formula), result, unit, holds=True)


def _sum(values: Iterable[int]) -> str:
    return " + ".join(map(str, values)) or "0"
