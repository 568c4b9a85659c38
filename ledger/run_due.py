"""When the runs of a slot are due by its zone's timeline, and in words why there is none yet. For people: the state asks ``ledger.state.due``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from gridcore.run_names import CORRECTION, DISPUTE, FINAL, INITIAL, run_type
from ledger.leaves.progress import Correction
from ledger.registry.zones import Timeline


class NextRun(NamedTuple):
    """The run that a slot has before it. run_type: of ``gridcore.run_names``; due_s: UTC seconds, None: when something has changed.

    has_changed: whether something has, and waits for this run; it says the slot anew if that changes what it came to.
    """

    run_type: str
    due_s: int | None
    has_changed: bool = False


def queued_s(timeline: Timeline, corrections: Sequence[Correction], slot_start_s: int) -> int | None:
    """From when on a slot is settled again, by the ``corrections`` of its zone's progress: UTC seconds; None where it does not wait there."""
    for first_slot_s, end_s, due_s in corrections:
        if first_slot_s <= slot_start_s < end_s:
            return due_s if timeline.run_calendar is None else due_s + slot_start_s - first_slot_s
    return None


def next_run(
    timeline: Timeline, slot_end_s: int, now_s: int, names: Sequence[str], waits_until_s: int | None = None
) -> NextRun | None:
    """What comes after the runs ``names`` of a slot; None where nothing does. A correction is made only where something has changed.

    waits_until_s: of the slot, by ``queued_s``. With a run calendar every slot waits for its final run; one that waits for less has changed.
    """
    calendar = timeline.run_calendar
    if not names:
        return NextRun(INITIAL, slot_end_s + timeline.metering_deadline_s)
    if timeline.is_final(slot_end_s, now_s):
        return None
    if FINAL in names:
        return NextRun(DISPUTE, waits_until_s, waits_until_s is not None)
    if calendar is None:
        return NextRun(CORRECTION, waits_until_s, waits_until_s is not None)
    if waits_until_s is not None and waits_until_s < slot_end_s + calendar.final_run_after_s:
        return NextRun(CORRECTION, waits_until_s, has_changed=True)
    dates_s = [slot_end_s + date.due_after_s for date in calendar.corrections]
    due_s = next((date_s for date_s in dates_s if date_s > now_s), None)
    return NextRun(FINAL, slot_end_s + calendar.final_run_after_s) if due_s is None else NextRun(CORRECTION, due_s)


def due_s_of(timeline: Timeline, slot_end_s: int, name: str, made_s: int) -> int | None:
    """When a run that was made at ``made_s`` (ledger time) was due; None where no date was set for it."""
    calendar, kind = timeline.run_calendar, run_type(name)
    if kind == INITIAL:
        return slot_end_s + timeline.metering_deadline_s
    if calendar is None or kind == DISPUTE:
        return None
    if kind == FINAL:
        return slot_end_s + calendar.final_run_after_s
    reached_s = [slot_end_s + date.due_after_s for date in calendar.corrections]
    return max((date_s for date_s in reached_s if date_s <= made_s), default=None)


class WantedRun(NamedTuple):
    """A run of a slot of ``slot_s`` seconds that somebody asks for; run: None for any; names: the runs that the slot has."""

    slot_start_s: int
    slot_s: int
    run: str | None
    names: Sequence[str]


def why_not_made(timeline: Timeline, wanted: WantedRun, now_s: int) -> str:
    """Why a slot has not the run that was asked for, for the end of a message."""
    slot_start_s, slot_s, run, names = wanted
    if slot_start_s % slot_s or slot_start_s < timeline.first_slot_start_s:
        return f"no slot starts then; slots start every {slot_s} s from {timeline.first_slot_start_s} on (UTC seconds)"
    calendar, kind = timeline.run_calendar, INITIAL if run is None else run_type(run)
    if kind == INITIAL:
        due_s = slot_start_s + slot_s + timeline.metering_deadline_s
    elif kind != FINAL:
        return f"the slot has {', '.join(names)}" if names else "the slot has no run yet"
    elif calendar is None:
        return "its zone names no run_calendar, and has no final runs"
    else:
        due_s = slot_start_s + slot_s + calendar.final_run_after_s
    now = f"ledger time is {_utc(now_s)}"
    return f"it falls due at {_utc(due_s)}, {now}" if now_s < due_s else f"it was due at {_utc(due_s)}, {now}"


def _utc(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
