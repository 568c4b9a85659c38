"""Estimates: what a row used in a slot that no register tells (docs/spec/state.md, "Estimates")."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING, NamedTuple

from tests.twin.forms import Leaf
from tests.twin.metering import CHUNK, NEIGHBOURS, Registers, advance, row_at, span_of

if TYPE_CHECKING:
    from tests.twin.twin import Twin

DAY_S, PRIMARY_LIMIT = 86_400, 10**9
OPEN, CLOSED = 0x01, 0x21


class Place(NamedTuple):
    """A row of a zone, its point's name, and the calendar that it has in a slot."""

    zone: str
    row: int
    point: str
    calendar: str


class Gap(NamedTuple):
    """The slots between two values of a meter, and what it counted between them, import and export."""

    slots: list[int]
    advances: tuple[int, int]


def estimate(twin: Twin, place: Place, slot: int) -> tuple[int, int, int]:
    """Import and export in Wh, and the quality byte."""
    gap = closed_gap(twin, place, slot)
    if gap is None:
        return *open_estimate(twin, place, slot), OPEN
    shares = [share(twin, place, slot, gap, direction) for direction in (0, 1)]
    return shares[0], shares[1], CLOSED


def place_of(twin: Twin, zone: str, row: int, slot: int) -> Place:
    """The place of a row in a slot."""
    name = twin.registry.points[zone][row]
    point = twin.registry.must(f"point/{name}", slot, twin.height - 1)
    area = twin.registry.must(f"area/{point['area']}", slot, twin.height - 1)
    return Place(zone, row, name, area["calendar"])


def open_estimate(twin: Twin, place: Place, slot: int) -> tuple[int, int]:
    """The mean of earlier days, without one the standing profile; at most what the meter can show."""
    point = twin.registry.must(f"point/{place.point}", slot, twin.height - 1)
    installed = twin.registry.installation_at(place.point, slot, twin.height - 1)
    limit = 0 if installed is None else installed[1]["limit_wh"] * installed[1]["ratio"]
    days = [found for found in reference_days(twin, place, slot) if found is not None]
    if days:
        means = [floor(Fraction(sum(day[direction] for day in days), len(days))) for direction in (0, 1)]
    else:
        means = standing(twin, place, slot, point)
    return min(means[0], limit), min(means[1], limit)


