"""Who names whom, found in the registry's columns: sorted once where a registration asks for the first time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ledger.leaves.columns import Int64
from ledger.registry.columns import RegistryColumns
from ledger.registry.histories import NEVER_S, OwnRules, RulesSpan


@dataclass(frozen=True)
class Lookups:
    """What the rows before a block name; a name of nothing has nothing."""

    columns: RegistryColumns

    def points_of_party(self, number: int) -> set[str]:
        """The points that were ever billed to the party of a number."""
        columns = self.columns
        return {columns.points[place] for place in columns.point_entries.entity[self._billed.of(number)].tolist()}

    def shared_points_of_party(self, number: int, until_s: int) -> set[str]:
        """Of the points that were ever billed to the party of a number those that were billed to another too, by entries that had begun at a time."""
        columns, entries = self.columns, self.columns.point_entries
        own = np.unique(entries.entity[self._billed.of(number)])
        found = set[str]()
        for place, first, end in zip(
            own.tolist(), *np.searchsorted(entries.entity, [own, own + 1]).tolist(), strict=True
        ):
            parties = columns.point_party[first:end][entries.from_s[first:end] <= until_s]
            if np.any((parties >= 0) & (parties != number)):
                found.add(columns.points[place])
        return found

    def installations_at(self, point: int) -> set[str]:
        """The names (their numbers) of the installations that were ever at the point of a place."""
        return {str(number) for number in self.columns.numbers[self._installed.of(point)].tolist()}

    def areas_of_rules(self, name: str) -> set[str]:
        """The areas that ever had these rules."""
        columns = self.columns
        if name not in columns.rules:
            return set()
        had = columns.area_rules == columns.rules.index(name)
        return {columns.areas[place] for place in np.unique(columns.area_entries.entity[had]).tolist()}

    def spans_of_rules(self, rules: str) -> Mapping[RulesSpan, int]:
        """The spans in which points have rules of their own, with how many entries: a block may ask for each of its thousands of rows."""
        known = self._known_spans.get(rules)
        if known is None:
            columns = self.columns
            own = self._ruled.of(columns.rules.index(rules)) if rules in columns.rules else np.zeros(0, dtype=np.int64)
            known = self._known_spans[rules] = dict(self._counted(own))
        return known

    def own_rules_at(self, point: int) -> Sequence[OwnRules]:
        """Which rules the point of a place ever had of its own, and when: of each entry that ``spans_of_rules`` counts one."""
        columns = self.columns
        first, end = columns.point_entries.entity.searchsorted([point, point + 1]).tolist()
        own = first + np.flatnonzero(columns.point_rules[first:end] >= 0)
        spans = (RulesSpan(columns.zones[zone], from_s, end_s) for zone, from_s, end_s in self._spans(own).tolist())
        return [
            OwnRules(columns.rules[place], span)
            for place, span in zip(columns.point_rules[own].tolist(), spans, strict=True)
        ]

    def zones_of_ruled_points(self, name: str) -> set[str]:
        """The zones of these points."""
        known = self._zones_of_rules.get(name)
        if known is None:
            known = self._zones_of_rules[name] = {span.zone for span in self.spans_of_rules(name)}
        return known

    def _counted(self, own: Int64) -> Iterator[tuple[RulesSpan, int]]:
        """The spans of some entries of points, each once, with how many of them have it."""
        spans, counts = np.unique(self._spans(own), axis=0, return_counts=True)
        for (zone, from_s, end_s), count in zip(spans.tolist(), counts.tolist(), strict=True):
            yield RulesSpan(self.columns.zones[zone], from_s, end_s), count

    def _spans(self, own: Int64) -> Int64:
        """int64[n, 3]: the zone's place, begin and end of some entries of points."""
        columns, entries = self.columns, self.columns.point_entries
        behind = np.minimum(own + 1, len(entries.entity) - 1)
        goes_on = (behind > own) & (entries.entity[behind] == entries.entity[own])
        ends_s = np.where(goes_on, entries.from_s[behind], NEVER_S)
        zones = columns.area_zone[columns.point_area[entries.entity[own]]]
        return np.stack([zones, entries.from_s[own], ends_s], axis=1)

    def ruled_points_of_area(self, area: int) -> set[str]:
        """The points of the area of a place that ever had rules of their own."""
        points, of_area = self._ruled_points
        return {self.columns.points[place] for place in points[of_area.of(area)].tolist()}

    def agreements_at(self, point: int) -> set[str]:
        """The agreements of the point of a place, on either side."""
        sides = (self._sold, self._bought)
        return {self.columns.agreements[place] for side in sides for place in side.of(point).tolist()}

    def rules_of_series(self, name: str) -> set[str]:
        """The rules that ever named a price series."""
        columns, places = self.columns, self._together_with.get(name, ())
        entries = [columns.rules_entries.entity[self._with_series.of(place)] for place in places]
        return {columns.rules[place] for of_place in entries for place in of_place.tolist()}

    def sellers_of_series(self, name: str) -> Int64:
        """Places of the points that sell by agreements that ever named a price series, each once."""
        columns = self.columns
        if name not in self._agreed:
            return np.zeros(0, dtype=np.int64)
        entries = self._by_series.of(self._agreed[name])
        return np.unique(columns.agreement_seller[columns.agreement_entries.entity[entries]])

    def zones_of_points(self, points: Int64) -> set[str]:
        """The zones of points at some places."""
        columns = self.columns
        return {columns.zones[place] for place in np.unique(columns.area_zone[columns.point_area[points]]).tolist()}

    @cached_property
    def _together_with(self) -> dict[str, list[int]]:
        """By name of a price series: the places in ``series_together`` that have it."""
        found: dict[str, list[int]] = {}
        for place, together in enumerate(self.columns.series_together):
            for name in together.split(" "):
                found.setdefault(name, []).append(place)
        return found

    @cached_property
    def _agreed(self) -> dict[str, int]:
        """The places of the price series that agreements name."""
        return {name: place for place, name in enumerate(self.columns.agreed_series)}

    @cached_property
    def _with_series(self) -> Index:
        return Index.over(self.columns.rules_series)

    @cached_property
    def _by_series(self) -> Index:
        return Index.over(self.columns.agreement_series)

    @cached_property
    def _known_spans(self) -> dict[str, Mapping[RulesSpan, int]]:
        """By rules: what ``spans_of_rules`` has found."""
        return {}

    @cached_property
    def _zones_of_rules(self) -> dict[str, set[str]]:
        """By rules: what ``zones_of_ruled_points`` has found."""
        return {}

    @cached_property
    def _sold(self) -> Index:
        return Index.over(self.columns.agreement_seller)

    @cached_property
    def _bought(self) -> Index:
        return Index.over(self.columns.agreement_buyer)

    @cached_property
    def _ruled(self) -> Index:
        return Index.over(self.columns.point_rules)

    @cached_property
    def _ruled_points(self) -> tuple[Int64, Index]:
        """Places of the points that ever had rules of their own, and these by area."""
        columns = self.columns
        points = np.unique(columns.point_entries.entity[columns.point_rules >= 0])
        return points, Index.over(columns.point_area[points])

    @cached_property
    def _billed(self) -> Index:
        return Index.over(self.columns.point_party)

    @cached_property
    def _installed(self) -> Index:
        return Index.over(self.columns.installation_point)


@dataclass(frozen=True)
class Index:
    """A column's rows by its value. order: rows ascending by value; values: theirs."""

    order: Int64
    values: Int64

    @classmethod
    def over(cls, column: Int64) -> Index:
        """Sort a column once."""
        order = np.argsort(column, kind="stable")
        return cls(order, column[order])

    def of(self, value: int) -> Int64:
        """The rows that have a value, ascending."""
        first, end = np.searchsorted(self.values, [value, value + 1]).tolist()
        return self.order[first:end]
