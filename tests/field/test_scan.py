"""``gridledger edge scan``: which devices a bus has, and which of them are known models."""

from __future__ import annotations

import asyncio
import json

import pytest

from firmware_profiles import ModbusProfile, load_profile
from gridledger.cli import main
from simulators.meters import MeterFleet, VirtualMeter

HOST = "127.0.0.1"
ABB = load_profile("abb_b23", kind=ModbusProfile)
SDM = load_profile("eastron_sdm630", kind=ModbusProfile)


def fleet_of(framer: str = "socket", medium: str = "tcp") -> MeterFleet:
    """A meter that tells its model at unit 2, one of another make at unit 5."""
    meters = [VirtualMeter("M-1", "L", 2, ABB), VirtualMeter("M-2", "L", 5, SDM)]
    return MeterFleet(meters, framer=framer, medium=medium)


@pytest.mark.parametrize(
    ("framer", "medium", "words"),
    [("socket", "tcp", []), ("rtu", "tcp", ["--framer", "rtu"]), ("rtu", "pty", ["--parity", "none"])],
)
async def test_devices_that_answer_are_found_and_a_known_model_is_named(
    framer: str, medium: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    fleet = fleet_of(framer, medium)
    (end,) = await fleet.start()
    fleet.set_registers([1_000, 2_000], [0, 0])
    try:
        address = f"rtu:{end.device}" if medium == "pty" else f"tcp://{HOST}:{end.port}"
        command = ["edge", "scan", address, "--units", "1-6", "--timeout-ms", "300", *words]
        assert await asyncio.to_thread(main, [*command, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)["devices"]
        assert [device["unit_id"] for device in found] == [2, 5]
        assert "abb_b23" in found[0]["profiles"]
        assert found[0]["serial"] == "1000000"
        assert "abb_b23" not in found[1]["profiles"]
        assert await asyncio.to_thread(main, command) == 0
        assert "unit 2    abb_b23" in capsys.readouterr().out
    finally:
        await fleet.close()


async def test_a_line_without_devices_is_a_negative_answer(capsys: pytest.CaptureFixture[str]) -> None:
    fleet = fleet_of()
    (end,) = await fleet.start()
    try:
        words = ["edge", "scan", f"tcp://{HOST}:{end.port}", "--units", "7-8", "--timeout-ms", "50"]
        assert await asyncio.to_thread(main, words) == 1
    finally:
        await fleet.close()
    assert "nothing answers at" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tcp://127.0.0.1", "--units", "9-3"], "unit ids go from 0 to 255, the first one first"),
        (["tcp://127.0.0.1", "--units", "all"], "write FIRST-LAST, such as 1-247"),
        (["127.0.0.1"], "is no address of a meter; write tcp://HOST:PORT"),
        (["rtu:/dev/nobody-has-this"], "/dev/nobody-has-this"),
        (["tcp://127.0.0.1:1"], "127.0.0.1:1"),
    ],
)
def test_a_mistake_is_one_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["edge", "scan", *words]) in (1, 2)
    told = capsys.readouterr().err
    assert said in told
    assert len(told.splitlines()) == 1
