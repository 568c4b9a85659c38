"""Work that falls due with ledger time: gates, initial runs, correction runs (docs/spec/state.md, "Due work")."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.leaves.progress import PROGRESS, Correction, Immaterial, ProgressLeaf
from ledger.leaves.turn import TURN, TurnLeaf
from ledger.registry.zones import Zone
from ledger.state.corrections import PromptCorrections, few, next_due
from ledger.state.draft import Draft
from ledger.state.gate_closing import close_gates, is_gate_due
from ledger.state.known_energy import is_complete
from ledger.state.run_dates import DatedCorrections, corrections_of
from ledger.state.settle import Settled, settle_slot

SETTLEMENT_ROWS_PER_BLOCK: Final = 131_072
IMMATERIAL_MAX: Final = 64
"""Dispute runs that were not made, of which a zone keeps the newest."""

Agenda = PromptCorrections | DatedCorrections


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
    """One zone: gates, then initial runs, then runs of slots that are settled again."""
    before = PROGRESS.must(draft, zone.name)
    timeline, slot_s, now_s = zone.timeline, draft.slot_s, draft.ledger_time_s
    run_s, immaterial = before.run_slot_start_s, list(before.immaterial)
    closed = close_gates(draft, zone, before.books, budget.rows)
    budget.rows -= closed.rows
    agenda = corrections_of(timeline, slot_s, now_s)
    corrections = agenda.queued(before.corrections, _fed(draft, zone, agenda, run_s))
    while budget.rows > 0 and _is_run_due(draft, zone, agenda, run_s):
        _pay(draft, zone, run_s, budget)
        settle_slot(draft, zone, run_s)
        corrections = agenda.queued(corrections, agenda.after_initial(run_s))
        run_s += slot_s
    while (place := next_due(corrections, now_s)) is not None and budget.rows > 0:
        slot_start_s = corrections[place].first_slot_s
        corrections = agenda.without_first(corrections, place)
        if timeline.is_final(slot_start_s + slot_s, now_s):
            continue
        _pay(draft, zone, slot_start_s, budget)
        is_enough = is_complete(draft, zone, slot_start_s, agenda.gate_ppm(slot_start_s))
        settled = settle_slot(draft, zone, slot_start_s) if is_enough else Settled()
        corrections = agenda.queued(corrections, agenda.later(slot_start_s, is_settled=is_enough))
        if settled.period_end_s is not None and slot_start_s + slot_s < settled.period_end_s <= run_s:
            # what a slot adds to its period changes the bill that was settled with the last one
            corrections = agenda.queued(corrections, agenda.after_month(settled.period_end_s - slot_s))
        if settled.immaterial_nano is not None:
            others = [change for change in immaterial if change.slot_start_s != slot_start_s]
            immaterial = [*others, Immaterial(slot_start_s, settled.immaterial_nano, now_s)][-IMMATERIAL_MAX:]
    corrections = agenda.queued(corrections, _reopened(draft, zone, agenda, run_s))
    progress = ProgressLeaf(run_s, closed.books, corrections, immaterial)
    if progress != PROGRESS.must(draft, zone.name):
        PROGRESS.save(draft, progress, zone.name)
    return _is_left(draft, zone, progress)


def _pay(draft: Draft, zone: Zone, slot_start_s: int, budget: Budget) -> None:
    """A slot whose turn it is takes its settling rows from the budget, at least one."""
    budget.rows -= max(len(draft.at(slot_start_s).zone(zone).settling), 1)


def _fed(draft: Draft, zone: Zone, agenda: Agenda, run_slot_start_s: int) -> Iterator[Correction]:
    """The settled slots that rows of this block may change."""
    for touched in draft.fed:
        if touched.zone == zone.name:
            first_s = max(touched.first_slot_s, zone.timeline.first_slot_start_s)
            yield from agenda.spans(first_s, min(touched.end_s, run_slot_start_s))


def _reopened(draft: Draft, zone: Zone, agenda: Agenda, run_slot_start_s: int) -> Iterator[Correction]:
    """The settled slots that registrations of this block change: from the next block on, in which these count."""
    slot_s = draft.slot_s
    for from_s, until_s in few(draft.reopened.get(zone.name, ())):
        first_s, end_s = (
            max(from_s // slot_s * slot_s, zone.timeline.first_slot_start_s),
            -(-until_s // slot_s) * slot_s,
        )
        yield from agenda.spans(first_s, min(end_s, run_slot_start_s))


def is_due(draft: Draft) -> bool:
    """Whether ``run_due_work`` would change anything in a block without transactions."""
    return any(_is_left(draft, zone, PROGRESS.must(draft, zone.name)) for zone in draft.registry.zones)


def _is_left(draft: Draft, zone: Zone, progress: ProgressLeaf) -> bool:
    """Whether a zone with this progress has a gate, a run or a correction to work on."""
    now_s = draft.ledger_time_s
    if is_gate_due(draft, zone, progress.books) or next_due(progress.corrections, now_s) is not None:
        return True
    return _is_run_due(draft, zone, corrections_of(zone.timeline, draft.slot_s, now_s), progress.run_slot_start_s)


def _is_run_due(draft: Draft, zone: Zone, agenda: Agenda, slot_start_s: int) -> bool:
    """Whether the initial run of a slot is to be made now: its deadline is past, and enough is measured or its last date is reached."""
    deadline_s = slot_start_s + draft.slot_s + zone.timeline.metering_deadline_s
    is_past = draft.ledger_time_s >= deadline_s
    return is_past and is_complete(draft, zone, slot_start_s, agenda.initial_gate_ppm(slot_start_s))
