"""Profiles made from what a SunSpec device says of itself, and read by them: pymodbus serves the device."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path

import pytest
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from edge.blocks import plan_blocks
from edge.lines import LineConfig
from edge.meters import MeterConfig
from edge.probe import PROBE_LIMIT_WH, probe_meter
from edge.readers import LineError
from edge.readers.modbus import ModbusLine
from edge.sunspec import read_chain
from firmware_profiles import ModbusProfile, load_profile
from firmware_profiles.decode import decode_point
from firmware_profiles.sunspec import MARK, MODELS_MAX, make_profiles
from gridcore.errors import EncodingError, UsageError
from gridledger.cli import main

UNIT = 1
METER_AT, INVERTER_AT = 40_070, 40_177


def text(value: str, words: int) -> list[int]:
    data = value.encode("ascii").ljust(2 * words, b"\0")
    return [int.from_bytes(data[start : start + 2], "big") for start in range(0, len(data), 2)]


def common() -> list[int]:
    return [
        1,
        66,
        *text("Example Energy", 16),
        *text("Meter 3P", 16),
        *text("", 8),
        *text("1.04", 8),
        *text("SN-0042", 16),
        1,
        0,
    ]


def meter() -> list[int]:
    """Model 203: three phases, integers with powers of ten."""
    words = [0] * 107
    words[:2] = [203, 105]
    words[8:11], words[15] = [2301, 2302, 2303], -1 % 0x10000
    words[3:6], words[6] = [150, 151, 152], -2 % 0x10000
    words[16:18] = [5001, -2 % 0x10000]
    words[18], words[22] = -345 % 0x10000, 1
    words[19:22] = [-100 % 0x10000, -120 % 0x10000, -125 % 0x10000]
    words[38:40], words[46:48], words[54] = [1, 34_119], [0, 39_773], 1
    return words


def inverter() -> list[int]:
    """Model 111: one phase, floats."""
    words = [0] * 62
    words[:2] = [111, 60]
    values = {
        4: 7.5,
        6: float("nan"),
        8: float("nan"),
        16: 231.5,
        18: float("nan"),
        20: float("nan"),
        22: 1725.0,
        24: 50.02,
        32: 12_345_600.0,
    }
    for offset, value in values.items():
        words[offset : offset + 2] = struct.unpack(">HH", struct.pack(">f", value))
    return words


def chain(*models: Sequence[int]) -> list[int]:
    return [*MARK, *(word for model in models for word in model), 0xFFFF, 0]


@asynccontextmanager
async def device(words: Sequence[int], base: int = 40_000) -> AsyncIterator[int]:
    served = SimDevice(UNIT, [SimData(base, values=list(words), datatype=DataType.REGISTERS)])
    server = ModbusTcpServer(served, address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    try:
        listener: object = server.transport
        assert isinstance(listener, asyncio.Server)
        yield listener.sockets[0].getsockname()[1]
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call] # pymodbus


@asynccontextmanager
async def line_to(port: int) -> AsyncIterator[ModbusLine]:
    line = ModbusLine(LineConfig(line="sunspec", host="127.0.0.1", port=port))
    try:
        yield line
    finally:
        await line.close()


async def read(port: int, profile: ModbusProfile) -> dict[str, Fraction | None]:
    found: dict[str, Fraction | None] = {}
    async with line_to(port) as line:
        for block in plan_blocks(profile.points, profile):
            words = await line.read_words(UNIT, block.function_code, block.address, block.count, timeout_ms=5000)
            found |= {point.obis: decode_point(block.words_of(point, words), point) for point in block.points}
    return found


@pytest.mark.parametrize("base", [40_000, 0, 50_000])
async def test_chain_is_found_wherever_the_standard_lets_it_begin(base: int) -> None:
    async with device(chain(common(), meter(), inverter()), base) as port, line_to(port) as line:
        found = await read_chain(line, UNIT)
    assert (found.manufacturer, found.model, found.version, found.serial) == (
        "Example Energy",
        "Meter 3P",
        "1.04",
        "SN-0042",
    )
    assert [(model.model, model.address - base, model.length) for model in found.models] == [
        (1, 2, 66),
        (203, 70, 105),
        (111, 177, 60),
    ]


async def test_generated_profiles_read_the_device_that_they_come_from(tmp_path: Path) -> None:
    async with device(chain(common(), meter(), inverter())) as port:
        async with line_to(port) as line:
            files = make_profiles("example", await read_chain(line, UNIT))
        assert tuple(files) == ("example_203", "example_111")
        for profile_id, content in files.items():
            (tmp_path / f"{profile_id}.toml").write_text(content, encoding="utf-8")
        by_meter = await read(port, load_profile("example_203", tmp_path, kind=ModbusProfile))
        by_inverter = await read(port, load_profile("example_111", tmp_path, kind=ModbusProfile))
        row = MeterConfig(0, "M", "l", "example_203", PROBE_LIMIT_WH, UNIT)
        report = await probe_meter(
            LineConfig("l", "127.0.0.1", port), row, load_profile("example_203", tmp_path, kind=ModbusProfile)
        )
    assert by_meter["1.8.0"] == 397_730
    assert by_meter["2.8.0"] == 10 * (0x1_0000 + 34_119)
    assert by_meter["32.7.0"] == Fraction(2301, 10)
    assert by_meter["71.7.0"] == Fraction(152, 100)
    assert by_meter["16.7.0"] == -3450
    assert by_meter["14.7.0"] == Fraction(5001, 100)
    assert by_inverter["16.7.0"] == -1725
    assert by_inverter["2.8.0"] == 12_345_600
    assert by_inverter["52.7.0"] is None
    assert [(item.obis, item.verdict) for item in report.identity] == [("identity", "ok"), ("serial", "ok")]
    assert report.identity[1].detail == "SN-0042"


async def test_scale_factors_are_read_with_the_value_that_they_scale(tmp_path: Path) -> None:
    async with device(chain(common(), meter())) as port, line_to(port) as line:
        files = make_profiles("example", await read_chain(line, UNIT))
    (tmp_path / "example_203.toml").write_text(files["example_203"], encoding="utf-8")
    profile = load_profile("example_203", tmp_path, kind=ModbusProfile)
    scaled = [point for point in profile.points if point.has_scale_register]
    blocks = plan_blocks(profile.points, profile)
    assert scaled
    assert all(any(point in block.points for block in blocks) for point in scaled)
    assert not profile.billing


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([0, 0, 0], "no SunSpec mark at 40000, 0, 50000"),
        (chain(), "does not begin with the common model"),
        (chain([1, 3, 0, 0, 0]), "does not begin with the common model"),
        ([*MARK, *common(), 500, 0xFFF0], "leads to register"),
    ],
)
async def test_chain_that_is_none_is_refused(words: Sequence[int], reason: str) -> None:
    async with device(words) as port, line_to(port) as line:
        with pytest.raises((EncodingError, LineError), match=reason):
            await read_chain(line, UNIT)


async def test_number_of_models_in_a_chain_is_limited() -> None:
    most = chain(common(), *([160, 0] for _ in range(MODELS_MAX - 1)))
    async with device(most) as port, line_to(port) as line:
        assert len((await read_chain(line, UNIT)).models) == MODELS_MAX
    more = chain(common(), *([160, 0] for _ in range(MODELS_MAX)))
    async with device(more) as port, line_to(port) as line:
        with pytest.raises(EncodingError, match=f"more than {MODELS_MAX} models"):
            await read_chain(line, UNIT)


async def test_device_without_a_known_model_is_named_with_those_it_has() -> None:
    async with device(chain(common(), [160, 2, 0, 0])) as port, line_to(port) as line:
        found = await read_chain(line, UNIT)
    with pytest.raises(UsageError, match=r"of its SunSpec models \(1, 160\) none is an inverter or a meter"):
        make_profiles("example", found)


async def test_command_writes_profiles_that_load(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["profiles", "sunspec", "--id", "example", "--out", str(tmp_path), "--json"]
    async with device(chain(common(), meter())) as port:
        status = await asyncio.to_thread(main, [*words, f"tcp://127.0.0.1:{port}"])
    assert status == 0
    made = json.loads(capsys.readouterr().out)
    assert made["files"] == [str(tmp_path / "example_203.toml")]
    assert load_profile("example_203", tmp_path).vendor == "Example Energy"
