"""``rules/<id>``: prices and time-line of an area's market."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from gridcore.forms import Form, integer
from ledger.leaves.area import AREA
from ledger.leaves.family import Family, Leaves, Value, as_map

SPAN_S_MAX: Final = 366 * 86_400
"""Longest span of a rule: opening, gate, metering deadline."""


class RulesLeaf(NamedTuple):
    """Rules of a market; spans in seconds.

    A slot's book opens ``open_before_start_s`` and closes ``gate_before_start_s`` before the slot; its run falls due
    ``metering_deadline_s`` after its end. terms: all the rest, which the area's contract reads; the leaf holds them beside
    the spans. ``prices`` among them: by name, in 1e-6 of the currency per kWh.
    """

    gate_before_start_s: int
    metering_deadline_s: int
    open_before_start_s: int
    terms: Mapping[str, Any]

    @property
    def prices(self) -> Mapping[str, int]:
        """The terms' prices, micro per kWh by name."""
        prices: Mapping[str, int] = self.terms["prices"]
        return prices


def _key(rules: str) -> str:
    return f"rules/{rules}"


def _decode(*, gate_before_start_s: int, metering_deadline_s: int, open_before_start_s: int, **terms: Any) -> RulesLeaf:
    return RulesLeaf(gate_before_start_s, metering_deadline_s, open_before_start_s, terms)


def _encode(record: RulesLeaf) -> Value:
    spans = dict(as_map(record))
    return {**spans.pop("terms"), **spans}


RULES: Final = Family(
    "rules",
    _key,
    _decode,
    _encode,
    forms={
        "gate_before_start_s": integer(0, SPAN_S_MAX),
        "metering_deadline_s": integer(0, SPAN_S_MAX),
        "open_before_start_s": integer(1, SPAN_S_MAX),
        "prices": Form("a map", lambda value: isinstance(value, dict)),
    },
    is_provable=True,
    is_open=True,
)


def rules_of(leaves: Leaves, area: str) -> RulesLeaf:
    """The rules of an area that exists."""
    return RULES.must(leaves, AREA.must(leaves, area).rules)
