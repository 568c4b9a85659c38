"""DL/T 645-2007 meters on a serial line and behind a serial device server, read as the agent reads them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

import edge.readers.dlt645
from edge.bindings import Bindings
from edge.dlt645 import AT_ONCE, EVERYBODY, FREEZE, encode_frame, next_frame
from edge.lines import CHINA_S, LineConfig
from edge.memory import Memories
from edge.meters import MeterConfig, MeterLine, SamplePolicy, build_lines, close_lines
from edge.readers import BillingRead, DeviceRefusedError, QuarantinedError
from edge.readers.dlt645 import Dlt645Framing, Dlt645Line, Freeze
from edge.sampling import Sampling
from firmware_profiles import FOLDER, load_profile
from gridcore.clock import monotonic_ms, wall_ms
from gridcore.errors import UsageError
from gridcore.quality import FLAG_FROZEN
from simulators.meters import Fault, LineFault, MeterFleet, VirtualMeter, Wire
from tests.waiting import until

PROFILE = """
id = "test_dlt645"
vendor = "any"
models = ["a DL/T 645-2007 meter"]
source = ["DL/T 645-2007, annex A, table A.1"]
evidence = "two-sources"
timeout_ms = 300
ratio_applied = false
netting = "instant"
billing = ["1.8.0", "2.8.0"]

[dlt645]
min_gap_ms = 5
serial_id = "04000402"

[[points]]
obis = "1.8.0"
data_id = "00010000"
bytes = 4
scale = "10/1"
unit = "Wh"
monotonic = true
modulus_wh = 1_000_000_000

[[points]]
obis = "2.8.0"
data_id = "00020000"
bytes = 4
scale = "10/1"
unit = "Wh"
monotonic = true
modulus_wh = 1_000_000_000

[[points]]
obis = "32.7.0"
data_id = "02010100"
bytes = 2
scale = "1/10"
unit = "V"

[[fixtures]]
obis = "1.8.0"
raw = "78563412"
value = "123456.78"
unit = "kWh"
source = "sample frame 6812345678901268910833333433AB896745CC16 of a public decoder"

