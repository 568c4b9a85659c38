"""The call auction word for word, in loops over every limit price: the reference of ``p2p_call_auction``."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import NamedTuple

BUY, SELL = 0, 1


class Order(NamedTuple):
    side: int
    quantity: int
    price: int
    sequence: int = 0


class Cleared(NamedTuple):
    """The volume, and the lowest and the highest of the prices that are left; None where nothing trades."""

    volume: int
    lowest: int | None
    highest: int | None


def candidates_by_text(orders: list[Order]) -> Cleared:
    """call_auction/1 word for word: every limit price is a candidate."""
    prices = sorted({order.price for order in orders})
    demand = {p: sum(o.quantity for o in orders if o.side == BUY and o.price >= p) for p in prices}
    supply = {p: sum(o.quantity for o in orders if o.side == SELL and o.price <= p) for p in prices}
    volume = max((min(demand[p], supply[p]) for p in prices), default=0)
    if volume == 0:
        return Cleared(0, None, None)
    left = [p for p in prices if min(demand[p], supply[p]) == volume]
    least = min(abs(demand[p] - supply[p]) for p in left)
    left = [p for p in left if abs(demand[p] - supply[p]) == least]
    if all(demand[p] > supply[p] for p in left):
        return Cleared(volume, left[-1], left[-1])
    if all(demand[p] < supply[p] for p in left):
        return Cleared(volume, left[0], left[0])
    return Cleared(volume, left[0], left[-1])


def price_by_text(orders: list[Order], reference: int | None) -> tuple[int, int | None]:
    """Volume and price: nearest to a reference, or without one the middle, rounded down."""
    volume, lowest, highest = candidates_by_text(orders)
    if lowest is None or highest is None:
        return volume, None
    return volume, (lowest + highest) // 2 if reference is None else min(max(reference, lowest), highest)


def split_by_text(orders: list[Order], k_ppm: int) -> tuple[int, int | None]:
    """Volume and price: a share of the way from the lowest to the highest price, rounded down."""
    volume, lowest, highest = candidates_by_text(orders)
    if lowest is None or highest is None:
        return volume, None
    return volume, between(lowest, highest, k_ppm)


def between(lowest: int, highest: int, k_ppm: int) -> int:
    """The k of a k-double auction: k of the highest price and the rest of the lowest, rounded down."""
    k = Fraction(k_ppm, 1_000_000)
    return floor(k * highest + (1 - k) * lowest)


def fills_by_text(orders: list[Order], volume: int, rationing: str) -> list[int]:
    """Whole levels while they fit, then the rule for the level that does not."""
    fills = [0] * len(orders)
    for side in (BUY, SELL):
        rows = [row for row, order in enumerate(orders) if order.side == side]
        left = volume
        for price in sorted({orders[row].price for row in rows}, reverse=side == BUY):
            level = [row for row in rows if orders[row].price == price]
            if rationing == "time":
                for row in sorted(level, key=lambda row: (orders[row].sequence, row)):
                    fills[row] = min(left, orders[row].quantity)
                    left -= fills[row]
                continue
            total = sum(orders[row].quantity for row in level)
            share = min(left, total)
            for row in level:
                fills[row] = share * orders[row].quantity // total
            over = share - sum(fills[row] for row in level)
            by_remainder = sorted(level, key=lambda row: (-(share * orders[row].quantity % total), row))
            for row in by_remainder[:over]:
                fills[row] += 1
            left -= share
            if left == 0:
                break
    return fills
