"""Components as rows of the registry hold them (``tariff/<name>``), and what holds for a party out of the entries of its tariffs.

What stands the same in entries that follow each other is one component: steps and peaks of a month go on where another component changes, or the rate of tax.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from gridcore.forms import TIME_S_MAX
from gridcore.registry.row import ROW_BYTES_MAX, Row
from gridcore.registry.tariff import LEVELS_NAMED, TARIFF, Tariff
from settlement.tariffs.components import (
    MONTH,
    OF_PARTY,
    PERCENT,
    POWER_BASES,
    Component,
    NamedDay,
    OwnRate,
    Step,
    Window,
)
from settlement.tariffs.named_days import days_of_row
from settlement.tariffs.network import VoltageLevel

_LONGEST_NAME: Final = "x" * 64


class FromDay(NamedTuple):
    """What a party is charged by from a local day on (``date.toordinal``). tariff: None for nothing; contracted_w: by component; name: of the tariff."""

    day: int
    tariff: Tariff | None
    contracted_w: Mapping[str, int]
    name: str = ""


def row_of(component: Component) -> dict[str, Any]:
    """A component as a row holds it: without its validity and its parties, which entries and parties say."""
    row: dict[str, Any] = {
        "account": component.account,
        "base": component.base,
        "name": component.name,
        "taxed": component.is_taxed,
    }
    if component.tax_ppm is not None:
        row["tax_ppm"] = component.tax_ppm
    if component.peak_of != OF_PARTY:
        row["peak_of"] = component.peak_of
    if component.of:
        row["of"] = list(component.of)
    return row | _priced(component) | _times_of(component)


def _priced(component: Component) -> dict[str, Any]:
    """What says the price."""
    row: dict[str, Any] = {}
    if component.levels:
        row["levels"] = [list(level) for level in component.levels]
        row |= {key: getattr(component, key) for key in (*LEVELS_NAMED, "covers") if getattr(component, key)}
        if component.place_levels:
            row["place_levels"] = [list(place) for place in component.place_levels]
    elif component.power_factor_standard:
        row["power_factor_standard"] = component.power_factor_standard
    elif component.price_series:
        row["price_series"] = component.price_series
    elif component.steps:
        begins_wh = [0, *(step.until_wh or 0 for step in component.steps)]
        row["steps"] = [
            [from_wh, step.price_micro_per_kwh] for from_wh, step in zip(begins_wh, component.steps, strict=False)
        ]
        if component.is_of_year:
            row["steps_per"] = component.steps_per
    else:
        row["price"] = component.price
    return row


def _times_of(component: Component) -> dict[str, Any]:
    """The hours, days and months in which a component holds, as a row holds them; nothing of those that it does not name."""
    times = {
        "windows": [list(window) for window in sorted(component.windows)],
        "weekdays": sorted(set(component.weekdays)),
        "day_kinds": sorted(set(component.day_kinds)),
        "months": sorted(set(component.months)),
    }
    return {key: said for key, said in times.items() if said}


def component_of(row: Mapping[str, Any], contracted_w: Mapping[str, int], days: Sequence[NamedDay] = ()) -> Component:
    """The component of a row, for ever. contracted_w: of whom it is charged to, by the name of who that is; days: that its tariff names."""
    steps = row.get("steps", [])
    until_wh: list[int | None] = [from_wh for from_wh, _ in steps[1:]]
    return Component(
        name=row["name"],
        account=row["account"],
        base=row["base"],
        price=row.get("price", 0),
        is_taxed=row["taxed"],
        tax_ppm=row.get("tax_ppm"),
        months=tuple(row.get("months", ())),
        windows=tuple(Window(*window) for window in row.get("windows", ())),
        weekdays=tuple(row.get("weekdays", ())),
        day_kinds=tuple(row.get("day_kinds", ())),
        named_days=tuple(days) if "day_kinds" in row else (),
        peak_of=row.get("peak_of", OF_PARTY),
        steps=tuple(Step(until, price) for until, (_, price) in zip([*until_wh, None], steps, strict=False)),
        steps_per=row.get("steps_per", MONTH),
        price_series=row.get("price_series", ""),
        levels=tuple(VoltageLevel(*level) for level in row.get("levels", ())),
        highest_level=row.get("highest_level", ""),
        user_level=row.get("user_level", ""),
        covers=row.get("covers", ""),
        power_factor_standard=row.get("power_factor_standard", 0),
        place_levels=tuple((place, level) for place, level in row.get("place_levels", ())),
        contracted_w=contracted_w if row["base"] == POWER_BASES[0] else {},
        of=tuple(row.get("of", ())),
    )


def fault_of(tariff: Tariff) -> str:
    """What no registry takes of a tariff, in words; "" where nothing is."""
    value = TARIFF.encode(tariff)
    if words := TARIFF.fault_of(value):
        return words
    octets = len(Row(TARIFF.key(_LONGEST_NAME), TIME_S_MAX, value).encode())
    return f"all of them have {octets} bytes, a row has {ROW_BYTES_MAX}" if octets > ROW_BYTES_MAX else ""


def components_in_force(party: str, said: Sequence[FromDay]) -> tuple[Component, ...]:
    """What a party is charged, in the order in which it is: shares of other lines behind these.

    said: ascending by day, from the first one on that counts.
    """
    found: list[Component] = []
    ends = [one.day for one in said[1:]]
    for one, until_day in zip(said, [*ends, None], strict=True):
        days = days_of_row(one.tariff.days) if one.tariff is not None else ()
        for row in one.tariff.components if one.tariff is not None else ():
            component = component_of(row, {party: one.contracted_w.get(row["name"], 0)}, days)
            whole = component._replace(from_day=one.day, until_day=until_day)
            before = [place for place, other in enumerate(found) if _goes_on(other, whole)]
            if before:
                same = [place for place in before if found[place].own_rate_on(one.day) == whole.tax_ppm]
                place = (same or before)[0]
                found[place] = _gone_on(found[place], whole)
            else:
                found.append(whole)
    return in_order(found)


def _goes_on(earlier: Component, later: Component) -> bool:
    """Whether a component is the same from the day on that ends another one; its rate of tax and which days are named may differ."""
    if earlier.until_day != later.from_day:
        return False
    one, other = (
        part._replace(from_day=None, until_day=None, named_days=(), tax_ppm=None, later_rates=())
        for part in (earlier, later)
    )
    return one == other


def _gone_on(earlier: Component, later: Component) -> Component:
    """Both as one: each day is of the kind that it is to the entry in force on it, and has the rate of tax of this entry."""
    begins = later.from_day or 0
    before = [one for one in earlier.named_days if one.day < begins]
    behind = [one for one in later.named_days if one.day >= begins]
    is_same = earlier.own_rate_on(begins) == later.tax_ppm
    rates = earlier.later_rates if is_same else (*earlier.later_rates, OwnRate(begins, later.tax_ppm))
    return earlier._replace(until_day=later.until_day, named_days=(*before, *behind), later_rates=rates)


def in_order(components: Sequence[Component]) -> tuple[Component, ...]:
    """Each share behind what it is a share of. Entries of several tariffs may make shares of one another: then the first of them goes first."""
    ordered = [component for component in components if component.base != PERCENT]
    waiting = [component for component in components if component.base == PERCENT]
    while waiting:
        names = {component.name for component in waiting}
        ready = [one for one in waiting if not (names - {one.name}).intersection(one.of)]
        ordered.append((ready or waiting)[0])
        waiting.remove(ordered[-1])
    return tuple(ordered)


def days_of_change(components: Sequence[Component]) -> list[int]:
    """The days on which entries begin or end, ascending, each once."""
    return sorted({day for one in components for day in (one.from_day, one.until_day) if day is not None})


def holds_on(component: Component, day: int | None) -> bool:
    """Whether an entry is valid on a day; None: before every day of change."""
    if day is None:
        return component.from_day is None
    return (component.from_day or 0) <= day and (component.until_day is None or day < component.until_day)


def fault_of_names(components: Iterable[Component]) -> str:
    """What is wrong with a component that has two accounts, bases or tax flags under one name; "" where nothing is."""
    known: dict[str, tuple[str, str, bool]] = {}
    for one in components:
        said = one.account, one.base, one.is_taxed
        if known.setdefault(one.name, said) != said:
            return f"{one.name} has another account, base or tax flag than on the ledger: give it another name"
    return ""
