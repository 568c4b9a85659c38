"""Money of the rows of several groups: sums of energy x price, and what accounts receive of them; exact at any size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from settlement.contract_kit_1.columns import (
    INT64_MAX,
    Int64Column,
    Price,
    exact_products,
    exact_sum,
    magnitude,
    narrow,
    price_magnitude,
)
from settlement.contract_kit_1.errors import promise
from settlement.contract_kit_1.groups import Groups
from settlement.contract_kit_1.lines import LineKind


class Product(NamedTuple):
    """``sign`` (1 or -1) x a column int64[n] x a price: one term of a sum of money."""

    column: Int64Column
    price: Price
    sign: int = 1


@dataclass(frozen=True)
class Settlement:
    """The result of some groups of rows, each a slot of an area; one row a point.

    ``columns``: the contract's position columns by name, int64[n]; ``area_columns``: its area columns by name, one value a
    group; ``received_nano``: what each account receives, one Python integer a group.
    """

    columns: dict[str, Int64Column]
    area_columns: dict[str, list[int]]
    received_nano: dict[str, list[int]]


def products_of(
    kinds: Iterable[LineKind], energies_wh: Iterable[Int64Column], prices: Mapping[str, Price]
) -> list[Product]:
    """The amounts of kinds of lines that have a price; ``prices`` by name, TRADE_PRICE among them."""
    return [
        Product(energy_wh, prices[kind.price or ""], kind.sign)
        for kind, energy_wh in zip(kinds, energies_wh, strict=True)
    ]


def sum_of_products(products: Sequence[Product], name: str) -> Int64Column:
    """Row by row the sum of the products, at least one, exact at any size; ContractError where a sum does not fit into int64."""
    bounds = [magnitude(product.column) * price_magnitude(product.price) for product in products]
    if sum(bounds) > INT64_MAX:
        return _exact_sums(products, name)
    total = np.zeros_like(products[0].column)
    for bound, (column, price, sign) in zip(bounds, products, strict=True):
        if bound and sign > 0:
            total += column * price
        elif bound:
            total -= column * price
    return total


def _exact_sums(products: Sequence[Product], name: str) -> Int64Column:
    """The same in Python integers."""
    sums = [0] * products[0].column.size
    for column, price, sign in products:
        amounts = exact_products(column, price)
        sums = [total + sign * amount for total, amount in zip(sums, amounts, strict=True)]
    return narrow(sums, name)


def receipts(
    kinds: Iterable[LineKind], products: Iterable[Product], accounts: Iterable[str], groups: Groups
) -> dict[str, list[int]]:
    """What each account receives of the amounts of its kinds of lines, one Python integer a group."""
    received = {account: [0] * groups.count for account in accounts}
    for kind, (column, price, sign) in zip(kinds, products, strict=True):
        sums = groups.product_sums(column, price)
        received[kind.account] = [
            before + sign * more for before, more in zip(received[kind.account], sums, strict=True)
        ]
    return received


def check_conserved(pays_nano: Int64Column, received_nano: Mapping[str, Sequence[int]]) -> None:
    """Money is conserved, or the process stops: what parties pay is what accounts receive."""
    received = sum(sum(of_groups) for of_groups in received_nano.values())
    promise(exact_sum(pays_nano) == received, "the sum of pays equals the sum of receipts")
