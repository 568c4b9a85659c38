"""Contracts whose gate comes to trades between two orders, each at a price of its own: what all of them have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from settlement.contract_kit_1.columns import Int8Column, Int64Column, check_int64
from settlement.contract_kit_1.errors import ContractError
from settlement.contract_kit_1.lines import Line, LineKind
from settlement.contract_kit_1.money import Settlement
from settlement.contract_kit_1.rows import RowsLike, check_rows
from settlement.contract_kit_1.slot_settlement import (
    PAIRED_COLUMNS,
    PAIRED_KINDS,
    TRADER_ACCOUNTS,
    TRADER_PRICE_KEYS,
    TRADER_SUPPLIER_KEYS,
    exposure,
    fault_of_relations,
    lines_of_traded,
    settle_traded,
)
from settlement.contract_kit_1.terms import PRICES, fault_of_keys, fault_of_prices
from settlement.contract_kit_1.trades import Traded, Trades

Match = Callable[[Int8Column, Int64Column, Int64Column, Int64Column | None], Trades]
"""The trades of one gate, from side, quantity_wh, limit and until_rank of its orders in the order of their ranks."""


@dataclass(frozen=True, slots=True)
class PairedClearing:
    """What a gate comes to: its trades, and by order what it got. Its trades have prices of their own; only where buyers pay another
    price than sellers get it has one, that of the buyers.
    """

    trades: Trades
    filled_wh: Int64Column
    volume_wh: int
    price_micro_per_kwh: int | None = None
    fees_micro_per_kwh: Int64Column | None = None
    """Beside the trades what buyers pay for the way of each kWh beyond their price, where there are such fees."""


class PairedSettlement:
    """What a contract whose gates come to trades has beside its clearing: its words, and the settlement of what was traded."""

    takes_orders = True
    trades_in_pairs = True
    takes_agreements = False
    line_kinds: ClassVar[tuple[LineKind, ...]] = PAIRED_KINDS
    accounts: ClassVar[tuple[str, ...]] = TRADER_ACCOUNTS
    supplier_keys = TRADER_SUPPLIER_KEYS
    position_columns: ClassVar[tuple[str, ...]] = PAIRED_COLUMNS
    area_columns: tuple[str, ...] = ()
    point_terms: tuple[str, ...] = ()
    order_terms: tuple[str, ...] = ()
    ranks_by_arrival: bool = False
    period_columns: tuple[str, ...] = ()
    period_area_columns: tuple[str, ...] = ()

    def fault_of(self, terms: Mapping[str, Any]) -> str:
        """What is wrong with the terms of an area: seven prices under which nobody earns by trading what he does not deliver or use."""
        fault = fault_of_keys(terms, (PRICES,)) or fault_of_prices(terms, TRADER_PRICE_KEYS)
        return fault or fault_of_relations(terms[PRICES])

    def exposure_micro_per_kwh(
        self, side: Int8Column, price_micro_per_kwh: Int64Column, *, prices: Mapping[str, int]
    ) -> Int64Column:
        """What a kWh can cost: see ``slot_settlement.exposure``; no trade is beyond a limit."""
        return exposure(side, price_micro_per_kwh, prices)

    def settle(
        self, rows: RowsLike, *, trade_prices_micro_per_kwh: Sequence[int | None], terms: Sequence[Mapping[str, Any]]
    ) -> Settlement:
        """Settle some groups of rows: see ``slot_settlement.settle_traded``; ContractError where a gate has a price."""
        groups, amounts = check_rows(rows, len(terms)), rows.amounts
        if any(price is not None for price in trade_prices_micro_per_kwh):
            raise ContractError("a gate has a price, but its trades have prices of their own")
        if amounts is None:
            raise ContractError("what was traded has no amounts")
        traded = Traded(rows.bought_wh, rows.sold_wh, amounts.bought_nano, amounts.sold_nano)
        return settle_traded(rows, groups, traded)

    def lines(
        self,
        rows: RowsLike,
        columns: Mapping[str, Int64Column],
        *,
        trade_prices_micro_per_kwh: Sequence[int | None],
        terms: Sequence[Mapping[str, Any]],
    ) -> tuple[Line, ...]:
        """The lines of settled rows: see ``slot_settlement.lines_of_traded``."""
        return lines_of_traded(rows, columns, len(terms))


@dataclass(frozen=True)
class PairedContract(PairedSettlement):
    """A contract as the ledger sees it (``ledger.contract.Contract``) whose gates are cleared by ``match``.

    ranks_by_arrival: whether its orders rank as they came, else by the bytes of their ids.
    """

    contract_id: str
    match: Match
    ranks_by_arrival: bool = False

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
        """Clear one gate by ``match``; ContractError for a volume outside int64."""
        trades = self.match(side, quantity_wh, price_micro_per_kwh, until_rank)
        return PairedClearing(trades, trades.filled_wh(quantity_wh), check_int64(trades.volume_wh, "volume_wh"))
