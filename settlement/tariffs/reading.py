"""A tariff out of the tables of a file: what is no tariff is one line that names the table, the key and what would be right."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import Any, Final

from gridcore.errors import excerpt
from gridcore.forms import NAME
from gridcore.registry.named_days import DAY_KINDS, HOLIDAY
from gridcore.registry.tariff import GRID_PLACE_MAX, GRID_PLACES_MAX, POWER_FACTOR_STANDARDS
from settlement.errors import SettlementError
from settlement.tariffs.components import (
    BASES,
    COMPONENTS_MAX,
    DAY,
    DAY_S,
    ENERGY_BASES,
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
    Component,
    NamedDay,
    Step,
    Window,
)
from settlement.tariffs.network import VoltageLevel

PRICE_KEYS: Final = {
    **dict.fromkeys(ENERGY_BASES, "price_micro_per_kwh"),
    **dict.fromkeys(POWER_BASES, "price_micro_per_kw_month"),
    DAY: "price_micro_per_day",
    PERCENT: "share_ppm",
}
"""The key of a component's price, by its base."""
_KEYS: Final = (
    "name account base taxed tax_ppm valid_from valid_until months windows weekdays day_kinds peak_of steps steps_per parties contracted_kw of levels user_level highest_level covers place_levels "
    "price_micro_per_kwh price_micro_per_kw_month price_micro_per_day share_ppm price_series power_factor_standard"
).split()


_DECIMAL: Final = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,3}))?", re.ASCII)


def in_thousands(value: int) -> int | str:
    """W as kW, or Wh as kWh, as a file says them. value: at least 0."""
    whole, rest = divmod(value, 1_000)
    return f"{whole}.{rest:03}".rstrip("0") if rest else whole


def components_of(
    tables: Sequence[Mapping[str, Any]], line_kinds: Sequence[str], days: Sequence[NamedDay] = ()
) -> tuple[Component, ...]:
    """The components that the tables of a file name, in the file's order.

    line_kinds: of the contract that they stand beside; days: that the file names, ascending. SettlementError, one line, for what is no tariff.
    """
    if len(tables) > COMPONENTS_MAX:
        raise SettlementError(f"[[tariff.component]]: {len(tables)} entries; at most {COMPONENTS_MAX}")
    components = tuple(_component(number, table, days) for number, table in enumerate(tables, 1))
    for name in dict.fromkeys(component.name for component in components):
        _check_entries([component for component in components if component.name == name])
    known = list(line_kinds)
    for number, component in enumerate(components, 1):
        if component.name in line_kinds:
            raise SettlementError(
                f"[[tariff.component]] {number}, name: {component.name} is a kind of line of the contract"
            )
        unknown = [kind for kind in component.of if kind not in known]
        if unknown:
            raise SettlementError(
                f"[[tariff.component]] {number}, of: {unknown[0]} is neither a kind of line of the contract "
                "nor a component that stands before this one"
            )
        known.append(component.name)
    return components


def _check_entries(entries: Sequence[Component]) -> None:
    """One component's entries have one account, base and tax flag, and those that a party pays follow each other."""
    name = entries[0].name
    for entry in entries:
        if (entry.account, entry.base, entry.is_taxed) != (entries[0].account, entries[0].base, entries[0].is_taxed):
            raise SettlementError(f"tariff component {name}: its entries must have one account, base and tax flag")
    for own in _entries_by_party(entries):
        for earlier, later in pairwise(sorted(own, key=lambda entry: entry.from_day or 0)):
            if earlier.until_day == later.from_day and later.from_day is not None:
                continue
            overlaps = earlier.until_day is None or later.from_day is None or later.from_day < earlier.until_day
            word = "overlap" if overlaps else "leave a gap"
            raise SettlementError(
                f"tariff component {name}: entries {word} at {_day_words(later.from_day)}; "
                "each must begin (valid_from) on the day on which the one before it ends (valid_until)"
            )


def _entries_by_party(entries: Sequence[Component]) -> list[list[Component]]:
    """The entries that a party pays, once for all parties that pay the same ones; first those that everybody pays."""
    for_all = [place for place, entry in enumerate(entries) if not entry.parties]
    of_party: dict[str, list[int]] = {}
    for place, entry in enumerate(entries):
        for party in set(entry.parties):
            of_party.setdefault(party, []).append(place)
    together = [tuple(for_all), *(tuple(sorted([*for_all, *own])) for own in of_party.values())]
    return [[entries[place] for place in places] for places in dict.fromkeys(together)]


