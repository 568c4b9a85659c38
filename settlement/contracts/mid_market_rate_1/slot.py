"""The settlement of one slot of a community at the mid-market rate: its members' nets, then network charge and levy.

A member's net is its export less its import in the slot. Network charge and levy are those of every import; the traded part
of an import is the member's share of the energy that stays in the community.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from settlement.contract_kit_1 import (
    ContractError,
    Groups,
    Int64Column,
    Line,
    LineKind,
    Product,
    Settlement,
    check_column,
    check_conserved,
    check_prices,
    priced_line,
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


def settle(
    area: Int64Column,
    import_wh: Int64Column,
    export_wh: Int64Column,
    bought_wh: Int64Column,
    sold_wh: Int64Column,
    *,
    trade_prices_micro_per_kwh: Sequence[int | None],
    prices: Sequence[Mapping[str, int]],
) -> Settlement:
    """Settle one slot of some areas, each a community.

    ``area`` int64[n]: each row's area, a place in ``prices``. Columns int64[n] >= 0; ``prices``: of each area exactly
    PRICE_KEYS, retail >= feed-in >= 0. ContractError for a negative energy, anything traded by orders (there are none under
    this contract), a missing, unknown or too large price, and a result outside int64.
    """
    groups = Groups(area, len(prices))
    for name, column in {"import_wh": import_wh, "export_wh": export_wh}.items():
        check_column(column, name, length=area.size, minimum=0)
    if any(price is not None for price in trade_prices_micro_per_kwh) or bought_wh.any() or sold_wh.any():
        raise ContractError("nothing is traded by orders under this contract")
    at = check_prices(prices, PRICE_KEYS)
    community = share(groups, export_wh - import_wh, at[RETAIL_PRICE], at[FEED_IN_PRICE])
    volumes_wh = [of_area.volume_wh for of_area in community.totals]
    bought_wh = groups.split(volumes_wh, community.deficit_wh)
    sold_wh = groups.split(volumes_wh, community.surplus_wh)
    charges = products_of(CHARGES, _charged(import_wh, bought_wh), at)
    products = [Product(community.community_nano, [1] * groups.count), *charges]
    received_nano = receipts(
        LINE_KINDS[1:], products, ACCOUNTS, groups
    )  # both sides are of one account: one of them will do
    alone = [Product(import_wh, at[key]) for key in SUPPLIER_KEYS]
    alone.append(Product(export_wh, [-price for price in at[FEED_IN_PRICE]]))
    pays_nano = sum_of_products(products, groups, "pays_nano")
    check_conserved(pays_nano, received_nano)
    alone_nano = sum_of_products(alone, groups, "supplier_only_nano")
    kept = (bought_wh, sold_wh, community.community_nano, pays_nano, alone_nano)
    sums = zip(*((of_area.surplus_wh, of_area.deficit_wh) for of_area in community.totals), strict=True)
    return Settlement(
        columns=dict(zip(POSITION_COLUMNS, kept, strict=True)),
        area_columns=dict(zip(AREA_COLUMNS, map(list, sums), strict=True)),
        received_nano=received_nano,
    )


def lines_of(
    import_wh: Int64Column, export_wh: Int64Column, columns: Mapping[str, Int64Column], *, prices: Mapping[str, int]
) -> tuple[Line, ...]:
    """The lines of any rows of one area, in the order of LINE_KINDS; ``columns``: POSITION_COLUMNS of these rows.

    What a member pays less its charges is its part of the community's money.
    """
    charges = [
        priced_line(kind, wh, prices)
        for kind, wh in zip(CHARGES, _charged(import_wh, columns["bought_wh"]), strict=True)
    ]
    terms = [Product(columns["pays_nano"], [1]), *(Product(line.column, [-line.factor]) for line in charges)]
    rows = Groups(np.zeros(import_wh.size, dtype=np.int64), 1)
    shared_nano, net_wh = sum_of_products(terms, rows, "a share"), export_wh - import_wh
    buys = shared_line(LINE_KINDS[0], np.maximum(-net_wh, 0), np.where(net_wh < 0, shared_nano, 0))
    sells = shared_line(LINE_KINDS[1], np.maximum(net_wh, 0), np.where(net_wh > 0, shared_nano, 0))
    return buys, sells, *charges


def _charged(import_wh: Int64Column, bought_wh: Int64Column) -> tuple[Int64Column, ...]:
    """The energy of each of CHARGES; a deficit, and so a share of it, is no more than the import."""
    return bought_wh, import_wh - bought_wh, import_wh
