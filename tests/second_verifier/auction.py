"""The call auction of docs/spec/contracts.md: price, volume and each order's fill."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, groupby
from math import floor
from typing import NamedTuple

BUY, SELL = 0, 1


class Bid(NamedTuple):
    side: int
    quantity_wh: int
    price_micro_per_kwh: int
    arrival: int = 0


class Terms(NamedTuple):
    """Which price of several, by one of two rules; and whether the level that does not fit is served as its orders came."""

    reference_price: int | None
    k_ppm: int | None = None
    by_time: bool = False


@dataclass(frozen=True)
class Outcome:
    volume_wh: int
    price_micro_per_kwh: int | None
    filled_wh: tuple[int, ...]  # by rank


class _Crossing(NamedTuple):
    price: int
    demand_wh: int
    supply_wh: int


class _Side:
    """The quantities of one side up to each limit."""

    def __init__(self, bids: Sequence[Bid], side: int) -> None:
        chosen = sorted((bid.price_micro_per_kwh, bid.quantity_wh) for bid in bids if bid.side == side)
        self.limits = [price for price, _ in chosen]
        self.sums = [0, *accumulate(quantity for _, quantity in chosen)]

    def up_to(self, price: int) -> int:
        return self.sums[bisect_right(self.limits, price)]

    def from_price(self, price: int) -> int:
        return self.sums[-1] - self.sums[bisect_left(self.limits, price)]


def between(lowest: int, highest: int, k_ppm: int) -> int:
    return floor(lowest + Fraction((highest - lowest) * k_ppm, 1_000_000))


def _price(best: Sequence[_Crossing], terms: Terms) -> int:
    lowest, highest = best[0].price, best[-1].price
    if all(crossing.demand_wh > crossing.supply_wh for crossing in best):
        return highest
    if all(crossing.supply_wh > crossing.demand_wh for crossing in best):
        return lowest
    if terms.reference_price is None:
        return between(lowest, highest, terms.k_ppm or 0)
    return min(max(terms.reference_price, lowest), highest)


def split(total: int, weights: Sequence[int]) -> list[int]:
    """`total` by largest remainder, ties to the earlier."""
    whole = sum(weights)
    shares = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for i in by_remainder[: total - sum(shares)]:
        shares[i] += 1
    return shares


def _in_turn(total: int, weights: Sequence[int], turns: Sequence[int]) -> list[int]:
    """Who comes first gets all, as far as it goes."""
    shares = [0] * len(weights)
    for i in sorted(range(len(weights)), key=lambda i: turns[i]):
        shares[i] = min(total, weights[i])
        total -= shares[i]
    return shares


def _fill(bids: Sequence[Bid], side: int, volume_wh: int, filled_wh: list[int], *, by_time: bool) -> None:
    def away(rank: int) -> int:
        price = bids[rank].price_micro_per_kwh
        return -price if side == BUY else price

    ranks = sorted((rank for rank, bid in enumerate(bids) if bid.side == side), key=away)
    left = volume_wh
    for _, level in groupby(ranks, key=away):
        members = list(level)
        quantities = [bids[rank].quantity_wh for rank in members]
        part = min(left, sum(quantities))
        turns = [bids[rank].arrival for rank in members]
        shares = _in_turn(part, quantities, turns) if by_time else split(part, quantities)
        for rank, share in zip(members, shares, strict=True):
            filled_wh[rank] = share
        left -= part
        if left == 0:
            return


def clear(bids: Sequence[Bid], terms: Terms) -> Outcome:
    """The outcome of the orders in rank order."""
    buys, sells = _Side(bids, BUY), _Side(bids, SELL)
    prices = sorted({bid.price_micro_per_kwh for bid in bids})
    crossings = [_Crossing(price, buys.from_price(price), sells.up_to(price)) for price in prices]
    volume_wh = max((min(crossing.demand_wh, crossing.supply_wh) for crossing in crossings), default=0)
    filled_wh = [0] * len(bids)
    if volume_wh == 0:
        return Outcome(0, None, tuple(filled_wh))
    most = [crossing for crossing in crossings if min(crossing.demand_wh, crossing.supply_wh) == volume_wh]
    gap = min(abs(crossing.demand_wh - crossing.supply_wh) for crossing in most)
    best = [crossing for crossing in most if abs(crossing.demand_wh - crossing.supply_wh) == gap]
    _fill(bids, BUY, volume_wh, filled_wh, by_time=terms.by_time)
    _fill(bids, SELL, volume_wh, filled_wh, by_time=terms.by_time)
    return Outcome(volume_wh, _price(best, terms), tuple(filled_wh))
