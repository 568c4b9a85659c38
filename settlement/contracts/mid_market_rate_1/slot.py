"""The settlement of one slot of a community at the mid-market rate: its members' nets, then network charge and levy.

A member's net is its export less its import in the slot. Network charge and levy are those of every import; the traded part
of an import is the member's share of the energy that stays in the community.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from settlement.contract_kit_1 import (
    ContractError,
    Int64Column,
    Line,
    LineKind,
    Product,
    check_amounts,
    check_column,
    check_prices,
    exact_sum,
    largest_remainder,
    priced_line,
    promise,
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

ACCOUNTS = ("grid", "levy", "network")
"""The counter-accounts. ``grid`` takes what buyers pay and gives what sellers get: it keeps the grid's part."""

LINE_KINDS = (
    LineKind("community_buy", "grid", +1, None),
    LineKind("community_sell", "grid", -1, None),
    LineKind("network_traded", "network", +1, NETWORK_TRADED),
    LineKind("network_residual", "network", +1, NETWORK_RESIDUAL),
    LineKind("levy", "levy", +1, LEVY),
)
"""The kinds of statement lines, in the order in which ``SlotSettlement.lines`` holds them; a row on the chain has the number."""


@dataclass(frozen=True)
class SlotSettlement:
    """The result of one slot; columns are int64[n] beside the members.

    ``volume_wh``: what stayed inside; ``totals_wh``: the surpluses and deficits that every amount rests on;
    ``bought_wh``, ``sold_wh``: each member's share of the volume. ``pays_nano``: sum of a member's lines, positive: it owes.
    """

    volume_wh: int
    totals_wh: dict[str, int]
    bought_wh: Int64Column
    sold_wh: Int64Column
    pays_nano: Int64Column
    supplier_only_nano: Int64Column
    accounts_nano: dict[str, int]
    terms: tuple[Line, ...]
    price_micro_per_kwh: int | None = None

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        """The lines in the order of LINE_KINDS; ContractError where one amount leaves int64."""
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
    """Settle one slot. Columns int64[n] >= 0; ``prices``: exactly PRICE_KEYS, retail >= feed-in >= 0.

    ContractError for a negative energy, anything traded by orders (there are none under this contract), a missing, unknown
    or too large price, and a result outside int64.
    """
    rows = import_wh.size
    for name, column in {"import_wh": import_wh, "export_wh": export_wh}.items():
        check_column(column, name, length=rows, minimum=0)
    if trade_price_micro_per_kwh is not None or bought_wh.any() or sold_wh.any():
        raise ContractError("nothing is traded by orders under this contract")
    check_prices(prices, PRICE_KEYS)
    community = share(
        export_wh - import_wh,
        retail_micro_per_kwh=prices[RETAIL_PRICE],
        feed_in_micro_per_kwh=prices[FEED_IN_PRICE],
    )
    totals = community.totals
    bought_wh = largest_remainder(totals.volume_wh, community.deficit_wh)
    sold_wh = largest_remainder(totals.volume_wh, community.surplus_wh)
    lines = (
        *_community_lines(export_wh - import_wh, community.pays_nano),
        *_charges(import_wh, bought_wh, prices),
    )
    alone = [Product(import_wh, prices[key]) for key in SUPPLIER_KEYS]
    settlement = SlotSettlement(
        volume_wh=totals.volume_wh,
        totals_wh={"demand_wh": totals.demand_wh, "supply_wh": totals.supply_wh},
        bought_wh=bought_wh,
        sold_wh=sold_wh,
        pays_nano=sum_of_products([line.product for line in lines], rows, "pays_nano"),
        supplier_only_nano=sum_of_products(
            [*alone, Product(export_wh, -prices[FEED_IN_PRICE])], rows, "supplier_only_nano"
        ),
        accounts_nano=receipts(lines, ACCOUNTS),
        terms=lines,
    )
    received = sum(settlement.accounts_nano.values())
    promise(exact_sum(settlement.pays_nano) == received, "the sum of pays equals the sum of receipts")
    return settlement


def lines_of(
    *,
    import_wh: Int64Column,
    export_wh: Int64Column,
    bought_wh: Int64Column,
    pays_nano: Int64Column,
    prices: Mapping[str, int],
) -> tuple[Line, ...]:
    """The lines of any rows of a settled slot, in the order of LINE_KINDS: what a member pays less its charges is its share."""
    charges = _charges(import_wh, bought_wh, prices)
    without = [Product(charge.product.column, -charge.product.factor) for charge in charges]
    shared_nano = sum_of_products([Product(pays_nano, 1), *without], import_wh.size, "the share of a member")
    return (*_community_lines(export_wh - import_wh, shared_nano), *charges)


def _community_lines(net_wh: Int64Column, shared_nano: Int64Column) -> tuple[Line, ...]:
    buys, sells = LINE_KINDS[:2]
    return (
        shared_line(buys, np.maximum(-net_wh, 0), np.where(net_wh < 0, shared_nano, 0)),
        shared_line(sells, np.maximum(net_wh, 0), np.where(net_wh > 0, shared_nano, 0)),
    )


def _charges(import_wh: Int64Column, bought_wh: Int64Column, prices: Mapping[str, int]) -> tuple[Line, ...]:
    energies_wh = (
        bought_wh,
        import_wh - bought_wh,
        import_wh,
    )  # a deficit, and so a share of it, is no more than the import
    return tuple(priced_line(kind, wh, prices) for kind, wh in zip(LINE_KINDS[2:], energies_wh, strict=True))
