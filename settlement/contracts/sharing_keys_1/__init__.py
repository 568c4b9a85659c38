"""``sharing_keys/1``: a community gives each slot's production to its consumers by keys, after the fact.

Who is given what is said, exactly, by ``sharing_keys/1`` of the conformance vectors, what it costs by ``slot_settlement/1``. There are
no orders: nothing is cleared at the gate. Keys are the registry's: ``share_ppm`` and ``priority`` of a point, with their dates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from settlement.contract_kit_1 import (
    PRICE_MICRO_PER_KWH_MAX,
    PRICES,
    TRADE_PRICE,
    Int64Column,
    Line,
    RowsLike,
    Settlement,
    WithoutOrders,
    fault_of_keys,
    fault_of_prices,
)
from settlement.contracts.sharing_keys_1.allocation import METHODS, allocate
from settlement.contracts.sharing_keys_1.slot import (
    ACCOUNTS,
    AREA_COLUMNS,
    LINE_KINDS,
    METHOD,
    POSITION_COLUMNS,
    PRICE_KEYS,
    PRIORITY_NUMBER,
    SETTLE_RESIDUAL,
    SHARE_PPM,
    SUPPLIER_KEYS,
    lines_of,
    settle,
)

__all__ = ["CONTRACT", "LINE_KINDS", "METHODS", "SharingKeys", "allocate"]


class SharingKeys(WithoutOrders):
    """The contract as the ledger sees it (``ledger.contract.Contract``)."""

    contract_id = "sharing_keys/1"
    line_kinds = LINE_KINDS
    accounts = ACCOUNTS
    supplier_keys = SUPPLIER_KEYS
    position_columns = POSITION_COLUMNS
    area_columns = AREA_COLUMNS
    point_terms = (SHARE_PPM, PRIORITY_NUMBER)
    takes_agreements = False
    period_columns: tuple[str, ...] = ()
    period_area_columns: tuple[str, ...] = ()

    def fault_of(self, terms: Mapping[str, Any]) -> str:
        """What is wrong with the terms of an area: five prices, the method, the price of what is shared."""
        required = {key: term for key, term in terms.items() if key != SETTLE_RESIDUAL}
        fault = fault_of_keys(required, (PRICES, METHOD, TRADE_PRICE)) or fault_of_prices(terms, PRICE_KEYS)
        if fault:
            return fault
        if terms[METHOD] not in METHODS:
            return f"{METHOD} is one of {', '.join(METHODS)}, not {terms[METHOD]!r}"
        if not isinstance(terms.get(SETTLE_RESIDUAL, True), bool):
            return f"{SETTLE_RESIDUAL} is true or false, not {terms[SETTLE_RESIDUAL]!r}"
        most, price = PRICE_MICRO_PER_KWH_MAX, terms[TRADE_PRICE]
        is_price = type(price) is int and abs(price) <= most
        return "" if is_price else f"{TRADE_PRICE} is a whole number, -{most} to {most}, not {price!r}"

    def settle(
        self, rows: RowsLike, *, trade_prices_micro_per_kwh: Sequence[int | None], terms: Sequence[Mapping[str, Any]]
    ) -> Settlement:
        """Settle some groups of rows: see ``slot.settle``."""
        return settle(rows, trade_prices_micro_per_kwh=trade_prices_micro_per_kwh, terms=terms)

    def lines(
        self,
        rows: RowsLike,
        columns: Mapping[str, Int64Column],
        *,
        trade_prices_micro_per_kwh: Sequence[int | None],
        terms: Sequence[Mapping[str, Any]],
    ) -> tuple[Line, ...]:
        """The lines of settled rows: see ``slot.lines_of``."""
        return lines_of(rows, terms)


CONTRACT = SharingKeys()
"""The one instance: contracts hold no state."""
