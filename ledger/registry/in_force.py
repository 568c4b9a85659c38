"""The registry: what never changes, and what is in force at a time as of a height (docs/spec/registry.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import count
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ledger.leaves.columns import Int64
from ledger.registry.breaks import Breaks, Spans, breaks_of, spans_at
from ledger.registry.columns import AllRegistered, RegistryColumns, read_columns
from ledger.registry.columns_change import LeavesAndRows, change_columns
from ledger.registry.lookups import Lookups
from ledger.registry.zones import AgreementInForce, Zone, ZoneInForce

VIEWS_MAX: Final = 4
"""How many points in time are kept at hand; between two changes of the registry all times are one."""


class Registry:
    """All that is registered, at any time.

    zones: ascending by the bytes of their names; parties: names by number; gateways: names, ascending;
    first_boundary_s: the start of the first slot of any zone, no reading before it; numbers: int64[installations],
    ascending. Nothing of it changes.
    """

    def __init__(self, columns: RegistryColumns) -> None:
        self.columns = columns
        self.parties = columns.parties
        self.gateways = columns.gateways
        self.numbers = columns.numbers
        self.gateway_place: Mapping[str, int] = {name: place for place, name in enumerate(columns.gateways)}
        self.first_boundary_s = min((timeline.first_slot_start_s for timeline in columns.timelines), default=0)
        self._area_starts = np.searchsorted(columns.area_zone, np.arange(len(columns.zones) + 1))
        self._point_zone = columns.area_zone[columns.point_area] if len(columns.points) else columns.point_area
        self._point_starts = np.searchsorted(self._point_zone, np.arange(len(columns.zones) + 1))
        self.zones = tuple(self._zone(place) for place in range(len(columns.zones)))
        entries = (
            columns.rules_entries, columns.profile_entries, columns.area_entries, columns.point_entries,
            columns.installation_entries, columns.party_entries, columns.agreement_entries,
        )  # fmt: skip
        self._times_s = _each_once([of_kind.from_s for of_kind in entries])
        self._heights = _each_once([of_kind.recorded_height for of_kind in entries])
        self._views: Mapping[tuple[int, int], InForce] = {}
        self._party_number: Mapping[str, int] = {}

    @classmethod
    def from_state(cls, source: AllRegistered) -> Registry:
        """Read every entity of a state once."""
        return cls(read_columns(source))

    def after(self, source: LeavesAndRows, keys: Iterable[str]) -> Registry:
        """The registry after blocks wrote the entities of these keys, which ``source`` has as they are now."""
        registry = Registry(change_columns(self.columns, source, keys))
        if self._party_number:
            more = registry.parties[len(self.parties) :]
            registry._party_number = {**self._party_number, **dict(zip(more, count(len(self.parties)), strict=False))}
        return registry

    def at(self, time_s: int, height: int) -> InForce:
        """What is in force at ``time_s`` (UTC seconds) as of ``height``."""
        moment = (
            int(np.searchsorted(self._times_s, time_s, side="right")),
            int(np.searchsorted(self._heights, height, side="right")),
        )
        view = self._views.get(moment)
        if view is None:
            view = InForce(self, time_s, height)
            # Another mapping each time: whoever reads beside meets the old one or the new one, never one in between.
            self._views = dict([*self._views.items(), (moment, view)][-VIEWS_MAX:])
        return view

    @property
    def party_number(self) -> Mapping[str, int]:
        """Number of each party."""
        if not self._party_number:
            self._party_number = {name: number for number, name in enumerate(self.parties)}
        return self._party_number

    @cached_property
    def party_rank(self) -> Int64:
        """int64[parties]: how the ids of their orders rank, which begin with the party's name and a slash."""
        rank = np.empty(len(self.parties), dtype=np.int64)
        rank[sorted(range(len(self.parties)), key=lambda number: f"{self.parties[number]}/".encode())] = np.arange(
            len(rank)
        )
        return rank

    @cached_property
    def area_place(self) -> Mapping[str, int]:
        """Place of each area in the columns."""
        return {name: place for place, name in enumerate(self.columns.areas)}

    def zone_of_area(self, area: str) -> tuple[Zone, int] | None:
        """The zone of an area and the area's number in it; None for a name that no area has."""
        place = self.area_place.get(area)
        if place is None:
            return None
        zone = self.zones[int(self.columns.area_zone[place])]
        return zone, place - self.areas_of(zone.place).start

    @cached_property
    def zone_place(self) -> Mapping[str, int]:
        """Place of each zone in ``zones``."""
        return {zone.name: zone.place for zone in self.zones}

    def zone(self, name: str) -> Zone:
        """The zone of that name."""
        return self.zones[self.zone_place[name]]

    def point_place(self, zone: str, row: int) -> int | None:
        """Place of the point of a row of a zone among all points; None where there is none."""
        place = self.zone_place.get(zone)
        points = slice(0, 0) if place is None else self.points_of(place)
        return points.start + row if 0 <= row < points.stop - points.start else None

    @cached_property
    def lookups(self) -> Lookups:
        """Who names whom."""
        return Lookups(self.columns)

    def areas_of_rows(self, zone: str, first: int, end: int) -> list[str]:
        """The areas that have rows ``first`` ... ``end`` - 1 of a zone, by number."""
        points = self.points_of(self.zone_place[zone])
        own = self.columns.point_area[points][first:end]
        return [self.columns.areas[place] for place in np.unique(own).tolist()]

    @cached_property
    def installation_zone(self) -> Int64:
        """int64[installations]: place of the zone of each."""
        return self._point_zone[self.columns.installation_point]

    @cached_property
    def breaks(self) -> Breaks:
        """Where registers of meters break off."""
        return breaks_of(self.columns, self.first_boundary_s)

    @cached_property
    def installation_row(self) -> Int64:
        """int64[installations]: row in its zone of the point of each."""
        return self.columns.installation_point - self._point_starts[self.installation_zone]

    def points_of(self, zone: int) -> slice:
        """The points of a zone among all points."""
        return slice(int(self._point_starts[zone]), int(self._point_starts[zone + 1]))

    def row_of(self, point: int) -> tuple[Zone, int]:
        """Zone and row of the point of a place."""
        zone = int(self._point_zone[point])
        return self.zones[zone], point - int(self._point_starts[zone])

    def areas_of(self, zone: int) -> slice:
        """The areas of a zone among all areas."""
        return slice(int(self._area_starts[zone]), int(self._area_starts[zone + 1]))

    def _zone(self, place: int) -> Zone:
        columns = self.columns
        areas, points = columns.areas[self.areas_of(place)], columns.points[self.points_of(place)]
        return Zone(place, columns.zones[place], columns.timelines[place], areas, points)


