"""The settlement of one slot under ``bill_sharing/1``: its charges, what it adds to the month, and the month's bill where it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from settlement.contract_kit_1 import (
    PRICES,
    ContractError,
    Groups,
    Int64Column,
    Line,
    Nets,
    PeriodLike,
    Product,
    RowsLike,
    Settlement,
    WithoutOrders,
    add,
    check_conserved,
    check_nothing_traded,
    check_rows,
    fault_of_keys,
    prices_of_groups,
    receipts,
    shared_line,
    sum_of_products,
)
from settlement.contract_kit_1.community import (
    ACCOUNTS,
    FEED_IN_PRICE,
    LINE_KINDS,
    PRICE_KEYS,
    RETAIL_PRICE,
    SUPPLIER_KEYS,
    charge,
    charge_lines,
    fault_of_grid_prices,
)
from settlement.contracts.bill_sharing_1.bill import Bill, Exchange, are_payable, exchange, share_bill

NANO = 10**9

PERIOD_COLUMNS = ("deficit_wh", "surplus_wh")
"""What each member lacked and had over in the slot; their sums over a period are what its bill is shared by."""

PERIOD_AREA_COLUMNS = ("cost_units", "cost_nano", "income_units", "income_nano")
"""What the area's import cost and its export earned in the slot: whole units of the currency, and nano (0 to 10^9 - 1)."""

CLOSED_COLUMNS = ("period_deficit_wh", "period_surplus_wh", "paid_nano", "earned_nano")
"""Of a period that ends with the slot: each member's sums, and its parts of the bill; 0 in all other slots."""

CLOSED_AREA_COLUMNS = ("period_deficit_wh", "period_surplus_wh", *(f"period_{name}" for name in PERIOD_AREA_COLUMNS))
"""Of a period that ends with the slot: the sums that every part of the bill rests on; 0 in all other slots."""

POSITION_COLUMNS = ("bought_wh", "sold_wh", *PERIOD_COLUMNS, *CLOSED_COLUMNS, "pays_nano", "supplier_only_nano")
AREA_COLUMNS = ("period_start_s", *PERIOD_COLUMNS, *PERIOD_AREA_COLUMNS, *CLOSED_AREA_COLUMNS)


class _Closed(NamedTuple):
    """CLOSED_COLUMNS, and the area columns of that name, one value a group."""

    deficit_wh: Int64Column
    surplus_wh: Int64Column
    bill: Bill
    of_groups: Sequence[Sequence[int]]


