"""Meters that are exchanged, reset or hang behind other transformers go on at once; a slot's energy is the sum of its pieces."""

from __future__ import annotations

import pytest

from gridcore.codes import Code
from gridcore.master_data import Named
from gridcore.registry.installation import INSTALLATION
from tests.unit.state.meters import BREAK_S, LIMIT_WH, METER, Meters, exchanged
from tests.worlds.consortium import FIRST_S, SLOT_S


def test_an_exchanged_meter_goes_on_and_the_slot_is_what_both_have_measured() -> None:
    meters = Meters(*exchanged([500_300, 7], [12, 0]))
    assert meters.read(FIRST_S, (1, 500_100, 5)) == []
    assert meters.read(FIRST_S + SLOT_S, (2, 112, 1)) == []
    assert meters.energy_wh() == (200 + 100, 2 + 1)
    assert meters.read(FIRST_S + 2 * SLOT_S, (2, 162, 1)) == []
    assert meters.energy_wh(FIRST_S + SLOT_S) == (50, 0)


def test_a_counter_that_fell_in_a_power_cut_goes_on_after_its_reset() -> None:
    reset = METER._replace(final_registers=[500_300, 0], first_registers=[0, 0], reason="power cut")
    meters = Meters(Named(INSTALLATION, "1", reset, BREAK_S))
    assert meters.read(FIRST_S, (1, 500_100, 0)) == []
    assert meters.read(FIRST_S + SLOT_S, (1, 40, 0)) == []
    assert meters.energy_wh() == (240, 0)


def test_other_transformers_multiply_from_their_instant_on() -> None:
    changed = METER._replace(final_registers=[500_300, 0], first_registers=[500_300, 0], ratio=40, limit_wh=1_000)
    meters = Meters(Named(INSTALLATION, "1", changed, BREAK_S))
    assert meters.read(FIRST_S, (1, 500_100, 0)) == []
    assert meters.read(FIRST_S + SLOT_S, (1, 500_310, 0)) == []
    assert meters.energy_wh() == (200 + 40 * 10, 0)


def test_without_a_reset_a_counter_that_fell_is_set_aside() -> None:
    meters = Meters()
    assert meters.read(FIRST_S, (1, 500_100, 0)) == []
    assert meters.read(FIRST_S + SLOT_S, (1, 40, 0)) == [Code.ROW_GOES_BACK]


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ((1, 10**13, 0), Code.ROW_FIRST_VALUE),
        ((1, 0, 0), Code.ROW_FIRST_VALUE),
        ((1, 2**32 - 1, 0), Code.ROW_FIRST_VALUE),
        ((1, 499_999, 0), Code.ROW_FIRST_VALUE),
        ((1, 500_000, LIMIT_WH * 97 + 1), Code.ROW_FIRST_VALUE),
    ],
)
def test_a_first_register_of_a_meter_that_boots_is_set_aside_and_the_true_one_taken(
    row: tuple[int, int, int], code: Code
) -> None:
    meters = Meters()
    assert meters.read(FIRST_S, row) == [code]
    assert meters.read(FIRST_S, (1, 500_100, 0)) == []


def test_a_first_register_may_lie_as_far_from_the_stated_one_as_the_meter_can_have_counted() -> None:
    assert Meters().read(FIRST_S, (1, 500_000 + 97 * LIMIT_WH, 0)) == []
    assert Meters(first_registers=(99_990, 0), modulus_wh=100_000).read(FIRST_S, (1, 10, 0)) == []


def test_the_first_register_of_the_new_meter_is_measured_against_what_its_installation_names() -> None:
    meters = Meters(*exchanged([500_300, 7], [12, 0]))
    assert meters.read(FIRST_S + SLOT_S, (2, 12 + LIMIT_WH + 1, 0)) == [Code.ROW_FIRST_VALUE]
    assert meters.read(FIRST_S + SLOT_S, (2, 500_400, 7)) == [Code.ROW_FIRST_VALUE]
    assert meters.read(FIRST_S + SLOT_S, (2, 12 + LIMIT_WH, 0)) == []


def test_a_late_reading_of_the_old_meter_lies_below_its_final_register() -> None:
    meters = Meters(*exchanged([500_300, 7], [12, 0]), first_registers=(480_000, 0))
    assert meters.read(FIRST_S + SLOT_S, (2, 20, 0)) == []
    assert meters.read(FIRST_S, (1, 500_301, 5)) == [Code.ROW_GOES_BACK]
    assert meters.read(FIRST_S, (1, 500_300 - LIMIT_WH - 1, 5)) == [Code.ROW_EXCEEDS_LIMIT]
    assert meters.read(FIRST_S, (1, 500_290, 5)) == []
    assert meters.energy_wh() == (10 + 8, 2)


def test_a_slot_of_an_exchange_whose_final_register_nobody_read_has_no_energy_from_registers() -> None:
    meters = Meters(*exchanged(None, [12, 0]))
    assert meters.read(FIRST_S, (1, 500_100, 5)) == []
    assert meters.read(FIRST_S + SLOT_S, (2, 112, 1)) == []
    assert meters.energy_wh() == (0, 0)
