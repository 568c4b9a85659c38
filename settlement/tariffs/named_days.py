"""Which kind of day a day is: by its name in the tariff's table of days, else by the day of the week."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, Final

import numpy as np

from gridcore.registry.named_days import WEEKEND, WORKDAY, NamedDays, fault_of_days, is_day
from settlement.contract_kit_1 import Int64Column
from settlement.errors import SettlementError
from settlement.tariffs.components import Component, NamedDay

_FRIDAY: Final = 5


def days_of_table(table: object) -> tuple[NamedDay, ...]:
    """Those of ``[tariff.days]``: of each kind a list of dates. SettlementError, one line, for what is none."""
    if isinstance(table, dict):
        table = {kind: _as_texts(str(kind), days) for kind, days in table.items()}
    if words := fault_of_days(table):
        raise SettlementError(f"[tariff.days] {words}")
    return days_of_row(table if isinstance(table, dict) else None)


def table_of_days(days: Iterable[NamedDay]) -> dict[str, list[date]]:
    """``[tariff.days]`` of some named days."""
    found: dict[str, list[date]] = {}
    for one in sorted(days):
        found.setdefault(one.kind, []).append(date.fromordinal(one.day))
    return found


def days_of_row(days: NamedDays | None) -> tuple[NamedDay, ...]:
    """Those of a row of the registry, ascending."""
    named = (days or {}).items()
    return tuple(sorted(NamedDay(date.fromisoformat(day).toordinal(), kind) for kind, own in named for day in own))


def row_of_days(days: Iterable[NamedDay]) -> dict[str, list[str]] | None:
    """Named days as a row of the registry holds them; None of none."""
    found: dict[str, list[str]] = {}
    for kind, own in table_of_days(days).items():
        found[kind] = [day.isoformat() for day in own]
    return found or None


def kind_of_week(day: int) -> str:
    """What a day is that is not named (``date.toordinal``)."""
    return WORKDAY if date.fromordinal(day).isoweekday() <= _FRIDAY else WEEKEND


def is_of_kinds(days: Int64Column, component: Component) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """bool[slots]: where days of slots (``date.toordinal``, ascending) are of the kinds for which a component holds."""
    is_workday = (days + 6) % 7 + 1 <= _FRIDAY
    found = np.where(is_workday, WORKDAY in component.day_kinds, WEEKEND in component.day_kinds)
    for day, kind in component.named_days:
        first, end = np.searchsorted(days, [day, day + 1])
        found[first:end] = kind in component.day_kinds
    return found


def kind_of(component: Component, day: int) -> str:
    """Which kind of day a day is to a component."""
    return next((one.kind for one in component.named_days if one.day == day), kind_of_week(day))


def common_days(components: Sequence[Component], first_day: int, last_day: int) -> tuple[NamedDay, ...]:
    """One table of days that gives all components with kinds of days what each of them names, from ``first_day`` to ``last_day``, both included; days that
    they name outside of these come with it.

    SettlementError where two components take a day for different kinds: no table says that.
    """
    known: dict[int, tuple[str, str]] = {}
    others: dict[int, str] = {}
    for one in (part for part in components if part.day_kinds):
        begins = first_day if one.from_day is None else max(first_day, one.from_day)
        ends = last_day if one.until_day is None else min(last_day, one.until_day - 1)
        for day in range(begins, ends + 1):
            kind = kind_of(one, day)
            other, name = known.setdefault(day, (kind, one.name))
            if other != kind:
                words = f"{date.fromordinal(day)} is {other} to {name}, and {kind} to {one.name}"
                raise SettlementError(f"[tariff.days] {words}")
        others |= dict(one.named_days)
    named = {day: kind for day, (kind, _) in known.items() if kind != kind_of_week(day)}
    outside = {day: kind for day, kind in others.items() if day not in known}
    return tuple(NamedDay(day, kind) for day, kind in sorted({**outside, **named}.items()))


def _as_texts(kind: str, days: object) -> object:
    """Dates as the registry has them. SettlementError for a date in quotes, and for one with a time."""
    return [_as_text(kind, day) for day in days] if isinstance(days, list) else days


def _as_text(kind: str, day: object) -> str:
    if isinstance(day, datetime):
        words = f"a date without a time is needed, as {day.date()}, not {day.isoformat()}"
        raise SettlementError(f"[tariff.days] {kind}: {words}")
    if isinstance(day, str) and is_day(day):
        raise SettlementError(f"[tariff.days] {kind}: {day} stands in quotes; write it without quotes")
    return day.isoformat() if isinstance(day, date) else str(day)
