"""The settlement of one slot of a community at the mid-market rate: its members' nets, then network charge and levy.

A member's net is its export less its import in the slot. Network charge and levy are those of every import; the traded part
of an import is the member's share of the energy that stays in the community.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from settlement.contract_kit_1 import (
    AccountTerm,
    ContractError,
    GroupedSettlement,
    GroupProduct,
    Int64Column,
    Line,
    LineKind,
    as_money,
    check_column,
    check_int64,
    check_prices,
    check_starts,
    grouped_products,
    grouped_receipts,
    largest_remainder,
    priced_line,
    promise_balance,
    shared_line,
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

ACCOUNTS = ("community", "levy", "network")
"""The counter-accounts. ``community`` takes what buyers pay and gives what sellers get: what is left is the grid's part."""

LINE_KINDS = (
    LineKind("community_buy", "community", +1, None),
    LineKind("community_sell", "community", -1, None),
    LineKind("network_traded", "network", +1, NETWORK_TRADED),
    LineKind("network_residual", "network", +1, NETWORK_RESIDUAL),
    LineKind("levy", "levy", +1, LEVY),
)
"""The kinds of statement lines, in their order."""

POSITION_COLUMNS = ("bought_wh", "sold_wh", "community_nano", "pays_nano", "supplier_only_nano")
"""The columns of a position; ``community_nano`` is what a member pays for its share (negative: receives)."""

AREA_COLUMNS = ("surplus_wh", "deficit_wh")
"""The sums over a community that every share rests on."""


def settle(
    import_wh: Int64Column,
    export_wh: Int64Column,
    *,
    area_starts: Int64Column,
    prices: Mapping[str, Int64Column],
) -> GroupedSettlement:
    """Settle one slot of any number of areas, each a community, whose rows stand one area after the other.

    Columns int64[n] >= 0; ``area_starts`` int64[areas + 1]; ``prices`` int64[areas] each: exactly PRICE_KEYS, retail >= feed-in >= 0.
    ContractError for a negative energy, a missing or unknown price, prices the wrong way round, and a result outside int64.
    """
    rows, areas = import_wh.size, area_starts.size - 1
    for name, column in {"import_wh": import_wh, "export_wh": export_wh}.items():
        check_column(column, name, length=rows, minimum=0)
    check_starts(area_starts, rows)
    check_prices(prices, PRICE_KEYS, areas)
    one = np.ones(areas, dtype=np.int64)
    shared, totals = _shares(export_wh - import_wh, area_starts, prices)
    terms = [AccountTerm("community", GroupProduct(shared["community_nano"], one))]
    charged_wh = _charged(import_wh, shared["bought_wh"])
    for kind, wh in zip(LINE_KINDS[2:], charged_wh, strict=True):
        terms.append(AccountTerm(kind.account, GroupProduct(wh, prices[kind.price or ""])))
    supplier_only = [GroupProduct(import_wh, prices[key]) for key in SUPPLIER_KEYS]
    supplier_only.append(GroupProduct(-export_wh, prices[FEED_IN_PRICE]))
    pays_nano = grouped_products([term.product for term in terms], area_starts, "pays_nano")
    received = grouped_receipts(terms, ACCOUNTS, area_starts)
    promise_balance(pays_nano, received, area_starts)
    alone_nano = grouped_products(supplier_only, area_starts, "supplier_only_nano")
    return GroupedSettlement(
        positions={**shared, "pays_nano": pays_nano, "supplier_only_nano": alone_nano},
        areas=totals,
        received={account: as_money(amount, account) for account, amount in received.items()},
    )


def _shares(
    net_wh: Int64Column, area_starts: Int64Column, prices: Mapping[str, Int64Column]
) -> tuple[dict[str, Int64Column], dict[str, Int64Column]]:
    """What each member bought, sold and pays for it, and the totals of each area."""
    members = {name: np.zeros(net_wh.size, dtype=np.int64) for name in POSITION_COLUMNS[:3]}
    totals = {name: np.zeros(area_starts.size - 1, dtype=np.int64) for name in AREA_COLUMNS}
    for area in range(area_starts.size - 1):
        rows = slice(int(area_starts[area]), int(area_starts[area + 1]))
        community = share(
            net_wh[rows],
            retail_micro_per_kwh=int(prices[RETAIL_PRICE][area]),
            feed_in_micro_per_kwh=int(prices[FEED_IN_PRICE][area]),
        )
        volume_wh = community.totals.volume_wh
        members["bought_wh"][rows] = largest_remainder(volume_wh, community.deficit_wh)
        members["sold_wh"][rows] = largest_remainder(volume_wh, community.surplus_wh)
        members["community_nano"][rows] = community.pays_nano
        totals["surplus_wh"][area] = check_int64(community.totals.supply_wh, "surplus_wh")
        totals["deficit_wh"][area] = check_int64(community.totals.demand_wh, "deficit_wh")
    return members, totals


def lines_of(
    *,
    import_wh: Int64Column,
    export_wh: Int64Column,
    bought_wh: Int64Column,
    community_nano: Int64Column,
    prices: Mapping[str, int],
) -> tuple[Line, ...]:
    """The lines of any rows of an area in a settled slot, in the order of LINE_KINDS."""
    net_wh = export_wh - import_wh
    buys, sells = LINE_KINDS[:2]
    charged_wh = _charged(import_wh, bought_wh)
    return (
        shared_line(buys, np.maximum(-net_wh, 0), np.where(net_wh < 0, community_nano, 0)),
        shared_line(sells, np.maximum(net_wh, 0), np.where(net_wh > 0, community_nano, 0)),
        *(priced_line(kind, wh, prices) for kind, wh in zip(LINE_KINDS[2:], charged_wh, strict=True)),
    )


def _charged(import_wh: Int64Column, bought_wh: Int64Column) -> tuple[Int64Column, ...]:
    """Energies of the charged lines. A deficit, and so a share of it, is no more than the import."""
    return bought_wh, import_wh - bought_wh, import_wh


def check_no_orders(*columns: Int64Column) -> None:
    """ContractError where anything was traded by orders: there are none under this contract."""
    if any(column.any() for column in columns):
        raise ContractError("nothing is traded by orders under this contract")
