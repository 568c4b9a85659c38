"""The slot that each row is about: its stamp, read as the layout says, as the instant at which the slot starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from gridledger.settling.files.fault import FilesError
from gridledger.settling.files.fields import integers
from gridledger.settling.files.layout import TimeForm
from gridledger.settling.files.stamps import DAY_S, Stamps, Zone, parse_stamps, to_iso, zone_fault
from gridledger.settling.files.table import Fields
from settlement.contract_kit_1 import Int64Column

_TWICE: Final = "is shown twice by the clock"
_WITH_OFFSET: Final = "write it with its offset, such as +01:00, or as UTC with Z"


class Instants:
    """Resolves stamps of one layout; remembers which local times of a repeated hour it has met."""

    def __init__(self, time: TimeForm, zone: Zone | None, slot_s: int) -> None:
        """``zone``: of local times; None: only times with an offset can be read."""
        self._time = time
        self._zone = zone
        self._slot_s = slot_s
        self._met: dict[tuple[int, int], tuple[int, FilesError]] = {}
        # of a series and a local day with a repeated hour: the instant of the row before
        self._before_s: dict[tuple[int, int], int] = {}

    def of_rows(self, columns: Mapping[str, Fields], series: Int64Column) -> Int64Column:
        """int64[n]: where the slot of each row starts. ``series``: rows of one series have different instants."""
        time = self._time
        if time.number_column is not None:
            number = self._numbers(columns[time.number_column])
            return self.of_number(columns, number, columns[time.number_column])
        stamps = parse_stamps(columns[time.column], time.formats, with_offset=time.time_column is None)
        if time.time_column is not None:
            clock = parse_stamps(columns[time.time_column], time.time_formats, with_offset=False)
            stamps = clock._replace(local_s=stamps.local_s + clock.local_s)
        instants = self._resolved(stamps, series)
        return instants - self._slot_s if time.at == "end" else instants

    def of_number(self, columns: Mapping[str, Fields], number: Int64Column, shown: Fields) -> Int64Column:
        """int64[n]: the start of the interval with that ``number`` (from 1) in the local day of each row's date.

        ``shown``: the column that an error names.
        """
        dates = parse_stamps(columns[self._time.column], self._time.formats, with_offset=False)
        zone = self._must_zone(dates)
        start_s = zone.first_instants(dates.local_s) + (number - 1) * self._slot_s
        is_outside = start_s >= zone.first_instants(dates.local_s + DAY_S)
        if is_outside.any():
            at = int(np.argmax(is_outside))
            last = int(
                zone.first_instants(dates.local_s[at : at + 1] + DAY_S)[0]
                - zone.first_instants(dates.local_s[at : at + 1])[0]
            )
            what = f"interval {int(number[at])} is behind the end of {dates.fields.text(at)} in {zone.name}"
            raise shown.fault(at, what, f"that day has {last // self._slot_s} intervals of {self._slot_s} s")
        return start_s

    def check_repeated(self) -> None:
        """FilesError where a local time of a repeated hour stands once: nobody says which of the two it is."""
        for count, error in self._met.values():
            if count == 1:
                raise error

    def _numbers(self, fields: Fields) -> Int64Column:
        behind = self._time.number_format.removeprefix("n").encode()
        if not behind:
            return integers(fields, 1, DAY_S)
        ends = replace(fields, start=np.maximum(fields.end - len(behind), fields.start)).matrix(len(behind))
        bad = (ends != np.frombuffer(behind, dtype=np.uint8)).any(axis=1)
        if bad.any():
            at = int(np.argmax(bad))
            raise fields.fault(at, f"{fields.text(at)!r} is no number of an interval", f"write n{behind.decode()}")
        return integers(replace(fields, end=fields.end - len(behind)), 1, DAY_S)

    def _resolved(self, stamps: Stamps, series: Int64Column) -> Int64Column:
        instants = stamps.local_s - stamps.offset_s
        local = np.flatnonzero(~stamps.has_offset)
        if not len(local):
            return instants
        zone = self._must_zone(stamps)
        found, is_twice, is_never = zone.instants(stamps.local_s[local], as_end=self._time.at == "end")
        if is_never.any():
            at = int(local[np.argmax(is_never)])
            raise zone_fault(stamps, at, zone.name, "is skipped by the clock", _WITH_OFFSET)
        instants[local] = found
        for at in local[is_twice].tolist():
            instants[at] += self._later_s(stamps, at, int(series[at]), zone)
        if self._time.repeated_hour != "refused":
            self._check_order(stamps, local, instants, series)
        return instants

    def _later_s(self, stamps: Stamps, at: int, series: int, zone: Zone) -> int:
        """How much later than the first of two instants one is."""
        error = zone_fault(stamps, at, zone.name, _TWICE, _WITH_OFFSET)
        if self._time.repeated_hour == "refused":
            raise error
        local_s = int(stamps.local_s[at])
        count = self._met.get((series, local_s), (0, error))[0] + 1
        self._met[series, local_s] = count, error
        is_second = (count > 1) == (self._time.repeated_hour == "in_order")
        return zone.hour_repeated_s(local_s) if is_second else 0

    def _check_order(self, stamps: Stamps, local: Int64Column, instants: Int64Column, series: Int64Column) -> None:
        """FilesError at a row of a day with a repeated hour that stands out of order: which of two instants it is would be a guess.

        ``local``: places of the local times. The whole day tells, since of hourly rows a repeated hour has but two.
        """
        zone, is_in_order = self._must_zone(stamps), self._time.repeated_hour == "in_order"
        start_s = stamps.local_s[local] - (self._slot_s if self._time.at == "end" else 0)
        is_there = zone.are_of_repeated_days(start_s)
        for at, day in zip(local[is_there].tolist(), (start_s[is_there] // DAY_S).tolist(), strict=True):
            key, instant_s = (int(series[at]), day), int(instants[at])
            before_s = self._before_s.get(key, instant_s)
            if instant_s != before_s and (instant_s > before_s) != is_in_order:
                wrong, right = ("a later", "oldest first") if is_in_order else ("an earlier", "newest first")
                what = f"stands behind {wrong} time of a day on which the clock shows an hour twice"
                raise zone_fault(
                    stamps, at, zone.name, what, f"put the point's rows of that day {right}, or {_WITH_OFFSET}"
                )
            self._before_s[key] = instant_s

    def _must_zone(self, stamps: Stamps) -> Zone:
        if self._zone is None:
            at = int(np.argmin(stamps.has_offset))
            what = f"{stamps.fields.text(at)!r} is a local time"
            raise stamps.fields.fault(
                at, what, "write it with its offset or Z, or set [timeline] timezone in rules.toml"
            )
        return self._zone


def of_stamps(fields: Fields, zone: Zone | None) -> Int64Column:
    """int64[n]: the instants of a column of ISO times, whose local ones must be shown once."""
    instants = Instants(TimeForm(at="start", column=fields.column), zone, 1)
    return instants.of_rows({fields.column: fields}, np.zeros(len(fields), dtype=np.int64))


def of_slot_starts(fields: Fields, zone: Zone | None, slot_s: int, what: str) -> Int64Column:
    """The same of times at which slots start; FilesError at the first inside a slot. ``what``: of what counts for whole slots, in words."""
    start_s = of_stamps(fields, zone)
    inside = start_s % slot_s != 0
    if inside.any():
        at = int(np.argmax(inside))
        begins_s = int(start_s[at]) // slot_s * slot_s
        right = f"{what} for whole slots of {slot_s} s: give {to_iso(begins_s)} or {to_iso(begins_s + slot_s)}"
        raise fields.fault(at, f"{to_iso(int(start_s[at]))} is inside a slot", right)
    return start_s
