"""The largest-remainder split: a whole number shared out by weights, to the last unit."""

from __future__ import annotations

import numpy as np

from settlement.contract_kit_1.columns import INT64_MAX, Int64Column, check_column, exact_sum
from settlement.contract_kit_1.errors import ContractError


def largest_remainder(total: int, weights: Int64Column) -> Int64Column:
    """Split ``total`` >= 0 by ``weights`` (int64[n], each >= 0): int64[n] whose sum is ``total``.

    Each row gets floor(total x weight / sum of weights); the units left over go one each to the largest fractional
    remainders, ties to the lower row. ContractError for a negative total or weight, for a positive total without any
    weight, and for a share that does not fit into int64. Exact at any size.
    """
    check_column(weights, "weights", length=weights.size, minimum=0)
    if total < 0:
        raise ContractError(f"the total to split must not be negative: {total}")
    weight_sum = exact_sum(weights)
    if weight_sum == 0:
        if total:
            raise ContractError(f"{total} cannot be split by weights that sum to 0")
        return np.zeros(weights.size, dtype=np.int64)
    if total * int(weights.max()) > INT64_MAX or weight_sum > INT64_MAX:
        return _split_exact(total, weights, weight_sum)
    products = weights * total
    shares: Int64Column = products // weight_sum
    left_over = total - int(shares.sum())
    if left_over:
        products -= shares * weight_sum
        shares[_largest(products, left_over)] += 1
    return shares


def _largest(remainders: Int64Column, count: int) -> Int64Column:
    """The rows of the ``count`` largest remainders, ties to the lower row; 0 < count < rows."""
    # sorted as values and never as rows: that is what numpy does fast, with many equal values too; ties are decided by row
    threshold = int(np.sort(remainders)[remainders.size - count])
    above = np.flatnonzero(remainders > threshold)
    at = np.flatnonzero(remainders == threshold)[: count - above.size]
    return np.concatenate((above, at))


def _split_exact(total: int, weights: Int64Column, weight_sum: int) -> Int64Column:
    """The same split in Python integers, for products or sums that int64 cannot hold."""
    shares: list[int] = []
    remainders: list[int] = []
    for weight in weights.tolist():
        share, remainder = divmod(total * weight, weight_sum)
        shares.append(share)
        remainders.append(remainder)
    left_over = total - sum(shares)
    for row in sorted(range(len(shares)), key=lambda row: -remainders[row])[:left_over]:
        shares[row] += 1
    if max(shares) > INT64_MAX:
        raise ContractError(f"a share of {total} is outside the signed 64-bit range")
    return np.array(shares, dtype=np.int64)
