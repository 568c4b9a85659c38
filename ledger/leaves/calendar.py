"""``calendar/<id>``: the instants at which local days and months begin."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from gridcore.forms import TIME_S_MAX, Form, text
from ledger.leaves.family import Family

ENTRIES_MAX: Final = 40_000


class CalendarLeaf(NamedTuple):
    """days, months: UTC seconds, ascending, the last one the end of the last day; tz, tz_version: where they come from."""

    days: Sequence[int]
    months: Sequence[int]
    tz: str
    tz_version: str


def _key(calendar: str) -> str:
    return f"calendar/{calendar}"


def _are_instants(value: Any) -> bool:
    if not isinstance(value, list) or not 1 <= len(value) <= ENTRIES_MAX:
        return False
    if not all(type(item) is int and 0 <= item <= TIME_S_MAX for item in value):
        return False
    return all(first < second for first, second in pairwise(value))


_INSTANTS: Final = Form(f"1 to {ENTRIES_MAX} instants, UTC seconds, ascending", _are_instants)

CALENDAR: Final = Family(
    "calendar",
    _key,
    CalendarLeaf,
    forms={"days": _INSTANTS, "months": _INSTANTS, "tz": text(1, 64), "tz_version": text(1, 64)},
)
