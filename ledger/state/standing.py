"""What stands of parties in a slot, and whether they may order more: quantities, limits and money (docs/spec/state.md, "Orders").

Indexed by place in the parties that are looked at, so that many orders are judged at once.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridcore.codes import Code
from gridcore.column import I64_MAX, I64_MIN
from ledger.leaves.balance import BALANCE
from ledger.leaves.book import BOOK, BUY, SELL, BookLeaf, join_orders
from ledger.leaves.columns import Int64, chunk_bounds, chunks_of, groups
from ledger.leaves.money import NANO
from ledger.registry.zones import ZoneInForce
from ledger.state.draft import Draft
from ledger.state.held import load_held

Bools = NDArray[np.bool_]
HELD_NANO_MAX: Final = 1 << 62
"""More is never held of a party, so that sums stay within int64."""
BALANCE_UNITS_MAX: Final = 8 * 10**9
"""Beyond it, of either sign, every credit is used up or left over, however much is held."""
ACCEPTED: Final = 0


class Offers(NamedTuple):
    """Orders of which no two are of one party: columns int64[n]. party: place among the parties that are looked at."""

    party: Int64
    counter: Int64
    side: Int64
    quantity_wh: Int64
    price_micro_per_kwh: Int64
    exposure_nano: Int64

    def take(self, rows: Int64 | Bools) -> Offers:
        """Some of them."""
        return Offers(*(column[rows] for column in self))


class Standing:
    """What stands of ``parties`` (numbers, ascending) in a slot of a zone, and how much they may still order.

    orders: those that stand before this block.
    """

    def __init__(self, draft: Draft, zone: ZoneInForce, slot_start_s: int, parties: Int64) -> None:
        self.orders = _orders_of(draft, zone, slot_start_s, parties)
        self._counters = np.zeros_like(parties)
        self._ordered_wh = np.zeros((2, len(parties)), dtype=np.int64)
        self._highest_buy = np.full_like(parties, I64_MIN)
        self._lowest_sell = np.full_like(parties, I64_MAX)
        self._deliverable_wh = zone.deliverable_wh(parties)
        self._room_nano = _room_nano(draft, zone, slot_start_s, parties)
        self._add(
            np.searchsorted(parties, self.orders.party),
            self.orders.counter,
            self.orders.side,
            self.orders.quantity_wh,
            self.orders.price_micro_per_kwh,
        )

    def judge(self, offers: Offers) -> Int64:
        """int64[n]: 0 for those that stand from now on, for the others the code of the first check that fails."""
        party, side = offers.party, offers.side
        reused = (self._counters[party] >> offers.counter) & 1 > 0
        above = self._ordered_wh[side, party] + offers.quantity_wh > self._deliverable_wh[party]
        crosses = np.where(
            side == BUY,
            offers.price_micro_per_kwh >= self._lowest_sell[party],
            offers.price_micro_per_kwh <= self._highest_buy[party],
        )
        verdicts = np.select(
            [reused, above, crosses, offers.exposure_nano > self._room_nano[party]],
            [int(Code.ORDER_REUSED), int(Code.ABOVE_POINT_LIMIT), int(Code.CROSSES_OWN), int(Code.NO_CREDIT)],
            ACCEPTED,
        )
        taken = offers.take(verdicts == ACCEPTED)
        self._add(*taken[:-1])
        self._room_nano[taken.party] -= taken.exposure_nano
        return verdicts

    def _add(self, party: Int64, counter: Int64, side: Int64, quantity_wh: Int64, price_micro_per_kwh: Int64) -> None:
        """Take orders into account, several of one party among them."""
        np.bitwise_or.at(self._counters, party, np.left_shift(1, counter))
        np.add.at(self._ordered_wh, (side, party), quantity_wh)
        buys, sells = side == BUY, side == SELL
        np.maximum.at(self._highest_buy, party[buys], price_micro_per_kwh[buys])
        np.minimum.at(self._lowest_sell, party[sells], price_micro_per_kwh[sells])


def _orders_of(draft: Draft, zone: ZoneInForce, slot_start_s: int, parties: Int64) -> BookLeaf:
    """The orders of some parties that stand in a slot."""
    parts: list[BookLeaf] = []
    for chunk in np.unique(chunks_of(parties)).tolist():
        book = BOOK.load(draft, slot_start_s, zone.zone.name, chunk)
        if book is not None:
            parts.append(book.take(np.flatnonzero(np.isin(book.party, parties))))
    return join_orders(parts)


def _room_nano(draft: Draft, zone: ZoneInForce, slot_start_s: int, parties: Int64) -> Int64:
    """int64[n]: what may still be held of some parties: their credit, less what they owe and what is held of them."""
    credit_nano = draft.at(slot_start_s).parties.credit_nano[parties]
    room_nano = np.full_like(parties, HELD_NANO_MAX)
    bound = np.flatnonzero(credit_nano >= 0)
    if len(bound):
        owed_nano = _owed_nano(draft, zone, parties[bound])
        room_nano[bound] = np.minimum(HELD_NANO_MAX, credit_nano[bound] - owed_nano)
    return room_nano - load_held(draft, parties)


def _owed_nano(draft: Draft, zone: ZoneInForce, parties: Int64) -> Int64:
    """int64[n]: the balance of the points that some parties are billed for, cut off at ``BALANCE_UNITS_MAX``."""
    rows, place = zone.rows_billed_to(parties)
    units, nano = np.zeros_like(parties), np.zeros_like(parties)
    for chunk, own in groups(chunks_of(rows)):
        balance = BALANCE.load(draft, zone.zone.name, chunk)
        if balance is not None:
            known = own[rows[own] - chunk_bounds(chunk)[0] < len(balance.units)]  # the zone may have grown since
            at = rows[known] - chunk_bounds(chunk)[0]
            np.add.at(units, place[known], balance.units[at])
            np.add.at(nano, place[known], balance.nano[at])
    units += nano // NANO
    return np.clip(units, -BALANCE_UNITS_MAX, BALANCE_UNITS_MAX) * NANO + nano % NANO
