"""``conditional_bid/1``: a call auction of bids that prefer sellers and kinds of energy, each with limits of its own, joined by OR.

Which condition of a bid an offer meets is said, exactly, by ``conditional_bid/1`` of the vectors; the same matching answers both. The kind of
energy is the registry's, of the points that a party sells from; the partner is named by the bid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from settlement.contract_kit_1 import (
    PRICES,
    TRADER_PRICE_KEYS,
    ContractError,
    Int8Column,
    Int64Column,
    PairedClearing,
    PairedSettlement,
    check_int64,
    fault_of_keys,
    fault_of_prices,
    fault_of_relations,
)
from settlement.contracts.conditional_bid_1.matching import PAY_AS_BID, PAY_AS_OFFER, PRICE_RULES, Wanted, match

__all__ = ["CONTRACT", "PAY_AS_BID", "PAY_AS_OFFER", "PRICE_RULES", "Wanted", "match"]

PRICE_RULE: Final = "price_rule"
"""The term that says at whose limit bids and offers trade."""


@dataclass(frozen=True)
class ConditionalBid(PairedSettlement):
    """The contract as the ledger sees it (``ledger.contract.Contract``)."""

    contract_id = "conditional_bid/1"
    order_terms = Wanted._fields

    def fault_of(self, terms: Mapping[str, Any]) -> str:
        """What is wrong with the terms of an area: seven prices, and the rule of the price of trades."""
        fault = fault_of_keys(terms, (PRICES, PRICE_RULE)) or fault_of_prices(terms, TRADER_PRICE_KEYS)
        fault = fault or fault_of_relations(terms[PRICES])
        if fault or terms[PRICE_RULE] in PRICE_RULES:
            return fault
        return f"{PRICE_RULE} is one of {', '.join(PRICE_RULES)}, not {terms[PRICE_RULE]!r}"

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
        """Clear one gate: see ``matching.match``; ContractError without what the orders want."""
        if order_terms is None:
            raise ContractError("the orders do not say what they want")
        wanted = Wanted.of(order_terms, side.size)
        trades = match(side, quantity_wh, price_micro_per_kwh, wanted, terms[PRICE_RULE])
        return PairedClearing(trades, trades.filled_wh(quantity_wh), check_int64(trades.volume_wh, "volume_wh"))


CONTRACT = ConditionalBid()
"""The one instance: contracts hold no state."""
