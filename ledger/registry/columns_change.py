"""The registry's columns after a block: entities that it wrote are put in, and places are moved on; nothing else is read again.

What comes out is what ``columns.read_columns`` would make of the state from nothing (tests/unit/registry).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Final, Literal, Protocol, Self, TypeVar

import numpy as np

from gridcore.registry.agreement import AGREEMENT
from gridcore.registry.area import AREA
from gridcore.registry.entity import Entity
from gridcore.registry.gateway import GATEWAY
from gridcore.registry.installation import INSTALLATION
from gridcore.registry.party import PARTY
from gridcore.registry.point import POINT, Point
from gridcore.registry.rules import RULES
from gridcore.registry.standing_profile import STANDING_PROFILE
from gridcore.registry.zone import ZONE
from ledger.leaves.columns import Int64
from ledger.leaves.family import Leaves
from ledger.registry.columns import (
    AgreementColumns,
    AreaColumns,
    MeterColumns,
    PartyColumns,
    PointColumns,
    ProfileColumns,
    Read,
    RegistryColumns,
    RulesColumns,
    SaltedRows,
    ZoneColumns,
    by_name,
    joined,
    names,
    opened,
    whole,
)
from ledger.registry.dated import Dated
from ledger.registry.entries import ENTITY_FAMILIES
from ledger.registry.said import SaidOfMeter, SaidOfPoint
from ledger.registry.vocabularies import (
    Gathered,
    PlaceOf,
    named,
    place_of,
    series_of_agreement,
    series_together,
    vocabulary,
)

G = TypeVar("G")
R = TypeVar("R")
T = TypeVar("T")
_TOGETHER: Final = 256
_SIDES: Final[tuple[Literal["left"], Literal["right"]]] = ("left", "right")


@dataclass(frozen=True)
class _Splice:
    """Where changed entities of a kind stand. inserted: before which old place each new one goes, ascending; places: of
    all changed ones, new ones included, afterwards, ascending.
    """

    inserted: Int64
    places: Int64

    @classmethod
    def of(cls, at: Sequence[int], is_new: Sequence[bool]) -> Self:
        """``at``: of each changed entity, in their order afterwards, its old place, or that before which it goes."""
        places, new = np.array(at, dtype=np.int64), np.array(is_new, dtype=bool)
        return cls(places[new], places + np.cumsum(new) - new)

    def moved(self, places: Int64) -> Int64:
        """Old places as they are afterwards; -1 stays."""
        if not len(self.inserted):
            return places
        return np.where(places >= 0, places + np.searchsorted(self.inserted, places, side="right"), -1)

    def put_in(self, old: Any, changed: Any) -> Any:
        """A column with one value for each entity: nothing of an old one changes; of ``changed`` the new ones are taken."""
        is_new = np.isin(self.places, self.inserted + np.arange(len(self.inserted)))
        if isinstance(old, np.ndarray):
            return np.insert(old, self.inserted, changed[is_new]) if len(self.inserted) else old
        return _put_in(old, self.inserted.tolist(), [changed[at] for at in np.flatnonzero(is_new).tolist()])


def _put_in(old: tuple[T, ...], inserted: Sequence[int], new: Sequence[T]) -> tuple[T, ...]:
    parts, start = [], 0
    for at, item in zip(inserted, new, strict=True):
        parts += [*old[start:at], item]
        start = at
    return (*parts, *old[start:]) if new else old


def _spliced(old: G, changed: G, splice: _Splice) -> G:
    """Columns of a kind with those of its changed entities in them: see the groups of ``columns``."""
    if not len(splice.places):
        return old
    group: Any = type(old)
    columns: dict[str, Any] = {}
    take: Callable[[Any, Any], Any] = splice.put_in
    for name in group._fields:
        before, after = getattr(old, name), getattr(changed, name)
        if isinstance(before, Dated):
            entries = after._replace(entity=splice.places[after.entity])
            merge = _Merge.of(before._replace(entity=splice.moved(before.entity)), entries)
            columns[name], take = merge.entries, merge.column
        else:
            columns[name] = take(before, after)
    spliced: G = group(**columns)
    return spliced


@dataclass(frozen=True)
class _Merge:
    """Entries without the old ones of changed entities, and with all their new ones, as the pieces that follow one another.

    old: (first, end) of what stays, one piece more than ``new``; new: (first, end) of the entries of each changed entity.
    """

    old: Sequence[tuple[int, int]]
    new: Sequence[tuple[int, int]]
    entries: Dated

    @classmethod
    def of(cls, old: Dated, changed: Dated) -> Self:
        """Both ascending, with the places of afterwards."""
        places = np.unique(changed.entity)
        gone = zip(*(np.searchsorted(old.entity, places, side=side).tolist() for side in _SIDES), strict=True)
        edges = [0, *(edge for pair in gone for edge in pair), len(old.entity)]
        new = zip(*(np.searchsorted(changed.entity, places, side=side).tolist() for side in _SIDES), strict=True)
        pieces = cls(list(zip(edges[::2], edges[1::2], strict=True)), list(new), old)
        return replace(pieces, entries=Dated(*map(pieces.column, old, changed)))

    def column(self, old: Any, changed: Any) -> Any:
        """A column with one value for each entry."""
        parts = [old[slice(*self.old[0])]]
        for kept, own in zip(self.old[1:], self.new, strict=True):
            parts += [changed[slice(*own)], old[slice(*kept)]]
        return np.concatenate(parts) if isinstance(old, np.ndarray) else tuple(chain.from_iterable(parts))


class LeavesAndRows(Leaves, SaltedRows, Protocol):
    """Where changed entities are read."""


def change_columns(columns: RegistryColumns, source: LeavesAndRows, keys: Iterable[str]) -> RegistryColumns:
    """The columns after entities of these keys were written; ``source`` holds them as they are now."""
    return _Change(columns, source, keys).columns()


class _Change:
    """One change, kind by kind: those that others name come first."""

    def __init__(self, old: RegistryColumns, source: LeavesAndRows, keys: Iterable[str]) -> None:
        self._old = old
        self._source = source
        self._keys = sorted(set(keys))

    def columns(self) -> RegistryColumns:
        """All kinds together."""
        zones, zone = self._zones()
        rules, together, rule = self._rules()
        profiles, profile = self._by_names("profiles", ProfileColumns, STANDING_PROFILE, ProfileColumns.of)
        gateways = vocabulary([*self._old.gateways, *names(self._changed(GATEWAY, whole))])
        gateway = _at_names(self._old.gateways, gateways)
        areas, calendars, area = self._areas(zones, zone, rules, rule)
        parties, aggregators = self._parties(areas, area)
        points, partners, point = self._points(areas, area, profiles, profile, rules, rule)
        meters = self._meters(areas, points, point, gateways, gateway)
        agreements, agreed_series = self._agreements(areas, points, point)
        groups = (zones, rules, profiles, areas, parties, points, meters, agreements)
        words = {
            "calendars": calendars,
            "aggregators": aggregators,
            "series_together": together,
            "partners_together": partners,
        }
        return joined(groups, gateways=gateways, agreed_series=agreed_series, **words)

    # ------------------------------------------------------------------------------------------- kind by kind

    def _zones(self) -> tuple[ZoneColumns, _Splice]:
        """The timeline of a zone is what its last row says: rules that it took up stand there alone."""
        zones, splice = self._by_names("zones", ZoneColumns, ZONE, ZoneColumns.of)
        changed = ZoneColumns.of(self._changed(ZONE, whole))
        now = dict(zip(changed.zones, changed.timelines, strict=True))
        kept = zip(zones.zones, zones.timelines, strict=True)
        return zones._replace(timelines=tuple(now.get(name, timeline) for name, timeline in kept)), splice

    def _rules(self) -> tuple[RulesColumns, tuple[str, ...], _Splice]:
        found, known = sorted(self._changed(RULES, series_together), key=by_name), self._old.series_together
        together = named([*known, *(row for one in found for row in one.said)])
        old = _group(RulesColumns, self._old)
        old = old._replace(rules_series=_at_names(known, together).moved(old.rules_series))
        splice = _at_names(old.rules, names(found))
        rules = _spliced(old, RulesColumns.of(found, place_of(together)), splice)
        series, together = _without_unused(rules.rules_series, together)
        return rules._replace(rules_series=series), together, splice

    def _areas(
        self, zones: ZoneColumns, zone: _Splice, rules: RulesColumns, rule: _Splice
    ) -> tuple[AreaColumns, tuple[str, ...], _Splice]:
        found, zone_of = self._changed(AREA, whole), place_of(zones.zones)
        old = _group(AreaColumns, self._old)
        said = vocabulary([*self._old.calendars, *(row.calendar for one in found for row in one.said)])
        old = old._replace(
            area_zone=zone.moved(old.area_zone),
            area_rules=rule.moved(old.area_rules),
            area_calendar=_at_names(self._old.calendars, said).moved(old.area_calendar),
        )
        splice, found = _in_zones(old.area_zone, found, [zone_of(one.first.zone) for one in found])
        changed = AreaColumns.of(found, zone_of, place_of(rules.rules), place_of(said))
        areas = _spliced(old, changed, splice)
        calendar, calendars = _without_unused(areas.area_calendar, said)
        return areas._replace(area_calendar=calendar), calendars, splice

    def _parties(self, areas: AreaColumns, area: _Splice) -> tuple[PartyColumns, tuple[str, ...]]:
        found = sorted(self._changed(PARTY, whole), key=lambda one: one.number)
        old, known = _group(PartyColumns, self._old), self._old.aggregators
        said = named([*known, *(row.aggregator for one in found for row in one.said)])
        old = old._replace(
            party_area=area.moved(old.party_area), party_aggregator=_at_names(known, said).moved(old.party_aggregator)
        )
        count = len(old.parties)
        splice = _Splice.of([min(one.number, count) for one in found], [one.number >= count for one in found])
        changed = PartyColumns.of(found, place_of(areas.areas), place_of(said))
        parties = _spliced(old, changed, splice)
        aggregator, aggregators = _without_unused(parties.party_aggregator, said)
        return parties._replace(party_aggregator=aggregator), aggregators

    def _points(
        self,
        areas: AreaColumns,
        area: _Splice,
        profiles: ProfileColumns,
        profile: _Splice,
        rules: RulesColumns,
        rule: _Splice,
    ) -> tuple[PointColumns, tuple[str, ...], _Splice]:
        old, partners = _group(PointColumns, self._old), Gathered(self._old.partners_together)
        old = old._replace(
            point_area=area.moved(old.point_area),
            point_profile=profile.moved(old.point_profile),
            point_rules=rule.moved(old.point_rules),
            point_exchange_area=area.moved(old.point_exchange_area),
        )
        area_of = place_of(areas.areas)
        said = SaidOfPoint.by(
            area_of, self._number_of(PARTY), place_of(profiles.profiles), place_of(rules.rules), partners.place
        )
        found = self._changed(POINT, said)
        zones = areas.area_zone[[one.first.area for one in found]] if found else np.zeros(0, dtype=np.int64)
        old_zones = areas.area_zone[old.point_area] if len(old.point_area) else old.point_area
        splice, found = _in_zones(old_zones, found, zones.tolist())
        points = _spliced(old, PointColumns.of(found), splice)
        if not found:
            return points, self._old.partners_together, splice
        named_together, named = partners.in_order(points.point_partners)
        return points._replace(point_partners=named_together), named, splice

    def _meters(
        self, areas: AreaColumns, points: PointColumns, point: _Splice, gateways: tuple[str, ...], gateway: _Splice
    ) -> MeterColumns:
        old = _group(MeterColumns, self._old)
        old = old._replace(
            installation_point=point.moved(old.installation_point),
            installation_gateway=gateway.moved(old.installation_gateway),
        )
        said = SaidOfMeter.by(self._point_of(areas, points), place_of(gateways))
        found = sorted(self._changed(INSTALLATION, said), key=lambda one: int(one.name))
        numbers = np.array([int(one.name) for one in found], dtype=np.int64)
        at = np.searchsorted(old.numbers, numbers)
        is_new = np.append(old.numbers, -1)[at] != numbers
        return _spliced(old, MeterColumns.of(found), _Splice.of(at.tolist(), is_new.tolist()))

    def _agreements(
        self, areas: AreaColumns, points: PointColumns, point: _Splice
    ) -> tuple[AgreementColumns, tuple[str, ...]]:
        found, known = sorted(self._changed(AGREEMENT, whole), key=by_name), self._old.agreed_series
        said = named([*known, *(series_of_agreement(row) for one in found for row in one.said)])
        old = _group(AgreementColumns, self._old)
        old = old._replace(
            agreement_seller=point.moved(old.agreement_seller),
            agreement_buyer=point.moved(old.agreement_buyer),
            agreement_series=_at_names(known, said).moved(old.agreement_series),
        )
        changed = AgreementColumns.of(found, self._point_of(areas, points), place_of(said))
        agreements = _spliced(old, changed, _at_names(old.agreements, names(found)))
        series, said = _without_unused(agreements.agreement_series, said)
        return agreements._replace(agreement_series=series), said

    def _by_names(
        self, known: str, group: type[G], entity: Entity[R], of: Callable[[Sequence[Read[R]]], G]
    ) -> tuple[G, _Splice]:
        """A kind that stands in the order of its names, whose column is called ``known``."""
        found = sorted(self._changed(entity, whole), key=by_name)
        splice = _at_names(getattr(self._old, known), names(found))
        return _spliced(_group(group, self._old), of(found), splice), splice

    # -------------------------------------------------------------------------------------------- what was written

    def _changed(self, entity: Entity[R], take: Callable[[R], T]) -> list[Read[T]]:
        """The entities of a kind that were written."""
        family = ENTITY_FAMILIES[entity.kind]
        own = [key.removeprefix(family.prefix) for key in self._keys if key.startswith(family.prefix)]
        unopened: list[Read[Any]] = [Read(name, family.must(self._source, name), ()) for name in own]
        parts = range(0, len(unopened), _TOGETHER)
        return [one for at in parts for one in opened(self._source, entity, unopened[at : at + _TOGETHER], take)]

    def _number_of(self, entity: Entity[Any]) -> PlaceOf:
        """Numbers as the leaves hold them: no dictionary of a million names."""

        def number_of(name: str) -> int:
            leaf = ENTITY_FAMILIES[entity.kind].load(self._source, name)
            return -1 if leaf is None or leaf.number is None else leaf.number

        return number_of

    def _point_of(self, areas: AreaColumns, points: PointColumns) -> PlaceOf:
        """Places of points: where their zone begins, and their row behind it."""
        zones = areas.area_zone[points.point_area] if len(points.points) else points.point_area
        area_of, row_of = place_of(areas.areas), self._number_of(POINT)

        def point_place(name: str) -> int:
            row = row_of(name)
            unopened: list[Read[Any]] = [Read(name, ENTITY_FAMILIES[POINT.kind].must(self._source, name), ())]
            first: Point = next(opened(self._source, POINT, unopened, whole)).first
            return int(np.searchsorted(zones, areas.area_zone[area_of(first.area)])) + row

        return point_place


def _group(group: type[G], columns: RegistryColumns) -> G:
    """The columns of one kind."""
    fields: Any = group
    own: G = fields(**{name: getattr(columns, name) for name in fields._fields})
    return own


def _at_names(old: tuple[str, ...], changed: Sequence[str]) -> _Splice:
    """Where names stand that ascend by their bytes."""
    places = [bisect_left(old, name.encode(), key=str.encode) for name in changed]
    known = [place < len(old) and old[place] == name for place, name in zip(places, changed, strict=True)]
    return _Splice.of(places, [not is_known for is_known in known])


def _in_zones(old_zones: Int64, found: Sequence[Read[T]], zones: Sequence[int]) -> tuple[_Splice, list[Read[T]]]:
    """Where entities stand that are counted in zones, and they in that order. old_zones: of the old ones, ascending."""
    order = sorted(range(len(found)), key=lambda at: (zones[at], found[at].number))
    begins = np.searchsorted(old_zones, [zones[at] for at in order], side="left")
    ends = np.searchsorted(old_zones, [zones[at] for at in order], side="right")
    rows = np.array([found[at].number for at in order], dtype=np.int64)
    places = np.minimum(begins + rows, ends)
    return _Splice.of(places.tolist(), (begins + rows >= ends).tolist()), [found[at] for at in order]


def _without_unused(column: Int64, known: tuple[str, ...]) -> tuple[Int64, tuple[str, ...]]:
    """Places among names without those that nothing has any more."""
    used = np.unique(column[column >= 0])
    if len(used) == len(known):
        return column, known
    return np.where(column >= 0, np.searchsorted(used, column), -1), tuple(known[place] for place in used.tolist())
