"""The orders of a block are judged together, slot by slot and zone by zone, after everything else in it (docs/spec/state.md, "Orders").

Whether an order is one at all its own transaction says; here it meets the orders that stand of the same party.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from gridcore.codes import Code
from ledger.leaves.book import BOOK, BookLeaf, append_orders, join_orders
from ledger.leaves.columns import Int64, chunks_of, groups, join_columns
from ledger.leaves.exception import RowVerdict
from ledger.leaves.orders import ORDERS, OrdersLeaf
from ledger.leaves.progress import open_book
from ledger.registry.zones import Zone
from ledger.state.contracts import contract_of_slot, distinct_rules
from ledger.state.draft import Draft
from ledger.state.held import change_held
from ledger.state.ranks import order_keys
from ledger.state.standing import ACCEPTED, NOBODY, Offers, Standing
from ledger.state.taken_orders import TakenOrders


class Judged(NamedTuple):
    """What became of a transaction with orders. rows: those of a batch that do not stand, by party number."""

    code: Code
    rows: tuple[RowVerdict, ...]


def keep_orders(draft: Draft, taken: Sequence[TakenOrders]) -> list[Judged]:
    """Judge the offers of each transaction, keep the accepted orders and withdraw those that they withdraw."""
    verdicts: list[Int64] = [np.zeros(0, dtype=np.int64)] * len(taken)
    ordered = sorted(range(len(taken)), key=lambda at: (taken[at].slot_start_s, taken[at].zone.place))
    for (slot_start_s, _), group in groupby(ordered, key=lambda at: (taken[at].slot_start_s, taken[at].zone.place)):
        places = list(group)
        judged = keep_group(draft, slot_start_s, [taken[at] for at in places])
        for at, own in zip(places, judged, strict=True):
            verdicts[at] = own
    return [_judged(one, own) for one, own in zip(taken, verdicts, strict=True)]


def _judged(taken: TakenOrders, verdicts: Int64) -> Judged:
    """A batch stands whatever becomes of its rows; what is no batch is its one offer."""
    if taken.batch is None:
        return Judged(Code(int(verdicts[0])), ())
    party, every = taken.batch.party, taken.batch.verdicts.copy()
    offered = every == ACCEPTED
    every[offered] = verdicts[taken.batch.offer[offered]]
    rows = np.flatnonzero(every)
    return Judged(Code.ACCEPTED, tuple(RowVerdict(row, int(party[row]), int(every[row])) for row in rows.tolist()))


def keep_group(draft: Draft, slot_start_s: int, taken: Sequence[TakenOrders]) -> list[Int64]:
    """The same for one slot of one zone: the verdicts of each one's offers."""
    zone, sizes = taken[0].zone, [len(one.party) for one in taken]
    ends = np.cumsum(sizes)
    offer = join_columns(one.offer + end - size for one, end, size in zip(taken, ends, sizes, strict=True))
    orders = join_orders([one.orders for one in taken])
    orders = orders._replace(held_micro_per_kwh=_exposures(draft, zone, slot_start_s, orders))
    parties, place = np.unique(join_columns(one.party for one in taken), return_inverse=True)
    is_firm = contract_of_slot(draft, zone, slot_start_s).contract.ranks_by_arrival
    standing = Standing(draft, draft.at(slot_start_s).zone(zone), slot_start_s, parties, orders, is_firm=is_firm)
    offers = standing.offers(place, join_columns(one.withdraws for one in taken), offer)
    verdicts = _judge(standing, offers)
    _write(
        draft,
        zone,
        slot_start_s,
        standing,
        _Sources(np.repeat(np.arange(len(taken)), sizes), offer, [one.seed for one in taken]),
    )
    _mark_existing(verdicts, offers, standing)
    return np.split(verdicts, ends[:-1])


class _Sources(NamedTuple):
    """Where offers come from. source: of each offer, one of ``seeds``; offer: of each offered order."""

    source: Int64
    offer: Int64
    seeds: Sequence[bytes]


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


