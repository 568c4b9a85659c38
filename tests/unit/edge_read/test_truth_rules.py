"""What is believed of a meter: bounds, its own last reading, second reading and load without advance."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.truth import (
    REASONS,
    STUCK_STEPS,
    MeterMemory,
    RegisterLimits,
    RegisterMemory,
    judge_confirmation,
    judge_registers,
    remember,
    says_no_data,
    stuck_registers,
)
from firmware_profiles import ModbusProfile, load_profile
from gridcore.quality import FLAG_ROLLOVER, MEASURED, SUSPECT

SLOT_S = 900
SLOT_MS = 900_000
LIMIT_WH = 5_000
MODULUS_WH = 1_000_000_000
IMPORT = RegisterLimits("1.8.0", 10, LIMIT_WH, MODULUS_WH, 0, MODULUS_WH - 1)
EXPORT = RegisterLimits("2.8.0", 10, LIMIT_WH, MODULUS_WH, 0, MODULUS_WH - 1)
LIMITS = (IMPORT, EXPORT)
T0_MS = 1_800_000_000_000


def _knowing(import_wh: int, export_wh: int = 0, load_w: int = 0) -> MeterMemory:
    return MeterMemory(T0_MS, (RegisterMemory(import_wh, T0_MS, load_w), RegisterMemory(export_wh, T0_MS, 0)))


def _reasons(memory: MeterMemory | None, *registers_wh: int, after_ms: int = SLOT_MS) -> list[tuple[str, str]]:
    verdict = judge_registers(LIMITS, memory, registers_wh, T0_MS + after_ms, SLOT_S)
    assert (verdict.quality == SUSPECT) == bool(verdict.doubts)
    return [(doubt.reason, doubt.obis) for doubt in verdict.doubts]


# -- one register -----------------------------------------------------------------------------------------------------


def test_advance_up_to_pmax_times_the_time_is_measured() -> None:
    assert _reasons(_knowing(90_000), 95_010, 0) == []
    assert _reasons(_knowing(90_000), 95_020, 0) == [("grew_too_much", "1.8.0")]


def test_after_three_slots_of_outage_three_times_as_much_is_plausible() -> None:
    assert _reasons(_knowing(90_000), 105_000, 0, after_ms=3 * SLOT_MS) == []
    assert _reasons(_knowing(90_000), 105_000, 0, after_ms=2 * SLOT_MS) == [("grew_too_much", "1.8.0")]


def test_zero_after_the_boundary_is_not_believed_of_a_meter_that_showed_more() -> None:
    assert _reasons(_knowing(90_000, 40), 0, 0) == [("fell_to_zero", "1.8.0"), ("fell_to_zero", "2.8.0")]


def test_zero_is_believed_of_a_meter_that_never_showed_more() -> None:
    assert _reasons(_knowing(0), 0, 0) == []
    assert _reasons(None, 0, 0) == []


def test_register_150_wh_lower_than_before_goes_back_and_is_not_believed() -> None:
    assert _reasons(_knowing(90_150), 90_000, 0) == [("went_back", "1.8.0")]


def test_value_of_another_register_is_not_believed() -> None:
    """9113 kWh where a voltage of 230 was meant, and the other way round."""
    assert _reasons(_knowing(412_000), 9_113_000, 0) == [("grew_too_much", "1.8.0")]
    assert _reasons(_knowing(9_113_000), 230_000, 0) == [("went_back", "1.8.0")]


def test_register_that_starts_again_is_measured_and_flagged() -> None:
    verdict = judge_registers(LIMITS, _knowing(MODULUS_WH - 10), (1_200, 0), T0_MS + SLOT_MS, SLOT_S)
    assert (verdict.quality, verdict.flags, verdict.doubts) == (MEASURED, FLAG_ROLLOVER, ())


def test_a_full_turn_is_no_advance() -> None:
    assert _reasons(_knowing(500_000_000), 499_999_990, 0) == [("went_back", "1.8.0")]


def test_register_outside_of_the_profile_s_bounds_is_not_believed_without_memory_either() -> None:
    profile = load_profile("eastron_sdm630", kind=ModbusProfile)
    limits = [RegisterLimits.of(point, LIMIT_WH) for point in profile.billing_points]
    verdict = judge_registers(limits, None, (65_536_010, 0), T0_MS, SLOT_S)
    assert [(doubt.reason, doubt.obis) for doubt in verdict.doubts] == [("out_of_bounds", "1.8.0")]
    assert "65536010 Wh; 0 to 65536000 Wh" in verdict.doubts[0].detail


def test_one_doubtful_register_makes_the_whole_reading_suspect() -> None:
    verdict = judge_registers(LIMITS, _knowing(90_000, 500), (90_100, 400), T0_MS + SLOT_MS, SLOT_S)
    assert (verdict.quality, [doubt.obis for doubt in verdict.doubts]) == (SUSPECT, ["2.8.0"])


def test_clock_that_was_set_back_leaves_one_slot_s_advance_plausible() -> None:
    assert _reasons(_knowing(90_000), 95_000, 0, after_ms=-10 * SLOT_MS) == []
    assert _reasons(_knowing(90_000), 99_000, 0, after_ms=-10 * SLOT_MS) == [("grew_too_much", "1.8.0")]


def test_every_reason_is_a_known_one() -> None:
    memory = _knowing(90_000, 90_000)
    doubts = [
        *judge_registers(LIMITS, memory, (0, 89_990), T0_MS, SLOT_S).doubts,
        *judge_registers(LIMITS, memory, (900_000, MODULUS_WH), T0_MS, SLOT_S).doubts,
        *judge_confirmation(LIMITS, (10, 0), (0, 0), 50, SLOT_S),
    ]
    assert {doubt.reason for doubt in doubts} == set(REASONS)
    assert all("\n" not in doubt.detail and doubt.obis in doubt.detail for doubt in doubts)


# -- what shows no value ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "type_name", "is_none"),
    [
        ((0xFFFF, 0xFFFF), "u32", True),
        ((0xFFFF,) * 4, "u64", True),
        ((0xFFFF,) * 3, "bcd48", True),
        ((0xFFFF, 0xFFFF), "i32", True),
        ((0x7FFF, 0xFFFF), "i32", True),
        ((0x8000, 0x0000), "i32", True),
        ((0x0000, 0x8000), "i32", True),
        ((0x7FFF, 0xFFFF, 0xFFFF, 0xFFFF), "i64", True),
        ((0x7FFF, 0xFFFF), "u32", False),
        ((0x0000, 0x0000), "u32", False),
        ((0xFFFF, 0xFFFE), "u32", False),
        ((0x7FFF, 0xFFFE), "i32", False),
    ],
)
def test_all_ones_and_the_ends_of_a_signed_range_are_no_value(
    words: Sequence[int], type_name: str, is_none: bool
) -> None:
    assert says_no_data(words, type_name) is is_none


# -- the second reading -----------------------------------------------------------------------------------------------


def test_second_reading_confirms_what_stood_or_moved_on_by_a_step() -> None:
    assert judge_confirmation(LIMITS, (500, 20), (510, 20), 80, SLOT_S) == ()
    assert judge_confirmation(LIMITS, (MODULUS_WH - 10, 0), (0, 0), 80, SLOT_S) == ()


def test_second_reading_that_goes_back_or_jumps_is_a_doubt() -> None:
    doubts = judge_confirmation(LIMITS, (500, 0), (490, 400), 1_000, SLOT_S)
    assert [(doubt.reason, doubt.obis) for doubt in doubts] == [
        ("readings_differ", "1.8.0"),
        ("readings_differ", "2.8.0"),
    ]
    assert doubts[1].detail == "2.8.0 read 0 Wh, then 400 Wh after 1000 ms; at most 16 Wh more is plausible"


# -- a register that stands still under load --------------------------------------------------------------------------


def _standing(powers_w: Sequence[int | None], registers_wh: tuple[int, int] = (90_000, 70_000)) -> tuple[str, ...]:
    memory: MeterMemory | None = None
    stuck: tuple[str, ...] = ()
    for slot, power_w in enumerate(powers_w):
        read_ms = T0_MS + slot * SLOT_MS
        stuck = stuck_registers(LIMITS, memory, registers_wh, read_ms, power_w)
        memory = remember(LIMITS, memory, registers_wh, read_ms, power_w)
    return stuck


def test_register_that_stands_still_under_load_is_stuck() -> None:
    assert _standing([1000, 1000]) == ("1.8.0",)
    assert _standing([-1000, -1000]) == ("2.8.0",)


def test_small_load_takes_longer_to_show() -> None:
    enough_w = STUCK_STEPS * 10 * 4
    assert _standing([enough_w - 1, enough_w - 1]) == ()
    assert _standing([enough_w, enough_w]) == ("1.8.0",)
    assert _standing([enough_w // 4] * 5) == ("1.8.0",)


def test_load_at_one_end_alone_or_unknown_proves_nothing() -> None:
    assert _standing([0, 3000]) == ()
    assert _standing([3000, 0, 3000]) == ()
    assert _standing([3000, None, 3000]) == ()


def test_register_that_moves_again_is_not_stuck() -> None:
    memory = _knowing(90_000, 0, load_w=3000)
    assert stuck_registers(LIMITS, memory, (90_000, 0), T0_MS + SLOT_MS, 3000) == ("1.8.0",)
    assert stuck_registers(LIMITS, memory, (90_010, 0), T0_MS + SLOT_MS, 3000) == ()
    after = remember(LIMITS, memory, (90_010, 0), T0_MS + SLOT_MS, 3000)
    assert after.registers[0] == RegisterMemory(90_010, T0_MS + SLOT_MS, 3000)


def test_memory_from_before_the_profile_was_changed_counts_for_nothing() -> None:
    one_way = (IMPORT,)
    assert judge_registers(one_way, _knowing(90_000), (10,), T0_MS + SLOT_MS, SLOT_S).quality == MEASURED
    assert stuck_registers(one_way, _knowing(10, 0, load_w=3000), (10,), T0_MS + SLOT_MS, 3000) == ()
    assert len(remember(one_way, _knowing(90_000), (10,), T0_MS, None).registers) == 1


# -- laws -------------------------------------------------------------------------------------------------------------

registers = st.integers(0, MODULUS_WH - 1)
pairs = st.tuples(registers, registers)


@given(before=pairs, steps=st.lists(st.tuples(st.integers(0, LIMIT_WH), st.integers(0, LIMIT_WH)), max_size=8))
def test_a_true_meter_is_always_measured(before: tuple[int, int], steps: list[tuple[int, int]]) -> None:
    shown = [before]
    for imported_wh, exported_wh in steps:
        shown.append(((shown[-1][0] + imported_wh) % MODULUS_WH, (shown[-1][1] + exported_wh) % MODULUS_WH))
    memory: MeterMemory | None = None
    qualities = []
    for slot, registers_wh in enumerate(shown):
        qualities.append(judge_registers(LIMITS, memory, registers_wh, T0_MS + slot * SLOT_MS, SLOT_S).quality)
        memory = remember(LIMITS, memory, registers_wh, T0_MS + slot * SLOT_MS, None)
    assert qualities == [MEASURED] * len(shown)


@given(before=pairs, after=pairs, elapsed_ms=st.integers(-SLOT_MS, 40 * SLOT_MS))
def test_what_is_measured_lies_within_pmax_times_the_time(
    before: tuple[int, int], after: tuple[int, int], elapsed_ms: int
) -> None:
    verdict = judge_registers(LIMITS, _knowing(*before), after, T0_MS + elapsed_ms, SLOT_S)
    most_wh = -(-LIMIT_WH * max(elapsed_ms, SLOT_MS) // SLOT_MS) + 10
    advances_wh = [(shown_wh - known_wh) % MODULUS_WH for known_wh, shown_wh in zip(before, after, strict=True)]
    assert (verdict.quality == MEASURED) == (max(advances_wh) <= most_wh)