def closed_gap(twin: Twin, place: Place, slot: int) -> Gap | None:
    """The gap of at most 96 slots around a slot, where one meter has a value before it and one after it."""
    installed = twin.registry.installation_at(place.point, slot, twin.height - 1)
    if installed is None:
        return None
    number, meter = installed
    span = span_of(twin, number, slot)
    before = next((found for found in values(twin, place, slot, -twin.slot_s) if found[0] >= span.since_s), None)
    after = next(
        (found for found in values(twin, place, slot + twin.slot_s, twin.slot_s) if found[0] < span.until_s), None
    )
    if before is None or after is None:
        return None
    slots = list(range(before[0], after[0], twin.slot_s))
    most = len(slots) * (PRIMARY_LIMIT // meter["ratio"])
    most = min(most, meter["modulus_wh"] // 2) if meter["modulus_wh"] else most
    counted = [advance(before[1][i], after[1][i], meter["modulus_wh"]) for i in (0, 1)]
    if not 1 < len(slots) <= NEIGHBOURS or not all(0 <= wh <= most for wh in counted):
        return None
    return Gap(slots, (counted[0] * meter["ratio"], counted[1] * meter["ratio"]))


def values(twin: Twin, place: Place, boundary: int, step_s: int) -> Iterator[tuple[int, Registers]]:
    """What stands at a boundary and at the 96 boundaries beyond it, the nearest first."""
    for away in range(NEIGHBOURS + 1):
        found = row_at(twin, place.zone, place.row, boundary + away * step_s)
        if found is not None:
            yield boundary + away * step_s, found[0]


def share(twin: Twin, place: Place, slot: int, gap: Gap, direction: int) -> int:
    """A slot's part of a gap, weighted by what the row used in these slots of earlier days; evenly where one would get too much."""
    weights = [
        sum(day[direction] for day in reference_days(twin, place, time_s) if day is not None) for time_s in gap.slots
    ]
    evenly = [1] * len(weights)
    shares = split(gap.advances[direction], weights if sum(weights) else evenly)
    if max(shares) > PRIMARY_LIMIT:
        shares = split(gap.advances[direction], evenly)
    return shares[gap.slots.index(slot)]


def split(total_wh: int, weights: Sequence[int]) -> list[int]:
    """By largest remainder, ties to the earlier slot."""
    exact = [Fraction(total_wh * weight, sum(weights)) for weight in weights]
    shares = [floor(part) for part in exact]
    by_remainder = sorted(range(len(shares)), key=lambda place: shares[place] - exact[place])
    for at in by_remainder[: total_wh - sum(shares)]:
        shares[at] += 1
    return shares


def reference_days(twin: Twin, place: Place, slot: int) -> list[tuple[int, int] | None]:
    """Import and export in the same slot of the last four local days of the same kind, None where they are not known."""
    day = local_day(twin, place.calendar, slot)
    if day is None:
        return []
    found: list[tuple[int, int] | None] = []
    before: tuple[int, int] | None = day
    for _ in range(14):
        before = None if before is None else local_day(twin, place.calendar, before[0] - 1)
        if before is not None and is_weekend(before) == is_weekend(day):
            earlier = before[0] + slot - day[0]
            found.append(measured(twin, place, earlier) if earlier < before[1] else None)
    return found[:4]


def known_instants(twin: Twin, calendar: str, what: str) -> list[int]:
    """Where the local days (or months) of a calendar begin: of each row those up to where the next one begins."""
    rows = twin.registry.known(f"calendar/{calendar}", twin.height - 1)
    ends = [from_s for from_s, _ in rows[1:]] + [253_402_300_800]
    spans = zip(rows, ends, strict=True)
    return [instant for (from_s, value), end in spans for instant in value[what] if from_s <= instant < end]


def local_day(twin: Twin, calendar: str, time_s: int) -> tuple[int, int] | None:
    """Begin and end of the local day at a time."""
    days = known_instants(twin, calendar, "days")
    begun = [day for day in days if day <= time_s]
    if not begun:
        return None
    if len(begun) < len(days):
        return begun[-1], days[len(begun)]
    start = begun[-1] + (time_s - begun[-1]) // DAY_S * DAY_S
    return start, start + DAY_S


def is_weekend(day: tuple[int, int]) -> bool:
    """Whether the date, in UTC, 12 hours after the day's begin is a Saturday or a Sunday; 1970-01-01 was a Thursday."""
    return ((day[0] + DAY_S // 2) // DAY_S) % 7 in (2, 3)


def measured(twin: Twin, place: Place, slot: int) -> tuple[int, int] | None:
    """What the last run of a slot that is not final says, where it rests on two registers."""
    runs = twin.leaves.get(f"runs/{slot}/{place.zone}")
    if runs is None or twin.is_final(place.zone, slot):
        return None
    return measured_by(twin, place, slot, runs["runs"][-1][0])


def measured_by(twin: Twin, place: Place, slot: int, run: str) -> tuple[int, int] | None:
    """What a run says of a slot, where it rests on two registers."""
    chunk, at = divmod(place.row, CHUNK)
    leaf = twin.leaves.get(f"positions/{slot}/{place.zone}/{run}/{chunk}")
    if leaf is None or at >= len(leaf["quality"]) or leaf["quality"][at] % 16 not in (0, 2):
        return None
    columns = leaf["columns"]
    if columns["start_import"][at] < 0 or columns["end_import"][at] < 0:
        return None
    return columns["import_wh"][at], columns["export_wh"][at]


def standing(twin: Twin, place: Place, slot: int, point: Leaf) -> list[int]:
    """What the point's standing profile says of a slot, 0 without one."""
    day = local_day(twin, place.calendar, slot)
    profile = None
    if "standing_profile" in point:
        profile = twin.registry.value(f"standing_profile/{point['standing_profile']}", slot, twin.height - 1)
    if day is None or profile is None:
        return [0, 0]
    at = (slot - day[0]) // twin.slot_s
    return [profile[key][min(at, len(profile[key]) - 1)] for key in ("import_wh", "export_wh")]
