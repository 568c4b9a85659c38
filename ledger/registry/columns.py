"""Who and what is registered, as columns that a file can hold: derived from the entities of one state, never part of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

import numpy as np

from gridcore.errors import broken
from gridcore.registry.agreement import AGREEMENT, Agreement, EndedAgreement
from gridcore.registry.area import AREA, Area
from gridcore.registry.entity import Entity
from gridcore.registry.gateway import GATEWAY
from gridcore.registry.installation import INSTALLATION
from gridcore.registry.party import PARTY, Party
from gridcore.registry.point import POINT
from gridcore.registry.row import decode_row, unsalted
from gridcore.registry.rules import RULES
from gridcore.registry.standing_profile import STANDING_PROFILE
from gridcore.registry.zone import ZONE, Zone
from ledger.leaves.columns import Int64
from ledger.registry.dated import Dated, dated
from ledger.registry.entries import ENTITY_FAMILIES, EntityLeaf
from ledger.registry.said import SaidOfMeter, SaidOfPoint
from ledger.registry.vocabularies import (
    Gathered,
    PlaceOf,
    named,
    optional_place,
    place_of,
    series_of_agreement,
    series_together,
    vocabulary,
)
from ledger.registry.zones import Timeline

R = TypeVar("R")
T = TypeVar("T")

_TOGETHER: Final = 256
"""Entities whose rows are loaded at once: at most 64 each, below the 32,766 parameters that SQLite takes."""
COLUMN_KINDS: Final = (ZONE, AREA, RULES, STANDING_PROFILE, PARTY, POINT, GATEWAY, INSTALLATION, AGREEMENT)
COLUMN_PREFIXES: Final = tuple(ENTITY_FAMILIES[entity.kind].prefix for entity in COLUMN_KINDS)
"""Of the keys that the columns follow from: a change of such a leaf makes other columns."""


class SaltedRows(Protocol):
    """Where rows of the registry are read."""

    def bodies(self, digests: Sequence[bytes]) -> Sequence[bytes]:
        """The salted row of each of digests that entities' leaves hold."""


class AllRegistered(SaltedRows, Protocol):
    """What the columns are read from."""

    def each_entity(self, kind: str) -> Iterator[tuple[str, EntityLeaf]]:
        """Name and leaf of every entity of a kind."""


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
    series_together: tuple[str, ...]
    """Names of the price series that rules name together, with spaces between them, ascending."""
    rules_series: Int64
    """Of each entry of ``rules_entries``: place of the series that it names, -1 for none."""
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
    point_rules: Int64
    """Of each entry of ``point_entries``: place of rules of its own, -1 for none."""
    point_share_ppm: Int64
    """Of each entry of ``point_entries``, as is the next: -1 for none."""
    point_priority: Int64
    point_energy_kind: Int64
    """Of each entry of ``point_entries``: place in ``ENERGY_KINDS``, -1 for none."""
    point_grid_place: Int64
    """Of each entry of ``point_entries``: number of the place in its area's grid, 0 for none."""
    point_exchange_area: Int64
    """Of each entry of ``point_entries``: place of the area on the other side, -1 for none."""
    partners_together: tuple[str, ...]
    """Whom points name together, see ``vocabularies.partners_together``, ascending."""
    point_partners: Int64
    """Of each entry of ``point_entries``: place of whom it names, -1 for nobody."""
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
    agreements: tuple[str, ...]
    """Names, ascending by their bytes, of what has been agreed between two points."""
    agreement_seller: Int64
    """Of each agreement: place of the seller's point, and below of the buyer's."""
    agreement_buyer: Int64
    agreement_entries: Dated
    agreement_digests: tuple[bytes, ...]
    """Of each entry of ``agreement_entries``."""
    agreed_series: tuple[str, ...]
    """Names of the price series that agreements name, ascending."""
    agreement_series: Int64
    """Of each entry of ``agreement_entries``: place of the series that it names, -1 for none."""


class Read(NamedTuple, Generic[T]):
    """One entity. said: what the columns take of each of its entries, oldest first; nothing where they take nothing of the rows."""

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


# Columns of one kind each. The fields before the one called ``..._entries`` have a value for each entity, those after it one for
# each entry; places in them are those of the whole registry.


class ZoneColumns(NamedTuple):
    """Of zones."""

    zones: tuple[str, ...]
    timelines: tuple[Timeline, ...]

    @classmethod
    def of(cls, found: Sequence[Read[Zone]]) -> ZoneColumns:
        """What the columns hold of some zones."""
        return cls(names(found), tuple(Timeline.of(zone.said[-1]) for zone in found))


