"""Names in the registry's columns: each once, ascending, and its place among them in the column of whoever names it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gridcore.registry.agreement import Agreement, EndedAgreement
from gridcore.registry.rules import Rules

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


def optional_place(name: str | None, place_of_name: PlaceOf) -> int:
    """The place of a name, -1 for None too."""
    return -1 if name is None else place_of_name(name)


def series_together(rules: Rules) -> str | None:
    """The price series that rules name, in the words of the columns; None for none."""
    return " ".join(sorted(set((rules.series or {}).values()))) or None


def series_of_agreement(agreement: Agreement | EndedAgreement) -> str | None:
    """The price series that an agreement names, or None."""
    return agreement.series if isinstance(agreement, Agreement) else None
