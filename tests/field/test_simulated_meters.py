"""Other people's clients read our simulated meters: every block that they know, over sockets and over serial lines."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from firmware_profiles import ModbusProfile, load_profile
from simulators.meters import LineEndpoint, MeterFleet, VirtualMeter, Wire
from tests.external import find_program
from tests.field.peers import ask_peer

SDM = load_profile("eastron_sdm630", kind=ModbusProfile)
ADDRESS = 123_456_789_012

pytestmark = pytest.mark.external


@asynccontextmanager
async def _serving(
    meters: Sequence[VirtualMeter], framer: str, medium: str = "tcp", wire: Wire | None = None
) -> AsyncIterator[LineEndpoint]:
    fleet = MeterFleet(meters, framer=framer, medium=medium, wire=wire)
    (endpoint,) = await fleet.start()
    count = len(meters)
    fleet.set_registers([1_234_560] * count, [89_990] * count, [3000.0] * count, [231.0] * count)
    try:
        yield endpoint
    finally:
        await fleet.close()


async def test_sdm_modbus_reads_everything_it_knows_of_an_sdm630() -> None:
    async with _serving([VirtualMeter("A", "bus", 7, SDM)], "socket") as endpoint:
        told = await ask_peer("ask_sdm_modbus", str(endpoint.port), "7")
    values = {**told["input"], **told["holding"]}
    assert sorted(values) == told["known"]
    assert {name: round(values[name], 2) for name in ("import_energy_active", "export_energy_active")} == {
        "import_energy_active": 1234.56,
        "export_energy_active": 89.99,
    }
    assert [round(values[f"l{n}_power_active"]) for n in (1, 2, 3)] == [1000] * 3
    assert (values["l1_voltage"], values["frequency"], values["total_power_active"]) == (231.0, 50.0, 3000.0)
    assert (round(values["l12_voltage"], 1), round(values["total_energy_active"], 2)) == (400.1, 1324.55)
    assert (values["serial_number"], values["baud"], values["system_type"]) == (1_000_000, 2, 3)


@pytest.mark.parametrize("medium", ["tcp", "pty"])
async def test_dlt645_client_reads_energies_and_addresses(medium: str) -> None:
    meter = VirtualMeter("A", "bus", ADDRESS, turnaround_ms=20)
    async with _serving([meter], "dlt645", medium, Wire(2400) if medium == "pty" else None) as endpoint:
        place = ["rtu", endpoint.device] if medium == "pty" else ["tcp", str(endpoint.port)]
        told = await ask_peer("ask_dlt645", *place, str(ADDRESS), "00010000", "00020000", "02030000", "04000401")
    assert told == {
        "address": str(ADDRESS),
        "values": {"00010000": "1234.56", "00020000": "89.99", "02030000": "3.0", "04000401": str(ADDRESS)},
    }


async def _mbpoll(device: str, unit_id: int, *arguments: str) -> list[str]:
    """Run mbpoll once on a serial line and return the values it prints, as text."""
    command = [
        "mbpoll",
        "-m",
        "rtu",
        "-b",
        "9600",
        "-P",
        "none",
        "-a",
        str(unit_id),
        "-0",
        "-1",
        "-q",
        *arguments,
        device,
    ]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return re.findall(r"^\[\d+\]:\s+(\S+)", out.decode(), re.MULTILINE)


@pytest.mark.skipif(find_program("mbpoll") is None, reason="mbpoll is missing: apt-get install mbpoll")
@pytest.mark.parametrize("unit_id", [1, 31])
async def test_mbpoll_reads_a_meter_on_a_serial_line_of_31(unit_id: int) -> None:
    meters = [VirtualMeter(f"M{n}", "bus", n, SDM, turnaround_ms=10) for n in range(1, 32)]
    async with _serving(meters, "rtu", "pty", Wire(9600)) as endpoint:
        energies = await _mbpoll(endpoint.device, unit_id, "-t", "3:float", "-B", "-r", "72", "-c", "2")
        voltages = await _mbpoll(endpoint.device, unit_id, "-t", "3:float", "-B", "-r", "0", "-c", "3")
    assert (energies, voltages) == (["1234.56", "89.99"], ["231"] * 3)
