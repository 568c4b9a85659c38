"""Every rule over everything that is watched: the same alerts in the same order for the same columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from gridwatch.alerts import Alert
from gridwatch.checks import areas, gateways, meters, nodes
from gridwatch.columns import ABSENT, Readings, Watched
from gridwatch.rules import Rules

_OF_AREA: Final[dict[str, Callable[[Readings, Any], Iterator[Alert]]]] = {
    "balance": areas.check_balance,
    "limits": meters.check_limits,
    "monotone": meters.check_monotone,
    "gaps": meters.check_gaps,
    "flat": meters.check_flat,
    "standstill": meters.check_standstill,
    "new_export": meters.check_new_export,
    "backwards": meters.check_backwards,
    "voltage": areas.check_voltage,
}


def alerts_of(watched: Watched, rules: Rules) -> list[Alert]:
    """What the rules find, by time, then by rule and subject."""
    found: list[Alert] = []
    for name, check in _OF_AREA.items():
        rule = getattr(rules, name)
        if rule is not None:
            for area in watched.areas:
                found += check(area, rule)
    if rules.clock is not None:
        found += gateways.check_clock(watched.sent, rules.clock)
    if rules.keys is not None:
        found += gateways.check_keys(watched.sent, rules.keys)
    if rules.blocks is not None:
        found += nodes.check_blocks(watched.blocks, rules.blocks)
    if rules.metrics is not None:
        found += nodes.check_metrics(watched, rules.metrics)
    return sorted(found)


def without_data(watched: Watched, rules: Rules) -> dict[str, str]:
    """The rules that are on and have nothing to look at, each with what is not there."""
    areas = watched.areas
    lacks = {
        "balance": "no meter at the grid above" if not any(area.is_border.any() for area in areas) else "",
        "monotone": "energies of slots were imported, and no registers"
        if all(area.is_imported for area in areas)
        else "",
        "voltage": "no voltages" if not any((area.voltage_mv != ABSENT).any() for area in areas) else "",
        "clock": "" if watched.sent else "no batches of gateways",
        "keys": "" if watched.sent else "no batches of gateways",
        "metrics": "" if watched.metrics else "no metrics of a node",
    }
    return {rule: what for rule, what in lacks.items() if what and getattr(rules, rule) is not None}
