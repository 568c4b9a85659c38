"""A double auction that gives up its marginal orders, so that nobody gains by a false limit: what buyers pay more than sellers get is left over.

After Huang, Scheller-Wolf and Sycara 2002, "Design of a multi-unit double auction e-market". Best limits meet first; the last buy and the last sell
that meet set the two prices and do not trade. Of the others the longer side is shared out by quantity.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from settlement.contract_kit_1 import (
    INT64_MAX,
    ContractError,
    Int8Column,
    Int64Column,
    Trades,
    check_orders,
    exact_sum,
    largest_remainder,
)


class Reduced(NamedTuple):
    """Trades at the price that sellers get, and what buyers pay for a kWh, None where nothing is traded; both micro per kWh."""

    trades: Trades
    buy_price: int | None


def reduce_trades(side: Int8Column, quantity_wh: Int64Column, price_micro_per_kwh: Int64Column) -> Reduced:
    """Clear one gate. Rows ascend by the bytes of the order id, so the row number breaks ties; who is paired with whom follows these rows.

    ContractError for a quantity below 1, an unknown side, columns of unequal length, and quantities whose sum leaves int64.
    """
    check_orders(side, quantity_wh, price_micro_per_kwh)
    if exact_sum(quantity_wh) > INT64_MAX:
        raise ContractError("the sum of the quantities is outside the signed 64-bit range")
    buys, sells = np.flatnonzero(side == 0), np.flatnonzero(side == 1)
    buys = buys[np.argsort(~price_micro_per_kwh[buys], kind="stable")]
    sells = sells[np.argsort(price_micro_per_kwh[sells], kind="stable")]
    meeting = _meetings(quantity_wh[buys], quantity_wh[sells])
    limits = price_micro_per_kwh[buys[meeting.buy]] >= price_micro_per_kwh[sells[meeting.sell]]
    # limits only get worse along the axis: what crosses stands in front
    crossing = int(np.count_nonzero(limits))
    last_buy, last_sell = (int(place[crossing - 1]) if crossing else 0 for place in (meeting.buy, meeting.sell))
    within = np.sort(buys[:last_buy]), np.sort(sells[:last_sell])
    volume_wh = min(int(quantity_wh[rows].sum()) for rows in within)
    if not volume_wh:
        return Reduced(Trades.of([]), None)
    filled = [largest_remainder(volume_wh, quantity_wh[rows]) for rows in within]
    pairs = _meetings(*filled)
    sell_price = int(price_micro_per_kwh[sells[last_sell]])
    trades = Trades(
        within[0][pairs.buy],
        within[1][pairs.sell],
        pairs.energy_wh,
        np.full(len(pairs.buy), sell_price, dtype=np.int64),
    )
    return Reduced(trades, int(price_micro_per_kwh[buys[last_buy]]))


class _Meetings(NamedTuple):
    """Where orders of two sides meet, one beside the other on one axis of energy: places on both sides, and for how much."""

    buy: NDArray[np.intp]
    sell: NDArray[np.intp]
    energy_wh: Int64Column


def _meetings(bought_wh: Int64Column, sold_wh: Int64Column) -> _Meetings:
    """Each order from where the one before it ends; wherever one of either side ends, one meeting ends and the next begins."""
    bought_to, sold_to = np.cumsum(bought_wh), np.cumsum(sold_wh)
    both_to = min(int(bought_to[-1]), int(sold_to[-1])) if bought_to.size and sold_to.size else 0
    ends = np.unique(np.concatenate((bought_to, sold_to)))
    ends = ends[(ends > 0) & (ends <= both_to)]
    energy_wh = np.diff(ends, prepend=np.int64(0))
    return _Meetings(bought_to.searchsorted(ends), sold_to.searchsorted(ends), energy_wh)
