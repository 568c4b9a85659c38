"""What a file is called that somebody saves: the table, where it is from, and the days that are in it, or the slot or boundary that it is of:
``slots-A1-2026-06-21.csv``, ``merit-A1-2026-06-21T0715.csv``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from gridweb.format import INSTANT_S_MAX, offset, zone_of
from gridweb.tables import Table

NAME_CHARACTERS_MAX: Final = 120
_PLACES: Final = ("area", "party", "gateway", "meter", "run")
_SPANS: Final = ("day", "month", "year")
_MOMENTS: Final = ("slot_start_s", "slot", "boundary_s")
_STARTS: Final = ("at_s", "start_s")
_DATE: Final = re.compile(r"[0-9]{4}(-[0-9]{2}){0,2}")
_OTHERS: Final = re.compile(r"[^A-Za-z0-9._+-]+")
_END_S: Final = INSTANT_S_MAX - 86_400
"""Local time ends with the year 9999, too: no zone is a day ahead."""


def file_stem(table: Table, asked: Mapping[str, str | int]) -> str:
    """The name without its suffix, of letters, digits, points, dashes and the sign of an offset. ``asked``: the arguments of the table's address.

    The days are those of the address, or those of the slots and instants in the first and in the last row; local ones.
    """
    parts = [str(asked[name]) for name in _PLACES if asked.get(name)] + _span(table, asked)
    kept = [part for part in parts if f"-{part}-" not in f"-{table.name}-"]
    return cleaned("-".join([table.name, *kept]))[:NAME_CHARACTERS_MAX].strip("-.")


def cleaned(name: str) -> str:
    """A name of letters, digits, points, dashes, underscores and plus signs alone: of no folder, whoever wrote it."""
    return _OTHERS.sub("-", name)


def slot_stem(area: str, slot_start_s: int, tz: str, *parts: str) -> str:
    """The name without its suffix of a file about one slot of an area: ``A1-H001-trade_buy-2026-06-21T0715``; empty parts are left out.

    The time is whole however long the others are: files of two slots have two names.
    """
    moment = _moment(slot_start_s, tz)
    before = cleaned("-".join(part for part in (area, *parts) if part))
    return f"{before[: NAME_CHARACTERS_MAX - 1 - len(moment)].strip('-.')}-{moment}"


def _moment(time_s: int, tz: str) -> str:
    """A local day and time, with the offset where the clock shows that time twice, or leaves one out on that day."""
    return _local(time_s, tz).strftime("%Y-%m-%dT%H%M") + offset(time_s, tz).replace(":", "")


def _span(table: Table, asked: Mapping[str, str | int]) -> list[str]:
    """Nothing, a moment, a day, or "<first>-to-<last>"."""
    for name in _SPANS:
        if _DATE.fullmatch(str(asked.get(name, ""))):
            return [str(asked[name])]
    for name in _MOMENTS:
        moment_s = asked.get(name)
        if isinstance(moment_s, int) and 0 <= moment_s < _END_S:
            return [_moment(moment_s, table.tz)]
    at = next((place for place, column in enumerate(table.columns) if column.kind == "slot"), None)
    if at is None:
        at = next((place for place, column in enumerate(table.columns) if column.key == "boundary_s"), None)
    if at is None:
        ends: list[object] = [*map(asked.get, _STARTS), _before(asked.get("end_s"))]
    else:
        ends = [table.rows[0][at], table.rows[-1][at]] if table.rows else []
    known = (end_s for end_s in ends if isinstance(end_s, int) and 0 <= end_s < _END_S)
    days = sorted({_local(end_s, table.tz).date().isoformat() for end_s in known})
    return ["-to-".join(days)] if days else []


def _before(end_s: object) -> object:
    """The last second of a span that ends there."""
    return end_s - 1 if isinstance(end_s, int) else None


def _local(time_s: int, tz: str) -> datetime:
    return datetime.fromtimestamp(time_s, UTC).astimezone(zone_of(tz))
