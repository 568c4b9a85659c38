"""Work that falls due with ledger time: gates, initial runs, correction runs (docs/spec/state.md, "Due work")."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.leaves.progress import PROGRESS, Correction, ProgressLeaf
from ledger.leaves.turn import TURN, TurnLeaf
from ledger.registry.zones import Timeline, Zone
from ledger.state.clear import clear_slot
from ledger.state.corrections import next_due, queued, without_first
from ledger.state.draft import Draft
from ledger.state.settle import settle_slot

SETTLEMENT_ROWS_PER_BLOCK: Final = 131_072


@dataclass
class Budget:
    """Rows that this block may still work on; the step that exhausts it is finished."""

    rows: int = SETTLEMENT_ROWS_PER_BLOCK


def run_due_work(draft: Draft) -> bool:
    """Do what has fallen due, zone by zone, within the block's budget; returns whether due work is left over."""
    budget, turn = Budget(), TURN.load(draft)
    pending, last = [], turn
    for zone in _in_turn(draft.registry.zones, turn):
        has_rows = budget.rows > 0
        pending.append(_run_zone(draft, zone, budget))
        if has_rows and budget.rows <= 0:
            last = TurnLeaf(zone.name)
    if last is not None and last != turn:
        TURN.save(draft, last)
    return any(pending)


def _in_turn(zones: Sequence[Zone], turn: TurnLeaf | None) -> list[Zone]:
    """The zones by name; those that the budget did not reach last time go first."""
    after = b"" if turn is None else turn.after.encode()
    return sorted(zones, key=lambda zone: zone.name.encode() <= after)


def _run_zone(draft: Draft, zone: Zone, budget: Budget) -> bool:
    """One zone: gates, then initial runs, then correction runs."""
    before = PROGRESS.must(draft, zone.name)
    timeline, slot_s, now_s = zone.timeline, draft.slot_s, draft.ledger_time_s
    books, run_s = list(before.books), before.run_slot_start_s
    while books and now_s >= books[0] - timeline.gate_before_start_s and budget.rows > 0:
        budget.rows -= clear_slot(draft, zone, books.pop(0))
    corrections = queued(before.corrections, _fed(draft, zone, run_s))
    while now_s >= run_s + slot_s + timeline.metering_deadline_s and budget.rows > 0:
        _settle(draft, zone, run_s, budget)
        run_s += slot_s
    while (place := next_due(corrections, now_s)) is not None and budget.rows > 0:
        slot_start_s = corrections[place].first_slot_s
        period_end_s = None
        if not timeline.is_final(slot_start_s + slot_s, now_s):
            period_end_s = _settle(draft, zone, slot_start_s, budget)
        corrections = without_first(corrections, place, slot_s)
        if period_end_s is not None and slot_start_s + slot_s < period_end_s <= run_s:
            # what a slot adds to its period changes the bill that was settled with the last one
            corrections = queued(corrections, [Correction(period_end_s - slot_s, period_end_s, now_s)])
    progress = ProgressLeaf(run_s, books, queued(corrections, _reopened(draft, zone, run_s)))
    if progress != before:
        PROGRESS.save(draft, progress, zone.name)
    return _is_left(progress, timeline, slot_s, now_s)


def _settle(draft: Draft, zone: Zone, slot_start_s: int, budget: Budget) -> int | None:
    """Settle a slot; it takes its settling rows from the budget, at least one. Returns as ``settle_slot``."""
    budget.rows -= max(len(draft.at(slot_start_s).zone(zone).settling), 1)
    return settle_slot(draft, zone, slot_start_s)


def _fed(draft: Draft, zone: Zone, run_slot_start_s: int) -> Iterator[Correction]:
    """The settled slots that rows of this block may change."""
    timeline = zone.timeline
    due_s = draft.ledger_time_s + timeline.correction_after_s
    for touched in draft.fed:
        if touched.zone == zone.name:
            first_s = max(touched.first_slot_s, timeline.first_slot_start_s)
            yield Correction(first_s, min(touched.end_s, run_slot_start_s), due_s)


def _reopened(draft: Draft, zone: Zone, run_slot_start_s: int) -> Iterator[Correction]:
    """The settled slots that registrations of this block change: from the next block on, in which these count."""
    from_s = draft.reopened.get(zone.name)
    if from_s is not None:
        first_s = max(from_s // draft.slot_s * draft.slot_s, zone.timeline.first_slot_start_s)
        yield Correction(first_s, run_slot_start_s, draft.ledger_time_s + zone.timeline.correction_after_s)


def is_due(draft: Draft) -> bool:
    """Whether ``run_due_work`` would change anything in a block without transactions."""
    slot_s, now_s = draft.slot_s, draft.ledger_time_s
    return any(_is_left(PROGRESS.must(draft, zone.name), zone.timeline, slot_s, now_s) for zone in draft.registry.zones)


def _is_left(progress: ProgressLeaf, timeline: Timeline, slot_s: int, now_s: int) -> bool:
    """Whether a zone with this progress has a gate, a run or a correction to work on."""
    gate_due = bool(progress.books) and now_s >= progress.books[0] - timeline.gate_before_start_s
    run_due = now_s >= progress.run_slot_start_s + slot_s + timeline.metering_deadline_s
    return gate_due or run_due or next_due(progress.corrections, now_s) is not None
