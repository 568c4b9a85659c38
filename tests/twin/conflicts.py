"""Whether entities fit together, of all that is registered (docs/spec/registry.md), each looked at from nothing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.twin.bilateral import agreement_conflicts
from tests.twin.forms import Leaf
from tests.twin.registry_forms import TAKEN_UP

if TYPE_CHECKING:
    from tests.twin.registry import Registry
    from tests.twin.twin import Twin

ROWS_MAX = 1 << 20
TRADING_POINTS_MAX = 16
POINTS_MAX = 256
INSTALLATIONS_MAX = 64
DAY_S = 86_400


def does_conflict(twin: Twin, kind: str, name: str) -> bool:
    """Whether an entity and what depends on it do not fit together."""
    registry, rows = twin.registry, twin.registry.history(f"{kind}/{name}")
    first = rows[0][1]
    if kind == "zone":
        return zone_conflicts(rows, twin.slot_s)
    if kind == "area":
        starts_late = rows[0][0] > registry.first("zone/" + first["zone"])["first_slot_start_s"]
        return starts_late or any(value["zone"] != first["zone"] for _, value in rows)
    if kind == "calendar":
        both = [(from_s, instants) for from_s, v in rows for instants in (v["days"], v["months"])]
        return any(instant % twin.slot_s or instant < from_s for from_s, instants in both for instant in instants)
    if kind == "standing_profile":
        return any(len(value["import_wh"]) * twin.slot_s != DAY_S for _, value in rows)
    if kind == "point":
        is_full = twin.leaves[f"point/{name}"]["row"] >= ROWS_MAX
        return is_full or any(value["area"] != first["area"] for _, value in rows)
    if kind == "reactive_energy":
        ends = [(from_s, value["until_s"]) for from_s, value in rows]
        return any(begin % twin.slot_s or end % twin.slot_s or end <= begin for begin, end in ends)
    if kind == "party":
        return party_conflicts(registry, name)
    if kind == "agreement":
        return agreement_conflicts(registry, rows)
    return kind == "installation" and (
        installation_conflicts(registry, rows, twin.slot_s) or two_meters(registry, rows)
    )


def zone_conflicts(rows: Sequence[tuple[int, Leaf]], slot_s: int) -> bool:
    """Where slots begin, and what later rows may change: the contract, and once each of two rules, from a slot on that has not begun."""
    start = rows[0][1]["first_slot_start_s"]
    kept = [{field: v[field] for field in v if not field.startswith(("contract", *TAKEN_UP))} for _, v in rows]
    if start % slot_s != 0 or start < rows[0][0] or any(value != kept[0] for value in kept):
        return True
    for word, rule in TAKEN_UP.items():
        said = [(from_s, value.get(rule), value.get(f"{word}_from_s")) for from_s, value in rows]
        if any((since_s or 0) % slot_s for _, _, since_s in said):
            return True
        for (_, old, old_since_s), (from_s, new, since_s) in pairwise(said):
            if old is not None and (new, since_s) != (old, old_since_s):
                return True
            if old is None and new is not None and (since_s is None or since_s < from_s):
                return True
    return False


def party_conflicts(registry: Registry, name: str) -> bool:
    """At any time all points in the party's area; one that trades has 1 to 16, and, as one that moves, has had at most 256."""
    points = [key for key in registry.keys("point") if any(v.get("party") == name for _, v in registry.history(key))]
    rows = registry.history("party/" + name)
    if len(points) > POINTS_MAX and (len({v["area"] for _, v in rows}) > 1 or any(v["trades"] for _, v in rows)):
        return True
    for time_s in {from_s for key in [*points, "party/" + name] for from_s, _ in registry.history(key)}:
        if time_s >= rows[0][0]:
            party = registry.must_at("party/" + name, time_s)
            at = [registry.at(key, time_s) or {} for key in points]
            areas = [point["area"] for point in at if point.get("party") == name]
            if set(areas) - {party["area"]} or (party["trades"] and not 1 <= len(areas) <= TRADING_POINTS_MAX):
                return True
    return False


def installation_conflicts(registry: Registry, rows: Sequence[tuple[int, Leaf]], slot_s: int) -> bool:
    """Whether the rows of one installation do not follow one another."""
    first = rows[0][1]
    if "removed" in first or "first_registers" not in first or "final_registers" in first:
        return True
    for (before_s, before), (after_s, after) in pairwise(rows):
        if "removed" in before or after_s % slot_s == 0 or before_s // slot_s == after_s // slot_s:
            return True
        if "removed" in after:
            kept = {"point"}
        elif "final_registers" in after:
            kept = {"meter", "modulus_wh", "point"}
        else:
            kept = {"meter", "modulus_wh", "point", "ratio"}
        if any(before[field] != after[field] for field in kept):
            return True
        if "removed" not in after and ("first_registers" in after) != ("final_registers" in after):
            return True
    return False


def two_meters(registry: Registry, rows: Sequence[tuple[int, Leaf]]) -> bool:
    """Whether more than one meter hangs at a point of these rows at any time, or more than 64 have hung there."""
    for point in {value["point"] for _, value in rows}:
        meters = [key for key in registry.keys("installation") if registry.first(key)["point"] == point]
        if len(meters) > INSTALLATIONS_MAX:
            return True
        for time_s in {from_s for key in meters for from_s, _ in registry.history(key)}:
            at = [registry.at(key, time_s) for key in meters]
            if sum(value is not None and "removed" not in value for value in at) > 1:
                return True
    return False
