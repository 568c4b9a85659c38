"""Markets one above the other: what does not trade in its own place is offered in the place above, with that place's fees.

The lowest places are cleared first. In each the best bids meet the cheapest offers, as they are seen there: an offer with the fees on its way up,
this place's included, a bid without those on its way down. So who is near comes first, and no pair trades at a price that its fees eat up.
Each order stands in as many markets as its place has levels, each market is cleared by sorting: no book makes it slow.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from settlement.contract_kit_1 import (
    BUY,
    INT64_MAX,
    PRICE_MICRO_PER_KWH_MAX,
    SELL,
    ContractError,
    Int8Column,
    Int64Column,
    Trades,
    check_column,
    check_orders,
    exact_sum,
    magnitude,
)
from settlement.contracts.grid_fee_path_1.places import Places, path_prices

Rows = NDArray[np.intp]


class Matched(NamedTuple):
    """Trades at what sellers get, and beside them what the places between take of each kWh, int64[trades]."""

    trades: Trades
    fees_micro_per_kwh: Int64Column


def match(
    side: Int8Column,
    quantity_wh: Int64Column,
    price_micro_per_kwh: Int64Column,
    number: Int64Column,
    places: Places,
    price_rule: str,
) -> Matched:
    """The trades of one gate, market by market from the lowest level up. Rows ascend by the bytes of the order id: of equal prices the lower
    row comes first. number: of each order's place; who has none that the area has trades with nobody.

    ContractError for a quantity below 1, an unknown side, columns of unequal length, limits beyond 10^9, and quantities whose sum leaves int64.
    """
    check_orders(side, quantity_wh, price_micro_per_kwh)
    check_column(number, "grid_place", length=side.size, minimum=0)
    if magnitude(price_micro_per_kwh) > PRICE_MICRO_PER_KWH_MAX:
        raise ContractError(f"a limit is beyond {PRICE_MICRO_PER_KWH_MAX}")
    if exact_sum(quantity_wh) > INT64_MAX:
        raise ContractError("the sum of the quantities is outside the signed 64-bit range")
    own = places.rows_of(number)
    stands, left_wh = own.copy(), quantity_wh.copy()
    made: list[tuple[Int64Column, ...]] = []
    for level in range(int(places.level.max()), -1, -1):
        here = np.flatnonzero((stands >= 0) & (left_wh > 0))
        here = here[places.level[stands[here]] == level]
        here = here[np.argsort(stands[here], kind="stable")]
        starts = np.flatnonzero(np.diff(stands[here], prepend=-1))
        for rows in np.split(here, starts[1:]) if len(here) else ():
            market = stands[rows[0]]
            below = (
                places.to_top[own[rows]] - places.to_top[market]
            )  # the fees from each order's place to just below this one
            fees = np.where(side[rows] == SELL, below + places.fee[market], below)
            made.append(_clear_market(side[rows], price_micro_per_kwh[rows], fees, left_wh, rows, price_rule))
        stands[here] = places.parent[stands[here]]
    columns = [np.concatenate(column) for column in zip(*made, strict=True)] if made else [_NOTHING] * 5
    return Matched(Trades(*columns[:4]), columns[4])


_NOTHING = np.zeros(0, dtype=np.int64)


def _clear_market(
    side: Int8Column, limit: Int64Column, fees: Int64Column, left_wh: Int64Column, rows: Rows, price_rule: str
) -> tuple[Int64Column, ...]:
    """Columns buy, sell, energy, what sellers get, fees of the trades of one market; takes them from ``left_wh``. side, limit, fees: of ``rows``."""
    seen = np.where(side == SELL, limit + fees, limit - fees)
    buys, sells = np.flatnonzero(side == BUY), np.flatnonzero(side == SELL)
    buys = buys[np.lexsort((rows[buys], ~seen[buys]))]
    sells = sells[np.lexsort((rows[sells], seen[sells]))]
    bought_to, sold_to = np.cumsum(left_wh[rows[buys]]), np.cumsum(left_wh[rows[sells]])
    both_to = min(int(bought_to[-1]), int(sold_to[-1])) if buys.size and sells.size else 0
    ends = np.unique(np.concatenate((bought_to, sold_to)))
    ends = ends[ends <= both_to]
    buy, sell = buys[bought_to.searchsorted(ends)], sells[sold_to.searchsorted(ends)]
    # prices as they are seen only get worse along the axis: what crosses stands in front
    crossing = int(np.count_nonzero(seen[buy] >= seen[sell]))
    buy, sell = buy[:crossing], sell[:crossing]
    energy_wh = np.diff(ends[:crossing], prepend=np.int64(0))
    np.subtract.at(left_wh, rows[buy], energy_wh)
    np.subtract.at(left_wh, rows[sell], energy_wh)
    prices = path_prices(price_rule, limit[sell], limit[buy], fees[sell], fees[buy])
    return rows[buy], rows[sell], energy_wh, prices.seller_gets, prices.fees_total
