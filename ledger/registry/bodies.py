"""Registry rows beside the tree: kept behind their salts, by the digest that the entity's leaf holds."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from gridcore.registry.entity import Entity
from gridcore.registry.row import Row, decode_row, unsalted
from ledger.leaves.family import Leaves
from ledger.registry.entries import ENTITY_FAMILIES, Entry

R = TypeVar("R")
DECODED_ROWS_MAX: Final = 4_096
"""Rows whose decoded form is kept: every transaction looks at its signer's and its party's."""


class Registered(Leaves, Protocol):
    """A state as far as the registry needs it."""

    def body(self, digest: bytes) -> bytes:
        """The salted row of a digest that an entity's leaf holds."""


class Opened(NamedTuple, Generic[R]):
    """An entry and what its row says."""

    entry: Entry
    record: R


def row_of(registered: Registered, digest: bytes) -> Row:
    """The registry row of a digest that an entity's leaf holds."""
    return _decoded(registered.body(digest))


@lru_cache(maxsize=DECODED_ROWS_MAX)
def _decoded(body: bytes) -> Row:
    return decode_row(unsalted(body))


def open_entry(registered: Registered, entity: Entity[R], entry: Entry) -> Opened[R]:
    """An entry with its record."""
    return Opened(entry, entity.record_of(row_of(registered, entry.digest).value))


def in_force(registered: Registered, entity: Entity[R], name: str, time_s: int, height: int) -> Opened[R] | None:
    """What is in force of an entity at ``time_s`` (UTC seconds) as of ``height``, or None."""
    leaf = ENTITY_FAMILIES[entity.kind].load(registered, name)
    entry = None if leaf is None else leaf.in_force(time_s, height)
    return None if entry is None else open_entry(registered, entity, entry)


def newest(registered: Registered, entity: Entity[R], name: str) -> Opened[R] | None:
    """What the last entry of an entity says, in force or not yet; None for an entity that does not exist."""
    leaf = ENTITY_FAMILIES[entity.kind].load(registered, name)
    return None if leaf is None else open_entry(registered, entity, leaf.entries[-1])
