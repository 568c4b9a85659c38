"""Slots as a local wall clock shows them."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from simulators.scenarios.schema import SLOT_S, Calendar

DAY_S = 86_400
SLOTS_PER_DAY = 96
SLOTS_PER_HOUR = 4


def shape_positions(slot_start_s: NDArray[np.int64], calendar: Calendar) -> NDArray[np.int64]:
    """Position of each slot in the leap year of the shapes, by local month, day and time of day."""
    local = slot_start_s + utc_offsets_s(slot_start_s, calendar)
    day = local.astype("datetime64[s]").astype("datetime64[D]")
    year = day.astype("datetime64[Y]")
    day_of_year = (day - year.astype("datetime64[D]")).astype(np.int64)
    days_in_year = ((year + 1).astype("datetime64[D]") - year.astype("datetime64[D]")).astype(np.int64)
    leap_day_of_year = day_of_year + ((days_in_year == 365) & (day_of_year >= 59))
    position: NDArray[np.int64] = leap_day_of_year * SLOTS_PER_DAY + local % DAY_S // SLOT_S
    return position


def utc_offsets_s(slot_start_s: NDArray[np.int64], calendar: Calendar) -> NDArray[np.int64]:
    """How far local time is ahead of UTC in each slot."""
    moments = (datetime.fromtimestamp(start_s, calendar.zone) for start_s in slot_start_s.tolist())
    offsets = (moment.utcoffset() or timedelta() for moment in moments)
    return np.fromiter((int(offset.total_seconds()) for offset in offsets), dtype=np.int64)


def is_first_of_day(local_slot: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Where a local day begins; the first slot begins one. A clock that is set back by an hour or two begins none."""
    return np.concatenate([[True], np.diff(local_slot) < -SLOTS_PER_DAY // 2])


def is_between(when: NDArray[np.int64], from_hour: int, until_hour: int) -> NDArray[np.bool_]:
    """Which of the slots ``when`` lie between two hours of the local wall clock; over midnight where the first is the later one."""
    hour = when % SLOTS_PER_DAY // SLOTS_PER_HOUR
    if from_hour <= until_hour:
        return np.asarray((hour >= from_hour) & (hour < until_hour))
    return np.asarray((hour >= from_hour) | (hour < until_hour))
