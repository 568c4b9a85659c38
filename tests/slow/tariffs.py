"""A tariff's charges for one party, slot after slot, with fractions (docs/spec/mechanisms.md, tariff_month/1)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from fractions import Fraction
from math import floor
from typing import NamedTuple

from settlement.tariffs.components import Component
from tests.slow.power_factor import hundredths_of, table


class Slot(NamedTuple):
    """One slot: where it lies in the local calendar, what the party took, gave and traded in it, Wh, and what price series say of it.

    at_level: import, export and traded of its points at each voltage level; at_point: import of each point that is billed. ways: what was
    bought from sellers whose points have some levels, through a place of the grid (0: not known).
    """

    month: int
    month_of_year: int
    day: int
    second: int
    import_wh: int
    export_wh: int
    traded_wh: int
    prices: Mapping[str, int] = {}
    at_level: Mapping[str, tuple[int, int, int]] = {}
    at_point: Mapping[str, int] = {}
    ways: Mapping[tuple[tuple[str, ...], int], int] = {}


class Days(NamedTuple):
    """How many days a month has, and how many of them have slots."""

    in_calendar: int
    settled: int


Rates = Sequence[tuple[int, int]]
"""The tax of a tariff, ppm, from each of some days on; ascending."""


def charges(
    components: Sequence[Component],
    party: str,
    slots: Sequence[Slot],
    slot_s: int,
    days_of_month: Sequence[int],
    billed_nano: Mapping[str, int],
    used_wh: Mapping[str, int] | None = None,
    reactive: Mapping[int, tuple[int, int]] | None = None,
) -> dict[tuple[int, str], int]:
    """Nano by month and name; the arguments are those of ``charges_by_rate``."""
    found: dict[tuple[int, str], int] = defaultdict(int)
    of = (components, party, slots, slot_s, days_of_month, billed_nano, used_wh, [(0, 0)], reactive)
    for (month, name, _), nano in charges_by_rate(*of).items():
        found[month, name] += nano
    return {key: nano for key, nano in found.items() if nano}


def charges_by_rate(
    components: Sequence[Component],
    party: str,
    slots: Sequence[Slot],
    slot_s: int,
    days_of_month: Sequence[int],
    billed_nano: Mapping[str, int],
    used_wh: Mapping[str, int] | None,
    rates: Rates,
    reactive: Mapping[int, tuple[int, int]] | None = None,
) -> dict[tuple[int, str, int | None], int]:
    """Nano by month, name and rate of tax, day after day: each day has what it adds to what the entry came to up to the day before.

    billed_nano: what the contract's lines come to in every month; used_wh: in the year before the first slot, by name; reactive: of months of which it is
    known, taken and given back, varh.
    """
    found: dict[tuple[int, str, int | None], int] = defaultdict(int)
    for month, days in enumerate(days_of_month):
        of_month = [slot for slot in slots if slot.month == month]
        settled = sorted({slot.day for slot in of_month})
        lines = defaultdict(int, billed_nano)
        for component in components:
            if component.parties and party not in component.parties:
                continue
            if component.power_factor_standard:
                known = (reactive or {}).get(month)
                share = share_of(component.power_factor_standard, sum(slot.import_wh for slot in of_month), known)
                component = component._replace(price=share)
            before = 0
            for day in settled:
                inside = [slot for slot in of_month if holds(component, slot) and slot.day <= day]
                if component.steps_per == "year":
                    upto = [slot for slot in slots if slot.month < month or (slot.month == month and slot.day <= day)]
                    amount = by_year(component, components, party, upto, month, used_wh or {}, slots)
                elif component.base == "kw_peak":
                    amount = peaks(component, of_month, slot_s, days, day)
                else:
                    amount = charge(component, party, inside, Days(days, len(settled)), lines)
                found[month, component.name, tax_on(component, rates, day)] += amount - before
                before = amount
            lines[component.name] += before
    return {key: nano for key, nano in found.items() if nano}


def tax_on(component: Component, rates: Rates, day: int) -> int | None:
    """At which rate a day's part of an entry is taxed."""
    if not component.is_taxed:
        return None
    own_ppm = component.tax_ppm
    for from_day, later_ppm in component.later_rates:
        if from_day <= day:
            own_ppm = later_ppm
    if own_ppm is not None:
        return own_ppm
    begun = [rate for from_day, rate in rates if from_day <= day]
    return begun[-1] if begun else rates[0][1]


