"""A continuous double auction: each order meets the best that rests on the other side as it comes, at the resting order's limit."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np

from settlement.contract_kit_1 import BUY, SELL, ContractError, Int8Column, Int64Column, Trades, check_orders


class Matched(NamedTuple):
    """What a book came to: its trades in time order, and int64[orders] what still rests of each (0: filled or cancelled)."""

    trades: Trades
    resting_wh: Int64Column


class _Ranks(NamedTuple):
    """The orders of both sides by how good they are, sorted once: the loop over the orders compares small numbers only.

    rank int64[orders]: of each order among those of its side, best limit first, of equal ones the first that came; rows: by side, the
    orders by rank; reach int64[orders]: before which rank the orders of the other side meet an order's limit.
    """

    rank: Int64Column
    rows: tuple[Int64Column, Int64Column]
    reach: Int64Column


class _Meetings(NamedTuple):
    """Where an order that rested met one that came, in turn: rows of both, and for how much."""

    rested: list[int]
    came: list[int]
    energy_wh: list[int]

    def trades(self, side: Int8Column, price_micro_per_kwh: Int64Column) -> Trades:
        """Trades at the limits of what rested."""
        rested, came, energy_wh = (np.array(column, dtype=np.int64) for column in self)
        is_sell = side[came] == SELL
        buy, sell = np.where(is_sell, rested, came), np.where(is_sell, came, rested)
        return Trades(buy, sell, energy_wh, price_micro_per_kwh[rested])


def match(
    side: Int8Column,
    quantity_wh: Int64Column,
    price_micro_per_kwh: Int64Column,
    events: Sequence[int] | None = None,
    *,
    cancels_finished: bool = False,
) -> Matched:
    """The trades of one book (``continuous_double_auction/1`` of the vectors).

    ``side`` int8[n] (0 buy, 1 sell), ``quantity_wh`` int64[n] > 0, ``price_micro_per_kwh`` int64[n] of any sign: orders in the order
    of their arrival. ``events``: what happened in turn: a row: this order comes, ~row (negative): it is cancelled; none: all orders come, in
    their order. Of equal limits the one that came first is met first. ContractError for a quantity below 1, an unknown side, columns of
    unequal length, an order that comes twice, and, unless ``cancels_finished``, for one cancelled that does not rest.
    """
    check_orders(side, quantity_wh, price_micro_per_kwh)
    come = np.arange(side.size) if events is None else _coming(np.array(events, dtype=np.int64), side.size)
    rank, rows, reach = _ranks(side, price_micro_per_kwh, come)
    ranks, reaches, is_sell, quantities = rank.tolist(), reach.tolist(), (side == SELL).tolist(), quantity_wh.tolist()
    buys_at, sells_at = rows[BUY].tolist(), rows[SELL].tolist()
    resting = [0] * side.size
    # by side the ranks of what rests, best first; what was cancelled is dropped at the top
    buys: list[int] = []
    sells: list[int] = []
    met = _Meetings([], [], [])
    for event in range(side.size) if events is None else events:
        if event < 0:
            if not resting[~event] and not cancels_finished:
                raise ContractError(f"order {~event} cannot be cancelled: it does not rest in the book")
            resting[~event] = 0
            continue
        own, opposite, row_at = (sells, buys, buys_at) if is_sell[event] else (buys, sells, sells_at)
        left_wh, worst = quantities[event], reaches[event]
        while left_wh and opposite and opposite[0] < worst:
            row = row_at[opposite[0]]
            there_wh = resting[row]
            energy_wh = min(left_wh, there_wh)
            if energy_wh == there_wh:
                heappop(opposite)
            if energy_wh:
                met.rested.append(row)
                met.came.append(event)
                met.energy_wh.append(energy_wh)
                resting[row] = there_wh - energy_wh
                left_wh -= energy_wh
        if left_wh:
            resting[event] = left_wh
            heappush(own, ranks[event])
    return Matched(met.trades(side, price_micro_per_kwh), np.array(resting, dtype=np.int64))


def _coming(events: Int64Column, orders: int) -> Int64Column:
    """The orders that come, in turn; ContractError for one that comes twice."""
    come = events[events >= 0]
    times = np.bincount(come, minlength=orders)
    if come.size and int(times.max()) > 1:
        raise ContractError(f"order {int(np.argmax(times > 1))} comes twice")
    return come


def _ranks(side: Int8Column, price_micro_per_kwh: Int64Column, come: Int64Column) -> _Ranks:
    """See ``_Ranks``; come: the orders that come, in turn. Of others nothing is said."""
    rank, reach = np.zeros(side.size, dtype=np.int64), np.zeros(side.size, dtype=np.int64)
    # ~price: the highest limit to buy is the best
    keys = {BUY: ~price_micro_per_kwh, SELL: price_micro_per_kwh}
    rows = []
    for own, key in keys.items():
        of_side = come[side[come] == own]
        of_side = of_side[np.argsort(key[of_side], kind="stable")]
        rank[of_side] = np.arange(of_side.size)
        rows.append(of_side)
    for own, other in ((BUY, SELL), (SELL, BUY)):
        key, of_side = keys[other], rows[own]
        reach[of_side] = key[rows[other]].searchsorted(key[of_side], "right")
    return _Ranks(rank, (rows[BUY], rows[SELL]), reach)
