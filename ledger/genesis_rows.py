"""The registry rows of a genesis as entities with dated records: each row has its form, and entries follow one another."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from typing import Any, NoReturn, TypeVar

from gridcore.errors import EncodingError, UsageError, excerpt
from gridcore.registry.area import AREA
from gridcore.registry.entities import ENTITIES, entity_of
from gridcore.registry.entity import Entity
from gridcore.registry.point import POINT
from gridcore.registry.row import Row, decode_row
from ledger.registry.entries import NUMBER_FIELDS, EntityLeaf, Entry
from ledger.registry.histories import Fault, Histories, Numbering, Related, Stated

R = TypeVar("R")


class GenesisRows(Histories):
    """The rows of a genesis by kind and name of their entities, each entity's in order of time."""

    def __init__(self, registry: Sequence[bytes], slot_s: int) -> None:
        """UsageError naming the first row without a form, or that does not follow those before it of its entity."""
        self.slot_s = slot_s
        self._by_kind: dict[str, dict[str, list[Stated[Any]]]] = {kind: {} for kind in ENTITIES}
        self._related = Related()
        leaves: dict[str, EntityLeaf] = {}
        for index, encoded in enumerate(registry):
            kind, name, stated = _stated(index, encoded)
            leaf = leaves.get(stated.key, EntityLeaf(()))
            if not leaf.takes(stated.from_s, 0):
                words = f"from_s {stated.from_s}: another row of it begins then, or it follows 64 later ones"
                refuse(stated, words)
            leaves[stated.key] = leaf.added(Entry(stated.from_s, 0, b""))
            self._by_kind[kind].setdefault(name, []).append(stated)
            self._related.note(kind, name, stated.record)
        for entities in self._by_kind.values():
            for rows in entities.values():
                rows.sort(key=lambda stated: stated.from_s)

    def names(self, entity: Entity[Any]) -> Sequence[str]:
        """The entities of a kind, in the order of their first rows."""
        return list(self._by_kind[entity.kind])

    def each(self, entity: Entity[R]) -> Iterator[tuple[str, Stated[R]]]:
        """Name and row of every row of a kind."""
        for name, rows in self._by_kind[entity.kind].items():
            for stated in rows:
                yield name, stated

    def of(self, entity: Entity[R], name: str) -> Sequence[Stated[R]]:
        """See Histories."""
        return self._by_kind[entity.kind].get(name, ())

    def number_of(self, entity: Entity[Any], name: str) -> int:
        """See Histories."""
        return self._numbers[entity.kind, name]

    def points_of_party(self, name: str) -> Collection[str]:
        """See Histories."""
        return self._related.points_of_party.get(name, ())

    def installations_of_point(self, name: str) -> Collection[str]:
        """See Histories."""
        return self._related.installations_of_point.get(name, ())

    def areas_of_rules(self, name: str) -> Collection[str]:
        """See Histories."""
        return self._related.areas_of_rules.get(name, ())

    def areas_of_zone(self, name: str) -> Collection[str]:
        """See Histories."""
        return self._related.areas_of_zone.get(name, ())

    @cached_property
    def _numbers(self) -> dict[tuple[str, str], int]:
        """The number of each area, party and point, by kind and name."""
        numbering, numbers = Numbering(), {}
        for kind in NUMBER_FIELDS:
            for name in self._by_kind[kind]:
                zone = {AREA.kind: self.zone_of_area, POINT.kind: self.zone_of_point}.get(kind, lambda _: "")(name)
                numbers[kind, name] = numbering.next(kind, zone or "")
        return numbers


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
