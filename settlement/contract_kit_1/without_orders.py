"""Contracts without a market: energy is shared after the fact, and nothing is cleared at the gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from settlement.contract_kit_1.columns import Int8Column, Int64Column
from settlement.contract_kit_1.errors import ContractError
from settlement.contract_kit_1.rows import RowsLike


@dataclass(frozen=True, slots=True)
class NoClearing:
    """A gate without a market: no volume, no price, nothing filled."""

    filled_wh: Int64Column
    volume_wh: int = 0
    price_micro_per_kwh: int | None = None
    trades: None = None
    fees_micro_per_kwh: None = None


class WithoutOrders:
    """What such a contract answers where the ledger asks for orders (``ledger.contract.Contract``)."""

    takes_orders = False
    trades_in_pairs = False
    ranks_by_arrival = False
    order_terms: tuple[str, ...] = ()

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
        until_rank: Int64Column | None = None,
        order_terms: Mapping[str, Int64Column] | None = None,
    ) -> NoClearing:
        """Clear one gate: nothing is traded."""
        return NoClearing(np.zeros(side.size, dtype=np.int64))


def check_nothing_traded(rows: RowsLike, trade_prices_micro_per_kwh: Sequence[int | None]) -> None:
    """ContractError where orders traded anything: there are none."""
    if any(price is not None for price in trade_prices_micro_per_kwh) or rows.bought_wh.any() or rows.sold_wh.any():
        raise ContractError("nothing is traded by orders under this contract")
