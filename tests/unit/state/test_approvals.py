"""metering/approve: a wrong value has a way out, and who answers for it stays on the ledger."""

from __future__ import annotations

import pytest

from gridcore.codes import Code
from gridcore.quality import CORRECTED
from ledger.leaves.registers import REGISTERS
from tests.unit.state.meters import Meters, exchanged
from tests.worlds.consortium import FIRST_S, SLOT_S

SECOND_S = FIRST_S + SLOT_S


def test_a_wrong_value_that_was_taken_is_put_right_and_the_meter_goes_on() -> None:
    meters = Meters()
    assert meters.read(FIRST_S, (1, 590_000, 0)) == []
    assert meters.read(SECOND_S, (1, 500_150, 0)) == [Code.ROW_GOES_BACK]
    meters.apply(meters.sender.approve(1, FIRST_S, (500_100, 0)), meters.sender.approve(1, SECOND_S, (500_150, 0)))
    kept = REGISTERS.must(meters.ledger.state, SECOND_S, "z-1", 0)
    assert (kept.quality[0], kept.import_wh[0]) == (CORRECTED, 500_150)
    assert meters.energy_wh() == (50, 0)
    assert meters.read(SECOND_S + SLOT_S, (1, 500_180, 0)) == []
    assert meters.energy_wh(SECOND_S) == (30, 0)


def test_a_value_beyond_the_limit_counts_once_its_organisation_answers_for_it() -> None:
    meters = Meters()
    assert meters.read(FIRST_S, (1, 500_100, 0)) == []
    assert meters.read(SECOND_S, (1, 600_000, 0)) == [Code.ROW_EXCEEDS_LIMIT]
    meters.apply(meters.sender.approve(1, SECOND_S, (600_000, 0)))
    assert meters.energy_wh() == (99_900, 0)


def test_an_approved_value_below_the_one_before_gives_no_energy() -> None:
    meters = Meters()
    assert meters.read(FIRST_S, (1, 500_100, 0)) == []
    assert meters.read(SECOND_S) == []
    meters.apply(meters.sender.approve(1, SECOND_S, (500_000, 0)))
    assert meters.energy_wh() == (0, 0)


def test_an_approval_and_a_batch_of_one_block_in_either_order_leave_the_approved_value() -> None:
    for is_first in (True, False):
        meters = Meters()
        approval = meters.sender.approve(1, FIRST_S, (500_100, 0))
        wires = [approval, meters.sender.batch("gw-1", FIRST_S, [(1, 500_000, 0)])]
        results = meters.apply(*(wires if is_first else reversed(wires))).results
        assert [verdict.code for result in results for verdict in result.rows] == [Code.ROW_CORRECTION_CANDIDATE]
        assert REGISTERS.must(meters.ledger.state, FIRST_S, "z-1", 0).import_wh[0] == 500_100


@pytest.mark.parametrize(
    ("number", "boundary_s", "registers", "code"),
    [
        (1, FIRST_S + 1, (500_100, 0), Code.NOT_A_BOUNDARY),
        (1, FIRST_S - SLOT_S, (500_100, 0), Code.NOT_A_BOUNDARY),
        (1, FIRST_S + 2 * SLOT_S, (500_100, 0), Code.FUTURE_BOUNDARY),
        (9, FIRST_S, (500_100, 0), Code.NOTHING_TO_APPROVE),
        (2, FIRST_S, (500_100, 0), Code.NOTHING_TO_APPROVE),
        (1, SECOND_S, (500_100, 0), Code.NOTHING_TO_APPROVE),
        (1, FIRST_S, (0, 1_000_000), Code.NOTHING_TO_APPROVE),
    ],
)
def test_what_cannot_be_approved_is_refused(
    number: int, boundary_s: int, registers: tuple[int, int], code: Code
) -> None:
    meters = Meters(*exchanged([500_300, 7], [12, 0], modulus_wh=1_000_000), modulus_wh=1_000_000)
    meters.apply(meters.sender.clock(SECOND_S))
    (result,) = meters.ledger.apply([meters.sender.approve(number, boundary_s, registers)]).results
    assert result.code == code


def test_only_the_organisation_whose_gateway_reads_the_meter_approves() -> None:
    meters = Meters()
    wires = [meters.sender.approve(1, FIRST_S, (500_100, 0), signer=signer) for signer in ("dso", "gw-1", "p-1")]
    codes = [result.code for result in meters.ledger.apply(wires).results]
    assert codes == [Code.NOT_PERMITTED] * 3
