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
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from settlement.contract_kit_1 import (
    BUY,
    INT64_MAX,
    SELL,
    ContractError,
    Int8Column,
    Int64Column,
    check_column,
    check_int64,
    check_orders,
    exact_sum,
    largest_remainder,
    promise,
)

PRO_RATA = "pro_rata"
TIME = "time"
_BUCKET_BITS_MAX = 12


@dataclass(frozen=True, slots=True)
class Clearing:
    """``volume_wh``; ``price_micro_per_kwh`` (None when the volume is 0); ``filled_wh`` int64[n] beside the orders."""

    volume_wh: int
    price_micro_per_kwh: int | None
    filled_wh: Int64Column
    trades: None = None
    """Every fill has the one price: no order trades with another one."""
    fees_micro_per_kwh: None = None


class _Orders(NamedTuple):
    """The columns of one gate, or those of its orders that lie around the crossing."""

    side: Int8Column
    quantity_wh: Int64Column
    price_micro_per_kwh: Int64Column


class _Window(NamedTuple):
    """Orders that include every price that can win, by row; the energy beyond them; whether its sums fit into int64."""

    rows: NDArray[np.intp]
    orders: _Orders
    demand_above_wh: int
    supply_below_wh: int
    is_bounded: bool


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
    check_orders(*orders)
    if sequence is not None:
        check_column(sequence, "sequence", length=side.size)
    if reference_price_micro_per_kwh is not None:
        check_int64(reference_price_micro_per_kwh, "reference_price_micro_per_kwh")
    if rationing not in (PRO_RATA, TIME):
        raise ContractError(f"rationing must be {PRO_RATA} or {TIME}, not {rationing!r}")
    sells = int(np.count_nonzero(side))
    if 0 < sells < side.size:
        window = _window(orders)
        candidates = _candidates(window)
        volume, price = _volume_and_price(candidates, reference_price_micro_per_kwh)
        if volume:
            check_int64(volume, "volume_wh")
            filled, level = _fills_outside_level(orders, candidates, volume)
            _ration(filled, window, level, rationing, sequence)
            promise(exact_sum(filled) == 2 * volume, "the fills of both sides sum to the volume")
            return Clearing(volume, price, filled)
    return Clearing(0, None, np.zeros(side.size, dtype=np.int64))


def _window(orders: _Orders) -> _Window:
    """The orders around the crossing, by a histogram of the energy over at most 2^_BUCKET_BITS_MAX price ranges.

    Counted from the lowest price up, the crossing is where the energy of both sides together first exceeds that of all
    buys: in every range before, demand >= supply at each price; in every range after, supply > demand. ``low``, ``high``
    and the neighbour beyond each therefore lie in that range or the two inhabited ones next to it on either side.
    Where the sums or the prices' spread could leave int64 the window is the whole book.
    """
    side, quantity_wh, price = orders
    lowest = int(price.min())
    spread = int(price.max()) - lowest
    is_bounded = int(quantity_wh.max()) * side.size <= INT64_MAX
    if spread > INT64_MAX or not is_bounded:
        return _Window(np.arange(side.size), orders, 0, 0, is_bounded)
    bits = max(1, min(side.size.bit_length() - 2, _BUCKET_BITS_MAX))
    bucket = price - lowest
    bucket >>= max(0, spread.bit_length() - bits)
    place = side.astype(np.int64)
    place <<= bits
    place += bucket
    energy = np.zeros(2 << bits, dtype=np.int64)
    np.add.at(energy, place, quantity_wh)
    demand, supply = energy[: 1 << bits], energy[1 << bits :]
    both = demand + supply
    crossing = int(both.cumsum().searchsorted(int(demand.sum()), "right"))
    inhabited = np.flatnonzero(both)
    position = int(inhabited.searchsorted(crossing))
    first = int(inhabited[max(position - 2, 0)])
    last = int(inhabited[min(position + 2, inhabited.size - 1)])
    rows = np.flatnonzero((bucket >= first) & (bucket <= last))
    return _Window(
        rows,
        _Orders(side[rows], quantity_wh[rows], price[rows]),
        demand_above_wh=int(demand[last + 1 :].sum()),
        supply_below_wh=int(supply[:first].sum()),
        is_bounded=True,
    )


