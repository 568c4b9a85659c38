"""The settlement of one slot in which parties have traded: from metered and traded energy to what each pays and each account receives.

Import and export are settled separately and never netted. Every Wh that was imported is either bought in trade or bought
from the supplier, every Wh that was exported sold in trade or to the offtaker; what was traded but not metered goes to or
comes from the balance account. Wh x micro/kWh is nano exactly: nothing is rounded here. What a trade costs is the
contract's own: one price for all, or a price for each trade.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from settlement.contract_kit_1.columns import Int8Column, Int64Column, Price
from settlement.contract_kit_1.errors import ContractError, promise
from settlement.contract_kit_1.groups import Groups
from settlement.contract_kit_1.lines import Line, LineKind, priced_line, shared_line
from settlement.contract_kit_1.money import (
    Product,
    Settlement,
    check_conserved,
    products_of,
    receipts,
    sum_of_products,
)
from settlement.contract_kit_1.rows import RowsLike, check_rows, prices_of_rows
from settlement.contract_kit_1.trades import SELL, Traded

RESIDUAL_PRICE = "residual_price_micro_per_kwh"
FEED_IN_PRICE = "feed_in_price_micro_per_kwh"
SURPLUS_PRICE = "surplus_price_micro_per_kwh"
SHORTFALL_PRICE = "shortfall_price_micro_per_kwh"
NETWORK_TRADED = "network_traded_micro_per_kwh"
NETWORK_RESIDUAL = "network_residual_micro_per_kwh"
LEVY = "levy_micro_per_kwh"

TRADER_PRICE_KEYS = (
    RESIDUAL_PRICE,
    FEED_IN_PRICE,
    SURPLUS_PRICE,
    SHORTFALL_PRICE,
    NETWORK_TRADED,
    NETWORK_RESIDUAL,
    LEVY,
)
"""The keys that ``prices`` must hold, exactly: those of the ``[prices]`` table of ``rules.toml``."""

TRADER_SUPPLIER_KEYS = (RESIDUAL_PRICE, NETWORK_RESIDUAL, LEVY)
"""The prices that make up a kWh from the supplier alone."""

CLEARING_ACCOUNT = "clearing"
"""The counter-account of what was traded: it stands between buyers and sellers and always ends at 0."""

TRADER_ACCOUNTS = ("balance", CLEARING_ACCOUNT, "levy", "network", "offtaker", "supplier")
"""The counter-accounts."""

METERED_KINDS = (
    LineKind("residual_import", "supplier", +1, RESIDUAL_PRICE),
    LineKind("surplus", "balance", -1, SURPLUS_PRICE),
    LineKind("residual_export", "offtaker", -1, FEED_IN_PRICE),
    LineKind("shortfall", "balance", +1, SHORTFALL_PRICE),
    LineKind("network_traded", "network", +1, NETWORK_TRADED),
    LineKind("network_residual", "network", +1, NETWORK_RESIDUAL),
    LineKind("levy", "levy", +1, LEVY),
)
"""The kinds of lines behind those of the trades, in their order."""

PAIRED_KINDS = (
    LineKind("trade_buy", CLEARING_ACCOUNT, +1, None),
    LineKind("trade_sell", CLEARING_ACCOUNT, -1, None),
    *METERED_KINDS,
)
"""The kinds of lines of a contract whose trades have prices of their own; a row on the chain has the number."""

PAIRED_COLUMNS = ("bought_wh", "sold_wh", "bought_nano", "sold_nano", "pays_nano", "supplier_only_nano")
"""What such a contract keeps of each party: ``Traded``, the sum of its lines, and what the supplier alone would have asked for."""


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

    A buyer pays at most his limit, and where he does not import he gets the surplus price for it. A seller gets at least his limit: he
    pays where it is negative, and where he does not export the shortfall price less what he gets.
    """
    bought = price_micro_per_kwh - min(prices[SURPLUS_PRICE], 0)
    sold = max(prices[SHORTFALL_PRICE], 0) - price_micro_per_kwh
    most: Int64Column = np.maximum(np.where(side == SELL, sold, bought), 0)
    return most


