"""Meters that stand elsewhere than the table says: exchanged addresses, exchanged meters, a gateway that ignores the address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice
from structlog.testing import capture_logs

from edge.bindings import DAY_S, Bindings
from edge.lines import LineConfig
from edge.memory import Memories
from edge.meters import MeterConfig, MeterLine, build_lines, close_lines
from edge.readers import NoAnswerError
from firmware_profiles import ModbusProfile, load_profile
from gridcore.quality import MEASURED, SUSPECT
from simulators.meters import Fault, MeterFleet, VirtualMeter
from tests.field.field_world import POLICY, Boundary, libmodbus_server, sample
from tests.field.peers import serving

ABB = replace(load_profile("abb_b23", kind=ModbusProfile), timeout_ms=300)
"""A meter that tells its serial number."""
HOST = "127.0.0.1"
SHORT = replace(POLICY, window_ms=300)
LIMIT_WH = 5_000


class Line:
    """Three meters on one line; the agent reads them at boundaries and asks who they are behind each."""

    def __init__(self, fleet: MeterFleet, config: LineConfig, line: MeterLine, memory: Path) -> None:
        self.fleet, self.config, self.line, self.memory = fleet, config, line, memory
        self.start()
        self.boundary_s = 0

    def start(self) -> None:
        """Start the agent (anew): it knows what its file says."""
        self.memories = Memories(self.memory)
        self.bindings = Bindings([self.line], self.memories)

    async def boundary(self, *, after_s: int = 900) -> Boundary:
        """Ask who stands where, then read the next boundary."""
        await self.bindings.check(self.boundary_s, lambda: False)
        self.boundary_s += after_s
        return await sample([self.line], SHORT, self.boundary_s, self.memories, barred=self.bindings.barred)


@asynccontextmanager
async def _line(tmp_path: Path) -> AsyncIterator[Line]:
    fleet = MeterFleet([VirtualMeter(f"M{n}", "L", n, ABB) for n in (1, 2, 3)])
    (endpoint,) = await fleet.start()
    fleet.set_registers([1_000, 2_000, 3_000], [0] * 3)
    rows = [MeterConfig(n, f"M{n}", "L", ABB.id, LIMIT_WH, n) for n in (1, 2, 3)]
    config = LineConfig("L", HOST, endpoint.port, drain_ms=20)
    lines = build_lines([config], rows, {ABB.id: ABB})
    try:
        yield Line(fleet, config, lines[0], tmp_path / "memory")
    finally:
        await close_lines(lines)
        await fleet.close()


async def test_meters_are_bound_when_they_are_seen_first_and_known_after_a_restart(tmp_path: Path) -> None:
    async with _line(tmp_path) as line:
        found = await line.boundary()
        assert found.registers_wh == {"M1": (1_000, 0), "M2": (2_000, 0), "M3": (3_000, 0)}
        line.start()
        assert dict(line.memories.serials) == {1: "1000000", 2: "1000001", 3: "1000002"}
        with capture_logs() as logs:
            await line.boundary()
    assert [entry for entry in logs if entry["event"] in ("meter_bound", "meter_identity")] == []


async def test_two_meters_that_exchanged_their_addresses_are_noticed_and_nothing_of_them_is_signed(
    tmp_path: Path,
) -> None:
    """Both show plausible registers, so nothing but the serial numbers can tell."""
    async with _line(tmp_path) as line:
        await line.boundary()
        line.fleet.exchange_addresses("M1", "M2")
        line.fleet.set_registers([1_500, 1_500, 3_000], [0] * 3)
        with capture_logs() as logs:
            found = await line.boundary(after_s=DAY_S)
            found = await line.boundary()
        assert (list(found.taken), [absence.reason for absence in found.absent.values()]) == (["M3"], ["identity"] * 2)
        told = [entry for entry in logs if entry["event"] == "meter_identity"]
        assert [(entry["meter"], entry["finding"]) for entry in told] == [
            ("M1", "addresses_exchanged"),
            ("M2", "addresses_exchanged"),
        ]
        assert found.absent["M1"].detail == (
            "L/1 answers with serial number 1000001, that of meter M2 (L/2): the two have exchanged their addresses"
        )
        line.fleet.exchange_addresses("M1", "M2")  # mended: found without a restart
        assert set((await line.boundary()).taken) == {"M1", "M2", "M3"}


async def test_exchange_while_the_agent_was_off_is_noticed_at_its_start(tmp_path: Path) -> None:
    async with _line(tmp_path) as line:
        await line.boundary()
        line.fleet.exchange_addresses("M2", "M3")
        line.start()
        assert set((await line.boundary()).taken) == {"M1"}


async def test_exchanged_meter_asks_for_a_new_installation(tmp_path: Path) -> None:
    async with _line(tmp_path) as line:
        await line.boundary()
        line.fleet.replace_meter("M3", 7_654_321)
        await line.boundary(after_s=DAY_S)
        found = await line.boundary()
    assert found.absent["M3"].detail == (
        "L/3 answers with serial number 7654321, not 1000002: register a new installation for it"
    )
    assert found.qualities == {"M1": MEASURED, "M2": MEASURED}


async def test_silence_neither_clears_nor_accuses(tmp_path: Path) -> None:
    async with _line(tmp_path) as line:
        await line.boundary()
        line.fleet.exchange_addresses("M1", "M2")
        await line.boundary(after_s=DAY_S)
        await line.boundary(after_s=DAY_S)
        assert sorted(line.bindings.barred) == [1, 2]
        for meter in ("M1", "M2", "M3"):
            line.fleet.set_fault(meter, Fault(silent=True))
        await line.boundary()
        assert sorted(line.bindings.barred) == [1, 2]


@asynccontextmanager
async def _pymodbus(*serials: int) -> AsyncIterator[int]:
    """pymodbus' server with a meter behind each unit id from 1 on: its serial number, and so many kWh as its last digit."""
    devices = []
    for unit_id, serial in enumerate(serials, 1):
        energy = SimData(0x5000, values=[0, 0, 0, 100 * (serial % 10)] + [0] * 8, datatype=DataType.REGISTERS)
        number = SimData(0x8900, values=[serial >> 16, serial & 0xFFFF], datatype=DataType.REGISTERS)
        devices.append(SimDevice(unit_id, [energy, number]))
    server = ModbusTcpServer(devices, address=(HOST, 0))
    await server.serve_forever(background=True)
    listener: object = server.transport
    assert isinstance(listener, asyncio.Server)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call] # pymodbus annotates no result


