"""A community that shares each slot's energy after the fact, between the grid's two prices: what all such contracts have in common.

A member's net is its export less its import in the slot. Which money changes hands is the contract's own rule (``Totals``); each side shares
its total by energy. Network charge and levy are those of every import; the traded part of an import is the member's share of
the energy that stays in the community. There are no orders: nothing is cleared at the gate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np

from settlement.contract_kit_1.columns import INT64_MIN, Int64Column, check_column, check_int64
from settlement.contract_kit_1.errors import ContractError
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
from settlement.contract_kit_1.rows import RowsLike, check_rows, prices_of_groups, prices_of_rows
from settlement.contract_kit_1.terms import PRICES, fault_of_keys, fault_of_prices
from settlement.contract_kit_1.without_orders import WithoutOrders, check_nothing_traded

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
"""The kinds of statement lines, in the order in which they are given; a row on the chain has the number."""

CHARGES = LINE_KINDS[2:]


class Totals(Protocol):
    """A rule: what follows from the sums of a community's surpluses and deficits in one slot, and the grid's two prices.

    ``feed_in_min``: the lowest feed-in price under which the rule has a result, micro per kWh.
    """

    feed_in_min: ClassVar[int]

    def __init__(
        self, surplus_wh: int, deficit_wh: int, retail_micro_per_kwh: int, feed_in_micro_per_kwh: int
    ) -> None: ...

    @property
    def buyers_nano(self) -> int:
        """What the buyers pay together."""

    @property
    def sellers_nano(self) -> int:
        """What the sellers receive together; the grid gets what the buyers pay more."""

    @property
    def price_sell(self) -> tuple[int, int] | None:
        """Numerator and denominator of the price per kWh that sellers get, before rounding; None without surplus."""

    @property
    def price_buy(self) -> tuple[int, int] | None:
        """Numerator and denominator of the price per kWh that buyers pay, before rounding; None without deficit."""


class Nets(NamedTuple):
    """int64[n]: what each member has too much and what it lacks, and the sums of both by group."""

    surplus_wh: Int64Column
    deficit_wh: Int64Column
    surplus_sums_wh: Sequence[int]
    deficit_sums_wh: Sequence[int]

    @classmethod
    def of(cls, groups: Groups, net_wh: Int64Column) -> Nets:
        """From export less import of each member; ContractError for a net of -2^63, which has no opposite."""
        check_column(net_wh, "net_wh", length=groups.of_row.size, minimum=INT64_MIN + 1)
        surplus_wh, deficit_wh = np.maximum(net_wh, 0), np.maximum(-net_wh, 0)
        return cls(surplus_wh, deficit_wh, groups.sums(surplus_wh), groups.sums(deficit_wh))

    def split_volumes(self, groups: Groups) -> tuple[Int64Column, Int64Column]:
        """int64[n]: of the energy that stays inside what each member buys, and what it sells; ties to the lower row."""
        volumes_wh = list(map(min, self.surplus_sums_wh, self.deficit_sums_wh))
        return groups.split(volumes_wh, self.deficit_wh), groups.split(volumes_wh, self.surplus_wh)


class Communities(NamedTuple):
    """The nets, the totals of each group, and int64[n] what each member pays the community (negative: receives)."""

    nets: Nets
    totals: Sequence[Totals]
    community_nano: Int64Column


def share(
    rule: type[Totals],
    groups: Groups,
    net_wh: Int64Column,
    retail_micro_per_kwh: Sequence[int],
    feed_in_micro_per_kwh: Sequence[int],
) -> Communities:
    """Share one slot of each group by a rule.

    ``net_wh`` int64[n]: export less import of each member; prices: one a group, retail >= feed-in. Both sides are split by largest
    remainder, ties to the lower row. ContractError for prices under which the rule has no result, for a net of -2^63, and for a
    result outside int64.
    """
    nets = Nets.of(groups, net_wh)
    for retail, feed_in in set(zip(retail_micro_per_kwh, feed_in_micro_per_kwh, strict=True)):
        check_int64(retail, "the retail price")
        if not retail >= feed_in >= rule.feed_in_min:
            raise ContractError(f"retail {retail} >= feed-in {feed_in} >= {rule.feed_in_min} does not hold")
    columns = (nets.surplus_sums_wh, nets.deficit_sums_wh, retail_micro_per_kwh, feed_in_micro_per_kwh)
    totals = [rule(*of_group) for of_group in zip(*columns, strict=True)]
    paid_nano = groups.split([of_group.buyers_nano for of_group in totals], nets.deficit_wh)
    earned_nano = groups.split([of_group.sellers_nano for of_group in totals], nets.surplus_wh)
    return Communities(nets, totals, paid_nano - earned_nano)


@dataclass(frozen=True)
class CommunityContract(WithoutOrders):
    """A contract as the ledger sees it (``ledger.contract.Contract``) whose slots are shared by one rule, each for itself."""

    contract_id: str
    rule: type[Totals]

    line_kinds = LINE_KINDS
    accounts = ACCOUNTS
    supplier_keys = SUPPLIER_KEYS
    position_columns = POSITION_COLUMNS
    area_columns = AREA_COLUMNS
    point_terms: tuple[str, ...] = ()
    takes_agreements = False
    period_columns: tuple[str, ...] = ()
    period_area_columns: tuple[str, ...] = ()

    def fault_of(self, terms: Mapping[str, Any]) -> str:
        """What is wrong with the terms of an area: five prices, of which the retail price is the highest of the two."""
        return fault_of_keys(terms, (PRICES,)) or fault_of_grid_prices(terms, self.rule.feed_in_min)

    def settle(
        self, rows: RowsLike, *, trade_prices_micro_per_kwh: Sequence[int | None], terms: Sequence[Mapping[str, Any]]
    ) -> Settlement:
        """Settle some groups of rows, each a community.

        Columns int64[n] >= 0; the prices are exactly PRICE_KEYS. A community's money is of its group's prices, retail >= feed-in >= 0;
        charges, and what the supplier alone would have asked for, are of the row's. ContractError for a negative
        energy, anything traded by orders, a missing, unknown or too large price, and a result outside int64.
        """
        groups = check_rows(rows, len(terms))
        check_nothing_traded(rows, trade_prices_micro_per_kwh)
        of_group = prices_of_groups(rows, PRICE_KEYS)
        net_wh = rows.export_wh - rows.import_wh
        community = share(self.rule, groups, net_wh, of_group[RETAIL_PRICE], of_group[FEED_IN_PRICE])
        bought_wh, sold_wh = community.nets.split_volumes(groups)
        charged = charge(rows, bought_wh)
        products = [Product(community.community_nano, 1), *charged.products]
        # both sides of the exchange are of one account: one of the two kinds will do
        received_nano = receipts(LINE_KINDS[1:], products, ACCOUNTS, groups)
        pays_nano = sum_of_products(products, "pays_nano")
        check_conserved(pays_nano, received_nano)
        kept = (bought_wh, sold_wh, community.community_nano, pays_nano, charged.supplier_only_nano)
        sums = [list(community.nets.surplus_sums_wh), list(community.nets.deficit_sums_wh)]
        return Settlement(
            columns=dict(zip(POSITION_COLUMNS, kept, strict=True)),
            area_columns=dict(zip(AREA_COLUMNS, sums, strict=True)),
            received_nano=received_nano,
        )

    def lines(
        self,
        rows: RowsLike,
        columns: Mapping[str, Int64Column],
        *,
        trade_prices_micro_per_kwh: Sequence[int | None],
        terms: Sequence[Mapping[str, Any]],
    ) -> tuple[Line, ...]:
        """The lines of settled rows, in the order of LINE_KINDS; ``columns``: POSITION_COLUMNS of these rows."""
        check_rows(rows, len(terms))
        net_wh, shared_nano = rows.export_wh - rows.import_wh, columns["community_nano"]
        return (
            shared_line(LINE_KINDS[0], np.maximum(-net_wh, 0), np.where(net_wh < 0, shared_nano, 0)),
            shared_line(LINE_KINDS[1], np.maximum(net_wh, 0), np.where(net_wh > 0, shared_nano, 0)),
            *charge_lines(rows),
        )


def fault_of_grid_prices(terms: Mapping[str, Any], feed_in_min: int) -> str:
    """What is wrong with the prices among ``terms``: exactly PRICE_KEYS, and retail >= feed-in >= ``feed_in_min``."""
    fault = fault_of_prices(terms, PRICE_KEYS)
    if fault:
        return fault
    retail, feed_in = terms[PRICES][RETAIL_PRICE], terms[PRICES][FEED_IN_PRICE]
    if retail >= feed_in >= feed_in_min:
        return ""
    return f"{PRICES}: {RETAIL_PRICE} >= {FEED_IN_PRICE} >= {feed_in_min} does not hold"


class Charged(NamedTuple):
    """The amounts of CHARGES of each row, and int64[n] what the same energy would have cost with the supplier alone."""

    products: Sequence[Product]
    supplier_only_nano: Int64Column


def charge(rows: RowsLike, bought_wh: Int64Column) -> Charged:
    """Network charge and levy of every import; ``bought_wh``: its traded part."""
    at = prices_of_rows(rows, PRICE_KEYS)
    alone = [Product(rows.import_wh, at[key]) for key in SUPPLIER_KEYS]
    alone.append(Product(rows.export_wh, at[FEED_IN_PRICE], -1))
    products = products_of(CHARGES, _charged_wh(rows.import_wh, bought_wh), at)
    return Charged(products, sum_of_products(alone, "supplier_only_nano"))


def charge_lines(rows: RowsLike) -> list[Line]:
    """The lines of CHARGES of settled rows."""
    at, energies_wh = prices_of_rows(rows, PRICE_KEYS), _charged_wh(rows.import_wh, rows.bought_wh)
    return [priced_line(kind, energy_wh, at) for kind, energy_wh in zip(CHARGES, energies_wh, strict=True)]


def _charged_wh(import_wh: Int64Column, bought_wh: Int64Column) -> tuple[Int64Column, ...]:
    """The energy of each of CHARGES; a deficit, and so a share of it, is no more than the import."""
    return bought_wh, import_wh - bought_wh, import_wh
