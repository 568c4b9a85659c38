"""Run calendars: what a slot waits for, and when it is settled again, slot by slot (docs/spec/state.md, "Run calendar")."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.twin.forms import Leaf

if TYPE_CHECKING:
    from tests.twin.twin import Twin

SPANS_MAX = 64


def next_date_s(twin: Twin, calendar: Leaf, slot: int) -> int:
    """When a slot that is changed now is settled again: its next date, else its final run's, be it past."""
    end = slot + twin.slot_s
    dates: list[int] = [end + after for after, _ in calendar["corrections"]] + [end + calendar["final_run_after_s"]]
    return next((date for date in dates if date > twin.ledger_time_s), dates[-1])


def changed(twin: Twin, calendar: Leaf, first: int, end: int) -> list[list[int]]:
    """Slots that something changed now, each as a span of its own."""
    return [[slot, slot + twin.slot_s, next_date_s(twin, calendar, slot)] for slot in range(first, end, twin.slot_s)]


def queued(twin: Twin, spans: Sequence[Sequence[int]]) -> list[list[int]]:
    """As few spans as say when each slot is due, which is the earliest of its times; then the nearest neighbours become one."""
    due: dict[int, int] = {}
    for first, end, due_s in spans:
        for slot in range(first, end, twin.slot_s):
            at = due_s + slot - first
            due[slot] = min(due.get(slot, at), at)
    queue: list[list[int]] = []
    for slot in sorted(due):
        if queue and queue[-1][1] == slot and due[slot] - slot == queue[-1][2] - queue[-1][0]:
            queue[-1][1] = slot + twin.slot_s
        else:
            queue.append([slot, slot + twin.slot_s, due[slot]])
    if len(queue) <= SPANS_MAX:
        return queue
    distances = [after[0] - before[1] for before, after in pairwise(queue)]
    at = distances.index(min(distances))
    before, after = queue[at : at + 2]
    ahead_s = min(before[2] - before[0], after[2] - after[0])
    return queued(twin, [*queue, [before[0], after[1], before[0] + ahead_s]])


def initial_ppm(twin: Twin, calendar: Leaf, slot: int) -> int:
    """What the initial run of a slot needs now."""
    is_last = twin.ledger_time_s >= slot + twin.slot_s + calendar["initial_last_after_s"]
    return 0 if is_last else int(calendar["initial_measured_ppm"])


def later_ppm(twin: Twin, calendar: Leaf, slot: int) -> int:
    """What a run of a slot that is settled again needs now."""
    end, now = slot + twin.slot_s, twin.ledger_time_s
    if now >= end + calendar["final_run_after_s"]:
        return 0
    reached: list[tuple[int, int]] = [(after, share) for after, share in calendar["corrections"] if end + after <= now]
    return max(reached, default=(0, 0))[1]


def run_name(twin: Twin, zone: str, slot: int, runs: Sequence[Sequence[object]]) -> str:
    """What the next run of a slot is called."""
    names = [name for name, _ in runs]
    if not names:
        return "initial"
    if "final" in names:
        return f"dispute-{len(names) - names.index('final')}"
    calendar = twin.timeline(zone).get("run_calendar")
    is_final = calendar is not None and twin.ledger_time_s >= slot + twin.slot_s + calendar["final_run_after_s"]
    return "final" if is_final else f"correction-{len(names)}"
