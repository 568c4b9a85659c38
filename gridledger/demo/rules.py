"""The demonstration's prices, market and time-line. Illustrative: no utility's tariff (docs/simulated-grid.md)."""

from __future__ import annotations

import json
from typing import Final

from gridcore.registry.rules import Rules

SLOT_S: Final = 900
GATE_BEFORE_START_S: Final = 300
METERING_DEADLINE_S: Final = 900
OPEN_BEFORE_START_S: Final = 86_400
RULES: Final = Rules(
    prices={
        "residual_price_micro_per_kwh": 460_000,
        "feed_in_price_micro_per_kwh": 280_000,
        "surplus_price_micro_per_kwh": 280_000,
        "shortfall_price_micro_per_kwh": 460_000,
        "network_traded_micro_per_kwh": 180_000,
        "network_residual_micro_per_kwh": 180_000,
        "levy_micro_per_kwh": 40_000,
    },
    terms={"reference_price_micro_per_kwh": 370_000, "rationing": "pro_rata"},
)


def rules_toml() -> str:
    """The same as the file ``rules.toml`` of a results folder."""
    prices = "".join(f"{key} = {value}\n" for key, value in RULES.prices.items())
    market = "".join(f"{key} = {json.dumps(value)}\n" for key, value in RULES.terms.items())
    timeline = f"gate_before_start_s = {GATE_BEFORE_START_S}\nmetering_deadline_s = {METERING_DEADLINE_S}\n"
    return (
        f"# Illustrative prices, no utility's tariff.\n[prices]\n{prices}\n[market]\n{market}\n[timeline]\n{timeline}"
    )
