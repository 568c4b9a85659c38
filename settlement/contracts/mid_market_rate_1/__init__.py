"""``mid_market_rate/1``: a community shares each slot's energy after the fact, half way between the grid's two prices.

What the sharing must yield, exactly, is said by ``mid_market_rate/1`` of the conformance vectors; network charge and levy are
those of ``slot_settlement/1``.
"""

from __future__ import annotations

from settlement.contract_kit_1 import CommunityContract
from settlement.contracts.mid_market_rate_1.rate import Totals

__all__ = ["CONTRACT", "Totals"]

CONTRACT = CommunityContract("mid_market_rate/1", Totals)
"""The one instance: contracts hold no state."""