class AreaColumns(NamedTuple):
    """Of areas."""

    areas: tuple[str, ...]
    area_zone: Int64
    area_entries: Dated
    area_rules: Int64
    area_calendar: Int64

    @classmethod
    def of(cls, found: Sequence[Read[Area]], zone_of: PlaceOf, rules_of: PlaceOf, calendar_of: PlaceOf) -> AreaColumns:
        """What the columns hold of some areas."""
        records = list(_said(found))
        return cls(
            names(found),
            _column(zone_of(area.first.zone) for area in found),
            _dated(found),
            _column(rules_of(record.rules) for record in records),
            _column(calendar_of(record.calendar) for record in records),
        )


class RulesColumns(NamedTuple):
    """Of rules."""

    rules: tuple[str, ...]
    rules_entries: Dated
    rules_digests: tuple[bytes, ...]
    rules_series: Int64

    @classmethod
    def of(cls, found: Sequence[Read[str | None]], series_of: PlaceOf) -> RulesColumns:
        """What the columns hold of some rules, of whose rows ``series_together`` was taken."""
        series = _column(optional_place(together, series_of) for together in _said(found))
        return cls(names(found), _dated(found), _digests(found), series)


class ProfileColumns(NamedTuple):
    """Of standing profiles."""

    profiles: tuple[str, ...]
    profile_entries: Dated
    profile_digests: tuple[bytes, ...]

    @classmethod
    def of(cls, found: Sequence[Read[Any]]) -> ProfileColumns:
        """What the columns hold of some standing profiles."""
        return cls(names(found), _dated(found), _digests(found))


class PartyColumns(NamedTuple):
    """Of parties."""

    parties: tuple[str, ...]
    party_entries: Dated
    party_area: Int64
    party_trades: Int64
    party_credit_nano: Int64
    party_aggregator: Int64

    @classmethod
    def of(cls, found: Sequence[Read[Party]], area_of: PlaceOf, aggregator_of: PlaceOf) -> PartyColumns:
        """What the columns hold of some parties."""
        records = list(_said(found))
        return cls(
            names(found),
            _dated(found),
            _column(area_of(party.area) for party in records),
            _column(party.trades for party in records),
            _column(-1 if party.credit_nano is None else party.credit_nano for party in records),
            _column(optional_place(party.aggregator, aggregator_of) for party in records),
        )


class PointColumns(NamedTuple):
    """Of points."""

    points: tuple[str, ...]
    point_area: Int64
    point_entries: Dated
    point_party: Int64
    point_profile: Int64
    point_rules: Int64
    point_share_ppm: Int64
    point_priority: Int64
    point_energy_kind: Int64
    point_grid_place: Int64
    point_exchange_area: Int64
    point_partners: Int64

    @classmethod
    def of(cls, found: Sequence[Read[SaidOfPoint]]) -> PointColumns:
        """What the columns hold of some points."""
        return cls(
            names(found),
            _column(point.first.area for point in found),
            _dated(found),
            *(_column(getattr(said, name) for said in _said(found)) for name in SaidOfPoint._fields[1:]),
        )


class MeterColumns(NamedTuple):
    """Of installations."""

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

    @classmethod
    def of(cls, found: Sequence[Read[SaidOfMeter]]) -> MeterColumns:
        """What the columns hold of some installations."""
        said = list(_said(found))
        return cls(
            _column(int(meter.name) for meter in found),
            _column(meter.first.point for meter in found),
            _column(meter.first.modulus_wh for meter in found),
            _dated(found),
            _column(meter.gateway for meter in said),
            _column(meter.limit_wh for meter in said),
            _column(meter.ratio for meter in said),
            _column(meter.first[0] for meter in said),
            _column(meter.first[1] for meter in said),
            _column(meter.final[0] for meter in said),
            _column(meter.final[1] for meter in said),
        )


class AgreementColumns(NamedTuple):
    """Of agreements."""

    agreements: tuple[str, ...]
    agreement_seller: Int64
    agreement_buyer: Int64
    agreement_entries: Dated
    agreement_digests: tuple[bytes, ...]
    agreement_series: Int64

    @classmethod
    def of(
        cls, found: Sequence[Read[Agreement | EndedAgreement]], point_of: PlaceOf, series_of: PlaceOf
    ) -> AgreementColumns:
        """What the columns hold of some agreements."""
        return cls(
            names(found),
            _column(point_of(agreement.first.seller_point) for agreement in found),
            _column(point_of(agreement.first.buyer_point) for agreement in found),
            _dated(found),
            _digests(found),
            _column(optional_place(series_of_agreement(agreement), series_of) for agreement in _said(found)),
        )


