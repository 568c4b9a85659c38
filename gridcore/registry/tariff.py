"""``tariff/<name>``: what its parties are charged beside their contract's lines, by the month, and how their invoices are rounded and taxed.

One entity has all components, so that whoever shows it shows that none was left out; its entries say since when which of them hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from gridcore.errors import excerpt
from gridcore.forms import BOOL, NAME, Form, choice, integer
from gridcore.registry.entity import Entity, Shape, shown
from gridcore.registry.named_days import DAY_KINDS, HOLIDAY, NamedDays, fault_of_days

ENERGY_BASES: Final = ("import", "export", "traded", "residual")
"""Per kWh: all import or export, the part of the import that was traded, and the rest of it."""
TRADED: Final = ENERGY_BASES[2]
POWER_BASES: Final = ("kw_contracted", "kw_peak")
"""Per kW and month: what a party contracted, or the highest mean power of a slot in the month."""
KW_CONTRACTED: Final = POWER_BASES[0]
KW_PEAK: Final = POWER_BASES[1]
TIMED_BASES: Final = (*ENERGY_BASES, KW_PEAK)
"""Which may hold for a part of the day or on some days of the week."""
OF_PARTY: Final = "party"
OF_POINT: Final = "point"
"""Whose highest slot is charged: of all points of a party together, or of each of them."""
MONTH: Final = "month"
YEAR: Final = "year"
"""Of which energy steps are: of a month's, or of a calendar year's so far."""
DAY: Final = "day"
PERCENT: Final = "percent"
BASES: Final = (*ENERGY_BASES, *POWER_BASES, DAY, PERCENT)
ROUNDINGS: Final = ("half_even", "half_up_away")

COMPONENTS_MAX: Final = 64
PRICE_MAX: Final = 10**12
"""A price is at most a million of the currency, of either sign."""
WINDOWS_MAX: Final = 24
STEPS_MAX: Final = 16
LEVELS_MAX: Final = 16
GRID_PLACES_MAX: Final = 64
GRID_PLACE_MAX: Final = 65_535
TRADE: Final = "trade"
"""What levels up to the highest are covered: those of the trade, instead of one for all trades."""
STEP_WH_MAX: Final = 10**15
OF_MAX: Final = 64
POWER_FACTOR_STANDARDS: Final = (90, 85, 80)
"""cos phi in hundredths that a point is to reach (力调电费): below it a share is added, above it taken off."""
QUANTUM_NANO_MAX: Final = 10**12
DAY_S: Final = 86_400

Component = Mapping[str, Any]
"""A component as a row has it: see docs/spec/registry.md, "Tariffs"."""


class Tariff(NamedTuple):
    """components: in the order in which their lines are charged; quantum_nano, rounding, tax_ppm: of the invoices (``invoice_total/1``).

    days: which days are of another kind than their day of the week says, where components hold for kinds of days.
    """

    components: Sequence[Component]
    quantum_nano: int
    rounding: str
    tax_ppm: int
    days: NamedDays | None = None


_WORD: Final = re.compile(r"[^\x00-\x1f\x7f-\xa0\xad\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff]{1,64}")
"""No control or format character and no space but U+0020, by numbers: what Python calls printable differs from version to version."""


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and _WORD.fullmatch(value) is not None


WORD: Final = Form("a text of 1 to 64 characters that can be printed", _is_word)


def _ascends(value: Any, most: int, item: Form) -> bool:
    """Whether this is an array of 1 to ``most`` such items, each above the one before."""
    is_array = isinstance(value, list) and 1 <= len(value) <= most and all(map(item.holds, value))
    return is_array and all(one < two for one, two in pairwise(value))


def _are_pairs(value: Any, most: int, first: Form, second: Form) -> bool:
    return (
        isinstance(value, list)
        and 1 <= len(value) <= most
        and all(isinstance(pair, list) and len(pair) == 2 for pair in value)
        and all(first.holds(one) and second.holds(two) for one, two in value)
    )


def _are_windows(value: Any) -> bool:
    if not _are_pairs(value, WINDOWS_MAX, integer(0, DAY_S - 1), integer(1, DAY_S)):
        return False
    instants = [instant for window in value for instant in window]
    return all(start_s < end_s for start_s, end_s in value) and instants == sorted(instants)


def _are_levels(value: Any) -> bool:
    return _are_pairs(value, LEVELS_MAX, WORD, _PRICE) and len({level for level, _ in value}) == len(value)


def _are_place_levels(value: Any) -> bool:
    if not _are_pairs(value, GRID_PLACES_MAX, integer(1, GRID_PLACE_MAX), WORD):
        return False
    places = [place for place, _ in value]
    return places == sorted(set(places))


def _are_steps(value: Any) -> bool:
    if not _are_pairs(value, STEPS_MAX, integer(0, STEP_WH_MAX), _PRICE):
        return False
    begins_wh = [from_wh for from_wh, _ in value]
    return begins_wh[0] == 0 and begins_wh == sorted(set(begins_wh))


_PRICE: Final = integer(-PRICE_MAX, PRICE_MAX)
_SHARE: Final = integer(0, 1_000_000)
_FORMS: Final[Mapping[str, Form]] = {
    "account": WORD,
    "base": choice(*BASES),
    "covers": choice(TRADE),
    "day_kinds": Form(
        f"ascending kinds of days, of {', '.join(DAY_KINDS)}",
        lambda value: _ascends(value, len(DAY_KINDS), choice(*DAY_KINDS)),
    ),
    "highest_level": WORD,
    "levels": Form(f"1 to {LEVELS_MAX} pairs [level, price], no level twice", _are_levels),
    "months": Form("ascending months, 1 to 12", lambda value: _ascends(value, 12, integer(1, 12))),
    "name": WORD,
    "of": Form(
        f"an array of 1 to {OF_MAX} kinds of lines",
        lambda value: isinstance(value, list) and 1 <= len(value) <= OF_MAX and all(map(_is_word, value)),
    ),
    "peak_of": choice(OF_PARTY, OF_POINT),
    "place_levels": Form(f"1 to {GRID_PLACES_MAX} pairs [grid place, level] by ascending places", _are_place_levels),
    "power_factor_standard": Form(
        f"one of {', '.join(map(str, POWER_FACTOR_STANDARDS))}, in hundredths",
        lambda value: type(value) is int and value in POWER_FACTOR_STANDARDS,
    ),
    "price": _PRICE,
    "price_series": NAME,
    "steps": Form(
        f"1 to {STEPS_MAX} pairs [from_wh, price], the first from 0, each from more than the one before", _are_steps
    ),
    "tax_ppm": _SHARE,
    "steps_per": choice(MONTH, YEAR),
    "taxed": BOOL,
    "user_level": WORD,
    "weekdays": Form("ascending days of the week, 1 (Monday) to 7", lambda value: _ascends(value, 7, integer(1, 7))),
    "windows": Form(f"1 to {WINDOWS_MAX} ascending pairs of seconds of the local day, none over another", _are_windows),
}
PRICED_BY: Final = ("price", "steps", "price_series", "levels", "power_factor_standard")
"""What says the price of a component: exactly one of them."""
LEVELS_NAMED: Final = ("user_level", "highest_level")
_OPTIONAL: Final = (
    "covers",
    "day_kinds",
    "months",
    "of",
    *PRICED_BY,
    *LEVELS_NAMED,
    "peak_of",
    "place_levels",
    "steps_per",
    "tax_ppm",
    "weekdays",
    "windows",
)


def _are_maps(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= COMPONENTS_MAX and all(isinstance(item, dict) for item in value)


def _faults(component: Component, before: Sequence[str]) -> Iterator[str]:
    """What is wrong with a component that stands behind those of some names."""
    yield from (
        f"{excerpt(name)} is no key of it; it has {', '.join(_FORMS)}" for name in sorted(set(component) - set(_FORMS))
    )
    for name, form in _FORMS.items():
        if name not in component and name not in _OPTIONAL:
            yield f"{name} is missing: {form.words}"
        elif name in component and not form.holds(component[name]):
            yield f"{name} is {form.words}, not {shown(component[name])}"
    if component.get("name") in before:
        yield f"name: {component['name']} is another component's"


def _faults_together(component: Component, names: Sequence[str], place: int) -> Iterator[str]:
    """What does not go together in a component all of whose keys have their forms."""
    base = component["base"]
    if sum(key in component for key in PRICED_BY) != 1:
        yield f"it has one of {', '.join(PRICED_BY)}"
    if base not in ENERGY_BASES and not {"steps", "price_series", "levels"}.isdisjoint(component):
        yield f"steps, price_series and levels are for {', '.join(ENERGY_BASES)} alone"
    if base not in TIMED_BASES and not {"windows", "weekdays", "day_kinds"}.isdisjoint(component):
        yield f"windows, weekdays and day_kinds are for {', '.join(TIMED_BASES)} alone"
    if "steps_per" in component and "steps" not in component:
        yield "steps_per is of steps alone"
    if base != KW_PEAK and "peak_of" in component:
        yield f"peak_of is for {KW_PEAK} alone"
    if base != PERCENT and "power_factor_standard" in component:
        yield f"power_factor_standard is for {PERCENT} alone"
    if "tax_ppm" in component and not component["taxed"]:
        yield "tax_ppm: no tax is paid on it, taxed is false"
    yield from _faults_of_levels(component)
    if (base == PERCENT) != ("of" in component):
        yield "of: the kinds of lines of which a percent component is a share, and only of one"
    later = [kind for kind in component.get("of", ()) if kind in names[place:]]
    if later:
        yield f"of: {later[0]} does not stand before it"


def _faults_of_levels(component: Component) -> Iterator[str]:
    """Levels that a component names are among its levels, the user's not above the highest."""
    levels = [level for level, _ in component.get("levels", ())]
    named = [(key, component[key]) for key in LEVELS_NAMED if key in component]
    for key, level in named:
        if level not in levels:
            yield f"{key}: {excerpt(level)} is none of its levels{': ' if levels else ''}{', '.join(levels)}"
            return
    if "covers" in component and not (levels and component["base"] == TRADED):
        yield f"covers is of levels and base {TRADED} alone"
    if "place_levels" in component and "covers" not in component:
        yield "place_levels are of covers alone"
    for place, level in component.get("place_levels", ()):
        if level not in levels:
            yield f"place_levels: {excerpt(level)} of place {place} is none of its levels: {', '.join(levels)}"
    if len(named) == len(LEVELS_NAMED) and levels.index(named[1][1]) < levels.index(named[0][1]):
        yield f"highest_level: {named[1][1]} lies below user_level {named[0][1]}"