[[fixtures]]
obis = "2.8.0"
raw = "78563412"
value = "123456.78"
unit = "kWh"
source = "the same coding under data id 00020000, DL/T 645-2007, annex A, table A.1"
"""
POLICY = SamplePolicy(backoff_ms=20, window_ms=20_000)
LINE = "bus"
FOREVER = float("inf")
FIRST_S = 1_800_000_000


@asynccontextmanager
async def _fleet(
    folder: Path,
    count: int,
    medium: str = "tcp",
    wire: Wire | None = None,
    keys: dict[str, Any] | None = None,
    profile_id: str = "test_dlt645",
) -> AsyncIterator[tuple[MeterFleet, MeterLine]]:
    """Meters 1 … on one line, and the line as the agent has it; ``keys``: more of its table."""
    (folder / "test_dlt645.toml").write_text(PROFILE)
    fleet = MeterFleet(
        [VirtualMeter(f"M{n}", LINE, n) for n in range(1, count + 1)], framer="dlt645", medium=medium, wire=wire
    )
    (endpoint,) = await fleet.start()
    place: dict[str, Any] = {"host": endpoint.host, "port": endpoint.port}
    if endpoint.device:
        place = {"serial": Path(endpoint.device)}
    config = LineConfig(LINE, framer="dlt645", **{"connect_timeout_ms": 500, "drain_ms": 100} | place | (keys or {}))
    profile = load_profile(profile_id, folder if profile_id == "test_dlt645" else None)
    rows = [
        MeterConfig(n, f"M{n}", LINE, profile.id, 5000, address=f"{n:012d}", observe=("32.7.0",))
        for n in range(1, count + 1)
    ]
    lines = build_lines([config], rows, {profile.id: profile})
    fleet.set_registers([1_234_560 + 10 * n for n in range(count)], [7_890] * count, voltage_v=[231.5] * count)
    try:
        yield fleet, lines[0]
    finally:
        await close_lines(lines)
        await fleet.close()


async def _first_pass(line: MeterLine) -> dict[str, tuple[int, ...]]:
    sample = await Sampling([line], 900, policy=POLICY).first_pass()
    return {reading.meter: reading.registers_wh for reading in sample.meters}


def _wire(line: MeterLine) -> Dlt645Line:
    assert isinstance(line.line, Dlt645Line)
    return line.line


@pytest.mark.parametrize("medium", ["tcp", "pty"])
async def test_meters_are_read_to_the_last_digit(tmp_path: Path, medium: str) -> None:
    async with _fleet(tmp_path, 3, medium) as (_, line):
        assert await _first_pass(line) == {"M1": (1_234_560, 7_890), "M2": (1_234_570, 7_890), "M3": (1_234_580, 7_890)}
        (voltage,) = await line.meters[0].reader.read_observed(float("inf"))
        assert (voltage.obis, voltage.value) == ("32.7.0", Fraction(2315, 10))


async def test_meters_at_2400_baud_are_read_with_line_timing_one_dead_among_them(tmp_path: Path) -> None:
    keys = {"baud": 2400, "drain_ms": 50}
    async with _fleet(tmp_path, 3, "pty", Wire(2400), keys) as (fleet, line):
        fleet.set_fault("M2", Fault(silent=True))
        assert await _first_pass(line) == {"M1": (1_234_560, 7_890), "M3": (1_234_580, 7_890)}


@pytest.mark.parametrize(
    "fault", [LineFault(echo=True), LineFault(noise=b"\x00\xfe\x68"), LineFault(answers_per_connection=1)]
)
async def test_line_with_a_habit_of_its_own_is_read(tmp_path: Path, fault: LineFault) -> None:
    async with _fleet(tmp_path, 2) as (fleet, line):
        fleet.set_line_fault(LINE, fault)
        assert sorted(await _first_pass(line)) == ["M1", "M2"]


async def test_item_that_a_meter_lacks_is_refused_with_the_meaning_of_its_error(tmp_path: Path) -> None:
    async with _fleet(tmp_path, 1) as (_, line):
        with pytest.raises(
            DeviceRefusedError, match=r"data item 0fff0000: the meter answers with error 02 \(no such data\)"
        ):
            await _wire(line).read_item(
                "000000000001", "0fff0000", value_bytes=4, wake_bytes=4, timeout_ms=300, gap_ms=0
            )


async def test_meter_that_says_no_value_is_quarantined(tmp_path: Path) -> None:
    async with _fleet(tmp_path, 1) as (fleet, line):
        fleet.set_fault("M1", Fault(shows="ones"))
        sample = await Sampling([line], 900, policy=POLICY).first_pass()
        assert [(absence.reason, "no value" in absence.detail) for absence in sample.absent] == [("quarantined", True)]


async def test_serial_number_is_read_as_it_is_printed(tmp_path: Path) -> None:
    async with _fleet(tmp_path, 1) as (fleet, line):
        assert int(await line.meters[0].reader.read_serial(FOREVER)) == fleet.serial("M1")


def test_answer_of_another_meter_or_item_is_refused_and_named() -> None:
    framing = Dlt645Framing()
    framing.frame("000000000007", bytes.fromhex("00010000"), 0)
    other = bytearray(encode_frame("000000000008", 0x91, bytes.fromhex("0000010012345678")))
    assert framing.take(other) is None
    assert framing.stray == "an answer of meter 000000000008 was refused, meter 000000000007 was asked"
    item = bytearray(encode_frame("000000000007", 0x91, bytes.fromhex("0000020012345678")))
    assert framing.take(item) is None
    assert framing.stray == "an answer with data item 00020000 was refused, 00010000 was asked"
    right = bytearray(b"\xfe\x68\x00" + encode_frame("000000000007", 0x91, bytes.fromhex("0000010012345678"), 4))
    assert framing.take(right) == bytes.fromhex("910000010012345678")


def test_frame_without_end_is_waited_for() -> None:
    frame = encode_frame("000000000007", 0x91, bytes.fromhex("0000010012345678"))
    for cut in range(len(frame)):
        assert next_frame(bytearray(frame[:cut])) is None


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"unit_id": 3}, "give address, not unit_id"),
        ({"address": "00000000000x"}, "is not 12 digits"),
        ({}, "needs one place"),
        ({"unit_id": 3, "address": "000000000003"}, "needs one place"),
    ],
)
def test_meter_without_its_place_is_one_line(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    (tmp_path / "test_dlt645.toml").write_text(PROFILE)
    profile = load_profile("test_dlt645", tmp_path)
    with pytest.raises(UsageError, match=message):
        build_lines(
            [LineConfig(LINE, "127.0.0.1", framer="dlt645")],
            [MeterConfig(1, "M1", LINE, profile.id, 5000, **row)],
            {profile.id: profile},
        )


async def test_registers_frozen_by_one_broadcast_are_of_one_moment_however_long_reading_takes(tmp_path: Path) -> None:
    async with _fleet(tmp_path, 3, profile_id="dlt645_2007") as (fleet, line):
        boundary_s, boundary_ms = wall_ms() // 1000, monotonic_ms()
        await line.line.begin(boundary_s, boundary_ms)
        await until(lambda: fleet.requests() >= 3)  # the broadcast has reached them
        fleet.set_registers([1_234_660] * 3, [7_990] * 3)  # what flows while the line is read
        frozen = [await meter.reader.read_billing(FOREVER) for meter in line.meters]
        assert [_registers_wh(read) for read in frozen] == [[1_234_560 + 10 * n, 7_890] for n in range(3)]
        assert {(read.frozen, read.arrived_ms) for read in frozen} == {(True, frozen[0].arrived_ms)}
        present = [await meter.reader.confirm_billing(FOREVER) for meter in line.meters]
        assert [_registers_wh(read) for read in present] == [[1_234_660, 7_990]] * 3


def _registers_wh(read: BillingRead) -> list[int]:
    return [register.register_wh for register in read.registers]


async def test_sample_of_frozen_registers_is_flagged_so(tmp_path: Path) -> None:
    async with _fleet(tmp_path, 2, profile_id="dlt645_2007") as (_, line):
        sample = await Sampling([line], wall_ms() // 1000, policy=POLICY).first_pass()
        assert [(reading.registers_wh, reading.flags & FLAG_FROZEN) for reading in sample.meters] == [
            ((1_234_560, 7_890), FLAG_FROZEN),
            ((1_234_570, 7_890), FLAG_FROZEN),
        ]


async def test_frozen_registers_of_another_boundary_do_not_count(tmp_path: Path) -> None:
    async with _fleet(tmp_path, 1, profile_id="dlt645_2007") as (fleet, line):
        boundary_s = wall_ms() // 1000
        await line.line.begin(boundary_s, monotonic_ms())
        await until(lambda: fleet.requests() >= 1)
        fleet.set_registers([1_234_660], [7_990])
        _wire(line).told = Freeze(boundary_s + 900, monotonic_ms())  # a broadcast that the meter did not hear
        with capture_logs() as lines:
            read = await line.meters[0].reader.read_billing(FOREVER)
        assert (_registers_wh(read), read.frozen) == ([1_234_660, 7_990], False)
        assert [entry["event"] for entry in lines] == ["freeze_not_of_this_boundary"]


async def test_what_a_meter_froze_by_a_clock_that_is_off_does_not_count(tmp_path: Path) -> None:
    """Its stamp is of the boundary's minute, but it was that minute 40 s too early."""
    shipped = (FOLDER / "dlt645_2007.toml").read_text(encoding="utf-8")
    timed = shipped.replace('"dlt645_2007"', '"test_timed"').replace('freeze = ["broadcast"]', 'freeze = ["timed"]')
    (tmp_path / "test_timed.toml").write_text(timed, encoding="utf-8")
    profile = load_profile("test_timed", tmp_path)
    fleet = MeterFleet([VirtualMeter("M1", LINE, 1, clock_ahead_ms=40_000)], framer="dlt645")
    (endpoint,) = await fleet.start()
    fleet.set_registers([1_234_560], [7_890])
    row = MeterConfig(1, "M1", LINE, profile.id, 5000, address="000000000001")
    (line,) = build_lines([LineConfig(LINE, endpoint.host, endpoint.port, "dlt645")], [row], {profile.id: profile})
    wire = _wire(line)
    await wire.line.tell(encode_frame(EVERYBODY, FREEZE, AT_ONCE))  # stands for the meter's own minute
    await until(lambda: fleet.requests() >= 1)
    read = wire.read_item("000000000001", "05010001", value_bytes=5, wake_bytes=0, timeout_ms=300, gap_ms=0)
    stamp = datetime.strptime((await read)[::-1].hex(), "%y%m%d%H%M").replace(tzinfo=UTC)
    wire.begun = Freeze(round(stamp.timestamp()) - CHINA_S, monotonic_ms())
    await line.meters[0].reader.read_clock_ahead(FOREVER)
    with capture_logs() as lines:
        assert not (await line.meters[0].reader.read_billing(FOREVER)).frozen
    assert [entry["event"] for entry in lines] == ["freeze_not_of_this_boundary"]
    await close_lines([line])
    await fleet.close()


