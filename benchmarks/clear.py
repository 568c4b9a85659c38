"""Clearing one gate by ``p2p_call_auction/1``: price, volume and each order's pro-rata fill.

The book is that of the peers' comparison (seed 20260101 + orders): half bids, half offers, integer prices and quantities from a seed.
The bound is the same answer in bare numpy: arrays that are known to be well-formed, sums that are known to fit, prices that
are known to be few, no check of input or result.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridcore.errors import require
from gridledger.bench import Benchmark, Measurement, best_seconds
from settlement.contracts.p2p_call_auction_1 import clear

SEED = 20260101
ROUNDS = {10_000: 200, 1_000_000: 7}
REFERENCE_PRICE = 4500


class Book(NamedTuple):
    """The orders of one gate."""

    side: NDArray[np.int8]
    quantity: NDArray[np.int64]
    price: NDArray[np.int64]


def make_book(orders: int) -> Book:
    """A book of ``orders`` orders, bids 3000..8000 and offers 2000..7000 (1e-4 yuan per kWh), 1..1000 Wh each."""
    random = np.random.default_rng(SEED + orders)
    half = orders // 2
    bids, bid_wh = random.integers(3000, 8001, half), random.integers(1, 1001, half)
    offers, offer_wh = random.integers(2000, 7001, half), random.integers(1, 1001, half)
    return Book(
        np.repeat(np.array([0, 1], dtype=np.int8), half),
        np.concatenate((bid_wh, offer_wh)),
        np.concatenate((bids, offers)),
    )


def clear_bare(book: Book, reference: int) -> tuple[int, int, NDArray[np.int64]]:
    """Volume, price and fills in bare numpy, by a histogram over every possible price; a book that crosses."""
    side, quantity, price = book
    lowest = price.min()
    levels = int(price.max() - lowest) + 1
    energy = np.zeros(2 * levels, dtype=np.int64)
    np.add.at(energy, price - lowest + levels * side.astype(np.int64), quantity)
    at_level = energy.reshape(2, levels)
    demand = at_level[0].sum() - at_level[0].cumsum() + at_level[0]
    supply = at_level[1].cumsum()
    is_limit = at_level[0] + at_level[1] > 0
    traded = np.where(is_limit, np.minimum(demand, supply), -1)
    volume = traded.max()
    best = np.flatnonzero(traded == volume)
    surplus = demand[best] - supply[best]
    size = abs(surplus)
    best, surplus = best[size == size.min()], surplus[size == size.min()]
    if (surplus > 0).all():
        clearing = best[-1]
    elif (surplus < 0).all():
        clearing = best[0]
    else:
        clearing = min(max(reference - lowest, best[0]), best[-1])
    limit = lowest + clearing
    # in full: what is strictly better than the clearing price; at it, each side's level shares what is left
    is_sell = side.view(np.bool_)
    at_limit = price == limit
    filled = quantity * (((price > limit) ^ is_sell) & ~at_limit)
    at_limit_rows = np.flatnonzero(at_limit)
    better = (demand[clearing] - at_level[0, clearing], supply[clearing] - at_level[1, clearing])
    for is_side, total in ((~is_sell[at_limit_rows], better[0]), (is_sell[at_limit_rows], better[1])):
        rows, left = at_limit_rows[is_side], volume - total
        if rows.size and left:
            weights = quantity[rows]
            products, weight = weights * left, weights.sum()
            share = products // weight
            rest = np.argsort(share * weight - products, kind="stable")[: left - share.sum()]
            share[rest] += 1
            filled[rows] = share
    return int(volume), int(limit), filled


def _measure(orders: int) -> Measurement:
    book = make_book(orders)

    def work() -> tuple[int, int | None, NDArray[np.int64]]:
        clearing = clear(*book, reference_price_micro_per_kwh=REFERENCE_PRICE, rationing="pro_rata", sequence=None)
        return clearing.volume_wh, clearing.price_micro_per_kwh, clearing.filled_wh

    ours, bare = work(), clear_bare(book, REFERENCE_PRICE)
    require(ours[:2] == bare[:2] and bool((ours[2] == bare[2]).all()), "contract and bound give the same answer")
    # turn and turn about, so that what else the machine does meets both alike
    seconds = bound_seconds = float("inf")
    for _ in range(ROUNDS[orders]):
        seconds = min(seconds, best_seconds(work, 1))
        bound_seconds = min(bound_seconds, best_seconds(lambda: clear_bare(book, REFERENCE_PRICE), 1))
    return Measurement(orders, seconds, "bare numpy without checks", bound_seconds)


def _benchmark(orders: int) -> Benchmark:
    return lambda: _measure(orders)


BENCHMARKS: dict[str, Benchmark] = {
    "clear_10k": _benchmark(10_000),
    "clear_1m": _benchmark(1_000_000),
}
"""Benchmarks by name, as ``gridledger bench run`` finds them."""
