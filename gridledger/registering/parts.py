"""Rows split into transactions: what must be decided together stays together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gridcore.errors import UsageError
from gridcore.registry.entities import ENTITIES
from gridcore.registry.party import PARTY
from gridcore.registry.point import POINT
from gridcore.transactions.registry_register import ROWS_BYTES_MAX, ROWS_MAX, attached_bytes
from gridledger.registering.rows_file import FileRow

_ORDER: Final = {kind: place for place, kind in enumerate(ENTITIES)}
_JOINED: Final = (PARTY.kind, POINT.kind, "installation")
"""A party, its points and their installations: a party that trades has a point, and one meter hangs where another was."""


def split_rows(rows: Sequence[FileRow]) -> list[list[FileRow]]:
    """Transactions of at most ``ROWS_MAX`` rows, those that others name first. UsageError for a group that is larger."""
    if len(rows) <= ROWS_MAX and sum(map(_size, rows)) <= ROWS_BYTES_MAX:
        return [list(rows)]
    parts: list[list[FileRow]] = [[]]
    count = size = 0
    for group in _groups(rows):
        more, bytes_more = len(group), sum(map(_size, group))
        if more > ROWS_MAX or bytes_more > ROWS_BYTES_MAX:
            raise UsageError(f"{group[0].where}: {more} rows must be registered together; at most {ROWS_MAX} can be")
        if count + more > ROWS_MAX or size + bytes_more > ROWS_BYTES_MAX:
            parts.append([])
            count = size = 0
        parts[-1] += group
        count, size = count + more, size + bytes_more
    return parts


def _size(row: FileRow) -> int:
    return attached_bytes(row.row)


def _groups(rows: Sequence[FileRow]) -> list[list[FileRow]]:
    """Rows that stand alone by the order of their kinds, then parties with their points and installations."""
    alone = sorted((row for row in rows if _kind(row) not in _JOINED), key=lambda row: _ORDER[_kind(row)])
    groups: dict[str, list[FileRow]] = {}
    leader: dict[str, str] = {}
    for row in rows:
        if _kind(row) in _JOINED:
            named = [
                row.row.key,
                *(f"{kind}/{row.row.value[kind]}" for kind in ("party", "point") if kind in row.row.value),
            ]
            known = list(dict.fromkeys(leader[key] for key in named if key in leader))
            first = known[0] if known else row.row.key
            for other in known[1:]:
                groups[first] = groups.get(first, []) + groups.pop(other, [])
                leader.update({key: first for key, led_by in leader.items() if led_by == other})
            leader.update(dict.fromkeys(named, first))
            groups.setdefault(first, []).append(row)
    return [[row] for row in alone] + list(groups.values())


def _kind(row: FileRow) -> str:
    return row.row.key.partition("/")[0]
