"""The settlement of one slot: from metered and traded energy to what each party pays and each account receives.

Import and export are settled separately and never netted. Every Wh that was imported is either bought in the market or
bought from the supplier, every Wh that was exported sold in the market or to the offtaker; what was traded but not
metered goes to or comes from the balance account. Wh x micro/kWh is nano exactly: nothing is rounded here.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from settlement.contract_kit_1 import (
    TRADE_PRICE,
    AccountTerm,
    ContractError,
    GroupedSettlement,
    GroupProduct,
    Int64Column,
    Line,
    LineKind,
    as_money,
    check_column,
    check_prices,
    check_starts,
    group_sums,
    grouped_products,
    grouped_receipts,
    priced_line,
    promise,
    promise_balance,
)

RESIDUAL_PRICE = "residual_price_micro_per_kwh"
FEED_IN_PRICE = "feed_in_price_micro_per_kwh"
SURPLUS_PRICE = "surplus_price_micro_per_kwh"
SHORTFALL_PRICE = "shortfall_price_micro_per_kwh"
NETWORK_TRADED = "network_traded_micro_per_kwh"
NETWORK_RESIDUAL = "network_residual_micro_per_kwh"
LEVY = "levy_micro_per_kwh"

PRICE_KEYS = (RESIDUAL_PRICE, FEED_IN_PRICE, SURPLUS_PRICE, SHORTFALL_PRICE, NETWORK_TRADED, NETWORK_RESIDUAL, LEVY)
"""The keys that ``prices`` must hold, exactly: those of the ``[prices]`` table of ``rules.toml``."""

SUPPLIER_KEYS = (RESIDUAL_PRICE, NETWORK_RESIDUAL, LEVY)
"""The prices that make up a kWh from the supplier alone."""

ACCOUNTS = ("balance", "clearing", "levy", "network", "offtaker", "supplier")
"""The counter-accounts. ``clearing`` stands between buyers and sellers and always ends at 0."""

LINE_KINDS = (
    LineKind("trade_buy", "clearing", +1, TRADE_PRICE),
    LineKind("trade_sell", "clearing", -1, TRADE_PRICE),
    LineKind("residual_import", "supplier", +1, RESIDUAL_PRICE),
    LineKind("surplus", "balance", -1, SURPLUS_PRICE),
    LineKind("residual_export", "offtaker", -1, FEED_IN_PRICE),
    LineKind("shortfall", "balance", +1, SHORTFALL_PRICE),
    LineKind("network_traded", "network", +1, NETWORK_TRADED),
    LineKind("network_residual", "network", +1, NETWORK_RESIDUAL),
    LineKind("levy", "levy", +1, LEVY),
)
"""The kinds of statement lines, in their order."""

POSITION_COLUMNS = ("bought_wh", "sold_wh", "pays_nano", "supplier_only_nano")
"""The columns of a position."""


def settle(
    import_wh: Int64Column,
    export_wh: Int64Column,
    bought_wh: Int64Column,
    sold_wh: Int64Column,
    *,
    area_starts: Int64Column,
    trade_price_micro_per_kwh: Int64Column,
    prices: Mapping[str, Int64Column],
) -> GroupedSettlement:
    """Settle one slot of any number of areas (``slot_settlement/1`` of the vectors), whose rows stand one area after the other.

    Columns int64[n] >= 0: metered import and export, then what each party bought and sold. ``area_starts`` int64[areas + 1].
    By area, int64[areas]: ``trade_price_micro_per_kwh``, the one price of the gate (0 where nothing was traded); ``prices``: exactly
    PRICE_KEYS, any sign. ContractError for a negative energy, bought and sold of an area that do not sum to the same, a missing or
    unknown price, and a result outside int64. Steps in between are exact at any size.
    """
    rows, areas = import_wh.size, area_starts.size - 1
    columns = {"import_wh": import_wh, "export_wh": export_wh, "bought_wh": bought_wh, "sold_wh": sold_wh}
    for name, column in columns.items():
        check_column(column, name, length=rows, minimum=0)
    check_starts(area_starts, rows)
    check_column(trade_price_micro_per_kwh, TRADE_PRICE, length=areas)
    check_prices(prices, PRICE_KEYS, areas)
    bought, sold = group_sums(bought_wh, area_starts), group_sums(sold_wh, area_starts)
    for area in np.flatnonzero(bought != sold)[:1].tolist():
        raise ContractError(f"bought {bought[area]} Wh but sold {sold[area]} Wh: the two must be equal")
    at = {**prices, TRADE_PRICE: trade_price_micro_per_kwh}
    # Energies are never negative: the sign goes with them, since the smallest price has no positive twin.
    terms = [
        AccountTerm(kind.account, GroupProduct(kind.sign * wh, at[kind.price or ""]))
        for kind, wh in zip(LINE_KINDS, _energies(**columns), strict=True)
    ]
    supplier_only = [GroupProduct(import_wh, prices[key]) for key in SUPPLIER_KEYS]
    supplier_only.append(GroupProduct(-export_wh, prices[FEED_IN_PRICE]))
    pays_nano = grouped_products([term.product for term in terms], area_starts, "pays_nano")
    received = grouped_receipts(terms, ACCOUNTS, area_starts)
    promise(not received["clearing"].any(), "the clearing account ends at 0")
    promise_balance(pays_nano, received, area_starts)
    return GroupedSettlement(
        positions={
            "bought_wh": bought_wh,
            "sold_wh": sold_wh,
            "pays_nano": pays_nano,
            "supplier_only_nano": grouped_products(supplier_only, area_starts, "supplier_only_nano"),
        },
        areas={},
        received={account: as_money(amount, account) for account, amount in received.items()},
    )


def lines_of(
    *,
    import_wh: Int64Column,
    export_wh: Int64Column,
    bought_wh: Int64Column,
    sold_wh: Int64Column,
    trade_price_micro_per_kwh: int,
    prices: Mapping[str, int],
) -> tuple[Line, ...]:
    """The nine lines in the order of LINE_KINDS, of any rows of an area: no row's lines depend on another row."""
    at = {**prices, TRADE_PRICE: trade_price_micro_per_kwh}
    energies_wh = _energies(import_wh, export_wh, bought_wh, sold_wh)
    return tuple(priced_line(kind, wh, at) for kind, wh in zip(LINE_KINDS, energies_wh, strict=True))


def _energies(
    import_wh: Int64Column, export_wh: Int64Column, bought_wh: Int64Column, sold_wh: Int64Column
) -> tuple[Int64Column, ...]:
    """The energy of each kind of line, in the order of LINE_KINDS. All columns are in [0, 2^63): no difference leaves int64."""
    traded_import_wh = np.minimum(import_wh, bought_wh)
    return (
        bought_wh,
        sold_wh,
        np.maximum(import_wh - bought_wh, 0),
        np.maximum(bought_wh - import_wh, 0),
        np.maximum(export_wh - sold_wh, 0),
        np.maximum(sold_wh - export_wh, 0),
        traded_import_wh,
        import_wh - traded_import_wh,
        import_wh,
    )
