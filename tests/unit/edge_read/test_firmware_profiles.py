"""Profiles: the shipped ones hold together, and each mistake is one line that names file, point or key, and what is right."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from edge.blocks import plan_blocks, plan_reads
from firmware_profiles import (
    FOLDER,
    ModbusProfile,
    MqttProfile,
    load_profile,
    open_library,
    profile_digest,
    profile_ids,
)
from firmware_profiles.decode import decode_point
from firmware_profiles.files import PROFILE_BYTES_MAX, PROFILES_MAX
from firmware_profiles.modbus import NAN_MAX, SUMMANDS_MAX
from firmware_profiles.schema import FIXTURES_MAX, POINTS_MAX
from gridcore.errors import UsageError
from gridcore.sm3 import sm3
from simulators.meters.registers import RegisterImage
from simulators.meters.station import Quantities

MODBUS = [profile_id for profile_id in profile_ids() if isinstance(load_profile(profile_id), ModbusProfile)]
MODBUS_BILLING = [profile_id for profile_id in MODBUS if load_profile(profile_id).billing]
GOOD = """\
id = "test_meter"
vendor = "Test"
models = ["T1"]
source = ["made for this test"]
evidence = "one-source"
timeout_ms = 500
ratio_applied = false
netting = "instant"
billing = ["1.8.0", "2.8.0"]

[modbus]
framings = ["tcp"]
function_code = 3
order = "ABCD"
max_words = 20

[[fixtures]]
obis = "1.8.0"
raw = "42f6 e979"
value = "123.456"
unit = "kWh"
source = "a document of the maker, page 7"

[[fixtures]]
obis = "2.8.0"
raw = "0001 e240"
value = "1234.56"
unit = "kWh"
source = "a document of the maker, page 8"

[[points]]
obis = "1.8.0"
address = 0
type = "f32"
scale = "1000/1"
unit = "Wh"
monotonic = true
resolution_wh = 10

[[points]]
obis = "2.8.0"
address = 2
type = "u32"
scale = "10/1"
unit = "Wh"
monotonic = true

