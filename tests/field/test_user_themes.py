"""What users of other gateways asked for, theme by theme (the study's section 1.2), against servers that we did not write where there is one.

Theme 11, configuration without a restart: tests/integration/test_edge_reload.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from pymodbus.framer import FramerType
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice
from structlog.testing import capture_logs

from edge.bindings import Bindings
from edge.clocks import WallBoundaries
from edge.config import SubmitPolicy
from edge.lines import LineConfig
from edge.memory import Memories
from edge.meters import MeterConfig, SamplePolicy, build_lines, close_lines
from edge.outbox import Outbox
from edge.submit import Submitter
from edge.wall_time import WallTime
from firmware_profiles import load_profile
from gridcore.codes import Code
from gridcore.quality import MEASURED, SUSPECT
from gridcore.serving.ports import free_port
from gridcore.transactions.reading_batch import ClockState
from simulators.meters import LineFault, MeterFleet, VirtualMeter
from simulators.meters.station import Quantities
from tests.field.field_world import (
    BILLED,
    POLICY,
    PROFILES,
    SDM,
    libmodbus_server,
    reading,
    sample,
    sdm_words,
    serial_pair,
)
from tests.field.peers import peer_server, serving
from tests.unit.edge_agent.edge_world import CHAIN, GATEWAY, FakeNode, new_outbox, trusted
from tests.waiting import until

HOST = "127.0.0.1"
WORDS = sdm_words()
Before = Callable[[int, int], int]
"""What the server does before an answer: from the number of the request and its first register to milliseconds of delay."""


@asynccontextmanager
async def _pymodbus(
    delay_ms: Before, framer: FramerType = FramerType.SOCKET, words: list[str] | None = None
) -> AsyncIterator[tuple[int, list[int]]]:
    """pymodbus' server with the input registers of an SDM630: its port, and the first register of each request."""
    asked: list[int] = []

    async def delay(_code: int, address: int, _first: int, _count: int, _registers: list[int], _set: object) -> None:
        asked.append(address)
        await asyncio.sleep(delay_ms(len(asked), address) / 1000)

    values = [int(word, 16) for word in words or WORDS]
    device = SimDevice(1, [SimData(0, values=values, datatype=DataType.REGISTERS)], action=delay)
    server = ModbusTcpServer([device], framer=framer, address=(HOST, 0))
    await server.serve_forever(background=True)
    listener: object = server.transport
    assert isinstance(listener, asyncio.Server)
    try:
        yield listener.sockets[0].getsockname()[1], asked
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call] # pymodbus annotates no result


@pytest.mark.external
async def test_theme_01_one_dead_slave_does_not_stop_the_bus() -> None:
    """telegraf#11782, OpenEMS#6, home-assistant/core#122607; modbus-tk on a serial line."""
    async with serial_pair() as (ours, theirs):
        units = [f"{unit_id}:4:0:{','.join(WORDS)}" for unit_id in (1, 3)]
        config = LineConfig("L", serial=Path(ours), parity="none", drain_ms=50)
        async with (
            serving(peer_server("serve_modbus_tk", "rtu", theirs, *units)),
            reading(config, [1, 2, 3]) as line,
        ):
            found = await sample([line], replace(POLICY, window_ms=3_000))
    assert (found.registers_wh, list(found.absent)) == ({"M1": BILLED, "M3": BILLED}, ["M2"])


async def test_theme_02_a_late_answer_is_never_the_value_of_another_register() -> None:
    """home-assistant/core#138077, telegraf#9253; RTU frames over TCP, where an answer does not say to what."""

    def late(number: int, _address: int) -> int:
        return 450 if number in (1, 4) else 0

    async with (
        _pymodbus(late, FramerType.RTU) as (port, _),
        reading(LineConfig("L", HOST, port, "rtu", drain_ms=300), [1]) as line,
    ):
        boundaries = [await sample([line], POLICY, 900 * slot) for slot in (1, 2, 3)]
    assert [found.registers_wh for found in boundaries] == [{"M1": BILLED}] * 3


