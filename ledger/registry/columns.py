"""Who and what is registered, as columns that a file can hold: derived from the entities of one state, never part of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Generic, NamedTuple, Never, Protocol, TypeVar

import numpy as np

from gridcore.errors import broken
from gridcore.registry.area import AREA
from gridcore.registry.entity import Entity
from gridcore.registry.gateway import GATEWAY
from gridcore.registry.installation import INSTALLATION, Installation, RemovedInstallation
from gridcore.registry.party import PARTY
from gridcore.registry.point import POINT, Point
from gridcore.registry.row import decode_row, unsalted
from gridcore.registry.rules import RULES
from gridcore.registry.standing_profile import STANDING_PROFILE
from gridcore.registry.zone import ZONE
from ledger.leaves.columns import Int64
from ledger.leaves.family import Value
from ledger.registry.dated import Dated, dated
from ledger.registry.entries import ENTITY_FAMILIES, EntityLeaf
from ledger.registry.zones import Timeline

R = TypeVar("R")
T = TypeVar("T")

_TOGETHER: Final = 256
"""Entities whose rows are loaded at once: at most 64 each, below the 32,766 parameters that SQLite takes."""
COLUMN_KINDS: Final = (ZONE, AREA, RULES, STANDING_PROFILE, PARTY, POINT, GATEWAY, INSTALLATION)
COLUMN_PREFIXES: Final = tuple(ENTITY_FAMILIES[entity.kind].prefix for entity in COLUMN_KINDS)
"""Of the keys that the columns follow from: a change of such a leaf makes other columns."""


class AllRegistered(Protocol):
    """What the columns are read from."""

    def each(self, prefix: str) -> Iterator[tuple[str, Value]]:
        """Key and value of the leaves whose keys begin with ``prefix``."""

    def bodies(self, digests: Sequence[bytes]) -> Sequence[bytes]:
        """The salted row of each of digests that entities' leaves hold."""


@dataclass(frozen=True)
class RegistryColumns:
    """Everything registered but organisations and signers.

    Entities of a kind have places: zones, rules, standing profiles and gateways ascending by the bytes of their names, areas
    by zone and number, points by zone and row, parties by number, installations by number.
    """

    zones: tuple[str, ...]
    timelines: tuple[Timeline, ...]
    areas: tuple[str, ...]
    area_zone: Int64
    rules: tuple[str, ...]
    rules_entries: Dated
    rules_digests: tuple[bytes, ...]
    """Of each entry of ``rules_entries``."""
    profiles: tuple[str, ...]
    """Standing profiles."""
    profile_entries: Dated
    profile_digests: tuple[bytes, ...]
    """Of each entry of ``profile_entries``."""
    calendars: tuple[str, ...]
    """Names of the calendars that areas have, ascending."""
    area_entries: Dated
    area_rules: Int64
    """Of each entry of ``area_entries``: place of its rules."""
    area_calendar: Int64
    """Of each entry of ``area_entries``: place of its calendar."""
    points: tuple[str, ...]
    point_area: Int64
    point_entries: Dated
    point_party: Int64
    """Of each entry of ``point_entries``: number of its party, -1 for none."""
    point_profile: Int64
    """Of each entry of ``point_entries``: place of its standing profile, -1 for none."""
    parties: tuple[str, ...]
    party_entries: Dated
    party_area: Int64
    """Of each entry of ``party_entries``: place of its area, -1 for one that is not there."""
    party_trades: Int64
    """Of each entry of ``party_entries``: 1 where it may place orders."""
    party_credit_nano: Int64
    """Of each entry of ``party_entries``: how much it may owe, -1 without bound."""
    aggregators: tuple[str, ...]
    """Names of the signers that place orders for parties, ascending."""
    party_aggregator: Int64
    """Of each entry of ``party_entries``: place of its aggregator, -1 for none."""
    gateways: tuple[str, ...]
    numbers: Int64
    """Installations' numbers."""
    installation_point: Int64
    modulus_wh: Int64
    installation_entries: Dated
    installation_gateway: Int64
    """Of each entry of ``installation_entries``: place of its gateway, -1 for a removal."""
    limit_wh: Int64
    """Of each entry of ``installation_entries``, as are the columns below: 0 for a removal."""
    ratio: Int64
    """0 for a removal."""
    first_import_wh: Int64
    """What the registers are from the entry on, -1 where they go on as before; the two stand together."""
    first_export_wh: Int64
    final_import_wh: Int64
    """What the registers were just before the entry, -1 where it does not say."""
    final_export_wh: Int64


