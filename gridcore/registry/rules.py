"""``rules/<name>``: prices and terms of areas; what stands in them is declared by the contract of their zone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from gridcore.column import I64_MAX, I64_MIN
from gridcore.forms import INSTANT, Form
from gridcore.registry.entity import Entity, Shape


class Rules(NamedTuple):
    """prices: by the contract's name for each, in 1e-6 of the currency per kWh; terms: what else the contract declares.

    until_s: up to when they were published, UTC seconds; they stand beyond it, and a node warns of it. None: for no certain time.
    """

    prices: Mapping[str, int]
    terms: Mapping[str, Any]
    until_s: int | None = None


def _are_prices(value: Any) -> bool:
    return isinstance(value, dict) and all(
        type(price) is int and I64_MIN <= price <= I64_MAX for price in value.values()
    )


RULES: Final[Entity[Rules]] = Entity(
    "rules",
    Shape(
        Rules,
        {
            "prices": Form("a map of whole numbers of 64 bits", _are_prices),
            "terms": Form("a map", lambda value: isinstance(value, dict)),
            "until_s": INSTANT,
        },
        optional=frozenset({"until_s"}),
    ),
)
