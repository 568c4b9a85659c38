"""Times as files write them: to UTC seconds, a column at once.

A time with its offset, or Z, is exact. A local time is one of a named time zone; in the hour that the clock shows twice it
says two instants, and is refused unless the file's layout says how they are told apart. A time that the clock never shows is
refused always.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from gridcore.errors import excerpt
from gridledger.settling.files.fault import FilesError
from gridledger.settling.files.fields import Bools
from gridledger.settling.files.table import Bytes, Fields
from settlement.contract_kit_1 import Int64Column

DAY_S: Final = 86_400
YEAR_MIN, YEAR_MAX = 1980, 2200
ISO_FORMATS: Final = (
    "YYYY-MM-DDThh:mm:ss", "YYYY-MM-DD hh:mm:ss", "YYYY-MM-DDThh:mm", "YYYY-MM-DD hh:mm", "YYYY-MM-DD",
    *(f"YYYY-MM-DD{between}hh:mm:ss.{zeros}" for between in "T " for zeros in ("0", "000", "000000")),
)  # fmt: skip
"""ISO 8601 in its usual shapes; behind each may stand Z, +hh:mm, +hhmm or +hh. A date alone is its first instant."""
"""``hh`` may be 24 with 00 minutes: the end of the day."""
_PARTS: Final = {"Y": "year", "M": "month", "D": "day", "h": "hour", "m": "minute", "s": "second"}
_DAYS_OF_MONTH: Final = np.array([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
_OFFSETS: Final = ("", "Z", "+hh:mm", "+hhmm", "+hh")
_OFFSET_S_MAX: Final = 18 * 3600


class Stamps(NamedTuple):
    """Times of a column. ``local_s`` int64[n]: as if the clock showed UTC; ``offset_s`` int64[n]: stated, with ``has_offset`` bool[n]."""

    fields: Fields
    local_s: Int64Column
    offset_s: Int64Column
    has_offset: Bools


def parse_stamps(fields: Fields, formats: Sequence[str] = ISO_FORMATS, *, with_offset: bool = True) -> Stamps:
    """Read times that are written in one of ``formats``; FilesError at the first that is in none."""
    stamps = Stamps(
        fields,
        np.zeros(len(fields), dtype=np.int64),
        np.zeros(len(fields), dtype=np.int64),
        np.zeros(len(fields), dtype=np.bool_),
    )
    is_read = np.zeros(len(fields), dtype=np.bool_)
    length = fields.lengths()
    for size in np.unique(length).tolist():
        rows = np.flatnonzero(length == size)
        some = fields.some(rows).matrix(size)
        for format_, offset in _shapes(tuple(formats), with_offset):
            if len(format_) + len(offset) == size:
                _read_shape(stamps, rows, some, format_, offset, is_read)
    if not is_read.all():
        at = int(np.argmin(is_read))
        what = f"{excerpt(fields.text(at))} is no time" if length[at] else "is empty"
        more = ", then Z, an offset such as +08:00, or nothing for local time" if with_offset else ""
        raise fields.fault(at, what, f"write {formats[0]}{more}")
    return stamps


@lru_cache(maxsize=16)
def _shapes(formats: tuple[str, ...], with_offset: bool) -> Sequence[tuple[str, str]]:
    return [(format_, offset) for format_ in formats for offset in (_OFFSETS if with_offset else ("",))]


def _read_shape(stamps: Stamps, rows: Int64Column, some: Bytes, format_: str, offset: str, is_read: Bools) -> None:
    """Take the rows that have one shape into ``stamps``."""
    size = len(format_)
    parts, is_shape = _parts_of(some[:, :size], format_)
    offset_s = np.zeros(len(rows), dtype=np.int64)
    if offset == "Z":
        is_shape &= some[:, size] == b"Z"[0]
    elif offset:
        sign = some[:, size]
        hours, is_offset = _parts_of(some[:, size + 1 :], offset[1:])
        minute = hours.get("minute", np.zeros(len(rows), dtype=np.int64))
        offset_s = (hours["hour"] * 3600 + minute * 60) * np.where(sign == b"-"[0], -1, 1)
        is_shape &= is_offset & ((sign == b"+"[0]) | (sign == b"-"[0])) & (abs(offset_s) <= _OFFSET_S_MAX)
        is_shape &= minute < 60
    local_s, is_time = _seconds_of(parts, len(rows))
    good = is_shape & is_time & ~is_read[rows]
    taken = rows[good]
    stamps.local_s[taken] = local_s[good]
    stamps.offset_s[taken] = offset_s[good]
    stamps.has_offset[taken] = offset != ""
    is_read[taken] = True


def _parts_of(characters: Bytes, format_: str) -> tuple[dict[str, Int64Column], Bools]:
    """The numbers of a format by name, and which rows have its shape."""
    parts: dict[str, Int64Column] = {}
    is_shape = np.ones(len(characters), dtype=np.bool_)
    for place, letter in enumerate(format_):
        column = characters[:, place]
        name = _PARTS.get(letter)
        if name is None:
            is_shape &= column == letter.encode()[0]
            continue
        is_shape &= (column >= b"0"[0]) & (column <= b"9"[0])
        digit = column.astype(np.int64) - b"0"[0]
        parts[name] = parts.get(name, np.int64(0)) * 10 + digit
    return parts, is_shape


def _seconds_of(parts: dict[str, Int64Column], rows: int) -> tuple[Int64Column, Bools]:
    """Seconds of the clock from 1970 on, or from midnight on where there is no date; which rows say a time at all."""
    zeros = np.zeros(rows, dtype=np.int64)
    hour, minute, second = (parts.get(name, zeros) for name in ("hour", "minute", "second"))
    is_time = (hour <= 23) | ((hour == 24) & (minute == 0) & (second == 0))
    is_time &= (minute <= 59) & (second <= 59)
    seconds = hour * 3600 + minute * 60 + second
    if "year" not in parts:
        return seconds, is_time
    year, month, day = parts["year"], parts["month"], parts["day"]
    is_time &= (year >= YEAR_MIN) & (year <= YEAR_MAX) & (month >= 1) & (month <= 12) & (day >= 1)
    is_leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    is_time &= day <= _DAYS_OF_MONTH[np.clip(month, 0, 12)] - ((month == 2) & ~is_leap)
    return seconds + _days_from_civil(year, month, day) * DAY_S, is_time


def _days_from_civil(year: Int64Column, month: Int64Column, day: Int64Column) -> Int64Column:
    """Days from 1970-01-01 on in the Gregorian calendar (years counted from March, so that a leap day ends one)."""
    shifted = year - (month <= 2)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    days: Int64Column = shifted * 365 + shifted // 4 - shifted // 100 + shifted // 400 + day_of_year - 719_468
    return days


class Zone:
    """A time zone by its name in the IANA table; ``resolve`` turns its local times into instants."""

    def __init__(self, name: str) -> None:
        """UsageError's cause, ValueError, for a name that the table lacks."""
        try:
            self._zone = ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(name) from None
        self.name = name
        self._changes: dict[int, list[tuple[int, int, int]]] = {}

    def offset_s(self, instant_s: int) -> int:
        """Local time less UTC at an instant."""
        offset = datetime.fromtimestamp(instant_s, tz=self._zone).utcoffset()
        return int(offset.total_seconds()) if offset is not None else 0

    def midnights(self, first_s: int, last_s: int) -> Int64Column:
        """The beginnings of the local days from the one that holds ``first_s`` to the one that holds ``last_s``, UTC seconds."""
        first = (first_s + self.offset_s(first_s)) // DAY_S
        last = (last_s + self.offset_s(last_s)) // DAY_S
        return self.first_instants(np.arange(first, last + 1) * DAY_S)

    def first_instants(self, local_s: Int64Column) -> Int64Column:
        """Local times as instants: the earlier of two; of a time that the clock skips, the moment of the change."""
        instants, is_twice, is_never = self.instants(local_s)
        del is_twice
        if is_never.any():
            for at in np.flatnonzero(is_never).tolist():
                change = next(
                    c for c in self._changes_about(local_s[at : at + 1]) if c[0] + c[1] <= local_s[at] < c[0] + c[2]
                )
                instants[at] = change[0]
        return instants

    def instants(self, local_s: Int64Column, *, as_end: bool = False) -> tuple[Int64Column, Bools, Bools]:
        """int64[n], bool[n], bool[n]: the instant (the earlier of two); which are shown twice; which never.

        ``as_end``: a time is the end of an interval; the clock reaches the beginning of the hour that it skips.
        """
        changes = self._changes_about(local_s)
        is_twice = np.zeros(len(local_s), dtype=np.bool_)
        is_never = np.zeros(len(local_s), dtype=np.bool_)
        if not len(local_s):
            return local_s, is_twice, is_never
        offset = np.full(len(local_s), self.offset_s(int(local_s.min()) - 3 * DAY_S))
        for change_s, before_s, after_s in changes:
            starts, ends = change_s + min(before_s, after_s), change_s + max(before_s, after_s)
            inside = (local_s >= starts) & (local_s < ends)
            if after_s > before_s:
                is_never |= inside & ((local_s > starts) | (not as_end))
                offset[local_s >= ends] = after_s
            else:
                is_twice |= inside
                offset[local_s >= ends] = after_s
        return local_s - offset, is_twice, is_never

    def are_of_repeated_days(self, local_s: Int64Column) -> Bools:
        """bool[n]: whether a local time is of a day on which the clock shows an hour twice."""
        days = [
            (change_s + after_s) // DAY_S
            for change_s, before_s, after_s in self._changes_about(local_s)
            if after_s < before_s
        ]
        found: Bools = np.isin(local_s // DAY_S, np.array(days, dtype=np.int64))
        return found

    def hour_repeated_s(self, local_s: int) -> int:
        """How much later the clock shows a time for the second time."""
        for change_s, before_s, after_s in self._changes_about(np.array([local_s])):
            if change_s + after_s <= local_s < change_s + before_s:
                return before_s - after_s
        return 0

    def _changes_about(self, local_s: Int64Column) -> list[tuple[int, int, int]]:
        """Changes of the clock near some local times, ascending: instant, offset before, offset after."""
        if not len(local_s):
            return []
        first, last = (int(edge) // (366 * DAY_S) for edge in (local_s.min() - 3 * DAY_S, local_s.max() + 3 * DAY_S))
        found = []
        for part in range(first, last + 1):
            if part not in self._changes:
                self._changes[part] = list(self._find_changes(part * 366 * DAY_S, (part + 1) * 366 * DAY_S))
            found += self._changes[part]
        return found

    def _find_changes(self, first_s: int, end_s: int) -> list[tuple[int, int, int]]:
        found = []
        before_s = self.offset_s(first_s)
        for day_s in range(first_s, end_s, DAY_S):
            after_s = self.offset_s(day_s + DAY_S)
            if after_s != before_s:
                low, high = day_s, day_s + DAY_S
                while high - low > 1:
                    middle = (low + high) // 2
                    low, high = (middle, high) if self.offset_s(middle) == before_s else (low, middle)
                found.append((high, before_s, after_s))
                before_s = after_s
        return found


def zone_fault(stamps: Stamps, at: int, zone: str, what: str, right: str) -> FilesError:
    """The error for a local time that names no one instant."""
    return stamps.fields.fault(at, f"{excerpt(stamps.fields.text(at))} {what} in {zone}", right)


def to_iso(instant_s: int) -> str:
    """UTC, as ISO 8601."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=instant_s)).strftime("%Y-%m-%dT%H:%M:%SZ")
