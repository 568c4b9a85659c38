"""A price between two limits, by a share of the way from the lower to the higher."""

from __future__ import annotations

from typing import Final

from settlement.contract_kit_1 import PRICE_MICRO_PER_KWH_MAX, ContractError, Price, price_magnitude

PRICE_K: Final = "price_k_ppm"
"""The term: how far up from the lowest price that both sides accept."""
PRICE_K_MAX_PPM: Final = 1_000_000


def fault_of_price_k(k_ppm: object) -> str:
    """What is wrong with the term ``price_k_ppm``; "" where nothing is."""
    if type(k_ppm) is int and 0 <= k_ppm <= PRICE_K_MAX_PPM:
        return ""
    return f"{PRICE_K} is a whole number, 0 (the lowest price) to {PRICE_K_MAX_PPM} (the highest), not {k_ppm!r}"


def price_between(lowest: Price, highest: Price, k_ppm: int) -> Price:
    """Lowest + floor((highest - lowest) x k / 1,000,000), micro per kWh: a number, or int64[n] row by row, lowest <= highest.

    ContractError for a price beyond 10^9 of either sign: within it no product leaves int64.
    """
    if max(price_magnitude(lowest), price_magnitude(highest)) > PRICE_MICRO_PER_KWH_MAX:
        raise ContractError(f"a limit is beyond {PRICE_MICRO_PER_KWH_MAX}")
    return lowest + (highest - lowest) * k_ppm // PRICE_K_MAX_PPM
