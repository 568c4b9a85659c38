"""Markets one above the other as under version 1, with fees of which a part is a fraction of the offer.

A bid is seen in a market without the fees on its way down as if they were taken of its own limit. No offer that it meets asks for more, so
that the fees of a trade, which are taken of the offer, never bring it beyond its limit; some pair that these fees alone would let meet
does not.
"""

from __future__ import annotations

import numpy as np

from settlement.contract_kit_1 import (
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
from settlement.contracts.grid_fee_path_1 import Matched
from settlement.contracts.grid_fee_path_2.places import Places
from settlement.contracts.pay_as_bid_1 import match as meet


def match(
    side: Int8Column,
    quantity_wh: Int64Column,
    price_micro_per_kwh: Int64Column,
    number: Int64Column,
    places: Places,
) -> Matched:
    """The trades of one gate, market by market from the lowest level up; columns, ranks and refusals as of ``grid_fee_path_1.match``."""
    check_orders(side, quantity_wh, price_micro_per_kwh)
    check_column(number, "grid_place", length=side.size, minimum=0)
    if magnitude(price_micro_per_kwh) > PRICE_MICRO_PER_KWH_MAX:
        raise ContractError(f"a limit is beyond {PRICE_MICRO_PER_KWH_MAX}")
    if exact_sum(quantity_wh) > INT64_MAX:
        raise ContractError("the sum of the quantities is outside the signed 64-bit range")
    own = places.tree.rows_of(number)
    stands, left_wh, limit = own.copy(), quantity_wh.copy(), price_micro_per_kwh
    paid = np.zeros_like(
        limit
    )  # the fees of each order's own limit, from its place to just below the one where it stands
    made: list[Trades] = []
    fees: list[Int64Column] = []
    for level in range(int(places.tree.level.max()), -1, -1):
        here = np.flatnonzero((stands >= 0) & (left_wh > 0))
        here = here[places.tree.level[stands[here]] == level]
        fee = places.fee(stands[here], limit[here])
        seen = np.where(side[here] == SELL, limit[here] + paid[here] + fee, limit[here] - paid[here])
        for market in np.unique(stands[here]).tolist():
            inside = np.flatnonzero(stands[here] == market)
            rows = here[inside]
            met = meet(side[rows], left_wh[rows], seen[inside])
            buy, sell = rows[met.buy], rows[met.sell]
            np.subtract.at(left_wh, buy, met.energy_wh)
            np.subtract.at(left_wh, sell, met.energy_wh)
            made.append(Trades(buy, sell, met.energy_wh, limit[sell]))
            down = _fees_below(own[buy], limit[sell], market, places)
            fees.append(seen[np.searchsorted(here, sell)] - limit[sell] + down)
        paid[here] += fee
        stands[here] = places.tree.parent[stands[here]]
    nothing = np.zeros(0, dtype=np.int64)
    columns = [np.concatenate((nothing, *column)) for column in zip(*made, strict=True)] if made else [nothing] * 4
    return Matched(Trades(*columns), np.concatenate((nothing, *fees)))


def _fees_below(at: Int64Column, limit: Int64Column, market: int, places: Places) -> Int64Column:
    """int64[n]: the fees of some limits from places of rows ``at`` to just below a market that lies above all of them, or is one."""
    fees, at = np.zeros_like(limit), at.copy()
    while (below := np.flatnonzero(at != market)).size:
        fees[below] += places.fee(at[below], limit[below])
        at[below] = places.tree.parent[at[below]]
    return fees