class _Table:
    """One table of a component, read key by key; what is wrong is said with its number."""

    def __init__(self, number: int, table: Mapping[str, Any]) -> None:
        self._values = table
        self._place = f"[[tariff.component]] {number}"
        for key in table:
            if key not in _KEYS:
                near = difflib.get_close_matches(key, _KEYS, 1)
                raise self.fault(key, f"unknown key{f'; did you mean {near[0]}?' if near else ''}")

    def fault(self, key: str, reason: str) -> SettlementError:
        return SettlementError(f"{self._place}, {key}: {reason}")

    def text(self, key: str) -> str:
        value = self._values.get(key)
        if not isinstance(value, str) or not value:
            raise self.fault(key, "a text is needed")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise self.fault(key, "a list of texts is needed")
        return tuple(value)

    def whole(self, key: str, value: object, least: int, most: int) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise self.fault(key, f"a whole number from {least} to {most} is needed, not {value!r}")
        return value

    def thousandths(self, key: str, value: object, least: int, most: int) -> int:
        """A number of kW or kWh in W or Wh: a whole one, or a text with up to three decimals, so that no fraction of a binary number comes between."""
        if isinstance(value, str) and (parts := _DECIMAL.fullmatch(value)):
            found = int(parts[1]) * 1_000 + int((parts[2] or "").ljust(3, "0"))
        else:
            found = value * 1_000 if isinstance(value, int) and not isinstance(value, bool) else -1
        if not least <= found <= most:
            words = f"from {in_thousands(least)} to {in_thousands(most)}"
            raise self.fault(
                key, f'a whole number {words} is needed, or a text as "7.5" with at most 3 decimals, not {value!r}'
            )
        return found

    def flag(self, key: str) -> bool:
        value = self._values.get(key, True)
        if not isinstance(value, bool):
            raise self.fault(key, "true or false is needed")
        return value

    def steps_per(self, *, has_steps: bool) -> str:
        if "steps_per" not in self._values:
            return MONTH
        if not has_steps:
            raise self.fault("steps_per", "only of steps")
        if (said := self.text("steps_per")) not in (MONTH, YEAR):
            raise self.fault("steps_per", f"{excerpt(said)} is neither {MONTH} nor {YEAR}")
        return said

    def day_kinds(self, days: Sequence[NamedDay]) -> tuple[str, ...]:
        said = self.texts("day_kinds")
        for kind in said:
            if kind not in DAY_KINDS:
                raise self.fault("day_kinds", f"{excerpt(kind)} is none of {', '.join(DAY_KINDS)}")
        if HOLIDAY in said and all(one.kind != HOLIDAY for one in days):
            raise self.fault("day_kinds", "[tariff.days] names no holiday")
        return tuple(kind for kind in DAY_KINDS if kind in said)

    def peak_of(self, base: str) -> str:
        if "peak_of" not in self._values:
            return OF_PARTY
        if base != KW_PEAK:
            raise self.fault("peak_of", f"only for {KW_PEAK}")
        if (said := self.text("peak_of")) not in (OF_PARTY, OF_POINT):
            raise self.fault("peak_of", f"{excerpt(said)} is neither {OF_PARTY} nor {OF_POINT}")
        return said

    def tax(self) -> int | None:
        if "tax_ppm" not in self._values:
            return None
        if not self.flag("taxed"):
            raise self.fault("tax_ppm", "no tax is paid on it, taxed is false")
        return self.whole("tax_ppm", self._values["tax_ppm"], 0, 1_000_000)

    def day(self, key: str) -> int | None:
        value = self._values.get(key)
        if value is None:
            return None
        if type(value) is not date:
            raise self.fault(key, "a date is needed, as 2026-07-01 without quotes")
        return value.toordinal()

    def price(self, base: str, *, has_steps: bool) -> int:
        wanted = PRICE_KEYS[base]
        if "price_series" in self._values:
            if has_steps or not {wanted, "levels"}.isdisjoint(self._values) or base not in ENERGY_BASES:
                raise self.fault("price_series", "it says the price alone, of a component per kWh")
            return 0
        if "levels" in self._values:
            if has_steps or wanted in self._values or base not in ENERGY_BASES:
                raise self.fault("levels", "they have the price, of a component per kWh")
            return 0
        if "power_factor_standard" in self._values:
            if wanted in self._values or base != PERCENT:
                raise self.fault("power_factor_standard", f"it says the share alone, of a component of base {PERCENT}")
            return 0
        for key in set(PRICE_KEYS.values()) - {wanted}:
            if key in self._values:
                raise self.fault(key, f"a component of base {base} has {wanted}")
        if has_steps:
            if wanted in self._values:
                raise self.fault(wanted, "the steps have the prices")
            return 0
        if wanted not in self._values:
            raise self.fault(wanted, "missing")
        return self.whole(wanted, self._values[wanted], -PRICE_MAX, PRICE_MAX)

    def power_factor_standard(self) -> int:
        if "power_factor_standard" not in self._values:
            return 0
        said = self._values["power_factor_standard"]
        if type(said) is not int or said not in POWER_FACTOR_STANDARDS:
            listed = ", ".join(map(str, POWER_FACTOR_STANDARDS))
            raise self.fault("power_factor_standard", f"in hundredths one of {listed} is needed, not {said!r}")
        return said

    def levels(self) -> tuple[VoltageLevel, ...]:
        """Those that have the price (``network_charge_by_voltage/1``); what a file names of them is among them."""
        levels: list[VoltageLevel] = []
        for item in self.items("levels"):
            if not isinstance(item, list) or len(item) != 2 or not isinstance(item[0], str):
                raise self.fault("levels", 'pairs of a level and its price are needed, as [["10kV", 200000]]')
            levels.append(VoltageLevel(item[0], self.whole("levels", item[1], -PRICE_MAX, PRICE_MAX)))
        if len({level.name for level in levels}) != len(levels):
            raise self.fault("levels", "a voltage level is named twice")
        names = [level.name for level in levels]
        named = [(key, self.text(key)) for key in ("user_level", "highest_level") if key in self._values]
        for key, name in named:
            if name not in names:
                raise self.fault(key, f"{name!r} is none of the voltage levels {', '.join(names)}")
        if len(named) == 2 and names.index(named[1][1]) < names.index(named[0][1]):
            raise self.fault("highest_level", f"{named[1][1]} lies below the user's level {named[0][1]}")
        return tuple(levels)

    def covers(self, base: str, levels: Sequence[VoltageLevel]) -> str:
        if "covers" not in self._values:
            return ""
        if base != TRADED or not levels:
            raise self.fault("covers", f"only of levels and base {TRADED}")
        if (said := self.text("covers")) != TRADE:
            raise self.fault("covers", f"{excerpt(said)} is not {TRADE}")
        return said

    def place_levels(self, levels: Sequence[VoltageLevel]) -> tuple[tuple[int, str], ...]:
        """The level of each place of the grid, by ascending places."""
        names, found = [level.name for level in levels], dict[int, str]()
        for item in self.items("place_levels"):
            if not isinstance(item, list) or len(item) != 2 or item[1] not in names:
                raise self.fault(
                    "place_levels", 'pairs of a grid place and one of the levels are needed, as [[1, "35kV"]]'
                )
            place = self.whole("place_levels", item[0], 1, GRID_PLACE_MAX)
            if place in found:
                raise self.fault("place_levels", f"place {place} stands there twice")
            found[place] = item[1]
        if len(found) > GRID_PLACES_MAX:
            raise self.fault("place_levels", f"{len(found)} places; at most {GRID_PLACES_MAX}")
        if found and "covers" not in self._values:
            raise self.fault("place_levels", "only with covers")
        return tuple(sorted(found.items()))

    def level(self, key: str) -> str:
        return self.text(key) if key in self._values else ""

    def items(self, key: str) -> Sequence[Any]:
        value = self._values.get(key, [])
        if not isinstance(value, list):
            raise self.fault(key, "a list is needed")
        return value

    def windows(self) -> tuple[Window, ...]:
        found: list[Window] = []
        for item in self.items("windows"):
            if not isinstance(item, list) or len(item) != 2:
                raise self.fault("windows", 'pairs of local times are needed, as [["08:00", "11:00"]]')
            window = Window(*(self._clock(text) for text in item))
            if window.start_s >= window.end_s:
                raise self.fault("windows", f"{item[0]} is not before {item[1]}; a window over midnight is two windows")
            if any(window.start_s < other.end_s and other.start_s < window.end_s for other in found):
                raise self.fault("windows", f"{item[0]} to {item[1]} overlaps another window")
            found.append(window)
        return tuple(found)

    def _clock(self, text: object) -> int:
        parts = text.split(":") if isinstance(text, str) else []
        if len(parts) in (2, 3) and all(len(part) == 2 and part.isascii() and part.isdigit() for part in parts):
            hours, *below = map(int, parts)
            seconds = hours * 3_600 + sum(part * unit for part, unit in zip(below, (60, 1), strict=False))
            if seconds <= DAY_S and all(part < 60 for part in below):
                return seconds
        raise self.fault("windows", f"{text!r} is no local time from 00:00 to 24:00")

    def steps(self) -> tuple[Step, ...]:
        found: list[Step] = []
        items = self.items("steps")
        for place, item in enumerate(items, 1):
            if not isinstance(item, dict) or item.keys() - {"until_kwh", "price_micro_per_kwh"}:
                raise self.fault("steps", "each has until_kwh and price_micro_per_kwh, the last one the price alone")
            price = self.whole("steps", item.get("price_micro_per_kwh"), -PRICE_MAX, PRICE_MAX)
            is_last = place == len(items)
            if is_last != ("until_kwh" not in item):
                raise self.fault("steps", "every step but the last one ends at until_kwh")
            least_wh = (found[-1].until_wh or 0) + 1 if found else 1
            until_wh = None if is_last else self.thousandths("steps", item["until_kwh"], least_wh, 10**15)
            found.append(Step(until_wh, price))
        return tuple(found)

    def series(self) -> str:
        if "price_series" not in self._values:
            return ""
        name = self.text("price_series")
        if not NAME.holds(name):
            raise self.fault("price_series", f"{NAME.words} is needed, not {excerpt(name)}")
        return name

    def contracted(self) -> Mapping[str, int]:
        value = self._values.get("contracted_kw", {})
        if not isinstance(value, dict):
            raise self.fault("contracted_kw", "a table of party = kW is needed")
        return {party: self.thousandths("contracted_kw", kw, 0, 10**12) for party, kw in value.items()}


