"""``supply_demand_ratio/1``: a community shares each slot's energy after the fact, at prices that follow supply and demand.

What the sharing must yield, exactly, is said by ``supply_demand_ratio/1`` of the conformance vectors; network charge and levy are
those of ``slot_settlement/1``.
"""

from __future__ import annotations

from settlement.contract_kit_1 import CommunityContract
from settlement.contracts.supply_demand_ratio_1.ratio import Totals

__all__ = ["CONTRACT", "Totals"]

CONTRACT = CommunityContract("supply_demand_ratio/1", Totals)
"""The one instance: contracts hold no state."""