class BillSharing(WithoutOrders):
    """The contract as the ledger sees it (``ledger.contract.Contract``)."""

    contract_id = "bill_sharing/1"
    line_kinds = LINE_KINDS
    accounts = ACCOUNTS
    supplier_keys = SUPPLIER_KEYS
    position_columns = POSITION_COLUMNS
    area_columns = AREA_COLUMNS
    point_terms: tuple[str, ...] = ()
    takes_agreements = False
    period_columns = PERIOD_COLUMNS
    period_area_columns = PERIOD_AREA_COLUMNS

    def fault_of(self, terms: Mapping[str, Any]) -> str:
        """What is wrong with the terms of an area: five prices, of which the retail price is the highest of the two."""
        return fault_of_keys(terms, (PRICES,)) or fault_of_grid_prices(terms, feed_in_min=0)

    def settle(
        self, rows: RowsLike, *, trade_prices_micro_per_kwh: Sequence[int | None], terms: Sequence[Mapping[str, Any]]
    ) -> Settlement:
        """Settle some groups of rows, each a community; refusals as ``CommunityContract.settle``, and a sum of a period outside int64."""
        groups = check_rows(rows, len(terms))
        check_nothing_traded(rows, trade_prices_micro_per_kwh)
        nets, prices = Nets.of(groups, rows.export_wh - rows.import_wh), prices_of_groups(rows, PRICE_KEYS)
        of_slot = exchange(nets, prices[RETAIL_PRICE], prices[FEED_IN_PRICE])
        bought_wh, sold_wh = nets.split_volumes(groups)
        period = rows.period
        if period is None:
            raise ContractError("a contract that shares the bill of a month is told the month")
        closed, charged = _close(period, groups, nets, of_slot), charge(rows, bought_wh)
        products = [Product(closed.bill.paid_nano, 1), Product(closed.bill.earned_nano, 1, -1), *charged.products]
        received_nano = receipts(LINE_KINDS, products, ACCOUNTS, groups)
        pays_nano = sum_of_products(products, "pays_nano")
        check_conserved(pays_nano, received_nano)
        added = (nets.deficit_wh, nets.surplus_wh, closed.deficit_wh, closed.surplus_wh, *closed.bill)
        kept = (bought_wh, sold_wh, *added, pays_nano, charged.supplier_only_nano)
        sums = (period.start_s, nets.deficit_sums_wh, nets.surplus_sums_wh, *_money_of(of_slot), *closed.of_groups)
        return Settlement(
            columns=dict(zip(POSITION_COLUMNS, kept, strict=True)),
            area_columns=dict(zip(AREA_COLUMNS, map(list, sums), strict=True)),
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
        deficit_wh, surplus_wh, paid_nano, earned_nano = (columns[name] for name in CLOSED_COLUMNS)
        buys, sells = (
            shared_line(LINE_KINDS[0], deficit_wh, paid_nano),
            shared_line(LINE_KINDS[1], surplus_wh, -earned_nano),
        )
        return (buys, sells, *charge_lines(rows))


def _close(period: PeriodLike, groups: Groups, nets: Nets, of_slot: Exchange) -> _Closed:
    """The bill of each group whose period ends with the slot; 0 throughout for the others."""
    if not any(period.closes):
        nothing = np.zeros_like(nets.deficit_wh)
        return _Closed(nothing, nothing, Bill(nothing, nothing), [[0] * groups.count] * len(CLOSED_AREA_COLUMNS))
    closes = groups.at([int(is_last) for is_last in period.closes])
    deficit_wh, surplus_wh = (
        add(period.columns[name] * closes, own_wh * closes, f"period_{name}")
        for name, own_wh in zip(PERIOD_COLUMNS, (nets.deficit_wh, nets.surplus_wh), strict=True)
    )
    others = [period.area_columns[name] for name in PERIOD_AREA_COLUMNS]
    money = [
        [(of_others + own) * is_last for of_others, own, is_last in zip(*sums, period.closes, strict=True)]
        for sums in zip(others, _money_of(of_slot), strict=True)
    ]
    for side, weights_wh in ((0, deficit_wh), (2, surplus_wh)):
        payable = are_payable(groups, _nano(*money[side : side + 2]), weights_wh)
        for place in (side, side + 1):
            money[place] = [limb * is_payable for limb, is_payable in zip(money[place], payable, strict=True)]
    cost_nano, income_nano = _nano(*money[:2]), _nano(*money[2:])
    bill = share_bill(groups, deficit_wh, surplus_wh, cost_nano, income_nano)
    return _Closed(deficit_wh, surplus_wh, bill, [groups.sums(deficit_wh), groups.sums(surplus_wh), *money])


def _nano(units: Sequence[int], nano: Sequence[int]) -> list[int]:
    """Amounts that stand in two limbs."""
    return [whole * NANO + rest for whole, rest in zip(units, nano, strict=True)]


def _money_of(of_slot: Exchange) -> tuple[list[int], ...]:
    """PERIOD_AREA_COLUMNS of one slot."""
    limbs = (
        [divmod(amount, NANO) for amount in of_slot.cost_nano],
        [divmod(amount, NANO) for amount in of_slot.income_nano],
    )
    return tuple([amount[place] for amount in amounts] for amounts in limbs for place in (0, 1))


CONTRACT = BillSharing()
"""The one instance: contracts hold no state."""
