"""Virtual meters on real sockets, read by our agent's line, by mbpoll and by pymodbus, fault by fault."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from edge.lines import SILENT_REQUESTS_MAX, LineConfig
from edge.meters import MeterConfig, MeterLine, SamplePolicy, build_lines, close_lines
from edge.probe import PROBE_LIMIT_WH, probe_meter
from edge.probe_trouble import UnreachedError
from edge.probed import ProbeReport
from edge.readers import LineDownError, NoAnswerError
from edge.readers.modbus import ModbusLine
from edge.samples import Sample
from edge.sampling import Sampling
from firmware_profiles import Identity, ModbusProfile, load_profile
from gridcore.errors import GridError
from simulators.meters import Fault, MeterFleet, VirtualMeter, assign_lines
from simulators.meters.registers import RegisterImage
from simulators.meters.station import Quantities
from tests.waiting import until

SDM = replace(load_profile("eastron_sdm630", kind=ModbusProfile), timeout_ms=80)
ACREL = replace(load_profile("acrel_adl400", kind=ModbusProfile), timeout_ms=80)
PROFILES = {SDM.id: SDM, ACREL.id: ACREL}
POLICY = SamplePolicy(attempts_max=2, backoff_ms=10, window_ms=5000)


@asynccontextmanager
async def _fleet(
    meters: list[VirtualMeter], framer: str = "socket"
) -> AsyncIterator[tuple[MeterFleet, tuple[MeterLine, ...]]]:
    fleet = MeterFleet(meters, framer=framer)
    endpoints = await fleet.start()
    lines = build_lines(
        [LineConfig(e.line, e.host, e.port, framer, connect_timeout_ms=200, drain_ms=60) for e in endpoints],
        [
            MeterConfig(n, m.meter, m.line, m.profile.id if m.profile else "", 5000, m.unit_id)
            for n, m in enumerate(meters)
        ],
        PROFILES,
    )
    try:
        yield fleet, lines
    finally:
        await close_lines(lines)
        await fleet.close()


def _mixed(count: int, per_line: int = 31) -> list[VirtualMeter]:
    names: list[tuple[str, ModbusProfile]] = [(f"M{n:03d}", ACREL if n % 3 == 0 else SDM) for n in range(count)]
    return assign_lines(names, per_line=per_line)


async def _sampled(lines: Sequence[MeterLine], boundary_s: int, *, policy: SamplePolicy) -> Sample:
    return await Sampling(lines, boundary_s, policy=policy).first_pass()


def _wire(line: MeterLine) -> ModbusLine:
    """The line itself, past its meters."""
    assert isinstance(line.line, ModbusLine)
    return line.line


def _registers(sample: Sample) -> dict[str, tuple[int, ...]]:
    return {reading.meter: reading.registers_wh for reading in sample.meters}


async def test_a_feeder_of_154_meters_is_read_twice_over_at_each_boundary() -> None:
    meters = _mixed(154)
    async with _fleet(meters) as (fleet, lines):
        assert [len(line.meters) for line in lines] == [31, 31, 31, 31, 30]
        for boundary in range(3):
            imported = [1_000_000 + 1_237 * n + 400 * boundary for n in range(154)]
            exported = [50_000 + 11 * n for n in range(154)]
            fleet.set_registers(imported, exported)
            sample = await _sampled(lines, boundary * 900, policy=POLICY)
            assert sample.absent == ()
            assert [reading.number for reading in sample.meters] == list(range(154))
            assert _registers(sample) == {
                meter.meter: (imported[n] // 10 * 10, exported[n] // 10 * 10) for n, meter in enumerate(meters)
            }
        assert fleet.requests() == 3 * 2 * 154


@pytest.mark.parametrize("framer", ["socket", "rtu"])
async def test_dead_meter_stops_nothing_else_on_its_line(framer: str) -> None:
    async with _fleet(_mixed(8, per_line=4), framer) as (fleet, lines):
        fleet.set_registers([1000] * 8, [500] * 8)
        fleet.set_fault("M001", Fault(silent=True))
        fleet.set_fault("M006", Fault(exception=4))
        for boundary in range(2):
            sample = await _sampled(lines, boundary, policy=POLICY)
            assert len(sample.meters) == 6
            assert [(item.meter, item.reason) for item in sample.absent] == [("M001", "no_answer"), ("M006", "refused")]
        fleet.set_fault("M001", None)
        fleet.set_fault("M006", None)
        sample = await _sampled(lines, 2, policy=POLICY)
        assert len(sample.meters) == 8


async def test_line_that_is_cut_fails_alone_and_is_found_again() -> None:
    async with _fleet(_mixed(6, per_line=3)) as (fleet, lines):
        fleet.set_registers([1000] * 6, [0] * 6)
        assert len((await _sampled(lines, 0, policy=POLICY)).meters) == 6
        port = _wire(lines[0]).config.port
        await fleet.cut_line("line-1")
        sample = await _sampled(lines, 1, policy=POLICY)
        assert [item.meter for item in sample.meters] == ["M003", "M004", "M005"]
        assert [item.reason for item in sample.absent] == ["line_down"] * 3
        again = MeterFleet([meter for meter in fleet.meters if meter.line == "line-1"])
        again.set_registers([1000] * 3, [0] * 3)
        await again.start(ports={"line-1": port})
        try:
            assert len((await _sampled(lines, 2, policy=POLICY)).meters) == 6
        finally:
            await again.close()


async def test_late_answer_over_modbus_tcp_is_dropped_by_its_number() -> None:
    async with _fleet(_mixed(2)) as (fleet, lines):
        fleet.set_registers([1000, 2000], [0, 0])
        fleet.set_fault("M000", Fault(late_ms=110, requests=1))
        sample = await _sampled(lines, 0, policy=replace(POLICY, backoff_ms=60))
        assert _registers(sample) == {"M000": (1000, 0), "M001": (2000, 0)}
        assert [reading.attempts for reading in sample.meters] == [2, 1]


async def test_meter_without_value_and_meter_that_goes_back_give_no_reading() -> None:
    async with _fleet(_mixed(4)) as (fleet, lines):
        fleet.set_registers([90_000] * 4, [0] * 4)
        fleet.set_fault("M001", Fault(shows="no_value"))
        fleet.set_fault("M003", Fault(back_wh=10))  # M003 has the integer map
        sample = await _sampled(lines, 0, policy=POLICY)
        assert [item.meter for item in sample.meters] == ["M000", "M002"]
        assert [(item.meter, item.reason) for item in sample.absent] == [
            ("M001", "quarantined"),
            ("M003", "suspect"),
        ]


async def test_register_back_since_the_last_boundary_is_reported_as_it_stands() -> None:
    """The ledger judges the row; the edge hides nothing that the meter shows twice."""
    async with _fleet(_mixed(1)) as (fleet, lines):
        for shown in (5000, 3000):
            fleet.set_registers([shown], [0])
            assert _registers(await _sampled(lines, 0, policy=POLICY)) == {"M000": (shown, 0)}


async def test_registers_start_again_at_their_modulus() -> None:
    async with _fleet(_mixed(1)) as (fleet, lines):
        fleet.set_registers([ACREL.point("1.8.0").modulus_wh + 1239], [0])
        assert _registers(await _sampled(lines, 0, policy=POLICY)) == {"M000": (1230, 0)}


async def test_fleet_names_a_port_in_use() -> None:
    first, second = MeterFleet(_mixed(1)), MeterFleet(_mixed(1))
    (endpoint,) = await first.start()
    with pytest.raises(GridError, match=f"port {endpoint.port} on 127.0.0.1 cannot be opened"):
        await second.start(ports={"line-1": endpoint.port})
    await first.close()


async def test_line_without_server_says_that_it_is_down() -> None:
    fleet = MeterFleet(_mixed(1))
    (endpoint,) = await fleet.start()
    await fleet.close()
    line = ModbusLine(LineConfig("L", endpoint.host, endpoint.port, connect_timeout_ms=200))
    with pytest.raises(LineDownError, match=rf"no connection to 127.0.0.1:{endpoint.port} \(Connection refused\)$"):
        await line.read_words(1, 3, 0, 2)


async def test_connection_lost_in_mid_request_is_noticed_at_once() -> None:
    async with _fleet(_mixed(1)) as (fleet, lines):
        fleet.set_fault("M000", Fault(silent=True))
        request = asyncio.create_task(_wire(lines[0]).read_words(1, 3, 0x0A, 2, timeout_ms=60_000))
        await until(fleet.requests)  # the request is with the meter
        await fleet.cut_line("line-1")
        with pytest.raises(NoAnswerError, match="connection was lost"):
            await asyncio.wait_for(request, 5)


async def test_half_dead_connection_is_replaced_after_a_few_silent_requests() -> None:
    async with _fleet(_mixed(2)) as (fleet, lines):
        line = _wire(lines[0])
        fleet.set_fault("M000", Fault(silent=True))
        for _ in range(SILENT_REQUESTS_MAX + 1):
            with pytest.raises(NoAnswerError):
                await line.read_words(1, 3, 0x0A, 2, timeout_ms=15)
        assert await line.read_words(2, 4, 0x46, 2, timeout_ms=1000)
        assert fleet.accepted("line-1") == 2


async def test_cancelled_request_leaves_no_answer_for_the_next_one() -> None:
    async with _fleet(_mixed(2), "rtu") as (fleet, lines):
        fleet.set_registers([7000, 7000], [0, 0])
        fleet.set_fault("M000", Fault(late_ms=250, requests=1))
        request = asyncio.create_task(_wire(lines[0]).read_words(1, 3, 0x0A, 2, timeout_ms=5000))
        await until(fleet.requests)  # the request is with the meter
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        assert list(await _wire(lines[0]).read_words(1, 3, 0x14, 2, timeout_ms=5000)) == [0, 0]


# -- conformance: other people's clients and server -------------------------------------------------------------------

MBPOLL = shutil.which("mbpoll")
needs_mbpoll = pytest.mark.skipif(MBPOLL is None, reason="mbpoll is missing: apt-get install mbpoll")


async def _mbpoll(port: int, unit_id: int, *arguments: str) -> list[str]:
    """Run mbpoll once and return the values it prints, as text."""
    command = ["mbpoll", "-m", "tcp", "-p", str(port), "-a", str(unit_id), "-0", "-1", "-q", *arguments, "127.0.0.1"]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return re.findall(r"^\[\d+\]:\s+(\S+)", out.decode(), re.MULTILINE)


@pytest.mark.external
@needs_mbpoll
async def test_mbpoll_reads_the_same_values() -> None:
    async with _fleet(_mixed(2)) as (fleet, lines):
        fleet.set_registers([1_234_567, 9_113_500], [89_990, 42], power_w=[1500.0, -800.0], voltage_v=[229.5, 231.25])
        port = _wire(lines[0]).config.port
        sample = _registers(await _sampled(lines, 0, policy=POLICY))
        # integer map: 32-bit, most significant word first (-B), 0.01 kWh
        imported, *_, exported = await _mbpoll(port, 1, "-t", "4:int", "-B", "-r", "10", "-c", "6")
        assert (int(imported) * 10, int(exported) * 10) == sample["M000"] == (1_234_560, 89_990)
        assert await _mbpoll(port, 1, "-t", "4", "-r", "97", "-c", "3") == ["2295"] * 3
        # float map: input registers, kWh
        imported, exported = await _mbpoll(port, 2, "-t", "3:float", "-B", "-r", "72", "-c", "2")
        assert (round(float(imported) * 1000), round(float(exported) * 1000)) == sample["M001"] == (9_113_500, 40)
        assert float((await _mbpoll(port, 2, "-t", "3:float", "-B", "-r", "52", "-c", "1"))[0]) == -800.0


def _words_of(data: bytes) -> list[int]:
    return [int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2)]


def _sim_device(unit_id: int, profile: ModbusProfile, quantities: Quantities) -> SimDevice:
    """The registers of a virtual meter, served by pymodbus' own simulator."""
    image = RegisterImage(profile)
    image.show(quantities)
    registers = []
    for address in sorted({word for point in profile.points for word in point.registers}):
        data = image.read(profile.modbus.function_code, address, 1)
        assert data is not None
        registers.append(SimData(address, values=_words_of(data), datatype=DataType.REGISTERS))
    return SimDevice(unit_id, registers)


