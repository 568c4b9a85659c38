"""``pay_as_bid/1``: a call auction in which each pair of orders trades at the buy's limit."""

from __future__ import annotations

from settlement.contracts.pay_as_bid_1.matching import match

__all__ = ["match"]
