"""What crossed the borders of an area in a slot, what its balance groups metered and traded, and what these are worth: as of every block that changed it.

A run says what its own zone metered, a border is registered in one of its two areas: so what is known of an area's slot changes with the
runs of its zone, with those of the zones on the other side, and with the terms of its balance.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridcore.quality import ABSENT_QUALITY, CODE_MASK, MISSING
from gridcore.registry.balance_terms import BALANCE_TERMS
from gridcore.registry.point import FEEDER, POINT
from gridcore.registry.price_series import PRICE_SERIES
from ledger.balance_groups import GroupsOfSlots, GroupSums
from ledger.leaves.columns import Int64
from ledger.leaves.positions import REGISTERS
from ledger.leaves.run import RUN, RunLeaf
from ledger.leaves.runs import RUNS
from ledger.registry.areas import Area
from ledger.registry.bodies import OPENED_TOGETHER_MAX, in_force, open_entity
from ledger.registry.in_force import InForce, Registry
from ledger.registry.prices import prices_of_slot
from ledger.registry.zones import Zone
from ledger.runs import SettledRows, load_rows
from ledger.store.reader import LedgerReader

ABSENT: Final = -1
"""A register that was not read, in a position."""


class BorderFlow(NamedTuple):
    """Energy at one border in a slot, Wh, as the area sees it. other_area: "" for the grid above; in_wh, out_wh: None while it is not known."""

    point: str
    other_area: str
    in_wh: int | None
    out_wh: int | None


class TermsOfSlot(NamedTuple):
    """Who answers for losses, and the prices of ``gridcore.registry.balance_terms`` that hold in the slot, by their names; penalty: as there."""

    loss_responsible: str
    prices: Mapping[str, int]
    penalty: Mapping[str, Any] | None = None


class KnownBalance(NamedTuple):
    """What is known of a slot from a block on. run: the last one of the area's zone; terms: None where none are registered."""

    height: int
    run: str
    groups: Sequence[GroupSums]
    borders: Sequence[BorderFlow]
    terms: TermsOfSlot | None


class _Border(NamedTuple):
    """A border of an area: the zone and row of its point; is_own: the point is the area's, else it is seen from the other side."""

    point: str
    other_area: str
    zone: Zone
    row: int
    is_own: bool


class _NearPoints(NamedTuple):
    """Points that are an area's, or ever were said to be a border of it: from_s, recorded_height int64[n] of their entries.

    zones: of those of other areas.
    """

    registry: Registry
    from_s: Int64
    recorded_height: Int64
    zones: Sequence[Zone]


