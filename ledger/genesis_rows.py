"""The registry rows of a genesis as entities with dated records: each row has its form, and entries follow one another.

There may be millions: where each row stands is kept, what it says is decoded again where somebody asks.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from heapq import merge
from typing import Any, Final, NoReturn, TypeVar

import numpy as np

from gridcore.errors import EncodingError, UsageError, excerpt
from gridcore.registry.agreement import AGREEMENT
from gridcore.registry.area import AREA
from gridcore.registry.entities import ENTITIES, entity_of
from gridcore.registry.entity import Entity
from gridcore.registry.installation import INSTALLATION
from gridcore.registry.party import PARTY
from gridcore.registry.point import POINT
from gridcore.registry.row import Row, decode_row
from ledger.leaves.columns import Int64
from ledger.registry.consistency import named_entities
from ledger.registry.entries import NUMBER_FIELDS, EntityLeaf, Entry
from ledger.registry.histories import Fault, Histories, Numbering, Related, RulesSpan, Stated
from ledger.registry.lookups import Index

R = TypeVar("R")
DECODED_MAX: Final = 16_384
"""Entities whose rows are kept decoded: those asked for last."""


class GenesisRows(Histories):
    """The rows of a genesis by kind and name of their entities, each entity's in order of time."""

    def __init__(self, registry: Sequence[bytes], slot_s: int) -> None:
        """UsageError naming the first row without a form, or that does not follow those before it of its entity."""
        self.slot_s = slot_s
        self._registry = registry
        self._first: dict[str, dict[str, int]] = {kind: {} for kind in ENTITIES}
        """By kind and name: the place of an entity's first row."""
        self._later: dict[tuple[str, str], list[int]] = {}
        """By kind and name, where an entity has more than one row: the places of the others."""
        self._names: list[str] = []
        """Of each row's entity."""
        self._related = Related()
        self._rows_of = lru_cache(DECODED_MAX)(self._decode)
        self._from_s = array("q")
        """Of each row."""
        self.has_forward_references = False
        """Whether a row names an entity that no row before it has begun by its time: it may follow, or be missing."""
        billed, installed = _Naming(), _Naming()
        leaves: dict[str, EntityLeaf] = {}
        for index, encoded in enumerate(registry):
            kind, name, stated = _stated(index, encoded)
            self._names.append(name)
            self._from_s.append(stated.from_s)
            self.has_forward_references = self.has_forward_references or self._names_forward(stated)
            if self._first[kind].setdefault(name, index) != index:
                self._check_follows(leaves, kind, name, stated)
                self._later.setdefault((kind, name), []).append(index)
            if kind == POINT.kind:
                if stated.record.party is not None:
                    billed.note(stated.record.party, index)
                if stated.record.rules is not None:
                    self._related.points_of_rules[stated.record.rules].add(name)
                    self._related.ruled_points_of_area[stated.record.area].add(name)
            elif kind == INSTALLATION.kind:
                installed.note(stated.record.point, index)
            elif kind in (AREA.kind, AGREEMENT.kind):
                self._related.note(kind, name, stated.record)
        self._billed = billed.rows_of(self._first[PARTY.kind])
        self._installed = installed.rows_of(self._first[POINT.kind])

    def _names_forward(self, stated: Stated[Any]) -> bool:
        """See ``has_forward_references``."""
        for _, entity, name in named_entities(stated):
            place = self._first[entity.kind].get(name)
            if place is None or self._from_s[place] > stated.from_s:
                return True
        return False

    def in_order(self) -> Iterator[tuple[str, str]]:
        """Kind and name of every entity in the order of their first rows: those that stand together name one another."""
        return ((kind, name) for _, kind, name in merge(*(self._placed(kind) for kind in self._first)))

    def _placed(self, kind: str) -> Iterator[tuple[int, str, str]]:
        """Place of the first row, kind and name of the entities of a kind."""
        return ((place, kind, name) for name, place in self._first[kind].items())

    def _check_follows(self, leaves: dict[str, EntityLeaf], kind: str, name: str, stated: Stated[Any]) -> None:
        """leaves: of the entities that have more than one row so far, by key."""
        leaf = leaves.get(stated.key)
        if leaf is None:
            first_s = decode_row(self._registry[self._first[kind][name]]).from_s
            leaf = EntityLeaf(()).added(Entry(first_s, 0, b""))
        if not leaf.takes(stated.from_s, 0):
            words = f"from_s {stated.from_s}: another row of it begins then, or it follows 64 later ones"
            refuse(stated, words)
        leaves[stated.key] = leaf.added(Entry(stated.from_s, 0, b""))

    def names(self, entity: Entity[Any]) -> Sequence[str]:
        """The entities of a kind, in the order of their first rows."""
        return list(self._first[entity.kind])

    def each(self, entity: Entity[R]) -> Iterator[tuple[str, Stated[R]]]:
        """Name and row of every row of a kind."""
        for name in self._first[entity.kind]:
            for stated in self.of(entity, name):
                yield name, stated

    def of(self, entity: Entity[R], name: str) -> Sequence[Stated[R]]:
        """See Histories."""
        return self._rows_of(entity.kind, name) if name in self._first[entity.kind] else ()

    def number_of(self, entity: Entity[Any], name: str) -> int:
        """See Histories."""
        return int(self._numbers[self._first[entity.kind][name]])

    def points_of_party(self, name: str) -> Collection[str]:
        """See Histories."""
        return self._names_at(self._billed, self._first[PARTY.kind].get(name))

    def points_billed_now(self, name: str) -> Collection[str]:
        """See Histories: a genesis is judged as a whole."""
        return self.points_of_party(name)

    def installations_of_point(self, name: str) -> Collection[str]:
        """See Histories."""
        return self._names_at(self._installed, self._first[POINT.kind].get(name))

    def areas_of_rules(self, name: str) -> Collection[str]:
        """See Histories."""
        return self._related.areas_of_rules.get(name, ())

    def point_spans_of_rules(self, name: str) -> Collection[RulesSpan]:
        """See Histories."""
        points = self._related.points_of_rules.get(name, ())
        return {own.span for point in points for own in self.own_rules_of_point(point) if own.rules == name}

    def ruled_points_of_area(self, name: str) -> Collection[str]:
        """See Histories."""
        return self._related.ruled_points_of_area.get(name, ())

    def agreements_of_point(self, name: str) -> Collection[str]:
        """See Histories."""
        return self._related.agreements_of_point.get(name, ())

    def areas_of_zone(self, name: str) -> Collection[str]:
        """See Histories."""
        return self._related.areas_of_zone.get(name, ())

    @cached_property
    def _numbers(self) -> Int64:
        """int64[rows]: the number of each area, party and point, where its first row stands."""
        numbering, numbers = Numbering(), np.full(len(self._registry), -1, dtype=np.int64)
        for kind in NUMBER_FIELDS:
            zone_of = {AREA.kind: self.zone_of_area, POINT.kind: self.zone_of_point}.get(kind, lambda _: "")
            for name, place in self._first[kind].items():
                numbers[place] = numbering.next(kind, zone_of(name) or "")
        return numbers

    def _decode(self, kind: str, name: str) -> Sequence[Stated[Any]]:
        """The rows of an entity that exists; their forms were checked."""
        entity, rows = ENTITIES[kind], []
        for place in (self._first[kind][name], *self._later.get((kind, name), ())):
            row = decode_row(self._registry[place])
            rows.append(Stated(place, row.key, row.from_s, entity.record_of(row.value)))
        return sorted(rows, key=lambda stated: stated.from_s)

    def _names_at(self, index: Index, place: int | None) -> Collection[str]:
        """The names of the entities whose rows name the one at a place."""
        rows = [] if place is None else index.of(place).tolist()
        return {self._names[row] for row in rows}


