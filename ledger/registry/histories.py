"""Entities with everything that was ever registered of them, in order of time: what the rules of the registry are checked on.

A genesis and a state that a transaction is about to change are both ``Histories``, so that both have the same rules.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from gridcore.codes import Code
from gridcore.forms import TIME_S_MAX
from gridcore.registry.agreement import AGREEMENT, Agreement, EndedAgreement
from gridcore.registry.area import AREA, Area
from gridcore.registry.entity import Entity
from gridcore.registry.installation import INSTALLATION, Installation, RemovedInstallation
from gridcore.registry.point import POINT, Point
from gridcore.registry.rules import RULES, Rules

R = TypeVar("R")
NEVER_S = TIME_S_MAX + 1
"""After any time: where the last row of an entity ends."""
RECORDED_BEFORE = -1
"""``place`` of a row that is no part of what is judged."""


class Stated(NamedTuple, Generic[R]):
    """What one row states. place: of the row in what is judged; from_s: UTC seconds from which it holds."""

    place: int
    key: str
    from_s: int
    record: R


class RulesSpan(NamedTuple):
    """A zone of which something has rules from an instant on, and the one behind the last, UTC seconds."""

    zone: str
    from_s: int
    end_s: int


class OwnRules(NamedTuple):
    """Rules that a point has of its own, and when."""

    rules: str
    span: RulesSpan


class Fault(NamedTuple):
    """Why a row may not stand. words: what is wrong and what would be right, beginning with the field."""

    stated: Stated[Any]
    code: Code
    words: str


class Related:
    """Which entities name which: parties' points, points' installations, areas by rules and by zone, points by rules, rules and agreements by series,
    agreements by point.

    ruled_points_of_area: the points of an area that name rules of their own.
    """

    def __init__(self) -> None:
        self.points_of_party: defaultdict[str, set[str]] = defaultdict(set)
        self.installations_of_point: defaultdict[str, set[str]] = defaultdict(set)
        self.areas_of_rules: defaultdict[str, set[str]] = defaultdict(set)
        self.areas_of_zone: defaultdict[str, set[str]] = defaultdict(set)
        self.points_of_rules: defaultdict[str, set[str]] = defaultdict(set)
        self.ruled_points_of_area: defaultdict[str, set[str]] = defaultdict(set)
        self.rules_of_series: defaultdict[str, set[str]] = defaultdict(set)
        self.agreements_of_point: defaultdict[str, set[str]] = defaultdict(set)
        self.agreements_of_series: defaultdict[str, set[str]] = defaultdict(set)

    def note(self, kind: str, name: str, record: Any) -> None:
        """Take up what one row of an entity names."""
        if kind == POINT.kind and isinstance(record, Point):
            if record.party is not None:
                self.points_of_party[record.party].add(name)
            if record.rules is not None:
                self.points_of_rules[record.rules].add(name)
                self.ruled_points_of_area[record.area].add(name)
        elif kind == INSTALLATION.kind and isinstance(record, Installation | RemovedInstallation):
            self.installations_of_point[record.point].add(name)
        elif kind == AREA.kind and isinstance(record, Area):
            self.areas_of_rules[record.rules].add(name)
            self.areas_of_zone[record.zone].add(name)
        elif kind == RULES.kind and isinstance(record, Rules):
            for series in (record.series or {}).values():
                self.rules_of_series[series].add(name)
        elif kind == AGREEMENT.kind and isinstance(record, Agreement | EndedAgreement):
            for point in (record.seller_point, record.buyer_point):
                self.agreements_of_point[point].add(name)
            if isinstance(record, Agreement) and record.series is not None:
                self.agreements_of_series[record.series].add(name)

    def update(self, other: Related) -> None:
        """Take up everything that ``other`` has."""
        for name, named in vars(self).items():
            for key, found in getattr(other, name).items():
                named[key] |= found


class Numbering:
    """Numbers for ever: areas and points are counted in their zone, parties in the whole chain."""

    def __init__(self) -> None:
        self._given: Counter[tuple[str, str]] = Counter()

    def next(self, kind: str, zone: str, before: int = 0) -> int:
        """The number of a new entity, behind ``before`` older ones; ``zone``: "" where it is counted in the whole chain."""
        self._given[kind, zone] += 1
        return before + self._given[kind, zone] - 1

    def copy(self) -> Numbering:
        """The same, to go on from."""
        copied = Numbering()
        copied._given = self._given.copy()
        return copied


class Histories(ABC):
    """All that is registered, entity by entity. slot_s: length of a slot."""

    slot_s: int

    @abstractmethod
    def of(self, entity: Entity[R], name: str) -> Sequence[Stated[R]]:
        """The rows of one entity in order of time, without those that a later row of the same ``from_s`` replaces."""

    def has_folded(self, entity: Entity[Any], name: str) -> bool:
        """Whether an entity began before the first of its rows: those before it were folded."""
        return False

    @abstractmethod
    def number_of(self, entity: Entity[Any], name: str) -> int:
        """The number of an area, a party or a point that exists."""

    @abstractmethod
    def points_of_party(self, name: str) -> Collection[str]:
        """The points that were ever billed to a party."""

    @abstractmethod
    def points_billed_now(self, name: str) -> Collection[str]:
        """Those of them that rows of what is judged bill to it."""

    @abstractmethod
    def installations_of_point(self, name: str) -> Collection[str]:
        """The installations that were ever at a point."""

    @abstractmethod
    def areas_of_rules(self, name: str) -> Collection[str]:
        """The areas that ever had these rules."""

    @abstractmethod
    def point_spans_of_rules(self, name: str) -> Collection[RulesSpan]:
        """When points have these rules of their own, each span once: there may be a million points of a few spans."""

    @abstractmethod
    def ruled_points_of_area(self, name: str) -> Collection[str]:
        """The points of an area that ever had rules of their own."""

    @abstractmethod
    def agreements_of_point(self, name: str) -> Collection[str]:
        """The agreements of a point, on either side."""

    @abstractmethod
    def areas_of_zone(self, name: str) -> Collection[str]:
        """The areas of a zone."""

    def own_rules_of_point(self, name: str) -> Iterator[OwnRules]:
        """Which rules a point has of its own, and when."""
        rows = self.of(POINT, name)
        ends_s = [*(row.from_s for row in rows[1:]), NEVER_S]
        for row, end_s in zip(rows, ends_s, strict=True):
            if row.record.rules is not None:
                yield OwnRules(row.record.rules, RulesSpan(self.zone_of_point(name) or "", row.from_s, end_s))

    def in_force(self, entity: Entity[R], name: str, time_s: int) -> R | None:
        """The record of an entity in force at ``time_s``, or None."""
        return next((stated.record for stated in reversed(self.of(entity, name)) if stated.from_s <= time_s), None)

    def zone_of_area(self, name: str) -> str | None:
        """The zone of an area, which never changes; None for an area that does not exist."""
        rows = self.of(AREA, name)
        return rows[0].record.zone if rows else None

    def zone_of_point(self, name: str) -> str | None:
        """The zone of a point, which never changes; None without the point or its area."""
        rows = self.of(POINT, name)
        return self.zone_of_area(rows[0].record.area) if rows else None
