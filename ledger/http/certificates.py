"""What a node is asked of green certificates. ``ledger`` knows no rule of theirs: whoever puts a node together passes in what counts them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from ledger.store.reader import LedgerReader


class CertificateMonth(NamedTuple):
    """What became known in one local month (``2026-07``) of another: energy given, Wh, certificates issued and cancelled, energy carried on after it, Wh.

    known: the month in which it became known; month: of delivery. "" before the calendar's first month.
    """

    party: str
    known: str
    month: str
    energy_wh: int
    issued: int
    cancelled: int
    carry_wh: int


class GreenCertificate(NamedTuple):
    """A certificate of 1 MWh. certificate: CHAIN/AREA/PARTY/NUMBER, never given twice; state: valid, expired or cancelled as of ledger time.

    month: of its newest energy; issued, cancelled: when it became known, cancelled "" while it stands; valid_through: the last month in which it
    holds; slots, points: of how many its energy is; first_slot_s, last_slot_s: UTC seconds; energy_wh: of a cancelled one what it had last.
    """

    certificate: str
    party: str
    state: str
    month: str
    issued: str
    cancelled: str
    valid_through: str
    points: int
    slots: int
    first_slot_s: int
    last_slot_s: int
    energy_wh: int


class AreaCertificates(NamedTuple):
    """Of some parties of an area, by party: their months and certificates, each in the order in which they became known."""

    months: Sequence[CertificateMonth]
    certificates: Sequence[GreenCertificate]


class Certificates(Protocol):
    """What counts the certificates of a node."""

    def __call__(self, reader: LedgerReader, area: str, *, party: str | None) -> AreaCertificates:
        """Those of an area that is there, of one party or of all. UsageError says why they are not counted."""
