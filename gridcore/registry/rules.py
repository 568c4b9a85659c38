"""``rules/<name>``: prices and terms of areas; what stands in them is declared by the contract of their zone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from gridcore.column import I64_MAX, I64_MIN
from gridcore.forms import INSTANT, NAME, Form
from gridcore.registry.entity import Entity, Shape


class Rules(NamedTuple):
    """prices: by the contract's name for each, in 1e-6 of the currency per kWh; terms: what else the contract declares.

    series: for some of the prices the name of the price series that says them slot by slot; where it says none, the price above holds.
    until_s: up to when they were published, UTC seconds; they stand beyond it, and a node warns of it. None: for no certain time.
    """

    prices: Mapping[str, int]
    terms: Mapping[str, Any]
    until_s: int | None = None
    series: Mapping[str, str] | None = None


def _are_prices(value: Any) -> bool:
    return isinstance(value, dict) and all(
        type(price) is int and I64_MIN <= price <= I64_MAX for price in value.values()
    )


SERIES_MAX: Final = 8
"""Prices of rules that vary: a bundle shows all their series."""


def _are_series(value: Any) -> bool:
    return isinstance(value, dict) and 1 <= len(value) <= SERIES_MAX and all(map(NAME.holds, value.values()))


def _fault(rules: Rules) -> str:
    foreign = sorted(set(rules.series or ()) - set(rules.prices))
    return f"series: {foreign[0]} is none of the prices; these are {', '.join(sorted(rules.prices))}" if foreign else ""


RULES: Final[Entity[Rules]] = Entity(
    "rules",
    Shape(
        Rules,
        {
            "prices": Form("a map of whole numbers of 64 bits", _are_prices),
            "series": Form(f"a map of 1 to {SERIES_MAX} prices, each to the name of its price series", _are_series),
            "terms": Form("a map", lambda value: isinstance(value, dict)),
            "until_s": INSTANT,
        },
        optional=frozenset({"series", "until_s"}),
        rule=_fault,
    ),
)