@dataclass
class AreaBalances:
    """The balances of one area, slot by slot. Between two changes of the registry its borders and groups are looked up once."""

    reader: LedgerReader
    area_id: str
    zone: Zone
    number: int
    _groups: GroupsOfSlots = field(init=False)
    _borders: tuple[InForce, Sequence[_Border]] | None = field(init=False, default=None)
    _near: _NearPoints | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._groups = GroupsOfSlots(self.reader)

    def history(self, slot_start_s: int) -> list[KnownBalance]:
        """What was known of a slot as of every block that can have changed it, the first run's first; empty before that."""
        own = self._runs(self.zone, slot_start_s)
        if not own:
            return []
        found: list[KnownBalance] = []
        for height in sorted({h for h in self._heights(slot_start_s, own) if h >= own[0][1]}):
            known = self._known(slot_start_s, height)
            if known is not None and (not found or known[2:] != found[-1][2:]):
                found.append(known)
        return found

    def zones(self) -> Sequence[Zone]:
        """The zones on whose runs its balances rest: its own, and those of the points of other areas that ever were a border of it."""
        return [self.zone, *(zone for zone in self._near_points().zones if zone.name != self.zone.name)]

    def _heights(self, slot_start_s: int, own: Sequence[tuple[str, int]]) -> Iterator[int]:
        """The blocks after which something else may be known."""
        near = self._near_points()
        yield from np.unique(near.recorded_height[near.from_s <= slot_start_s]).tolist()
        for zone in near.zones:
            yield from (height for _, height in self._runs(zone, slot_start_s))
        yield from (height for _, height in own)
        terms = open_entity(self.reader, BALANCE_TERMS, self.area_id)
        if terms is None:
            return
        entities = [terms.leaf]
        for entry in terms.leaf.entries:
            for name in (terms.open(self.reader, entry).record.series or {}).values():
                series = open_entity(self.reader, PRICE_SERIES, name)
                entities += [] if series is None else [series.leaf]
        dated = (entry for leaf in entities for entry in leaf.entries)
        yield from (entry.recorded_height for entry in dated if entry.from_s <= slot_start_s)

    def _near_points(self) -> _NearPoints:
        """Between two changes of the registry looked up once."""
        with self.reader.frozen():
            registry = self.reader.registry
        if self._near is None or self._near.registry is not registry:
            columns, place = registry.columns, registry.area_place[self.area_id]
            seen_here = np.unique(columns.point_entries.entity[columns.point_exchange_area == place])
            is_near = columns.point_area == place
            is_near[seen_here] = True
            entries = np.flatnonzero(is_near[columns.point_entries.entity])
            zones = {zone.name: zone for zone, _ in map(registry.row_of, seen_here.tolist())}
            of_entries = (columns.point_entries.from_s[entries], columns.point_entries.recorded_height[entries])
            self._near = _NearPoints(registry, *of_entries, list(zones.values()))
        return self._near

    def _runs(self, zone: Zone, slot_start_s: int) -> Sequence[tuple[str, int]]:
        runs = RUNS.load(self.reader, slot_start_s, zone.name)
        return () if runs is None else runs.runs

    def _run_at(self, zone: Zone, slot_start_s: int, height: int) -> RunLeaf | None:
        """The last run of a slot that was made by block ``height``."""
        names = [name for name, made in self._runs(zone, slot_start_s) if made <= height]
        return RUN.load(self.reader, slot_start_s, zone.name, names[-1]) if names else None

    def _known(self, slot_start_s: int, height: int) -> KnownBalance | None:
        leaf = self._run_at(self.zone, slot_start_s, height)
        if leaf is None or self.number >= leaf.areas:
            return None
        then = self.reader.zone_at(self.zone, slot_start_s, leaf.as_of_height)
        area = Area(self.area_id, self.number, then, self.reader.registry)
        borders = list(self._flows(self._borders_at(slot_start_s, height), slot_start_s, height))
        return KnownBalance(height, leaf.run, self._groups.sums(area, leaf), borders, self._terms(slot_start_s, height))

    def _borders_at(self, slot_start_s: int, height: int) -> Sequence[_Border]:
        """The borders of the area in a slot, its own first, then those that the other areas have registered; each by zone and row."""
        with self.reader.frozen():
            view = self.reader.registry.at(slot_start_s, height)
        if self._borders is None or self._borders[0] is not view:
            self._borders = (view, [*self._own(view, slot_start_s, height), *self._others(view)])
        return self._borders[1]

    def _own(self, view: InForce, slot_start_s: int, height: int) -> Iterator[_Border]:
        registry, then = self.reader.registry, view.zone(self.zone)
        area = Area(self.area_id, self.number, then, registry)
        unbilled = area.own[then.party[area.own] < 0]
        names = [self.zone.points[row] for row in unbilled.tolist()]
        for start in range(0, len(names), OPENED_TOGETHER_MAX):
            some = slice(start, start + OPENED_TOGETHER_MAX)
            self.reader.opened.open_together(self.reader, POINT, names[some])
            for name, row in zip(names[some], unbilled[some].tolist(), strict=True):
                found = in_force(self.reader, POINT, name, slot_start_s, height)
                if found is not None and (found.record.role == FEEDER or found.record.exchange_area is not None):
                    yield _Border(name, found.record.exchange_area or "", self.zone, row, is_own=True)

    def _others(self, view: InForce) -> Iterator[_Border]:
        registry = self.reader.registry
        place = registry.area_place[self.area_id]
        for point in np.flatnonzero(view.exchange_area == place).tolist():
            zone, row = registry.row_of(point)
            name = registry.columns.areas[int(registry.columns.point_area[point])]
            yield _Border(registry.columns.points[point], name, zone, row, is_own=False)

    def _flows(self, borders: Iterable[_Border], slot_start_s: int, height: int) -> Iterator[BorderFlow]:
        for border in borders:
            energies = self._energies(border, slot_start_s, height)
            taken_wh, given_wh = energies if border.is_own else energies[::-1]
            yield BorderFlow(border.point, border.other_area, taken_wh, given_wh)

    def _energies(self, border: _Border, slot_start_s: int, height: int) -> tuple[int | None, int | None]:
        """Import and export of a border's point by the last run of its zone."""
        leaf = self._run_at(border.zone, slot_start_s, height)
        if leaf is None:
            return None, None
        rows = load_rows(self.reader, leaf, np.array([border.row], dtype=np.int64))
        if not known_rows(rows)[0]:
            return None, None
        return int(rows.columns["import_wh"][0]), int(rows.columns["export_wh"][0])

    def _terms(self, slot_start_s: int, height: int) -> TermsOfSlot | None:
        found = in_force(self.reader, BALANCE_TERMS, self.area_id, slot_start_s, height)
        if found is None:
            return None
        terms = found.record
        prices = prices_of_slot(self.reader, terms.prices, terms.series, slot_start_s, height)
        return TermsOfSlot(terms.loss_responsible, prices, terms.penalty)


def known_rows(rows: SettledRows) -> NDArray[np.bool_]:
    """bool[rows]: whether a run knows the energy of points that nobody is billed for; it makes no estimate for these.

    The energy was imported, or there are registers at both ends. An energy of 0 between registers that moved is not known: they moved by
    more than the meter can, or the meter was exchanged and nobody read what it showed last.
    """
    registers = np.stack([rows.columns[name] for name in REGISTERS])
    is_absent = registers == ABSENT
    stands_still = (registers[0] == registers[1]) & (registers[2] == registers[3])
    has_energy = (rows.columns["import_wh"] != 0) | (rows.columns["export_wh"] != 0)
    is_metered = ~is_absent.any(axis=0) & (stands_still | has_energy)
    is_there = (rows.quality != ABSENT_QUALITY) & (rows.quality & CODE_MASK != MISSING)
    known: NDArray[np.bool_] = is_there & (is_absent.all(axis=0) | is_metered)
    return known
