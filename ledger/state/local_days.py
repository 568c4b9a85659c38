"""Local days of a calendar and their kinds: which earlier slots a slot is like (docs/spec/state.md, "Estimates")."""

from __future__ import annotations

from bisect import bisect_right
from typing import Final, NamedTuple

from ledger.registry.calendars import must_calendar
from ledger.state.draft import Draft

DAY_S: Final = 86_400
REFERENCE_DAYS: Final = 4
DAYS_BACK_MAX: Final = 14
"""How far reference days lie back: in a calendar without gaps there are four of either kind."""
_WEEKDAY_OF_THE_EPOCH: Final = 3
"""1970-01-01 was a Thursday; Monday is 0."""
_SATURDAY: Final = 5


class LocalDay(NamedTuple):
    """A local day, [start_s, end_s) in UTC seconds."""

    start_s: int
    end_s: int

    @property
    def is_weekend(self) -> bool:
        """Whether it is a Saturday or a Sunday: in UTC, that is the date 12 hours after its beginning."""
        return ((self.start_s + DAY_S // 2) // DAY_S + _WEEKDAY_OF_THE_EPOCH) % 7 >= _SATURDAY


def day_of(draft: Draft, calendar: str, time_s: int) -> LocalDay | None:
    """The local day that holds ``time_s``, None before the calendar's first; behind its last instant days have 24 hours."""
    days = must_calendar(draft, calendar, draft.height - 1).days
    place = bisect_right(days, time_s)
    if place == 0:
        return None
    if place < len(days):
        return LocalDay(days[place - 1], days[place])
    start_s = days[-1] + (time_s - days[-1]) // DAY_S * DAY_S
    return LocalDay(start_s, start_s + DAY_S)


def days_like(draft: Draft, calendar: str, day: LocalDay, *, is_weekend: bool) -> list[LocalDay]:
    """The last four of the 14 local days before a day that are of one kind, the latest first; there may be fewer."""
    found: list[LocalDay] = []
    before: LocalDay | None = day
    for _ in range(DAYS_BACK_MAX):
        before = None if before is None else day_of(draft, calendar, before.start_s - 1)
        if before is not None and before.is_weekend == is_weekend and len(found) < REFERENCE_DAYS:
            found.append(before)
    return found
