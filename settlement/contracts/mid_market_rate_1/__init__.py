"""``mid_market_rate/1``: a community shares each slot's energy after the fact, half way between the grid's two prices.

What the sharing must yield, exactly, is said by ``mid_market_rate/1`` of the conformance vectors; network charge and levy are
those of ``slot_settlement/1``. There are no orders: nothing is cleared at the gate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from settlement.contract_kit_1 import (
    GroupedClearing,
    GroupedSettlement,
    Int8Column,
    Int64Column,
    Line,
    fault_of_keys,
)
from settlement.contracts.mid_market_rate_1.rate import Community, Totals, share
from settlement.contracts.mid_market_rate_1.slot import (
    ACCOUNTS,
    AREA_COLUMNS,
    FEED_IN_PRICE,
    LINE_KINDS,
    POSITION_COLUMNS,
    PRICE_KEYS,
    RETAIL_PRICE,
    SUPPLIER_KEYS,
    check_no_orders,
    lines_of,
    settle,
)

__all__ = ["CONTRACT", "LINE_KINDS", "Community", "MidMarketRate", "Totals", "share"]


class MidMarketRate:
    """The contract as the ledger sees it (``ledger.contract.Contract``)."""

    contract_id = "mid_market_rate/1"
    takes_orders = False
    line_kinds = LINE_KINDS
    accounts = ACCOUNTS
    position_columns = POSITION_COLUMNS
    area_columns = AREA_COLUMNS
    price_keys = PRICE_KEYS
    supplier_keys = SUPPLIER_KEYS

    def fault_of(self, prices: Mapping[str, int], terms: Mapping[str, Any]) -> str:
        """What is wrong with the rules of an area: five prices, of which the retail price is the highest of the two."""
        fault = fault_of_keys(prices, PRICE_KEYS, "prices") or fault_of_keys(terms, (), "terms")
        if fault:
            return fault
        is_right = prices[RETAIL_PRICE] >= prices[FEED_IN_PRICE] >= 0
        return "" if is_right else f"prices: {RETAIL_PRICE} >= {FEED_IN_PRICE} >= 0 does not hold"

    def clear(
        self,
        side: Int8Column,
        quantity_wh: Int64Column,
        price_micro_per_kwh: Int64Column,
        *,
        area_starts: Int64Column,
        terms: Sequence[Mapping[str, Any]],
    ) -> GroupedClearing:
        """Nothing is traded at a gate: no volume, no price, nothing filled."""
        nothing = np.zeros(len(terms), dtype=np.int64)
        return GroupedClearing(nothing, nothing, np.zeros(side.size, dtype=np.int64))

    def settle(
        self,
        import_wh: Int64Column,
        export_wh: Int64Column,
        bought_wh: Int64Column,
        sold_wh: Int64Column,
        *,
        area_starts: Int64Column,
        trade_price_micro_per_kwh: Int64Column,
        prices: Mapping[str, Int64Column],
    ) -> GroupedSettlement:
        """Settle one slot of all areas: see ``slot.settle``. Nothing was traded by orders."""
        check_no_orders(trade_price_micro_per_kwh, bought_wh, sold_wh)
        return settle(import_wh, export_wh, area_starts=area_starts, prices=prices)

    def lines(
        self,
        import_wh: Int64Column,
        export_wh: Int64Column,
        positions: Mapping[str, Int64Column],
        *,
        trade_price_micro_per_kwh: int,
        prices: Mapping[str, int],
    ) -> tuple[Line, ...]:
        """The lines of some rows of an area in a settled slot, out of what the ledger keeps of them: see ``slot.lines_of``."""
        return lines_of(
            import_wh=import_wh,
            export_wh=export_wh,
            bought_wh=positions["bought_wh"],
            community_nano=positions["community_nano"],
            prices=prices,
        )


CONTRACT = MidMarketRate()
"""The one instance: contracts hold no state."""
