"""Estimates in a zone that names ``gap_slots_max``: piece by piece what registers bind (docs/spec/state.md, "Estimates")."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING, NamedTuple

from tests.twin import estimates
from tests.twin.estimates import CLOSED, OPEN, PRIMARY_LIMIT, Place, is_weekend, local_day, split
from tests.twin.forms import Leaf
from tests.twin.metering import Registers, advance, row_at, span_of

if TYPE_CHECKING:
    from tests.twin.twin import Twin

REFERENCE_S_MAX = 16 * 86_400


class End(NamedTuple):
    """Where a part begins or ends, and what the meter shows there."""

    at_s: int
    registers: Registers


class Part(NamedTuple):
    """A piece [from_s, until_s) of a slot, and between which registers it lies; None where they are not known."""

    from_s: int
    until_s: int
    meter: Leaf
    begin: End | None
    end: End | None


def estimate(twin: Twin, place: Place, slot: int) -> tuple[int, int, int]:
    """Import and export in Wh, and the quality byte."""
    older = estimates.closed_gap(twin, place, slot)
    if older is not None and older.slots[0] < twin.gap_slots_from_s(place.zone):
        return estimates.estimate(twin, place, slot)
    otherwise = estimates.open_estimate(twin, place, slot)
    parts = parts_in(twin, place, slot)
    bound = [(part, counted) for part in parts if (counted := advances(twin, place, part)) is not None]
    if not bound:
        return *otherwise, OPEN
    closed = [part for part, _ in bound]
    open_s = sum(part.until_s - part.from_s for part in parts if part not in closed)
    energies = []
    for direction in (0, 1):
        shares = sum(share(twin, place, slot, part, counted[direction], direction) for part, counted in bound)
        energies.append(shares + otherwise[direction] * open_s // twin.slot_s)
    if max(energies) > PRIMARY_LIMIT:
        return *otherwise, OPEN
    return energies[0], energies[1], OPEN if open_s else CLOSED


def reach_s(twin: Twin, zone: str) -> int:
    """How long a gap may be."""
    return int(twin.timeline(zone)["gap_slots_max"]) * twin.slot_s


def parts_in(twin: Twin, place: Place, slot: int) -> list[Part]:
    """The pieces of a slot, each with its part."""
    end_s, installed = slot + twin.slot_s, twin.registry.installation_at(place.point, slot, twin.height - 1)
    parts: list[Part] = []
    number, meter = installed or (-1, None)
    begin_s, begin = slot, None if installed is None else value_before(twin, place, number, slot)
    for from_s, other, value in breaks_in(twin, place.point, slot):
        final, first = value.get("final_registers"), value.get("first_registers")
        if meter is not None and (final is not None or "removed" in value):
            parts.append(Part(begin_s, from_s, meter, begin, None if final is None else End(from_s, tuple(final))))
            meter = None
        if first is not None:
            number, meter, begin_s, begin = other, value, from_s, End(from_s, tuple(first))
    if meter is not None and begin_s < end_s:
        end = value_after(twin, place, number, slot if begin_s == slot else end_s, end_s)
        parts.append(Part(begin_s, end_s, meter, begin, end))
    return parts


def breaks_in(twin: Twin, point: str, slot: int) -> list[tuple[int, int, Leaf]]:
    """(from_s, number, value) of entries at which registers break off inside a slot or at its end: at one instant ends come first."""
    found = []
    for number in twin.registry.installations:
        for from_s, value in twin.registry.standing(number, twin.height - 1):
            is_end = "removed" in value or "final_registers" in value
            is_here = value["point"] == point and slot < from_s <= slot + twin.slot_s
            if is_here and (is_end or "first_registers" in value):
                found.append((from_s, not is_end, number, value))
    return [(from_s, number, value) for from_s, _, number, value in sorted(found, key=lambda one: one[:2])]


def value_before(twin: Twin, place: Place, number: int, slot: int) -> End | None:
    """The nearest value of the span at or before a slot's start, else what is stated where the span began."""
    span, reach = span_of(twin, number, slot), reach_s(twin, place.zone)
    for at_s in range(slot, slot - reach - 1, -twin.slot_s):
        found = row_at(twin, place.zone, place.row, at_s) if at_s >= span.since_s else None
        if found is not None:
            return End(at_s, found[0])
    is_near = span.first is not None and slot - span.since_s <= reach
    return End(span.since_s, span.first) if is_near and span.first is not None else None


