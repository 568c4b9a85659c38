"""Profiles: the shipped ones hold together, and each mistake is one line that names file, point or key, and what is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.blocks import plan_reads
from firmware_profiles import FOLDER, load_profile, profile_digest, profile_ids
from firmware_profiles.loader import PROFILE_BYTES_MAX
from firmware_profiles.schema import POINTS_MAX
from gridcore.errors import UsageError
from gridcore.sm3 import sm3

GOOD = """\
id = "test_meter"
vendor = "Test"
models = ["T1"]
source = ["made for this test"]
evidence = "one-source"
transport = ["modbus-tcp"]
function_code = 3
order = "ABCD"
max_words = 20
min_gap_ms = 0
timeout_ms = 500
ratio = "secondary"

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
    assert all(profile.source)
    assert profile.resolution_wh > 0
    assert profile.digest == profile_digest((FOLDER / f"{profile_id}.toml").read_bytes())
    assert all(point.order and point.function_code for point in profile.points)


def test_shipped_profiles_are_the_two_of_the_demo() -> None:
    assert profile_ids() == ("acrel_adl400", "eastron_sdm630")


def test_digest_is_sm3_of_the_file_with_lf_line_ends() -> None:
    assert profile_digest(b"a\r\nb\rc\n") == sm3(b"a\nb\nc\n")
    assert profile_digest(b"a") != profile_digest(b"b")


def test_order_and_function_code_of_the_profile_fill_those_left_out(tmp_path: Path) -> None:
    (tmp_path / "test_meter.toml").write_text(GOOD.replace('order = "ABCD"', 'order = "CDAB"'), encoding="utf-8")
    profile = load_profile("test_meter", tmp_path)
    assert [(point.order, point.function_code) for point in profile.points] == [
        ("CDAB", 3),
        ("CDAB", 3),
        ("GHEFCDAB", 3),
    ]
    assert profile.billing[1].resolution_wh == 10  # the scale of an integer register


def test_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"did you mean 'eastron_sdm630'.*acrel_adl400, eastron_sdm630"):
        load_profile("eastron_sdm63")


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
    (GOOD.replace("address = 2", "address = 1"), r"2\.8\.0 .*partly overlaps point 1\.8\.0"),
    (GOOD.replace("address = 4", "address = 3"), "partly overlaps"),
    (GOOD.replace("address = 4", "address = 65533"), "go beyond"),
    (GOOD.replace("address = 4", "address = -1"), "address.*out of range"),
    (GOOD.replace("1000/1", "1000"), "scale '1000'.*num/den"),
    (GOOD.replace('"1/10"', '"10/100"'), "lowest terms"),
    (GOOD.replace('"1/10"', "0.1"), "scale.*text in quotes"),
    (GOOD.replace('"1/10"', '"0/1"'), "scale is 0"),
    (GOOD.replace("1000/1", "-1000/1"), "negative"),
    (GOOD.replace("resolution_wh = 10\n", ""), r"1\.8\.0.*resolution_wh"),
    (GOOD.replace('unit = "Wh"\nmonotonic = true\nresolution_wh = 10', 'unit = "W"\nmonotonic = true'), "1.8.0.*'Wh'"),
    (GOOD.replace('unit = "W"', 'unit = "kW"'), "kW.*choose"),
    (GOOD.replace("monotonic = true\nresolution_wh", "resolution_wh"), "monotonic = true is missing"),
    (
        GOOD.replace("10/1", "10/1").replace('scale = "10/1"', 'scale = "10/1"\nresolution_wh = 1'),
        "differs from its scale",
    ),
    (GOOD.replace('scale = "10/1"', 'scale = "10/1"\nmodulus_wh = 42949672961'), "more than u32 holds"),
    (GOOD.replace("resolution_wh = 10", "resolution_wh = 10\nmodulus_wh = 1005"), "no multiple"),
    (
        GOOD + '[[points]]\nobis = "16.7.0"\naddress = 9\ntype = "u16"\nscale = "1/1"\nunit = "W"\n',
        "16.7.0 is given twice",
    ),
    (GOOD.replace('"16.7.0"', '"power"'), "C.D.E"),
    (GOOD.replace('"2.8.0"', '"3.8.0"'), "lacks 2.8.0"),
    (GOOD.replace("test_meter", "Test-Meter"), "lower-case"),
    (GOOD.replace("test_meter", "other_meter"), "must be the file's name"),
    (GOOD.replace("max_words = 20", "max_words = 126"), "max_words.*2 to 125"),
    (GOOD.replace('unit = "W"', 'unit = "W"\nmin = 5\nmax = 4'), "min 5 is above max 4"),
    (GOOD + "[[blocks]]\naddress = 0\ncount = 21\n", "above max_words"),
    (GOOD + "[[blocks]]\naddress = 1\ncount = 6\n", "cuts point 1.8.0"),
    (GOOD + '[[identity]]\naddress = 0\ntype = "f32"\nexpect = [1]\n', "identity.*f32"),
    (GOOD + "points = 3\n", "points"),
    (GOOD.replace("models = [", "models = "), "not valid TOML"),
]