async def test_pymodbus_server_and_our_responder_give_the_same_reading() -> None:
    state = Quantities(4_321_098, 76_543, power_w=2_000.0, voltage_v=233.0)
    async with _fleet(_mixed(2)) as (fleet, lines):
        fleet.set_registers([state.import_wh] * 2, [state.export_wh] * 2)
        ours = await _sampled(lines, 0, policy=POLICY)
        server = ModbusTcpServer([_sim_device(1, ACREL, state), _sim_device(2, SDM, state)], address=("127.0.0.1", 0))
        await server.serve_forever(background=True)
        listener: object = server.transport
        assert isinstance(listener, asyncio.Server)
        port = listener.sockets[0].getsockname()[1]
        meters = [meter.config for meter in lines[0].meters]
        theirs_lines = build_lines([LineConfig("line-1", "127.0.0.1", port)], meters, PROFILES)
        try:
            theirs = await _sampled(theirs_lines, 0, policy=POLICY)
        finally:
            await close_lines(theirs_lines)
            await server.shutdown()  # type: ignore[no-untyped-call] # pymodbus annotates no result
    assert _registers(ours) == _registers(theirs) == {"M000": (4_321_090, 76_540), "M001": (4_321_090, 76_540)}


async def test_responder_refuses_what_the_meter_does_not_have() -> None:
    async with _fleet(_mixed(1)) as (_, lines):
        client = AsyncModbusTcpClient("127.0.0.1", port=_wire(lines[0]).config.port, retries=0, timeout=1)
        assert await client.connect()
        answers = {
            "register outside": await client.read_holding_registers(0x2000, count=2, device_id=1),
            "hole between registers": await client.read_holding_registers(0x14, count=20, device_id=1),
            "other function's table": await client.read_input_registers(0x0A, count=2, device_id=1),
            "write": await client.write_register(0x0A, 1, device_id=1),
            "unknown unit": await client.read_holding_registers(0x0A, count=2, device_id=99),
        }
        client.close()
    codes = {what: getattr(answer, "exception_code", None) for what, answer in answers.items()}
    assert codes == {
        "register outside": 2,
        "hole between registers": 2,
        "other function's table": 2,
        "write": 1,
        "unknown unit": 11,
    }


