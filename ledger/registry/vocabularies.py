"""Names in the registry's columns: each once, ascending, and its place among them in the column of whoever names it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from gridcore.registry.agreement import Agreement, EndedAgreement
from gridcore.registry.point import Point
from gridcore.registry.rules import Rules
from ledger.leaves.columns import Int64

PlaceOf = Callable[[str], int]
"""The place of a name; -1 for one that is not there."""


def vocabulary(names: Iterable[str]) -> tuple[str, ...]:
    """Some names, each once, ascending by their bytes."""
    return tuple(sorted(set(names), key=str.encode))


def named(names_or_none: Iterable[str | None]) -> tuple[str, ...]:
    """The same of those that are names."""
    return vocabulary(name for name in names_or_none if name is not None)


def place_of(known: Iterable[str]) -> PlaceOf:
    """Places in a column of names."""
    places = {name: place for place, name in enumerate(known)}
    return lambda name: places.get(name, -1)


class Gathered:
    """Names as they are met: each has a place from then on, which is its own until ``in_order``. known: names that have places already."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._places = {name: place for place, name in enumerate(known)}

    def place(self, name: str) -> int:
        """The place of a name, a new one behind all others."""
        return self._places.setdefault(name, len(self._places))

    def in_order(self, column: Int64) -> tuple[Int64, tuple[str, ...]]:
        """A column of places, -1 for none, as that of the names that it names, ascending by their bytes; and these names."""
        names, used = list(self._places), np.unique(column[column >= 0]).tolist()
        used.sort(key=lambda place: names[place].encode())
        rank = np.full(len(names) + 1, -1, dtype=np.int64)  # the last one is that of -1
        rank[used] = np.arange(len(used))
        return rank[column], tuple(names[place] for place in used)


def optional_place(name: str | None, place_of_name: PlaceOf) -> int:
    """The place of a name, -1 for None too."""
    return -1 if name is None else place_of_name(name)


def series_together(rules: Rules) -> str | None:
    """The price series that rules name, in the words of the columns; None for none."""
    return " ".join(sorted(set((rules.series or {}).values()))) or None


def series_of_agreement(agreement: Agreement | EndedAgreement) -> str | None:
    """The price series that an agreement names, or None."""
    return agreement.series if isinstance(agreement, Agreement) else None


def partners_together(point: Point) -> str | None:
    """Whom a point names beside its party, in the words of the columns: always in this order, an empty one for nobody; None where all are."""
    named = (
        point.supplier,
        point.offtaker,
        point.grid_operator,
        point.balance_responsible_import,
        point.balance_responsible_export,
    )
    return " ".join(name or "" for name in named) if any(named) else None