class Energies(NamedTuple):
    """int64[n] >= 0, Wh of each row: metered, then traded."""

    import_wh: Int64Column
    export_wh: Int64Column
    bought_wh: Int64Column
    sold_wh: Int64Column

    @classmethod
    def of(cls, rows: RowsLike) -> Energies:
        """Those of rows that are handed in with what they traded."""
        return cls(rows.import_wh, rows.export_wh, rows.bought_wh, rows.sold_wh)

    @property
    def of_metered_kinds(self) -> tuple[Int64Column, ...]:
        """The energy of each of METERED_KINDS; all columns are in [0, 2^63), so that no difference can leave int64."""
        traded_import_wh = np.minimum(self.import_wh, self.bought_wh)
        return (
            np.maximum(self.import_wh - self.bought_wh, 0),
            np.maximum(self.bought_wh - self.import_wh, 0),
            np.maximum(self.export_wh - self.sold_wh, 0),
            np.maximum(self.sold_wh - self.export_wh, 0),
            traded_import_wh,
            self.import_wh - traded_import_wh,
            self.import_wh,
        )


class Owed(NamedTuple):
    """What each row pays, and would with the supplier alone, int64[n] nano; what each account receives, one integer a group."""

    pays_nano: Int64Column
    supplier_only_nano: Int64Column
    received_nano: dict[str, list[int]]


def owed_by(
    kinds: Sequence[LineKind],
    groups: Groups,
    energies: Energies,
    trades: Sequence[Product],
    at: Mapping[str, Price],
    *,
    accounts: Sequence[str] = TRADER_ACCOUNTS,
) -> Owed:
    """What follows from metered energy at the rows' prices ``at``, and from ``trades``: the amounts of the first ones of ``kinds``.

    ContractError for bought and sold of a group that do not sum to the same, and for a result outside int64.
    """
    for bought, sold in zip(groups.sums(energies.bought_wh), groups.sums(energies.sold_wh), strict=True):
        if bought != sold:
            raise ContractError(f"bought {bought} Wh but sold {sold} Wh: the two must be equal")
    products = [*trades, *products_of(METERED_KINDS, energies.of_metered_kinds, at)]
    received_nano = receipts(kinds, products, accounts, groups)
    promise(not any(received_nano[CLEARING_ACCOUNT]), "the clearing account ends at 0")
    supplier_only = [Product(energies.import_wh, at[key]) for key in TRADER_SUPPLIER_KEYS]
    supplier_only.append(Product(energies.export_wh, at[FEED_IN_PRICE], -1))
    pays_nano = sum_of_products(products, "pays_nano")
    check_conserved(pays_nano, received_nano)
    return Owed(pays_nano, sum_of_products(supplier_only, "supplier_only_nano"), received_nano)


def settle_traded(rows: RowsLike, groups: Groups, traded: Traded) -> Settlement:
    """Settle some groups of rows whose trades have prices of their own: the position columns are PAIRED_COLUMNS.

    The prices of a row are exactly TRADER_PRICE_KEYS, any sign. ContractError as ``owed_by``, and for amounts of a group that were not both
    paid and received.
    """
    for paid, got in zip(groups.sums(traded.bought_nano), groups.sums(traded.sold_nano), strict=True):
        if paid != got:
            raise ContractError(f"trades cost {paid} nano but bring {got} nano: the two must be equal")
    energies = Energies(rows.import_wh, rows.export_wh, traded.bought_wh, traded.sold_wh)
    trades = [Product(traded.bought_nano, 1), Product(traded.sold_nano, 1, -1)]
    owed = owed_by(PAIRED_KINDS, groups, energies, trades, prices_of_rows(rows, TRADER_PRICE_KEYS))
    kept = (*traded, owed.pays_nano, owed.supplier_only_nano)
    return Settlement(dict(zip(PAIRED_COLUMNS, kept, strict=True)), {}, owed.received_nano)


def lines_of_metered(energies: Energies, at: Mapping[str, Price]) -> tuple[Line, ...]:
    """The lines of METERED_KINDS, in their order."""
    return tuple(priced_line(kind, wh, at) for kind, wh in zip(METERED_KINDS, energies.of_metered_kinds, strict=True))


def lines_of_traded(rows: RowsLike, columns: Mapping[str, Int64Column], count: int) -> tuple[Line, ...]:
    """The lines of PAIRED_KINDS, in their order, of rows of ``count`` groups; no row's lines depend on another row.

    ``columns``: PAIRED_COLUMNS of these rows. What was traded has an amount and no one price.
    """
    check_rows(rows, count)
    energies, at = Energies.of(rows), prices_of_rows(rows, TRADER_PRICE_KEYS)
    return (
        shared_line(PAIRED_KINDS[0], energies.bought_wh, columns["bought_nano"]),
        shared_line(PAIRED_KINDS[1], energies.sold_wh, columns["sold_nano"], sign=-1),
        *lines_of_metered(energies, at),
    )
