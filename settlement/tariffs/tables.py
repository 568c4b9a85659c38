"""Components as the tables of a file: what ``reading`` makes of them is the same components again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any, Final

from settlement.tariffs.components import OF_PARTY, Component, Step
from settlement.tariffs.reading import PRICE_KEYS, in_thousands

_MINUTE_S: Final = 60
_HOUR_S: Final = 3_600


def tables_of(components: Iterable[Component]) -> list[dict[str, Any]]:
    """``[[tariff.component]]`` of each, in their order."""
    return [_table_of(component) for component in components]


def _table_of(component: Component) -> dict[str, Any]:
    days = {"valid_from": component.from_day, "valid_until": component.until_day}
    listed = {
        "months": [*component.months],
        "windows": [[_clock(window.start_s), _clock(window.end_s)] for window in component.windows],
        "weekdays": [*component.weekdays],
        "day_kinds": [*component.day_kinds],
        "peak_of": component.peak_of if component.peak_of != OF_PARTY else "",
        "parties": [*component.parties],
        "of": [*component.of],
    }
    return {
        "name": component.name,
        "account": component.account,
        "base": component.base,
        **_price_of(component),
        **({} if component.is_taxed else {"taxed": False}),
        **({} if component.tax_ppm is None else {"tax_ppm": component.tax_ppm}),
        **{key: date.fromordinal(day) for key, day in days.items() if day is not None},
        **{key: said for key, said in listed.items() if said},
        **({"steps": _steps(component.steps)} if component.steps else {}),
        **({"contracted_kw": _contracted(component)} if component.contracted_w else {}),
    }


def _price_of(component: Component) -> dict[str, Any]:
    """What says the price, but for steps, whose tables stand behind everything else."""
    if component.levels:
        said = {name: getattr(component, name) for name in ("highest_level", "user_level", "covers")}
        said["place_levels"] = [[*place] for place in component.place_levels]
        return {"levels": [[*level] for level in component.levels], **{key: one for key, one in said.items() if one}}
    if component.power_factor_standard:
        return {"power_factor_standard": component.power_factor_standard}
    if component.price_series:
        return {"price_series": component.price_series}
    if component.steps:
        return {"steps_per": component.steps_per}
    return {PRICE_KEYS[component.base]: component.price}


def _steps(steps: Sequence[Step]) -> list[dict[str, int | str]]:
    return [
        {
            **({} if step.until_wh is None else {"until_kwh": in_thousands(step.until_wh)}),
            "price_micro_per_kwh": step.price_micro_per_kwh,
        }
        for step in steps
    ]


def _contracted(component: Component) -> dict[str, int | str]:
    return {party: in_thousands(power_w) for party, power_w in component.contracted_w.items()}


def _clock(second: int) -> str:
    minutes, seconds = divmod(second, _MINUTE_S)
    shown = f"{second // _HOUR_S:02}:{minutes % 60:02}"
    return f"{shown}:{seconds:02}" if seconds else shown