def read_columns(source: AllRegistered) -> RegistryColumns:
    """Read every entity of a state once, one kind after the other: a kind's entities go before those of the next come."""
    zones = ZoneColumns.of(sorted(_all(source, ZONE, whole), key=by_name))
    zone_of = place_of(zones.zones)
    rules, together = _read_rules(source)
    profiles = ProfileColumns.of(sorted(_unopened(source, STANDING_PROFILE), key=by_name))
    found = sorted(_all(source, AREA, whole), key=lambda area: (zone_of(area.first.zone), area.number))
    calendars = vocabulary(record.calendar for record in _said(found))
    areas = AreaColumns.of(found, zone_of, place_of(rules.rules), place_of(calendars))
    area_of = place_of(areas.areas)
    parties, aggregators = _read_parties(source, area_of)
    gateways = names(sorted(_unopened(source, GATEWAY), key=by_name))
    area_zone = areas.area_zone.tolist()
    partners = Gathered()
    said_of_point = SaidOfPoint.by(
        area_of, place_of(parties.parties), place_of(profiles.profiles), place_of(rules.rules), partners.place
    )
    in_zones = sorted(_all(source, POINT, said_of_point), key=lambda point: (area_zone[point.first.area], point.number))
    points = PointColumns.of(in_zones)
    del in_zones
    named_together, partners_named = partners.in_order(points.point_partners)
    points = points._replace(point_partners=named_together)
    point_of = place_of(points.points)
    said_of_meter = SaidOfMeter.by(point_of, place_of(gateways))
    meters = MeterColumns.of(sorted(_all(source, INSTALLATION, said_of_meter), key=lambda meter: int(meter.name)))
    agreed = sorted(_all(source, AGREEMENT, whole), key=by_name)
    agreed_series = named(series_of_agreement(row) for row in _said(agreed))
    agreements = AgreementColumns.of(agreed, point_of, place_of(agreed_series))
    groups = (zones, areas, rules, profiles, parties, points, meters, agreements)
    words = {
        "calendars": calendars,
        "aggregators": aggregators,
        "series_together": together,
        "partners_together": partners_named,
    }
    return joined(groups, gateways=gateways, agreed_series=agreed_series, **words)


def joined(groups: Iterable[Any], **rest: tuple[str, ...]) -> RegistryColumns:
    """The columns of all kinds together."""
    columns: dict[str, Any] = {name: column for group in groups for name, column in group._asdict().items()}
    return RegistryColumns(**{**columns, **rest})


def _read_rules(source: AllRegistered) -> tuple[RulesColumns, tuple[str, ...]]:
    found = sorted(_all(source, RULES, series_together), key=by_name)
    together = named(_said(found))
    return RulesColumns.of(found, place_of(together)), together


def _read_parties(source: AllRegistered, area_of: PlaceOf) -> tuple[PartyColumns, tuple[str, ...]]:
    found = sorted(_all(source, PARTY, whole), key=lambda party: party.number)
    aggregators = named(party.aggregator for party in _said(found))
    return PartyColumns.of(found, area_of, place_of(aggregators)), aggregators


def _all(source: AllRegistered, entity: Entity[R], take: Callable[[R], T]) -> Iterator[Read[T]]:
    """The entities of a kind with what ``take`` takes of their rows."""
    unopened = _unopened(source, entity)
    while some := list(islice(unopened, _TOGETHER)):
        yield from opened(source, entity, some, take)


def opened(
    source: SaltedRows, entity: Entity[R], some: Sequence[Read[Any]], take: Callable[[R], T]
) -> Iterator[Read[T]]:
    """Entities with what ``take`` takes of their rows, which are loaded at once."""
    bodies = iter(source.bodies([entry.digest for found in some for entry in found.leaf.entries]))
    for found in some:
        rows = [decode_row(unsalted(body)) for body in islice(bodies, len(found.leaf.entries))]
        yield Read(found.name, found.leaf, [take(entity.record_of(row.value)) for row in rows])


def _unopened(source: AllRegistered, entity: Entity[Any]) -> Iterator[Read[Any]]:
    """The entities of a kind without their rows."""
    return (Read(name, leaf, ()) for name, leaf in source.each_entity(entity.kind))


def by_name(entity: Read[Any]) -> bytes:
    """Kinds that have no numbers stand in this order."""
    return entity.name.encode()


def names(entities: Iterable[Read[Any]]) -> tuple[str, ...]:
    """The names of entities."""
    return tuple(entity.name for entity in entities)


def whole(record: R) -> R:
    """Take all that a row says."""
    return record


def _said(entities: Iterable[Read[T]]) -> Iterator[T]:
    return (said for entity in entities for said in entity.said)


def _dated(entities: Iterable[Read[Any]]) -> Dated:
    return dated([entity.leaf.entries for entity in entities])


def _digests(entities: Iterable[Read[Any]]) -> tuple[bytes, ...]:
    return tuple(entry.digest for entity in entities for entry in entity.leaf.entries)


def _column(values: Iterable[int]) -> Int64:
    return np.fromiter(values, dtype=np.int64)
