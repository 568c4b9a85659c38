"""The demonstration's prices, market and time-line. Illustrative: no utility's tariff (docs/simulated-grid.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PRICES: Final[Mapping[str, int]] = {
    "residual_price_micro_per_kwh": 460_000,
    "feed_in_price_micro_per_kwh": 280_000,
    "surplus_price_micro_per_kwh": 280_000,
    "shortfall_price_micro_per_kwh": 460_000,
    "network_traded_micro_per_kwh": 180_000,
    "network_residual_micro_per_kwh": 180_000,
    "levy_micro_per_kwh": 40_000,
}
REFERENCE_PRICE_MICRO_PER_KWH: Final = 370_000
RATIONING: Final = "pro_rata"
GATE_BEFORE_START_S: Final = 300
METERING_DEADLINE_S: Final = 900
OPEN_BEFORE_START_S: Final = 86_400
SLOT_S: Final = 900


def rules_leaf() -> dict[str, object]:
    """The value of the leaf ``rules/demo``."""
    return {
        "gate_before_start_s": GATE_BEFORE_START_S,
        "metering_deadline_s": METERING_DEADLINE_S,
        "open_before_start_s": OPEN_BEFORE_START_S,
        "prices": dict(PRICES),
        "rationing": RATIONING,
        "reference_price_micro_per_kwh": REFERENCE_PRICE_MICRO_PER_KWH,
    }


def rules_toml() -> str:
    """The same as the file ``rules.toml`` of a results folder."""
    prices = "".join(f"{key} = {value}\n" for key, value in PRICES.items())
    return (
        "# Illustrative prices, no utility's tariff.\n"
        f"[prices]\n{prices}\n"
        f'[market]\nreference_price_micro_per_kwh = {REFERENCE_PRICE_MICRO_PER_KWH}\nrationing = "{RATIONING}"\n\n'
        f"[timeline]\ngate_before_start_s = {GATE_BEFORE_START_S}\nmetering_deadline_s = {METERING_DEADLINE_S}\n"
    )
