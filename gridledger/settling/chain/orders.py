"""The orders of a dataset as transactions: an aggregator's batches, and orders that are all or none, which no batch takes, signed one by one.

What came later stands in a later block: a slot's orders come in rounds, a block each, and what one block does not hold comes in further rounds. Of a
slot that the ledger has orders of already it is told by their heights how many rounds are there, so that an import that was interrupted goes on
behind them.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from gridcore.errors import GridError
from gridcore.transactions.content import Content
from gridcore.transactions.market_order import NONCE_BYTES, SIDES, MarketOrder
from gridcore.transactions.order_batch import ROWS_MAX, OrderBatch
from gridledger.settling.chain.founding import IMPORTER, ZONE_NAME
from gridledger.settling.chain.rounds import Moments, divided, room_of
from gridledger.settling.chain.validity import Validity
from gridledger.settling.dataset import NEVER, Dataset, OrderConditions, SlotOrders
from ledger.leaves.book import load_all_orders
from ledger.leaves.columns import Int64
from ledger.state.order_columns import OrderColumns, WantedColumns
from ledger.store.ledger import Ledger

ORDERS_OF_BLOCK_MAX: Final = 1 << 20
"""Rows of batches in one block, each at most 25 bytes of columns: with a day's energies less than a block holds. What is more comes in the next one."""
_WITHDRAWS_WH: Final = 0
"""A row of a batch of this quantity withdraws the order of its party and counter."""


class PlacedOrders(NamedTuple):
    """A transaction with orders, what travels beside it, and the name of who signs it."""

    content: Content
    attachment: bytes
    signer: str


class _Rounds(NamedTuple):
    """The orders of a slot. come, go: as of ``Moments``; is_whole: int64[n], 1 where it is all or none; how_many: rounds."""

    slot_start_s: int
    party: Sequence[str]
    placed: OrderColumns
    is_whole: Int64
    come: Int64
    go: Int64
    how_many: int

    def standing(self, rounds: int) -> Int64:
        """The orders as the ledger has them after the first ``rounds``."""
        there = np.flatnonzero(self.come < rounds)
        placed, go = self.placed.take(there, b""), self.go[there]
        wants = np.zeros_like(there) if placed.wanted is None else placed.wanted.packed
        columns = (placed.party, placed.counter, placed.side, placed.quantity_wh, placed.price_micro_per_kwh, wants)
        return _sorted(*columns, self.is_whole[there], self.come[there], np.where(go < rounds, go, NEVER))

    def rows_of(self, number: int) -> int:
        """How many rows of batches a round takes as much room as."""
        return int(room_of(self.is_whole[self.come == number]).sum()) + int(np.count_nonzero(self.go == number))


class _Waiting(NamedTuple):
    """A slot, and its next round."""

    of: _Rounds
    number: int


class Placing(NamedTuple):
    """Whose orders are brought to which ledger. areas: of each party that has an order of its own; validity: of what the importer signs."""

    ledger: Ledger
    dataset: Dataset
    areas: Mapping[str, str]
    validity: Validity

    @classmethod
    def of(cls, ledger: Ledger, dataset: Dataset, validity: Validity) -> Placing:
        """Made once, since slots of large datasets are asked for one by one."""
        signers = dataset.orders.signers
        points = dataset.points if signers else ()
        areas = {party: point.area for point in points for party in point.parties if party in signers}
        return cls(ledger, dataset, areas, validity)


def order_rounds(placing: Placing, slots: Sequence[int], now_s: int) -> Iterator[Iterable[PlacedOrders]]:
    """The orders of some slots that the ledger has not, at ledger time ``now_s``: what goes into one block, then what goes into the next one.

    Each is used up before the next one is asked for. GridError for an order whose id has no counter, and where the ledger has other orders of a slot.
    """
    waiting = list(_first_rounds(placing.ledger, placing.dataset, slots))
    while waiting:
        for together in _in_blocks(waiting):
            yield (placed for one in together for placed in _placed(placing, one, now_s))
        waiting = [one._replace(number=one.number + 1) for one in waiting if one.number + 1 < one.of.how_many]


