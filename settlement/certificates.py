"""Green certificates (绿证) of settled energy, month by month, with what is carried on: a correction adjusts the carry first, then cancels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from settlement.errors import SettlementError
from settlement.tariffs.schedules import CERTIFICATE_WH, green_certificates


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


VALID_MONTHS: Final = 24
"""A certificate ends with the month that lies so many months behind that of its newest energy."""


class Origin(NamedTuple):
    """Energy of a certificate: where and when it was given, Wh, above 0."""

    slot_start_s: int
    point: str
    energy_wh: int


class GivenEnergy(NamedTuple):
    """What an eligible point has given in a slot, Wh, or what a later run says more, negative for less. Months as of ``OnGridEnergy``."""

    known_month_s: int
    month_s: int
    slot_start_s: int
    point: str
    energy_wh: int


class Certificate(NamedTuple):
    """One certificate of a holder. number: from 1, never used again; month_s: of its newest energy; issued_month_s: in which it became known.

    cancelled_month_s: in which a correction took it back, None while it stands. origins: by slot, then point; of a cancelled one what it had last.
    """

    number: int
    month_s: int
    issued_month_s: int
    cancelled_month_s: int | None
    origins: Sequence[Origin]


def certificates_of(given: Iterable[GivenEnergy]) -> list[Certificate]:
    """Every certificate of one holder, by number, in the order in which things became known: each Wh stands behind at most one.

    A correction takes energy out of what is carried, else out of the newest certificate that has it. There the oldest energy that is carried
    takes its place; where none is left the certificate is cancelled and what it still has is carried. SettlementError where a
    correction takes what was never given.
    """
    steps: dict[tuple[int, int], list[GivenEnergy]] = {}
    for one in given:
        steps.setdefault((one.known_month_s, one.month_s), []).append(one)
    register = _Register()
    for step in sorted(steps):
        register.take(step[0], steps[step])
    return register.certificates()


_Place = tuple[int, str]
"""Slot and point."""


class _Register:
    """The certificates of a holder as they become known. Energies are kept by slot and point; Wh."""

    def __init__(self) -> None:
        self._month_of: dict[int, int] = {}
        self._carried: dict[_Place, int] = {}
        self._standing: dict[int, dict[_Place, int]] = {}
        self._issued: list[int] = []
        self._cancelled: dict[int, tuple[int, dict[_Place, int]]] = {}

    def take(self, known_month_s: int, given: Sequence[GivenEnergy]) -> None:
        """What became known in a month of one month of delivery, all at once: so nothing is cancelled and issued again."""
        changes: Counter[_Place] = Counter()
        for one in given:
            self._month_of[one.slot_start_s] = one.month_s
            changes[one.slot_start_s, one.point] += one.energy_wh
        for place in sorted(changes):
            if changes[place] > 0:
                self._carry(place, changes[place])
            elif changes[place] < 0:
                self._take_out(place, -changes[place])
        self._fill(known_month_s)
        while sum(self._carried.values()) >= CERTIFICATE_WH:
            self._standing[len(self._issued) + 1] = self._from_carried(CERTIFICATE_WH)
            self._issued.append(known_month_s)

    def certificates(self) -> list[Certificate]:
        """All that were ever issued."""
        found = []
        for number, issued_month_s in enumerate(self._issued, 1):
            cancelled_month_s, energies = self._cancelled.get(number, (None, self._standing.get(number, {})))
            origins = [Origin(*place, energy_wh) for place, energy_wh in sorted(energies.items())]
            month_s = max((self._month_of[origin.slot_start_s] for origin in origins), default=issued_month_s)
            found.append(Certificate(number, month_s, issued_month_s, cancelled_month_s, origins))
        return found

    def _carry(self, place: _Place, energy_wh: int) -> None:
        self._carried[place] = self._carried.get(place, 0) + energy_wh

    def _take_out(self, place: _Place, energy_wh: int) -> None:
        """Out of what is carried, then out of certificates, the newest first: these lack it until they are filled."""
        for energies in (self._carried, *(self._standing[number] for number in sorted(self._standing, reverse=True))):
            part_wh = min(energy_wh, energies.get(place, 0))
            if part_wh:
                energies[place] -= part_wh
                if not energies[place]:
                    del energies[place]
                energy_wh -= part_wh
        if energy_wh:
            raise SettlementError(
                f"a correction takes {energy_wh} Wh that {place[1]} never gave in the slot at {place[0]}"
            )

    def _fill(self, known_month_s: int) -> None:
        """Bring every certificate to a whole MWh again, the oldest first; cancel the newest that lack energy where too little is carried."""

        def lacking_wh(number: int) -> int:
            return CERTIFICATE_WH - sum(self._standing[number].values())

        lacking = [number for number in sorted(self._standing) if lacking_wh(number)]
        while sum(map(lacking_wh, lacking)) > sum(self._carried.values()):
            number = lacking.pop()
            energies = self._standing.pop(number)
            self._cancelled[number] = (known_month_s, dict(energies))
            for place, energy_wh in energies.items():
                self._carry(place, energy_wh)
        for number in lacking:
            for place, energy_wh in self._from_carried(lacking_wh(number)).items():
                self._standing[number][place] = self._standing[number].get(place, 0) + energy_wh

    def _from_carried(self, energy_wh: int) -> dict[_Place, int]:
        """So much of what is carried, the oldest slots first."""
        taken: dict[_Place, int] = {}
        for place in sorted(self._carried):
            part_wh = min(energy_wh, self._carried[place])
            if not part_wh:
                break
            taken[place] = part_wh
            self._carried[place] -= part_wh
            energy_wh -= part_wh
        self._carried = {place: wh for place, wh in self._carried.items() if wh}
        return taken
