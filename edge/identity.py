"""Which meter stands at which address: a serial number binds one to the other. Pure.

A bus address is set with a button or a screwdriver, so two meters can exchange theirs and a fitter can hang another meter on
an old address. Neither shows in a register. The agent reads the serial numbers of a line at its start and once a day, and
compares them with what it has bound (``judge_identities``; ``edge.bindings`` reads). Nothing that a wrong meter shows is signed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

AS_BOUND: Final = "as_bound"
FIRST_SEEN: Final = "first_seen"
NOT_TOLD: Final = "not_told"
ADDRESSES_EXCHANGED: Final = "addresses_exchanged"
METER_OF_ANOTHER_PLACE: Final = "meter_of_another_place"
SAME_METER_TWICE: Final = "same_meter_twice"
ANOTHER_METER: Final = "another_meter"
ANOTHER_MODEL: Final = "another_model"

SERIAL_CHARACTERS_MAX: Final = 64

MAY_BILL: Final = frozenset((AS_BOUND, FIRST_SEEN, NOT_TOLD))
"""Findings after which the meter's readings may be signed. NOT_TOLD: it has no serial number to read, or did not answer."""


class Place(NamedTuple):
    """A meter of the agent's table, where it is read (such as "line-1/3"), and the serial number bound to it, "" before.

    ``misfit``: by what it answers there it is not of its profile's models; "" where nothing says so.
    """

    meter: str
    address: str
    serial: str
    misfit: str = ""


class Finding(NamedTuple):
    """What was found at a meter's place; ``serial`` is what it answered, ``detail`` one line for a finding that stops it."""

    meter: str
    finding: str
    serial: str
    detail: str = ""

    @property
    def may_bill(self) -> bool:
        """Whether what this place shows may be signed as the meter's."""
        return self.finding in MAY_BILL


def tidy_serial(text: str) -> str:
    """A serial number without what meters pad it with: blanks, NUL bytes and leading zeros."""
    return text.strip(" \0\t\r\n").lstrip("0")[:SERIAL_CHARACTERS_MAX]


def judge_identities(places: Sequence[Place], answered: Mapping[str, str]) -> tuple[Finding, ...]:
    """Compare the serial numbers that the places ``answered`` (by meter; absent: none) with those bound; in their order."""
    seen = {place.meter: tidy_serial(answered.get(place.meter, "")) for place in places}
    owners = {tidy_serial(place.serial): place for place in places if place.serial}
    times = Counter(serial for serial in seen.values() if serial)
    return tuple(_find(place, seen, owners, times) for place in places)


def _find(place: Place, seen: Mapping[str, str], owners: Mapping[str, Place], times: Mapping[str, int]) -> Finding:
    serial, bound = seen[place.meter], tidy_serial(place.serial)
    if place.misfit:
        return Finding(place.meter, ANOTHER_MODEL, serial, f"{place.address}: {place.misfit}: set its profile right")
    if not serial:
        return Finding(place.meter, NOT_TOLD, "")
    if times[serial] > 1:
        detail = (
            f"{place.address} answers with serial number {serial}, and so does another address: one device for both"
        )
        return Finding(place.meter, SAME_METER_TWICE, serial, detail)
    if serial == bound:
        return Finding(place.meter, AS_BOUND, serial)
    owner = owners.get(serial)
    if owner is not None:
        where = f"{place.address} answers with serial number {serial}, that of meter {owner.meter} ({owner.address})"
        if bound and seen[owner.meter] == bound:
            return Finding(place.meter, ADDRESSES_EXCHANGED, serial, f"{where}: the two have exchanged their addresses")
        return Finding(place.meter, METER_OF_ANOTHER_PLACE, serial, f"{where}: set the addresses right")
    if bound:
        detail = f"{place.address} answers with serial number {serial}, not {bound}: register a new installation for it"
        return Finding(place.meter, ANOTHER_METER, serial, detail)
    return Finding(place.meter, FIRST_SEEN, serial)
