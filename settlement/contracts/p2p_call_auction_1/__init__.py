"""``p2p_call_auction/1``: a call auction at one uniform price, and the settlement of one slot after metering.

What each must yield, exactly, is said by ``call_auction/1`` and ``slot_settlement/1`` of the conformance vectors. Both are
pure functions over columns: no state, no clock, no floats.
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
    check_starts,
    fault_of_keys,
)
from settlement.contracts.p2p_call_auction_1.clearing import BUY, PRO_RATA, SELL, TIME, Clearing, clear
from settlement.contracts.p2p_call_auction_1.slot import (
    ACCOUNTS,
    LINE_KINDS,
    POSITION_COLUMNS,
    PRICE_KEYS,
    SUPPLIER_KEYS,
    lines_of,
    settle,
)

__all__ = [
    "BUY",
    "CONTRACT",
    "LINE_KINDS",
    "PRICE_KEYS",
    "PRO_RATA",
    "SELL",
    "TIME",
    "Clearing",
    "P2pCallAuction",
    "clear",
]

_RATIONING = "rationing"
_REFERENCE_PRICE = "reference_price_micro_per_kwh"
_REFERENCE_MICRO_PER_KWH_MAX = 10**9


class P2pCallAuction:
    """The contract as the ledger sees it (``ledger.contract.Contract``)."""

    contract_id = "p2p_call_auction/1"
    takes_orders = True
    line_kinds = LINE_KINDS
    accounts = ACCOUNTS
    position_columns = POSITION_COLUMNS
    area_columns = ()
    price_keys = PRICE_KEYS
    supplier_keys = SUPPLIER_KEYS

    def fault_of(self, prices: Mapping[str, int], terms: Mapping[str, Any]) -> str:
        """What is wrong with the rules of an area: seven prices, how is rationed, and the price that breaks a tie."""
        fault = fault_of_keys(prices, PRICE_KEYS, "prices") or fault_of_keys(
            terms, (_RATIONING, _REFERENCE_PRICE), "terms"
        )
        if fault:
            return fault
        if terms[_RATIONING] != PRO_RATA:
            return f"{_RATIONING} is one of {PRO_RATA}, not {terms[_RATIONING]!r}"
        most, price = _REFERENCE_MICRO_PER_KWH_MAX, terms[_REFERENCE_PRICE]
        is_price = type(price) is int and abs(price) <= most
        return "" if is_price else f"{_REFERENCE_PRICE} is a whole number, -{most} to {most}, not {price!r}"

    def clear(
        self,
        side: Int8Column,
        quantity_wh: Int64Column,
        price_micro_per_kwh: Int64Column,
        *,
        area_starts: Int64Column,
        terms: Sequence[Mapping[str, Any]],
    ) -> GroupedClearing:
        """Clear the gates of all areas, one by one where there are orders: see ``clearing.clear``."""
        check_starts(area_starts, side.size)
        volume_wh, price = np.zeros(len(terms), dtype=np.int64), np.zeros(len(terms), dtype=np.int64)
        filled_wh = np.zeros(side.size, dtype=np.int64)
        for area in np.flatnonzero(np.diff(area_starts)).tolist():
            rows = slice(int(area_starts[area]), int(area_starts[area + 1]))
            cleared = clear(
                side[rows],
                quantity_wh[rows],
                price_micro_per_kwh[rows],
                reference_price_micro_per_kwh=terms[area][_REFERENCE_PRICE],
                rationing=terms[area][_RATIONING],
            )
            volume_wh[area], price[area] = cleared.volume_wh, cleared.price_micro_per_kwh or 0
            filled_wh[rows] = cleared.filled_wh
        return GroupedClearing(volume_wh, price, filled_wh)

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
        """Settle one slot of all areas: see ``slot.settle``."""
        return settle(
            import_wh,
            export_wh,
            bought_wh,
            sold_wh,
            area_starts=area_starts,
            trade_price_micro_per_kwh=trade_price_micro_per_kwh,
            prices=prices,
        )

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
            sold_wh=positions["sold_wh"],
            trade_price_micro_per_kwh=trade_price_micro_per_kwh,
            prices=prices,
        )


CONTRACT = P2pCallAuction()
"""The one instance: contracts hold no state."""
