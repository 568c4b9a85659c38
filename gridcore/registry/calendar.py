"""``calendar/<name>``: where local days and months begin; a row says it for at most a year from its ``from_s`` on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from gridcore.forms import TIME_S_MAX, Form, text
from gridcore.registry.entity import Entity, Shape
from gridcore.registry.row import Row

DAYS_MAX: Final = 400
MONTHS_MAX: Final = 40
_DAYS_OF_ROW: Final = 366


class Calendar(NamedTuple):
    """days, months: where they begin, UTC seconds, ascending; tz, tz_version: where that comes from."""

    days: Sequence[int]
    months: Sequence[int]
    tz: str
    tz_version: str


def _instants(low: int, high: int) -> Form:
    def are_instants(value: Any) -> bool:
        if not isinstance(value, list) or not low <= len(value) <= high:
            return False
        is_time = all(type(item) is int and 0 <= item <= TIME_S_MAX for item in value)
        return is_time and all(first < second for first, second in pairwise(value))

    return Form(f"{low} to {high} instants, UTC seconds, ascending", are_instants)


CALENDAR: Final[Entity[Calendar]] = Entity(
    "calendar",
    Shape(
        Calendar,
        {
            "days": _instants(1, DAYS_MAX),
            "months": _instants(0, MONTHS_MAX),
            "tz": text(1, 64),
            "tz_version": text(1, 64),
        },
    ),
)


def calendar_rows(name: str, calendar: Calendar) -> Iterator[Row]:
    """The rows of a calendar of any length, a year each; the first holds from the beginning of time on."""
    begins = [0, *calendar.days[_DAYS_OF_ROW::_DAYS_OF_ROW]]
    for from_s, end_s in zip(begins, [*begins[1:], TIME_S_MAX + 1], strict=True):
        part = calendar._replace(
            days=[instant for instant in calendar.days if from_s <= instant < end_s],
            months=[instant for instant in calendar.months if from_s <= instant < end_s],
        )
        yield Row(CALENDAR.key(name), from_s, CALENDAR.encode(part))