def _first_rounds(ledger: Ledger, dataset: Dataset, slots: Sequence[int]) -> Iterator[_Waiting]:
    """The first round that the ledger has not of each of some slots that has one."""
    for slot in slots:
        slot_start_s = int(dataset.slot_start_s[slot])
        own = _rounds(dataset.orders.of_slot(slot, slot_start_s), slot_start_s, ledger.registry.party_number)
        done = _rounds_done(ledger, own)
        if done < own.how_many:
            yield _Waiting(own, done)


def _in_blocks(rounds: Iterable[_Waiting]) -> Iterator[Sequence[_Waiting]]:
    """Rounds of different slots as they go into blocks."""
    together: list[_Waiting] = []
    left = ORDERS_OF_BLOCK_MAX
    for one in rounds:
        rows = one.of.rows_of(one.number)
        if together and rows > left:
            yield together
            together, left = [], ORDERS_OF_BLOCK_MAX
        together.append(one)
        left -= rows
    if together:
        yield together


def _rounds(orders: SlotOrders, slot_start_s: int, number: Mapping[str, int]) -> _Rounds:
    """The orders of a slot in rounds. number: of each party on the chain."""
    count = len(orders.party)
    moments = Moments(np.zeros(count, dtype=np.int64), np.full(count, NEVER))
    is_whole = np.zeros(count, dtype=np.int64) if orders.all_or_none is None else orders.all_or_none.astype(np.int64)
    if orders.times is not None:
        # at one time first what is withdrawn and all limit orders, in one block; then what is signed one by one
        turn = np.where(is_whole > 0, np.arange(count) + 1, 0).tolist()
        came = list(zip(orders.times.arrival.tolist(), turn, strict=True))
        went = [(at, 0) for at in orders.times.cancelled_at.tolist()]
        place = {moment: at for at, moment in enumerate(sorted({*came, *(at for at in went if at[0] != NEVER)}))}
        come = np.array([place[moment] for moment in came], dtype=np.int64)
        moments = Moments(come, np.array([place.get(moment, NEVER) for moment in went], dtype=np.int64))
    placed = _columns(orders, number)
    # which of several batches of a block ranks first their ids say: where times are told a round is one batch
    come, go = divided(placed, is_whole, moments, ORDERS_OF_BLOCK_MAX if orders.times is None else ROWS_MAX)
    return _Rounds(slot_start_s, orders.party, placed, is_whole, come, go, int(np.append(come, go).max(initial=-1)) + 1)


def _rounds_done(ledger: Ledger, own: _Rounds) -> int:
    """How many rounds of a slot's orders the ledger has; GridError where it has other orders."""
    book = load_all_orders(ledger, own.slot_start_s, ZONE_NAME)
    heights = np.unique(np.append(book.recorded_height, book.withdrawn_height[book.withdrawn_height > 0]))
    go = np.where(book.withdrawn_height > 0, np.searchsorted(heights, book.withdrawn_height), NEVER)
    columns = (book.party, book.counter, book.side, book.quantity_wh, book.price_micro_per_kwh, book.wants)
    standing = _sorted(*columns, book.all_or_none, np.searchsorted(heights, book.recorded_height), go)
    if not np.array_equal(standing, own.standing(len(heights))):
        what = f"orders.csv: slot {own.slot_start_s}: the ledger has other orders of it, and it is cleared"
        raise GridError(f"{what}: orders cannot change")
    return len(heights)


def _sorted(*columns: Int64) -> Int64:
    """Orders a row each, in the order of their tuples."""
    rows = np.stack(columns, axis=1)
    return rows[np.lexsort(rows.T[::-1])]