def _candidates(window: _Window) -> list[_Candidate]:
    """Every limit price of the window, ascending, with its demand and supply in the whole book."""
    order = np.argsort(window.orders.price_micro_per_kwh, kind="stable")
    price = window.orders.price_micro_per_kwh[order]
    quantity_wh = window.orders.quantity_wh[order]
    sold_wh = quantity_wh * window.orders.side[order]
    bought_to = _running_sums(quantity_wh - sold_wh, window.is_bounded)
    sold_to = _running_sums(sold_wh, window.is_bounded)
    ends = [*np.flatnonzero(price[1:] != price[:-1]).tolist(), price.size - 1]
    demand_wh = window.demand_above_wh + bought_to[-1]
    candidates: list[_Candidate] = []
    for end, level in zip(ends, price[ends].tolist(), strict=True):
        candidates.append(_Candidate(level, demand_wh, window.supply_below_wh + sold_to[end]))
        # the buys of this level are gone from the next one up
        demand_wh = window.demand_above_wh + bought_to[-1] - bought_to[end]
    return candidates


def _running_sums(column: Int64Column, is_bounded: bool) -> list[int]:
    """The sums of a column up to and including each row, exact: in Python integers where int64 may not hold them."""
    sums: list[int] = column.cumsum().tolist() if is_bounded else list(accumulate(column.tolist()))
    return sums


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


class _Level(NamedTuple):
    """The orders of one side and one limit, and what is left for them together."""

    side: int
    price: int
    energy_wh: int


def _fills_outside_level(
    orders: _Orders, candidates: list[_Candidate], volume: int
) -> tuple[Int64Column, _Level | None]:
    """Fills int64[n]: sells up to ``low`` and buys from ``high`` in full, others 0; and the level that gets the rest.

    That is the buys at ``low`` where the supply sets the volume, the sells at ``high`` where the demand does.
    """
    short = next((row for row, c in enumerate(candidates) if c.supply > c.demand), len(candidates))
    low = candidates[short - 1] if short else None
    high = candidates[short] if short < len(candidates) else None
    served = low.supply if low is not None else 0
    asked = high.demand if high is not None else 0
    is_sell = orders.side.view(np.bool_)
    # a buy above low, or a sell not above it
    full = (orders.price_micro_per_kwh > low.price) ^ is_sell if low is not None else ~is_sell
    filled: Int64Column = orders.quantity_wh * full
    if low is not None and served == volume:
        return filled, _Level(BUY, low.price, volume - asked)
    return filled, _Level(SELL, high.price, volume - served) if high is not None else None


def _ration(
    filled: Int64Column, window: _Window, level: _Level | None, rationing: str, sequence: Int64Column | None
) -> None:
    """Write the shares of the rationed level's orders into ``filled``: pro rata, or first come, first served."""
    if level is None or level.energy_wh == 0:
        return
    side, quantity_wh, price = window.orders
    chosen = np.flatnonzero((price == level.price) & (side == level.side))
    rows, quantities = window.rows[chosen], quantity_wh[chosen]
    if rationing == PRO_RATA:
        shares = largest_remainder(level.energy_wh, quantities)
    else:
        shares = _first_come(level.energy_wh, quantities, None if sequence is None else sequence[rows])
    promise(bool((shares <= quantities).all()), "no order is filled beyond its quantity")
    filled[rows] = shares


def _first_come(energy_wh: int, quantities: Int64Column, sequence: Int64Column | None) -> Int64Column:
    """Serve the orders of one level by ``sequence``, then row, until ``energy_wh`` is spent."""
    shares = np.zeros_like(quantities)
    turn = np.arange(quantities.size) if sequence is None else np.argsort(sequence, kind="stable")
    for row in turn.tolist():
        shares[row] = min(energy_wh, int(quantities[row]))
        energy_wh -= int(shares[row])
        if energy_wh == 0:
            break
    return shares
