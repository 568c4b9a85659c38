"""What stands of parties in a slot, and whether they may order more: quantities, limits and money (docs/spec/state.md, "Orders").

Indexed by place in the parties that are looked at, so that many offers are judged at once.
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
NOBODY: Final = -1


class Offers(NamedTuple):
    """Columns int64[n]. party: place among the parties that are looked at; withdraws, counters: of orders, a bit each; the rest is of
    what it brings together: price_micro_per_kwh: the limit at which it trades most easily; first_order, orders: which ones.
    """

    party: Int64
    withdraws: Int64
    counters: Int64
    side: Int64
    quantity_wh: Int64
    price_micro_per_kwh: Int64
    exposure_nano: Int64
    first_order: Int64
    orders: Int64

    def take(self, rows: Int64 | Bools) -> Offers:
        """Some of them."""
        return Offers(*(column[rows] for column in self))


class Standing:
    """What stands of ``parties`` (numbers, ascending) in a slot of a zone, and how much they may still order.

    orders: those of before this block, as many as ``before``, then the ``offered`` ones; is_known: bool beside them, has been taken at some
    time; withdrawn_by: int64, the place of the offer that withdrew each in this block, else ``NOBODY``; is_firm: what was ordered counts, and
    is held, until the gate, also once it is withdrawn: it may have traded before.
    """

    def __init__(
        self,
        draft: Draft,
        zone: ZoneInForce,
        slot_start_s: int,
        parties: Int64,
        offered: BookLeaf,
        *,
        is_firm: bool,
    ) -> None:
        self.is_firm = is_firm
        before = _orders_of(draft, zone, slot_start_s, parties)
        self.before = len(before.party)
        self.orders = join_orders([before, offered])
        self.withdrawn_by = np.full_like(self.orders.party, NOBODY)
        self._place = np.searchsorted(parties, self.orders.party)
        self._by_party = np.argsort(self._place, kind="stable")
        self._bounds = np.searchsorted(self._place[self._by_party], np.arange(len(parties) + 1))
        self._exposure_nano = self.orders.quantity_wh * self.orders.held_micro_per_kwh
        self.is_known = np.arange(len(self._place)) < self.before
        self._stands = self.is_known & (self.orders.withdrawn_height == 0)
        self._used = np.zeros_like(parties)
        np.bitwise_or.at(self._used, self._place[: self.before], _bits(before.counter))
        self._standing = np.zeros_like(parties)
        self._ordered_wh = np.zeros((2, len(parties)), dtype=np.int64)
        self._highest_buy = np.full_like(parties, I64_MIN)
        self._lowest_sell = np.full_like(parties, I64_MAX)
        self._deliverable_wh = zone.deliverable_wh(parties)
        self._room_nano = _room_nano(draft, zone, slot_start_s, parties)
        self._recount(np.arange(len(parties)))

    def offers(self, party: Int64, withdraws: Int64, offer: Int64) -> Offers:
        """The offers with their orders summed up. party: places; offer: int64[offered], ascending, the place of each one's offer."""
        own = slice(self.before, None)
        own_side, price = self.orders.side[own], self.orders.price_micro_per_kwh[own]
        counters, side, quantity_wh, exposure_nano = (np.zeros_like(party) for _ in range(4))
        np.bitwise_or.at(counters, offer, _bits(self.orders.counter[own]))
        side[offer] = own_side
        np.add.at(quantity_wh, offer, self.orders.quantity_wh[own])
        np.add.at(exposure_nano, offer, self._exposure_nano[own])
        limit = np.where(side == BUY, I64_MIN, I64_MAX)
        buys, sells = own_side == BUY, own_side == SELL
        np.maximum.at(limit, offer[buys], price[buys])
        np.minimum.at(limit, offer[sells], price[sells])
        orders = np.bincount(offer, minlength=len(party))
        first_order = self.before + np.cumsum(orders) - orders
        return Offers(party, withdraws, counters, side, quantity_wh, limit, exposure_nano, first_order, orders)

    @property
    def entered(self) -> Int64:
        """The rows of offered orders that were taken."""
        return self.before + np.flatnonzero(self.is_known[self.before :])

    def judge(self, at: Int64, offers: Offers) -> Int64:
        """int64[n]: 0 for those that stand from now on, for the others the code of the first check that fails.

        at: their places among all offers; no two are of one party.
        """
        party, side, brings = offers.party, offers.side, offers.counters > 0
        lacks = (offers.withdraws & ~self._standing[party]) > 0
        # as often as it is asked: what is withdrawn already is not withdrawn again
        is_done = lacks & ~brings & (offers.withdraws & (self._standing[party] | ~self._used[party]) == 0)
        reused = (self._used[party] & offers.counters) > 0
        asked = (offers.withdraws > 0) & ~lacks & ~reused
        self._withdraw(offers.take(asked), at[asked])
        above = self._ordered_wh[side, party] + offers.quantity_wh > self._deliverable_wh[party]
        crosses = np.where(
            side == BUY,
            offers.price_micro_per_kwh >= self._lowest_sell[party],
            offers.price_micro_per_kwh <= self._highest_buy[party],
        )
        has_no_credit = offers.exposure_nano > self._room_nano[party]
        checks = [
            (reused, Code.ORDER_REUSED),
            (is_done, Code.EXISTS),
            (lacks, Code.NO_SUCH_ORDER),
            (brings & above, Code.ABOVE_POINT_LIMIT),
            (brings & crosses, Code.CROSSES_OWN),
            (brings & has_no_credit, Code.NO_CREDIT),
        ]
        verdicts = np.select([fails for fails, _ in checks], [int(code) for _, code in checks], ACCEPTED)
        self._restore(offers.take(asked & (verdicts != ACCEPTED)), at[asked & (verdicts != ACCEPTED)])
        taken = offers.take(verdicts == ACCEPTED)
        self._used[taken.party] |= taken.counters
        rows = _ranges(taken.first_order, taken.orders)
        self.is_known[rows] = self._stands[rows] = True
        self._note(rows)
        self._count(rows)
        self._room_nano[taken.party] -= taken.exposure_nano
        return verdicts

    def _withdraw(self, offers: Offers, at: Int64) -> None:
        """Take back the orders that some offers withdraw; all of them stand."""
        if not len(at):
            return
        rows, of = self._rows_of(offers.party)
        asked = self._stands[rows] & ((offers.withdraws[of] >> self.orders.counter[rows]) & 1 > 0)
        rows, of = rows[asked], of[asked]
        self._stands[rows], self.withdrawn_by[rows] = False, at[of]
        if not self.is_firm:
            np.add.at(self._room_nano, self._place[rows], self._exposure_nano[rows])
        self._recount(offers.party)

    def _restore(self, offers: Offers, at: Int64) -> None:
        """The inverse, for offers that do not stand."""
        if not len(at):
            return
        rows, of = self._rows_of(offers.party)
        rows = rows[self.withdrawn_by[rows] == at[of]]
        self._stands[rows], self.withdrawn_by[rows] = True, NOBODY
        if not self.is_firm:
            np.subtract.at(self._room_nano, self._place[rows], self._exposure_nano[rows])
        self._recount(offers.party)

    def _recount(self, parties: Int64) -> None:
        """What stands and counts of some parties, once more from their orders: a highest limit cannot be taken back."""
        rows, _ = self._rows_of(parties)
        self._standing[parties] = 0
        self._ordered_wh[:, parties] = 0
        self._highest_buy[parties], self._lowest_sell[parties] = I64_MIN, I64_MAX
        self._note(rows[self._stands[rows]])
        counts = self.is_known if self.is_firm else self._stands
        self._count(rows[counts[rows]])

    def _rows_of(self, parties: Int64) -> tuple[Int64, Int64]:
        """The orders of some parties, and the place of each one's party among these: no work is done for anybody else's."""
        first, count = self._bounds[parties], self._bounds[parties + 1] - self._bounds[parties]
        return self._by_party[_ranges(first, count)], np.repeat(np.arange(len(parties)), count)

    def _count(self, rows: Int64) -> None:
        """Count the quantities of orders, several of one party among them."""
        np.add.at(self._ordered_wh, (self.orders.side[rows], self._place[rows]), self.orders.quantity_wh[rows])

    def _note(self, rows: Int64) -> None:
        """Take counters and limits of orders that stand into account, several of one party among them."""
        party, side, price = self._place[rows], self.orders.side[rows], self.orders.price_micro_per_kwh[rows]
        np.bitwise_or.at(self._standing, party, _bits(self.orders.counter[rows]))
        buys, sells = side == BUY, side == SELL
        np.maximum.at(self._highest_buy, party[buys], price[buys])
        np.minimum.at(self._lowest_sell, party[sells], price[sells])


def _bits(counter: Int64) -> Int64:
    return np.left_shift(1, counter)


def _ranges(first: Int64, count: Int64) -> Int64:
    """The numbers of some ranges, one range after the other."""
    ends = np.cumsum(count)
    return np.repeat(first - (ends - count), count) + np.arange(int(count.sum()))


def _orders_of(draft: Draft, zone: ZoneInForce, slot_start_s: int, parties: Int64) -> BookLeaf:
    """The orders of some parties in a slot, withdrawn ones among them."""
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