def _judge(standing: Standing, offers: Offers) -> Int64:
    """Verdicts in turns: first the first offer of each party, then the second of each ..."""
    by_party = np.argsort(offers.party, kind="stable")
    starts = np.flatnonzero(np.diff(offers.party[by_party], prepend=-1))
    turn = np.empty_like(offers.party)
    turn[by_party] = np.arange(len(turn)) - np.repeat(starts, np.diff(starts, append=len(turn)))
    verdicts = np.empty_like(turn)
    for _, at in groups(turn):
        verdicts[at] = standing.judge(at, offers.take(at))
    return verdicts


def _mark_existing(verdicts: Int64, offers: Offers, standing: Standing) -> None:
    """An order that was taken already, by this very transaction, exists: nobody else reuses its counter."""
    reused = np.flatnonzero(verdicts == int(Code.ORDER_REUSED))
    if not len(reused):
        return
    again = standing.orders.take(offers.first_order[reused])
    known = standing.orders.take(np.flatnonzero(standing.is_known))
    ids = _ids_by_order(known.take(np.flatnonzero(np.isin(known.party, again.party))))
    for offer, party, counter, transaction_id in zip(
        reused.tolist(), again.party.tolist(), again.counter.tolist(), map(bytes, again.ids), strict=True
    ):
        if ids.get((party, counter)) == transaction_id:
            verdicts[offer] = int(Code.EXISTS)


def _ids_by_order(orders: BookLeaf) -> Mapping[tuple[int, int], bytes]:
    """(party number, counter) -> transaction id."""
    return dict(
        zip(zip(orders.party.tolist(), orders.counter.tolist(), strict=True), map(bytes, orders.ids), strict=True)
    )


def _write(draft: Draft, zone: Zone, slot_start_s: int, standing: Standing, of: _Sources) -> None:
    """Put accepted orders into the book, mark those that are withdrawn, and hold what all that stand, or may have traded, can cost."""
    entered, withdrawn = standing.entered, np.flatnonzero(standing.withdrawn_by != NOBODY)
    if not len(entered) and not len(withdrawn):
        return
    orders = standing.orders
    orders.withdrawn_height[withdrawn] = draft.height
    before = withdrawn[withdrawn < standing.before]
    _mark_withdrawn(draft, zone, slot_start_s, orders.take(before))
    _append(draft, zone, slot_start_s, orders.take(entered))
    rows = np.concatenate([entered, withdrawn])
    nano = orders.quantity_wh[rows] * orders.held_micro_per_kwh[rows]
    nano[len(entered) :] *= 0 if standing.is_firm else -1
    by = np.concatenate([of.offer[entered - standing.before], standing.withdrawn_by[withdrawn]])
    change_held(draft, orders.party[rows], nano, of.source[by], of.seeds)


def _append(draft: Draft, zone: Zone, slot_start_s: int, orders: BookLeaf) -> None:
    before = ORDERS.load(draft, slot_start_s, zone.name)
    if before is None:
        open_book(draft, slot_start_s, zone.name)
    by_chunk = groups(chunks_of(orders.party))
    for chunk, rows in by_chunk:
        append_orders(draft, slot_start_s, zone.name, chunk, orders.take(rows))
    known = {*(before.chunks if before else ()), *(chunk for chunk, _ in by_chunk)}
    ORDERS.save(draft, OrdersLeaf(sorted(known)), slot_start_s, zone.name)


def _mark_withdrawn(draft: Draft, zone: Zone, slot_start_s: int, orders: BookLeaf) -> None:
    """Their rows stay, so that their counters are not used again."""
    for chunk, rows in groups(chunks_of(orders.party)):
        book = BOOK.must(draft, slot_start_s, zone.name, chunk)
        is_withdrawn = np.isin(
            order_keys(book.party, book.counter), order_keys(orders.party[rows], orders.counter[rows])
        )
        height = np.where(is_withdrawn, draft.height, book.withdrawn_height)
        BOOK.save(draft, book._replace(withdrawn_height=height), slot_start_s, zone.name, chunk)
