"""Which places of local days the slots of parts of gaps have, of many parts at once (docs/spec/state.md, "Estimates")."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ledger.leaves.columns import Int64
from ledger.state.draft import Draft
from ledger.state.local_days import LocalDay, day_of

_AFTER_BITS = 40
"""Of the number of a place: how many seconds after the begin of its day; above them 1 for a workday and 2 for a day of a weekend."""


def place_of(number: int) -> tuple[bool, int] | None:
    """Whether a place is one of weekends, and how many seconds after the begin of a day; None for all slots before the calendar's first day."""
    kind, after_s = number >> _AFTER_BITS, number & ((1 << _AFTER_BITS) - 1)
    return (kind > 1, after_s) if kind else None


class Days(NamedTuple):
    """The local days that some parts touch; a slot before the calendar's first day is a day by itself.

    days: of each, None for such a slot; starts_s: int64[days]; lowest: int64[days], the number of a day's first place, counted from
    ``first_s``: the begin of the first slot; slot_s: of the chain.
    """

    days: list[LocalDay | None]
    starts_s: Int64
    lowest: Int64
    first_s: int
    slot_s: int

    def at(self, time_s: Int64) -> Int64:
        """int64[n]: which day holds each of some instants."""
        return np.searchsorted(self.starts_s, time_s, side="right") - 1

    def numbers(self, time_s: Int64) -> Int64:
        """int64[n]: the number of the place at which each of some slots begins."""
        at = self.at(time_s)
        kind = self.lowest[at] >> _AFTER_BITS
        return np.where(kind > 0, (kind << _AFTER_BITS) + time_s - self.starts_s[at], 0)


def days_between(draft: Draft, calendar: str, start_s: int, end_s: int) -> Days:
    """The days of a calendar from the slot that holds an instant to the one that holds another."""
    slot_s = draft.slot_s
    first_s, last_s = start_s // slot_s * slot_s, end_s // slot_s * slot_s
    days, starts_s, at_s = list[LocalDay | None](), list[int](), first_s
    while at_s <= last_s:
        day = day_of(draft, calendar, at_s)
        days.append(day)
        starts_s.append(at_s if day is None else day.start_s)
        at_s = at_s + slot_s if day is None else day.end_s
    starts = np.array(starts_s, dtype=np.int64)
    kind = np.array([0 if day is None else 1 + day.is_weekend for day in days], dtype=np.int64)
    begins = np.maximum(-(-starts // slot_s) * slot_s, first_s)
    return Days(days, starts, np.where(kind > 0, (kind << _AFTER_BITS) + begins - starts, 0), first_s, slot_s)


class Shapes(NamedTuple):
    """The slots of n parts: whole ones of one place are a group, and the first and the last one, where a part covers them not whole, one more each.

    slots, earlier, covered_s: int64[groups, n], how many slots there are, how many of them before one slot, and seconds of one that the
    part covers; here: int64[n], the group of that slot; edges: int64[2, n], the group of the place of the first and the last one.
    """

    slots: Int64
    earlier: Int64
    covered_s: Int64
    here: Int64
    edges: Int64

    def take(self, some: Int64) -> Shapes:
        """Those of some of the parts; of all of them these, without a copy."""
        return self if len(some) == len(self.here) else Shapes(*(column[..., some] for column in self))


class _Counts:
    """How many slots of each place lie before an instant: sums of whole days, and of the day that holds it what comes before."""

    def __init__(self, days: Days, places: Int64, end_s: int) -> None:
        self._days, self._places = days, places
        times_s = _slots_until(days, end_s)
        at = days.at(times_s) * len(places) + np.searchsorted(places, days.numbers(times_s))
        of_day = np.bincount(at, minlength=len(days.days) * len(places)).reshape(-1, len(places))
        self._before = np.cumsum(of_day, axis=0) - of_day

    def before(self, time_s: Int64) -> Int64:
        """int64[places, n]: before the begins of slots."""
        some_s, of = np.unique(time_s, return_inverse=True)
        at = self._days.at(some_s)
        low, high, places = self._days.lowest[at], self._days.numbers(some_s), self._places[:, None]
        is_same = places % self._days.slot_s == low % self._days.slot_s
        counts: Int64 = self._before[at].T + ((low <= places) & (places < high) & is_same)
        return counts[:, of]


def places_of(days: Days, end_s: int) -> Int64:
    """Numbers of the places of the slots up to ``end_s``, ascending."""
    return np.unique(days.numbers(_slots_until(days, end_s)))


def _slots_until(days: Days, end_s: int) -> Int64:
    return np.arange(days.first_s, end_s, days.slot_s)


def shapes_of(days: Days, places: Int64, spans: tuple[Int64, Int64], here_s: int) -> Shapes:
    """Shapes of parts by their begins and ends (int64[n]), as the slot that begins at ``here_s`` sees them."""
    start_s, end_s = spans
    slot_s, counts = days.slot_s, _Counts(days, places, int(end_s.max()))
    first_s, last_s = start_s // slot_s * slot_s, end_s // slot_s * slot_s
    whole_s = np.where(start_s > first_s, first_s + slot_s, first_s)
    is_first, is_last = start_s > first_s, (end_s > last_s) & (last_s >= whole_s)
    until_s = np.maximum(last_s, whole_s)
    before = counts.before(whole_s)
    slots = np.concatenate([counts.before(until_s) - before, [is_first, is_last]])
    is_behind_first = is_first & (here_s > first_s)
    earlier = counts.before(np.clip(here_s, whole_s, until_s)) - before
    earlier = np.concatenate([earlier, [is_behind_first, np.zeros_like(is_first)]])
    edges_s = [np.minimum(whole_s, end_s) - start_s, end_s - last_s]
    covered_s = np.concatenate([np.full((len(places), len(start_s)), slot_s), edges_s])
    here = np.full(len(start_s), np.searchsorted(places, days.numbers(np.array([here_s]))[0]))
    here[is_last & (here_s == last_s)] = len(places) + 1
    here[is_first & (here_s == first_s)] = len(places)
    edges = np.searchsorted(places, days.numbers(np.stack([first_s, np.where(is_last, last_s, first_s)])))
    return Shapes(slots, earlier, covered_s, here, edges)
