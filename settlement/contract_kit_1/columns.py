"""Checked int64 columns: what does not fit into int64 is refused, or computed in Python integers, never wrapped.

numpy's int64 arithmetic wraps without a word, ``abs`` of the smallest value is negative, and uint64 with int64 turns
into float64. So a contract bounds its operands first (``magnitude``) and multiplies and adds only through here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from settlement.contract_kit_1.errors import ContractError

Int64Column = NDArray[np.int64]
Int8Column = NDArray[np.int8]
Price = int | Int64Column
"""Micro per kWh: one for every row, or int64[n]."""

INT64_MAX = 2**63 - 1
INT64_MIN = -(2**63)
_LOW_BITS = 32
_LOW_MASK = 2**_LOW_BITS - 1


def is_int64(value: int) -> bool:
    """Whether the Python integer ``value`` fits into a signed 64-bit integer."""
    return INT64_MIN <= value <= INT64_MAX


def check_int64(value: int, name: str) -> int:
    """Return ``value``; ContractError naming ``name`` where it does not fit into a signed 64-bit integer."""
    if not is_int64(value):
        raise ContractError(f"{name} is outside the signed 64-bit range: {value}")
    return value


def check_column(column: Int64Column, name: str, *, length: int, minimum: int | None = None) -> None:
    """ContractError unless ``column`` is one-dimensional int64 of ``length`` with every value >= ``minimum``."""
    if column.dtype != np.int64 or column.ndim != 1:
        raise ContractError(f"{name} must be a one-dimensional int64 column, not {column.ndim}-d {column.dtype}")
    if column.size != length:
        raise ContractError(f"{name} has {column.size} rows, {length} expected")
    if minimum is not None and length and int(column.min()) < minimum:
        row = int(np.argmax(column < minimum))
        raise ContractError(f"{name}[{row}] is {int(column[row])}, must be at least {minimum}")


def magnitude(column: Int64Column) -> int:
    """The largest absolute value of an int64 column, as a Python integer; 0 for no rows."""
    if column.size == 0:
        return 0
    return max(-int(column.min()), int(column.max()))


def exact_sum(column: Int64Column) -> int:
    """The sum of an int64 column as a Python integer, exact at any size (fewer than 2^31 rows)."""
    if column.size == 0 or magnitude(column) <= INT64_MAX // column.size:
        return int(column.sum())
    high = int((column >> _LOW_BITS).sum())
    low = int((column & _LOW_MASK).sum())
    return (high << _LOW_BITS) + low


def price_magnitude(price: Price) -> int:
    """The largest absolute value of a price, as a Python integer."""
    return abs(price) if isinstance(price, int) else magnitude(price)


def exact_products(column: Int64Column, price: Price) -> list[int]:
    """``column`` x ``price`` as Python integers, exact at any size: the slow way round for what int64 cannot hold."""
    if isinstance(price, int):
        return [value * price for value in column.tolist()]
    return [value * of_row for value, of_row in zip(column.tolist(), price.tolist(), strict=True)]


def narrow(values: Sequence[int], name: str) -> Int64Column:
    """Python integers as an int64 column; ContractError naming ``name`` and the row of the first that does not fit."""
    for row, value in enumerate(values):
        if not is_int64(value):
            raise ContractError(f"{name}[{row}] is outside the signed 64-bit range: {value}")
    return np.array(values, dtype=np.int64)


def multiply(column: Int64Column, price: Price, name: str, sign: int = 1) -> Int64Column:
    """``sign`` (1 or -1) x ``column`` x ``price`` as int64; ContractError naming ``name`` where a product does not fit."""
    if magnitude(column) * price_magnitude(price) <= INT64_MAX:
        if isinstance(price, int) and not is_int64(sign * price):
            return np.zeros_like(column)
        return column * (sign * price)
    return narrow([sign * product for product in exact_products(column, price)], name)


def add(left: Int64Column, right: Int64Column, name: str) -> Int64Column:
    """``left`` + ``right`` row by row; ContractError naming ``name`` where a sum does not fit into int64."""
    result: Int64Column = left + right
    # a sum wraps exactly when both operands have the sign that the result has not
    _check_wrap((left ^ result) & (right ^ result), name)
    return result


def subtract(left: Int64Column, right: Int64Column, name: str) -> Int64Column:
    """``left`` - ``right`` row by row; ContractError naming ``name`` where a difference does not fit into int64."""
    result: Int64Column = left - right
    _check_wrap((left ^ right) & (left ^ result), name)
    return result


def _check_wrap(wrapped: Int64Column, name: str) -> None:
    """ContractError for the first row whose sign bit is set in ``wrapped``."""
    if wrapped.size and int(wrapped.min()) < 0:
        raise ContractError(f"{name}[{int(np.argmax(wrapped < 0))}] is outside the signed 64-bit range")
