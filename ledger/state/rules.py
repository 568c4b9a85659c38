"""The rules leaf of an area: its timeline, which the ledger reads, and the terms, which are its contract's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

TIMELINE: Final = ("gate_before_start_s", "metering_deadline_s", "open_before_start_s")


def terms_of(rules: Mapping[str, Any]) -> dict[str, Any]:
    """The rules without their timeline: prices, and whatever else the contract asks for."""
    return {name: value for name, value in rules.items() if name not in TIMELINE}
