"""The call auction: from the orders of one gate to one price, one volume and each order's fill.

For a price p, demand(p) is the sum of the buys with limit >= p and supply(p) the sum of the sells with limit <= p. Demand
never rises with p and supply never falls. So with ``low`` the highest limit price at which demand >= supply, and
``high`` the next limit price above it, the largest volume is max(supply(low), demand(high)): at and below ``low`` the
volume is the supply, at and above ``high`` it is the demand. Only these two, and one neighbour beyond each, can win
(two steps away another order has joined or left), and only the orders at ``low`` or at ``high`` are ever rationed.

That is why no million orders are sorted here: a histogram finds the few around the crossing, and the rule is applied to
those literally.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, NamedTuple

import numpy as np

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
_BUCKET_BITS = 12
_BUCKETS = 1 << _BUCKET_BITS


@dataclass(frozen=True, slots=True)
class Clearing:
    """``volume_wh``; ``price_micro_per_kwh`` (None when the volume is 0); ``filled_wh`` int64[n] beside the orders."""

    volume_wh: int
    price_micro_per_kwh: int | None
    filled_wh: Int64Column


class _Orders(NamedTuple):
    """The columns of one gate, or those of its orders that lie around the crossing."""

    side: Int8Column
    quantity_wh: Int64Column
    price_micro_per_kwh: Int64Column


class _Window(NamedTuple):
    """Orders that include every price that can win, and the energy that lies beyond them."""

    orders: _Orders
    demand_above_wh: int
    supply_below_wh: int


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
    orders = _Orders(side, quantity_wh, price_micro_per_kwh)
    _check_orders(orders)
    if sequence is not None:
        check_column(sequence, "sequence", length=side.size)
    if reference_price_micro_per_kwh is not None:
        check_int64(reference_price_micro_per_kwh, "reference_price_micro_per_kwh")
    if rationing not in (PRO_RATA, TIME):
        raise ContractError(f"rationing must be {PRO_RATA} or {TIME}, not {rationing!r}")
    sells = int(np.count_nonzero(side))
    if 0 < sells < side.size:
        candidates = _candidates(_window(orders))
        volume, price = _volume_and_price(candidates, reference_price_micro_per_kwh)
        if volume:
            check_int64(volume, "volume_wh")
            filled = _fills(orders, candidates, volume, sequence if rationing == TIME else None, rationing)
            return Clearing(volume, price, filled)
    return Clearing(0, None, np.zeros(side.size, dtype=np.int64))


def _check_orders(orders: _Orders) -> None:
    """ContractError unless the columns fit together and hold what they may."""
    side, rows = orders.side, orders.side.size
    check_column(orders.quantity_wh, "quantity_wh", length=rows, minimum=1)
    check_column(orders.price_micro_per_kwh, "price_micro_per_kwh", length=rows)
    if side.dtype != np.int8 or side.ndim != 1:
        raise ContractError(f"side must be a one-dimensional int8 column, not {side.ndim}-d {side.dtype}")
    if rows and (int(side.min()) < BUY or int(side.max()) > SELL):
        row = int(np.argmax((side < BUY) | (side > SELL)))
        raise ContractError(f"side[{row}] is {int(side[row])}, must be {BUY} (buy) or {SELL} (sell)")


def _window(orders: _Orders) -> _Window:
    """The orders around the crossing, by a histogram over at most _BUCKETS price ranges.

    Counted from the lowest price up, the crossing is where the energy of both sides together first exceeds that of all
    buys: in every range before, demand >= supply at each price; in every range after, supply > demand. ``low``, ``high``
    and the neighbour beyond each therefore lie in that range or the two inhabited ones next to it on either side.
    Where the sums or the prices' spread could leave int64 the window is the whole book.
    """
    side, quantity_wh, price = orders
    lowest = int(price.min())
    spread = int(price.max()) - lowest
    if spread > INT64_MAX or int(quantity_wh.max()) * quantity_wh.size > INT64_MAX:
        return _Window(orders, 0, 0)
    shift = max(0, spread.bit_length() - _BUCKET_BITS)
    bucket = price - lowest
    bucket >>= shift
    energy = np.zeros(2 * _BUCKETS, dtype=np.int64)
    np.add.at(energy, bucket + (side.astype(np.int64) << _BUCKET_BITS), quantity_wh)
    demand, supply = energy[:_BUCKETS], energy[_BUCKETS:]
    both = demand + supply
    crossing = int(both.cumsum().searchsorted(int(demand.sum()), "right"))
    inhabited = np.flatnonzero(both)
    position = int(inhabited.searchsorted(crossing))
    first = int(inhabited[max(position - 2, 0)])
    last = int(inhabited[min(position + 2, inhabited.size - 1)])
    rows = np.flatnonzero((bucket >= first) & (bucket <= last))
    return _Window(
        _Orders(side[rows], quantity_wh[rows], price[rows]),
        demand_above_wh=int(demand[last + 1 :].sum()),
        supply_below_wh=int(supply[:first].sum()),
    )


def _candidates(window: _Window) -> list[_Candidate]:
    """Every limit price of the window, ascending, with its demand and supply in the whole book."""
    side, quantity_wh, price = window.orders
    levels = np.unique(price)
    is_buy = side == BUY
    bought_below = _running_sums(price[is_buy], quantity_wh[is_buy], levels, "left")
    sold_up_to = _running_sums(price[~is_buy], quantity_wh[~is_buy], levels, "right")
    demand_wh = window.demand_above_wh + exact_sum(quantity_wh[is_buy])
    return [
        _Candidate(level, demand_wh - below, window.supply_below_wh + up_to)
        for level, below, up_to in zip(levels.tolist(), bought_below, sold_up_to, strict=True)
    ]


def _running_sums(
    price: Int64Column, quantity_wh: Int64Column, levels: Int64Column, where: Literal["left", "right"]
) -> list[int]:
    """For each level the energy of the orders below it ("left"), or up to and including it ("right"), exact."""
    order = np.argsort(price, kind="stable")
    rows = price[order].searchsorted(levels, where).tolist()
    if exact_sum(quantity_wh) > INT64_MAX:
        sums = [0, *accumulate(quantity_wh[order].tolist())]
    else:
        sums = [0, *quantity_wh[order].cumsum().tolist()]
    return [sums[row] for row in rows]


def _volume_and_price(candidates: list[_Candidate], reference: int | None) -> tuple[int, int]:
    """The largest volume, and its price: least surplus, then market pressure, then the reference or the middle."""
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


def _fills(
    orders: _Orders, candidates: list[_Candidate], volume: int, sequence: Int64Column | None, rationing: str
) -> Int64Column:
    """int64[n]: the sells up to ``low`` and the buys from ``high`` in full; what is left to the level that is rationed.

    That level is the buys at ``low`` where the supply sets the volume, the sells at ``high`` where the demand does.
    """
    side, quantity_wh, price = orders
    short = next((row for row, c in enumerate(candidates) if c.supply > c.demand), len(candidates))
    low = candidates[short - 1] if short else None
    high = candidates[short] if short < len(candidates) else None
    served = 0 if low is None else low.supply
    asked = 0 if high is None else high.demand
    is_sell = side.view(np.bool_)
    # buys above low, sells not above it
    full = ~is_sell if low is None else (price > low.price) ^ is_sell
    filled: Int64Column = quantity_wh * full
    level, rationed, energy = (low, BUY, volume - asked) if served == volume else (high, SELL, volume - served)
    if level is not None and energy:
        rows = np.flatnonzero(price == level.price)
        rows = rows[side[rows] == rationed]
        shares = _ration(quantity_wh[rows], energy, None if sequence is None else sequence[rows], rationing)
        promise(bool((shares <= quantity_wh[rows]).all()), "no order is filled beyond its quantity")
        filled[rows] = shares
    promise(exact_sum(filled) == 2 * volume, "the fills of both sides sum to the volume")
    return filled


def _ration(quantities: Int64Column, energy: int, sequence: Int64Column | None, rationing: str) -> Int64Column:
    """Share ``energy`` among the orders of one price level, pro rata or first come, first served."""
    if rationing == PRO_RATA:
        return largest_remainder(energy, quantities)
    turn = np.arange(quantities.size) if sequence is None else np.argsort(sequence, kind="stable")
    shares = np.zeros_like(quantities)
    for row in turn.tolist():
        shares[row] = min(energy, int(quantities[row]))
        energy -= int(shares[row])
        if energy == 0:
            break
    return shares