@pytest.mark.parametrize(
    ("serials", "found"),
    [
        ((7_000_002, 7_000_001), {1: "addresses_exchanged", 2: "addresses_exchanged"}),
        ((7_000_003, 7_000_002), {1: "another_meter"}),
        ((7_000_002, 7_000_002), {1: "same_meter_twice", 2: "same_meter_twice"}),
    ],
    ids=["addresses exchanged", "a meter exchanged", "one meter at both addresses"],
)
async def test_what_stands_elsewhere_behind_pymodbus_since_the_agent_was_off_is_noticed_before_its_first_boundary(
    tmp_path: Path, serials: tuple[int, int], found: dict[int, str]
) -> None:
    for behind, expected in (((7_000_001, 7_000_002), {}), (serials, found)):
        async with _pymodbus(*behind) as port:
            rows = [MeterConfig(n, f"M{n}", "L", ABB.id, LIMIT_WH, n) for n in (1, 2)]
            lines = build_lines([LineConfig("L", HOST, port)], rows, {ABB.id: ABB})
            memories = Memories(tmp_path / "memory")
            bindings = Bindings(lines, memories)
            with capture_logs() as logs:
                await bindings.check(0, lambda: False)
            taken = (await sample(lines, SHORT, barred=bindings.barred)).registers_wh
            await close_lines(lines)
        named = {int(entry["meter"][1:]): entry["finding"] for entry in logs if entry["event"] == "meter_identity"}
        assert named == expected
        assert sorted(taken) == [f"M{n}" for n in (1, 2) if n not in expected]


async def test_exchange_while_the_agent_was_off_is_noticed_at_a_boundary_that_comes_at_once(tmp_path: Path) -> None:
    """No time was left between start and boundary: who is bound shows its serial number before its reading is signed."""
    async with _line(tmp_path) as line:
        await line.boundary()
        line.fleet.exchange_addresses("M2", "M3")
        line.start()
        found = await sample([line.line], SHORT, 1800, line.memories, proofs=line.bindings)
        assert (found.qualities, {a.reason for a in found.absent.values()}) == ({"M1": MEASURED}, {"identity"})
        again = await sample([line.line], SHORT, 2700, line.memories, barred=line.bindings.barred, proofs=line.bindings)
        assert set(again.taken) == {"M1"}


