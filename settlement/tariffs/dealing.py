"""Wh dealt in many slots at once, in the proportion of weights. Exact integers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from settlement.contract_kit_1 import INT64_MAX, Int64Column


def deal(total: Int64Column, weights: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64[rows, slots]: the share of each row in its slot's total, by largest remainder; of equal ones the earlier row first.

    total: int64[slots]; weights: int64[rows, slots]; neither negative. Nothing is dealt in a slot whose weights are all 0. As ``largest_remainder`` deals one slot, exact at any size.
    """
    heaviest = int(weights.max(initial=0))
    fits = max(int(total.max(initial=0)), len(weights)) * heaviest <= INT64_MAX
    exact: NDArray[Any] = weights if fits else weights.astype(object)
    whole = exact.sum(axis=0)
    has_weight = np.asarray(whole > 0, dtype=np.bool_)
    products, parts = exact * total, np.where(has_weight, whole, 1)
    share: NDArray[np.int64] = (products // parts).astype(np.int64)
    rest = products % parts
    left = np.where(has_weight, total - share.sum(axis=0), 0)
    by_rest = np.argsort(-rest, axis=0, kind="stable")
    rank = np.argsort(by_rest, axis=0, kind="stable")
    return share + (rank < left)
