"""``grid_fee_path/2``: the markets of version 1, whose places also take a fraction of what the seller asks.

What a kWh costs and brings on its path is said, exactly, by ``grid_fee_path/1`` of the vectors, ``percent_ppm`` among its modes. A fraction is
of the offer's limit, so that trades are at what sellers ask (``pay_as_offer``): the rule is no term here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from settlement.contract_kit_1 import (
    PRICES,
    ContractError,
    Int8Column,
    Int64Column,
    PairedClearing,
    check_int64,
    fault_of_keys,
)
from settlement.contracts.grid_fee_path_1 import GRID_PLACE, GRID_PLACES, PRICE_RULE, GridFeePath
from settlement.contracts.grid_fee_path_1.places import PAY_AS_OFFER
from settlement.contracts.grid_fee_path_2.matching import match
from settlement.contracts.grid_fee_path_2.places import FEE_PPM_MAX, Places, fault_of_places, fee_of, tree_of

__all__ = ["CONTRACT", "FEE_PPM_MAX", "GridFeePath2", "Places", "fee_of", "match"]


@dataclass(frozen=True)
class GridFeePath2(GridFeePath):
    """The contract as the ledger sees it (``ledger.contract.Contract``)."""

    contract_id = "grid_fee_path/2"

    def fault_of(self, terms: Mapping[str, Any]) -> str:
        """What is wrong with the terms of an area: seven prices, and the places of its grid with both their fees."""
        fault = fault_of_keys(terms, (PRICES, GRID_PLACES)) or fault_of_places(terms[GRID_PLACES])
        if fault:
            return fault
        return super().fault_of({**terms, PRICE_RULE: PAY_AS_OFFER, GRID_PLACES: tree_of(terms[GRID_PLACES])})

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
        """Clear one gate: see ``matching.match``; ContractError without the places of the orders."""
        if order_terms is None:
            raise ContractError("the orders have no places")
        places = Places.of(terms[GRID_PLACES])
        trades, fees = match(side, quantity_wh, price_micro_per_kwh, order_terms[GRID_PLACE], places)
        volume_wh = check_int64(trades.volume_wh, "volume_wh")
        return PairedClearing(trades, trades.filled_wh(quantity_wh), volume_wh, fees_micro_per_kwh=fees)


CONTRACT = GridFeePath2()
"""The one instance: contracts hold no state."""
