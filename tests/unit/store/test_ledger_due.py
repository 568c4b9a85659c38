"""Work that falls due on a chain with block time: seen without making a block, exactly when a block would do something."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridcore.errors import broken
from gridcore.genesis import HEARTBEAT_S
from ledger import application
from ledger.state import due
from ledger.state.block import Block
from ledger.state.due import Budget
from tests.worlds.clocks import ManualClock
from tests.worlds.consortium import SLOT_S
from tests.worlds.feeders import FIRST_SLOT_S, ON_BLOCK_TIME
from tests.worlds.ledgers import open_ledger

BEFORE_S = FIRST_SLOT_S - SLOT_S


@pytest.mark.parametrize("budget_rows", [1, 3, 1000])
def test_work_is_due_exactly_when_an_empty_block_would_do_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, budget_rows: int
) -> None:
    monkeypatch.setattr(due, "Budget", lambda: Budget(rows=budget_rows))
    clock = ManualClock(BEFORE_S)
    ledger = open_ledger(tmp_path, ON_BLOCK_TIME, clock=clock)
    seen = []
    for step in range(60):
        clock.advance_to(BEFORE_S + step * 149)
        decided = ledger.application.apply(Block(ledger.height + 1, ledger._next_time_s(), ()))
        moves_s = decided.header.ledger_time_s - ledger.ledger_time_s
        would_change = bool(decided.state.leaves) or moves_s >= HEARTBEAT_S
        assert ledger.is_work_due() is would_change
        seen.append(would_change)
        if would_change and step % 3:
            ledger.make_block([])
    assert set(seen) == {False, True}
    ledger.close()


def test_looking_for_work_applies_no_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = open_ledger(tmp_path, ON_BLOCK_TIME, clock=ManualClock(FIRST_SLOT_S + 2 * SLOT_S))
    monkeypatch.setattr(application, "apply_block", lambda *_: broken("nothing is applied"))
    assert ledger.is_work_due()
    ledger.close()
