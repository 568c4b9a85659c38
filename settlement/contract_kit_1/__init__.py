"""Contract kit 1: the frozen helpers that contracts of the first generation are built from.

A contract imports this package and numpy, nothing else of ours, so that its pin (``settlement.pin``) covers every line
that can change a result. Released kits are never edited: what needs another rule gets ``contract_kit_2``.
"""

from __future__ import annotations

from settlement.contract_kit_1.columns import (
    INT64_MAX,
    INT64_MIN,
    Int8Column,
    Int64Column,
    Price,
    add,
    check_column,
    check_int64,
    exact_products,
    exact_sum,
    is_int64,
    magnitude,
    multiply,
    narrow,
    price_magnitude,
    subtract,
)
from settlement.contract_kit_1.community import Communities, CommunityContract, Nets, share
from settlement.contract_kit_1.errors import ContractError, ContractInvariantError, promise
from settlement.contract_kit_1.groups import Groups
from settlement.contract_kit_1.lines import TRADE_PRICE, Line, LineKind, priced_line, shared_line
from settlement.contract_kit_1.money import (
    Product,
    Settlement,
    check_conserved,
    products_of,
    receipts,
    sum_of_products,
)
from settlement.contract_kit_1.paired import PairedClearing, PairedContract, PairedSettlement
from settlement.contract_kit_1.period import PeriodLike
from settlement.contract_kit_1.rows import AgreementsLike, RowsLike, check_rows, prices_of_groups, prices_of_rows
from settlement.contract_kit_1.slot_settlement import (
    CLEARING_ACCOUNT,
    METERED_KINDS,
    PAIRED_COLUMNS,
    PAIRED_KINDS,
    TRADER_ACCOUNTS,
    TRADER_PRICE_KEYS,
    TRADER_SUPPLIER_KEYS,
    Energies,
    exposure,
    fault_of_relations,
    lines_of_metered,
    lines_of_traded,
    owed_by,
    settle_traded,
)
from settlement.contract_kit_1.split import largest_remainder
from settlement.contract_kit_1.terms import PRICE_MICRO_PER_KWH_MAX, PRICES, fault_of_keys, fault_of_prices
from settlement.contract_kit_1.trades import BUY, SELL, Traded, Trades, check_orders
from settlement.contract_kit_1.without_orders import NoClearing, WithoutOrders, check_nothing_traded

__all__ = [
    "BUY",
    "CLEARING_ACCOUNT",
    "INT64_MAX",
    "INT64_MIN",
    "METERED_KINDS",
    "PAIRED_COLUMNS",
    "PAIRED_KINDS",
    "PRICES",
    "PRICE_MICRO_PER_KWH_MAX",
    "SELL",
    "TRADER_ACCOUNTS",
    "TRADER_PRICE_KEYS",
    "TRADER_SUPPLIER_KEYS",
    "TRADE_PRICE",
    "AgreementsLike",
    "Communities",
    "CommunityContract",
    "ContractError",
    "ContractInvariantError",
    "Energies",
    "Groups",
    "Int8Column",
    "Int64Column",
    "Line",
    "LineKind",
    "Nets",
    "NoClearing",
    "PairedClearing",
    "PairedContract",
    "PairedSettlement",
    "PeriodLike",
    "Price",
    "Product",
    "RowsLike",
    "Settlement",
    "Traded",
    "Trades",
    "WithoutOrders",
    "add",
    "check_column",
    "check_conserved",
    "check_int64",
    "check_nothing_traded",
    "check_orders",
    "check_rows",
    "exact_products",
    "exact_sum",
    "exposure",
    "fault_of_keys",
    "fault_of_prices",
    "fault_of_relations",
    "is_int64",
    "largest_remainder",
    "lines_of_metered",
    "lines_of_traded",
    "magnitude",
    "multiply",
    "narrow",
    "owed_by",
    "price_magnitude",
    "priced_line",
    "prices_of_groups",
    "prices_of_rows",
    "products_of",
    "promise",
    "receipts",
    "settle_traded",
    "share",
    "shared_line",
    "subtract",
    "sum_of_products",
]
