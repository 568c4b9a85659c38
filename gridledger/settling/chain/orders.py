"""The orders of a dataset as an aggregator's batches, a slot each."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from gridcore.errors import GridError
from gridcore.transactions.order_batch import ROWS_MAX, OrderBatch
from gridledger.settling.chain.founding import VALID_S, ZONE_NAME
from gridledger.settling.dataset import Dataset, OrderConditions, SlotOrders
from ledger.leaves.book import load_orders
from ledger.leaves.columns import Int64
from ledger.state.order_columns import OrderColumns, WantedColumns
from ledger.store.ledger import Ledger


class PlacedOrders(NamedTuple):
    """A batch, and what travels beside it."""

    content: OrderBatch
    attachment: bytes


def order_batches(ledger: Ledger, dataset: Dataset, slots: slice, now_s: int) -> Iterator[PlacedOrders]:
    """The batches of some slots of a dataset, at ledger time ``now_s``. GridError for an order whose id has no counter."""
    numbers = ledger.registry.party_number
    for slot in range(slots.start, slots.stop):
        slot_start_s = int(dataset.slot_start_s[slot])
        placed = _placed(dataset.orders.of_slot(slot, slot_start_s), numbers)
        standing = _standing(ledger, slot_start_s)
        if len(standing) and not np.array_equal(standing, _as_standing(placed)):
            raise GridError(
                f"orders.csv: slot {slot_start_s}: the ledger has other orders of it, and it is cleared: orders cannot change"
            )
        if len(standing):
            continue
        for part in _parts(placed):
            columns = placed.take(part, secrets.token_bytes(32))
            content = OrderBatch(
                client_id=secrets.token_bytes(16),
                valid_until_s=now_s + VALID_S,
                rows=len(columns.party),
                rows_root=columns.rows_root,
                slot_start_s=slot_start_s,
                zone=ZONE_NAME,
            )
            yield PlacedOrders(content, columns.encode())


def _parts(placed: OrderColumns) -> Iterator[Int64]:
    """Rows as they go into batches: the conditions of a bid one behind the other, in one batch."""
    rows = np.arange(len(placed.party))
    if placed.wanted is not None:
        rows = np.lexsort((placed.counter, placed.party))
    goes_on = np.zeros(len(rows), dtype=bool) if placed.wanted is None else placed.wanted.choice[rows] > 0
    begin = 0
    while begin < len(rows):
        end = min(begin + ROWS_MAX, len(rows))
        while end < len(rows) and goes_on[end]:
            end -= 1
        yield rows[begin:end]
        begin = end


def _standing(ledger: Ledger, slot_start_s: int) -> Int64:
    """The orders of a slot that the ledger has, a row each: party, counter, side, quantity, limit, what it wants; sorted."""
    book = load_orders(ledger, slot_start_s, ZONE_NAME)
    columns = (book.party, book.counter, book.side, book.quantity_wh, book.price_micro_per_kwh, book.wants)
    return _sorted(np.stack(columns, axis=1))


def _as_standing(placed: OrderColumns) -> Int64:
    """Orders as ``_standing`` has them."""
    wants = np.zeros_like(placed.party) if placed.wanted is None else placed.wanted.packed
    columns = (placed.party, placed.counter, placed.side, placed.quantity_wh, placed.price_micro_per_kwh, wants)
    return _sorted(np.stack(columns, axis=1))


def _sorted(rows: Int64) -> Int64:
    """Rows in the order of their tuples."""
    return rows[np.lexsort(rows.T[::-1])]


def _placed(orders: SlotOrders, number: Mapping[str, int]) -> OrderColumns:
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
