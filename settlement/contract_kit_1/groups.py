"""Rows of several areas in one column: sums, prices and splits area by area, without a loop over areas."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from settlement.contract_kit_1.columns import INT64_MAX, Int64Column, check_column, exact_sum, magnitude
from settlement.contract_kit_1.errors import ContractError
from settlement.contract_kit_1.split import largest_remainder

_LOW_BITS = 32
_LOW_MASK = 2**_LOW_BITS - 1


class Groups:
    """``of_row`` int64[n]: the area of each row, 0 to ``count`` - 1. Where there is one area, nothing is looked up."""

    def __init__(self, of_row: Int64Column, count: int) -> None:
        """ContractError unless every row's area is one of ``count``."""
        check_column(of_row, "area", length=of_row.size, minimum=0)
        if of_row.size and int(of_row.max()) >= count:
            raise ContractError(f"a row is of area {int(of_row.max())}, there are {count}")
        self.of_row = of_row
        self.count = count

    def at(self, values: Sequence[int]) -> int | Int64Column:
        """The value of each row's area, out of one an area (all within int64); the one value itself where there is one area."""
        if self.count == 1:
            return values[0]
        column: Int64Column = np.array(values, dtype=np.int64)[self.of_row]
        return column

    def sums(self, column: Int64Column) -> list[int]:
        """The sum of each area's rows, Python integers, exact at any size (fewer than 2^31 rows)."""
        if self.count == 1:
            return [exact_sum(column)]
        ordered = column[self._order]
        high, low = (self._sums(limb) for limb in (ordered >> _LOW_BITS, ordered & _LOW_MASK))
        return [(above << _LOW_BITS) + below for above, below in zip(high.tolist(), low.tolist(), strict=True)]

    def split(self, totals: Sequence[int], weights: Int64Column) -> Int64Column:
        """Each area's total split over its rows by ``weights`` int64[n] >= 0, as ``largest_remainder`` does; ties to the lower row."""
        if self.count == 1:
            return largest_remainder(totals[0], weights)
        check_column(weights, "weights", length=self.of_row.size, minimum=0)
        weight_sums = self.sums(weights)
        largest = max(totals, default=0) * magnitude(weights)
        if min(totals, default=0) < 0 or max(largest, *weight_sums) > INT64_MAX:
            return self._split_one_by_one(totals, weights)
        if any(total and not weight_sum for total, weight_sum in zip(totals, weight_sums, strict=True)):
            raise ContractError("a total cannot be split by weights that sum to 0")
        products = weights * self.at(totals)
        divisors = self.at([max(weight_sum, 1) for weight_sum in weight_sums])
        shares: Int64Column = products // divisors
        left_over = np.array(totals, dtype=np.int64) - np.array(self.sums(shares), dtype=np.int64)
        by_remainder = np.lexsort((shares * divisors - products, self.of_row))
        areas = self.of_row[by_remainder]
        rank = np.arange(areas.size) - self._bounds[areas]
        shares[by_remainder[rank < left_over[areas]]] += 1
        return shares

    def _split_one_by_one(self, totals: Sequence[int], weights: Int64Column) -> Int64Column:
        """The same for products or sums that int64 cannot hold."""
        shares = np.zeros_like(weights)
        for area, total in enumerate(totals):
            rows = self._order[self._bounds[area] : self._bounds[area + 1]]
            shares[rows] = largest_remainder(total, weights[rows])
        return shares

    @cached_property
    def _order(self) -> NDArray[np.intp]:
        """The rows by area; those of one area in their order."""
        return np.argsort(self.of_row, kind="stable")

    @cached_property
    def _bounds(self) -> NDArray[np.intp]:
        """Where each area begins in ``_order``, and where the last one ends."""
        return np.searchsorted(self.of_row[self._order], np.arange(self.count + 1))

    def _sums(self, ordered: Int64Column) -> Int64Column:
        running = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(ordered)))
        sums: Int64Column = running[self._bounds[1:]] - running[self._bounds[:-1]]
        return sums
