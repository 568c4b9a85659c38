"""Contracts that trade in pairs, each pair at a share of the way from the sell's limit to the buy's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from settlement.contract_kit_1 import (
    PRICES,
    Int8Column,
    Int64Column,
    PairedClearing,
    PairedContract,
    Trades,
    fault_of_keys,
)
from settlement.contract_kit_2.price import PRICE_K, fault_of_price_k, price_between


@dataclass(frozen=True)
class SplitPairs(PairedContract):
    """Who meets whom, and for how much, is said by ``match``; at which price by the term ``price_k_ppm``."""

    def fault_of(self, terms: Mapping[str, Any]) -> str:
        """What is wrong with the terms of an area: its prices (``PairedContract.fault_of``), and the share of each trade's price."""
        fault = fault_of_keys(terms, (PRICES, PRICE_K))
        return fault or super().fault_of({PRICES: terms[PRICES]}) or fault_of_price_k(terms[PRICE_K])

    def clear(
        self,
        side: Int8Column,
        quantity_wh: Int64Column,
        price_micro_per_kwh: Int64Column,
        *,
        terms: Mapping[str, Any],
        until_rank: Int64Column | None = None,
        order_terms: Mapping[str, Int64Column] | None = None,
    ) -> PairedClearing:
        """Clear one gate; ContractError for a volume outside int64, and for a limit of a trade beyond 10^9."""
        cleared = super().clear(side, quantity_wh, price_micro_per_kwh, terms=terms, until_rank=until_rank)
        return replace(cleared, trades=split_between(cleared.trades, price_micro_per_kwh, terms[PRICE_K]))


def split_between(trades: Trades, limit_micro_per_kwh: Int64Column, k_ppm: int) -> Trades:
    """The same trades, each at a share of the way from the sell's limit to the buy's; limits int64[orders]. ContractError for one beyond 10^9."""
    limits = limit_micro_per_kwh[trades.sell], limit_micro_per_kwh[trades.buy]
    return trades._replace(price_micro_per_kwh=np.asarray(price_between(*limits, k_ppm)))
