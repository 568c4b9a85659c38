"""Entities with dated entries: one leaf each, which shows when something changed and not what (docs/spec/registry.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from gridcore.registry.entities import ENTITIES
from gridcore.registry.row import NOT_FOLDED, fold_entry
from ledger.leaves.family import Family, Value

ENTRIES_MAX: Final = 64


class Entry(NamedTuple):
    """From ``from_s`` (UTC seconds) on, the entity is as the row of this digest says; recorded by block ``recorded_height``."""

    from_s: int
    recorded_height: int
    digest: bytes


class EntityLeaf(NamedTuple):
    """An entity.

    entries: ascending by (from_s, recorded_height), at most 64; folded: digest over those before them, ``NOT_FOLDED``
    while there are none; folded_to_s: from_s of the last of these, -1 while there are none; number: of an area in its
    zone, of a party in the chain, of a point (its row) in its zone; None for other entities.
    """

    entries: Sequence[Entry]
    folded: bytes = NOT_FOLDED
    folded_to_s: int = -1
    number: int | None = None

    def in_force(self, time_s: int, height: int) -> Entry | None:
        """The last entry that began at ``time_s`` or before and was recorded by block ``height`` or one before it."""
        known = (e for e in reversed(self.entries) if e.from_s <= time_s and e.recorded_height <= height)
        return next(known, None)

    def takes(self, from_s: int, height: int) -> bool:
        """Whether an entry of block ``height`` from ``from_s`` on can be added."""
        is_again = any((e.from_s, e.recorded_height) == (from_s, height) for e in self.entries)
        would_fold_itself = len(self.entries) == ENTRIES_MAX and from_s <= self.entries[0].from_s
        return not is_again and not would_fold_itself and from_s > self.folded_to_s

    def until(self, from_s: int, height: int) -> EntityLeaf:
        """The leaf without its entries of (``from_s``, ``height``) and later ones."""
        return self._replace(entries=[e for e in self.entries if (e.from_s, e.recorded_height) < (from_s, height)])

    def first_after(self, from_s: int) -> int:
        """``from_s`` of the first entry that is left where one more from ``from_s`` on folds the oldest; -1 where none is folded."""
        return -1 if len(self.entries) < ENTRIES_MAX else min(from_s, self.entries[1].from_s)

    def added(self, entry: Entry) -> EntityLeaf:
        """The leaf with one more entry, which it ``takes``; the oldest of more than 64 is folded."""
        entries = sorted([*self.entries, entry])
        if len(entries) <= ENTRIES_MAX:
            return self._replace(entries=entries)
        oldest, *entries = entries
        return self._replace(entries=entries, folded=fold_entry(self.folded, oldest), folded_to_s=oldest.from_s)


NUMBER_FIELDS: Final[Mapping[str, str]] = {"area": "number", "party": "number", "point": "row"}
"""What a leaf calls its number, by kind of entity."""


def _family(kind: str) -> Family[[str], EntityLeaf]:
    number_field = NUMBER_FIELDS.get(kind)

    def key(name: str) -> str:
        return f"{kind}/{name}"

    def decode(entries: Sequence[Sequence[Any]], **rest: Any) -> EntityLeaf:
        number = rest.pop(number_field) if number_field else None
        return EntityLeaf([Entry(*entry) for entry in entries], number=number, **rest)

    def encode(leaf: EntityLeaf) -> Value:
        value: dict[str, Any] = {"entries": [list(entry) for entry in leaf.entries]}
        if leaf.folded != NOT_FOLDED:
            value |= {"folded": leaf.folded, "folded_to_s": leaf.folded_to_s}
        return value | {number_field: leaf.number} if number_field else value

    return Family(kind, key, decode, encode, is_provable=True)


ENTITY_FAMILIES: Final[Mapping[str, Family[[str], EntityLeaf]]] = {kind: _family(kind) for kind in ENTITIES}
"""The leaves of entities, by kind."""
