"""On which ways parties bought what they traded: the voltage levels of who sold it, and the place of the grid under which both sides lie."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache

import numpy as np

from gridcore.registry.rules import RULES
from ledger.leaves.cleared import load_cleared
from ledger.leaves.clearing import CLEARING
from ledger.leaves.columns import Int64
from ledger.leaves.fills import load_fills
from ledger.leaves.trades import load_trades
from ledger.registry.bodies import row_of
from ledger.registry.zones import Zone, ZoneInForce
from ledger.store.reader import LedgerReader
from settlement.contracts.grid_fee_path_1 import GRID_PLACES
from settlement.contracts.grid_fee_path_1.places import PARENT, PLACE
from settlement.tariffs.charges import Way

LevelsOf = Callable[[str], Sequence[tuple[int, str]]]
"""The voltage level of a point from each of some times on, ascending."""
WaysOf = Mapping[str, Mapping[Way, Int64]]
"""Wh by slot, int64[slots], of each way on which a party bought, by the party's name."""


def ways_of_trades(
    reader: LedgerReader, zone: Zone, slots: Int64, parties: Collection[str], levels_of: LevelsOf, height: int
) -> WaysOf:
    """What some parties bought in the trades of some settled slots; nothing where gates come to one price for all.

    levels_of: by blocks up to a height, as who is billed at the sellers' points is.
    """
    numbers = {reader.registry.party_number[name]: name for name in parties}
    places = cache(lambda digest: _Places.of(reader, digest))
    found: dict[str, dict[Way, Int64]] = {name: {} for name in parties}
    for at, slot_start_s in enumerate(slots.tolist()):
        clearing = CLEARING.load(reader, slot_start_s, zone.name)
        cleared = None if clearing is None else load_cleared(reader, slot_start_s, zone.name, clearing.areas)
        if cleared is None or cleared.trades is None:
            continue
        fills = load_fills(reader, slot_start_s, zone.name, int(cleared.orders.sum()))
        trades = load_trades(reader, slot_start_s, zone.name, int(cleared.trades.sum()))
        sellers = _Sellers(reader, reader.zone_at(zone, slot_start_s, height), levels_of, slot_start_s)
        for buy, sell, area, energy_wh in zip(*(getattr(trades, name).tolist() for name in _TRADE), strict=True):
            buyer = numbers.get(int(fills.party[buy]))
            if buyer is None:
                continue
            place = 0
            if fills.grid_place is not None:
                tree = places(cleared.rules[area].tobytes())
                place = tree.above_both(int(fills.grid_place[buy]), int(fills.grid_place[sell]))
            way = Way(sellers.levels(int(fills.party[sell])), place)
            of_slots = found[buyer].setdefault(way, np.zeros(len(slots), dtype=np.int64))
            of_slots[at] += energy_wh
    return found


_TRADE = ("buy", "sell", "area", "energy_wh")


class _Sellers:
    """The voltage levels of who sells in a slot."""

    def __init__(self, reader: LedgerReader, in_force: ZoneInForce, levels_of: LevelsOf, slot_start_s: int) -> None:
        self._zone, self._levels_of, self._at_s = in_force, levels_of, slot_start_s
        self._known: dict[int, tuple[str, ...]] = {}

    def levels(self, party: int) -> tuple[str, ...]:
        """Of all points that are billed to a party, by its number: "" for one of which none is known, and where it has no point."""
        if party not in self._known:
            rows, _ = self._zone.rows_billed_to(np.array([party], dtype=np.int64))
            names = {self._level(self._zone.zone.points[row]) for row in rows.tolist()}
            self._known[party] = tuple(sorted(names)) or ("",)
        return self._known[party]

    def _level(self, point: str) -> str:
        said = self._levels_of(point)
        place = bisect_right(said, self._at_s, key=lambda one: one[0])
        return said[place - 1][1] if place else ""


class _Places:
    """The places of an area's grid, each under its parent."""

    def __init__(self, parent_of: Mapping[int, int]) -> None:
        self._parent_of = parent_of

    @classmethod
    def of(cls, reader: LedgerReader, digest: bytes) -> _Places:
        """Those of rules, by the digest of their entry."""
        listed = RULES.record_of(row_of(reader, digest).value).terms[GRID_PLACES]
        return cls({place[PLACE]: place.get(PARENT, 0) for place in listed})

    def above_both(self, one: int, other: int) -> int:
        """The lowest place under which two lie, each of which lies under itself."""
        ways = [self._up(one), self._up(other)]
        return next(place for place in ways[0] if place in ways[1])

    def _up(self, place: int) -> list[int]:
        found = [place]
        while parent := self._parent_of[found[-1]]:
            found.append(parent)
        return found
