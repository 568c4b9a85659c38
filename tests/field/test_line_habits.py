"""Lines that are not as the book says: each kind seen in the field, over real sockets and a serial line, read all the same.

What is read is what the meter shows; what is refused is named. The lines are simulated ones with one fault each, and servers
that we did not write.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from edge.blocks import plan_reads
from edge.lines import LineConfig
from edge.meters import MeterConfig, MeterLine, SamplePolicy, build_lines, close_lines
from edge.readers import LineDownError, WrongAnswerError
from edge.readers.modbus import ModbusLine, ModbusMeter
from edge.samples import Sample
from edge.sampling import Sampling
from firmware_profiles import ModbusProfile, load_profile
from simulators.meters import Fault, LineFault, MeterFleet, VirtualMeter, Wire, assign_lines

SDM = replace(load_profile("eastron_sdm630", kind=ModbusProfile), timeout_ms=200)
POLICY = SamplePolicy(backoff_ms=20, window_ms=20_000)
TRUTH = (1_234_560, 7_890)


@asynccontextmanager
async def _fleet(
    count: int, framer: str, medium: str = "tcp", wire: Wire | None = None, keys: dict[str, Any] | None = None
) -> AsyncIterator[tuple[MeterFleet, MeterLine]]:
    """Meters M000 … on one line, and the line as the agent has it; ``keys``: more of its table."""
    meters = assign_lines([(f"M{number:03d}", SDM) for number in range(count)], per_line=count)
    fleet = MeterFleet(meters, framer=framer, medium=medium, wire=wire)
    (endpoint,) = await fleet.start()
    place: dict[str, Any] = (
        {"serial": Path(endpoint.device)} if endpoint.device else {"host": endpoint.host, "port": endpoint.port}
    )
    config = LineConfig(
        endpoint.line, framer=framer, **{"connect_timeout_ms": 500, "drain_ms": 100} | place | (keys or {})
    )
    rows = [MeterConfig(n, m.meter, m.line, SDM.id, 5000, m.unit_id) for n, m in enumerate(meters)]
    lines = build_lines([config], rows, {SDM.id: SDM})
    fleet.set_registers([TRUTH[0]] * count, [TRUTH[1]] * count)
    try:
        yield fleet, lines[0]
    finally:
        await close_lines(lines)
        await fleet.close()


async def _sampled(line: MeterLine, policy: SamplePolicy = POLICY) -> Sample:
    """The first pass, and rounds over whoever is missing as long as the window is open."""
    sampling = Sampling([line], 900, policy=policy)
    sample = await sampling.first_pass()
    taken = list(sample.meters)
    while sample.absent and sampling.has_tries_left:
        await asyncio.sleep(sampling.pause_s())
        sample = await sampling.another_round([absence.number for absence in sample.absent])
        taken += sample.meters
    assert all(reading.registers_wh == TRUTH for reading in taken)
    return replace(sample, meters=tuple(taken))


def _read(sample: Sample) -> list[int]:
    return sorted(reading.number for reading in sample.meters)


def _wire(line: MeterLine) -> ModbusLine:
    assert isinstance(line.line, ModbusLine)
    return line.line


@pytest.mark.parametrize(
    ("framer", "fault"),
    [
        ("socket", LineFault(answers_per_connection=1)),
        ("rtu", LineFault(answers_per_connection=1)),
        ("socket", LineFault(gap_ms=150)),
        ("rtu", LineFault(gap_ms=150)),
        ("socket", LineFault(pause_after_connect_ms=400)),
        ("rtu", LineFault(pause_after_connect_ms=400)),
        ("rtu", LineFault(noise=b"\x00")),
        ("rtu", LineFault(noise=b"\x55\xaa\x01\x04\x08\xff")),
        ("rtu", LineFault(echo=True)),
        ("rtu", LineFault(echo=True, noise=b"\x00")),
    ],
)
async def test_line_with_a_habit_of_its_own_is_read_without_being_told(framer: str, fault: LineFault) -> None:
    async with _fleet(3, framer) as (fleet, line):
        fleet.set_line_fault("line-1", fault)
        assert _read(await _sampled(line)) == [0, 1, 2]


@pytest.mark.parametrize(
    ("fault", "keys"),
    [
        (LineFault(gap_ms=150), {"gap_ms": 160}),
        (LineFault(pause_after_connect_ms=400), {"connect_pause_ms": 450}),
    ],
)
async def test_line_whose_habit_stands_in_its_table_is_read_at_the_first_try(
    fault: LineFault, keys: dict[str, int]
) -> None:
    async with _fleet(3, "rtu", keys=keys) as (fleet, line):
        fleet.set_line_fault("line-1", fault)
        sample = await _sampled(line)
        assert [reading.attempts for reading in sample.meters] == [1, 1, 1]
        assert _wire(line).line.drains == 0


@pytest.mark.parametrize(
    ("framer", "fault", "named"),
    [
        ("socket", LineFault(transaction_id_off=1), r"an answer under transaction id 2 was refused, 1 was asked"),
        ("socket", LineFault(unit_id_off=1), r"the answer is of unit 2, not of unit 1"),
        ("rtu", LineFault(unit_id_off=1), r"an answer of unit 2 was refused, unit 1 was asked"),
    ],
)
async def test_answer_under_another_number_is_refused_and_named_in_error_log_and_absence(
    framer: str, fault: LineFault, named: str
) -> None:
    async with _fleet(1, framer) as (fleet, line):
        fleet.set_line_fault("line-1", fault)
        with capture_logs() as lines, pytest.raises(WrongAnswerError, match=named):
            await _wire(line).read_words(1, 4, 0x48, 4, timeout_ms=200)
        assert [entry["event"] for entry in lines if entry["log_level"] == "warning"] == ["answer_refused"]
        sample = await Sampling([line], 900, policy=POLICY).first_pass()
        assert [absence.reason for absence in sample.absent] == ["refused"]
        assert "was refused" in sample.absent[0].detail or "not of unit" in sample.absent[0].detail


async def test_dead_units_behind_a_patient_gateway_starve_nobody() -> None:
    """The gateway waits five times longer for a dead unit than we do, and serves nobody meanwhile."""
    async with _fleet(6, "socket") as (fleet, line):
        fleet.set_line_fault("line-1", LineFault(gateway_timeout_ms=1000))
        fleet.set_fault("M001", Fault(silent=True))
        fleet.set_fault("M002", Fault(silent=True))
        sample = await _sampled(line, SamplePolicy(backoff_ms=20, window_ms=8000))
        assert _read(sample) == [0, 3, 4, 5]
        assert [absence.number for absence in sample.absent] == [1, 2]
        await _wire(line).read_words(1, 4, 0x48, 4, timeout_ms=5000)  # by now the gateway is free again
        sample = await _sampled(line, SamplePolicy(backoff_ms=20, window_ms=8000))
        assert [(reading.number, reading.attempts) for reading in sample.meters] == [(0, 1), (3, 1), (4, 1), (5, 1)]


async def test_where_there_is_no_gateway_a_dead_unit_costs_its_own_time_alone() -> None:
    """By itself the line is given 6 s to come back from the first one, and the window is over."""
    async with _fleet(3, "socket", keys={"gateway_ms_max": 0}) as (fleet, line):
        for meter in ("M000", "M001"):
            fleet.set_fault(meter, Fault(silent=True))
        first = await Sampling([line], 900, policy=SamplePolicy(backoff_ms=20, window_ms=3000)).first_pass()
        assert _read(first) == [2]


async def test_slow_device_does_not_hide_how_long_a_gateway_waits_for_a_dead_one() -> None:
    """Its late answer comes first and sooner than the gateway comes back from the dead ones."""
    async with _fleet(8, "socket", keys={"timeout_ms": 400, "drain_ms": 120}) as (fleet, line):
        fleet.set_line_fault("line-1", LineFault(gateway_timeout_ms=3000))
        fleet.set_fault("M000", Fault(late_ms=600, requests=1))
        fleet.set_fault("M002", Fault(silent=True))
        sample = await _sampled(line, SamplePolicy(backoff_ms=20, window_ms=16_000))
        assert _read(sample) == [0, 1, 3, 4, 5, 6, 7]
        assert fleet.accepted("line-1") == 1


async def test_busy_device_is_asked_until_it_answers() -> None:
    async with _fleet(2, "socket") as (fleet, line):
        fleet.set_fault("M001", Fault(exception=6, lasts_ms=1500))
        sample = await _sampled(line)
        assert _read(sample) == [0, 1]
        assert sample.meters[1].attempts > 2


async def test_modbus_rtu_on_a_serial_port_with_line_timing() -> None:
    async with _fleet(8, "rtu", "pty", Wire(19_200), {"baud": 19_200, "drain_ms": 50}) as (fleet, line):
        sample = await _sampled(line)
        assert _read(sample) == list(range(8))
        offsets = [reading.offset_ms for reading in sample.meters]
        assert offsets == sorted(offsets)
        fleet.set_fault("M003", Fault(silent=True))
        assert _read(await Sampling([line], 1800, policy=POLICY).first_pass()) == [0, 1, 2, 4, 5, 6, 7]


async def test_serial_port_that_is_pulled_out_is_a_line_that_is_down() -> None:
    async with _fleet(2, "rtu", "pty") as (fleet, line):
        assert _read(await _sampled(line)) == [0, 1]
        await fleet.cut_line("line-1")
        sample = await Sampling([line], 900, policy=POLICY).first_pass()
        assert {absence.reason for absence in sample.absent} == {"line_down"}


async def test_port_that_another_program_uses_is_named() -> None:
    async with _fleet(1, "rtu", "pty") as (_, line):
        await _wire(line).read_words(1, 4, 0x48, 4)
        other = ModbusLine(_wire(line).config)
        with pytest.raises(LineDownError, match="another program uses this port"):
            await other.read_words(1, 4, 0x48, 4)
        await other.close()


async def test_file_that_is_no_serial_port_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, reason in ((tmp_path / "file", "is no serial port"), (tmp_path / "none", "No such file")):
        line = ModbusLine(LineConfig("l", serial=path))
        with pytest.raises(LineDownError, match=reason):
            await line.read_words(1, 4, 0x48, 4)


@pytest.mark.parametrize("framer", ["socket", "rtu"])
async def test_serial_number_is_read_where_the_profile_knows_one(framer: str) -> None:
    abb = load_profile("abb_b23", kind=ModbusProfile)
    fleet = MeterFleet([VirtualMeter("M", "line-1", 1, abb)], framer=framer)
    (endpoint,) = await fleet.start()
    fleet.set_registers([1000], [0])
    line = ModbusLine(LineConfig("line-1", endpoint.host, endpoint.port, framer))
    known = ModbusMeter(line, "M", 1, abb, plan_reads(abb))
    assert await known.read_serial(float("inf")) == str(fleet.serial("M"))
    unknown = ModbusMeter(line, "M", 1, SDM, plan_reads(SDM))
    assert await unknown.read_serial(float("inf")) == ""
    await line.close()
    await fleet.close()


@pytest.mark.parametrize("framer", ["socket", "rtu"])
async def test_line_that_floods_is_closed_and_costs_no_other_line_a_reading(framer: str) -> None:
    """A hostile device server sends without end, asked or not."""
    writers: list[asyncio.StreamWriter] = []

    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with contextlib.suppress(OSError):
            while True:
                writer.write(b"\x01\x04" * 8192)
                await writer.drain()

    server = await asyncio.start_server(flood, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with _fleet(3, framer) as (_, line):
        (bad,) = build_lines(
            [LineConfig("flood", "127.0.0.1", port, framer, drain_ms=20)],
            [MeterConfig(9, "M9", "flood", SDM.id, 5000, 1)],
            {SDM.id: SDM},
        )
        with capture_logs() as lines:
            sample = await Sampling([bad, line], 900, policy=POLICY).first_pass()
        assert _read(sample) == [0, 1, 2]
        assert [absence.number for absence in sample.absent] == [9]
        assert "line_floods" in [entry["event"] for entry in lines]
        await close_lines([bad])
    server.close()
    for writer in writers:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def test_stream_without_headers_is_opened_anew_and_then_read() -> None:
    """What begins in the middle of a frame has no way back to a frame's start."""
    async with _fleet(1, "socket") as (fleet, line):
        fleet.set_line_fault("line-1", LineFault(noise=b"\x13"))
        with pytest.raises(WrongAnswerError, match="no Modbus TCP header"):
            await _wire(line).read_words(1, 4, 0x48, 4, timeout_ms=200)
        fleet.set_line_fault("line-1", None)
        assert await _wire(line).read_words(1, 4, 0x48, 4, timeout_ms=2000)
        assert fleet.accepted("line-1") == 2
