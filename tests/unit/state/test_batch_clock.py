"""What a batch says of its gateway's clock: rows that it may have read in another slot are set aside."""

from __future__ import annotations

import pytest

from gridcore.codes import Code
from gridcore.transactions.reading_batch import ClockState
from tests.unit.state.test_due_work import cheap_sender
from tests.worlds.consortium import FIRST_S, SLOT_S
from tests.worlds.ledgers import MemoryLedger
from tests.worlds.two_areas import TWO_AREAS

HALF_MS = 500 * SLOT_S


@pytest.mark.parametrize(
    ("clock", "offset_ms", "code"),
    [
        (ClockState(900_000, "unsynced"), 0, Code.ROW_CLOCK),
        (ClockState(0, "unsynced"), 0, Code.ROW_CLOCK),
        (ClockState(900_000, "synced"), 0, Code.ROW_CLOCK),
        (ClockState(-HALF_MS, "holdover"), 1, Code.ROW_CLOCK),
        (ClockState(-(2**63), "synced"), 0, Code.ROW_CLOCK),
        (ClockState(-HALF_MS, "holdover"), HALF_MS + 1, Code.ROW_NOT_AT_BOUNDARY),
        (ClockState(1 - HALF_MS, "holdover"), 1, None),
        (ClockState(40, "synced"), -800, None),
    ],
)
def test_a_row_is_set_aside_where_the_clock_by_its_own_word_may_be_half_a_slot_off(
    clock: ClockState, offset_ms: int, code: Code | None
) -> None:
    ledger, sender = MemoryLedger(TWO_AREAS.genesis), cheap_sender(TWO_AREAS)
    ledger.apply([sender.clock(FIRST_S)])
    wire = sender.batch("gw-1", FIRST_S, [(1, 1_000, 0)], clock=clock, offset_ms=offset_ms)
    (result,) = ledger.apply([wire]).results
    assert result.code == Code.ACCEPTED
    assert [verdict.code for verdict in result.rows] == ([] if code is None else [code])
    has_value = any(key.startswith(f"registers/{FIRST_S}/") for key in ledger.state.leaf_keys())
    assert has_value is (code is None)
