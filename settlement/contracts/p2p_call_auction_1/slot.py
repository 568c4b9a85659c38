"""The settlement of one slot: from metered and traded energy to what each party pays and each account receives.

Import and export are settled separately and never netted. Every Wh that was imported is either bought in the market or
bought from the supplier, every Wh that was exported sold in the market or to the offtaker; what was traded but not
metered goes to or comes from the balance account. Wh x micro/kWh is nano exactly: nothing is rounded here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from settlement.contract_kit_1 import (
    TRADE_PRICE,
    ContractError,
    Int64Column,
    Line,
    LineKind,
    Product,
    check_amounts,
    check_column,
    check_int64,
    check_prices,
    exact_sum,
    priced_line,
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
"""The kinds of statement lines, in the order in which ``SlotSettlement.lines`` holds them; a row on the chain has the number."""


@dataclass(frozen=True)
class SlotSettlement:
    """The result of one slot; columns are int64[n] beside the parties.

    ``volume_wh`` at ``price_micro_per_kwh`` (None without volume) is what was traded. ``pays_nano``: sum of a party's
    lines, positive: it owes. ``supplier_only_nano``: the price of the same metered energy with the supplier alone.
    ``residual_*_wh``: metered less traded, signed. ``accounts_nano``: what each of ACCOUNTS receives, Python integers.
    """

    volume_wh: int
    price_micro_per_kwh: int | None
    bought_wh: Int64Column
    sold_wh: Int64Column
    residual_import_wh: Int64Column
    residual_export_wh: Int64Column
    pays_nano: Int64Column
    supplier_only_nano: Int64Column
    accounts_nano: dict[str, int]
    terms: tuple[Line, ...]
    totals_wh: dict[str, int] = field(default_factory=dict)

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        """The nine lines in the order of LINE_KINDS; ContractError where one amount leaves int64."""
        return check_amounts(self.terms)


def settle(
    import_wh: Int64Column,
    export_wh: Int64Column,
    bought_wh: Int64Column,
    sold_wh: Int64Column,
    *,
    trade_price_micro_per_kwh: int | None,
    prices: Mapping[str, int],
) -> SlotSettlement:
    """Settle one slot (``slot_settlement/1`` of the vectors).

    Columns int64[n] >= 0: metered import and export, then what each party bought and sold. ``trade_price_micro_per_kwh``:
    the one price of the gate, None only where nothing was traded. ``prices``: exactly PRICE_KEYS, any sign.
    ContractError for a negative energy, bought and sold that do not sum to the same, a missing, unknown or too large
    price, and a result outside int64. Steps in between are exact at any size.
    """
    rows = import_wh.size
    columns = {"import_wh": import_wh, "export_wh": export_wh, "bought_wh": bought_wh, "sold_wh": sold_wh}
    for name, column in columns.items():
        check_column(column, name, length=rows, minimum=0)
    bought, sold = exact_sum(bought_wh), exact_sum(sold_wh)
    if bought != sold:
        raise ContractError(f"bought {bought} Wh but sold {sold} Wh: the two must be equal")
    if trade_price_micro_per_kwh is None and bought:
        raise ContractError(f"{bought} Wh were traded, but there is no trade price")
    check_int64(trade_price_micro_per_kwh or 0, TRADE_PRICE)
    check_prices(prices, PRICE_KEYS)
    lines = lines_of(**columns, trade_price_micro_per_kwh=trade_price_micro_per_kwh, prices=prices)
    supplier_only = [Product(import_wh, prices[key]) for key in SUPPLIER_KEYS]
    supplier_only.append(Product(export_wh, -prices[FEED_IN_PRICE]))
    settlement = SlotSettlement(
        volume_wh=bought,
        price_micro_per_kwh=trade_price_micro_per_kwh if bought else None,
        bought_wh=bought_wh,
        sold_wh=sold_wh,
        # both columns are in [0, 2^63): no difference can leave int64
        residual_import_wh=import_wh - bought_wh,
        residual_export_wh=export_wh - sold_wh,
        pays_nano=sum_of_products([line.product for line in lines], rows, "pays_nano"),
        supplier_only_nano=sum_of_products(supplier_only, rows, "supplier_only_nano"),
        accounts_nano=receipts(lines, ACCOUNTS),
        terms=lines,
    )
    _check_promises(settlement)
    return settlement


def lines_of(
    *,
    import_wh: Int64Column,
    export_wh: Int64Column,
    bought_wh: Int64Column,
    sold_wh: Int64Column,
    trade_price_micro_per_kwh: int | None,
    prices: Mapping[str, int],
) -> tuple[Line, ...]:
    """The nine lines in the order of LINE_KINDS, of any rows of a slot: no row's lines depend on another row."""
    at = {**prices, TRADE_PRICE: trade_price_micro_per_kwh or 0}
    traded_import_wh = np.minimum(import_wh, bought_wh)
    energies_wh = (
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
    return tuple(priced_line(kind, wh, at) for kind, wh in zip(LINE_KINDS, energies_wh, strict=True))


def _check_promises(settlement: SlotSettlement) -> None:
    """Money is conserved, or the process stops: what parties pay is what accounts receive, and clearing keeps nothing."""
    promise(settlement.accounts_nano["clearing"] == 0, "the clearing account ends at 0")
    received = sum(settlement.accounts_nano.values())
    promise(exact_sum(settlement.pays_nano) == received, "the sum of pays equals the sum of receipts")
