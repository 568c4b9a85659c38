"""``mid_market_rate/1``: a community shares each slot's energy after the fact, half way between the grid's two prices.

What the sharing must yield, exactly, is said by ``mid_market_rate/1`` of the conformance vectors; network charge and levy are
those of ``slot_settlement/1``. There are no orders: nothing is cleared at the gate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from settlement.contract_kit_1 import (
    PRICES,
    Int8Column,
    Int64Column,
    Line,
    RowsLike,
    Settlement,
    fault_of_keys,
    fault_of_prices,
)
from settlement.contracts.mid_market_rate_1.rate import Communities, Totals, share
from settlement.contracts.mid_market_rate_1.slot import (
    ACCOUNTS,
    AREA_COLUMNS,
    FEED_IN_PRICE,
    LINE_KINDS,
    POSITION_COLUMNS,
    PRICE_KEYS,
    RETAIL_PRICE,
    SUPPLIER_KEYS,
    lines_of,
    settle,
)

__all__ = ["CONTRACT", "LINE_KINDS", "Communities", "MidMarketRate", "NoClearing", "Totals", "share"]


@dataclass(frozen=True, slots=True)
class NoClearing:
    """A gate without a market: no volume, no price, nothing filled."""

    filled_wh: Int64Column
    volume_wh: int = 0
    price_micro_per_kwh: int | None = None


class MidMarketRate:
    """The contract as the ledger sees it (``ledger.contract.Contract``)."""

    contract_id = "mid_market_rate/1"
    takes_orders = False
    line_kinds = LINE_KINDS
    accounts = ACCOUNTS
    supplier_keys = SUPPLIER_KEYS
    position_columns = POSITION_COLUMNS
    area_columns = AREA_COLUMNS
    point_terms: tuple[str, ...] = ()

    def fault_of(self, terms: Mapping[str, Any]) -> str:
        """What is wrong with the terms of an area: five prices, of which the retail price is the highest of the two."""
        fault = fault_of_keys(terms, (PRICES,)) or fault_of_prices(terms, PRICE_KEYS)
        if fault:
            return fault
        retail, feed_in = terms[PRICES][RETAIL_PRICE], terms[PRICES][FEED_IN_PRICE]
        return "" if retail >= feed_in >= 0 else f"{PRICES}: {RETAIL_PRICE} >= {FEED_IN_PRICE} >= 0 does not hold"

    def exposure_micro_per_kwh(
        self, side: Int8Column, price_micro_per_kwh: Int64Column, *, prices: Mapping[str, int]
    ) -> Int64Column:
        """Nothing: there are no orders."""
        return np.zeros_like(price_micro_per_kwh)

    def clear(
        self,
        side: Int8Column,
        quantity_wh: Int64Column,
        price_micro_per_kwh: Int64Column,
        *,
        terms: Mapping[str, Any],
    ) -> NoClearing:
        """Clear one gate: nothing is traded."""
        return NoClearing(np.zeros(side.size, dtype=np.int64))

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
        return lines_of(rows, columns, groups=len(terms))


CONTRACT = MidMarketRate()
"""The one instance: contracts hold no state."""