def _placed(placing: Placing, waiting: _Waiting, now_s: int) -> Iterator[PlacedOrders]:
    """The transactions of one round."""
    own, number = waiting
    gone, come = np.flatnonzero(own.go == number), own.come == number
    batched = _joined(_withdrawing(own.placed, gone), own.placed.take(np.flatnonzero(come & (own.is_whole == 0)), b""))
    for part in _parts(batched):
        columns = batched.take(part, secrets.token_bytes(32))
        content = OrderBatch(
            client_id=secrets.token_bytes(16),
            valid_until_s=placing.validity.next_s(now_s),
            rows=len(columns.party),
            rows_root=columns.rows_root,
            slot_start_s=own.slot_start_s,
            zone=ZONE_NAME,
        )
        yield PlacedOrders(content, columns.encode(), IMPORTER)
    for at in np.flatnonzero(come & (own.is_whole > 0)).tolist():
        order = MarketOrder(
            all_or_none=True,
            area=placing.areas[own.party[at]],
            counter=int(own.placed.counter[at]),
            nonce=secrets.token_bytes(NONCE_BYTES),
            price_micro_per_kwh=int(own.placed.price_micro_per_kwh[at]),
            quantity_wh=int(own.placed.quantity_wh[at]),
            side=SIDES[int(own.placed.side[at])],
            slot_start_s=own.slot_start_s,
        )
        yield PlacedOrders(order, b"", own.party[at])


def _withdrawing(placed: OrderColumns, rows: Int64) -> OrderColumns:
    """Rows that withdraw some orders."""
    none = np.zeros_like(rows)
    return OrderColumns(b"", placed.party[rows], placed.counter[rows], none, none + _WITHDRAWS_WH, none)


def _joined(first: OrderColumns, then: OrderColumns) -> OrderColumns:
    """The rows of both."""
    if not len(first.party):
        return then
    names = ("party", "counter", "side", "quantity_wh", "price_micro_per_kwh")
    columns: dict[str, Any] = {name: np.append(getattr(first, name), getattr(then, name)) for name in names}
    if then.wanted is None:
        return OrderColumns(seed=b"", **columns)
    none, own = np.zeros_like(first.party), then.wanted
    wanted = [np.append(none, column) for column in (own.choice, own.energy_kinds, own.seller, own.bid_wh)]
    return OrderColumns(seed=b"", **columns, wanted=WantedColumns(*wanted))


def _parts(placed: OrderColumns) -> Iterator[Int64]:
    """Rows as they go into batches, first those that withdraw: the conditions of a bid one behind the other, in one batch."""
    rows = np.arange(len(placed.party))
    if placed.wanted is not None:
        rows = np.lexsort((placed.counter, placed.party, placed.quantity_wh != _WITHDRAWS_WH))
    goes_on = np.zeros(len(rows), dtype=bool) if placed.wanted is None else placed.wanted.choice[rows] > 0
    begin = 0
    while begin < len(rows):
        end = min(begin + ROWS_MAX, len(rows))
        while end < len(rows) and goes_on[end]:
            end -= 1
        yield rows[begin:end]
        begin = end


def _columns(orders: SlotOrders, number: Mapping[str, int]) -> OrderColumns:
    """The orders of a slot as a batch has them, without a seed yet. number: of each party on the chain."""
    conditions = orders.conditions
    has_wants = conditions is not None and bool(conditions.energy_kinds.any())
    return OrderColumns(
        seed=b"",
        party=np.array([number[party] for party in orders.party], dtype=np.int64),
        counter=orders.counter,
        side=orders.side.astype(np.int64),
        quantity_wh=orders.quantity_wh,
        price_micro_per_kwh=orders.price_micro_per_kwh,
        wanted=_wanted(conditions, number) if conditions is not None and has_wants else None,
    )


def _wanted(conditions: OrderConditions, number: Mapping[str, int]) -> WantedColumns:
    return WantedColumns(
        choice=conditions.choice,
        energy_kinds=conditions.energy_kinds,
        seller=np.array([number[seller] + 1 if seller else 0 for seller in conditions.seller], dtype=np.int64),
        bid_wh=conditions.bid_wh,
    )
