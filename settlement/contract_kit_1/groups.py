"""Rows in groups: one call serves all areas of a zone, whose rows stand one area after the other.

``starts`` int64[groups + 1]: the rows of group g are starts[g] ... starts[g + 1] - 1. Sums and products are exact at any size: int64
where the operands' bounds show that it holds them, else Python integers in an object array.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from settlement.contract_kit_1.columns import INT64_MAX, Int64Column, magnitude, narrow
from settlement.contract_kit_1.errors import ContractError, promise

ExactColumn = NDArray[Any]
"""int64, or Python integers (dtype object) where int64 may not hold them."""

NANO = 10**9
"""Nano in one unit of the currency."""
_LOW_BITS = 32
_LOW_MASK = 2**_LOW_BITS - 1


class Money(NamedTuple):
    """Amounts without bound, as int64 columns: whole units of either sign, and nano from 0 to 999,999,999."""

    units: Int64Column
    nano: Int64Column


class GroupedClearing(NamedTuple):
    """The gates of all groups: ``volume_wh`` and ``price_micro_per_kwh`` (0 without volume) int64[groups]; ``filled_wh`` beside the orders."""

    volume_wh: Int64Column
    price_micro_per_kwh: Int64Column
    filled_wh: Int64Column


class GroupedSettlement(NamedTuple):
    """One slot of all groups: ``positions`` int64[n] and ``areas`` int64[groups] by declared name, ``received`` by account [groups]."""

    positions: Mapping[str, Int64Column]
    areas: Mapping[str, Int64Column]
    received: Mapping[str, Money]


class GroupProduct(NamedTuple):
    """A column int64[n] times a factor int64[groups]: one term of a sum of money."""

    column: Int64Column
    factor: Int64Column


class AccountTerm(NamedTuple):
    """What one kind of line adds to its counter-account."""

    account: str
    product: GroupProduct


def check_starts(starts: Int64Column, rows: int) -> None:
    """ContractError unless ``starts`` divides ``rows`` rows into groups."""
    is_right = (
        starts.size and int(starts[0]) == 0 and int(starts[-1]) == rows and bool((starts[1:] >= starts[:-1]).all())
    )
    if not is_right:
        raise ContractError(f"the groups do not divide {rows} rows")


def spread(values: Int64Column, starts: Int64Column) -> Int64Column:
    """int64[n]: for each row the value of its group."""
    return np.repeat(values, np.diff(starts))


def group_sums(column: Int64Column, starts: Int64Column) -> ExactColumn:
    """The sum of each group's rows (fewer than 2^31 rows)."""
    if magnitude(column) * column.size <= INT64_MAX:
        running = np.zeros(column.size + 1, dtype=np.int64)
        np.cumsum(column, out=running[1:])
        sums: Int64Column = running[starts[1:]] - running[starts[:-1]]
        return sums
    high, low = group_sums(column >> _LOW_BITS, starts), group_sums(column & _LOW_MASK, starts)
    whole: ExactColumn = (high.astype(object) << _LOW_BITS) + low.astype(object)
    return whole


def exact_product(left: ExactColumn, right: ExactColumn) -> ExactColumn:
    """``left`` x ``right``, item by item."""
    if left.dtype == right.dtype == np.int64 and magnitude(left) * magnitude(right) <= INT64_MAX:
        product: ExactColumn = left * right
        return product
    exact: ExactColumn = left.astype(object) * right.astype(object)
    return exact


def exact_total(terms: Sequence[ExactColumn], size: int) -> ExactColumn:
    """Item by item the sum of ``terms``, each of ``size``."""
    is_int64 = all(term.dtype == np.int64 for term in terms)
    if is_int64 and sum(magnitude(term) for term in terms) <= INT64_MAX:
        return sum(terms, np.zeros(size, dtype=np.int64))
    return sum((term.astype(object) for term in terms), np.zeros(size, dtype=object))


def grouped_products(products: Sequence[GroupProduct], starts: Int64Column, name: str) -> Int64Column:
    """Row by row the sum of column x its group's factor; ContractError naming ``name`` where a sum does not fit into int64."""
    rows = int(starts[-1])
    if sum(magnitude(column) * magnitude(factor) for column, factor in products) <= INT64_MAX:
        total = np.zeros(rows, dtype=np.int64)
        for column, factor in products:
            total += column * spread(factor, starts)
        return total
    terms = [column.astype(object) * spread(factor, starts).astype(object) for column, factor in products]
    return narrow(exact_total(terms, rows).tolist(), name)


def grouped_receipts(
    terms: Iterable[AccountTerm], accounts: Sequence[str], starts: Int64Column
) -> dict[str, ExactColumn]:
    """What each of ``accounts`` receives from each group."""
    amounts: dict[str, list[ExactColumn]] = {account: [] for account in accounts}
    for account, (column, factor) in terms:
        amounts[account].append(exact_product(group_sums(column, starts), factor))
    return {account: exact_total(parts, starts.size - 1) for account, parts in amounts.items()}


def as_money(amount_nano: ExactColumn, name: str) -> Money:
    """Amounts in nano as units and nano; ContractError naming ``name`` where the units do not fit into int64."""
    units, nano = amount_nano // NANO, amount_nano % NANO
    return Money(narrow(units.tolist(), name), nano.astype(np.int64))


def promise_balance(pays_nano: Int64Column, received: Mapping[str, ExactColumn], starts: Int64Column) -> None:
    """Money is conserved in every group, or the process stops: what its rows pay is what its accounts receive."""
    paid, got = group_sums(pays_nano, starts), exact_total([*received.values()], starts.size - 1)
    promise(bool((paid == got).all()), "the sum of pays equals the sum of receipts")
