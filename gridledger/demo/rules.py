"""The demonstration's prices, market and time-line. Illustrative: no utility's tariff (docs/simulated-grid.md)."""

from __future__ import annotations

import json
from typing import Final

from ledger.master_data import Rules

SLOT_S: Final = 900
RULES: Final = Rules(
    name="demo",
    prices_micro_per_kwh={
        "residual_price_micro_per_kwh": 460_000,
        "feed_in_price_micro_per_kwh": 280_000,
        "surplus_price_micro_per_kwh": 280_000,
        "shortfall_price_micro_per_kwh": 460_000,
        "network_traded_micro_per_kwh": 180_000,
        "network_residual_micro_per_kwh": 180_000,
        "levy_micro_per_kwh": 40_000,
    },
    market={"reference_price_micro_per_kwh": 370_000, "rationing": "pro_rata"},
    gate_before_start_s=300,
    metering_deadline_s=900,
    open_before_start_s=86_400,
)


def rules_toml() -> str:
    """The same as the file ``rules.toml`` of a results folder."""
    prices = "".join(f"{key} = {value}\n" for key, value in RULES.prices_micro_per_kwh.items())
    market = "".join(f"{key} = {json.dumps(value)}\n" for key, value in RULES.market.items())
    timeline = f"gate_before_start_s = {RULES.gate_before_start_s}\nmetering_deadline_s = {RULES.metering_deadline_s}\n"
    return (
        f"# Illustrative prices, no utility's tariff.\n[prices]\n{prices}\n[market]\n{market}\n[timeline]\n{timeline}"
    )
