"""The call auction: from the orders of one gate to one price, one volume and each order's fill.

For a price p, demand(p) is the sum of the buys with limit >= p and supply(p) the sum of the sells with limit <= p. Demand
never rises with p and supply never falls, so everything that is asked of all limit prices is decided at two neighbours:
``low``, the highest limit price with demand >= supply, and ``high``, the next one above it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from settlement.contract_kit_1 import (
    INT64_MAX,
    ContractError,
    Int8Column,
    Int64Column,
    check_column,
    check_int64,
    exact_sum,
    largest_remainder,
    promise,
)

BUY = 0
SELL = 1
PRO_RATA = "pro_rata"
TIME = "time"
_KEY_BITS = 63


@dataclass(frozen=True, slots=True)
class Clearing:
    """``volume_wh``; ``price_micro_per_kwh`` (None when the volume is 0); ``filled_wh`` int64[n] beside the orders."""

    volume_wh: int
    price_micro_per_kwh: int | None
    filled_wh: Int64Column


class _Orders(NamedTuple):
    """The input columns of one gate, checked."""

    side: Int8Column
    quantity_wh: Int64Column
    price_micro_per_kwh: Int64Column
    sequence: Int64Column | None


class _Side(NamedTuple):
    """One side of the book: limits ascending, and the energy in front of each row (one entry more than limits)."""

    limits: Int64Column
    before: Int64Column | list[int]

    def below(self, price: int) -> int:
        """Energy of the orders with a limit < price."""
        return int(self.before[int(self.limits.searchsorted(price, "left"))])

    def up_to(self, price: int) -> int:
        """Energy of the orders with a limit <= price."""
        return int(self.before[int(self.limits.searchsorted(price, "right"))])

    def total(self) -> int:
        """Energy of all orders."""
        return int(self.before[-1])


class _Candidate(NamedTuple):
    """A limit price with its demand and supply."""

    price: int
    demand: int
    supply: int


def clear(
    side: Int8Column,
    quantity_wh: Int64Column,
    price_micro_per_kwh: Int64Column,
    *,
    reference_price_micro_per_kwh: int | None,
    rationing: str,
    sequence: Int64Column | None = None,
) -> Clearing:
    """Clear the orders of one gate (``call_auction/1`` of the vectors).

    ``side`` int8[n] (0 buy, 1 sell), ``quantity_wh`` int64[n] > 0, ``price_micro_per_kwh`` int64[n] of any sign; rows
    ascend by the UTF-8 bytes of the order id, so the row number breaks ties. ``rationing``: "pro_rata" splits the level
    that does not fit by largest remainder; "time" serves it by ``sequence`` int64[n] (none: all equal), then row.
    ContractError for a quantity below 1, an unknown side or rationing, columns of unequal length, and a volume or
    reference outside int64. No order is filled beyond its quantity, or at a price worse than its limit.
    """
    orders = _Orders(side, quantity_wh, price_micro_per_kwh, sequence)
    _check_orders(orders)
    if reference_price_micro_per_kwh is not None:
        check_int64(reference_price_micro_per_kwh, "reference_price_micro_per_kwh")
    if rationing not in (PRO_RATA, TIME):
        raise ContractError(f"rationing must be {PRO_RATA} or {TIME}, not {rationing!r}")
    rows = side.size
    buys = rows - int(np.count_nonzero(side))
    if 0 < buys < rows:
        buy_side, sell_side = _sorted_sides(orders, buys)
        volume, price = _volume_and_price(buy_side, sell_side, reference_price_micro_per_kwh)
        if volume:
            check_int64(volume, "volume_wh")
            return Clearing(volume, price, _fills(orders, buy_side, sell_side, volume, rationing))
    return Clearing(0, None, np.zeros(rows, dtype=np.int64))


def _check_orders(orders: _Orders) -> None:
    """ContractError unless the columns fit together and hold what they may."""
    side, rows = orders.side, orders.side.size
    check_column(orders.quantity_wh, "quantity_wh", length=rows, minimum=1)
    check_column(orders.price_micro_per_kwh, "price_micro_per_kwh", length=rows)
    if orders.sequence is not None:
        check_column(orders.sequence, "sequence", length=rows)
    if side.dtype != np.int8 or side.ndim != 1:
        raise ContractError(f"side must be a one-dimensional int8 column, not {side.ndim}-d {side.dtype}")
    if rows and (int(side.min()) < BUY or int(side.max()) > SELL):
        row = int(np.argmax((side < BUY) | (side > SELL)))
        raise ContractError(f"side[{row}] is {int(side[row])}, must be {BUY} (buy) or {SELL} (sell)")


def _sorted_sides(orders: _Orders, buys: int) -> tuple[_Side, _Side]:
    """Both sides by limit, ascending; ``buys`` counts the buys. Which of two equal limits comes first has no meaning."""
    side, quantity_wh, price, _ = orders
    lowest = int(price.min())
    price_bits = (int(price.max()) - lowest).bit_length()
    quantity_bits = int(quantity_wh.max()).bit_length()
    if price_bits + quantity_bits + 1 <= _KEY_BITS:
        # one integer per order, side above limit above quantity: sorting whole integers needs no index and no gather,
        # and a sorted list of integers is the same whatever the algorithm
        keys = price - lowest
        keys <<= quantity_bits
        keys |= quantity_wh
        keys |= side.astype(np.int64) << (price_bits + quantity_bits)
        keys.sort()
        quantities = keys & ((1 << quantity_bits) - 1)
        keys >>= quantity_bits
        keys[buys:] -= 1 << price_bits
        limits = keys
        limits += lowest
    else:
        order = np.lexsort((price, side))
        limits = price[order]
        quantities = quantity_wh[order]
    return (
        _Side(limits[:buys], _before(quantities[:buys])),
        _Side(limits[buys:], _before(quantities[buys:])),
    )


def _before(quantities: Int64Column) -> Int64Column | list[int]:
    """0 and the running sums; Python integers where int64 cannot hold the last of them."""
    if exact_sum(quantities) > INT64_MAX:
        return [0, *accumulate(quantities.tolist())]
    before = np.zeros(quantities.size + 1, dtype=np.int64)
    np.cumsum(quantities, out=before[1:])
    return before


def _volume_and_price(buys: _Side, sells: _Side, reference: int | None) -> tuple[int, int]:
    """The largest volume, and its price: least surplus, then market pressure, then the reference or the middle."""
    candidates = [
        _Candidate(price, buys.total() - buys.below(price), sells.up_to(price))
        for price in _prices_at_crossing(buys, sells)
    ]
    volume = max(min(c.demand, c.supply) for c in candidates)
    remaining = [c for c in candidates if min(c.demand, c.supply) == volume]
    surplus = min(abs(c.demand - c.supply) for c in remaining)
    remaining = [c for c in remaining if abs(c.demand - c.supply) == surplus]
    lowest, highest = remaining[0].price, remaining[-1].price
    if all(c.demand > c.supply for c in remaining):
        return volume, highest
    if all(c.supply > c.demand for c in remaining):
        return volume, lowest
    if reference is None:
        return volume, (lowest + highest) // 2
    return volume, min(max(reference, lowest), highest)


def _prices_at_crossing(buys: _Side, sells: _Side) -> list[int]:
    """The limit prices that can win, ascending: ``low``, ``high`` (see the module) and one neighbour beyond each.

    Below ``low`` the volume is the supply, and both volume and surplus get worse or stay with every step down. They
    stay only from a price that no buy names to a price that no sell names: one step, since the next price down is
    named by neither then. Above ``high`` likewise.
    """
    low = _highest_with_demand(buys, sells)
    if low is None:
        high = _above(buys, sells, None)
        return [price for price in (high, _above(buys, sells, high)) if price is not None]
    high = _above(buys, sells, low)
    around = [_below(buys, sells, low), low, high, None if high is None else _above(buys, sells, high)]
    return [price for price in around if price is not None]


def _highest_with_demand(buys: _Side, sells: _Side) -> int | None:
    """``low``: the highest limit price at which demand >= supply; None where even the lowest has more supply."""
    total = buys.total()

    def is_short(row: int) -> bool:
        return total - int(buys.before[row]) < sells.up_to(int(buys.limits[row]))

    rows = bisect_left(range(buys.limits.size), True, key=is_short)
    bid = int(buys.limits[rows - 1]) if rows else None
    # between this bid and the next one demand stays what it is at the next one: sells up to that much come before low
    above = 0 if bid is None else int(buys.limits.searchsorted(bid, "right"))
    offer = _last_level_within(sells, total - int(buys.before[above]))
    if bid is None or offer is None:
        return offer if bid is None else bid
    return max(bid, offer)


def _last_level_within(sells: _Side, energy: int) -> int | None:
    """The highest limit whose whole level, and all below, sum to at most ``energy``; None where the first exceeds it."""
    rows = bisect_right(sells.before, energy) - 1
    if 0 < rows < sells.limits.size and sells.limits[rows] == sells.limits[rows - 1]:
        rows = int(sells.limits.searchsorted(sells.limits[rows], "left"))
    return int(sells.limits[rows - 1]) if rows else None


def _above(buys: _Side, sells: _Side, price: int | None) -> int | None:
    """The lowest limit price above ``price`` (None: of all), None where there is none."""
    found = []
    for limits in (buys.limits, sells.limits):
        row = 0 if price is None else int(limits.searchsorted(price, "right"))
        if row < limits.size:
            found.append(int(limits[row]))
    return min(found, default=None)


def _below(buys: _Side, sells: _Side, price: int) -> int | None:
    """The highest limit price below ``price``, None where there is none."""
    found = []
    for limits in (buys.limits, sells.limits):
        row = int(limits.searchsorted(price, "left"))
        if row:
            found.append(int(limits[row - 1]))
    return max(found, default=None)


def _marginal_buy(buys: _Side, volume: int) -> tuple[int, int]:
    """The limit of the last buy level that gets anything, and what is left for it: (price, energy_wh)."""
    # the row that holds the Wh number ``volume`` counted from the highest limit down
    row = bisect_right(buys.before, buys.total() - volume) - 1
    price = int(buys.limits[row])
    return price, volume - (buys.total() - buys.up_to(price))


def _marginal_sell(sells: _Side, volume: int) -> tuple[int, int]:
    """The limit of the last sell level that gets anything, and what is left for it: (price, energy_wh)."""
    row = bisect_left(sells.before, volume) - 1
    price = int(sells.limits[row])
    return price, volume - sells.below(price)


def _fills(orders: _Orders, buys: _Side, sells: _Side, volume: int, rationing: str) -> Int64Column:
    """int64[n]: every order better than its side's marginal level in full, that level rationed, the rest nothing."""
    bid, bid_energy = _marginal_buy(buys, volume)
    offer, offer_energy = _marginal_sell(sells, volume)
    is_buy = orders.side == BUY
    price = orders.price_micro_per_kwh
    # a sell below the marginal offer, or a buy above the marginal bid
    full = np.where(is_buy, price > bid, price < offer)
    filled: Int64Column = orders.quantity_wh * full
    for rows, energy in (
        (np.flatnonzero((price == bid) & is_buy), bid_energy),
        (np.flatnonzero((price == offer) & ~is_buy), offer_energy),
    ):
        filled[rows] = _ration(orders, rows, energy, rationing)
    bought = exact_sum(filled[is_buy])
    promise(bought == volume and exact_sum(filled) == 2 * volume, "each side's fills sum to the volume")
    return filled


def _ration(orders: _Orders, rows: NDArray[np.intp], energy: int, rationing: str) -> Int64Column:
    """Share ``energy`` among the orders of one price level, pro rata or first come, first served."""
    quantities = orders.quantity_wh[rows]
    if rationing == PRO_RATA:
        return largest_remainder(energy, quantities)
    turn = np.arange(rows.size) if orders.sequence is None else np.argsort(orders.sequence[rows], kind="stable")
    shares = np.zeros_like(quantities)
    for position in turn.tolist():
        shares[position] = min(energy, int(quantities[position]))
        energy -= int(shares[position])
        if energy == 0:
            break
    return shares
