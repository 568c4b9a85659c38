"""A continuous double auction: each order meets the best that rests on the other side as it comes, at the resting order's limit."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np

from settlement.contract_kit_1 import SELL, ContractError, Int8Column, Int64Column, Trades, check_orders


class Matched(NamedTuple):
    """What a book came to: its trades in time order, and int64[orders] what still rests of each (0: filled or cancelled)."""

    trades: Trades
    resting_wh: Int64Column


def match(
    side: Int8Column, quantity_wh: Int64Column, price_micro_per_kwh: Int64Column, events: Sequence[int] | None = None
) -> Matched:
    """The trades of one book (``continuous_double_auction/1`` of the vectors).

    ``side`` int8[n] (0 buy, 1 sell), ``quantity_wh`` int64[n] > 0, ``price_micro_per_kwh`` int64[n] of any sign: orders in the order
    of their arrival. ``events``: what happened in turn: a row: this order comes, ~row (negative): it is cancelled; none: all orders come, in
    their order. Of equal limits the one that came first is met first. ContractError for a quantity below 1, an unknown side, columns of
    unequal length, an order that comes twice, and for one cancelled that does not rest.
    """
    check_orders(side, quantity_wh, price_micro_per_kwh)
    quantities, limits = quantity_wh.tolist(), price_micro_per_kwh.tolist()
    is_sell = (side == SELL).tolist()
    resting = [0] * len(quantities)
    has_come = [False] * len(quantities)
    # by side what rests, best first: (limit, negated where the highest is best; arrival; row); what was cancelled is dropped at the top
    buys: list[tuple[int, int, int]] = []
    sells: list[tuple[int, int, int]] = []
    trades: list[tuple[int, int, int, int]] = []
    for arrival, event in enumerate(range(len(quantities)) if events is None else events):
        if event < 0:
            if not resting[~event]:
                raise ContractError(f"order {~event} cannot be cancelled: it does not rest in the book")
            resting[~event] = 0
            continue
        if has_come[event]:
            raise ContractError(f"order {event} comes twice")
        has_come[event] = True
        left_wh, limit = quantities[event], limits[event]
        own, opposite, sign = (sells, buys, -1) if is_sell[event] else (buys, sells, 1)
        worst = limit * sign
        while left_wh and opposite and opposite[0][0] <= worst:
            key, _, row = opposite[0]
            there_wh = resting[row]
            energy_wh = min(there_wh, left_wh)
            if energy_wh:
                trades.append((row, event, energy_wh, -key) if sign < 0 else (event, row, energy_wh, key))
                left_wh -= energy_wh
                resting[row] = there_wh - energy_wh
            if energy_wh == there_wh:
                heappop(opposite)
        if left_wh:
            resting[event] = left_wh
            heappush(own, (-worst, arrival, event))
    return Matched(Trades.of(trades), np.array(resting, dtype=np.int64))
