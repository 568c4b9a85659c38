"""Ledger time on a chain whose clock is block time: it follows within 900 s, else it stands until somebody accepts the clock."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from gridcore.codes import Code
from tests.unit.state.test_due_work import cheap_sender
from tests.worlds.clocks import ManualClock
from tests.worlds.consortium import DAY_S, FIRST_S, SLOT_S
from tests.worlds.ledgers import MemoryLedger, decide, open_ledger
from tests.worlds.two_areas import TWO_AREAS

ON_BLOCK_TIME = replace(TWO_AREAS, clock="block", start_s=FIRST_S - 3_600)
MONTH_S = 30 * DAY_S


def started(at_s: int) -> MemoryLedger:
    """A ledger after a first block of this time."""
    ledger = MemoryLedger(ON_BLOCK_TIME.genesis)
    ledger.apply([], at_s)
    assert ledger.ledger_time_s == at_s
    return ledger


def test_a_clock_thirty_days_ahead_for_three_seconds_closes_no_gate(tmp_path: Path) -> None:
    clock, sender = ManualClock(FIRST_S - 1_000), ON_BLOCK_TIME.sender()
    with closing(open_ledger(tmp_path, ON_BLOCK_TIME, clock=clock)) as ledger:
        assert decide(ledger, [sender.order("p-1", "a-1", "buy", 400, 450_000, FIRST_S)]) == [Code.ACCEPTED]
        for ahead_s in range(3):
            clock.set_wrong(FIRST_S - 1_000 + MONTH_S + ahead_s)
            assert not ledger.is_work_due()
            early = sender.order("p-1", "a-1", "buy", 5, 450_000, FIRST_S + 4 * SLOT_S, counter=ahead_s + 1)
            assert decide(ledger, [early]) == [Code.ACCEPTED]
            assert ledger.stands_s() == MONTH_S + ahead_s
        clock.set_wrong(FIRST_S - 990)
        late = sender.order("p-2", "a-1", "sell", 300, 300_000, FIRST_S)
        assert decide(ledger, [late]) == [Code.ACCEPTED]
        assert (ledger.ledger_time_s, ledger.stands_s()) == (FIRST_S - 990, 0)
        assert ledger.header(ledger.height).time_s == FIRST_S - 990


def test_a_first_block_that_has_the_time_of_genesis_leaves_the_next_one_free() -> None:
    """A consensus engine gives its first block the time of its own genesis, which may be a day old: ledger time stood at once."""
    ledger = MemoryLedger(ON_BLOCK_TIME.genesis)
    ledger.apply([], ON_BLOCK_TIME.start_s)
    ledger.apply([], FIRST_S + DAY_S)
    assert ledger.ledger_time_s == FIRST_S + DAY_S
    ledger.apply([], FIRST_S + 2 * DAY_S)
    assert ledger.ledger_time_s == FIRST_S + DAY_S


def test_time_follows_nine_hundred_seconds_and_no_more() -> None:
    ledger = started(FIRST_S)
    ledger.apply([], FIRST_S + 900)
    assert ledger.ledger_time_s == FIRST_S + 900
    ledger.apply([], FIRST_S + 900 + 901)
    assert ledger.ledger_time_s == FIRST_S + 900


def test_accepted_time_is_reached_slot_by_slot_and_then_followed() -> None:
    ledger, sender = started(FIRST_S), cheap_sender(ON_BLOCK_TIME)
    now_s = FIRST_S + 2_000
    ledger.apply([sender.accept(now_s, valid_until_s=FIRST_S + 60)], now_s)
    assert ledger.ledger_time_s == FIRST_S
    reached = []
    for _ in range(3):
        now_s += 1
        ledger.apply([], now_s)
        reached.append(ledger.ledger_time_s)
    assert reached == [FIRST_S + SLOT_S, FIRST_S + 2 * SLOT_S, now_s]  # the last step is within 900 s of the clock


@pytest.mark.parametrize(
    ("to_s", "block_s"),
    [
        (FIRST_S + 900, FIRST_S + 900),  # time moves by itself
        (FIRST_S, FIRST_S + 2_000),  # not after ledger time
        (FIRST_S + 2_001, FIRST_S + 2_000),  # after block time
    ],
)
def test_what_cannot_be_accepted_is_refused(to_s: int, block_s: int) -> None:
    ledger, sender = started(FIRST_S), cheap_sender(ON_BLOCK_TIME)
    applied = ledger.apply([sender.accept(to_s, valid_until_s=FIRST_S + 1_000)], block_s)
    assert [result.code for result in applied.results] == [Code.NOTHING_TO_ACCEPT]


def test_on_a_simulated_clock_there_is_nothing_to_accept() -> None:
    ledger, sender = MemoryLedger(TWO_AREAS.genesis), cheap_sender(TWO_AREAS)
    applied = ledger.apply([sender.accept(FIRST_S, valid_until_s=FIRST_S)], FIRST_S + 2_000)
    assert [result.code for result in applied.results] == [Code.NOTHING_TO_ACCEPT]


def test_a_quiet_chain_makes_a_block_before_its_clock_is_out_of_reach(tmp_path: Path) -> None:
    clock = ManualClock(FIRST_S - 3_600)
    with closing(open_ledger(tmp_path, ON_BLOCK_TIME, clock=clock)) as ledger:
        for _ in range(40):
            clock.advance_to(clock.now_s() + 100)
            if ledger.is_work_due():
                ledger.make_block([])
        assert ledger.stands_s() == 0
        times = [ledger.header(height).ledger_time_s for height in range(1, ledger.height + 1)]
        assert max(later - before for before, later in pairwise(times)) <= 600
