"""``pay_as_bid/1``: a call auction in which each pair of orders trades at the buy's limit."""

from __future__ import annotations

from settlement.contract_kit_1 import Int8Column, Int64Column, PairedContract, Trades
from settlement.contracts.pay_as_bid_1.matching import match

__all__ = ["CONTRACT", "match"]


def _match_gate(
    side: Int8Column, quantity_wh: Int64Column, price_micro_per_kwh: Int64Column, _until_rank: Int64Column | None
) -> Trades:
    """A gate has no order of time: of equal limits the lower rank comes first."""
    return match(side, quantity_wh, price_micro_per_kwh)


CONTRACT = PairedContract("pay_as_bid/1", _match_gate)
