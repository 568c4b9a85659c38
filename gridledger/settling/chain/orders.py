"""The orders of a dataset as an aggregator's batches, a slot each."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from gridcore.errors import GridError
from gridcore.transactions.order_batch import NOTHING, ROWS_MAX, OrderBatch, PlacedOrder, Wanted, attach_orders
from gridledger.settling.chain.founding import VALID_S, ZONE_NAME
from gridledger.settling.dataset import Dataset, OrderConditions
from ledger.leaves.book import Wants, load_orders
from ledger.store.ledger import Ledger

_Standing: TypeAlias = tuple[int, ...]
"""An order as the book has it: party, counter, side, quantity, limit, what it wants."""


class PlacedOrders(NamedTuple):
    """A batch, and what travels beside it."""

    content: OrderBatch
    attachment: bytes


def order_batches(ledger: Ledger, dataset: Dataset, slots: slice, now_s: int) -> Iterator[PlacedOrders]:
    """The batches of some slots of a dataset, at ledger time ``now_s``. GridError for an order whose id has no counter."""
    orders = dataset.orders
    for slot in range(slots.start, slots.stop):
        first, end = np.searchsorted(orders.slot, [slot, slot + 1]).tolist()
        slot_start_s = int(dataset.slot_start_s[slot])
        placed = [_placed(ledger, dataset, at) for at in range(first, end)]
        standing = _standing(ledger, slot_start_s)
        if standing and standing != sorted(map(_as_standing, placed)):
            raise GridError(
                f"orders.csv: slot {slot_start_s}: the ledger has other orders of it, and it is cleared: orders cannot change"
            )
        if standing:
            continue
        for part in _parts(placed):
            attached = attach_orders(secrets.token_bytes(32), part)
            content = OrderBatch(
                client_id=secrets.token_bytes(16),
                valid_until_s=now_s + VALID_S,
                rows=attached.rows,
                rows_root=attached.rows_root,
                slot_start_s=slot_start_s,
                zone=ZONE_NAME,
            )
            yield PlacedOrders(content, attached.attachment)


def _parts(placed: Sequence[PlacedOrder]) -> Iterator[Sequence[PlacedOrder]]:
    """Orders as they go into batches: the conditions of a bid one behind the other, in one batch."""
    if any(order.wanted != NOTHING for order in placed):
        placed = sorted(placed, key=lambda order: (order.party, order.counter))
    begin = 0
    while begin < len(placed):
        end = min(begin + ROWS_MAX, len(placed))
        while end < len(placed) and placed[end].wanted.choice > 0:
            end -= 1
        yield placed[begin:end]
        begin = end


def _standing(ledger: Ledger, slot_start_s: int) -> list[_Standing]:
    """The orders of a slot that the ledger has, sorted."""
    book = load_orders(ledger, slot_start_s, ZONE_NAME)
    columns = (book.party, book.counter, book.side, book.quantity_wh, book.price_micro_per_kwh, book.wants)
    return sorted(zip(*(column.tolist() for column in columns), strict=True))


def _as_standing(order: PlacedOrder) -> _Standing:
    choice, energy_kinds, seller, _ = order.wanted
    return (*order[:-1], int(Wants(choice, energy_kinds, seller).packed))


def _placed(ledger: Ledger, dataset: Dataset, at: int) -> PlacedOrder:
    orders = dataset.orders
    counter = orders.order[at].rpartition("/")[2]
    if not counter.isascii() or not counter.isdigit():
        raise GridError(
            f"orders.csv: order {orders.order[at]!r}: <party>/<slot_start_s>/<counter>, with a counter of 1 to 16"
        )
    return PlacedOrder(
        party=ledger.registry.party_number[orders.party[at]],
        counter=int(counter),
        side=int(orders.side[at]),
        quantity_wh=int(orders.quantity_wh[at]),
        price_micro_per_kwh=int(orders.price_micro_per_kwh[at]),
        wanted=NOTHING if orders.conditions is None else _wanted(ledger, orders.conditions, at),
    )


def _wanted(ledger: Ledger, conditions: OrderConditions, at: int) -> Wanted:
    seller = conditions.seller[at]
    return Wanted(
        choice=int(conditions.choice[at]),
        energy_kinds=int(conditions.energy_kinds[at]),
        seller=ledger.registry.party_number[seller] + 1 if seller else 0,
        bid_wh=int(conditions.bid_wh[at]),
    )
