"""Which settled slots are to be settled again, and the queue of them (docs/spec/state.md, "Due work")."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.twin import run_dates
from tests.twin.metering import NEIGHBOURS, row_at, span_of

if TYPE_CHECKING:
    from tests.twin.twin import Twin

SPANS_MAX = 64


def touched(twin: Twin, zone: str, run_slot_start_s: int) -> list[list[int]]:
    """The settled slots around each row that was accepted in this block, up to the nearest values before and after it, and those that
    were imported again.
    """
    first_s = twin.timeline(zone)["first_slot_start_s"]
    spans = []
    for name, row, boundary in sorted(twin.touched):
        if name == zone:
            for gap_slots_max, since_s in rules_around(twin, zone, boundary):
                steps = (-twin.slot_s, twin.slot_s)
                first, end = (nearest(twin, zone, row, boundary, step, gap_slots_max) for step in steps)
                spans += due_spans(twin, zone, max(first, since_s, first_s), min(end, run_slot_start_s))
    for name, first, end in twin.imported:
        if name == zone:
            spans += due_spans(twin, zone, max(first, first_s), min(end, run_slot_start_s))
    return spans


def reopened(twin: Twin, zone: str, run_slot_start_s: int) -> list[list[int]]:
    """The settled slots that a registration of this block changes."""
    spans = []
    for since, until in fewer(twin.reopened.get(zone, set())):
        first = max(since // twin.slot_s * twin.slot_s, twin.timeline(zone)["first_slot_start_s"])
        spans += due_spans(twin, zone, first, min(-(-until // twin.slot_s) * twin.slot_s, run_slot_start_s))
    return spans


def fewer(spans: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Spans that overlap or touch become one, then the nearest neighbours until there are few enough."""
    queue: list[list[int]] = []
    for first, end in sorted(spans):
        if queue and first <= queue[-1][1]:
            queue[-1][1] = max(queue[-1][1], end)
        else:
            queue.append([first, end])
    while len(queue) > SPANS_MAX:
        distances = [after[0] - before[1] for before, after in pairwise(queue)]
        at = distances.index(min(distances))
        queue[at : at + 2] = [[queue[at][0], queue[at + 1][1]]]
    return queue


def due_spans(twin: Twin, zone: str, first: int, end: int) -> list[list[int]]:
    """Slots that something changed now, and when they are settled again."""
    timeline = twin.timeline(zone)
    if "run_calendar" in timeline:
        return run_dates.changed(twin, timeline["run_calendar"], first, end)
    return [[first, end, twin.ledger_time_s + timeline.get("correction_after_s", 0)]]


def rules_around(twin: Twin, zone: str, boundary: int) -> list[tuple[int | None, int]]:
    """By which rules gaps around a boundary are bound: the longest gap, None by the older rule, and from which slot on."""
    timeline = twin.timeline(zone)
    since_s = twin.gap_slots_from_s(zone)
    newer: list[tuple[int | None, int]] = [(timeline["gap_slots_max"], since_s)] if "gap_slots_max" in timeline else []
    is_older_near = since_s > 0 and boundary < since_s + NEIGHBOURS * twin.slot_s
    return [(None, 0), *newer] if is_older_near or not newer else newer


def nearest(twin: Twin, zone: str, row: int, boundary: int, step_s: int, gap_slots_max: int | None) -> int:
    """The nearest boundary with a value in one direction, at most 96 away, or as many as a gap of the zone may have slots; where there is
    none, in such a zone and in one that measures part slots the end of the meter's span, if it lies as near; else the boundary itself.
    """
    reach = gap_slots_max or NEIGHBOURS
    for away in range(1, reach + 1):
        if row_at(twin, zone, row, boundary + away * step_s) is not None:
            return boundary + away * step_s
    installed = twin.registry.installation_at(twin.registry.points[zone][row], boundary, twin.height - 1)
    has_ends = gap_slots_max is not None or "part_slots_are_measured" in twin.timeline(zone)
    if not has_ends or installed is None:
        return boundary
    span = span_of(twin, installed[0], boundary)
    end = span.since_s // twin.slot_s * twin.slot_s if step_s < 0 else -(-span.until_s // twin.slot_s) * twin.slot_s
    return end if abs(end - boundary) <= reach * twin.slot_s and end >= 0 else boundary


def queued(twin: Twin, zone: str, spans: Sequence[Sequence[int]]) -> list[list[int]]:
    """Spans that overlap or touch become one, then the nearest neighbours until there are few enough."""
    if "run_calendar" in twin.timeline(zone):
        return run_dates.queued(twin, spans)
    queue: list[list[int]] = []
    for first, end, due_s in sorted(map(list, spans)):
        if first >= end:
            continue
        if queue and first <= queue[-1][1]:
            queue[-1] = [queue[-1][0], max(queue[-1][1], end), min(queue[-1][2], due_s)]
        else:
            queue.append([first, end, due_s])
    while len(queue) > SPANS_MAX:
        distances = [after[0] - before[1] for before, after in pairwise(queue)]
        at = distances.index(min(distances))
        (first, _, due_s), (_, end, other_s) = queue[at : at + 2]
        queue[at : at + 2] = [[first, end, min(due_s, other_s)]]
    return queue
