"""Work that falls due with ledger time: gates, initial runs, runs that waited for a reading (docs/spec/state.md, "Due work")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ledger.contract import Contract
from ledger.leaves.progress import PROGRESS, ProgressLeaf
from ledger.leaves.rules import RulesLeaf, rules_of
from ledger.state.contracts import contract_at_gate
from ledger.state.draft import Draft
from ledger.state.market import clear_slot
from ledger.state.registry import Area
from ledger.state.runs import settle_slot

SETTLEMENT_ROWS_PER_BLOCK: Final = 131_072
WAITING_SLOTS_MAX: Final = 4096


@dataclass
class Budget:
    """Rows that this block may still work on; the step that exhausts it is finished."""

    rows: int = SETTLEMENT_ROWS_PER_BLOCK


def run_due_work(draft: Draft, contracts: Mapping[str, Contract]) -> bool:
    """Do what has fallen due, area by area, within the block's budget; returns whether due work is left over."""
    budget = Budget()
    pending = [_run_area(draft, contracts, area, budget) for area in draft.registry.areas]
    return any(pending)


def _run_area(draft: Draft, contracts: Mapping[str, Contract], area: Area, budget: Budget) -> bool:
    """One area: gates, then initial runs, then waiting runs."""
    before = PROGRESS.must(draft, area.id)
    rules, slot_s = rules_of(draft, area.id), draft.slot_s
    at_gate = contract_at_gate(draft, contracts, area.id)
    now_s = draft.ledger_time_s
    gate_s, run_s = before.gate_slot_start_s, before.run_slot_start_s
    waiting = list(before.waiting)
    while now_s >= gate_s - rules.gate_before_start_s and budget.rows > 0:
        budget.rows -= max(clear_slot(draft, at_gate, area.id, gate_s), 1)
        gate_s += slot_s
    run_after_s = slot_s + rules.metering_deadline_s
    while now_s >= run_s + run_after_s and len(waiting) < WAITING_SLOTS_MAX and budget.rows > 0:
        budget.rows -= max(len(area.settling), 1)
        if len(area.settling) and not settle_slot(draft, contracts, area, run_s):
            waiting.append(run_s)
        run_s += slot_s
    untried = [slot for slot in waiting if slot in before.untried or _is_fed(draft, area.id, slot, slot_s)]
    while untried and budget.rows > 0:
        slot_start_s = untried.pop(0)
        budget.rows -= max(len(area.settling), 1)
        if settle_slot(draft, contracts, area, slot_start_s):
            waiting.remove(slot_start_s)
    progress = ProgressLeaf(gate_s, run_s, untried, waiting)
    if progress != before:
        PROGRESS.save(draft, progress, area.id)
    return _is_left(progress, rules, slot_s, now_s)


def is_due(draft: Draft) -> bool:
    """Whether ``run_due_work`` would change anything in a block without transactions."""
    slot_s, now_s = draft.slot_s, draft.ledger_time_s
    return any(
        _is_left(PROGRESS.must(draft, area.id), rules_of(draft, area.id), slot_s, now_s)
        for area in draft.registry.areas
    )


def _is_left(progress: ProgressLeaf, rules: RulesLeaf, slot_s: int, now_s: int) -> bool:
    """Whether an area with this progress has a gate, a run or an untried slot to work on."""
    gate_due = now_s >= progress.gate_slot_start_s - rules.gate_before_start_s
    run_due = now_s >= progress.run_slot_start_s + slot_s + rules.metering_deadline_s
    return bool(gate_due or (run_due and len(progress.waiting) < WAITING_SLOTS_MAX) or progress.untried)


def _is_fed(draft: Draft, area: str, slot_start_s: int, slot_s: int) -> bool:
    return (area, slot_start_s) in draft.fed or (area, slot_start_s + slot_s) in draft.fed
