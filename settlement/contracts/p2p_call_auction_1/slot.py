"""The settlement of one slot: from metered and traded energy to what each party pays and each account receives.

Import and export are settled separately and never netted. Every Wh that was imported is either bought in the market or
bought from the supplier, every Wh that was exported sold in the market or to the offtaker; what was traded but not
metered goes to or comes from the balance account. Wh x micro/kWh is nano exactly: nothing is rounded here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from settlement.contract_kit_1 import (
    INT64_MAX,
    ContractError,
    Int64Column,
    check_column,
    check_int64,
    exact_products,
    exact_sum,
    magnitude,
    multiply,
    narrow,
    promise,
)

PRICE_KEYS = (
    "residual_price_micro_per_kwh",
    "feed_in_price_micro_per_kwh",
    "surplus_price_micro_per_kwh",
    "shortfall_price_micro_per_kwh",
    "network_traded_micro_per_kwh",
    "network_residual_micro_per_kwh",
    "levy_micro_per_kwh",
)
"""The keys that ``prices`` must hold, exactly: those of the ``[prices]`` table of ``rules.toml``."""

ACCOUNTS = ("clearing", "supplier", "offtaker", "balance", "network", "levy")
"""The counter-accounts. ``clearing`` stands between buyers and sellers and always ends at 0."""

LINE_KINDS = (
    "trade_buy",
    "trade_sell",
    "residual_import",
    "surplus",
    "residual_export",
    "shortfall",
    "network_traded",
    "network_residual",
    "levy",
)
"""The kinds of statement lines, in the order in which ``SlotSettlement.lines`` holds them."""


@dataclass(frozen=True)
class Line:
    """One kind of line for every party: ``energy_wh`` int64[n] >= 0 at one price against one counter-account.

    ``sign`` is +1 where a positive price makes the party owe, -1 where it is owed. A line exists for a party exactly
    where its energy is positive.
    """

    kind: str
    account: str
    price_micro_per_kwh: int
    energy_wh: Int64Column
    sign: int

    @cached_property
    def amount_nano(self) -> Int64Column:
        """int64[n] = sign x energy x price; positive: the party owes. ContractError where it does not fit into int64."""
        return multiply(self.energy_wh, self.sign * self.price_micro_per_kwh, f"amount_nano of {self.kind}")


@dataclass(frozen=True)
class SlotSettlement:
    """The result of one slot; columns are int64[n] beside the parties.

    ``pays_nano``: sum of a party's lines, positive: it owes. ``supplier_only_nano``: the price of the same metered energy
    with the supplier alone. ``residual_*_wh``: metered less traded, signed. ``accounts_nano``: what each of ACCOUNTS
    receives, Python integers.
    """

    terms: tuple[Line, ...]
    pays_nano: Int64Column
    supplier_only_nano: Int64Column
    residual_import_wh: Int64Column
    residual_export_wh: Int64Column
    accounts_nano: dict[str, int]

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        """The nine lines in the order of LINE_KINDS, every amount checked.

        ContractError where one amount leaves int64 (the sums of ``pays_nano`` may still fit: they are exact).
        """
        for line in self.terms:
            line.amount_nano  # noqa: B018 - computes and checks
        return self.terms


class _Product(NamedTuple):
    """A column times a whole number: one term of a sum of money."""

    energy_wh: Int64Column
    factor: int


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
    trade_price = check_int64(trade_price_micro_per_kwh or 0, "trade_price_micro_per_kwh")
    _check_prices(prices)

    # both columns are in [0, 2^63): no difference can leave int64
    residual_import = import_wh - bought_wh
    residual_export = export_wh - sold_wh
    terms = _terms(import_wh, bought_wh, sold_wh, residual_import, residual_export, trade_price, prices)
    supplier_only = (
        _Product(import_wh, prices["residual_price_micro_per_kwh"]),
        _Product(export_wh, -prices["feed_in_price_micro_per_kwh"]),
        _Product(import_wh, prices["network_residual_micro_per_kwh"]),
        _Product(import_wh, prices["levy_micro_per_kwh"]),
    )
    settlement = SlotSettlement(
        terms=terms,
        pays_nano=_sum_of_products(
            [_Product(term.energy_wh, term.sign * term.price_micro_per_kwh) for term in terms], rows, "pays_nano"
        ),
        supplier_only_nano=_sum_of_products(supplier_only, rows, "supplier_only_nano"),
        residual_import_wh=residual_import,
        residual_export_wh=residual_export,
        accounts_nano=_receipts(terms),
    )
    _check_promises(settlement)
    return settlement


def _check_prices(prices: Mapping[str, int]) -> None:
    """ContractError unless ``prices`` holds exactly PRICE_KEYS, each within int64."""
    for key in PRICE_KEYS:
        if key not in prices:
            raise ContractError(f"prices lack {key}")
        check_int64(prices[key], key)
    for key in sorted(prices):
        if key not in PRICE_KEYS:
            raise ContractError(f"unknown price {key}: the prices are {', '.join(PRICE_KEYS)}")


def _terms(
    import_wh: Int64Column,
    bought_wh: Int64Column,
    sold_wh: Int64Column,
    residual_import_wh: Int64Column,
    residual_export_wh: Int64Column,
    trade_price: int,
    prices: Mapping[str, int],
) -> tuple[Line, ...]:
    """The nine lines, in the order of LINE_KINDS."""
    residual_price = prices["residual_price_micro_per_kwh"]
    surplus_price = prices["surplus_price_micro_per_kwh"]
    feed_in_price = prices["feed_in_price_micro_per_kwh"]
    shortfall_price = prices["shortfall_price_micro_per_kwh"]
    traded_import_wh = np.minimum(import_wh, bought_wh)
    return (
        Line("trade_buy", "clearing", trade_price, bought_wh, 1),
        Line("trade_sell", "clearing", trade_price, sold_wh, -1),
        Line("residual_import", "supplier", residual_price, np.maximum(residual_import_wh, 0), 1),
        Line("surplus", "balance", surplus_price, np.maximum(-residual_import_wh, 0), -1),
        Line("residual_export", "offtaker", feed_in_price, np.maximum(residual_export_wh, 0), -1),
        Line("shortfall", "balance", shortfall_price, np.maximum(-residual_export_wh, 0), 1),
        Line("network_traded", "network", prices["network_traded_micro_per_kwh"], traded_import_wh, 1),
        Line("network_residual", "network", prices["network_residual_micro_per_kwh"], import_wh - traded_import_wh, 1),
        Line("levy", "levy", prices["levy_micro_per_kwh"], import_wh, 1),
    )


def _sum_of_products(products: list[_Product] | tuple[_Product, ...], rows: int, name: str) -> Int64Column:
    """Row by row the sum of energy x factor, exact at any size; ContractError where a sum does not fit into int64."""
    if sum(magnitude(product.energy_wh) * abs(product.factor) for product in products) <= INT64_MAX:
        total = np.zeros(rows, dtype=np.int64)
        for product in products:
            # a factor beyond int64 (the negated smallest) passes the bound only beside energies that are all 0
            if product.factor and abs(product.factor) <= INT64_MAX:
                total += product.energy_wh * product.factor
        return total
    sums = [0] * rows
    for product in products:
        sums = [left + right for left, right in zip(sums, exact_products(*product), strict=True)]
    return narrow(sums, name)


def _receipts(terms: tuple[Line, ...]) -> dict[str, int]:
    """What each account receives: the sum over its lines of total energy x price, as Python integers."""
    receipts = dict.fromkeys(ACCOUNTS, 0)
    for term in terms:
        receipts[term.account] += exact_sum(term.energy_wh) * term.sign * term.price_micro_per_kwh
    return receipts


def _check_promises(settlement: SlotSettlement) -> None:
    """Money is conserved, or the process stops: what parties pay is what accounts receive, and clearing keeps nothing."""
    promise(settlement.accounts_nano["clearing"] == 0, "the clearing account ends at 0")
    received = sum(settlement.accounts_nano.values())
    promise(exact_sum(settlement.pays_nano) == received, "the sum of pays equals the sum of receipts")
