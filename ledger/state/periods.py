"""Periods: what a contract sums over a month and settles with its last slot (docs/spec/state.md, "Periods")."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from gridcore.sm3 import sm3
from ledger.contract import Contract, Period
from ledger.leaves.columns import NO_SEED, Int64, chunks, grown, join_columns
from ledger.leaves.family import Family
from ledger.leaves.period import PERIOD, PeriodLeaf
from ledger.leaves.period_areas import PERIOD_AREAS
from ledger.leaves.positions import POSITIONS
from ledger.leaves.results import RESULTS
from ledger.registry.calendars import must_calendar
from ledger.registry.zones import Zone, ZoneInForce
from ledger.state.draft import Draft
from ledger.state.slot import Slot

START: Final = "period_start_s"
"""The area column by which a run says in which period its slot lies."""


class Month(NamedTuple):
    """[start_s, end_s), UTC seconds; start_s 0 before the first month that the calendar knows, end_s None in its last one."""

    start_s: int
    end_s: int | None


class _Counted(NamedTuple):
    """What is summed of the points, or of the areas, of a zone: the columns ``names`` of a run's leaves."""

    sums: Family[[int, str, int], PeriodLeaf]
    of_run: Family[[int, str, str, int], Any]
    names: Sequence[str]
    size: int


class Counting(NamedTuple):
    """A run of a slot that is to be counted. month: the slot's; last: the run before it, None for the first one."""

    contract: Contract
    zone: Zone
    slot_start_s: int
    month: Month
    last: str | None


def month_of(draft: Draft, zone: ZoneInForce, slot_start_s: int) -> Month:
    """The month of a slot in the calendar of the zone's first area."""
    place = int(zone.calendar[0]) if len(zone.calendar) else -1
    months: Sequence[int] = ()
    if place >= 0:
        months = must_calendar(draft, draft.registry.columns.calendars[place], draft.height - 1).months
    after = bisect_right(months, slot_start_s)
    return Month(months[after - 1] if after else 0, months[after] if after < len(months) else None)


def counting_of(draft: Draft, contract: Contract, slot: Slot, last: str | None) -> Counting | None:
    """How a run of a slot counts; None under a contract without periods."""
    if not contract.period_columns:
        return None
    return Counting(contract, slot.zone.zone, slot.start_s, month_of(draft, slot.zone, slot.start_s), last)


def period_of(draft: Draft, counting: Counting, slot: Slot) -> Period:
    """What the contract is told: the slot's period, and where it ends with the slot what its other slots have come to."""
    areas, start_s = len(slot.zone.rules), counting.month.start_s
    if counting.month.end_s != slot.end_s:
        return Period([start_s] * areas, [False] * areas, {}, {})
    points, of_areas = (_others(draft, counting, counted) for counted in _counted(counting))
    return Period(
        [start_s] * areas,
        [True] * areas,
        {name: column[slot.zone.settling] for name, column in points.items()},
        {name: column.tolist() for name, column in of_areas.items()},
    )


def count_run(
    draft: Draft, counting: Counting, said: Mapping[str, Int64], said_of_areas: Mapping[str, Int64], seed: bytes
) -> None:
    """Count a run in the sums of its period, and no more what the run before it said. said..: columns of all rows, of all areas."""
    old_start_s = _start_said(draft, counting)
    for counted, columns in zip(_counted(counting), (said, said_of_areas), strict=True):
        for chunk, first, end in chunks(counted.size):
            own = {name: columns[name][first:end] for name in counted.names}
            old = _said_before(draft, counting, counted, chunk)
            if old is not None and old_start_s is not None:
                _add(
                    draft,
                    counted,
                    (old_start_s, counting.zone.name, chunk),
                    {name: -column for name, column in old.items()},
                    seed,
                )
            _add(draft, counted, (counting.month.start_s, counting.zone.name, chunk), own, seed)


def _add(draft: Draft, counted: _Counted, names: tuple[int, str, int], more: Mapping[str, Int64], seed: bytes) -> None:
    """Add columns to a chunk of sums."""
    before = counted.sums.load(draft, *names)
    size = max(len(column) for column in more.values())
    columns = {}
    for name, column in more.items():
        old = grown(before.columns[name] if before else column[:0], size, 0)
        columns[name] = old + grown(column, len(old), 0)
    counted.sums.save(draft, PeriodLeaf(columns, sm3((before.seed if before else NO_SEED) + seed)), *names)


def _counted(counting: Counting) -> tuple[_Counted, _Counted]:
    """Of the points, and of the areas."""
    contract, zone = counting.contract, counting.zone
    return (
        _Counted(PERIOD, POSITIONS, contract.period_columns, len(zone)),
        _Counted(PERIOD_AREAS, RESULTS, contract.period_area_columns, len(zone.areas)),
    )


def _others(draft: Draft, counting: Counting, counted: _Counted) -> dict[str, Int64]:
    """The sums of the period without what the slot's own last run said: int64[size] by name."""
    is_in_it = _start_said(draft, counting) == counting.month.start_s
    parts: dict[str, list[Int64]] = {name: [] for name in counted.names}
    for chunk, first, end in chunks(counted.size):
        leaf = counted.sums.load(draft, counting.month.start_s, counting.zone.name, chunk)
        own = _said_before(draft, counting, counted, chunk) if is_in_it else None
        for name, column in parts.items():
            sums = np.zeros(end - first, dtype=np.int64)
            if leaf is not None:
                sums[: len(leaf.columns[name])] += leaf.columns[name]
            if own is not None:
                sums[: len(own[name])] -= own[name]
            column.append(sums)
    return {name: join_columns(columns) for name, columns in parts.items()}


def _start_said(draft: Draft, counting: Counting) -> int | None:
    """In which period the last run of the slot said that it lies; None where there is none."""
    if counting.last is None:
        return None
    return int(RESULTS.must(draft, counting.slot_start_s, counting.zone.name, counting.last, 0).columns[START][0])


def _said_before(draft: Draft, counting: Counting, counted: _Counted, chunk: int) -> dict[str, Int64] | None:
    """What the last run of the slot said of a chunk, None where there is none, or none that had the chunk."""
    if counting.last is None:
        return None
    leaf = counted.of_run.load(draft, counting.slot_start_s, counting.zone.name, counting.last, chunk)
    return None if leaf is None else {name: leaf.columns[name] for name in counted.names}
