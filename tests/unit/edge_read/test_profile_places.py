"""Values that do not lie in neighbouring registers: sums, words apart, powers of ten; and texts, clocks, single directions."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.blocks import plan_reads
from firmware_profiles import Dlt645Point, Dlt645Profile, ModbusPoint, ModbusProfile, load_profile
from firmware_profiles.decode import (
    POWER_MAX,
    decode_clock,
    decode_identity,
    decode_point,
    decode_text,
    decode_with_step,
    register_wh,
)
from firmware_profiles.dlt645 import Dlt645Records, decode_value
from firmware_profiles.modbus import ModbusClock
from gridcore.errors import EncodingError, UsageError

BASE = ModbusPoint(obis="1.8.0", address=0, type="u32", order="ABCD", scale="10/1", unit="Wh", monotonic=True)
TARIFFS = replace(BASE, address=-1, sum_of=(0, 4))
SCALED = replace(BASE, scale_address=7, resolution_wh=1)
APART = replace(BASE, address=-1, word_addresses=(9, 3))

COUNTER = """\
id = "counter"
vendor = "Test"
models = ["C1"]
source = ["made for this test"]
evidence = "one-source"
timeout_ms = 500
ratio_applied = true
netting = "single"
billing = ["1.8.0"]

[modbus]
framings = ["rtu"]
function_code = 4
order = "ABCD"
max_words = 16

[[points]]
obis = "1.8.0"
sum_of = [0, 4]
type = "u32"
scale = "10/1"
unit = "Wh"
monotonic = true

[[points]]
obis = "1.8.1"
address = 0
type = "u32"
scale = "10/1"
unit = "Wh"

[[points]]
obis = "16.7.0"
address = 2
type = "i32"
scale = "1/1"
unit = "W"

