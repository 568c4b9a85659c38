"""On which ways parties bought what they traded: the voltage levels of who sold it, and the place of the grid under which both sides lie."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache, cached_property, partial
from typing import NamedTuple

import numpy as np

from gridcore.registry.rules import RULES
from gridledger.settling.grid_places import GridPlaces
from ledger.leaves.cleared import load_cleared
from ledger.leaves.clearing import CLEARING
from ledger.leaves.columns import Int64
from ledger.leaves.fills import load_fills
from ledger.leaves.trades import load_trades
from ledger.registry.bodies import row_of
from ledger.registry.zones import Zone, ZoneInForce
from ledger.store.reader import LedgerReader
from settlement.contracts.grid_fee_path_1 import GRID_PLACES
from settlement.tariffs.charges import Sold, Way

LevelsOf = Callable[[str], Sequence[tuple[int, str]]]
"""The voltage level of a point from each of some times on, ascending."""


class Bought(NamedTuple):
    """What a party bought: Wh by slot, int64[slots], of each way. sellers: as of ``PartyTariff``."""

    ways: dict[Way, Int64]
    sellers: dict[Sold, str]


def ways_of_trades(
    reader: LedgerReader, zone: Zone, slots: Int64, parties: Collection[str], levels_of: LevelsOf, height: int
) -> Mapping[str, Bought]:
    """What some parties, by name, bought in the trades of some settled slots; nothing where gates come to one price for all.

    levels_of: by blocks up to a height, as who is billed at the sellers' points is.
    """
    numbers = {reader.registry.party_number[name]: name for name in parties}
    places = cache(lambda digest: GridPlaces(RULES.record_of(row_of(reader, digest).value).terms[GRID_PLACES]))
    found = {name: Bought({}, {}) for name in parties}
    for at, slot_start_s in enumerate(slots.tolist()):
        clearing = CLEARING.load(reader, slot_start_s, zone.name)
        cleared = None if clearing is None else load_cleared(reader, slot_start_s, zone.name, clearing.areas)
        if cleared is None or cleared.trades is None:
            continue
        fills = load_fills(reader, slot_start_s, zone.name, int(cleared.orders.sum()))
        trades = load_trades(reader, slot_start_s, zone.name, int(cleared.trades.sum()))
        sellers = _Sellers(partial(reader.zone_at, zone, slot_start_s, height), levels_of, slot_start_s)
        for buy, sell, area, energy_wh in zip(*(getattr(trades, name).tolist() for name in _TRADE), strict=True):
            buyer = numbers.get(int(fills.party[buy]))
            if buyer is None:
                continue
            place = 0
            if fills.grid_place is not None:
                tree = places(cleared.rules[area].tobytes())
                place = tree.above_both(int(fills.grid_place[buy]), int(fills.grid_place[sell]))
            at_level = sellers.at_level(int(fills.party[sell]))
            way = Way(tuple(at_level), place)
            if way not in found[buyer].ways:
                found[buyer].ways[way] = np.zeros(len(slots), dtype=np.int64)
                found[buyer].sellers.update({Sold(way, level): point for level, point in at_level.items()})
            found[buyer].ways[way][at] += energy_wh
    return found


_TRADE = ("buy", "sell", "area", "energy_wh")


class _Sellers:
    """The voltage levels of who sells in a slot."""

    def __init__(self, view: Callable[[], ZoneInForce], levels_of: LevelsOf, slot_start_s: int) -> None:
        """view: the zone as it is in the slot, which takes long where much is registered; asked for once somebody's levels are."""
        self._view, self._levels_of, self._at_s = view, levels_of, slot_start_s
        self._known: dict[int, Mapping[str, str]] = {}

    @cached_property
    def _zone(self) -> ZoneInForce:
        return self._view()

    def at_level(self, party: int) -> Mapping[str, str]:
        """The first point that is billed to a party, by its number, at each level, ascending: "" where none is known, and of no point where none is billed to it."""
        if party not in self._known:
            rows, _ = self._zone.rows_billed_to(np.array([party], dtype=np.int64))
            points = [self._zone.zone.points[row] for row in rows.tolist()]
            found = {self._level(point): point for point in reversed(points)} or {"": ""}
            self._known[party] = dict(sorted(found.items()))
        return self._known[party]

    def _level(self, point: str) -> str:
        said = self._levels_of(point)
        place = bisect_right(said, self._at_s, key=lambda one: one[0])
        return said[place - 1][1] if place else ""
