"""``continuous_double_auction/1``: orders meet as they come, each pair at the limit of the order that rested."""

from __future__ import annotations

from settlement.contracts.continuous_double_auction_1.book import Matched, match

__all__ = ["Matched", "match"]
