"""Registry rows beside the tree: kept behind their salts, by the digest that the entity's leaf holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

from gridcore.errors import require
from gridcore.registry.entity import Entity
from gridcore.registry.row import Row, decode_row, unsalted
from ledger.leaves.family import Leaves, Value
from ledger.registry.entries import ENTITY_FAMILIES, EntityLeaf, Entry

R = TypeVar("R")
OPENED_MAX: Final = 16_384
"""Entities that are kept open: every transaction looks at its signer's, its party's and its zone's."""
OPENED_TOGETHER_MAX: Final = 1_024
"""Entities that one question opens: they stay in memory until they have been looked at."""


class Opened(NamedTuple, Generic[R]):
    """An entry and what its row says."""

    entry: Entry
    record: R


@dataclass(frozen=True)
class OpenedEntity(Generic[R]):
    """An entity with its leaf decoded. value: the leaf's map."""

    entity: Entity[R]
    value: Value
    leaf: EntityLeaf
    _opened: dict[Entry, Opened[R]] = field(default_factory=dict)

    def open(self, registered: Registered, entry: Entry) -> Opened[R]:
        """One of its entries with the record."""
        found = self._opened.get(entry)
        return self.take(entry, row_of(registered, entry.digest)) if found is None else found

    def is_open(self, entry: Entry) -> bool:
        """Whether the record of an entry is known."""
        return entry in self._opened

    def take(self, entry: Entry, row: Row) -> Opened[R]:
        """Keep what the row of one of its entries says."""
        found = self._opened[entry] = Opened(entry, self.entity.record_of(row.value))
        return found


class OpenedEntities:
    """The entities of one state that were opened last. One stays for as long as its leaf holds the very same map.

    May be used by several threads.
    """

    def __init__(self) -> None:
        self._opened: dict[str, OpenedEntity[Any]] = {}
        self._records: dict[bytes, Any] = {}

    def find(self, leaves: Leaves, entity: Entity[R], name: str) -> OpenedEntity[R] | None:
        """An entity of these leaves, or None."""
        key = entity.key(name)
        value = leaves.get(key)
        if value is None:
            return None
        found: OpenedEntity[R] | None = self._opened.get(key)
        if found is None or found.value is not value:
            found = OpenedEntity(entity, value, ENTITY_FAMILIES[entity.kind].decode(**value))
            if len(self._opened) >= OPENED_MAX:
                self._opened.clear()
            self._opened[key] = found
        return found

    def open_together(self, registered: ManyRegistered, entity: Entity[Any], names: Sequence[str]) -> None:
        """Open entities with all their entries in a few questions: each is found here then. At most OPENED_TOGETHER_MAX of them."""
        require(len(names) <= OPENED_TOGETHER_MAX, "few entities are opened together")
        registered.load_together(map(entity.key, names))
        found = [opened for name in names if (opened := self.find(registered, entity, name)) is not None]
        unopened = [(of, entry) for of in found for entry in of.leaf.entries if not of.is_open(entry)]
        bodies = registered.bodies([entry.digest for _, entry in unopened])
        for (opened, entry), body in zip(unopened, bodies, strict=True):
            opened.take(entry, decode_row(unsalted(body)))

    def record(self, registered: Registered, entity: Entity[R], digest: bytes) -> R:
        """What the row of a digest says, which an entity of this kind holds: decoded once, whatever leaf holds it."""
        found: R | None = self._records.get(digest)
        if found is None:
            found = entity.record_of(row_of(registered, digest).value)
            if len(self._records) >= OPENED_MAX:
                self._records.clear()
            self._records[digest] = found
        return found


class Registered(Leaves, Protocol):
    """A state as far as the registry needs it."""

    @property
    def opened(self) -> OpenedEntities:
        """Its entities that were opened before."""

    def body(self, digest: bytes) -> bytes:
        """The salted row of a digest that an entity's leaf holds."""

    def folded(self, key: str, leaf: EntityLeaf) -> Sequence[Entry]:
        """The entries of a price series, or of reactive energy, that its leaf has folded, oldest first. A state that decides has none: they speak of final slots alone."""


class ManyRegistered(Registered, Protocol):
    """A state in which many are read together."""

    def load_together(self, keys: Iterable[str]) -> None:
        """Bring leaves into memory together."""

    def bodies(self, digests: Sequence[bytes]) -> Sequence[bytes]:
        """``body`` of each of many digests."""


def row_of(registered: Registered, digest: bytes) -> Row:
    """The registry row of a digest that an entity's leaf holds."""
    return decode_row(unsalted(registered.body(digest)))


def open_entity(registered: Registered, entity: Entity[R], name: str) -> OpenedEntity[R] | None:
    """An entity, or None where there is none of that name."""
    return registered.opened.find(registered, entity, name)


def in_force(registered: Registered, entity: Entity[R], name: str, time_s: int, height: int) -> Opened[R] | None:
    """What is in force of an entity at ``time_s`` (UTC seconds) as of ``height``, or None."""
    found = open_entity(registered, entity, name)
    entry = None if found is None else found.leaf.in_force(time_s, height)
    return None if found is None or entry is None else found.open(registered, entry)


def in_force_ever(registered: Registered, entity: Entity[R], name: str, time_s: int, height: int) -> Opened[R] | None:
    """The same, though what was in force may have been folded since."""
    found = in_force(registered, entity, name, time_s, height)
    opened = open_entity(registered, entity, name) if found is None else None
    if opened is None or opened.leaf.folded_to_s < 0:
        return found
    folded = registered.folded(entity.key(name), opened.leaf)
    known = (one for one in reversed(folded) if one.from_s <= time_s and one.recorded_height <= height)
    entry = next(known, None)
    return None if entry is None else opened.open(registered, entry)


def newest(registered: Registered, entity: Entity[R], name: str) -> Opened[R] | None:
    """What the last entry of an entity says, in force or not yet; None for an entity that does not exist."""
    found = open_entity(registered, entity, name)
    return None if found is None else found.open(registered, found.leaf.entries[-1])
