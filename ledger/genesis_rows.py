"""The registry rows of a genesis as entities with dated records: each row has its form, and entries follow one another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Generic, NamedTuple, NoReturn, TypeVar

from gridcore.errors import EncodingError, UsageError, excerpt
from gridcore.registry.entities import ENTITIES, entity_of
from gridcore.registry.entity import Entity
from gridcore.registry.row import Row, decode_row
from ledger.registry.entries import EntityLeaf, Entry

R = TypeVar("R")


class Stated(NamedTuple, Generic[R]):
    """What one row states. place: of the row in the genesis; from_s: UTC seconds from which it holds."""

    place: int
    key: str
    from_s: int
    record: R

    def fail(self, what: str) -> NoReturn:
        """UsageError that names this row."""
        raise UsageError(f"genesis: registry row {self.place}, {self.key}: {what}")


class GenesisRows:
    """The rows of a genesis by kind and name of their entities, each entity's in order of time."""

    def __init__(self, registry: Sequence[bytes]) -> None:
        """UsageError naming the first row without a form, or that does not follow those before it of its entity."""
        self._by_kind: dict[str, dict[str, list[Stated[Any]]]] = {kind: {} for kind in ENTITIES}
        leaves: dict[str, EntityLeaf] = {}
        for index, encoded in enumerate(registry):
            kind, name, stated = _stated(index, encoded)
            leaf = leaves.get(stated.key, EntityLeaf(()))
            if not leaf.takes(stated.from_s, 0):
                stated.fail(f"from_s {stated.from_s}: another row of it begins then, or it follows 64 later ones")
            leaves[stated.key] = leaf.added(Entry(stated.from_s, 0, b""))
            self._by_kind[kind].setdefault(name, []).append(stated)
        for entities in self._by_kind.values():
            for rows in entities.values():
                rows.sort(key=lambda stated: stated.from_s)

    def names(self, entity: Entity[Any]) -> Sequence[str]:
        """The entities of a kind, in the order of their first rows."""
        return list(self._by_kind[entity.kind])

    def of(self, entity: Entity[R], name: str) -> Sequence[Stated[R]]:
        """The rows of one entity, in order of time; empty where there is none."""
        return self._by_kind[entity.kind].get(name, ())

    def each(self, entity: Entity[R]) -> Iterator[tuple[str, Stated[R]]]:
        """Name and row of every row of a kind."""
        for name, rows in self._by_kind[entity.kind].items():
            for stated in rows:
                yield name, stated

    def in_force(self, entity: Entity[R], name: str, time_s: int) -> R | None:
        """The record of an entity in force at ``time_s``, or None."""
        return next((stated.record for stated in reversed(self.of(entity, name)) if stated.from_s <= time_s), None)

    def check_reference(self, stated: Stated[Any], field: str, entity: Entity[Any], name: str) -> None:
        """Fail unless the entity that a row names is in force from the time on from which the row holds."""
        rows = self.of(entity, name)
        if not rows:
            stated.fail(f"{field}: there is no row {entity.key(name)}")
        if rows[0].from_s > stated.from_s:
            stated.fail(f"{field}: {entity.key(name)} begins at {rows[0].from_s}, after this row at {stated.from_s}")


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