def _component(number: int, values: Mapping[str, Any], days: Sequence[NamedDay]) -> Component:
    table = _Table(number, values)
    base = table.text("base")
    if base not in BASES:
        raise table.fault("base", f"{base!r} is none of {', '.join(BASES)}")
    windows, steps, of, contracted_w = table.windows(), table.steps(), table.texts("of"), table.contracted()
    weekdays = tuple(table.whole("weekdays", day, 1, 7) for day in table.items("weekdays"))
    if steps and base not in ENERGY_BASES:
        raise table.fault("steps", f"only for {', '.join(ENERGY_BASES)}")
    day_kinds = table.day_kinds(days)
    timed = {"windows": windows, "weekdays": weekdays, "day_kinds": day_kinds}
    if base not in TIMED_BASES and (said := [key for key, value in timed.items() if value]):
        raise table.fault(said[0], f"only for {', '.join(TIMED_BASES)}")
    if bool(of) != (base == PERCENT):
        raise table.fault("of", "the kinds of lines of which a percent component is a share, and only of one")
    if bool(contracted_w) != (base == "kw_contracted"):
        raise table.fault("contracted_kw", "what each party contracted, for base kw_contracted and only for it")
    levels = table.levels()
    from_day, until_day = table.day("valid_from"), table.day("valid_until")
    if from_day is not None and until_day is not None and from_day >= until_day:
        raise table.fault("valid_until", "must be after valid_from")
    months = tuple(table.whole("months", month, 1, 12) for month in table.items("months"))
    return Component(
        name=table.text("name"),
        account=table.text("account"),
        base=base,
        price=table.price(base, has_steps=bool(steps)),
        is_taxed=table.flag("taxed"),
        tax_ppm=table.tax(),
        from_day=from_day,
        until_day=until_day,
        months=months,
        windows=windows,
        weekdays=weekdays,
        day_kinds=day_kinds,
        named_days=tuple(days) if day_kinds else (),
        peak_of=table.peak_of(base),
        steps=steps,
        steps_per=table.steps_per(has_steps=bool(steps)),
        price_series=table.series(),
        levels=levels,
        highest_level=table.level("highest_level"),
        user_level=table.level("user_level"),
        covers=table.covers(base, levels),
        place_levels=table.place_levels(levels),
        power_factor_standard=table.power_factor_standard(),
        parties=table.texts("parties"),
        contracted_w=contracted_w,
        of=of,
    )


def _day_words(day: int | None) -> str:
    return "an entry without valid_from" if day is None else date.fromordinal(day).isoformat()
