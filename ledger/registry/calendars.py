"""Calendars as a whole: the rows of one, put together."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from gridcore.errors import broken
from gridcore.forms import TIME_S_MAX
from gridcore.registry.calendar import CALENDAR, Calendar
from ledger.registry.bodies import Registered, open_entity

_KEPT_MAX: Final = 64
_PUT_TOGETHER: Final[dict[tuple[bytes, ...], Calendar]] = {}
"""By the digests of the rows, from which alone they follow."""


def known_calendar(registered: Registered, name: str, height: int) -> Calendar | None:
    """A calendar as of ``height``: of each row the instants up to where the next one begins. None where there is none."""
    entity = open_entity(registered, CALENDAR, name)
    known = [] if entity is None else [entry for entry in entity.leaf.entries if entry.recorded_height <= height]
    if entity is None or not known:
        return None
    key = tuple(entry.digest for entry in known)
    found = _PUT_TOGETHER.get(key)
    if found is None:
        last = {entry.from_s: entry for entry in known}
        rows = [entity.open(registered, entry).record for entry in last.values()]
        spans = list(pairwise([*last, TIME_S_MAX + 1]))
        found = rows[-1]._replace(
            days=[i for row, (from_s, end_s) in zip(rows, spans, strict=True) for i in row.days if from_s <= i < end_s],
            months=[
                i for row, (from_s, end_s) in zip(rows, spans, strict=True) for i in row.months if from_s <= i < end_s
            ],
        )
        if len(_PUT_TOGETHER) >= _KEPT_MAX:
            _PUT_TOGETHER.clear()
        _PUT_TOGETHER[key] = found
    return found


def must_calendar(registered: Registered, name: str, height: int) -> Calendar:
    """A calendar that an area names."""
    return known_calendar(registered, name, height) or broken(f"calendar {name} is registered")


def reaches_s(calendar: Calendar) -> int:
    """The end of its last local day: until when it reaches."""
    return calendar.days[-1]
