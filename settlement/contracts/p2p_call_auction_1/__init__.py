"""``p2p_call_auction/1``: a call auction at one uniform price, and the settlement of one slot after metering.

What each must yield, exactly, is said by ``call_auction/1`` and ``slot_settlement/1`` of the conformance vectors. Both are
pure functions over columns: no state, no clock, no floats.
"""

from __future__ import annotations

from collections.abc import Mapping

from settlement.contract_kit_1 import Int8Column, Int64Column
from settlement.contracts.p2p_call_auction_1.clearing import BUY, PRO_RATA, SELL, TIME, Clearing, clear
from settlement.contracts.p2p_call_auction_1.slot import (
    ACCOUNTS,
    LINE_KINDS,
    PRICE_KEYS,
    Line,
    SlotSettlement,
    settle,
)

__all__ = [
    "ACCOUNTS",
    "BUY",
    "CONTRACT",
    "LINE_KINDS",
    "PRICE_KEYS",
    "PRO_RATA",
    "SELL",
    "TIME",
    "Clearing",
    "Line",
    "P2pCallAuction",
    "SlotSettlement",
]


class P2pCallAuction:
    """The contract as the ledger sees it (``ledger.contract.Contract``)."""

    contract_id = "p2p_call_auction/1"

    def clear(
        self,
        side: Int8Column,
        quantity_wh: Int64Column,
        price_micro_per_kwh: Int64Column,
        *,
        reference_price_micro_per_kwh: int | None,
        rationing: str,
        sequence: Int64Column | None = None,
    ) -> Clearing:
        """Clear one gate: see ``clearing.clear``."""
        return clear(
            side,
            quantity_wh,
            price_micro_per_kwh,
            reference_price_micro_per_kwh=reference_price_micro_per_kwh,
            rationing=rationing,
            sequence=sequence,
        )

    def settle(
        self,
        import_wh: Int64Column,
        export_wh: Int64Column,
        bought_wh: Int64Column,
        sold_wh: Int64Column,
        *,
        trade_price_micro_per_kwh: int | None,
        prices: Mapping[str, int],
    ) -> SlotSettlement:
        """Settle one slot: see ``slot.settle``."""
        return settle(
            import_wh,
            export_wh,
            bought_wh,
            sold_wh,
            trade_price_micro_per_kwh=trade_price_micro_per_kwh,
            prices=prices,
        )


CONTRACT = P2pCallAuction()
"""The one instance: contracts hold no state."""
