"""Work that falls due with ledger time: gates, initial runs, runs that waited for a reading (docs/spec/state.md, "Due work")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger.leaves.progress import PROGRESS, ProgressLeaf
from ledger.leaves.turn import TURN, TurnLeaf
from ledger.registry.zones import Timeline, Zone
from ledger.state.clear import clear_slot
from ledger.state.draft import Draft
from ledger.state.settle import settle_slot

SETTLEMENT_ROWS_PER_BLOCK: Final = 131_072
WAITING_SLOTS_MAX: Final = 4096


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
    """One zone: gates, then initial runs, then waiting runs."""
    before = PROGRESS.must(draft, zone.name)
    timeline, slot_s, now_s = zone.timeline, draft.slot_s, draft.ledger_time_s
    books, run_s = list(before.books), before.run_slot_start_s
    waiting = list(before.waiting)
    while books and now_s >= books[0] - timeline.gate_before_start_s and budget.rows > 0:
        budget.rows -= clear_slot(draft, zone, books.pop(0))
    run_after_s = slot_s + timeline.metering_deadline_s
    while now_s >= run_s + run_after_s and len(waiting) < WAITING_SLOTS_MAX and budget.rows > 0:
        budget.rows -= _cost(draft, zone, run_s)
        if not settle_slot(draft, zone, run_s):
            waiting.append(run_s)
        run_s += slot_s
    untried = [slot for slot in waiting if slot in before.untried or _is_fed(draft, zone.name, slot, slot_s)]
    while untried and budget.rows > 0:
        slot_start_s = untried.pop(0)
        budget.rows -= _cost(draft, zone, slot_start_s)
        if settle_slot(draft, zone, slot_start_s):
            waiting.remove(slot_start_s)
    progress = ProgressLeaf(run_s, books, untried, waiting)
    if progress != before:
        PROGRESS.save(draft, progress, zone.name)
    return _is_left(progress, timeline, slot_s, now_s)


def is_due(draft: Draft) -> bool:
    """Whether ``run_due_work`` would change anything in a block without transactions."""
    slot_s, now_s = draft.slot_s, draft.ledger_time_s
    return any(_is_left(PROGRESS.must(draft, zone.name), zone.timeline, slot_s, now_s) for zone in draft.registry.zones)


def _cost(draft: Draft, zone: Zone, slot_start_s: int) -> int:
    """What trying to settle a slot takes from the budget: its settling rows."""
    return max(len(draft.at(slot_start_s).zone(zone).settling), 1)


def _is_left(progress: ProgressLeaf, timeline: Timeline, slot_s: int, now_s: int) -> bool:
    """Whether a zone with this progress has a gate, a run or an untried slot to work on."""
    gate_due = bool(progress.books) and now_s >= progress.books[0] - timeline.gate_before_start_s
    run_due = now_s >= progress.run_slot_start_s + slot_s + timeline.metering_deadline_s
    return bool(gate_due or (run_due and len(progress.waiting) < WAITING_SLOTS_MAX) or progress.untried)


def _is_fed(draft: Draft, zone: str, slot_start_s: int, slot_s: int) -> bool:
    return (zone, slot_start_s) in draft.fed or (zone, slot_start_s + slot_s) in draft.fed
