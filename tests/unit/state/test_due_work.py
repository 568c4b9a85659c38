"""Work that falls due with ledger time: what costs nothing, and who goes first when a block's budget does not reach all."""

from __future__ import annotations

from functools import partial

import pytest

from gridcore import cbor
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
