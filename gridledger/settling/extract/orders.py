"""Orders as ``orders.csv`` has them, of profiles too: when they came and went, and which are all or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from gridcore.errors import broken
from gridledger.settling.dataset import NEVER, OrderConditions, Orders, OrderTimes, PointRow
from gridledger.settling.files.orders import no_orders
from ledger.leaves.book import BookLeaf, Wants, load_all_orders
from ledger.leaves.columns import Int64
from ledger.registry.zones import Zone
from ledger.state.ranks import by_arrival
from ledger.store.reader import LedgerReader


class _Known(NamedTuple):
    """What a ledger's slots are read with. areas: numbers; rank: of each party in the folder, by its number on the ledger."""

    reader: LedgerReader
    zone: Zone
    areas: Sequence[int]
    rank: Mapping[int, int]


def orders_of(
    reader: LedgerReader, zone: Zone, areas: Sequence[int], slots: Int64, points: Sequence[PointRow]
) -> Orders:
    """The orders of some areas by slot, then by the bytes of their ids; those that were withdrawn among them, unless it was before they could trade.

    points: those of the folder: of orders that come at one moment those of its first parties are first.
    """
    names = dict.fromkeys(party for point in points for party in point.parties)
    known = _Known(reader, zone, areas, {reader.registry.party_number[name]: rank for rank, name in enumerate(names)})
    parts = [_of_slot(known, at, slot_start_s) for at, slot_start_s in enumerate(slots.tolist())]
    given = [part for part in parts if len(part.order)]
    if not given:
        return no_orders()
    slot, side, quantity_wh, price, arrival, cancelled_at, is_whole = (
        np.concatenate(columns) for columns in zip(*(_columns(part) for part in given), strict=True)
    )
    has_times = bool(arrival.any()) or bool((cancelled_at != NEVER).any())
    return Orders(
        slot,
        [name for part in given for name in part.order],
        [party for part in given for party in part.party],
        side,
        quantity_wh,
        price,
        _joined(given),
        is_whole if is_whole.any() else None,
        OrderTimes(arrival, cancelled_at) if has_times else None,
    )


def _columns(part: Orders) -> Sequence[np.ndarray[tuple[int], np.dtype[np.generic]]]:
    times, is_whole = part.times, part.all_or_none
    if times is None or is_whole is None:
        broken("a slot's part has all columns")
    return part.slot, part.side, part.quantity_wh, part.price_micro_per_kwh, *times, is_whole


def _of_slot(known: _Known, at: int, slot_start_s: int) -> Orders:
    """The orders of a slot, with the column ``all_or_none`` and times from 0 on."""
    book = load_all_orders(known.reader, slot_start_s, known.zone.name)
    is_early = (book.withdrawn_height > 0) & (book.withdrawn_height <= book.recorded_height)
    book = book.take(np.flatnonzero(np.isin(book.area, known.areas) & ~is_early))
    times = _times(known, book)
    parties = [known.reader.registry.parties[number] for number in book.party.tolist()]
    names = [f"{party}/{slot_start_s}/{counter}" for party, counter in zip(parties, book.counter.tolist(), strict=True)]
    order = np.array(sorted(range(len(names)), key=lambda place: names[place].encode()), dtype=np.int64)
    book = book.take(order)
    return Orders(
        np.full(len(order), at, dtype=np.int64),
        [names[place] for place in order.tolist()],
        [parties[place] for place in order.tolist()],
        book.side.astype(np.int8),
        book.quantity_wh,
        book.price_micro_per_kwh,
        _wanted(known.reader, book),
        book.all_or_none > 0,
        times.take(order),
    )


def _times(known: _Known, book: BookLeaf) -> OrderTimes:
    """When orders came, in the order of the ledger: at one moment what one transaction brought, as far as a folder has it in the same order."""
    order = by_arrival(book._replace(area=np.zeros_like(book.area)))
    arrival, cancelled_at = np.zeros_like(book.party), np.full_like(book.party, NEVER)
    moment, before = 0, None
    for row in order.tolist():
        own = bytes(book.ids[row]), known.rank.get(int(book.party[row]), -1), int(book.counter[row])
        if before is not None and (own[0] != before[0] or own[1:] <= before[1:]):
            moment += 1
        arrival[row], before = moment, own
    heights = book.recorded_height[order]
    moments = np.append(arrival[order], moment + 1)
    gone = np.flatnonzero(book.withdrawn_height)
    cancelled_at[gone] = moments[np.searchsorted(heights, book.withdrawn_height[gone])]
    return OrderTimes(arrival, cancelled_at)


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