def holds(component: Component, slot: Slot) -> bool:
    """Whether an entry holds in a slot."""
    if component.from_day is not None and slot.day < component.from_day:
        return False
    if component.until_day is not None and slot.day >= component.until_day:
        return False
    if component.months and slot.month_of_year not in component.months:
        return False
    if component.weekdays and date.fromordinal(slot.day).isoweekday() not in component.weekdays:
        return False
    if component.day_kinds:
        by_week = "weekend" if date.fromordinal(slot.day).isoweekday() > 5 else "workday"
        if dict(component.named_days).get(slot.day, by_week) not in component.day_kinds:
            return False
    return not component.windows or any(start <= slot.second < end for start, end in component.windows)


def charge(component: Component, party: str, inside: Sequence[Slot], of_month: Days, lines: Mapping[str, int]) -> int:
    """Nano of one entry in the slots in which it holds."""
    days = len({slot.day for slot in inside})
    if component.base in ("import", "export", "traded", "residual"):
        energies = {
            "import": [slot.import_wh for slot in inside],
            "export": [slot.export_wh for slot in inside],
            "traded": [slot.traded_wh for slot in inside],
            "residual": [slot.import_wh - slot.traded_wh for slot in inside],
        }
        if component.levels:
            return sum(at_level(component, slot) for slot in inside)
        if component.price_series:
            own = [Fraction(slot.prices[component.price_series], 1_000) for slot in inside]
            kwh = [Fraction(energy_wh, 1_000) for energy_wh in energies[component.base]]
            return int(sum((of_slot * price for of_slot, price in zip(kwh, own, strict=True)), Fraction(0)) * 10**6)
        energy_wh = sum(energies[component.base])
        return by_steps(component, energy_wh) if component.steps else energy_wh * component.price
    if component.base == "day":
        return days * component.price * 1_000
    if component.base == "percent":
        total = sum(lines.get(kind, 0) for kind in component.of)
        return floor(Fraction(total * component.price, 1_000_000) * Fraction(days, of_month.settled)) if days else 0
    watts = component.contracted_w.get(party, 0)
    return floor(Fraction(watts, 1_000) * component.price * 1_000 * Fraction(days, of_month.in_calendar))


def share_of(standard: int, active_wh: int, reactive: tuple[int, int] | None) -> int:
    """Millionths by the table of a standard; 0 where no reactive energy is known, or there is no energy at all."""
    if reactive is None or not active_wh + sum(reactive):
        return 0
    return 100 * table(standard)[hundredths_of(active_wh, sum(reactive))]


def by_year(
    component: Component,
    components: Sequence[Component],
    party: str,
    slots: Sequence[Slot],
    month: int,
    used_wh: Mapping[str, int],
    whole: Sequence[Slot],
) -> int:
    """Nano of a month's energy, Wh after Wh's worth of steps: what all of the year comes to up to it, less what it came to before.

    slots: up to some day of the month; whole: all of them, as earlier entries of the month have used all that they do.
    """
    own = [slot for slot in slots if slot.month == month]
    year = date.fromordinal(own[0].day).year
    is_first_year = date.fromordinal(slots[0].day).year == year
    before_wh = used_wh.get(component.name, 0) if is_first_year else 0
    for other in components:
        if other.name != component.name or other.steps_per != "year" or (other.parties and party not in other.parties):
            continue
        earlier = [slot for slot in slots if slot.month < month and date.fromordinal(slot.day).year == year]
        before_wh += sum(energy_wh(other, slot) for slot in earlier if holds(other, slot))
        if components.index(other) < components.index(component):
            of_month = [slot for slot in whole if slot.month == month]
            before_wh += sum(energy_wh(other, slot) for slot in of_month if holds(other, slot))
    whole_wh = before_wh + sum(energy_wh(component, slot) for slot in own if holds(component, slot))
    return by_steps(component, whole_wh) - by_steps(component, before_wh)


