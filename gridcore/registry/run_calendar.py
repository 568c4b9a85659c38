"""When the settlement runs of a zone's slots fall due, and how many readings they wait for (docs/settlement-runs.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from gridcore.forms import Form, integer

RUN_S_MAX: Final = 10 * 366 * 86_400
"""Longest time from a slot's end to a run."""
CORRECTION_DATES_MAX: Final = 16
PPM: Final = 1_000_000
"""A share of one, in millionths."""


class CorrectionDate(NamedTuple):
    """A correction run falls due ``due_after_s`` after the slot's end; it is made if at least ``measured_ppm`` millionths of the rows
    that settle have measured or corrected values, and else left to the next date.
    """

    due_after_s: int
    measured_ppm: int


class RunCalendar(NamedTuple):
    """Times in seconds after a slot's end.

    initial_measured_ppm: the initial run, due with the metering deadline, waits for so many measured values in a million, until
    ``initial_last_after_s`` at the latest. corrections: dates, ascending. final_run_after_s: when the final run is made whatever is
    missing; from then on only dispute runs are, of changes of together at least ``dispute_material_nano``.
    """

    corrections: Sequence[CorrectionDate]
    dispute_material_nano: int
    final_run_after_s: int
    initial_last_after_s: int
    initial_measured_ppm: int

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> RunCalendar:
        """The record of a map that has the ``RUN_CALENDAR`` form."""
        return cls(**{**value, "corrections": [CorrectionDate(*date) for date in value["corrections"]]})

    def encode(self) -> dict[str, Any]:
        """The map of it."""
        return {**self._asdict(), "corrections": [list(date) for date in self.corrections]}


def calendar_fault(calendar: RunCalendar) -> str:
    """What is wrong with the order of its times; "" where nothing is."""
    dues_s = [date.due_after_s for date in calendar.corrections]
    times_s = [calendar.initial_last_after_s, *dues_s, calendar.final_run_after_s]
    if all(before < after for before, after in pairwise(times_s)):
        return ""
    return "run_calendar: initial_last_after_s, the correction dates and final_run_after_s ascend, each later than the one before"


_TIME, _SHARE, _AMOUNT = integer(0, RUN_S_MAX), integer(0, PPM), integer(0, 10**18)
_FIELDS: Final = {
    "dispute_material_nano": _AMOUNT,
    "final_run_after_s": _TIME,
    "initial_last_after_s": _TIME,
    "initial_measured_ppm": _SHARE,
}


def _is_calendar(value: Any) -> bool:
    if not isinstance(value, dict) or set(value) != {*_FIELDS, "corrections"}:
        return False
    dates = value["corrections"]
    if not isinstance(dates, list) or len(dates) > CORRECTION_DATES_MAX:
        return False
    are_dates = all(
        isinstance(date, list) and len(date) == 2 and _TIME.holds(date[0]) and _SHARE.holds(date[1]) for date in dates
    )
    return are_dates and all(form.holds(value[name]) for name, form in _FIELDS.items())


RUN_CALENDAR: Final = Form(
    f"a map of {', '.join(RunCalendar._fields)}: corrections 0 to {CORRECTION_DATES_MAX} pairs of [due_after_s, measured_ppm]",
    _is_calendar,
)