def _fault(tariff: Tariff) -> str:
    """What is wrong with a tariff whose fields all have their forms: of its days, then of the first component that has a fault."""
    if tariff.days is not None and (words := fault_of_days(tariff.days)):
        return f"days: {words}"
    names = [str(component.get("name", "")) for component in tariff.components]
    for place, component in enumerate(tariff.components):
        fault = next(_faults(component, names[:place]), "") or next(_faults_together(component, names, place), "")
        if not fault and HOLIDAY in component.get("day_kinds", ()) and HOLIDAY not in (tariff.days or {}):
            fault = "day_kinds: the tariff's days name no holiday"
        if fault:
            return f"components, {place + 1}: {fault}"
    return ""


def series_of_tariff(tariff: Tariff) -> set[str]:
    """The names of the price series that its components name."""
    return {component["price_series"] for component in tariff.components if "price_series" in component}


DAYS: Final = Form(f"a map of {', '.join(DAY_KINDS)}, each with its days", lambda value: isinstance(value, dict))
"""Of which days ``fault_of_days`` says what is wrong."""
TARIFF: Final[Entity[Tariff]] = Entity(
    "tariff",
    Shape(
        Tariff,
        {
            "components": Form(f"an array of at most {COMPONENTS_MAX} maps", _are_maps),
            "days": DAYS,
            "quantum_nano": integer(1, QUANTUM_NANO_MAX),
            "rounding": choice(*ROUNDINGS),
            "tax_ppm": _SHARE,
        },
        optional=frozenset({"days"}),
        rule=_fault,
    ),
)
