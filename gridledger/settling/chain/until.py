"""Where what newer files say ends: behind their last slot the ledger may have something else from a date on, which stays."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from gridcore.registry.entity import Entity
from ledger.registry.bodies import open_entity
from ledger.store.reader import LedgerReader


def until_s(
    reader: LedgerReader, entity: Entity[Any], name: str, last_s: int, fields: Iterable[str]
) -> dict[str, float]:
    """Where a dataset's words on fields of an entity end: where the ledger says something else behind ``last_s``. Infinity where it does not."""
    opened, ends_s = open_entity(reader, entity, name), dict.fromkeys(fields, math.inf)
    behind_s = [] if opened is None else [entry.from_s for entry in opened.leaf.entries if entry.from_s > last_s]
    for at_s in sorted(behind_s, reverse=True):
        before, found = (reader.in_force(entity, name, of_s) for of_s in (at_s - 1, at_s))
        for field in ends_s:
            if getattr(before, field, None) != getattr(found, field):
                ends_s[field] = at_s
    return ends_s
