"""``grid_fee_path/1``: call auctions one above the other along the places of a grid, whose fees buyers and sellers bear.

What a kWh costs and brings on its path is said, exactly, by ``grid_fee_path/1`` of the vectors, with constant fees; the same function answers
both. Which places there are and what they take are terms of the area, where somebody is stands in the registry of his points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from settlement.contract_kit_1 import (
    METERED_KINDS,
    PAIRED_KINDS,
    PRICES,
    TRADER_ACCOUNTS,
    TRADER_PRICE_KEYS,
    ContractError,
    Energies,
    Int8Column,
    Int64Column,
    Line,
    LineKind,
    PairedClearing,
    PairedSettlement,
    Product,
    RowsLike,
    Settlement,
    check_int64,
    check_rows,
    fault_of_keys,
    fault_of_prices,
    fault_of_relations,
    lines_of_metered,
    owed_by,
    prices_of_rows,
    shared_line,
)
from settlement.contracts.grid_fee_path_1.matching import Matched, match
from settlement.contracts.grid_fee_path_1.places import (
    LEVELS_MAX,
    PLACES_MAX,
    PRICE_RULES,
    PathPrices,
    Places,
    fault_of_places,
    path_prices,
)

__all__ = [
    "CONTRACT",
    "LEVELS_MAX",
    "PLACES_MAX",
    "PRICE_RULES",
    "Matched",
    "PathPrices",
    "Places",
    "match",
    "path_prices",
]

PRICE_RULE: Final = "price_rule"
GRID_PLACES: Final = "grid_places"
GRID_PLACE: Final = "grid_place"
LINE_KINDS = (*PAIRED_KINDS[:2], LineKind("grid_fee", "network", +1, None), *METERED_KINDS)
"""The kinds of statement lines, in their order; a row on the chain has the number."""
POSITION_COLUMNS = (
    "bought_wh", "sold_wh", "bought_nano", "sold_nano", "grid_fee_nano", "pays_nano", "supplier_only_nano",
)  # fmt: skip
"""What is kept of each party: what it traded, at what sellers get; the fees on the path of what it bought; the sum of its lines, and the supplier's alone."""


@dataclass(frozen=True)
class GridFeePath(PairedSettlement):
    """The contract as the ledger sees it (``ledger.contract.Contract``)."""

    contract_id = "grid_fee_path/1"
    order_terms = (GRID_PLACE,)
    line_kinds = LINE_KINDS
    accounts = TRADER_ACCOUNTS
    position_columns = POSITION_COLUMNS

    def fault_of(self, terms: Mapping[str, Any]) -> str:
        """What is wrong with the terms of an area: seven prices, the rule of the price of trades, the places of its grid."""
        fault = fault_of_keys(terms, (PRICES, PRICE_RULE, GRID_PLACES)) or fault_of_prices(terms, TRADER_PRICE_KEYS)
        fault = fault or fault_of_relations(terms[PRICES])
        if fault:
            return fault
        if terms[PRICE_RULE] not in PRICE_RULES:
            return f"{PRICE_RULE} is one of {', '.join(PRICE_RULES)}, not {terms[PRICE_RULE]!r}"
        return fault_of_places(terms[GRID_PLACES])

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
        trades, fees = match(side, quantity_wh, price_micro_per_kwh, order_terms[GRID_PLACE], places, terms[PRICE_RULE])
        volume_wh = check_int64(trades.volume_wh, "volume_wh")
        return PairedClearing(trades, trades.filled_wh(quantity_wh), volume_wh, fees_micro_per_kwh=fees)

    def settle(
        self, rows: RowsLike, *, trade_prices_micro_per_kwh: Sequence[int | None], terms: Sequence[Mapping[str, Any]]
    ) -> Settlement:
        """Settle some groups of rows. ContractError as ``owed_by``, and for amounts of a group that were not both paid and received."""
        groups, amounts = check_rows(rows, len(terms)), rows.amounts
        if amounts is None or amounts.fee_nano is None:
            raise ContractError("what was traded has no amounts, or no fees")
        for paid, got in zip(groups.sums(amounts.bought_nano), groups.sums(amounts.sold_nano), strict=True):
            if paid != got:
                raise ContractError(f"trades cost {paid} nano but bring {got} nano: the two must be equal")
        trades = [
            Product(amounts.bought_nano, 1), Product(amounts.sold_nano, 1, -1), Product(amounts.fee_nano, 1),
        ]  # fmt: skip
        owed = owed_by(LINE_KINDS, groups, Energies.of(rows), trades, prices_of_rows(rows, TRADER_PRICE_KEYS))
        kept = (
            rows.bought_wh, rows.sold_wh, amounts.bought_nano, amounts.sold_nano, amounts.fee_nano, owed.pays_nano,
            owed.supplier_only_nano,
        )  # fmt: skip
        return Settlement(dict(zip(POSITION_COLUMNS, kept, strict=True)), {}, owed.received_nano)

    def lines(
        self,
        rows: RowsLike,
        columns: Mapping[str, Int64Column],
        *,
        trade_prices_micro_per_kwh: Sequence[int | None],
        terms: Sequence[Mapping[str, Any]],
    ) -> tuple[Line, ...]:
        """The lines of settled rows, in the order of LINE_KINDS."""
        check_rows(rows, len(terms))
        return (
            shared_line(LINE_KINDS[0], rows.bought_wh, columns["bought_nano"]),
            shared_line(LINE_KINDS[1], rows.sold_wh, columns["sold_nano"], sign=-1),
            shared_line(LINE_KINDS[2], rows.bought_wh, columns["grid_fee_nano"]),
            *lines_of_metered(Energies.of(rows), prices_of_rows(rows, TRADER_PRICE_KEYS)),
        )


CONTRACT = GridFeePath()
"""The one instance: contracts hold no state."""