[[points]]
obis = "16.7.0"
address = 4
type = "i64"
scale = "1/10"
unit = "W"
"""


def _load(folder: Path, text: str) -> None:
    (folder / "test_meter.toml").write_text(text, encoding="utf-8")
    load_profile("test_meter", folder)


@pytest.mark.parametrize("profile_id", profile_ids())
def test_shipped_profile_loads_with_source_and_evidence(profile_id: str) -> None:
    profile = load_profile(profile_id)
    assert profile.id == profile_id
    assert profile.source
    assert profile.digest == profile_digest((FOLDER / f"{profile_id}.toml").read_bytes())
    assert bool(profile.billing) == (profile.resolution_wh > 0)


def test_shipped_profiles_are_of_many_makers_and_enough_of_them_bill() -> None:
    shipped = [load_profile(profile_id) for profile_id in profile_ids()]
    instruments = [profile for profile in shipped if not isinstance(profile, MqttProfile)]
    billing = [profile for profile in instruments if profile.billing]
    assert len(instruments) >= 30
    assert len({profile.vendor for profile in instruments}) >= 12
    assert len(billing) >= 8
    assert len({profile.vendor for profile in billing}) >= 5


def test_fixtures_of_billing_registers_name_no_source_of_the_profile() -> None:
    billing = [profile for profile in map(load_profile, profile_ids()) if profile.billing]
    proofs = [(profile, item) for profile in billing for item in profile.fixtures if item.obis in profile.billing]
    assert len(proofs) >= 2 * len(billing) >= 2
    assert [item.source for profile, item in proofs if item.source in profile.source] == []


@pytest.mark.parametrize("profile_id", MODBUS)
def test_virtual_meter_shows_by_a_shipped_profile_what_the_edge_reads(profile_id: str) -> None:
    profile = load_profile(profile_id, kind=ModbusProfile)
    image = RegisterImage(profile)
    image.show(Quantities(import_wh=1_234_500, export_wh=678_900, power_w=3_000.0))
    blocks = plan_blocks(profile.points, profile)
    assert blocks
    for block in blocks:
        data = image.read(block.function_code, block.address, block.count)
        assert data is not None
        words = [int.from_bytes(data[start : start + 2], "big") for start in range(0, len(data), 2)]
        for point in block.points:
            value = decode_point(block.words_of(point, words), point)
            assert value is not None
            if point.obis in ("1.8.0", "2.8.0"):
                truth_wh = 1_234_500 if point.obis == "1.8.0" else 678_900
                assert abs(value - truth_wh) <= max(Fraction(point.resolution_wh), point.ratio)
            if point.obis == "16.7.0":
                assert abs(value - 3_000) <= abs(point.ratio)


def test_digest_is_sm3_of_the_file_with_lf_line_ends() -> None:
    assert profile_digest(b"a\r\nb\rc\n") == sm3(b"a\nb\nc\n")
    assert profile_digest(b"a") != profile_digest(b"b")


def test_order_and_function_code_of_the_profile_fill_those_left_out(tmp_path: Path) -> None:
    reordered = GOOD.replace('order = "ABCD"', 'order = "CDAB"')
    reordered = reordered.replace("42f6 e979", "e979 42f6").replace("0001 e240", "e240 0001")
    (tmp_path / "test_meter.toml").write_text(reordered, encoding="utf-8")
    profile = load_profile("test_meter", tmp_path, kind=ModbusProfile)
    assert [(point.order, point.function_code) for point in profile.points] == [
        ("CDAB", 3),
        ("CDAB", 3),
        ("GHEFCDAB", 3),
    ]
    assert profile.billing_points[1].resolution_wh == 10  # the scale of an integer register


def test_unknown_profile_names_the_nearest_known_one() -> None:
    with pytest.raises(UsageError, match=r"unknown profile 'eastron_sdm63'; did you mean 'eastron_sdm630'"):
        load_profile("eastron_sdm63", kind=ModbusProfile)


def test_profile_id_cannot_leave_the_folder() -> None:
    with pytest.raises(UsageError, match="unknown profile"):
        load_profile("../meters/eastron_sdm630")


CHANGES = [
    ("unit_id = 3\n" + GOOD, "unit_id"),
    (GOOD.replace("monotonic = true\nresolution_wh", "monotonc = true\nresolution_wh"), "did you mean 'monotonic'"),
    (GOOD.replace('type = "f32"', 'type = "f16"'), "f16.*choose"),
    (GOOD.replace('order = "ABCD"', 'order = "ACBD"'), "ACBD.*choose"),
    (GOOD.replace('scale = "1/10"', 'scale = "1/10"\norder = "ABCD"'), "16.7.0.*ABCDEFGH"),
    (GOOD.replace('source = ["made for this test"]\n', ""), "source is missing"),
    (GOOD.replace("made for this test", " "), "source has an empty entry"),
    (GOOD.replace('"T1"', '"T1", ""'), "models has an empty entry"),
    (GOOD.replace('source = ["made for this test"]', "source = []"), "source.*out of range"),
    (GOOD.replace('evidence = "one-source"\n', ""), "evidence is missing"),
    (GOOD.replace("one-source", "hearsay"), "hearsay.*choose"),
    (GOOD.replace("ratio_applied", "ratio"), "ratio is an unknown key; did you mean 'ratio_applied'"),
    (GOOD.replace('netting = "instant"\n', ""), "netting is missing; choose 'instant'"),
    (GOOD.replace('"instant"', '"phase"'), "billing with netting = 'phase'.*name the approval"),
    (GOOD.replace('["1.8.0", "2.8.0"]', '["1.8.0"]'), "billing lacks 2.8.0, which the meter counts"),
    (GOOD.replace("0001 e240", "0000 0000").replace("1234.56", "0"), "billing names 2.8.0, but no fixture proves it"),
    (GOOD.replace("timeout_ms = 500", "timeout_ms = 500\nlatency_ms_max = 10001"), "billing with latency_ms_max = 10001"),
    (GOOD.replace("[modbus]", "[modbu]"), r"no table of a transport; give one of \[modbus\]"),
    (GOOD + '[mqtt]\nmode = "push"\n', r"\[modbus\] and \[mqtt\]; give one"),
    (GOOD.replace("address = 2", "address = 1"), r"2\.8\.0 .*partly overlaps point 1\.8\.0"),
    (GOOD.replace("address = 4", "address = 3"), "partly overlaps"),
    (GOOD.replace("address = 4", "address = 65533"), "go beyond"),
    (GOOD.replace("address = 4", "address = -1"), "address.*out of range"),
    (GOOD.replace("address = 4", "address = 40005"), "looks like a manual's number of holding register 4 .*write 4, or zero"),
    (GOOD.replace("address = 4", ""), "16.7.0: give one of address, sum_of and word_addresses"),
    (GOOD.replace("address = 4", "address = 4\nsum_of = [4, 8]"), "16.7.0: give one of"),
    (GOOD.replace("address = 4", "sum_of = [4]"), "sum_of has one entry"),
    (GOOD.replace("address = 4", "sum_of = [4, -4]"), "16.7.0: address -4 is out of range"),
    (GOOD.replace("address = 4", "word_addresses = [4, 5, 6, 65536]"), "16.7.0: address 65536 is out of range"),
    (GOOD.replace("address = 4", "sum_of = [4, 8, 16]"), r"16\.7\.0: register 0xc between its own is unknown.*modbus\.blocks"),
    (GOOD.replace("address = 4", "sum_of = [4, 40]"), "do not fit one request of max_words 20"),
    (GOOD.replace("address = 4", "sum_of = [4, 6]"), r"partly overlaps point 16\.7\.0"),
    (GOOD.replace("address = 4", "word_addresses = [4, 5, 6]"), "word_addresses has 3 entries; i64 has 4 words"),
    (GOOD.replace("address = 4", "address = 4\nscale_address = 5"), "partly overlaps"),
    (GOOD.replace('scale = "10/1"', 'scale = "10/1"\nscale_address = 8'), "2.8.0: a billing register whose scale lies in a"),
    (GOOD.replace("1000/1", "1000"), "scale '1000'.*num/den"),
    (GOOD.replace('"1/10"', '"10/100"'), "lowest terms"),
    (GOOD.replace('"1/10"', "0.1"), "scale.*text in quotes"),
    (GOOD.replace('"1/10"', '"0/1"'), "scale is 0"),
    (GOOD.replace("1000/1", "-1000/1"), "negative"),
    (GOOD.replace("resolution_wh = 10\n", ""), r"1\.8\.0.*resolution_wh"),
    (GOOD.replace('unit = "Wh"\nmonotonic = true\nresolution_wh = 10', 'unit = "W"\nmonotonic = true'), "1.8.0.*'Wh'"),
    (GOOD.replace('unit = "W"', 'unit = "kW"'), "kW.*choose"),
    (GOOD.replace("monotonic = true\nresolution_wh", "resolution_wh"), "monotonic = true is missing"),
    (GOOD.replace('scale = "10/1"', 'scale = "10/1"\nresolution_wh = 1'), "differs from its scale"),
    (GOOD.replace('scale = "10/1"', 'scale = "10/1"\nmodulus_wh = 42949672961'), "more than its type holds"),
    (GOOD.replace("resolution_wh = 10", "resolution_wh = 10\nmodulus_wh = 1005"), "no multiple"),
    (
        GOOD + '[[points]]\nobis = "16.7.0"\naddress = 9\ntype = "u16"\nscale = "1/1"\nunit = "W"\n',
        "16.7.0 is given twice",
    ),
    (GOOD.replace('"16.7.0"', '"power"'), "C.D.E"),
    (GOOD.replace('obis = "2.8.0"\naddress', 'obis = "3.8.0"\naddress'), "billing names 2.8.0, but points lacks 2.8.0"),
    (GOOD.replace('["1.8.0", "2.8.0"]', '["1.8.0", "1.8.0"]'), "billing names 1.8.0 twice"),
    (GOOD.replace('["1.8.0", "2.8.0"]', '["16.7.0"]'), r"billing\[0\] = '16.7.0' is not allowed; choose '1.8.0' or '2.8.0'"),
    (GOOD.replace("test_meter", "Test-Meter"), "lower-case"),
    (GOOD.replace("test_meter", "other_meter"), "must be the file's name"),
    (GOOD.replace("max_words = 20", "max_words = 126"), "max_words.*2 to 125"),
    (GOOD.replace('unit = "W"', 'unit = "W"\nmin = 5\nmax = 4'), "min 5 is above max 4"),
    (GOOD + "[[modbus.blocks]]\naddress = 0\ncount = 21\n", "above max_words"),
    (GOOD + "[[modbus.blocks]]\naddress = 1\ncount = 6\n", "cuts point 1.8.0"),
    (GOOD + '[[modbus.identity]]\naddress = 0\ntype = "f32"\nexpect = [1]\n', "identity.*f32"),
    (GOOD + '[[modbus.identity]]\naddress = 0\ntype = "u16"\n', "identity 0x0: type 'u16' needs expect"),
    (GOOD + '[[modbus.identity]]\naddress = 0\ntype = "text"\nexpect_text = ["A"]\n', "type 'text' needs words"),
    (GOOD + '[modbus.clock]\naddress = 0\nfields = ["hour"]\n', "clock: fields names each once, day, month and year"),
    (GOOD + '[modbus.clock]\naddress = 0\nfields = ["unix_s", "day"]\n', "fields has unix_s beside others"),
    (GOOD + '[modbus.serial]\naddress = 65535\ntype = "u32"\n', "modbus.serial: registers 0xffff to 0x10000 go beyond"),
    (GOOD.replace('raw = "0001 e240"', 'raw = "0001 e241"'), r"fixtures\[1\] \(2.8.0\): raw decodes to 1234570 Wh, but value"),
    (GOOD.replace('raw = "0001 e240"', 'raw = "e240"'), "raw does not decode: 2.8.0 takes 2 words, not 1"),
    (GOOD.replace('raw = "0001 e240"', 'raw = "0001 e2"'), "a register has four digits"),
    (GOOD.replace('raw = "0001 e240"', 'raw = "123456"'), "raw does not decode"),
    (GOOD.replace('raw = "0001 e240"', 'raw = "zz"'), "it is not hex"),
    (GOOD.replace('"42f6 e979"', '"7fc0 0000"'), "raw decodes to 'no value'"),
    (GOOD.replace('"1234.56"', '"1.2e3"'), "is no decimal number"),
    (GOOD.replace('value = "1234.56"\nunit = "kWh"', 'value = "1234.56"\nunit = "kW"'), "unit 'kW' is not the point's"),
    (GOOD.replace("a document of the maker, page 8", "test_meter.toml"), "source is this profile"),
    (GOOD.replace("a document of the maker, page 8", ""), "source = 0 characters is out of range"),
    (GOOD.replace('[[fixtures]]\nobis = "2.8.0"', '[[fixtures]]\nobis = "1.8.0"', 1), "fixtures"),
    (GOOD[: GOOD.index("[[fixtures]]")] + GOOD[GOOD.index("[[points]]") :], "billing names 1.8.0, but no fixture proves it"),
    (GOOD.replace("models = [", "models = "), "not valid TOML"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), CHANGES, ids=[message[:40] for _, message in CHANGES])
def test_mistake_in_a_profile_is_one_line_that_names_it(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        _load(tmp_path, text)
    assert "test_meter.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_unchanged_profile_is_accepted(tmp_path: Path) -> None:
    _load(tmp_path, GOOD)


def test_identical_ranges_are_allowed(tmp_path: Path) -> None:
    same = '[[points]]\nobis = "15.7.0"\naddress = 4\ntype = "u64"\nscale = "1/1"\nunit = "W"\n'
    _load(tmp_path, GOOD + same)


def test_ranges_of_different_function_codes_do_not_overlap(tmp_path: Path) -> None:
    _load(
        tmp_path,
        GOOD + '[[points]]\nobis = "15.7.0"\naddress = 3\ntype = "u32"\nscale = "1/1"\nunit = "W"\nfunction_code = 4\n',
    )


def test_profile_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "test_meter.toml").write_bytes(GOOD.encode() + b"# \xff\n")
    with pytest.raises(UsageError, match="not UTF-8"):
        load_profile("test_meter", tmp_path, kind=ModbusProfile)


@pytest.mark.parametrize("value", ["[" * 20_000, "9" * 5_000])
def test_profile_that_breaks_the_reader_of_toml_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(UsageError, match=r"test_meter\.toml: not valid TOML: "):
        _load(tmp_path, f"id = {value}\n")


def test_profile_above_its_size_limit_is_refused(tmp_path: Path) -> None:
    padding = "#" * (PROFILE_BYTES_MAX - len(GOOD.encode()))
    _load(tmp_path, GOOD + padding)
    with pytest.raises(UsageError, match="larger than"):
        _load(tmp_path, GOOD + padding + "#")


def test_number_of_points_is_limited(tmp_path: Path) -> None:
    point = '[[points]]\nobis = "9.{}.{}"\naddress = {}\ntype = "u16"\nscale = "1/1"\nunit = "1"\n'
    more = [point.format(n // 100, n % 100, 100 + n) for n in range(POINTS_MAX - 2)]
    _load(tmp_path, GOOD + "".join(more[:-1]))
    with pytest.raises(UsageError, match="out of range"):
        _load(tmp_path, GOOD + "".join(more))


FIXTURE = GOOD[GOOD.index("[[fixtures]]") : GOOD.index("[[points]]")].split("\n\n", maxsplit=1)[0] + "\n\n"
LIMITS: dict[str, tuple[int, Callable[[int], str]]] = {
    "fixtures": (FIXTURES_MAX - 2, lambda count: GOOD + FIXTURE * count),
    "points[2].sum_of": (
        SUMMANDS_MAX,
        lambda count: GOOD.replace("max_words = 20", "max_words = 125").replace(
            "address = 4", f"sum_of = {[4 + 4 * number for number in range(count)]}"
        ),
    ),
    "points[2].nan": (NAN_MAX, lambda count: GOOD + f"nan = {list(range(count))}\n"),
    "modbus.blocks": (64, lambda count: GOOD + "[[modbus.blocks]]\naddress = 100\ncount = 2\n" * count),
    "modbus.identity": (
        16,
        lambda count: GOOD + '[[modbus.identity]]\naddress = 100\ntype = "u16"\nexpect = [1]\n' * count,
    ),
}


@pytest.mark.parametrize("key", LIMITS)
def test_list_in_a_profile_has_a_limit(tmp_path: Path, key: str) -> None:
    most, text_of = LIMITS[key]
    _load(tmp_path, text_of(most))
    with pytest.raises(UsageError, match=re.escape(f"{key} = ") + r"\d+ entries is out of range"):
        _load(tmp_path, text_of(most + 1))


def test_pipe_in_a_folder_of_profiles_is_one_line(tmp_path: Path) -> None:
    """A reader would wait for whoever writes into it."""
    os.mkfifo(tmp_path / "pipe.toml")
    library = open_library(tmp_path)
    with pytest.raises(UsageError, match=r"pipe\.toml: is no file; a profile is a file ID\.toml"):
        library.load("pipe")


def test_folder_of_profiles_that_is_a_link_to_itself_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UsageError, match="loop: no folder of profiles; give one, or leave it out"):
        open_library(tmp_path / "loop")


def test_number_of_profiles_in_a_folder_is_limited(tmp_path: Path) -> None:
    for number in range(PROFILES_MAX):
        (tmp_path / f"meter_{number}.toml").touch()
    assert len(open_library(tmp_path).ids) == PROFILES_MAX + len(profile_ids())
    (tmp_path / "one_more.toml").touch()
    with pytest.raises(UsageError, match=f"a folder holds at most {PROFILES_MAX}"):
        open_library(tmp_path)


@pytest.mark.parametrize("profile_id", MODBUS)
def test_plan_reads_every_point_once_within_the_limits(profile_id: str) -> None:
    profile = load_profile(profile_id, kind=ModbusProfile)
    plan = plan_reads(profile)
    blocks = [*plan.billing, *plan.telemetry]
    assert sorted(point.obis for block in blocks for point in block.points) == sorted(p.obis for p in profile.points)
    for block in (*blocks, *plan.confirm):
        assert 1 <= block.count <= profile.modbus.max_words
        for point in block.points:
            assert block.address <= point.first
            assert point.end <= block.address + block.count


@pytest.mark.parametrize("profile_id", MODBUS_BILLING)
def test_late_answer_to_another_block_fits_a_billing_block_only_where_the_meter_offers_no_other_length(
    profile_id: str,
) -> None:
    profile = load_profile(profile_id, kind=ModbusProfile)
    plan = plan_reads(profile)
    assert plan.billing
    billing = {(block.function_code, block.count) for block in (*plan.billing, *plan.confirm)}
    alike = [block for block in plan.telemetry if (block.function_code, block.count) in billing]
    assert [block for block in alike if len(block.points) > 1] == []
    for first, second in zip(plan.billing, plan.confirm, strict=True):
        end = first.address + first.count
        if any(end == point.first or point.end == first.address for point in profile.points):
            assert first.count != second.count


@pytest.mark.parametrize("profile_id", ["abb_b23", "acrel_adl400", "eastron_sdm630"])
def test_no_late_answer_to_another_block_fits_a_billing_block(profile_id: str) -> None:
    plan = plan_reads(load_profile(profile_id, kind=ModbusProfile))
    assert plan.billing
    telemetry = {(block.function_code, block.count) for block in plan.telemetry}
    for first, second in zip(plan.billing, plan.confirm, strict=True):
        assert first.count != second.count
        assert {(first.function_code, first.count), (second.function_code, second.count)}.isdisjoint(telemetry)


def test_hole_is_bridged_only_over_registers_that_the_profile_knows(tmp_path: Path) -> None:
    apart = GOOD.replace("address = 2", "address = 10").replace("address = 4", "address = 14")
    (tmp_path / "test_meter.toml").write_text(apart, encoding="utf-8")
    plan = plan_reads(load_profile("test_meter", tmp_path, kind=ModbusProfile))
    assert [(block.address, block.count) for block in plan.billing] == [(0, 2), (10, 2)]
    (tmp_path / "test_meter.toml").write_text(apart + "[[modbus.blocks]]\naddress = 0\ncount = 12\n", encoding="utf-8")
    plan = plan_reads(load_profile("test_meter", tmp_path, kind=ModbusProfile))
    assert [(block.address, block.count) for block in plan.billing] == [(0, 12)]


def test_telemetry_block_as_long_as_the_billing_block_is_split(tmp_path: Path) -> None:
    text = GOOD.replace("address = 4", "address = 40").replace('type = "i64"', 'type = "i32"')
    text += '[[points]]\nobis = "14.7.0"\naddress = 42\ntype = "u32"\nscale = "1/100"\nunit = "Hz"\n'
    (tmp_path / "test_meter.toml").write_text(text, encoding="utf-8")
    plan = plan_reads(load_profile("test_meter", tmp_path, kind=ModbusProfile))
    assert [(block.address, block.count) for block in plan.billing] == [(0, 4)]
    assert [(block.address, block.count) for block in plan.telemetry] == [(40, 2), (42, 2)]
