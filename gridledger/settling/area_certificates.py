"""The green certificates of an area as a node answers them: of one party, or of all."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from operator import attrgetter
from typing import Final

from gridledger.settling.certificates import GivenByParty, RegisterRow, given_in, month_text, register_rows
from ledger.http.certificates import AreaCertificates, CertificateMonth, GreenCertificate
from ledger.store.reader import LedgerReader
from settlement.certificates import OnGridEnergy, certificate_lines

SLOTS_MAX: Final = 70_272
"""Settled slots of one answer, two years of quarter hours: each is read again for it."""


def certificates_of_area(reader: LedgerReader, area: str, *, party: str | None) -> AreaCertificates:
    """As of the newest block. UsageError for no area, and for more than SLOTS_MAX settled slots."""
    given = given_in(reader, area, slots_max=SLOTS_MAX)
    names = [name for name in sorted(given.of_party, key=str.encode) if party in (None, name)]
    months, found = list[CertificateMonth](), list[GreenCertificate]()
    for name in names:
        own = given.of_party[name]
        lines = certificate_lines(OnGridEnergy(one.month_s, one.known_month_s, one.energy_wh) for one in own)
        months += [
            CertificateMonth(name, month_text(line.known_month_s), month_text(line.month_s), *line[2:])
            for line in lines
        ]
        found += _certificates(given, area, name)
    return AreaCertificates(months, found)


def _certificates(given: GivenByParty, area: str, party: str) -> Iterator[GreenCertificate]:
    """One for the rows of each."""
    for _, rows_of_one in groupby(register_rows(given, area, party), attrgetter("certificate")):
        rows: list[RegisterRow] = list(rows_of_one)
        slots = {row.slot_start_s for row in rows}
        yield GreenCertificate(
            *rows[0][:7],
            points=len({row.point for row in rows}),
            slots=len(slots),
            first_slot_s=min(slots),
            last_slot_s=max(slots),
            energy_wh=sum(row.energy_wh for row in rows),
        )