# -- probe ------------------------------------------------------------------------------------------------------------


async def probe(lines: tuple[MeterLine, ...], profile: ModbusProfile) -> ProbeReport:
    """The meter of unit 5, over a connection of its own."""
    row = MeterConfig(0, "P", "line", profile.id, PROBE_LIMIT_WH, 5)
    return await probe_meter(_wire(lines[0]).config, row, profile)


@pytest.mark.parametrize("profile", [SDM, ACREL], ids=["sdm630", "adl400"])
async def test_probe_of_a_healthy_meter_is_fine_at_every_point(profile: ModbusProfile) -> None:
    meter = VirtualMeter("P", "line", 5, profile)
    async with _fleet([meter]) as (fleet, lines):
        fleet.set_registers([1_500_000], [20_000], power_w=[3000.0])
        report = await probe(lines, profile)
    assert report.is_fine, report.as_table()
    assert [point.obis for point in report.points if point.obis in ("1.8.0", "2.8.0")] == ["1.8.0", "2.8.0"]
    values = {point.obis: point.value for point in report.points}
    assert [values["1.8.0"], values["14.7.0"], values["16.7.0"]] == [1_500_000, 50, 3000]
    assert all(point.raw and point.latency_ms >= 0 for point in report.points)


async def test_probe_with_the_wrong_profile_says_so() -> None:
    async with _fleet([VirtualMeter("P", "line", 5, ACREL)]) as (fleet, lines):
        fleet.set_registers([1_500_000], [20_000])
        with pytest.raises(UnreachedError, match=r"exception 2 .*has nothing of this profile: another model\?"):
            await probe(lines, SDM)


