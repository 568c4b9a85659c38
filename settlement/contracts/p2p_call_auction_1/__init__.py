"""``p2p_call_auction/1``: a call auction at one uniform price, and the settlement of one slot after metering.

What each must yield, exactly, is said by ``call_auction/1`` and ``slot_settlement/1`` of the conformance vectors. Both are
pure functions over columns: no state, no clock, no floats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from settlement.contract_kit_1 import (
    PRICES,
    TRADER_ACCOUNTS,
    TRADER_SUPPLIER_KEYS,
    Int8Column,
    Int64Column,
    Line,
    RowsLike,
    Settlement,
    exposure,
    fault_of_keys,
    fault_of_prices,
    fault_of_relations,
)
from settlement.contracts.p2p_call_auction_1.clearing import PRO_RATA, TIME, Clearing, clear
from settlement.contracts.p2p_call_auction_1.slot import LINE_KINDS, POSITION_COLUMNS, PRICE_KEYS, lines_of, settle

__all__ = [
    "CONTRACT",
    "LINE_KINDS",
    "PRICE_KEYS",
    "PRO_RATA",
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
    trades_in_pairs = False
    ranks_by_arrival = False
    line_kinds = LINE_KINDS
    accounts = TRADER_ACCOUNTS
    supplier_keys = TRADER_SUPPLIER_KEYS
    position_columns = POSITION_COLUMNS
    area_columns: tuple[str, ...] = ()
    point_terms: tuple[str, ...] = ()
    order_terms: tuple[str, ...] = ()
    takes_agreements = False
    period_columns: tuple[str, ...] = ()
    period_area_columns: tuple[str, ...] = ()

    def fault_of(self, terms: Mapping[str, Any]) -> str:
        """What is wrong with the terms of an area: seven prices under which nobody earns by trading what he does not
        deliver or use, how is rationed, and the price that breaks a tie.
        """
        fault = fault_of_keys(terms, (PRICES, _RATIONING, _REFERENCE_PRICE))
        fault = fault or fault_of_prices(terms, PRICE_KEYS) or fault_of_relations(terms[PRICES])
        if fault:
            return fault
        if terms[_RATIONING] != PRO_RATA:
            return f"{_RATIONING} is one of {PRO_RATA}, not {terms[_RATIONING]!r}"
        most, price = _REFERENCE_MICRO_PER_KWH_MAX, terms[_REFERENCE_PRICE]
        is_price = type(price) is int and abs(price) <= most
        return "" if is_price else f"{_REFERENCE_PRICE} is a whole number, -{most} to {most}, not {price!r}"

    def exposure_micro_per_kwh(
        self, side: Int8Column, price_micro_per_kwh: Int64Column, *, prices: Mapping[str, int]
    ) -> Int64Column:
        """What a kWh can cost: see ``contract_kit_1.slot_settlement.exposure``."""
        return exposure(side, price_micro_per_kwh, prices)

    def clear(
        self,
        side: Int8Column,
        quantity_wh: Int64Column,
        price_micro_per_kwh: Int64Column,
        *,
        terms: Mapping[str, Any],
        until_rank: Int64Column | None = None,
        order_terms: Mapping[str, Int64Column] | None = None,
    ) -> Clearing:
        """Clear one gate: see ``clearing.clear``."""
        return clear(
            side,
            quantity_wh,
            price_micro_per_kwh,
            reference_price_micro_per_kwh=terms[_REFERENCE_PRICE],
            rationing=terms[_RATIONING],
        )

    def settle(
        self,
        rows: RowsLike,
        *,
        trade_prices_micro_per_kwh: Sequence[int | None],
        terms: Sequence[Mapping[str, Any]],
    ) -> Settlement:
        """Settle some groups of rows: see ``slot.settle``."""
        return settle(rows, trade_prices_micro_per_kwh=trade_prices_micro_per_kwh)

    def lines(
        self,
        rows: RowsLike,
        columns: Mapping[str, Int64Column],
        *,
        trade_prices_micro_per_kwh: Sequence[int | None],
        terms: Sequence[Mapping[str, Any]],
    ) -> tuple[Line, ...]:
        """The lines of settled rows: see ``slot.lines_of``."""
        return lines_of(rows, trade_prices_micro_per_kwh=trade_prices_micro_per_kwh)


CONTRACT = P2pCallAuction()
"""The one instance: contracts hold no state."""
