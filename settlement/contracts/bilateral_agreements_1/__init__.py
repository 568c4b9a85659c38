"""``bilateral_agreements/1``: what parties have agreed between two points is settled first, the rest with supplier and offtaker.

Agreements are the registry's, with their dates (``agreement/<name>``): so much energy a slot, a share of what is produced, or a contract for
difference. There are no orders: nothing is cleared at the gate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from settlement.contract_kit_1 import (
    PRICES,
    Int64Column,
    Line,
    RowsLike,
    Settlement,
    WithoutOrders,
    fault_of_keys,
    fault_of_prices,
)
from settlement.contracts.bilateral_agreements_1.agreed import Agreed, agree
from settlement.contracts.bilateral_agreements_1.slot import (
    ACCOUNTS,
    LINE_KINDS,
    POSITION_COLUMNS,
    PRICE_KEYS,
    SUPPLIER_KEYS,
    lines_of,
    settle,
)

__all__ = ["CONTRACT", "LINE_KINDS", "Agreed", "BilateralAgreements", "agree"]


class BilateralAgreements(WithoutOrders):
    """The contract as the ledger sees it (``ledger.contract.Contract``)."""

    contract_id = "bilateral_agreements/1"
    line_kinds = LINE_KINDS
    accounts = ACCOUNTS
    supplier_keys = SUPPLIER_KEYS
    position_columns = POSITION_COLUMNS
    area_columns: tuple[str, ...] = ()
    point_terms: tuple[str, ...] = ()
    takes_agreements = True
    period_columns: tuple[str, ...] = ()
    period_area_columns: tuple[str, ...] = ()

    def fault_of(self, terms: Mapping[str, Any]) -> str:
        """What is wrong with the terms of an area: five prices and nothing else."""
        return fault_of_keys(terms, (PRICES,)) or fault_of_prices(terms, PRICE_KEYS)

    def settle(
        self, rows: RowsLike, *, trade_prices_micro_per_kwh: Sequence[int | None], terms: Sequence[Mapping[str, Any]]
    ) -> Settlement:
        """Settle some groups of rows: see ``slot.settle``."""
        return settle(rows, trade_prices_micro_per_kwh=trade_prices_micro_per_kwh, count=len(terms))

    def lines(
        self,
        rows: RowsLike,
        columns: Mapping[str, Int64Column],
        *,
        trade_prices_micro_per_kwh: Sequence[int | None],
        terms: Sequence[Mapping[str, Any]],
    ) -> tuple[Line, ...]:
        """The lines of settled rows: see ``slot.lines_of``."""
        return lines_of(rows, columns, len(terms))


CONTRACT = BilateralAgreements()
"""The one instance: contracts hold no state."""
