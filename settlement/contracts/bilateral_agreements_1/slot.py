"""The settlement of slots with bilateral agreements: what was agreed between points, then ``slot_settlement/1`` for the rest.

Nobody buys or sells more by an agreement than was metered, so that nothing is over-bought or over-sold and there is no balance account.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from settlement.contract_kit_1 import (
    ContractError,
    Int64Column,
    Line,
    LineKind,
    Price,
    Product,
    RowsLike,
    Settlement,
    check_conserved,
    check_nothing_traded,
    check_rows,
    priced_line,
    prices_of_rows,
    products_of,
    promise,
    receipts,
    shared_line,
    sum_of_products,
)
from settlement.contracts.bilateral_agreements_1.agreed import agree

RESIDUAL_PRICE = "residual_price_micro_per_kwh"
FEED_IN_PRICE = "feed_in_price_micro_per_kwh"
NETWORK_TRADED = "network_traded_micro_per_kwh"
NETWORK_RESIDUAL = "network_residual_micro_per_kwh"
LEVY = "levy_micro_per_kwh"

PRICE_KEYS = (RESIDUAL_PRICE, FEED_IN_PRICE, NETWORK_TRADED, NETWORK_RESIDUAL, LEVY)
"""The keys that ``prices`` must hold, exactly."""

SUPPLIER_KEYS = (RESIDUAL_PRICE, NETWORK_RESIDUAL, LEVY)
"""The prices that make up a kWh from the supplier alone."""

POSITION_COLUMNS = (
    "bought_wh", "sold_wh", "bought_nano", "sold_nano", "difference_wh", "difference_nano", "pays_nano",
    "supplier_only_nano",
)  # fmt: skip
"""What is kept of each point: energy and money of its agreements, of differences apart, its bill, and the supplier's alone."""

ACCOUNTS = ("clearing", "levy", "network", "offtaker", "supplier")
"""The counter-accounts. ``clearing`` stands between the two sides of agreements; it always ends at 0."""

AGREED = (
    LineKind("agreement_buy", "clearing", +1, None),
    LineKind("agreement_sell", "clearing", +1, None),
    LineKind("agreement_difference", "clearing", +1, None),
)
"""Lines without a price of their own: a point may have several agreements."""

PRICED = (
    LineKind("residual_import", "supplier", +1, RESIDUAL_PRICE),
    LineKind("residual_export", "offtaker", -1, FEED_IN_PRICE),
    LineKind("network_traded", "network", +1, NETWORK_TRADED),
    LineKind("network_residual", "network", +1, NETWORK_RESIDUAL),
    LineKind("levy", "levy", +1, LEVY),
)
LINE_KINDS = (*AGREED, *PRICED)
"""The kinds of statement lines, in their order; a row on the chain has the number."""


def settle(rows: RowsLike, *, trade_prices_micro_per_kwh: Sequence[int | None], count: int) -> Settlement:
    """Settle ``count`` groups of rows.

    ContractError for a negative energy, anything traded by orders, agreements that are not handed in or do not fit the rows, a missing or unknown
    price, and a result outside int64.
    """
    groups = check_rows(rows, count)
    check_nothing_traded(rows, trade_prices_micro_per_kwh)
    if rows.agreements is None:
        raise ContractError("agreements are not handed in")
    agreed, _ = agree(rows.group, rows.import_wh, rows.export_wh, rows.agreements)
    owed = (agreed.bought_nano, -agreed.sold_nano, agreed.difference_nano)
    promise(not any(groups.sums(agreed.difference_nano)), "differences sum to 0")
    at = prices_of_rows(rows, PRICE_KEYS)
    priced = products_of(PRICED, _energies(rows, agreed.bought_wh, agreed.sold_wh), at)
    products = [*(Product(column, 1) for column in owed), *priced]
    received_nano = receipts(LINE_KINDS, products, ACCOUNTS, groups)
    promise(not any(received_nano["clearing"]), "the clearing account ends at 0")
    pays_nano = sum_of_products(products, "pays_nano")
    check_conserved(pays_nano, received_nano)
    alone = [Product(rows.import_wh, at[key]) for key in SUPPLIER_KEYS]
    alone.append(Product(rows.export_wh, at[FEED_IN_PRICE], -1))
    kept = (
        agreed.bought_wh, agreed.sold_wh, agreed.bought_nano, agreed.sold_nano, agreed.difference_wh,
        agreed.difference_nano, pays_nano, sum_of_products(alone, "supplier_only_nano"),
    )  # fmt: skip
    return Settlement(dict(zip(POSITION_COLUMNS, kept, strict=True)), {}, received_nano)


def lines_of(rows: RowsLike, columns: Mapping[str, Int64Column], count: int) -> tuple[Line, ...]:
    """The lines of settled rows, in the order of LINE_KINDS: no row's lines depend on another row."""
    check_rows(rows, count)
    at: dict[str, Price] = prices_of_rows(rows, PRICE_KEYS)
    energies_wh = (rows.bought_wh, rows.sold_wh, columns["difference_wh"])
    amounts_nano = (columns["bought_nano"], -columns["sold_nano"], columns["difference_nano"])
    agreed = (shared_line(*of) for of in zip(AGREED, energies_wh, amounts_nano, strict=True))
    priced_wh = _energies(rows, rows.bought_wh, rows.sold_wh)
    return (*agreed, *(priced_line(kind, wh, at) for kind, wh in zip(PRICED, priced_wh, strict=True)))


def _energies(rows: RowsLike, bought_wh: Int64Column, sold_wh: Int64Column) -> tuple[Int64Column, ...]:
    """The energy of each of PRICED: nobody has bought more than it imports, or sold more than it exports."""
    rest_wh = rows.import_wh - bought_wh
    return rest_wh, rows.export_wh - sold_wh, bought_wh, rest_wh, rows.import_wh
