"""What contracts ask of each order beside side, quantity and limit (docs/spec/state.md, "Clear")."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from gridcore.registry.point import ENERGY_KINDS, kind_bit, kinds_wanted
from ledger.contract import Contract
from ledger.leaves.book import BUY, BookLeaf, Wants
from ledger.leaves.columns import Int64
from ledger.registry.zones import ZoneInForce
from ledger.state.ranks import by_arrival, order_keys

_CHOICE: Final = "choice"
"""The term of contracts that take bids with conditions."""


def takes_conditions(contract: Contract) -> bool:
    """Whether orders under a contract may be conditions of bids."""
    return _CHOICE in contract.order_terms


def order_terms(contract: Contract, zone: ZoneInForce, book: BookLeaf, area_starts: Int64) -> Mapping[str, Int64]:
    """By the contract's ``order_terms`` a column beside the ranked orders of a slot; places of orders count within their area."""
    return {name: _TERMS[name](zone, book, area_starts) for name in contract.order_terms}


def _bid(_zone: ZoneInForce, book: BookLeaf, area_starts: Int64) -> Int64:
    """The place of the first of the orders that are one bid, of any other order its own."""
    keys = order_keys(book.party, book.counter - Wants.unpacked(book.wants).choice)
    keys[book.wants == 0] = -1 - np.flatnonzero(book.wants == 0)
    _, first, of = np.unique(keys, return_index=True, return_inverse=True)
    return first[of.reshape(-1)] - area_starts[book.area]


def _choice(_zone: ZoneInForce, book: BookLeaf, _area_starts: Int64) -> Int64:
    return np.asarray(Wants.unpacked(book.wants).choice)


def _energy_kinds(zone: ZoneInForce, book: BookLeaf, _area_starts: Int64) -> Int64:
    """Of a buy the kinds that it takes, a bit each; of a sell the bit of the one that its party's points are of."""
    wanted = Wants.unpacked(book.wants).energy_kinds
    bits = np.array([kind_bit(kind) for kind in range(-1, len(ENERGY_KINDS))])
    sold = bits[zone.in_common(book.party, zone.energy_kind, -1) + 1]
    return np.where(book.side == BUY, np.where(book.wants == 0, kinds_wanted(None), wanted), sold)


def _seller(_zone: ZoneInForce, book: BookLeaf, area_starts: Int64) -> Int64:
    """A number within the area for each party from which a buy of the area wants to buy, from 1: of a buy the one that it wants, 0 for any, of
    a sell its own, 0 where nobody asks for it. So the book of an area tells which orders belong together, and names nobody.
    """
    wanted, numbers = np.asarray(Wants.unpacked(book.wants).seller), np.zeros_like(book.party)
    named = np.where(book.side == BUY, wanted, book.party + 1)
    for start, end in zip(area_starts[:-1].tolist(), area_starts[1:].tolist(), strict=True):
        asked = np.unique(wanted[start:end])
        asked = asked[asked > 0]
        if len(asked):
            place = np.searchsorted(asked, named[start:end])
            is_asked = asked[np.minimum(place, len(asked) - 1)] == named[start:end]
            numbers[start:end] = np.where(is_asked, place + 1, 0)
    return numbers


def _grid_place(zone: ZoneInForce, book: BookLeaf, _area_starts: Int64) -> Int64:
    """The number of the place at which all points of the order's party are; 0 where they are at several, or one is at none."""
    return zone.in_common(book.party, zone.grid_place, 0)


def _arrival(_zone: ZoneInForce, book: BookLeaf, area_starts: Int64) -> Int64:
    """The place of each order among those of its area in the order in which the ledger took them, from 0."""
    arrival = np.empty_like(book.area)
    arrival[by_arrival(book)] = np.arange(len(book.area))
    return arrival - area_starts[book.area]


_TERMS: Final[Mapping[str, Callable[[ZoneInForce, BookLeaf, Int64], Int64]]] = {
    "arrival": _arrival,
    "bid": _bid,
    _CHOICE: _choice,
    "energy_kinds": _energy_kinds,
    "grid_place": _grid_place,
    "seller": _seller,
}
