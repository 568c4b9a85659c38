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
from settlement.contract_kit_1.pairs import BUY, SELL, Trades, check_orders
from settlement.contract_kit_1.period import PeriodLike
from settlement.contract_kit_1.rows import RowsLike, check_rows, prices_of_groups, prices_of_rows
from settlement.contract_kit_1.split import largest_remainder
from settlement.contract_kit_1.terms import PRICE_MICRO_PER_KWH_MAX, PRICES, fault_of_keys, fault_of_prices
from settlement.contract_kit_1.without_orders import NoClearing, WithoutOrders, check_nothing_traded

__all__ = [
    "BUY",
    "INT64_MAX",
    "INT64_MIN",
    "PRICES",
    "PRICE_MICRO_PER_KWH_MAX",
    "SELL",
    "TRADE_PRICE",
    "Communities",
    "CommunityContract",
    "ContractError",
    "ContractInvariantError",
    "Groups",
    "Int8Column",
    "Int64Column",
    "Line",
    "LineKind",
    "Nets",
    "NoClearing",
    "PeriodLike",
    "Price",
    "Product",
    "RowsLike",
    "Settlement",
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
    "fault_of_keys",
    "fault_of_prices",
    "is_int64",
    "largest_remainder",
    "magnitude",
    "multiply",
    "narrow",
    "price_magnitude",
    "priced_line",
    "prices_of_groups",
    "prices_of_rows",
    "products_of",
    "promise",
    "receipts",
    "share",
    "shared_line",
    "subtract",
    "sum_of_products",
]