class PartiesInForce(NamedTuple):
    """Parties at one time by number, int64[parties]; bool for trades.

    area: place among all areas, -1 for a party that has not begun; trades: it may place orders; credit_nano: how much it may
    owe, -1 without bound; aggregator: place among the registry's aggregators, -1 for none.
    """

    area: Int64
    trades: NDArray[np.bool_]
    credit_nano: Int64
    aggregator: Int64


class InForce:
    """The registry at one time, as of one height.

    int64[installations]: gateway (place of the gateway that reads each, -1 where none is in force), limit_wh and ratio
    (0 where none is in force). int64[points]: exchange_area (place of the area on the other side of a border, -1 for none).
    """

    def __init__(self, registry: Registry, time_s: int, height: int) -> None:
        self._registry = registry
        columns = registry.columns
        entry = columns.installation_entries.in_force(len(columns.numbers), time_s, height)
        self.gateway = _taken(columns.installation_gateway, entry)
        self.limit_wh = _taken(columns.limit_wh, entry, absent=0)
        self.ratio = _taken(columns.ratio, entry, absent=0)
        self._installation_at = np.full(len(columns.points), -1, dtype=np.int64)
        hanging = np.flatnonzero(self.gateway >= 0)
        self._installation_at[columns.installation_point[hanging]] = hanging
        entry = columns.point_entries.in_force(len(columns.points), time_s, height)
        self._party = _taken(columns.point_party, entry)
        in_force = columns.profile_entries.in_force(len(columns.profiles), time_s, height)
        self._profile_entry = _taken(in_force, _taken(columns.point_profile, entry))
        self._share_ppm = _taken(columns.point_share_ppm, entry)
        self._priority = _taken(columns.point_priority, entry)
        self._energy_kind = _taken(columns.point_energy_kind, entry)
        self._grid_place = _taken(columns.point_grid_place, entry, absent=0)
        self.exchange_area = _taken(columns.point_exchange_area, entry)
        point_rules = _taken(columns.point_rules, entry)
        entry = columns.area_entries.in_force(len(columns.areas), time_s, height)
        self._calendar = _taken(columns.area_calendar, entry)
        in_force = columns.rules_entries.in_force(len(columns.rules), time_s, height)
        self._rules_entry = _taken(in_force, _taken(columns.area_rules, entry))
        self._own_rules_entry = _taken(in_force, point_rules)
        self._agreement_entry = columns.agreement_entries.in_force(len(columns.agreements), time_s, height)
        self._moment = (time_s, height)
        self._zones: dict[int, ZoneInForce] = {}

    @cached_property
    def parties(self) -> PartiesInForce:
        """The parties of it."""
        columns = self._registry.columns
        entry = columns.party_entries.in_force(len(columns.parties), *self._moment)
        return PartiesInForce(
            area=_taken(columns.party_area, entry),
            trades=_taken(columns.party_trades, entry, absent=0) > 0,
            credit_nano=_taken(columns.party_credit_nano, entry),
            aggregator=_taken(columns.party_aggregator, entry),
        )

    @cached_property
    def spans(self) -> Spans:
        """Between which breaks each installation's registers go on."""
        return spans_at(self._registry.columns, *self._moment)

    def zone(self, zone: Zone) -> ZoneInForce:
        """One zone of it."""
        if zone.place not in self._zones:
            self._zones[zone.place] = self._make_zone(zone)
        return self._zones[zone.place]

    def _make_zone(self, zone: Zone) -> ZoneInForce:
        registry, columns = self._registry, self._registry.columns
        points, areas = registry.points_of(zone.place), registry.areas_of(zone.place)
        installation = self._installation_at[points]
        own_entries = self._own_rules_entry[points]
        of_areas = self._rules_entry[areas]
        entries = np.unique(np.concatenate((of_areas, own_entries[own_entries >= 0])))
        profiled = np.unique(self._profile_entry[points])
        profiled = profiled[profiled >= 0]
        return ZoneInForce(
            zone=zone,
            area=columns.point_area[points] - areas.start,
            party=self._party[points],
            profile=np.where(
                self._profile_entry[points] >= 0, np.searchsorted(profiled, self._profile_entry[points]), -1
            ),
            installation=installation,
            modulus_wh=_taken(columns.modulus_wh, installation, absent=0),
            limit_wh=_taken(self.limit_wh, installation, absent=0),
            ratio=_taken(self.ratio, installation, absent=0),
            rules=np.searchsorted(entries, of_areas),
            rules_digests=[columns.rules_digests[entry] if entry >= 0 else b"" for entry in entries.tolist()],
            own_rules=np.where(own_entries >= 0, np.searchsorted(entries, own_entries), -1),
            share_ppm=self._share_ppm[points],
            priority=self._priority[points],
            energy_kind=self._energy_kind[points],
            grid_place=self._grid_place[points],
            profile_digests=[columns.profile_digests[entry] for entry in profiled.tolist()],
            calendar=self._calendar[areas],
            agreements=self._agreements(points),
        )

    def _agreements(self, points: slice) -> Sequence[AgreementInForce]:
        """Those of a zone's points, ascending by name."""
        columns, entry = self._registry.columns, self._agreement_entry
        seller = columns.agreement_seller
        own = np.flatnonzero((entry >= 0) & (seller >= points.start) & (seller < points.stop))
        names = (columns.agreements[place] for place in own.tolist())
        rows = ((column[own] - points.start).tolist() for column in (seller, columns.agreement_buyer))
        digests = (columns.agreement_digests[at] for at in entry[own].tolist())
        return [AgreementInForce(*of) for of in zip(names, *rows, digests, strict=True)]


def _each_once(columns: Sequence[Int64]) -> Int64:
    """The values of some columns, ascending: each column by itself first, as it mostly has few."""
    return np.unique(np.concatenate([np.unique(column) for column in columns]))


def _taken(column: Int64, places: Int64, absent: int = -1) -> Int64:
    """``column`` at ``places``, ``absent`` where a place is -1."""
    if not len(column):
        return np.full(len(places), absent, dtype=np.int64)
    return np.where(places >= 0, column[places], absent)
