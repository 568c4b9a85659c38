"""What a ledger will run out of within a month: said while there is time to do something about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from gridcore.registry.calendar import CALENDAR
from gridcore.registry.organisation import ORGANISATION, Organisation
from gridcore.registry.rules import RULES
from gridcore.x509 import decode_certificate
from ledger.registry.calendars import must_calendar, reaches_s
from ledger.registry.entries import ENTITY_FAMILIES
from ledger.store.reader import LedgerReader
from ledger.store.room import Room

WARNED_DAYS: Final = 30
_DAY_S: Final = 86_400


class Shortage(NamedTuple):
    """kind: ``calendar`` (its last local day ends), ``certificate`` (of an organisation's authority), ``prices`` (the time ends for
    which rules were published; they stand), ``disk``; subject: which calendar, organisation or rules; days_left: whole days, 0 when it is over.
    """

    kind: str
    subject: str
    days_left: int


def shortages(reader: LedgerReader) -> list[Shortage]:
    """What has fewer than WARNED_DAYS days left, the nearest first."""
    found = (
        shortage
        for shortage in (*_calendars(reader), *_certificates(reader), *_prices(reader), *_disk(reader))
        if shortage.days_left < WARNED_DAYS
    )
    return sorted(found, key=lambda shortage: (shortage.days_left, shortage.kind, shortage.subject))


class Outlook(NamedTuple):
    """Whole days that the calendar, the authority's certificate and the prices which end first still have, None where none ends; and
    the room on the disk.
    """

    calendar_days_left: int | None
    certificate_days_left: int | None
    prices_days_left: int | None
    room: Room


def outlook(reader: LedgerReader) -> Outlook:
    """How far everything reaches."""
    calendars, certificates, prices = (
        min((shortage.days_left for shortage in found), default=None)
        for found in (_calendars(reader), _certificates(reader), _prices(reader))
    )
    return Outlook(calendars, certificates, prices, reader.room())


def _calendars(reader: LedgerReader) -> Iterator[Shortage]:
    with reader.frozen():
        now_s = reader.ledger_time_s
        for key in reader.leaf_keys(ENTITY_FAMILIES[CALENDAR.kind].prefix):
            name = key.partition("/")[2]
            left_s = reaches_s(must_calendar(reader, name, reader.height)) - now_s
            yield Shortage("calendar", name, max(0, left_s) // _DAY_S)


def _certificates(reader: LedgerReader) -> Iterator[Shortage]:
    """Authorities whose own certificate ends: they issue none that holds longer."""
    with reader.frozen():
        now_s = reader.ledger_time_s
        for key in reader.leaf_keys(ENTITY_FAMILIES[ORGANISATION.kind].prefix):
            name = key.partition("/")[2]
            found = reader.in_force(ORGANISATION, name)
            if isinstance(found, Organisation) and found.authority is not None:
                left_s = decode_certificate(found.authority).not_after_s - now_s
                yield Shortage("certificate", name, max(0, left_s) // _DAY_S)


def _prices(reader: LedgerReader) -> Iterator[Shortage]:
    """Rules of which nothing is registered that begins before the published time of those in force ends."""
    with reader.frozen():
        now_s = reader.ledger_time_s
        for key in reader.leaf_keys(ENTITY_FAMILIES[RULES.kind].prefix):
            name = key.partition("/")[2]
            at_s, until_s = now_s, _published_to(reader, name, now_s)
            while until_s is not None and until_s > at_s:
                at_s = until_s
                until_s = _published_to(reader, name, at_s)
            if until_s is not None:
                yield Shortage("prices", name, max(0, until_s - now_s) // _DAY_S)


def _published_to(reader: LedgerReader, name: str, time_s: int) -> int | None:
    """Up to when the rules in force at a time were published; None for no certain time, or where there are none."""
    rules = reader.in_force(RULES, name, time_s)
    return None if rules is None else rules.until_s


def _disk(reader: LedgerReader) -> Iterator[Shortage]:
    room = reader.room()
    if room.days_left is not None:
        yield Shortage("disk", "", room.days_left)