class _Naming:
    """Which rows name which entity: noted as rows are read, found when all are there, as rows may name later ones."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._rows = array("q")

    def note(self, name: str, row: int) -> None:
        """A row names an entity."""
        self._names.append(name)
        self._rows.append(row)

    def rows_of(self, places: Mapping[str, int]) -> Index:
        """The rows by the place of the first row of whom they name."""
        named = np.fromiter((places.get(name, -1) for name in self._names), dtype=np.int64, count=len(self._names))
        index = Index.over(named)
        return Index(np.frombuffer(self._rows, dtype=np.int64)[index.order], index.values)


def refuse(stated: Stated[Any], words: str) -> NoReturn:
    """UsageError that names a row of a genesis."""
    raise UsageError(f"genesis: registry row {stated.place}, {stated.key}: {words}")


def refuse_first(faults: Iterator[Fault]) -> None:
    """UsageError for the first of some faults; nothing where there is none."""
    for fault in faults:
        refuse(fault.stated, fault.words)


def _stated(index: int, encoded: bytes) -> tuple[str, str, Stated[Any]]:
    try:
        row = decode_row(encoded)
    except EncodingError as error:
        raise UsageError(f"genesis: registry row {index}: {error}") from None
    found = entity_of(row.key)
    if found is None:
        raise UsageError(f"genesis: registry row {index}: {_key_fault(row)}")
    entity, name = found
    if fault := entity.fault_of(row.value):
        raise UsageError(f"genesis: registry row {index}, {row.key}: {fault}")
    return entity.kind, name, Stated(index, row.key, row.from_s, entity.record_of(row.value))


def _key_fault(row: Row) -> str:
    kind = row.key.partition("/")[0]
    if kind in ENTITIES:
        return f"key {excerpt(row.key)}: the name after the slash is {ENTITIES[kind].name_form.words}"
    return f"key {excerpt(row.key)} begins with one of {', '.join(ENTITIES)}"
