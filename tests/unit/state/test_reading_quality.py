"""Which quality bytes of a gateway's reading the ledger takes: what was measured, whatever is flagged beside it, but no guess."""

from __future__ import annotations

import pytest

from gridcore.codes import Code
from gridcore.quality import (
    ESTIMATED,
    FLAG_FROZEN,
    FLAG_INTERPOLATED,
    FLAG_LATE,
    FLAG_ROLLOVER,
    FLAG_STUCK,
    MEASURED,
    SUSPECT,
)
from ledger.leaves.registers import REGISTERS
from tests.unit.state.test_due_work import cheap_sender
from tests.worlds.consortium import FIRST_S
from tests.worlds.ledgers import MemoryLedger
from tests.worlds.two_areas import TWO_AREAS


@pytest.mark.parametrize(
    ("quality", "code"),
    [
        (MEASURED, None),
        (MEASURED | FLAG_STUCK, None),
        (MEASURED | FLAG_STUCK | FLAG_LATE | FLAG_FROZEN | FLAG_ROLLOVER, None),
        (SUSPECT, Code.ROW_QUALITY),
        (SUSPECT | FLAG_STUCK, Code.ROW_QUALITY),
        (ESTIMATED, Code.ROW_QUALITY),
        (FLAG_INTERPOLATED, Code.ROW_QUALITY),
        (0xFF, Code.ROW_QUALITY),
    ],
)
def test_a_row_is_used_when_it_was_measured_and_its_flags_stand_in_the_register(
    quality: int, code: Code | None
) -> None:
    ledger, sender = MemoryLedger(TWO_AREAS.genesis), cheap_sender(TWO_AREAS)
    ledger.apply([sender.clock(FIRST_S)])
    (result,) = ledger.apply([sender.batch("gw-1", FIRST_S, [(1, 1_000, 0)], quality=quality)]).results
    assert [verdict.code for verdict in result.rows] == ([] if code is None else [code])
    if code is None:
        assert REGISTERS.must(ledger.state, FIRST_S, "z-1", 0).quality[0] == quality
