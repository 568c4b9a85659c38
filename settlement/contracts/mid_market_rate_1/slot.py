"""The settlement of one slot of a community at the mid-market rate: its members' nets, then network charge and levy.

A member's net is its export less its import in the slot. Network charge and levy are those of every import; the traded part
of an import is the member's share of the energy that stays in the community.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from settlement.contract_kit_1 import (
    ContractError,
    Int64Column,
    Line,
    LineKind,
    Product,
    RowsLike,
    Settlement,
    check_conserved,
    check_rows,
    priced_line,
    prices_of_groups,
    prices_of_rows,
    products_of,
    receipts,
    shared_line,
    sum_of_products,
)
from settlement.contracts.mid_market_rate_1.rate import share

RETAIL_PRICE = "residual_price_micro_per_kwh"
FEED_IN_PRICE = "feed_in_price_micro_per_kwh"
NETWORK_TRADED = "network_traded_micro_per_kwh"
NETWORK_RESIDUAL = "network_residual_micro_per_kwh"
LEVY = "levy_micro_per_kwh"

PRICE_KEYS = (RETAIL_PRICE, FEED_IN_PRICE, NETWORK_TRADED, NETWORK_RESIDUAL, LEVY)
"""The keys that ``prices`` must hold, exactly."""

SUPPLIER_KEYS = (RETAIL_PRICE, NETWORK_RESIDUAL, LEVY)
"""The prices that make up a kWh from the supplier alone."""

POSITION_COLUMNS = ("bought_wh", "sold_wh", "community_nano", "pays_nano", "supplier_only_nano")
"""What is kept of each member: its share of the energy that stayed inside, what it pays the community, and both totals."""

AREA_COLUMNS = ("surplus_wh", "deficit_wh")
"""The sums that every share of an area rests on."""

ACCOUNTS = ("community", "levy", "network")
"""The counter-accounts. ``community`` takes what buyers pay and gives what sellers get: it keeps the grid's part."""

LINE_KINDS = (
    LineKind("community_buy", "community", +1, None),
    LineKind("community_sell", "community", -1, None),
    LineKind("network_traded", "network", +1, NETWORK_TRADED),
    LineKind("network_residual", "network", +1, NETWORK_RESIDUAL),
    LineKind("levy", "levy", +1, LEVY),
)
"""The kinds of statement lines, in the order in which ``lines_of`` gives them; a row on the chain has the number."""

CHARGES = LINE_KINDS[2:]


def settle(rows: RowsLike, *, trade_prices_micro_per_kwh: Sequence[int | None]) -> Settlement:
    """Settle some groups of rows, each a community.

    Columns int64[n] >= 0; the prices are exactly PRICE_KEYS. A community's money is of its group's prices,
    retail >= feed-in >= 0; charges, and what the supplier alone would have asked for, are of the row's. ContractError for a negative
    energy, anything traded by orders (there are none under this contract), a missing, unknown or too large price, and a result
    outside int64.
    """
    groups = check_rows(rows, len(trade_prices_micro_per_kwh))
    if any(price is not None for price in trade_prices_micro_per_kwh) or rows.bought_wh.any() or rows.sold_wh.any():
        raise ContractError("nothing is traded by orders under this contract")
    of_community = prices_of_groups(rows, PRICE_KEYS)
    community = share(groups, rows.export_wh - rows.import_wh, of_community[RETAIL_PRICE], of_community[FEED_IN_PRICE])
    volumes_wh = [of_group.volume_wh for of_group in community.totals]
    bought_wh = groups.split(volumes_wh, community.deficit_wh)
    sold_wh = groups.split(volumes_wh, community.surplus_wh)
    at = prices_of_rows(rows, PRICE_KEYS)
    products = [Product(community.community_nano, 1), *products_of(CHARGES, _charged(rows.import_wh, bought_wh), at)]
    received_nano = receipts(
        LINE_KINDS[1:], products, ACCOUNTS, groups
    )  # both sides are of one account: one of them will do
    alone = [Product(rows.import_wh, at[key]) for key in SUPPLIER_KEYS]
    alone.append(Product(rows.export_wh, at[FEED_IN_PRICE], -1))
    pays_nano = sum_of_products(products, "pays_nano")
    check_conserved(pays_nano, received_nano)
    alone_nano = sum_of_products(alone, "supplier_only_nano")
    kept = (bought_wh, sold_wh, community.community_nano, pays_nano, alone_nano)
    sums = (
        [of_group.surplus_wh for of_group in community.totals],
        [of_group.deficit_wh for of_group in community.totals],
    )
    return Settlement(
        columns=dict(zip(POSITION_COLUMNS, kept, strict=True)),
        area_columns=dict(zip(AREA_COLUMNS, sums, strict=True)),
        received_nano=received_nano,
    )


def lines_of(rows: RowsLike, columns: Mapping[str, Int64Column], *, groups: int) -> tuple[Line, ...]:
    """The lines of any rows of ``groups`` groups, in the order of LINE_KINDS; ``columns``: POSITION_COLUMNS of these rows."""
    check_rows(rows, groups)
    at, net_wh, shared_nano = (
        prices_of_rows(rows, PRICE_KEYS),
        rows.export_wh - rows.import_wh,
        columns["community_nano"],
    )
    energies_wh = _charged(rows.import_wh, rows.bought_wh)
    return (
        shared_line(LINE_KINDS[0], np.maximum(-net_wh, 0), np.where(net_wh < 0, shared_nano, 0)),
        shared_line(LINE_KINDS[1], np.maximum(net_wh, 0), np.where(net_wh > 0, shared_nano, 0)),
        *(priced_line(kind, wh, at) for kind, wh in zip(CHARGES, energies_wh, strict=True)),
    )


def _charged(import_wh: Int64Column, bought_wh: Int64Column) -> tuple[Int64Column, ...]:
    """The energy of each of CHARGES; a deficit, and so a share of it, is no more than the import."""
    return bought_wh, import_wh - bought_wh, import_wh
