"""What a ledger will run out of within a month: said while there is time to do something about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from gridcore.registry.calendar import CALENDAR
from ledger.registry.calendars import must_calendar, reaches_s
from ledger.registry.entries import ENTITY_FAMILIES
from ledger.store.reader import LedgerReader

WARNED_DAYS: Final = 30
_DAY_S: Final = 86_400


class Shortage(NamedTuple):
    """kind: ``calendar`` (its last local day ends), ``disk``; subject: which calendar; days_left: whole days, 0 when it is over."""

    kind: str
    subject: str
    days_left: int


def shortages(reader: LedgerReader) -> list[Shortage]:
    """What has fewer than WARNED_DAYS days left, the nearest first."""
    found = (shortage for shortage in (*_calendars(reader), *_disk(reader)) if shortage.days_left < WARNED_DAYS)
    return sorted(found, key=lambda shortage: (shortage.days_left, shortage.kind, shortage.subject))


def calendar_days_left(reader: LedgerReader) -> int | None:
    """Whole days that the calendar which ends first still has; None where there is none."""
    return min((shortage.days_left for shortage in _calendars(reader)), default=None)


def _calendars(reader: LedgerReader) -> Iterator[Shortage]:
    with reader.frozen():
        now_s = reader.ledger_time_s
        for key in reader.leaf_keys(ENTITY_FAMILIES[CALENDAR.kind].prefix):
            name = key.partition("/")[2]
            left_s = reaches_s(must_calendar(reader, name, reader.height)) - now_s
            yield Shortage("calendar", name, max(0, left_s) // _DAY_S)


def _disk(reader: LedgerReader) -> Iterator[Shortage]:
    room = reader.room()
    if room.days_left is not None:
        yield Shortage("disk", "", room.days_left)