class _Entity(NamedTuple, Generic[T]):
    """One entity. said: what the columns take of the record of each entry, oldest first."""

    name: str
    leaf: EntityLeaf
    said: Sequence[T]

    @property
    def first(self) -> T:
        """What its first entry says: what never changes stands in it."""
        return self.said[0]

    @property
    def number(self) -> int:
        """Its number for ever, of a kind that has one."""
        return self.leaf.number if self.leaf.number is not None else broken(f"{self.name} has a number")


class _Point(NamedTuple):
    """Place of the area; number of the party and place of the standing profile, -1 for none."""

    area: int
    party: int
    profile: int


_NO_REGISTERS: Final = (-1, -1)


class _Meter(NamedTuple):
    """Places of the point and of the gateway, -1 for a meter that was taken down, and what its registers can and did show."""

    point: int
    gateway: int
    modulus_wh: int = 0
    limit_wh: int = 0
    ratio: int = 0
    first: Sequence[int] = _NO_REGISTERS
    final: Sequence[int] = _NO_REGISTERS


class _Parties(NamedTuple):
    """Columns of parties."""

    parties: tuple[str, ...]
    party_entries: Dated
    party_area: Int64
    party_trades: Int64
    party_credit_nano: Int64
    aggregators: tuple[str, ...]
    party_aggregator: Int64


class _Points(NamedTuple):
    """Columns of points."""

    points: tuple[str, ...]
    point_area: Int64
    point_entries: Dated
    point_party: Int64
    point_profile: Int64


class _Meters(NamedTuple):
    """Columns of installations."""

    numbers: Int64
    installation_point: Int64
    modulus_wh: Int64
    installation_entries: Dated
    installation_gateway: Int64
    limit_wh: Int64
    ratio: Int64
    first_import_wh: Int64
    first_export_wh: Int64
    final_import_wh: Int64
    final_export_wh: Int64


def read_columns(source: AllRegistered) -> RegistryColumns:
    """Read every entity of a state once, one kind after the other: a kind's entities go before those of the next come."""
    zones = sorted(_entities(source, ZONE, _record), key=_by_name)
    zone_place = _places(_names(zones))
    areas = sorted(_entities(source, AREA, _record), key=lambda area: (zone_place[area.first.zone], area.number))
    area_zone = [zone_place[area.first.zone] for area in areas]
    rules = sorted(_entities(source, RULES, lambda _: None), key=_by_name)
    rules_place = _places(_names(rules))
    profiles = sorted(_entities(source, STANDING_PROFILE, lambda _: None), key=_by_name)
    calendars = tuple(sorted({record.calendar for record in _said(areas)}, key=str.encode))
    calendar_place = _places(calendars)
    area_place = _places(_names(areas))
    parties = _read_parties(source, area_place)
    gateways = _names(sorted(_unopened(source, GATEWAY), key=_by_name))
    points = _read_points(source, area_place, area_zone, _places(parties.parties), _places(_names(profiles)))
    meters = _read_meters(source, _places(points.points), _places(gateways))
    return RegistryColumns(
        zones=_names(zones),
        timelines=tuple(Timeline.of(zone.first) for zone in zones),
        areas=_names(areas),
        area_zone=_column(area_zone),
        rules=_names(rules),
        rules_entries=_dated(rules),
        rules_digests=_digests(rules),
        profiles=_names(profiles),
        profile_entries=_dated(profiles),
        profile_digests=_digests(profiles),
        calendars=calendars,
        area_entries=_dated(areas),
        area_rules=_column(rules_place[record.rules] for record in _said(areas)),
        area_calendar=_column(calendar_place[record.calendar] for record in _said(areas)),
        **parties._asdict(),
        gateways=gateways,
        **points._asdict(),
        **meters._asdict(),
    )


def _read_parties(source: AllRegistered, area_place: Mapping[str, int]) -> _Parties:
    parties = sorted(_entities(source, PARTY, _record), key=lambda party: party.number)
    aggregators = sorted({party.aggregator for party in _said(parties) if party.aggregator is not None}, key=str.encode)
    aggregator_place = _places(aggregators)
    return _Parties(
        parties=_names(parties),
        party_entries=_dated(parties),
        party_area=_column(area_place.get(party.area, -1) for party in _said(parties)),
        party_trades=_column(party.trades for party in _said(parties)),
        party_credit_nano=_column(-1 if party.credit_nano is None else party.credit_nano for party in _said(parties)),
        aggregators=tuple(aggregators),
        party_aggregator=_column(aggregator_place.get(party.aggregator or "", -1) for party in _said(parties)),
    )


