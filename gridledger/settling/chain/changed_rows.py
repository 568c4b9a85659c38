"""What newer files have the registry say of an entity: a row at each time at which it is to be otherwise than it is by then."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from gridcore.master_data import Named
from gridcore.registry.entity import Entity
from ledger.registry.bodies import open_entity
from ledger.store.reader import LedgerReader

R = TypeVar("R")


def begins_of(reader: LedgerReader, entity: Entity[Any], name: str) -> list[int]:
    """From when on each entry of an entity holds, UTC seconds; none of one that is not there."""
    opened = open_entity(reader, entity, name)
    return [] if opened is None else [entry.from_s for entry in opened.leaf.entries]


def changed_rows(
    reader: LedgerReader,
    entity: Entity[R],
    name: str,
    times_s: Iterable[int],
    wanted: Callable[[int, R | None], R],
    before: R | None = None,
) -> Iterator[Named[R]]:
    """The rows at some times, ascending, among which every beginning of an entry is that is not to stand.

    ``wanted``: what it is to be, of a time and of what the ledger has in force then. By then it is what the ledger says where an entry begins, else
    what was wanted at the time before; at the first time ``before``, where a row has just made the entity, else what the ledger says.
    """
    begins_s, holds = set(begins_of(reader, entity, name)), before
    for at_s in times_s:
        known = reader.in_force(entity, name, at_s)
        record = wanted(at_s, known)
        if record != (known if holds is None or at_s in begins_s else holds):
            yield Named(entity, name, record, at_s)
        holds = record
