"""Prices as ``rules.toml`` and ``prices.csv`` have them: of every slot what holds for all, for an area, and for points with rules of their own."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gridcore.errors import UsageError
from gridcore.registry.rules import RULES, Rules
from gridledger.settling.dataset import LaterPrices, SeriesRows
from gridledger.settling.extract.changes import Change, Changes
from gridledger.settling.files.stamps import Zone as LocalTime
from gridledger.settling.files.stamps import to_iso
from ledger.leaves.columns import Int64
from ledger.leaves.run import RunLeaf
from ledger.registry.bodies import row_of
from ledger.registry.prices import rules_of_slot
from ledger.registry.zones import Zone, ZoneInForce
from ledger.store.reader import LedgerReader
from settlement.catalogue import CONTRACTS


class Stated(NamedTuple):
    """prices: of the first area in the first slot; terms: the same in all slots and areas; later: prices that the rules of all areas have from a
    local day on; series: every other price that differs from these: a market's, an area's, a point's.
    """

    prices: Mapping[str, int]
    terms: Mapping[str, Any]
    later: Sequence[LaterPrices]
    series: Sequence[SeriesRows]


class _Price(NamedTuple):
    """Of what a price is: a key of the rules, and an area's number or a row with rules of its own, the other -1."""

    key: str
    area: int
    row: int


class PriceFacts:
    """What slots say of the prices of some areas of a zone."""

    def __init__(self, reader: LedgerReader, zone: Zone, areas: Sequence[int], rows: Int64) -> None:
        self._reader, self._zone, self._areas, self._rows = reader, zone, areas, rows
        self._records: dict[bytes, Rules] = {}
        self._changes: Changes[_Price] = Changes()
        self._by_series: set[str] = set()
        self._own: set[int] = set()
        self._settled: set[int] = set()
        self._area_of: dict[int, int] = {}
        self._terms: Mapping[str, Any] | None = None

    def note(self, leaf: RunLeaf, in_force: ZoneInForce) -> None:
        """A zone as a run settled its slot; slots come in order. UsageError where areas or slots have other terms.

        A run knows the areas that were registered before it: a later one has no rules there, and no points.
        """
        areas = [area for area in self._areas if in_force.rules_digests[int(in_force.rules[area])]]
        self._settled.update(areas)
        stated: dict[int, Rules] = {}
        for place in np.unique([*in_force.rules[areas], *in_force.own_rules[self._rows]]).tolist():
            if place >= 0:
                stated[place] = self._rules(leaf, in_force.rules_digests[place])
        of_area = {area: stated[int(in_force.rules[area])] for area in areas}
        for area, rules in of_area.items():
            self._note_terms(leaf, area, rules)
            self._note_prices(leaf, _Price("", area, -1), rules)
            self._by_series.update(self._records[in_force.rules_digests[int(in_force.rules[area])]].series or ())
        own = in_force.own_rules[self._rows]
        self._own.update(self._rows[own >= 0].tolist())
        for row in sorted(self._own):
            place, area = int(in_force.own_rules[row]), int(in_force.area[row])
            if area not in of_area:
                continue
            self._area_of[row] = area
            self._note_prices(leaf, _Price("", -1, row), stated[place] if place >= 0 else of_area[area])

    def stated(self, points: Sequence[str], rows: Int64, areas: Collection[str], days: LocalTime) -> Stated:
        """All of it. ``points``: the names of ``rows``, of those that are in the folder; areas: that have points there; days: when local days begin.

        UsageError where no run knows any of the areas.
        """
        name_of = dict(zip(rows.tolist(), points, strict=True))
        if not self._settled:
            names = ", ".join(self._zone.areas[area] for area in self._areas)
            raise UsageError(f"no run of these slots knows {names}, registered after them; name later days")
        found, first = self._changes.found, self._known_areas[0]
        prices = {price.key: changes[0].value for price, changes in found.items() if price.area == first}
        dated = [key for key in prices if self._is_dated(key, days)]
        series = [rows for key in prices for rows in self._series(key, name_of, is_dated=key in dated)]
        of_folder = [rows for rows in series if rows.area is None or rows.area in areas]
        return Stated(prices, self._terms or {}, list(self._later(prices, dated)), of_folder)

    @property
    def _known_areas(self) -> list[int]:
        """Those of the areas that some run knows."""
        return [area for area in self._areas if area in self._settled]

    def _is_dated(self, key: str, days: LocalTime) -> bool:
        """Whether a price is the same in all areas, said by rules alone, and changes with local days."""
        one, *others = [self._changes.found[_Price(key, area, -1)] for area in self._known_areas]
        begin = [change.from_s for change in one[1:]]
        is_same = key not in self._by_series and all(changes == one for changes in others)
        return is_same and all(int(days.midnights(from_s, from_s)[0]) == from_s for from_s in begin)

    def _later(self, prices: Mapping[str, int], dated: Sequence[str]) -> Iterator[LaterPrices]:
        changes = {key: self._changes.found[_Price(key, self._known_areas[0], -1)][1:] for key in dated}
        held = dict(prices)
        for from_s in sorted({change.from_s for own in changes.values() for change in own}):
            held |= {key: change.value for key, own in changes.items() for change in own if change.from_s == from_s}
            yield LaterPrices(from_s, dict(held))

    def _series(self, key: str, name_of: Mapping[int, str], *, is_dated: bool) -> Iterator[SeriesRows]:
        found = self._changes.found
        of_areas = {area: found[_Price(key, area, -1)] for area in self._known_areas}
        one, *others = of_areas.values()
        if not is_dated and all(changes == one for changes in others):
            yield _series(key, None, None, one)
        elif not is_dated:
            for area, changes in of_areas.items():
                yield _series(key, self._zone.areas[area], None, changes)
        for row in sorted(self._own & name_of.keys()):
            changes = found[_Price(key, -1, row)]
            if changes != of_areas[self._area_of[row]]:
                yield _series(key, None, name_of[row], changes)

    def _rules(self, leaf: RunLeaf, digest: bytes) -> Rules:
        if digest not in self._records:
            self._records[digest] = RULES.record_of(row_of(self._reader, digest).value)
        contract, stated = CONTRACTS[leaf.contract], self._records[digest]
        return rules_of_slot(self._reader, contract, stated, leaf.slot_start_s, leaf.as_of_height)

    def _note_prices(self, leaf: RunLeaf, of: _Price, rules: Rules) -> None:
        for key, price in rules.prices.items():
            self._changes.note(of._replace(key=key), leaf.slot_start_s, price)

    def _note_terms(self, leaf: RunLeaf, area: int, rules: Rules) -> None:
        if self._terms is None:
            self._terms = rules.terms
        if self._terms != rules.terms:
            where = f"area {self._zone.areas[area]} has other terms in the slot from {to_iso(leaf.slot_start_s)} on"
            raise UsageError(f"{where} than before or than another area; name areas, and days, of the same terms")


def _series(key: str, area: str | None, point: str | None, changes: Sequence[Change]) -> SeriesRows:
    start_s, prices = np.array(changes, dtype=np.int64).T
    return SeriesRows(key, area, point, start_s, prices)
