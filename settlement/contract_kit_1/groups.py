"""Rows of several groups in one column: sums, prices and splits group by group, without a loop over groups."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from settlement.contract_kit_1.columns import (
    INT64_MAX,
    Int64Column,
    Price,
    check_column,
    exact_products,
    exact_sum,
    magnitude,
    price_magnitude,
)
from settlement.contract_kit_1.errors import ContractError
from settlement.contract_kit_1.split import largest_remainder

_LOW_BITS = 32
_LOW_MASK = 2**_LOW_BITS - 1
_NARROW_COUNT_MAX = 2**16


class Groups:
    """``of_row`` int64[n]: the group of each row, 0 to ``count`` - 1. Where there is one group, nothing is looked up."""

    def __init__(self, of_row: Int64Column, count: int) -> None:
        """ContractError unless every row's group is one of ``count``."""
        check_column(of_row, "group", length=of_row.size, minimum=0)
        if of_row.size and int(of_row.max()) >= count:
            raise ContractError(f"a row is of group {int(of_row.max())}, there are {count}")
        self.of_row = of_row
        self.count = count

    def at(self, values: Sequence[int]) -> Price:
        """The value of each row's group, out of one a group (all within int64); the one value itself where all groups have it."""
        if self.count and values.count(values[0]) == self.count:
            return values[0]
        column: Int64Column = np.array(values, dtype=np.int64)[self.of_row]
        return column

    def sums(self, column: Int64Column) -> list[int]:
        """The sum of each group's rows, Python integers, exact at any size (fewer than 2^31 rows)."""
        if self.count == 1:
            return [exact_sum(column)]
        ordered = self._ordered(column)
        if magnitude(column) * column.size <= INT64_MAX:
            sums: list[int] = self._sums(ordered).tolist()
            return sums
        high, low = (self._sums(limb) for limb in (ordered >> _LOW_BITS, ordered & _LOW_MASK))
        return [(above << _LOW_BITS) + below for above, below in zip(high.tolist(), low.tolist(), strict=True)]

    def product_sums(self, column: Int64Column, price: Price) -> list[int]:
        """The sum of each group's ``column`` x ``price``, Python integers, exact at any size."""
        if isinstance(price, int):
            return [total * price for total in self.sums(column)]
        if magnitude(column) * price_magnitude(price) <= INT64_MAX:
            return self.sums(column * price)
        totals = [0] * self.count
        for group, product in zip(self.of_row.tolist(), exact_products(column, price), strict=True):
            totals[group] += product
        return totals

    def split(self, totals: Sequence[int], weights: Int64Column) -> Int64Column:
        """Each group's total split over its rows by ``weights`` int64[n] >= 0, as ``largest_remainder`` does; ties to the lower row."""
        if self.count == 1:
            return largest_remainder(totals[0], weights)
        check_column(weights, "weights", length=self.of_row.size, minimum=0)
        weight_sums = self.sums(weights)
        most = max(max(totals, default=0) * magnitude(weights), self.count * max(weight_sums, default=0))
        if min(totals, default=0) < 0 or most > INT64_MAX:
            return self._split_one_by_one(totals, weights)
        if any(total and not weight_sum for total, weight_sum in zip(totals, weight_sums, strict=True)):
            raise ContractError("a total cannot be split by weights that sum to 0")
        remainders = weights * self.at(totals)
        divisors = self.at([max(weight_sum, 1) for weight_sum in weight_sums])
        shares: Int64Column = remainders // divisors
        remainders -= shares * divisors
        left_over = np.array(totals, dtype=np.int64) - np.array(self.sums(shares), dtype=np.int64)
        shares += self._largest(remainders, max(1, *weight_sums), left_over)
        return shares

    def _largest(self, remainders: Int64Column, limit: int, counts: Int64Column) -> NDArray[np.bool_]:
        """bool[n]: whether a row is among its group's ``counts`` largest remainders, ties to the lower row.

        Remainders are below ``limit``, and ``count`` x ``limit`` fits into int64: a group's place and the distance of a remainder from
        the limit make one number, so that sorting values, never rows, puts the largest of each group first.
        """
        keys = self.of_row * limit + (limit - 1 - remainders)
        in_order = np.sort(keys)
        first = self._bounds[:-1]
        last_in = np.full(self.count, -1, dtype=np.int64)
        some = counts > 0
        last_in[some] = in_order[first[some] + counts[some] - 1]
        of_row = last_in[self.of_row]
        chosen: NDArray[np.bool_] = keys < of_row
        ties = np.flatnonzero(keys == of_row)
        ties = ties[np.argsort(self.of_row[ties], kind="stable")]
        groups = self.of_row[ties]
        turn = np.arange(ties.size) - np.searchsorted(groups, groups)
        still = counts - (np.searchsorted(in_order, last_in) - first)
        chosen[ties[turn < still[groups]]] = True
        return chosen

    def _split_one_by_one(self, totals: Sequence[int], weights: Int64Column) -> Int64Column:
        """The same for products or sums that int64 cannot hold."""
        shares = np.zeros_like(weights)
        for group, total in enumerate(totals):
            rows = self._order[self._bounds[group] : self._bounds[group + 1]]
            shares[rows] = largest_remainder(total, weights[rows])
        return shares

    @cached_property
    def _is_ordered(self) -> bool:
        """Whether the rows of a group stand together, groups ascending: then nothing needs to be put in order."""
        return bool((self.of_row[1:] >= self.of_row[:-1]).all())

    def _ordered(self, column: Int64Column) -> Int64Column:
        """A column by group."""
        return column if self._is_ordered else column[self._order]

    @cached_property
    def _order(self) -> NDArray[np.intp]:
        """The rows by group; those of one group in their order."""
        # numpy sorts 16 bits by radix, several times as fast as wider numbers
        is_narrow = self.count <= _NARROW_COUNT_MAX
        return np.argsort(self.of_row.astype(np.uint16) if is_narrow else self.of_row, kind="stable")

    @cached_property
    def _bounds(self) -> NDArray[np.intp]:
        """Where each group begins among rows by group, and where the last one ends."""
        return np.searchsorted(self._ordered(self.of_row), np.arange(self.count + 1))

    def _sums(self, ordered: Int64Column) -> Int64Column:
        """The sum of each group, of a column by group; no sum may leave int64."""
        sums = np.zeros(self.count, dtype=np.int64)
        first = self._bounds[:-1]
        inhabited = np.flatnonzero(first < self._bounds[1:])
        if inhabited.size:
            sums[inhabited] = np.add.reduceat(ordered, first[inhabited])
        return sums
