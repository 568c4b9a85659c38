"""``schedules_and_deviations/1``: what parties have agreed is settled in full, and what each metered otherwise at the price of deviations.

A fixed quantity or a share of what is produced is a schedule between two points: it is bought and sold whatever was metered. Who imports more than
he bought buys the rest from the supplier, who imports less sells what is over at the surplus price; likewise for what is sold and exported. A
contract for difference beside it moves money alone. There are no orders: nothing is cleared at the gate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from settlement.contract_kit_1 import (
    PRICES,
    TRADER_ACCOUNTS,
    TRADER_PRICE_KEYS,
    TRADER_SUPPLIER_KEYS,
    Int64Column,
    Line,
    RowsLike,
    Settlement,
    WithoutOrders,
    fault_of_keys,
    fault_of_prices,
    fault_of_relations,
)
from settlement.contracts.schedules_and_deviations_1.scheduled import Scheduled, schedule
from settlement.contracts.schedules_and_deviations_1.slot import LINE_KINDS, POSITION_COLUMNS, lines_of, settle

__all__ = ["CONTRACT", "LINE_KINDS", "Scheduled", "SchedulesAndDeviations", "schedule"]


class SchedulesAndDeviations(WithoutOrders):
    """The contract as the ledger sees it (``ledger.contract.Contract``)."""

    contract_id = "schedules_and_deviations/1"
    line_kinds = LINE_KINDS
    accounts = TRADER_ACCOUNTS
    supplier_keys = TRADER_SUPPLIER_KEYS
    position_columns = POSITION_COLUMNS
    area_columns: tuple[str, ...] = ()
    point_terms: tuple[str, ...] = ()
    takes_agreements = True
    period_columns: tuple[str, ...] = ()
    period_area_columns: tuple[str, ...] = ()

    def fault_of(self, terms: Mapping[str, Any]) -> str:
        """What is wrong with the terms of an area: seven prices by which nobody earns on a schedule that nobody keeps, and nothing else."""
        words = fault_of_keys(terms, (PRICES,)) or fault_of_prices(terms, TRADER_PRICE_KEYS)
        return words or fault_of_relations(terms[PRICES])

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


CONTRACT = SchedulesAndDeviations()
"""The one instance: contracts hold no state."""
