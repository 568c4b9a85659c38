"""Who names whom, found in the registry's columns: sorted once where a registration asks for the first time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ledger.leaves.columns import Int64
from ledger.registry.columns import RegistryColumns


@dataclass(frozen=True)
class Lookups:
    """What the rows before a block name; a name of nothing has nothing."""

    columns: RegistryColumns

    def points_of_party(self, number: int) -> set[str]:
        """The points that were ever billed to the party of a number."""
        columns = self.columns
        return {columns.points[place] for place in columns.point_entries.entity[self._billed.of(number)].tolist()}

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

    def points_of_rules(self, name: str) -> set[str]:
        """The points that ever had these rules of their own."""
        columns = self.columns
        if name not in columns.rules:
            return set()
        entries = self._ruled.of(columns.rules.index(name))
        return {columns.points[place] for place in np.unique(columns.point_entries.entity[entries]).tolist()}

    def zones_of_ruled_points(self, name: str) -> set[str]:
        """The zones of these points."""
        columns = self.columns
        if name not in columns.rules:
            return set()
        points = columns.point_entries.entity[self._ruled.of(columns.rules.index(name))]
        return {columns.zones[place] for place in np.unique(columns.area_zone[columns.point_area[points]]).tolist()}

    def ruled_points_of_area(self, area: int) -> set[str]:
        """The points of the area of a place that ever had rules of their own."""
        points, of_area = self._ruled_points
        return {self.columns.points[place] for place in points[of_area.of(area)].tolist()}

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
