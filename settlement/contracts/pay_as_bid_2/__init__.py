"""``pay_as_bid/2``: orders meet as under ``pay_as_bid/1``; between which limits they trade is a term of the area's rules."""

from __future__ import annotations

from settlement.contract_kit_2 import SplitPairs
from settlement.contracts import pay_as_bid_1

__all__ = ["CONTRACT"]

CONTRACT = SplitPairs("pay_as_bid/2", pay_as_bid_1.CONTRACT.match)
