"""Pay as bid: the best buy meets the best sell while their limits cross, each pair at the buy's limit.

Buys by limit from the highest, sells by limit from the lowest, of equal limits by sequence, then by row. Both sides lie on one axis of
energy: each order from where the one before it ends. Wherever an order of either side ends, one trade ends and the next
begins; so the ends of both sides, in order, are the trades, and no loop walks over the orders.
"""

from __future__ import annotations

from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from settlement.contract_kit_1 import (
    INT64_MAX,
    ContractError,
    Int8Column,
    Int64Column,
    Trades,
    check_column,
    check_orders,
    magnitude,
)


def match(
    side: Int8Column, quantity_wh: Int64Column, price_micro_per_kwh: Int64Column, sequence: Int64Column | None = None
) -> Trades:
    """The trades of one gate (``pay_as_bid/1`` of the vectors), in the order of matching.

    ``side`` int8[n] (0 buy, 1 sell), ``quantity_wh`` int64[n] > 0, ``price_micro_per_kwh`` int64[n] of any sign; rows ascend by
    the UTF-8 bytes of the order id, so the row number breaks ties; ``sequence`` int64[n], none: all equal. ContractError for a quantity
    below 1, an unknown side, columns of unequal length, and a volume outside int64.
    """
    check_orders(side, quantity_wh, price_micro_per_kwh)
    if sequence is not None:
        check_column(sequence, "sequence", length=side.size)
    buys = _by_priority(np.flatnonzero(side == 0), ~price_micro_per_kwh, sequence)
    sells = _by_priority(np.flatnonzero(side == 1), price_micro_per_kwh, sequence)
    bought_to, sold_to = _ends(quantity_wh[buys]), _ends(quantity_wh[sells])
    if not (buys.size and sells.size):
        return Trades.of([])
    ends = np.sort(np.concatenate((bought_to, sold_to)))
    ends = ends[: ends.searchsorted(min(bought_to[-1], sold_to[-1]), "right")]
    ends = ends[np.concatenate((ends[:1] > 0, ends[1:] > ends[:-1]))]
    buy, sell = buys[bought_to.searchsorted(ends)], sells[sold_to.searchsorted(ends)]
    # limits only get worse along the axis: what crosses stands in front
    crossing = int(np.count_nonzero(price_micro_per_kwh[buy] >= price_micro_per_kwh[sell]))
    if crossing and int(ends[crossing - 1]) == _TOO_MUCH:
        raise ContractError("volume_wh is outside the signed 64-bit range")
    buy, sell = buy[:crossing], sell[:crossing]
    ends_wh = np.concatenate((np.zeros(1, dtype=np.int64), ends[:crossing].astype(np.int64)))
    return Trades(buy, sell, ends_wh[1:] - ends_wh[:-1], price_micro_per_kwh[buy])


_TOO_MUCH = 2**63
"""Stands for every sum that int64 cannot hold."""


def _by_priority(rows: NDArray[np.intp], price: Int64Column, sequence: Int64Column | None) -> NDArray[np.intp]:
    """Rows by price, lowest first, then by sequence, then by row."""
    if sequence is not None:
        rows = rows[np.argsort(sequence[rows], kind="stable")]
    return rows[np.argsort(_narrow(price[rows]), kind="stable")]


def _narrow(price: Int64Column) -> Int64Column | NDArray[np.uint16]:
    """Prices in their order; in 16 bits where they lie close together, for numpy sorts these by radix."""
    if not price.size or int(price.max()) - int(price.min()) > np.iinfo(np.uint16).max:
        return price
    narrow: NDArray[np.uint16] = (price - price.min()).astype(np.uint16)
    return narrow


def _ends(quantity_wh: Int64Column) -> NDArray[np.uint64]:
    """Where each order ends on the axis of energy, at most _TOO_MUCH."""
    if magnitude(quantity_wh) * quantity_wh.size <= INT64_MAX:
        return quantity_wh.cumsum().astype(np.uint64)
    ends = [min(end, _TOO_MUCH) for end in accumulate(quantity_wh.tolist())]
    return np.array(ends, dtype=np.uint64)