def energy_wh(component: Component, slot: Slot) -> int:
    """What a base per kWh counts in a slot."""
    return {
        "import": slot.import_wh,
        "export": slot.export_wh,
        "traded": slot.traded_wh,
        "residual": slot.import_wh - slot.traded_wh,
    }[component.base]


def peaks(component: Component, of_month: Sequence[Slot], slot_s: int, days_of_month: int, until: int) -> int:
    """Nano of the highest slot of the month inside the hours and days of the week, of all points or of each, for the days up to one; they count whatever the

    hour.
    """
    whole = component._replace(windows=(), weekdays=(), day_kinds=())
    amount = Fraction(0)
    by_point = component.peak_of == "point"
    for name in sorted({point for slot in of_month for point in slot.at_point}) if by_point else [""]:
        billed = [slot for slot in of_month if not by_point or name in slot.at_point]
        days = {slot.day for slot in billed if holds(whole, slot) and slot.day <= until}
        imports = [slot.at_point[name] if by_point else slot.import_wh for slot in billed if holds(component, slot)]
        watts = max((import_wh * 3_600 // slot_s for import_wh in imports), default=0)
        amount += Fraction(watts, 1_000) * component.price * 1_000 * Fraction(len(days), days_of_month)
    return floor(amount)


def at_level(component: Component, slot: Slot) -> int:
    """Nano of a slot: the energy at each level at what its price is above that of the highest level."""
    prices, amount = dict(component.levels), Fraction(0)
    for level, (took, gave, traded) in slot.at_level.items():
        energy_wh = {"import": took, "export": gave, "traded": traded, "residual": took - traded}[component.base]
        own = level or component.user_level
        parts = by_way(component, own, energy_wh, slot) if component.covers else {component.highest_level: energy_wh}
        for upto, part_wh in parts.items():
            amount += Fraction(part_wh, 1_000) * (prices[own] - prices.get(upto, 0)) * 1_000
    return int(amount)


def by_way(component: Component, own: str, energy_wh: int, slot: Slot) -> dict[str, int]:
    """The energy of a slot by the highest level that it covers: Wh after Wh to whichever way lacks most of its share."""
    bought = sum(slot.ways.values())
    if not bought:
        return {component.highest_level: energy_wh}
    ways = sorted(way for way, wh in slot.ways.items() if wh)
    shares = [Fraction(energy_wh * slot.ways[way], bought) for way in ways]
    given = [floor(share) for share in shares]
    for _ in range(energy_wh - sum(given)):
        lacks = [share - wh for share, wh in zip(shares, given, strict=True)]
        given[lacks.index(max(lacks))] += 1
    found: dict[str, int] = defaultdict(int)
    names = [name for name, _ in component.levels]
    for (levels, place), wh in zip(ways, given, strict=True):
        if not wh:
            continue
        covered = [own, *(level or component.user_level for level in levels)]
        covered += [dict(component.place_levels)[place]] if component.place_levels and place else []
        found[max(covered, key=names.index)] += wh
    return found


def by_steps(component: Component, energy_wh: int) -> int:
    """Nano of a month's energy: what is left after each step is left for the next one."""
    amount, left, below = 0, energy_wh, 0
    for step in component.steps:
        part = left if step.until_wh is None else min(left, step.until_wh - below)
        amount += part * step.price_micro_per_kwh
        left -= part
        below = step.until_wh or 0
    return amount
