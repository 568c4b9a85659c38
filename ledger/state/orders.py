"""The orders of a block are judged together, slot by slot and zone by zone, after everything else in it (docs/spec/state.md, "Orders").

Whether an order is one at all its own transaction says; here it meets the orders that stand of the same party.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from gridcore.codes import Code
from ledger.leaves.book import BookLeaf, append_orders, join_orders
from ledger.leaves.columns import Int64, chunks_of, groups
from ledger.leaves.exception import RowVerdict
from ledger.leaves.orders import ORDERS, OrdersLeaf
from ledger.leaves.progress import open_book
from ledger.registry.zones import Zone
from ledger.state.contracts import contract_of_slot, distinct_rules
from ledger.state.draft import Draft
from ledger.state.held import change_held
from ledger.state.standing import ACCEPTED, Offers, Standing
from ledger.state.taken_orders import TakenOrders


class Judged(NamedTuple):
    """What became of a transaction with orders. rows: those of a batch that do not stand, by party number."""

    code: Code
    rows: tuple[RowVerdict, ...]


def keep_orders(draft: Draft, taken: Sequence[TakenOrders]) -> list[Judged]:
    """Judge the orders of each transaction and keep the accepted ones."""
    verdicts: list[Int64] = [np.zeros(0, dtype=np.int64)] * len(taken)
    ordered = sorted(range(len(taken)), key=lambda at: (taken[at].slot_start_s, taken[at].zone.place))
    for (slot_start_s, _), group in groupby(ordered, key=lambda at: (taken[at].slot_start_s, taken[at].zone.place)):
        places = list(group)
        judged = _keep_group(draft, slot_start_s, [taken[at] for at in places])
        for at, own in zip(places, judged, strict=True):
            verdicts[at] = own
    return [_judged(one, own) for one, own in zip(taken, verdicts, strict=True)]


def _judged(taken: TakenOrders, verdicts: Int64) -> Judged:
    """A batch stands whatever becomes of its rows; what is no batch is its one order."""
    if taken.batch is None:
        return Judged(Code(int(verdicts[0])), ())
    party, every = taken.batch.party, taken.batch.verdicts.copy()
    every[every == ACCEPTED] = verdicts
    rows = np.flatnonzero(every)
    return Judged(Code.ACCEPTED, tuple(RowVerdict(row, int(party[row]), int(every[row])) for row in rows.tolist()))


def _keep_group(draft: Draft, slot_start_s: int, taken: Sequence[TakenOrders]) -> list[Int64]:
    """The same for one slot of one zone."""
    zone, sizes = taken[0].zone, [len(one.orders.party) for one in taken]
    orders = join_orders([one.orders for one in taken])
    orders = orders._replace(held_micro_per_kwh=_exposures(draft, zone, slot_start_s, orders))
    parties, place = np.unique(orders.party, return_inverse=True)
    standing = Standing(draft, draft.at(slot_start_s).zone(zone), slot_start_s, parties)
    verdicts = _judge(standing, orders, place)
    accepted = np.flatnonzero(verdicts == ACCEPTED)
    if len(accepted):
        sources = np.repeat(np.arange(len(taken)), sizes)[accepted]
        _write(draft, zone, slot_start_s, orders.take(accepted), sources, [one.seed for one in taken])
    _mark_existing(verdicts, orders, join_orders([standing.orders, orders.take(accepted)]))
    return np.split(verdicts, np.cumsum(sizes)[:-1])


def _exposures(draft: Draft, zone: Zone, slot_start_s: int, orders: BookLeaf) -> Int64:
    """int64[n]: what a kWh of each order can cost its party, by the rules of its area."""
    contract, in_force = contract_of_slot(draft, zone, slot_start_s).contract, draft.at(slot_start_s).zone(zone)
    exposures = np.zeros_like(orders.party)
    rules = distinct_rules(draft, contract, in_force, slot_start_s)
    for number, rows in groups(in_force.rules[orders.area]):
        exposures[rows] = contract.exposure_micro_per_kwh(
            orders.side[rows].astype(np.int8), orders.price_micro_per_kwh[rows], prices=rules[number].prices
        )
    return exposures


def _judge(standing: Standing, orders: BookLeaf, place: Int64) -> Int64:
    """Verdicts in turns: first the first order of each party, then the second of each ..."""
    offers = Offers(
        place,
        orders.counter,
        orders.side,
        orders.quantity_wh,
        orders.price_micro_per_kwh,
        orders.quantity_wh * orders.held_micro_per_kwh,
    )
    by_party = np.argsort(place, kind="stable")
    starts = np.flatnonzero(np.diff(place[by_party], prepend=-1))
    turn = np.empty_like(place)
    turn[by_party] = np.arange(len(place)) - np.repeat(starts, np.diff(starts, append=len(place)))
    verdicts = np.empty_like(place)
    for _, rows in groups(turn):
        verdicts[rows] = standing.judge(offers.take(rows))
    return verdicts


def _mark_existing(verdicts: Int64, orders: BookLeaf, standing: BookLeaf) -> None:
    """An order that stands already, by this very transaction, exists: nobody else reuses its counter."""
    reused = np.flatnonzero(verdicts == int(Code.ORDER_REUSED))
    if not len(reused):
        return
    ids = _ids_by_order(standing.take(np.flatnonzero(np.isin(standing.party, orders.party[reused]))))
    for row in reused.tolist():
        if ids[int(orders.party[row]), int(orders.counter[row])] == orders.ids[row].tobytes():
            verdicts[row] = int(Code.EXISTS)


def _ids_by_order(orders: BookLeaf) -> Mapping[tuple[int, int], bytes]:
    """(party number, counter) -> transaction id."""
    return dict(
        zip(zip(orders.party.tolist(), orders.counter.tolist(), strict=True), map(bytes, orders.ids), strict=True)
    )


def _write(
    draft: Draft, zone: Zone, slot_start_s: int, orders: BookLeaf, sources: Int64, seeds: Sequence[bytes]
) -> None:
    """Put accepted orders into the book, and hold what they can cost. sources: which of ``seeds`` each is from."""
    before = ORDERS.load(draft, slot_start_s, zone.name)
    if before is None:
        open_book(draft, slot_start_s, zone.name)
    by_chunk = groups(chunks_of(orders.party))
    for chunk, rows in by_chunk:
        append_orders(draft, slot_start_s, zone.name, chunk, orders.take(rows))
    known = {*(before.chunks if before else ()), *(chunk for chunk, _ in by_chunk)}
    ORDERS.save(draft, OrdersLeaf(sorted(known)), slot_start_s, zone.name)
    change_held(draft, orders.party, orders.quantity_wh * orders.held_micro_per_kwh, sources, seeds)