@pytest.mark.parametrize(("text", "message"), CHANGES, ids=[message[:30] for _, message in CHANGES])
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
        load_profile("test_meter", tmp_path)


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


@pytest.mark.parametrize("profile_id", profile_ids())
def test_plan_reads_every_point_once_within_the_limits(profile_id: str) -> None:
    profile = load_profile(profile_id)
    plan = plan_reads(profile)
    blocks = [*plan.billing, *plan.telemetry]
    assert sorted(point.obis for block in blocks for point in block.points) == sorted(p.obis for p in profile.points)
    for block in (*blocks, *plan.confirm):
        assert 1 <= block.count <= profile.max_words
        for point in block.points:
            assert block.address <= point.address
            assert point.end <= block.address + block.count


@pytest.mark.parametrize("profile_id", profile_ids())
def test_no_late_answer_to_another_block_fits_a_billing_block(profile_id: str) -> None:
    plan = plan_reads(load_profile(profile_id))
    telemetry = {(block.function_code, block.count) for block in plan.telemetry}
    assert plan.billing
    for first, second in zip(plan.billing, plan.confirm, strict=True):
        assert first.count != second.count
        assert {(first.function_code, first.count), (second.function_code, second.count)}.isdisjoint(telemetry)


def test_hole_is_bridged_only_over_registers_that_the_profile_knows(tmp_path: Path) -> None:
    apart = GOOD.replace("address = 2", "address = 10").replace("address = 4", "address = 14")
    (tmp_path / "test_meter.toml").write_text(apart, encoding="utf-8")
    plan = plan_reads(load_profile("test_meter", tmp_path))
    assert [(block.address, block.count) for block in plan.billing] == [(0, 2), (10, 2)]
    (tmp_path / "test_meter.toml").write_text(apart + "[[blocks]]\naddress = 0\ncount = 12\n", encoding="utf-8")
    plan = plan_reads(load_profile("test_meter", tmp_path))
    assert [(block.address, block.count) for block in plan.billing] == [(0, 12)]


def test_telemetry_block_as_long_as_the_billing_block_is_split(tmp_path: Path) -> None:
    text = GOOD.replace("address = 4", "address = 40").replace('type = "i64"', 'type = "i32"')
    text += '[[points]]\nobis = "14.7.0"\naddress = 42\ntype = "u32"\nscale = "1/100"\nunit = "Hz"\n'
    (tmp_path / "test_meter.toml").write_text(text, encoding="utf-8")
    plan = plan_reads(load_profile("test_meter", tmp_path))
    assert [(block.address, block.count) for block in plan.billing] == [(0, 4)]
    assert [(block.address, block.count) for block in plan.telemetry] == [(40, 2), (42, 2)]
