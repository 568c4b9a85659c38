"""Orders matched one against one: a book at its gate at the buyers' limits, and a continuous book at the resting limit.

``pay_as_bid/1`` and ``continuous_double_auction/1`` of the conformance vectors. Quantities in Wh, limits in micro-currency per
kWh of any sign. Orders of one participant may meet each other.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from settlement.errors import SettlementError


class LimitOrder(NamedTuple):
    """An order to buy at most at its limit, or to sell at least at it."""

    order_id: str
    is_buy: bool
    quantity_wh: int
    limit: int


class SequencedOrder(NamedTuple):
    """An order and its place among those of equal limit; equal places are ordered by the bytes of the id."""

    order: LimitOrder
    sequence: int


class Trade(NamedTuple):
    """One match: ``price`` in micro-currency per kWh."""

    buy_id: str
    sell_id: str
    energy_wh: int
    price: int


def match_pay_as_bid(orders: Iterable[SequencedOrder]) -> list[Trade]:
    """Match the best buy with the best sell, each time at the buy's limit, while limits cross.

    SettlementError for a quantity of 0 or less and an id that occurs twice. Energy traded never exceeds a quantity.
    """
    ordered = sorted(orders, key=lambda entry: (entry.sequence, entry.order.order_id.encode("utf-8")))
    book = ContinuousBook()
    sells = [order for order, _ in ordered if not order.is_buy]
    # with all sells resting, each buy in turn takes the best of them: only the price is another one
    buys = sorted((order for order, _ in ordered if order.is_buy), key=lambda order: -order.limit)
    for sell in sells:
        book.submit(sell)
    return [trade._replace(price=buy.limit) for buy in buys for trade in book.submit(buy)]


class ContinuousBook:
    """A book that matches each order as it arrives."""

    def __init__(self) -> None:
        self._resting_wh: dict[str, int] = {}
        self._seen: set[str] = set()
        # by side: (limit, best first; arrival; id), ids that rest no more are dropped when they come to the top
        self._best: dict[bool, list[tuple[int, int, str]]] = {True: [], False: []}

    @property
    def resting_wh(self) -> Mapping[str, int]:
        """What rests, by order id, in the order of arrival."""
        return MappingProxyType(self._resting_wh)

    def submit(self, order: LimitOrder) -> list[Trade]:
        """Match ``order`` with the best opposite orders (limit, then arrival) at their limits; what is left rests.

        SettlementError for a quantity of 0 or less, and for an id that was used before, even by a cancelled order.
        """
        if order.quantity_wh <= 0:
            raise SettlementError(f"order {order.order_id}: a quantity is above 0, not {order.quantity_wh}")
        if order.order_id in self._seen:
            raise SettlementError(f"order id {order.order_id} occurs twice")
        self._seen.add(order.order_id)
        trades: list[Trade] = []
        left_wh = order.quantity_wh
        while left_wh and (best := self._crossing(order)) is not None:
            resting_id, limit = best
            energy_wh = min(left_wh, self._resting_wh[resting_id])
            left_wh -= energy_wh
            self._take(resting_id, energy_wh)
            pair = (order.order_id, resting_id) if order.is_buy else (resting_id, order.order_id)
            trades.append(Trade(*pair, energy_wh, limit))
        if left_wh:
            self._resting_wh[order.order_id] = left_wh
            key = -order.limit if order.is_buy else order.limit
            heapq.heappush(self._best[order.is_buy], (key, len(self._seen), order.order_id))
        return trades

    def cancel(self, order_id: str) -> None:
        """Take an order out of the book. SettlementError where it does not rest: unknown, filled or cancelled before."""
        if order_id not in self._resting_wh:
            raise SettlementError(f"order {order_id} cannot be cancelled: it does not rest in the book")
        del self._resting_wh[order_id]

    def _crossing(self, order: LimitOrder) -> tuple[str, int] | None:
        """The best opposite order and its limit, None where there is none that ``order`` crosses."""
        opposite = self._best[not order.is_buy]
        while opposite and opposite[0][2] not in self._resting_wh:
            heapq.heappop(opposite)
        if not opposite:
            return None
        key, _, order_id = opposite[0]
        limit = key if order.is_buy else -key
        crosses = limit <= order.limit if order.is_buy else limit >= order.limit
        return (order_id, limit) if crosses else None

    def _take(self, order_id: str, energy_wh: int) -> None:
        self._resting_wh[order_id] -= energy_wh
        if not self._resting_wh[order_id]:
            del self._resting_wh[order_id]
