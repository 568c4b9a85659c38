"""Contract kit 2: what later contracts take beside kit 1: a price between two limits as a term of the area's rules.

``price_k_ppm`` says where between the lowest and the highest price that both sides accept the price lies (the k of a k-double auction): 0
is the lowest, 500,000 the middle, 1,000,000 the highest. Released kits are never edited: what needs another rule gets ``contract_kit_3``.
"""

from __future__ import annotations

from settlement.contract_kit_2.paired import SplitPairs, split_between
from settlement.contract_kit_2.price import PRICE_K, PRICE_K_MAX_PPM, fault_of_price_k, price_between

__all__ = ["PRICE_K", "PRICE_K_MAX_PPM", "SplitPairs", "fault_of_price_k", "price_between", "split_between"]
