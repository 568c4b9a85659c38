"""Clearing one gate whose orders all have prices of their own: a million distinct limits in micro per kWh.

No table of all prices is possible then. The bound looks only where demand meets supply, as the contract does, in bare numpy: well-formed
arrays, sums that are known to fit, prices that are known to be distinct and close together, no check of input or result.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.clear import SEED, Book
from gridcore.errors import require
from gridledger.bench import Measurement, best_seconds
from settlement.contracts.p2p_call_auction_1 import clear

ORDERS = 1_000_000
ROUNDS = 7
LOWEST_PRICE, SPACING = 200_000, 701
"""Prices are LOWEST_PRICE + a permutation of the first ORDERS multiples of SPACING: no two are equal."""
REFERENCE_PRICE = 350_000_000
RANGES_BITS = 12


def make_book() -> Book:
    """A million orders, buys and sells in turn over one range of prices, 1 to 1000 Wh each."""
    random = np.random.default_rng(SEED)
    half = ORDERS // 2
    return Book(
        np.repeat(np.array([0, 1], dtype=np.int8), half),
        random.integers(1, 1001, ORDERS),
        LOWEST_PRICE + SPACING * random.permutation(ORDERS),
    )


def clear_bare(book: Book) -> tuple[int, int, NDArray[np.int64]]:
    """Volume, price and fills in bare numpy; a book of distinct prices that crosses."""
    side, quantity, price = book
    lowest = int(price.min())
    place = (price - lowest) >> ((int(price.max()) - lowest).bit_length() - RANGES_BITS)
    energy = np.zeros(2 << RANGES_BITS, dtype=np.int64)
    np.add.at(energy, place + (side.astype(np.int64) << RANGES_BITS), quantity)
    demand_in, supply_in = energy.reshape(2, -1)
    crossing = int((demand_in + supply_in).cumsum().searchsorted(demand_in.sum(), "right"))
    first, last = max(crossing - 1, 0), crossing + 1
    rows = np.flatnonzero((place >= first) & (place <= last))
    rows = rows[np.argsort(price[rows], kind="stable")]
    sold = quantity[rows] * side[rows]
    bought = quantity[rows] - sold
    demand = demand_in[last + 1 :].sum() + bought.sum() - bought.cumsum() + bought
    supply = supply_in[:first].sum() + sold.cumsum()
    traded = np.minimum(demand, supply)
    best = np.flatnonzero(traded == traded.max())
    surplus = demand[best] - supply[best]
    least = abs(surplus) == abs(surplus).min()
    best, surplus = best[least], surplus[least]
    require(bool((surplus > 0).all() or (surplus < 0).all()), "the surplus decides the price of this book")
    at = best[-1] if surplus[0] > 0 else best[0]
    volume, limit = int(traded[at]), int(price[rows[at]])
    filled = quantity * (((price > limit) ^ side.view(np.bool_)) & (price != limit))
    better = demand[at] - bought[at] if bought[at] else supply[at] - sold[at]
    filled[rows[at]] = volume - better
    return volume, limit, filled


def clear_1m_micro() -> Measurement:
    """Price, volume and fills of a million orders, all at prices of their own."""
    book = make_book()

    def work() -> tuple[int, int | None, NDArray[np.int64]]:
        clearing = clear(*book, reference_price_micro_per_kwh=REFERENCE_PRICE, rationing="pro_rata")
        return clearing.volume_wh, clearing.price_micro_per_kwh, clearing.filled_wh

    ours, bare = work(), clear_bare(book)
    require(ours[:2] == bare[:2] and bool((ours[2] == bare[2]).all()), "contract and bound give the same answer")
    # turn and turn about, so that what else the machine does meets both alike
    seconds = bound_seconds = float("inf")
    for _ in range(ROUNDS):
        seconds = min(seconds, best_seconds(work, 1))
        bound_seconds = min(bound_seconds, best_seconds(lambda: clear_bare(book), 1))
    return Measurement(ORDERS, seconds, "bare numpy without checks", bound_seconds)


BENCHMARKS = {"clear_1m_micro": clear_1m_micro}
