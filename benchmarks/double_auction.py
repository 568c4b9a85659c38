"""double_auction: a continuous book of 200,000 orders, from columns to trades and what rests.

Orders of the peers' comparison (seed 20260101 + orders) come one after another, buys and sells mixed. The bound is a bare loop over two
heaps: no check of input or result, no columns of trades, nothing but energy and price of each.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.clear import SEED, Book, make_book
from gridcore.errors import require
from gridledger.bench import Measurement, best_seconds
from settlement.contracts.continuous_double_auction_1 import match

ORDERS = 200_000
ROUNDS = 3


class _Trade(NamedTuple):
    """One match of the bound."""

    energy_wh: int
    price: int


def _arriving(book: Book) -> Book:
    """The same orders in the order in which they come."""
    order: NDArray[np.intp] = np.random.default_rng(SEED + ORDERS).permutation(ORDERS)
    return Book(book.side[order], book.quantity[order], book.price[order])


def match_bare(side: list[int], quantity: list[int], price: list[int]) -> list[_Trade]:
    """Two heaps of what rests: (price, arrival, energy)."""
    buys: list[tuple[int, int, int]] = []
    sells: list[tuple[int, int, int]] = []
    trades: list[_Trade] = []
    for arrival, (is_sell, energy, limit) in enumerate(zip(side, quantity, price, strict=True)):
        own, other, worst = (sells, buys, -limit) if is_sell else (buys, sells, limit)
        left = energy
        while left and other and other[0][0] <= worst:
            best, since, there = heappop(other)
            traded = min(left, there)
            trades.append(_Trade(traded, abs(best)))
            left -= traded
            if there > traded:
                heappush(other, (best, since, there - traded))
        if left:
            heappush(own, (-worst, arrival, left))
    return trades


def double_auction() -> Measurement:
    """Trades of a continuous book."""
    book = _arriving(make_book(ORDERS))
    lists = book.side.tolist(), book.quantity.tolist(), book.price.tolist()
    ours, bare = match(*book).trades, match_bare(*lists)
    require(list(zip(ours.energy_wh.tolist(), ours.price_micro_per_kwh.tolist(), strict=True)) == bare, "same trades")
    # turn and turn about, so that what else the machine does meets both alike
    seconds = bound_seconds = float("inf")
    for _ in range(ROUNDS):
        seconds = min(seconds, best_seconds(lambda: match(*book), 1))
        bound_seconds = min(bound_seconds, best_seconds(lambda: match_bare(*lists), 1))
    return Measurement(ORDERS, seconds, "a bare loop over two heaps", bound_seconds)


BENCHMARKS = {"double_auction": double_auction}
