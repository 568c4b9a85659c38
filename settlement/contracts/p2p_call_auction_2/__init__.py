"""``p2p_call_auction/2``: the call auction of version 1, whose price and whose rationing are terms of the area's rules.

Volume, candidates and settlement are those of version 1. Where several prices clear the same volume, the price is the one nearest to a
reference, or a share of the way from the lowest of them to the highest. The level that does not fit is shared pro rata or served as its
orders came.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from settlement.contract_kit_1 import PRICES, ContractError, Int8Column, Int64Column, fault_of_keys
from settlement.contract_kit_2 import PRICE_K, fault_of_price_k, price_between
from settlement.contracts.p2p_call_auction_1 import PRO_RATA, TIME, Clearing, P2pCallAuction, clear

__all__ = ["ARRIVAL", "CONTRACT", "P2pCallAuction2"]

ARRIVAL = "arrival"
"""What is asked of each order: its place among those of its area in the order in which the ledger took them."""
_RATIONING = "rationing"
_REFERENCE_PRICE = "reference_price_micro_per_kwh"
_BELOW_ALL, _ABOVE_ALL = -(2**63), 2**63 - 1


class P2pCallAuction2(P2pCallAuction):
    """The contract as the ledger sees it (``ledger.contract.Contract``)."""

    contract_id = "p2p_call_auction/2"
    order_terms: tuple[str, ...] = (ARRIVAL,)

    def fault_of(self, terms: Mapping[str, Any]) -> str:
        """What is wrong with the terms of an area: its prices as under version 1, how is rationed, and one of two rules of the price."""
        if (_REFERENCE_PRICE in terms) == (PRICE_K in terms):
            return f"has one of {PRICE_K} and {_REFERENCE_PRICE}: the price where several clear the same volume"
        rule = PRICE_K if PRICE_K in terms else _REFERENCE_PRICE
        fault = fault_of_keys(terms, (PRICES, _RATIONING, rule))
        if fault:
            return fault
        if terms[_RATIONING] not in (PRO_RATA, TIME):
            return f"{_RATIONING} is one of {PRO_RATA}, {TIME}, not {terms[_RATIONING]!r}"
        before = {PRICES: terms[PRICES], _RATIONING: PRO_RATA, _REFERENCE_PRICE: terms.get(_REFERENCE_PRICE, 0)}
        return super().fault_of(before) or (fault_of_price_k(terms[PRICE_K]) if rule == PRICE_K else "")

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
        """Clear one gate: see ``p2p_call_auction_1.clear``; ContractError without the arrival of the orders."""
        if order_terms is None:
            raise ContractError("the orders have no arrival")
        arrival = order_terms[ARRIVAL]

        def nearest_to(reference_price_micro_per_kwh: int) -> Clearing:
            return clear(
                side,
                quantity_wh,
                price_micro_per_kwh,
                reference_price_micro_per_kwh=reference_price_micro_per_kwh,
                rationing=terms[_RATIONING],
                sequence=arrival,
            )

        if _REFERENCE_PRICE in terms:
            return nearest_to(terms[_REFERENCE_PRICE])
        cleared = nearest_to(_BELOW_ALL)
        lowest, highest = cleared.price_micro_per_kwh, nearest_to(_ABOVE_ALL).price_micro_per_kwh
        if lowest is None or highest is None:
            return cleared
        return replace(cleared, price_micro_per_kwh=int(price_between(lowest, highest, terms[PRICE_K])))


CONTRACT = P2pCallAuction2()
"""The one instance: contracts hold no state."""