async def test_serial_number_that_was_never_set_is_none() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(64)
        writer.write(encode_frame("000000000001", 0x91, bytes.fromhex("04000402")[::-1] + b"\xff" * 6))
        await reader.read()
        writer.close()
        await writer.wait_closed()
        over.set()

    over = asyncio.Event()
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    profile = load_profile("dlt645_2007")
    place = LineConfig(LINE, "127.0.0.1", server.sockets[0].getsockname()[1], "dlt645")
    row = MeterConfig(1, "M1", LINE, profile.id, 5000, address="000000000001")
    (line,) = build_lines([place], [row], {profile.id: profile})
    assert await line.meters[0].reader.read_serial(FOREVER) == ""
    await close_lines([line])
    await over.wait()
    server.close()


async def test_meter_that_freezes_nothing_is_read_as_it_stands_and_not_asked_again(tmp_path: Path) -> None:
    async with _fleet(tmp_path, 1, profile_id="dlt645_2007") as (_, line):
        _wire(line).told = Freeze(wall_ms() // 1000, monotonic_ms())  # nothing was sent, so there is no record
        with capture_logs() as lines:
            for _ in range(2):
                assert not (await line.meters[0].reader.read_billing(FOREVER)).frozen
        assert [entry["event"] for entry in lines] == ["meter_freezes_nothing"]


async def test_meter_whose_clock_is_off_is_named_once_a_day_and_its_freeze_counts_all_the_same() -> None:
    fleet = MeterFleet([VirtualMeter("M1", LINE, 1, clock_ahead_ms=600_000)], framer="dlt645")
    (endpoint,) = await fleet.start()
    fleet.set_registers([1_234_560], [7_890])
    profile = load_profile("dlt645_2007")
    (line,) = build_lines(
        [LineConfig(LINE, endpoint.host, endpoint.port, "dlt645")],
        [MeterConfig(1, "M1", LINE, profile.id, 5000, address="000000000001")],
        {profile.id: profile},
    )
    boundary_s = wall_ms() // 1000
    bindings = Bindings([line], Memories())
    with capture_logs() as lines:
        for _ in range(2):
            await bindings.check(boundary_s, lambda: False)
        sample = await Sampling([line], boundary_s, policy=POLICY).first_pass()
    (off,) = [entry["ahead_s"] for entry in lines if entry["event"] == "meter_clock_off"]
    assert abs(off - 600) < 60
    assert [(reading.registers_wh, reading.flags & FLAG_FROZEN) for reading in sample.meters] == [
        ((1_234_560, 7_890), FLAG_FROZEN)
    ]
    await close_lines([line])
    await fleet.close()


async def test_records_from_before_a_meter_s_clock_was_seen_to_be_wrong_never_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A broadcast sets it four minutes back and a later one right again: what it stored meanwhile bears a false time."""
    now_ms = [(FIRST_S - 60) * 1000]
    monkeypatch.setattr(edge.readers.dlt645, "wall_ms", lambda: now_ms[0])
    fleet = MeterFleet([VirtualMeter("M1", LINE, 1)], framer="dlt645", true_ms=lambda: now_ms[0])
    (endpoint,) = await fleet.start()
    profile = load_profile("dlt645_2007")
    row = MeterConfig(1, "M1", LINE, profile.id, 5000, address="000000000001", timeout_ms=5000)
    (line,) = build_lines([LineConfig(LINE, endpoint.host, endpoint.port, "dlt645")], [row], {profile.id: profile})
    reader, wire = line.meters[0].reader, _wire(line)

    async def set_clock(off_s: int) -> None:
        shown = datetime.fromtimestamp(now_ms[0] // 1000 + CHINA_S + off_s, UTC)
        heard = fleet.requests()
        await wire.line.tell(encode_frame(EVERYBODY, 0x08, bytes.fromhex(f"{shown:%S%M%H%d%m%y}")))
        await until(lambda: fleet.requests() > heard)

    async def pass_to(slot: int) -> None:
        now_ms[0] = (FIRST_S + slot * 900) * 1000 + 1_000
        fleet.set_registers([1_000 + slot], [0])
        wire.begun = Freeze(FIRST_S + slot * 900, monotonic_ms())

    async def record(slot: int) -> list[int]:
        read = await reader.read_record(FIRST_S + slot * 900, FOREVER)
        return [] if read is None else _registers_wh(read)

    try:
        fleet.set_registers([0], [0])
        await reader.read_clock_ahead(FOREVER)
        await pass_to(0)
        assert len(await record(0)) == 2
        await set_clock(-240)
        await pass_to(1)
        with pytest.raises(QuarantinedError, match="its clock was off"):
            await record(0)
        await set_clock(0)
        await pass_to(2)
        for slot in (0, 1):
            with pytest.raises(QuarantinedError, match="its clock was off"):
                await record(slot)
        assert len(await record(2)) == 2
    finally:
        await close_lines([line])
        await fleet.close()