def value_after(twin: Twin, place: Place, number: int, span_at_s: int, end_s: int) -> End | None:
    """The nearest value of the span at or after a slot's end, else what is stated where the span ends."""
    span, reach = span_of(twin, number, span_at_s), reach_s(twin, place.zone)
    for at_s in range(end_s, end_s + reach + 1, twin.slot_s):
        found = row_at(twin, place.zone, place.row, at_s) if at_s < span.until_s else None
        if found is not None:
            return End(at_s, found[0])
    is_near = span.final is not None and span.until_s - end_s <= reach
    return End(span.until_s, span.final) if is_near and span.final is not None else None


def times_of(twin: Twin, begin: End, end: End) -> list[int]:
    """The slots of a part."""
    return list(range(begin.at_s // twin.slot_s * twin.slot_s, end.at_s, twin.slot_s))


def advances(twin: Twin, place: Place, part: Part) -> tuple[int, int] | None:
    """Primary energy of a part, None where it is not bound."""
    if part.begin is None or part.end is None:
        return None
    slots, meter = len(times_of(twin, part.begin, part.end)), part.meter
    if slots > twin.timeline(place.zone)["gap_slots_max"]:
        return None
    most = slots * (PRIMARY_LIMIT // meter["ratio"]) if slots > 1 else meter["limit_wh"]
    most = min(most, meter["modulus_wh"] // 2) if meter["modulus_wh"] else most
    found = [advance(part.begin.registers[i], part.end.registers[i], meter["modulus_wh"]) for i in (0, 1)]
    if not all(0 <= wh <= most for wh in found):
        return None
    return found[0] * meter["ratio"], found[1] * meter["ratio"]


def share(twin: Twin, place: Place, slot: int, part: Part, total_wh: int, direction: int) -> int:
    """A slot's part of what a part has counted."""
    assert part.begin is not None
    assert part.end is not None
    times = times_of(twin, part.begin, part.end)
    covers = [min(at_s + twin.slot_s, part.end.at_s) - max(at_s, part.begin.at_s) for at_s in times]
    means = [mean_before(twin, place, part.begin.at_s, at_s, direction) for at_s in times]
    known = [mean for mean in means if mean is not None]
    on_the_whole = sum(known) // len(known) if known else 0
    weights = [(on_the_whole if mean is None else mean) * cover for mean, cover in zip(means, covers, strict=True)]
    if not any(weights):
        weights = covers
    if max(floor(Fraction(total_wh * weight, sum(weights))) for weight in weights) >= PRIMARY_LIMIT:
        weights = covers
    return split(total_wh, weights)[times.index(slot)]


def mean_before(twin: Twin, place: Place, begin_s: int, slot: int, direction: int) -> int | None:
    """12 times the mean of what initial runs measured at a slot's place of the last four days of its kind before a part's own day."""
    begun, day = local_day(twin, place.calendar, begin_s), local_day(twin, place.calendar, slot)
    if begun is None or day is None:
        return None
    like: list[tuple[int, int]] = []
    before: tuple[int, int] | None = begun
    for _ in range(14):
        before = None if before is None else local_day(twin, place.calendar, before[0] - 1)
        if before is not None and is_weekend(before) == is_weekend(day):
            like.append(before)
    found = []
    for earlier in like[:4]:
        at_s = earlier[0] + slot - day[0]
        if begin_s - REFERENCE_S_MAX <= at_s < earlier[1]:
            measured = estimates.measured_by(twin, place, at_s, "initial")
            if measured is not None:
                found.append(measured[direction])
    return sum(found) * (12 // len(found)) if found else None
