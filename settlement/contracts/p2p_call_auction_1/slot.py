"""The settlement of one slot: from metered and traded energy to what each party pays and each account receives.

Import and export are settled separately and never netted. Every Wh that was imported is either bought in the market or
bought from the supplier, every Wh that was exported sold in the market or to the offtaker; what was traded but not
metered goes to or comes from the balance account. Wh x micro/kWh is nano exactly: nothing is rounded here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from settlement.contract_kit_1 import (
    SELL,
    TRADE_PRICE,
    ContractError,
    Groups,
    Int8Column,
    Int64Column,
    Line,
    LineKind,
    Product,
    RowsLike,
    Settlement,
    check_conserved,
    check_int64,
    check_rows,
    priced_line,
    prices_of_rows,
    products_of,
    promise,
    receipts,
    sum_of_products,
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

POSITION_COLUMNS = ("bought_wh", "sold_wh", "pays_nano", "supplier_only_nano")
"""What is kept of each party: traded energy, the sum of its lines, and what the supplier alone would have asked for."""

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
"""The kinds of statement lines, in the order in which ``lines_of`` gives them; a row on the chain has the number."""


def fault_of_relations(prices: Mapping[str, int]) -> str:
    """Which relation of the prices fails that keeps two parties from earning by energy that only one of them has; "" for none.

    Between two parties who trade with one another the trade price cancels out. What is left to them of each kWh is,
    neither exported nor imported: surplus - shortfall; exported, not imported: surplus - feed-in; imported, not
    exported: what the supplier and its network would have cost, less shortfall and network of traded energy.
    """
    if prices[SURPLUS_PRICE] > prices[SHORTFALL_PRICE]:
        return f"prices: {SURPLUS_PRICE} <= {SHORTFALL_PRICE} does not hold"
    if prices[SURPLUS_PRICE] > prices[FEED_IN_PRICE]:
        return f"prices: {SURPLUS_PRICE} <= {FEED_IN_PRICE} does not hold"
    if prices[RESIDUAL_PRICE] + prices[NETWORK_RESIDUAL] > prices[SHORTFALL_PRICE] + prices[NETWORK_TRADED]:
        return f"prices: {RESIDUAL_PRICE} + {NETWORK_RESIDUAL} <= {SHORTFALL_PRICE} + {NETWORK_TRADED} does not hold"
    return ""


def exposure(side: Int8Column, price_micro_per_kwh: Int64Column, prices: Mapping[str, int]) -> Int64Column:
    """int64[n] >= 0: what a kWh of each order can cost its party at most, beside what is owed for metered energy anyhow.

    A buyer pays his limit, and where he does not import he gets the surplus price for it. A seller pays where the trade
    price is negative, and where he does not export the shortfall price less the trade price.
    """
    bought = price_micro_per_kwh - min(prices[SURPLUS_PRICE], 0)
    sold = max(prices[SHORTFALL_PRICE], 0) - price_micro_per_kwh
    most: Int64Column = np.maximum(np.where(side == SELL, sold, bought), 0)
    return most


def settle(rows: RowsLike, *, trade_prices_micro_per_kwh: Sequence[int | None]) -> Settlement:
    """Settle some groups of rows (``slot_settlement/1`` of the vectors, group by group).

    Columns int64[n] >= 0: metered import and export, then what each party bought and sold. ``trade_prices_micro_per_kwh``: the one price of
    each gate, None only where nothing was traded. The prices of a row are exactly PRICE_KEYS, any sign. ContractError for a
    negative energy, bought and sold of a group that do not sum to the same, a missing, unknown or too large price, and a
    result outside int64. Steps in between are exact at any size.
    """
    groups = check_rows(rows, len(trade_prices_micro_per_kwh))
    trade_prices = _check_trades(groups, rows, trade_prices_micro_per_kwh)
    at = {**prices_of_rows(rows, PRICE_KEYS), TRADE_PRICE: groups.at(trade_prices)}
    products = products_of(LINE_KINDS, _energies(rows), at)
    received_nano = receipts(LINE_KINDS, products, ACCOUNTS, groups)
    promise(not any(received_nano["clearing"]), "the clearing account ends at 0")
    supplier_only = [Product(rows.import_wh, at[key]) for key in SUPPLIER_KEYS]
    supplier_only.append(Product(rows.export_wh, at[FEED_IN_PRICE], -1))
    pays_nano = sum_of_products(products, "pays_nano")
    check_conserved(pays_nano, received_nano)
    alone_nano = sum_of_products(supplier_only, "supplier_only_nano")
    kept = (rows.bought_wh, rows.sold_wh, pays_nano, alone_nano)
    return Settlement(dict(zip(POSITION_COLUMNS, kept, strict=True)), {}, received_nano)


def lines_of(rows: RowsLike, *, trade_prices_micro_per_kwh: Sequence[int | None]) -> tuple[Line, ...]:
    """The nine lines in the order of LINE_KINDS, of any rows: no row's lines depend on another row."""
    groups = check_rows(rows, len(trade_prices_micro_per_kwh))
    trade_prices = groups.at([price or 0 for price in trade_prices_micro_per_kwh])
    at = {**prices_of_rows(rows, PRICE_KEYS), TRADE_PRICE: trade_prices}
    return tuple(priced_line(kind, wh, at) for kind, wh in zip(LINE_KINDS, _energies(rows), strict=True))


def _energies(rows: RowsLike) -> tuple[Int64Column, ...]:
    """The energy of each of LINE_KINDS; all columns are in [0, 2^63), so that no difference can leave int64."""
    import_wh, export_wh, bought_wh, sold_wh = rows.import_wh, rows.export_wh, rows.bought_wh, rows.sold_wh
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


def _check_trades(groups: Groups, rows: RowsLike, trade_prices_micro_per_kwh: Sequence[int | None]) -> list[int]:
    """The price of each gate, 0 where nothing was traded; ContractError where bought is not sold, or has no price."""
    for bought, sold, price in zip(
        groups.sums(rows.bought_wh), groups.sums(rows.sold_wh), trade_prices_micro_per_kwh, strict=True
    ):
        if bought != sold:
            raise ContractError(f"bought {bought} Wh but sold {sold} Wh: the two must be equal")
        if price is None and bought:
            raise ContractError(f"{bought} Wh were traded, but there is no trade price")
    return [check_int64(price or 0, TRADE_PRICE) for price in trade_prices_micro_per_kwh]
