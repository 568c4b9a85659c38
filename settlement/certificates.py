"""Green certificates (绿证) of settled energy, month by month, with what is carried on: a correction adjusts the carry first, then cancels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from settlement.tariffs.schedules import green_certificates


class OnGridEnergy(NamedTuple):
    """Energy that a point has given, Wh. month_s, known_month_s: begin of the month of delivery, and of that in which it became known.

    A correction is what a later run says more, negative for less, in the month in which that run was made.
    """

    month_s: int
    known_month_s: int
    energy_wh: int


class CertificateLine(NamedTuple):
    """Certificates of 1 MWh of one month, as known in another: issued and cancelled then, and the energy carried on after it, 0 to 999,999 Wh."""

    known_month_s: int
    month_s: int
    energy_wh: int
    issued: int
    cancelled: int
    carry_wh: int


def certificate_lines(energies: Iterable[OnGridEnergy]) -> list[CertificateLine]:
    """The certificates of one holder, in the order in which things became known, the older months first."""
    sums: Counter[tuple[int, int]] = Counter()
    for energy in energies:
        sums[energy.known_month_s, energy.month_s] += energy.energy_wh
    entries = sorted(sums)
    certificates = green_certificates([sums[entry] for entry in entries])
    columns = zip(certificates.issued, certificates.cancelled, certificates.carry_wh, strict=True)
    return [CertificateLine(*entry, sums[entry], *numbers) for entry, numbers in zip(entries, columns, strict=True)]