async def test_probe_names_values_out_of_bounds_and_registers_without_value() -> None:
    async with _fleet([VirtualMeter("P", "line", 5, SDM)]) as (fleet, lines):
        fleet.set_registers([1_500_000], [20_000], voltage_v=[400.0])
        fleet.set_fault("P", Fault(shows="no_value"))
        report = await probe(lines, SDM)
    verdicts = {point.obis: point.verdict for point in report.points}
    assert (verdicts["32.7.0"], verdicts["1.8.0"], verdicts["14.7.0"]) == ("high", "missing", "ok")
    assert not report.is_fine


def _marked(*expect: int) -> ModbusProfile:
    """ACREL with its CT ratio as identity."""
    identity = (Identity(address=0x8E, type="u16", expect=expect),)
    return replace(ACREL, modbus=replace(ACREL.modbus, identity=identity))


async def test_probe_finds_another_model_by_its_identity_register() -> None:
    marked = _marked(60)
    async with _fleet([VirtualMeter("P", "line", 5, marked)]) as (fleet, lines):
        fleet.set_registers([10], [10])
        other = await probe(lines, marked)
        same = await probe(lines, _marked(1, 2))
    assert [(item.verdict, item.detail) for item in other.identity] == [("mismatch", "1 instead of 60")]
    assert not other.is_fine
    assert same.is_fine
