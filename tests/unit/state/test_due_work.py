"""Work that falls due with ledger time: what costs nothing, and who goes first when a block's budget does not reach all."""

from __future__ import annotations

from functools import partial

import pytest

from gridcore import cbor
from gridcore.codes import Code
from ledger.leaves.clearing import CLEARING
from ledger.leaves.progress import PROGRESS
from ledger.state import due
from tests.worlds.consortium import DAY_S, FIRST_S, SLOT_S, Consortium
from tests.worlds.feeders import FEEDERS
from tests.worlds.keys import sign_cheaply
from tests.worlds.ledgers import MemoryLedger
from tests.worlds.transactions import Sender
from tests.worlds.two_areas import TWO_AREAS


def cheap_sender(consortium: Consortium) -> Sender:
    """Signs as ``MemoryLedger`` checks."""
    return Sender(consortium.chain, consortium.start_s, sign_cheaply)


def test_a_month_without_orders_writes_no_clearing_and_a_bounded_number_of_bytes() -> None:
    ledger, sender = MemoryLedger(FEEDERS.genesis), cheap_sender(FEEDERS)
    for _ in range(30):
        applied = ledger.apply([sender.clock(sender.now_s + DAY_S)])
        assert not applied.work_pending
        assert len(cbor.encode(dict(applied.changes))) < 1_000
    assert ledger.ledger_time_s == sender.now_s
    assert list(ledger.state.leaf_keys(CLEARING.prefix)) == []


def test_a_gate_is_cleared_when_it_closes_however_many_empty_ones_lie_before_it() -> None:
    ledger, sender = MemoryLedger(TWO_AREAS.genesis), cheap_sender(TWO_AREAS)
    slots = [FIRST_S + 90 * SLOT_S, FIRST_S + 10 * SLOT_S]
    ledger.apply([sender.clock(FIRST_S - 300)])
    ledger.apply([sender.order("p-1", "a-1", "buy", 400, 450_000, slot) for slot in slots])
    assert PROGRESS.must(ledger.state, "z-1").books == sorted(slots)
    assert ledger.apply([]).changes == {}
    ledger.apply([sender.clock(slots[1] - 300)])
    assert PROGRESS.must(ledger.state, "z-1").books == slots[:1]
    ledger.apply([sender.clock(slots[0] - 300)])
    assert PROGRESS.must(ledger.state, "z-1").books == []
    assert set(ledger.state.leaf_keys(CLEARING.prefix)) == {f"clearing/{slot}/z-1" for slot in slots}


def test_zones_take_turns_where_the_budget_does_not_reach_all(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, sender = MemoryLedger(TWO_AREAS.genesis), cheap_sender(TWO_AREAS)
    monkeypatch.setattr(due, "Budget", partial(due.Budget, rows=1))
    ledger.apply([sender.clock(FIRST_S)])
    ledger.apply([sender.clock(FIRST_S + 40 * SLOT_S)])
    for _ in range(11):
        assert ledger.apply([]).work_pending
    moved = [(PROGRESS.must(ledger.state, zone).run_slot_start_s - FIRST_S) // SLOT_S for zone in ("z-1", "z-2")]
    assert moved == [6, 6]


def test_a_step_of_the_clock_is_a_day_at_most() -> None:
    ledger, sender = MemoryLedger(FEEDERS.genesis), cheap_sender(FEEDERS)
    century_s = 100 * 365 * DAY_S
    steps = [sender.clock(FEEDERS.start_s + step_s, valid_until_s=FEEDERS.start_s) for step_s in (century_s, DAY_S + 1)]
    applied = ledger.apply(steps)
    assert [result.code for result in applied.results] == [Code.CLOCK_STEP_TOO_LONG] * 2
    assert (applied.changes, ledger.ledger_time_s) == ({}, FEEDERS.start_s)


def test_the_clock_waits_until_the_work_of_its_last_step_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, sender = MemoryLedger(TWO_AREAS.genesis), cheap_sender(TWO_AREAS)
    monkeypatch.setattr(due, "Budget", partial(due.Budget, rows=2))
    ledger.apply([sender.clock(FIRST_S)])
    first, second = sender.clock(FIRST_S + 6 * SLOT_S), sender.clock(FIRST_S + 7 * SLOT_S)
    codes = [result.code for result in ledger.apply([first, second]).results]
    assert codes == [Code.ACCEPTED, Code.CLOCK_WORK_PENDING]
    while ledger.apply([]).work_pending:
        pass
    assert [result.code for result in ledger.apply([second]).results] == [Code.ACCEPTED]