[[fixtures]]
obis = "1.8.0"
raw = "0000 0064 0000 00c8"
value = "3.00"
unit = "kWh"
source = "a document of the maker, page 7"
"""


def test_registers_stand_in_decode_order() -> None:
    assert (TARIFFS.registers, TARIFFS.first, TARIFFS.end) == ((0, 1, 4, 5), 0, 6)
    assert (SCALED.registers, SCALED.first, SCALED.end) == ((0, 1, 7), 0, 8)
    assert (APART.registers, APART.first, APART.end) == ((9, 3), 3, 10)


@given(st.integers(0, 0xFFFF_FFFF), st.integers(0, 0xFFFF_FFFF))
def test_sum_of_tariffs_is_their_sum(first: int, second: int) -> None:
    words = [first >> 16, first & 0xFFFF, second >> 16, second & 0xFFFF]
    assert decode_point(words, TARIFFS) == 10 * (first + second)
    assert register_wh(words, TARIFFS) == 10 * (first + second)


def test_sum_is_missing_when_one_of_its_parts_is() -> None:
    point = replace(TARIFFS, nan=(-1,))
    assert decode_point((0, 1, 0xFFFF, 0xFFFF), point) is None
    assert register_wh((0xFFFF, 0xFFFF, 0, 1), point) is None


@given(st.integers(0, 0xFFFF_FFFF), st.integers(-POWER_MAX, POWER_MAX))
def test_power_of_ten_of_another_register_multiplies(raw: int, power: int) -> None:
    words = [raw >> 16, raw & 0xFFFF, power % 0x10000]
    assert decode_point(words, SCALED) == Fraction(10) ** power * raw * 10


def test_power_of_ten_without_value_makes_the_point_missing() -> None:
    assert decode_point((0, 1, 0x8000), SCALED) is None


@pytest.mark.parametrize("power", [POWER_MAX + 1, -POWER_MAX - 1, 0x7FFF])
def test_power_of_ten_that_no_meter_uses_is_refused(power: int) -> None:
    with pytest.raises(EncodingError, match="power of ten"):
        register_wh((0, 1, power % 0x10000), SCALED)


def test_words_apart_from_each_other_are_joined_in_the_order_named() -> None:
    assert decode_point((1, 2), APART) == 10 * 0x0001_0002


def test_sum_of_floats_is_rounded_to_the_resolution_and_knows_its_step() -> None:
    point = replace(TARIFFS, type="f64", order="ABCDEFGH", scale="1/1", sum_of=(0, 4), resolution_wh=10)
    words = (0x4024, 0, 0, 0, 0x4008, 0, 0, 0)  # 10 and 3
    assert decode_with_step(words, point) == (Fraction(13), Fraction(2) ** -49 + Fraction(2) ** -51)
    assert register_wh(words, point) == 10


def test_number_of_words_has_to_fit_the_registers() -> None:
    for point, words in ((TARIFFS, (1, 2)), (SCALED, (1, 2)), (APART, (1, 2, 3))):
        with pytest.raises(EncodingError):
            decode_point(words, point)


def test_meter_of_one_direction_plans_and_bills_that_one(tmp_path: Path) -> None:
    (tmp_path / "counter.toml").write_text(COUNTER, encoding="utf-8")
    profile = load_profile("counter", tmp_path, kind=ModbusProfile)
    assert [point.obis for point in profile.billing_points] == ["1.8.0"]
    assert profile.resolution_wh == 10
    plan = plan_reads(profile)
    (block,) = plan.billing
    assert (block.address, block.count) == (0, 6)  # both tariffs and what lies between, in one request
    assert block.words_of(block.points[0], (0, 100, 7, 7, 0, 200)) == [0, 100, 0, 200]


def test_profile_without_billing_informs_only(tmp_path: Path) -> None:
    text = COUNTER.replace('billing = ["1.8.0"]\n', "")
    (tmp_path / "counter.toml").write_text(text, encoding="utf-8")
    profile = load_profile("counter", tmp_path, kind=ModbusProfile)
    assert (profile.billing_points, plan_reads(profile).billing) == ((), ())


def test_address_of_a_manual_is_taken_when_the_profile_says_that_it_is_meant(tmp_path: Path) -> None:
    text = COUNTER.replace("address = 2", "address = 30003")
    (tmp_path / "counter.toml").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="looks like a manual's number of input register 2"):
        load_profile("counter", tmp_path)
    text = text.replace("max_words = 16", "max_words = 16\nzero_based = true") + "\n"
    block = "[[modbus.blocks]]\naddress = 2\ncount = 2\n\n[[points]]"
    (tmp_path / "counter.toml").write_text(text.replace("[[points]]", block, 1), encoding="utf-8")
    assert load_profile("counter", tmp_path, kind=ModbusProfile).point("16.7.0").first == 30003


def test_text_registers_lose_what_fills_them_up() -> None:
    assert decode_text((0x4142, 0x4320, 0x0000)) == "ABC"
    assert decode_identity((0x4142, 0x4320), "text", "") == "ABC"
    assert decode_identity((0, 113), "u32", "ABCD") == 113
    with pytest.raises(EncodingError, match="no text"):
        decode_text((0x4100, 0x4101))


def test_clock_registers_are_read_by_field() -> None:
    acrel = ModbusClock(address=0x3C, fields=("second", "minute", "hour", "day", "month", "year"), field_bytes=1)
    assert acrel.count == 3
    assert decode_clock((0x1E0F, 0x0C1D, 0x0B1A), acrel) == 1_795_954_530  # 2026-11-29 12:15:30
    assert decode_clock((0x3015, 0x1229, 0x1126), replace(acrel, bcd=True)) == 1_795_954_530
    words = ModbusClock(address=0, fields=("year", "month", "day", "hour", "minute", "second"))
    assert decode_clock((2026, 11, 29, 12, 15, 30), words) == 1_795_954_530
    unix = ModbusClock(address=0, fields=("unix_s",))
    assert (unix.count, decode_clock((0x6B0C, 0x1F22), unix)) == (2, 0x6B0C_1F22)
    with pytest.raises(EncodingError, match="no date and time"):
        decode_clock((2026, 13, 1, 0, 0, 0), words)


def test_dlt645_value_is_decimal_from_the_lowest_byte_with_the_sign_on_top() -> None:
    energy = Dlt645Point(obis="1.8.0", data_id="00010000", bytes=4, scale="10/1", unit="Wh")
    assert decode_value(bytes.fromhex("78563412"), energy) == 123_456_780
    assert decode_value(bytes.fromhex("78563412 00000000"), energy) == 123_456_780  # tariffs behind a frozen total
    assert decode_value(b"\xff" * 4, energy) is None
    power = Dlt645Point(obis="16.7.0", data_id="02030000", bytes=3, scale="1/10", unit="W", signed=True)
    assert decode_value(bytes.fromhex("563492"), power) == Fraction(-123_456, 10)
    for wrong in ("7856341a", "785634"):
        with pytest.raises(EncodingError):
            decode_value(bytes.fromhex(wrong), energy)


DLT645 = """\
id = "dlt_meter"
vendor = "Test"
models = ["D1"]
source = ["made for this test"]
evidence = "one-source"
timeout_ms = 500
ratio_applied = false
netting = "instant"
billing = ["1.8.0"]