async def test_meter_that_does_not_show_its_serial_number_in_the_window_is_suspect_and_measured_when_it_does(
    tmp_path: Path,
) -> None:
    async with _line(tmp_path) as line:
        await line.boundary()
        line.start()

        async def mute(until_ms: float) -> str:
            raise NoAnswerError(f"no answer until {until_ms}")

        reader = line.line.meters[1].reader
        told = reader.read_serial
        setattr(reader, "read_serial", mute)  # noqa: B010 - one meter alone loses this ability
        policy = replace(POLICY, window_ms=60_000, attempts_max=4)
        found = await sample([line.line], policy, 1800, line.memories, proofs=line.bindings)
        assert found.qualities == {"M1": MEASURED, "M2": SUSPECT, "M3": MEASURED}
        assert found.taken["M2"].registers_wh == (2_000, 0)
        setattr(reader, "read_serial", told)  # noqa: B010
        found = await sample([line.line], POLICY, 2700, line.memories, proofs=line.bindings)
        assert found.qualities == {"M1": MEASURED, "M2": MEASURED, "M3": MEASURED}


async def test_meter_exchanged_while_it_was_silent_is_noticed_at_the_first_boundary_at_which_it_answers(
    tmp_path: Path,
) -> None:
    async with _line(tmp_path) as line:
        await line.boundary()
        assert (await sample([line.line], SHORT, 1800, line.memories, proofs=line.bindings)).registers_wh.keys() == {
            "M1",
            "M2",
            "M3",
        }
        line.fleet.set_fault("M3", Fault(silent=True))
        await sample([line.line], SHORT, 2700, line.memories, proofs=line.bindings)
        line.fleet.set_fault("M3", None)
        line.fleet.replace_meter("M3", 7_654_321)
        found = await sample([line.line], SHORT, 3600, line.memories, proofs=line.bindings)
    assert found.absent["M3"].detail == (
        "L/3 answers with serial number 7654321, not 1000002: register a new installation for it"
    )
    assert found.qualities == {"M1": MEASURED, "M2": MEASURED}


async def test_meter_of_a_model_that_its_profile_is_not_for_is_named_and_not_signed_for(tmp_path: Path) -> None:
    """By its identity registers, which the probe looks at too."""
    other = replace(ABB, modbus=replace(ABB.modbus, identity=(replace(ABB.modbus.identity[0], expect_text=("C11",)),)))
    async with _line(tmp_path) as line:
        rows = [MeterConfig(1, "M1", "L", ABB.id, LIMIT_WH, 1)]
        (wrong,) = build_lines([line.config], rows, {ABB.id: other})
        bindings = Bindings([wrong], Memories())
        found = await sample([wrong], SHORT, proofs=bindings)
        await close_lines([wrong])
    assert found.taken == {}
    assert found.absent["M1"].detail == (
        "L/1: register 0x8960 says 'B23', which is no model of profile abb_b23: set its profile right"
    )


@pytest.mark.external
async def test_gateway_that_answers_for_every_unit_id_with_one_meter_bills_nothing(tmp_path: Path) -> None:
    """libmodbus ignores the unit id, as many a gateway does."""
    words = ["0000"] * (0x8902 - 0x5000)
    words[3], words[-2:] = "0064", ["0012", "d687"]  # 1 kWh imported; serial number 1234567
    command = [*libmodbus_server(tmp_path), "0", "0", "3", str(0x5000), *words]
    async with serving(command) as port:
        rows = [MeterConfig(n, f"M{n}", "L", ABB.id, LIMIT_WH, n) for n in (1, 2)]
        lines = build_lines([LineConfig("L", HOST, int(port))], rows, {ABB.id: ABB})
        bindings = Bindings(lines, Memories())
        await bindings.check(0, lambda: False)
        found = await sample(lines, SHORT, barred=bindings.barred)
        await close_lines(lines)
    assert {absence.reason for absence in found.absent.values()} == {"identity"}
    assert "serial number 1234567, and so does another address" in found.absent["M1"].detail
