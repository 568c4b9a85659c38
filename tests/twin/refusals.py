"""What the contracts of zones refuse of all that is registered (docs/spec/contracts.md), each looked at from nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tests.twin.forms import Leaf
from tests.twin.markets import MARKETS
from tests.twin.registry_forms import END

if TYPE_CHECKING:
    from tests.twin.registry import Registry
    from tests.twin.twin import Twin


def points_of_rules(registry: Registry, name: str) -> list[str]:
    """The keys of the points that ever had these rules of their own."""
    return [key for key in registry.keys("point") if any(v.get("rules") == name for _, v in registry.history(key))]


def is_approved(twin: Twin, zone: Leaf) -> bool:
    """Whether a zone names code that organisations have approved, from this height on or an earlier one."""
    return any(
        [contract, pin] == [zone["contract"], zone["contract_pin"]] and height <= twin.height
        for contract, pin, height in twin.leaves["contracts"]["approved"]
    )


def is_refused(twin: Twin, kind: str, name: str) -> bool:
    """Whether the contract of a zone refuses an entity, or what depends on it."""
    registry = twin.registry
    areas = {
        "area": lambda: ["area/" + name],
        "zone": lambda: [key for key in registry.keys("area") if registry.first(key)["zone"] == name],
        "rules": lambda: [
            key for key in registry.keys("area") if any(v["rules"] == name for _, v in registry.history(key))
        ],
    }.get(kind, list)()
    points = {
        "point": lambda: [f"point/{name}"],
        "zone": lambda: [
            key for key in registry.keys("point") if registry.find_zone(registry.first(key)["area"]) == name
        ],
        "rules": lambda: points_of_rules(registry, name),
    }.get(kind, list)()
    parties: Iterable[str] = [name] if kind == "party" else registry.keys_of("party") if kind == "zone" else []
    zone_of = {key: registry.first(key)["zone"] for key in areas}
    zone_of |= {key: registry.find_zone(registry.first(key)["area"]) for key in points}
    if kind == "agreement":
        zone = registry.find_zone(
            registry.first("point/" + registry.first(f"agreement/{name}")["seller_point"])["area"]
        )
        return not any(MARKETS[v["contract"]].takes_agreements for _, v in registry.history(f"zone/{zone}"))
    return any(has_refused_rules(registry, *of) for of in zone_of.items()) or any(
        is_account(registry, party) for party in parties
    )


def has_refused_rules(registry: Registry, key: str, zone_name: str) -> bool:
    """Whether an area or a point has rules at a time in which the contract of its zone does not take them."""
    zone = registry.history("zone/" + zone_name)
    opens_s = zone[0][1]["open_before_start_s"]
    contracts = [(zone[0][1]["first_slot_start_s"], zone[0][1])] + [
        (from_s + opens_s, value) for from_s, value in zone[1:]
    ]
    for own_span, value in spans(registry.history(key)):
        for rules_span, rules in spans(registry.history("rules/" + value.get("rules", ""))) if "rules" in value else []:
            for contract_span, contract in spans(contracts):
                begin = max(own_span[0], rules_span[0], contract_span[0])
                is_met = begin < min(own_span[1], rules_span[1], contract_span[1])
                if is_met and not MARKETS[contract["contract"]].takes(rules):
                    return True
    return False


def spans(rows: Sequence[tuple[int, Leaf]]) -> list[tuple[tuple[int, int], Leaf]]:
    """Each row with its first instant and the one behind its last."""
    ends = [from_s for from_s, _ in rows[1:]] + [END]
    return [((from_s, end), value) for (from_s, value), end in zip(rows, ends, strict=True)]


def is_account(registry: Registry, party: str) -> bool:
    """Whether a party has the name of an account of its zone's contract."""
    for _, value in registry.history("party/" + party):
        for _, zone in registry.history(f"zone/{registry.find_zone(value['area'])}"):
            if party in MARKETS[zone["contract"]].accounts:
                return True
    return False
