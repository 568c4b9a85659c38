"""Money of the rows of several areas: sums of energy x price, and what accounts receive of them; exact at any size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from settlement.contract_kit_1.columns import (
    INT64_MAX,
    Int64Column,
    check_int64,
    exact_sum,
    magnitude,
    narrow,
)
from settlement.contract_kit_1.errors import ContractError, promise
from settlement.contract_kit_1.groups import Groups
from settlement.contract_kit_1.lines import LineKind


class Product(NamedTuple):
    """A column int64[n] times a whole number for each area: one term of a sum of money."""

    column: Int64Column
    factors: Sequence[int]


@dataclass(frozen=True)
class Settlement:
    """The result of one slot of some areas, one row a party.

    ``columns``: the contract's position columns by name, int64[n]; ``area_columns``: its area columns by name, one value an
    area; ``received_nano``: what each account receives, one Python integer an area.
    """

    columns: dict[str, Int64Column]
    area_columns: dict[str, list[int]]
    received_nano: dict[str, list[int]]


def products_of(
    kinds: Iterable[LineKind], energies_wh: Iterable[Int64Column], prices: Mapping[str, Sequence[int]]
) -> list[Product]:
    """The amounts of kinds of lines that have a price; ``prices`` (TRADE_PRICE among them): one an area, by name."""
    return [
        Product(energy_wh, [kind.sign * price for price in prices[kind.price or ""]])
        for kind, energy_wh in zip(kinds, energies_wh, strict=True)
    ]


def sum_of_products(products: Sequence[Product], groups: Groups, name: str) -> Int64Column:
    """Row by row the sum of column x factor, exact at any size; ContractError where a sum does not fit into int64."""
    bounds = [magnitude(column) * max(map(abs, factors), default=0) for column, factors in products]
    if sum(bounds) <= INT64_MAX:
        total = np.zeros(groups.of_row.size, dtype=np.int64)
        for bound, (column, factors) in zip(bounds, products, strict=True):
            if bound:  # a factor beyond int64 (the negated smallest) passes only beside columns that are all 0
                total += column * groups.at(factors)
        return total
    areas = groups.of_row.tolist()
    sums = [0] * len(areas)
    for column, factors in products:
        sums = [total + value * factors[area] for total, value, area in zip(sums, column.tolist(), areas, strict=True)]
    return narrow(sums, name)


def receipts(
    kinds: Iterable[LineKind], products: Iterable[Product], accounts: Iterable[str], groups: Groups
) -> dict[str, list[int]]:
    """What each account receives of the amounts of its kinds of lines, one Python integer an area."""
    received = {account: [0] * groups.count for account in accounts}
    for kind, (column, factors) in zip(kinds, products, strict=True):
        sums = zip(received[kind.account], groups.sums(column), factors, strict=True)
        received[kind.account] = [before + total * factor for before, total, factor in sums]
    return received


def check_prices(prices: Sequence[Mapping[str, int]], keys: Sequence[str]) -> dict[str, list[int]]:
    """The prices of each area by key; ContractError unless each holds exactly ``keys``, each within int64."""
    for of_area in prices:
        for key in keys:
            if key not in of_area:
                raise ContractError(f"prices lack {key}")
            check_int64(of_area[key], key)
        for key in sorted(of_area):
            if key not in keys:
                raise ContractError(f"unknown price {key}: the prices are {', '.join(keys)}")
    return {key: [of_area[key] for of_area in prices] for key in keys}


def check_conserved(pays_nano: Int64Column, received_nano: Mapping[str, Sequence[int]]) -> None:
    """Money is conserved, or the process stops: what parties pay is what accounts receive."""
    received = sum(sum(of_areas) for of_areas in received_nano.values())
    promise(exact_sum(pays_nano) == received, "the sum of pays equals the sum of receipts")
