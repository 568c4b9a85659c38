"""The orders of a dataset as an aggregator's batches, a slot each."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from gridcore.errors import GridError
from gridcore.transactions.order_batch import ROWS_MAX, OrderBatch, PlacedOrder, attach_orders
from gridledger.settling.chain.founding import VALID_S, ZONE_NAME
from gridledger.settling.dataset import Dataset
from ledger.leaves.book import BookLeaf, load_orders
from ledger.leaves.cleared import load_cleared
from ledger.leaves.clearing import CLEARING
from ledger.leaves.fills import FillsLeaf, load_fills
from ledger.store.ledger import Ledger


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
        if standing and standing != sorted(placed):
            raise GridError(
                f"orders.csv: slot {slot_start_s}: the ledger has other orders of it, and it is cleared: orders cannot change"
            )
        if standing:
            continue
        for begin in range(0, len(placed), ROWS_MAX):
            attached = attach_orders(secrets.token_bytes(32), placed[begin : begin + ROWS_MAX])
            content = OrderBatch(
                client_id=secrets.token_bytes(16),
                valid_until_s=now_s + VALID_S,
                rows=attached.rows,
                rows_root=attached.rows_root,
                slot_start_s=slot_start_s,
                zone=ZONE_NAME,
            )
            yield PlacedOrders(content, attached.attachment)


def _standing(ledger: Ledger, slot_start_s: int) -> list[PlacedOrder]:
    """The orders of a slot that the ledger has, sorted."""
    clearing = CLEARING.load(ledger, slot_start_s, ZONE_NAME)
    if clearing is None:
        found: BookLeaf | FillsLeaf = load_orders(ledger, slot_start_s, ZONE_NAME)
    else:
        cleared = load_cleared(ledger, slot_start_s, ZONE_NAME, clearing.areas)
        found = load_fills(ledger, slot_start_s, ZONE_NAME, int(cleared.orders.sum()) if cleared else 0)
    columns = (found.party, found.counter, found.side, found.quantity_wh, found.price_micro_per_kwh)
    return sorted(PlacedOrder(*row) for row in zip(*(column.tolist() for column in columns), strict=True))


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
    )