def _read_points(
    source: AllRegistered,
    area_place: Mapping[str, int],
    area_zone: Sequence[int],
    party_number: Mapping[str, int],
    profile_place: Mapping[str, int],
) -> _Points:
    def of_record(record: Point) -> _Point:
        return _Point(
            area_place[record.area],
            -1 if record.party is None else party_number.get(record.party, -1),
            -1 if record.standing_profile is None else profile_place.get(record.standing_profile, -1),
        )

    points = sorted(_entities(source, POINT, of_record), key=lambda point: (area_zone[point.first.area], point.number))
    return _Points(
        points=_names(points),
        point_area=_column(point.first.area for point in points),
        point_entries=_dated(points),
        point_party=_column(said.party for said in _said(points)),
        point_profile=_column(said.profile for said in _said(points)),
    )


def _read_meters(source: AllRegistered, point_place: Mapping[str, int], gateway_place: Mapping[str, int]) -> _Meters:
    def of_record(record: Installation | RemovedInstallation) -> _Meter:
        place, final = point_place[record.point], record.final_registers or _NO_REGISTERS
        if isinstance(record, RemovedInstallation):
            return _Meter(place, -1, final=final)
        return _Meter(
            place,
            gateway_place[record.gateway],
            record.modulus_wh,
            record.limit_wh,
            record.ratio,
            record.first_registers or _NO_REGISTERS,
            final,
        )

    installed = sorted(_entities(source, INSTALLATION, of_record), key=lambda installation: int(installation.name))
    return _Meters(
        numbers=_column(int(entity.name) for entity in installed),
        installation_point=_column(entity.first.point for entity in installed),
        modulus_wh=_column(entity.first.modulus_wh for entity in installed),
        installation_entries=_dated(installed),
        installation_gateway=_column(said.gateway for said in _said(installed)),
        limit_wh=_column(said.limit_wh for said in _said(installed)),
        ratio=_column(said.ratio for said in _said(installed)),
        first_import_wh=_column(said.first[0] for said in _said(installed)),
        first_export_wh=_column(said.first[1] for said in _said(installed)),
        final_import_wh=_column(said.final[0] for said in _said(installed)),
        final_export_wh=_column(said.final[1] for said in _said(installed)),
    )


def _entities(source: AllRegistered, entity: Entity[R], of_record: Callable[[R], T]) -> Iterator[_Entity[T]]:
    """The entities of a kind with what ``of_record`` takes of their records."""
    unopened = _unopened(source, entity)
    while some := list(islice(unopened, _TOGETHER)):
        bodies = iter(source.bodies([entry.digest for found in some for entry in found.leaf.entries]))
        for name, leaf, _ in some:
            rows = [decode_row(unsalted(body)) for body in islice(bodies, len(leaf.entries))]
            yield _Entity(name, leaf, [of_record(entity.record_of(row.value)) for row in rows])


def _unopened(source: AllRegistered, entity: Entity[Any]) -> Iterator[_Entity[Never]]:
    """The entities of a kind of whose rows the columns take nothing."""
    family = ENTITY_FAMILIES[entity.kind]
    for key, value in source.each(family.prefix):
        yield _Entity(key.removeprefix(family.prefix), family.decode(**value), ())


def _record(record: T) -> T:
    return record


def _by_name(entity: _Entity[Any]) -> bytes:
    return entity.name.encode()


def _names(entities: Iterable[_Entity[Any]]) -> tuple[str, ...]:
    return tuple(entity.name for entity in entities)


def _places(names: Iterable[str]) -> Mapping[str, int]:
    return {name: place for place, name in enumerate(names)}


def _said(entities: Iterable[_Entity[T]]) -> Iterator[T]:
    return (said for entity in entities for said in entity.said)


def _dated(entities: Iterable[_Entity[Any]]) -> Dated:
    return dated([entity.leaf.entries for entity in entities])


def _digests(entities: Iterable[_Entity[Any]]) -> tuple[bytes, ...]:
    return tuple(entry.digest for entity in entities for entry in entity.leaf.entries)


def _column(values: Iterable[int]) -> Int64:
    return np.fromiter(values, dtype=np.int64)
