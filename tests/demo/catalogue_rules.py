"""A folder of rules for each contract of the catalogue, for the homes of the village."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

COMMUNITY: Final = """
[prices]
residual_price_micro_per_kwh = 460000
feed_in_price_micro_per_kwh = 280000
network_traded_micro_per_kwh = 180000
network_residual_micro_per_kwh = 180000
levy_micro_per_kwh = 40000
"""
TRADERS: Final = f"{COMMUNITY}surplus_price_micro_per_kwh = 280000\nshortfall_price_micro_per_kwh = 460000\n"
PLACES: Final = (
    "grid_places = [{place = 1, fee_micro_per_kwh = 20000%s}, {place = 10, parent = 1, fee_micro_per_kwh = 10000%s}, "
    "{place = 20, parent = 1, fee_micro_per_kwh = 5000%s}]"
)
_TERMS: Final[Mapping[str, tuple[str, str]]] = {
    "p2p_call_auction/1": ('reference_price_micro_per_kwh = 370000\nrationing = "pro_rata"', TRADERS),
    "p2p_call_auction/2": ('price_k_ppm = 500000\nrationing = "time"', TRADERS),
    "pay_as_bid/1": ("", TRADERS),
    "pay_as_bid/2": ("price_k_ppm = 500000", TRADERS),
    "continuous_double_auction/1": ("", TRADERS),
    "continuous_double_auction/2": ("price_k_ppm = 500000", TRADERS),
    "trade_reduction/1": ("", TRADERS),
    "conditional_bid/1": ('price_rule = "pay_as_bid"', TRADERS),
    "grid_fee_path/1": (f'price_rule = "pay_as_offer"\n{PLACES % ("", "", "")}', TRADERS),
    "grid_fee_path/2": (PLACES % (", fee_ppm = 0", ", fee_ppm = 50000", ", fee_ppm = 0"), TRADERS),
    "mid_market_rate/1": ("", COMMUNITY),
    "supply_demand_ratio/1": ("", COMMUNITY),
    "bill_sharing/1": ("", COMMUNITY),
    "sharing_keys/1": ('method = "dynamic"\ntrade_price_micro_per_kwh = 360000', COMMUNITY),
    "bilateral_agreements/1": ("", COMMUNITY),
    "schedules_and_deviations/1": ("", TRADERS),
}
"""By contract its terms and prices."""
_HOMES: Final = range(1, 25)
POINTS: Final = "point,grid_place\n" + "".join(f"M-H{home:03d},{10 if home <= 12 else 20}\n" for home in _HOMES)
AGREEMENTS: Final = (
    "agreement,seller_point,buyer_point,basis,price_micro_per_kwh,quantity_kwh\n"
    "roof,M-H013,M-H006,fixed_quantity,350000,0.2\n"
)
RULES_OF: Final[Mapping[str, Mapping[str, str]]] = {
    contract: {
        "rules.toml": f'[market]\ncontract = "{contract}"\n{terms}\n{prices}',
        "points.csv": POINTS,
        "agreements.csv": AGREEMENTS,
    }
    for contract, (terms, prices) in _TERMS.items()
}
"""By contract the files of a folder; what a contract does not use is not read."""
