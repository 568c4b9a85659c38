"""The rows of entities that registrations of a block look at, one after the other: thousands may look at the same party's points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ledger.registry.entries import EntityLeaf
from ledger.registry.histories import Stated

TOLD_MAX: Final = 16_384
"""Entities whose rows are kept; then all are forgotten."""


class ToldHistories:
    """Rows by key, each as long as the entity's leaf is the very same."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[EntityLeaf, Sequence[Stated[Any]]]] = {}

    def get(self, key: str, leaf: EntityLeaf) -> Sequence[Stated[Any]] | None:
        """The rows of the entity with this leaf; None where they are not known."""
        known = self._told.get(key)
        return known[1] if known is not None and known[0] is leaf else None

    def keep(self, key: str, leaf: EntityLeaf, rows: Sequence[Stated[Any]]) -> None:
        """Know them until another leaf takes its place."""
        if len(self._told) >= TOLD_MAX:
            self._told.clear()
        self._told[key] = (leaf, rows)
