"""``gridledger edge replay``: what meters on real lines sent is decoded again, by the same profile and by others."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from edge.config import RawWordsLimits
from edge.lines import LineConfig
from edge.meters import MeterConfig, SamplePolicy, build_lines, close_lines
from edge.raw_words import ProfileVersion, RawWords, StoredReading
from edge.readers import RawAnswer
from edge.replay import replay
from edge.sampling import Sampling
from firmware_profiles import FOLDER, ModbusProfile, load_profile
from gridcore.quality import FLAG_FROZEN
from gridledger.cli import main
from simulators.meters import MeterFleet, VirtualMeter
from tests.unit.edge_agent.edge_world import FIRST_S, SLOT_S, write_config

SDM630 = (FOLDER / "eastron_sdm630.toml").read_text("utf-8")
SLOTS = 3


async def keep_slots(folder: Path, fleet: MeterFleet, framer: str, profile_id: str) -> None:
    """Read the fleet's one meter at SLOTS boundaries, as the agent does, and keep the words."""
    profile = load_profile(profile_id)
    ring = RawWords(folder / "outbox.sqlite.raw", RawWordsLimits(), {1: ProfileVersion(profile.id, profile.digest)})
    (end,) = await fleet.start()
    place: dict[str, Any] = {"serial": Path(end.device)} if end.device else {"host": end.host, "port": end.port}
    at: dict[str, Any] = {"address": "000000000001"} if framer == "dlt645" else {"unit_id": 1}
    meter = MeterConfig(1, "M-1", "l", profile_id, 1_000_000, **at)
    lines = build_lines([LineConfig("l", framer=framer, **place)], [meter], {profile_id: profile})
    try:
        for slot in range(SLOTS):
            fleet.set_registers([1_000 + 10 * slot], [50])
            sampling = Sampling(lines, FIRST_S + slot * SLOT_S, policy=SamplePolicy(window_ms=20_000))
            found = await sampling.first_pass()
            assert not found.absent
            ring.keep([found])
    finally:
        ring.close()
        await close_lines(lines)
        await fleet.close()


async def told(capsys: pytest.CaptureFixture[str], status: int, *words: str) -> dict[str, Any]:
    """What the command says."""
    assert await asyncio.to_thread(main, ["edge", "replay", *words, "--json"]) == status
    return dict(json.loads(capsys.readouterr().out))


def version(folder: Path, name: str, *changes: tuple[str, str]) -> str:
    """A changed copy of the SDM630's profile; where it lies."""
    text = SDM630
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    (folder / name).write_text(text)
    return str(folder / name)