async def test_theme_03_values_beyond_reason_are_not_believed() -> None:
    """wlcrs/huawei_solar#1258 (2^64), mkaiser/Sungrow#476, Growatt_ModbusTCP#417 (dips by 0.1 kWh)."""
    states = [
        Quantities(1_000_000, 500_000),
        Quantities(60_000_000, 500_000),
        Quantities(1_000_100, 499_900),
        Quantities(1_001_000, 500_010),
    ]
    memories, qualities = Memories(), []
    for slot, state in enumerate(states, 1):
        async with (
            _pymodbus(lambda *_: 0, words=sdm_words(state)) as (port, _),
            reading(LineConfig("L", HOST, port), [1]) as line,
        ):
            found = await sample([line], replace(POLICY, window_ms=500), 900 * slot, memories)
        qualities.append(found.qualities["M1"])
    assert qualities == [MEASURED, SUSPECT, SUSPECT, MEASURED]


async def test_theme_04_nothing_is_lost_while_there_is_no_network(tmp_path: Path) -> None:
    """telegraf#802, #16314, #16615, thingsboard-gateway#2124, #2157."""
    new_outbox(tmp_path / "outbox.sqlite", 40).close()
    outbox = Outbox.open(tmp_path / "outbox.sqlite", gateway=GATEWAY, chain=CHAIN)  # after a restart
    node = FakeNode(dead=True)
    await _submitting(node, outbox, lambda: node.asked >= 3)
    assert outbox.depth == 40
    node.dead = False
    await _submitting(node, outbox, lambda: not outbox.depth)
    assert [transaction.identity["counter"] for transaction in node.accepted] == list(range(1, 41))
    outbox.close()


async def _submitting(node: FakeNode, outbox: Outbox, is_done: Callable[[], bool]) -> None:
    policy = SubmitPolicy(retry_ms_min=1, retry_ms_max=5)
    task = asyncio.create_task(Submitter(node, outbox, trust=trusted(), policy=policy).run())
    try:
        await until(is_done)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.external
async def test_theme_05_the_poller_survives_that_its_device_goes_and_comes_back(tmp_path: Path) -> None:
    """thingsboard-gateway#2132, pymodbus#1635, #1654, #1794; libmodbus, killed and started again."""
    port, program = free_port(), libmodbus_server(tmp_path)
    async with reading(LineConfig("L", HOST, port), [1]) as line:
        for slot in (1, 2):
            async with serving([*program, str(port), "0", "4", "0", *WORDS]):
                assert (await sample([line], POLICY, 900 * slot)).registers_wh == {"M1": BILLED}
            gone = await sample([line], replace(POLICY, window_ms=500), 900 * slot + 450)
            assert [absence.reason for absence in gone.absent.values()] == ["line_down"]


async def test_theme_06_readings_wait_while_the_node_does_not_know_our_key(tmp_path: Path) -> None:
    """telegraf#5789, influxdb#13515: a token that was disabled cost the data."""
    outbox = new_outbox(tmp_path / "outbox.sqlite", 5)
    node = FakeNode(refuse={2: Code.UNKNOWN_SIGNER})
    await _submitting(node, outbox, lambda: outbox.progress.alarm != "")
    assert (outbox.depth, len(node.accepted)) == (4, 1)
    node.refuse.clear()
    await _submitting(node, outbox, lambda: not outbox.depth)
    assert len(node.accepted) == 5
    outbox.close()


async def test_theme_07_boundaries_do_not_drift_with_the_time_that_reading_takes() -> None:
    """smartmeter-obis#203, telegraf#5937, thingsboard-gateway#2024."""
    now_ms = 1_800_000_000_000 + 123

    async def sleep(seconds: float) -> None:
        nonlocal now_ms
        now_ms += round(seconds * 1000)

    synced = ClockState(0, "synced")
    time = WallTime(900, now_ms=lambda: now_ms, clock_ms=lambda: float(now_ms), state=lambda: synced)
    clock = WallBoundaries(SamplePolicy(window_ms=60_000), time=time, sleep=sleep)
    boundaries: list[int] = [1_800_000_000]
    for taking_s in (7.3, 59.0, 0.1, 31.7, 12.9):
        boundary_s = await clock.next_boundary(boundaries[-1])
        assert boundary_s is not None
        boundaries.append(boundary_s)
        await sleep(taking_s)
    assert boundaries == [1_800_000_000 + 900 * slot for slot in range(6)]


