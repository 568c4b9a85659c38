"""``continuous_double_auction/2``: orders meet as under version 1, at a price between both limits in place of the resting one's."""

from __future__ import annotations

from settlement.contract_kit_2 import SplitPairs
from settlement.contracts import continuous_double_auction_1

__all__ = ["CONTRACT"]

CONTRACT = SplitPairs("continuous_double_auction/2", continuous_double_auction_1.CONTRACT.match, ranks_by_arrival=True)
