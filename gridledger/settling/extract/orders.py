"""Orders as ``orders.csv`` has them: those that stood when their gate closed, of profiles too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gridcore.errors import UsageError
from gridledger.settling.dataset import OrderConditions, Orders
from gridledger.settling.files.orders import no_orders
from gridledger.settling.files.stamps import to_iso
from ledger.leaves.book import BookLeaf, Wants, load_orders
from ledger.leaves.columns import Int64
from ledger.registry.zones import Zone
from ledger.store.reader import LedgerReader


def orders_of(reader: LedgerReader, zone: Zone, areas: Sequence[int], slots: Int64) -> Orders:
    """The orders of some areas by slot, then by the bytes of their ids. UsageError for one that is all or none: no file says that."""
    parts = [_of_slot(reader, zone, areas, at, slot_start_s) for at, slot_start_s in enumerate(slots.tolist())]
    given = [part for part in parts if len(part.order)]
    if not given:
        return no_orders()
    names = [name for part in given for name in part.order]
    parties = [party for part in given for party in part.party]
    slot, side, quantity_wh, price = (
        np.concatenate([getattr(part, name) for part in given])
        for name in ("slot", "side", "quantity_wh", "price_micro_per_kwh")
    )
    return Orders(slot, names, parties, side, quantity_wh, price, _joined(given))


def _of_slot(reader: LedgerReader, zone: Zone, areas: Sequence[int], at: int, slot_start_s: int) -> Orders:
    book = load_orders(reader, slot_start_s, zone.name)
    book = book.take(np.flatnonzero(np.isin(book.area, areas)))
    if book.all_or_none.any():
        raise UsageError(f"the slot from {to_iso(slot_start_s)} on has orders that are all or none, which no file says")
    parties = [reader.registry.parties[number] for number in book.party.tolist()]
    names = [f"{party}/{slot_start_s}/{counter}" for party, counter in zip(parties, book.counter.tolist(), strict=True)]
    order = sorted(range(len(names)), key=lambda place: names[place].encode())
    book = book.take(np.array(order, dtype=np.int64))
    return Orders(
        np.full(len(order), at, dtype=np.int64),
        [names[place] for place in order],
        [parties[place] for place in order],
        book.side.astype(np.int8),
        book.quantity_wh,
        book.price_micro_per_kwh,
        _wanted(reader, book),
    )


def _wanted(reader: LedgerReader, book: BookLeaf) -> OrderConditions | None:
    """What the orders of a book ask for; None where none asks."""
    if not book.wants.any():
        return None
    choice, energy_kinds, seller = (np.asarray(column, dtype=np.int64) for column in Wants.unpacked(book.wants))
    asks = energy_kinds > 0
    _, bid = np.unique(np.stack([book.party, book.counter - choice]), axis=1, return_inverse=True)
    bid_wh = np.zeros(len(choice), dtype=np.int64)
    np.maximum.at(bid_wh, bid, book.quantity_wh)
    names = ["" if number == 0 else reader.registry.parties[number - 1] for number in seller.tolist()]
    return OrderConditions(choice, energy_kinds, names, np.where(asks, bid_wh[bid], 0))


def _joined(parts: Sequence[Orders]) -> OrderConditions | None:
    """The conditions of all parts; None where no order is a condition."""
    if all(part.conditions is None for part in parts):
        return None
    each = [part.conditions or _nothing(len(part.order)) for part in parts]
    return OrderConditions(
        np.concatenate([one.choice for one in each]),
        np.concatenate([one.energy_kinds for one in each]),
        [name for one in each for name in one.seller],
        np.concatenate([one.bid_wh for one in each]),
    )


def _nothing(count: int) -> OrderConditions:
    zeros = np.zeros(count, dtype=np.int64)
    return OrderConditions(zeros, zeros, [""] * count, zeros)