async def test_theme_08_a_meter_is_read_in_blocks() -> None:
    """home-assistant/core#48497, solakon#219 and #221, telegraf#16873."""
    observe = (
        "32.7.0",
        "52.7.0",
        "72.7.0",
        "31.7.0",
        "51.7.0",
        "71.7.0",
        "36.7.0",
        "56.7.0",
        "76.7.0",
        "16.7.0",
        "14.7.0",
    )
    async with _pymodbus(lambda *_: 0) as (port, asked):
        row = MeterConfig(1, "M1", "L", SDM.id, 5000, 1, observe=observe)
        lines = build_lines([LineConfig("L", HOST, port)], [row], PROFILES)
        found = await sample(lines)
        billing = len(asked)
        (meter,) = lines[0].meters
        observed = await meter.reader.read_observed(float("inf"))
        await close_lines(lines)
    assert (found.registers_wh, billing) == ({"M1": BILLED}, 2)
    assert {quantity.obis for quantity in observed} == set(observe)
    assert len(asked) - billing <= 3


@pytest.mark.external
async def test_theme_09_import_is_import_and_a_variant_without_export_is_read(tmp_path: Path) -> None:
    """evcc#33349, #33432 (swapped), #31143, #31736 (no export register: exception 2)."""
    port, program = free_port(), libmodbus_server(tmp_path)
    one_way = replace(SDM, billing=("1.8.0",), points=tuple(p for p in SDM.points if p.obis != "2.8.0"))
    async with serving([*program, str(port), "0", "4", "0", *WORDS[:74]]):
        async with reading(LineConfig("L", HOST, port), [1]) as line:
            both = await sample([line], replace(POLICY, window_ms=500))
        row = MeterConfig(1, "M1", "L", SDM.id, 5000, 1)
        lines = build_lines([LineConfig("L", HOST, port)], [row], {SDM.id: one_way})
        alone = await sample(lines)
        await close_lines(lines)
    assert both.absent["M1"].reason == "refused"
    assert "exception 2 (illegal data address)" in both.absent["M1"].detail
    assert alone.registers_wh == {"M1": (BILLED[0], 0)}


@pytest.mark.parametrize("framer", ["socket", "rtu"])
async def test_theme_10_a_device_that_needs_a_gap_gets_it(framer: str) -> None:
    """OpenEMS#3099: 25 ms between requests took all time-outs away."""
    meters = [VirtualMeter(f"M{n}", "L", n, SDM) for n in (1, 2, 3)]
    fleet = MeterFleet(meters, framer=framer)
    (endpoint,) = await fleet.start()
    fleet.set_registers([BILLED[0]] * 3, [BILLED[1]] * 3)
    fleet.set_line_fault("L", LineFault(gap_ms=60))
    try:
        async with reading(LineConfig("L", HOST, endpoint.port, framer, gap_ms=80), [1, 2, 3]) as line:
            found = await sample([line])
    finally:
        await fleet.close()
    assert [(reading.registers_wh, reading.attempts) for reading in found.taken.values()] == [(BILLED, 1)] * 3


async def test_theme_12_a_meter_whose_clock_has_drifted_is_said_and_read_all_the_same() -> None:
    """solis_modbus#30: 4.25 s a day; here after three weeks."""
    meters = [VirtualMeter("M1", "L", 1), VirtualMeter("M2", "L", 2, clock_ahead_ms=21 * 4_250)]
    fleet = MeterFleet(meters, framer="dlt645")
    (endpoint,) = await fleet.start()
    fleet.set_registers([BILLED[0]] * 2, [BILLED[1]] * 2)
    rows = [MeterConfig(n, f"M{n}", "L", "dlt645_2007", 5000, address=f"{n:012d}") for n in (1, 2)]
    config = LineConfig("L", HOST, endpoint.port, "dlt645")
    lines = build_lines([config], rows, {"dlt645_2007": load_profile("dlt645_2007")})
    try:
        with capture_logs() as logs:
            await Bindings(lines, Memories()).check(0, lambda: False)
        found = await sample(lines)
    finally:
        await close_lines(lines)
        await fleet.close()
    assert [entry["meter"] for entry in logs if entry["event"] == "meter_clock_off"] == ["M2"]
    assert found.registers_wh == {"M1": BILLED, "M2": BILLED}