[dlt645]
freeze = ["broadcast"]
freeze_time_id = "05010001"

[[points]]
obis = "1.8.0"
data_id = "00010000"
frozen_data_id = "05010101"
bytes = 4
scale = "10/1"
unit = "Wh"
monotonic = true
modulus_wh = 1_000_000_000

[[fixtures]]
obis = "1.8.0"
raw = "78 56 34 12"
value = "123456.78"
unit = "kWh"
source = "a document of the maker, page 7"
"""


def test_dlt645_profile_knows_its_step_and_its_freeze(tmp_path: Path) -> None:
    (tmp_path / "dlt_meter.toml").write_text(DLT645, encoding="utf-8")
    profile = load_profile("dlt_meter", tmp_path, kind=Dlt645Profile)
    assert (profile.resolution_wh, profile.point("1.8.0").modulus_wh) == (10, 10**9)
    assert profile.dlt645.freeze == ("broadcast",)


RECORDS = """\
freeze_time_id = "05010001"
date_id = "04000101"
time_id = "04000102"

[dlt645.records]
data_id = "06040001"
interval_min = 15
depth = 96
"""
RECORDING = DLT645.replace('freeze_time_id = "05010001"\n', RECORDS).replace("bytes = 4", "bytes = 4\nrecord_byte = 0")


def test_dlt645_profile_knows_which_records_the_meter_keeps(tmp_path: Path) -> None:
    (tmp_path / "dlt_meter.toml").write_text(RECORDING, encoding="utf-8")
    profile = load_profile("dlt_meter", tmp_path, kind=Dlt645Profile)
    assert profile.dlt645.records == Dlt645Records(data_id="06040001", interval_min=15, depth=96)
    assert profile.point("1.8.0").record_byte == 0


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"06040001"', '"05040001"', "'05040001' is no load record of energies at a given time"),
        ('date_id = "04000101"\n', "", "dlt645.records needs date_id and time_id"),
        ("record_byte = 0\n", "", "point 1.8.0 is billed; give its record_byte"),
        ("record_byte = 0", "record_byte = 13", "record_byte 13 leaves no room for 4 bytes"),
        ("record_byte = 0", "record_byte = 16", "record_byte = 16 is out of range"),
        (
            '[dlt645.records]\ndata_id = "06040001"\ninterval_min = 15\ndepth = 96\n',
            "",
            "record_byte needs [dlt645.records]",
        ),
        ("depth = 96", "depth = 0", "depth = 0 is out of range"),
    ],
)
def test_mistake_in_the_records_of_a_dlt645_profile_is_one_line(
    tmp_path: Path, old: str, new: str, reason: str
) -> None:
    assert old in RECORDING
    (tmp_path / "dlt_meter.toml").write_text(RECORDING.replace(old, new), encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        load_profile("dlt_meter", tmp_path)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"00010000"', '"0001ff"', "data_id '0001ff' is not eight digits"),
        ('freeze_time_id = "05010001"\n', "", "freeze and freeze_time_id go together"),
        ('freeze = ["broadcast"]\nfreeze_time_id = "05010001"\n', "", "frozen_data_id needs freeze"),
        ("modulus_wh = 1_000_000_000", "modulus_wh = 1_000_000_010", "more than its type holds"),
        ("bytes = 4", "bytes = 9", "bytes = 9 is out of range"),
        ("78 56 34 12", "78 56 34", "takes 4 bytes, not 3"),
        ("123456.78", "123456.79", "raw decodes to 123456780 Wh, but value says 123456790 Wh"),
        ("data_id", "dataid", "dataid is an unknown key; did you mean 'data_id'"),
    ],
)
def test_mistake_in_a_dlt645_profile_is_one_line(tmp_path: Path, old: str, new: str, reason: str) -> None:
    assert old in DLT645
    (tmp_path / "dlt_meter.toml").write_text(DLT645.replace(old, new), encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        load_profile("dlt_meter", tmp_path)
    line = str(caught.value)
    assert "dlt_meter.toml" in line
    assert reason in line
    assert "\n" not in line