async def test_another_version_shows_what_differs_by_meter_and_boundary(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = ("--config", str(write_config(tmp_path)))
    fleet = MeterFleet([VirtualMeter("M-1", "l", 1, load_profile("eastron_sdm630", kind=ModbusProfile))])
    await keep_slots(tmp_path, fleet, "socket", "eastron_sdm630")
    before = (tmp_path / "outbox.sqlite.raw").read_bytes()
    same = await told(capsys, 0, *config)
    assert (same["readings"], same["readings_that_differ"], same["differences"]) == (SLOTS, 0, [])

    tenth = version(tmp_path, "tenth.toml", ('"1000/1"', '"100/1"'), ('"99999"', '"9999.9"'))
    found = await told(capsys, 1, *config, "--profile", tenth)
    rows = [(row["boundary_s"], row["meter"], row["point"], row["now_wh"]) for row in found["differences"]]
    assert rows == [(FIRST_S + slot * SLOT_S, "M-1", "1.8.0", 100) for slot in range(SLOTS)]
    assert [row["then_wh"] for row in found["differences"]] == [1_000, 1_010, 1_020]
    (change,) = found["profiles"]
    assert change["then"] != change["now"]
    assert change["then"].startswith("eastron_sdm630 ")

    one = await told(capsys, 1, *config, "--profile", tenth, "--from-s", str(FIRST_S + 1), "--to-s", str(FIRST_S + 900))
    assert [row["boundary_s"] for row in one["differences"]] == [FIRST_S + SLOT_S]
    elsewhere = version(tmp_path, "elsewhere.toml", ("address = 0x48", "address = 0x200"))
    (row, *_) = (await told(capsys, 1, *config, "--profile", elsewhere))["differences"]
    assert (row["now_wh"], row["detail"]) == (None, "register 4:0x0200 was not read then")
    assert await asyncio.to_thread(main, ["edge", "replay", *config, "--profile", tenth]) == 1
    shown = capsys.readouterr().out
    assert f"{SLOTS} readings decoded again, {SLOTS} differ; nothing was signed or changed" in shown
    assert (tmp_path / "outbox.sqlite.raw").read_bytes() == before


async def test_words_of_a_serial_dlt645_meter_decode_to_what_was_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_config(tmp_path, _profile='"dlt645_2007"')
    text = path.read_text().replace('host = "127.0.0.1"\nport = 9', 'serial = "/dev/ttyUSB0"\nframer = "dlt645"')
    path.write_text(text.replace("unit_id = 1", 'address = "000000000001"'))
    fleet = MeterFleet([VirtualMeter("M-1", "l", 1)], framer="dlt645", medium="pty")
    await keep_slots(tmp_path, fleet, "dlt645", "dlt645_2007")
    found = await told(capsys, 0, "--config", str(path))
    assert (found["readings"], found["readings_that_differ"]) == (SLOTS, 0)
    modbus = await told(capsys, 1, "--config", str(path), "--profile", "eastron_sdm630")
    assert {row["detail"] for row in modbus["differences"]} == {
        "register 4:0x0048 was not read then",
        "register 4:0x004a was not read then",
    }


async def test_words_that_were_no_reading_are_shown_where_they_are_one_now(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A profile that took the register for one with "no value" at 0: mended, the meter had said 0 Wh all the time."""
    config = ("--config", str(write_config(tmp_path)))
    told_no_value = version(
        tmp_path,
        "wrong.toml",
        ('id = "eastron_sdm630"', 'id = "wrong"'),
        ("address = 0x48", "nan = [0]\naddress = 0x48"),
    )
    profile = load_profile("wrong", tmp_path, kind=ModbusProfile)
    meter = MeterConfig(1, "M-1", "l", profile.id, 1_000_000, 1)
    fleet = MeterFleet([VirtualMeter("M-1", "l", 1, load_profile("eastron_sdm630", kind=ModbusProfile))])
    (end,) = await fleet.start()
    fleet.set_registers([0], [50])
    lines = build_lines([LineConfig("l", end.host, end.port)], [meter], {profile.id: profile})
    ring = RawWords(tmp_path / "outbox.sqlite.raw", RawWordsLimits(), {1: ProfileVersion(profile.id, profile.digest)})
    found = await Sampling(lines, FIRST_S, policy=SamplePolicy(window_ms=20_000)).first_pass()
    assert [absence.reason for absence in found.absent] == ["quarantined"]
    ring.keep([found])
    ring.close()
    await close_lines(lines)
    await fleet.close()
    mended = await told(capsys, 1, *config)
    rows = [(row["point"], row["then_wh"], row["now_wh"]) for row in mended["differences"]]
    assert (mended["readings"], rows) == (1, [("1.8.0", None, 0), ("2.8.0", None, 50)])
    assert await asyncio.to_thread(main, ["edge", "replay", *config]) == 1
    assert " - " in capsys.readouterr().out
    same = await told(capsys, 0, *config, "--profile", told_no_value)
    assert (same["readings"], same["readings_that_differ"]) == (1, 0)


def test_load_record_decodes_again_to_what_was_fetched() -> None:
    profile = load_profile("dlt645_2007")
    content = bytes.fromhex("3012290326" + "aaaaaa" + "78563412" + "89000000" + "ff" * 8 + "aaaaaa")
    record = b"\xa0\xa0" + bytes((len(content),)) + content
    answer = RawAnswer("06040001", record + bytes((sum(record) % 256, 0xE5)))
    then = StoredReading(
        FIRST_S, 1, "M-1", ProfileVersion(profile.id, profile.digest), 0, FLAG_FROZEN, (123_456_780, 890), (answer,)
    )
    assert [(row.obis, row.now_wh, row.differs) for row in replay([then], lambda _: profile)] == [
        ("1.8.0", 123_456_780, False),
        ("2.8.0", 890, False),
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "there are no raw words; the agent keeps them from its first reading on"),
        (["--meter", "M-9"], "--meter 'M-9' is not in "),
        (["--profile", "eastron_sdm63"], "did you mean 'eastron_sdm630'?"),
        (["--profile", "none.toml"], "none.toml: cannot be read (No such file or directory); check --profile"),
        (["--profile", "huawei_sun2000"], "informs only, it has nothing to bill"),
        (["--from-s", "tomorrow"], "is not a whole number"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["edge", "replay", "--config", str(write_config(tmp_path)), *words]) == 2
    assert said in capsys.readouterr().err
