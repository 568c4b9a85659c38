"""Who and what is registered, as columns that a file can hold: derived from the entities of one state, never part of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

import numpy as np

from gridcore.errors import broken
from gridcore.registry.area import AREA
from gridcore.registry.entity import Entity
from gridcore.registry.gateway import GATEWAY
from gridcore.registry.installation import INSTALLATION, Installation
from gridcore.registry.party import PARTY
from gridcore.registry.point import POINT
from gridcore.registry.rules import RULES
from gridcore.registry.zone import ZONE
from ledger.leaves.columns import Int64
from ledger.registry.bodies import Opened, Registered, open_entry
from ledger.registry.dated import Dated, dated
from ledger.registry.entries import ENTITY_FAMILIES, EntityLeaf
from ledger.registry.zones import Timeline

COLUMN_KINDS: Final = (ZONE, AREA, RULES, PARTY, POINT, GATEWAY, INSTALLATION)
COLUMN_PREFIXES: Final = tuple(ENTITY_FAMILIES[entity.kind].prefix for entity in COLUMN_KINDS)
"""Of the keys that the columns follow from: a change of such a leaf makes other columns."""


class AllRegistered(Registered, Protocol):
    """What the columns are read from."""

    def leaf_keys(self, prefix: str) -> Iterable[str]:
        """Keys that begin with ``prefix``."""


@dataclass(frozen=True)
class RegistryColumns:
    """Everything registered but organisations and signers.

    Entities of a kind have places: zones, rules and gateways ascending by the bytes of their names, areas by zone and
    number, points by zone and row, parties by number, installations by number.
    """

    zones: tuple[str, ...]
    timelines: tuple[Timeline, ...]
    areas: tuple[str, ...]
    area_zone: Int64
    rules: tuple[str, ...]
    rules_entries: Dated
    rules_digests: tuple[bytes, ...]
    """Of each entry of ``rules_entries``."""
    area_entries: Dated
    area_rules: Int64
    """Of each entry of ``area_entries``: place of its rules."""
    points: tuple[str, ...]
    point_area: Int64
    point_entries: Dated
    point_party: Int64
    """Of each entry of ``point_entries``: number of its party, -1 for none."""
    parties: tuple[str, ...]
    gateways: tuple[str, ...]
    numbers: Int64
    """Installations' numbers."""
    installation_point: Int64
    modulus_wh: Int64
    limit_wh: Int64
    ratio: Int64
    installation_entries: Dated
    installation_gateway: Int64
    """Of each entry of ``installation_entries``: place of its gateway, -1 for a removal."""


class _Entity(NamedTuple):
    """One entity with all its entries opened, oldest first."""

    name: str
    leaf: EntityLeaf
    opened: Sequence[Opened[Any]]

    @property
    def first(self) -> Any:
        """The record of its first entry: what never changes stands in it."""
        return self.opened[0].record

    @property
    def number(self) -> int:
        """Its number for ever, of a kind that has one."""
        return self.leaf.number if self.leaf.number is not None else broken(f"{self.name} has a number")


def read_columns(source: AllRegistered) -> RegistryColumns:
    """Read every entity of a state once."""
    zones = sorted(_entities(source, ZONE), key=_by_name)
    zone_place = _places(zones)
    areas = sorted(_entities(source, AREA), key=lambda area: (zone_place[area.first.zone], area.number))
    area_place, area_zone = _places(areas), _column(zone_place[area.first.zone] for area in areas)
    rules = sorted(_entities(source, RULES), key=_by_name)
    parties = sorted(_entities(source, PARTY), key=lambda party: party.number)
    points = sorted(_entities(source, POINT), key=lambda point: (area_zone[area_place[point.first.area]], point.number))
    gateways = sorted(_entities(source, GATEWAY), key=_by_name)
    installed = sorted(_entities(source, INSTALLATION), key=lambda installation: int(installation.name))
    rules_place, point_place = _places(rules), _places(points)
    party_place, gateway_place = _places(parties), _places(gateways)
    return RegistryColumns(
        zones=_names(zones),
        timelines=tuple(Timeline(*zone.first[2:]) for zone in zones),
        areas=_names(areas),
        area_zone=area_zone,
        rules=_names(rules),
        rules_entries=_dated(rules),
        rules_digests=tuple(opened.entry.digest for entity in rules for opened in entity.opened),
        area_entries=_dated(areas),
        area_rules=_column(rules_place[record.rules] for record in _records(areas)),
        points=_names(points),
        point_area=_column(area_place[point.first.area] for point in points),
        point_entries=_dated(points),
        point_party=_column(party_place.get(record.party, -1) for record in _records(points)),
        parties=_names(parties),
        gateways=_names(gateways),
        numbers=_column(int(entity.name) for entity in installed),
        installation_point=_column(point_place[entity.first.point] for entity in installed),
        modulus_wh=_column(entity.first.modulus_wh for entity in installed),
        limit_wh=_column(entity.first.limit_wh for entity in installed),
        ratio=_column(entity.first.ratio for entity in installed),
        installation_entries=_dated(installed),
        installation_gateway=_column(
            gateway_place[record.gateway] if isinstance(record, Installation) else -1 for record in _records(installed)
        ),
    )


def _entities(source: AllRegistered, entity: Entity[Any]) -> Iterable[_Entity]:
    family = ENTITY_FAMILIES[entity.kind]
    for key in source.leaf_keys(family.prefix):
        name = key.removeprefix(family.prefix)
        leaf = family.must(source, name)
        yield _Entity(name, leaf, [open_entry(source, entity, entry) for entry in leaf.entries])


def _by_name(entity: _Entity) -> bytes:
    return entity.name.encode()


def _names(entities: Iterable[_Entity]) -> tuple[str, ...]:
    return tuple(entity.name for entity in entities)


def _places(entities: Iterable[_Entity]) -> dict[str, int]:
    return {entity.name: place for place, entity in enumerate(entities)}


def _records(entities: Iterable[_Entity]) -> Iterable[Any]:
    return (opened.record for entity in entities for opened in entity.opened)


def _dated(entities: Iterable[_Entity]) -> Dated:
    return dated([[opened.entry for opened in entity.opened] for entity in entities])


def _column(values: Iterable[int]) -> Int64:
    return np.fromiter(values, dtype=np.int64)
