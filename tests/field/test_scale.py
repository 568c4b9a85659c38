"""A thousand meters on twenty buses with line timing, and a DL/T 645 line at 2400 baud, read by one agent at boundaries a minute apart.

The meters of DL/T 645 freeze their registers at the boundary, by a broadcast; reading them takes half a minute. When each
meter is read depends on the machine's load too, so that is asserted by ``make soak`` alone.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest

from edge.lines import LineConfig
from edge.memory import Memories
from edge.meters import MeterConfig, MeterLine, SamplePolicy, build_lines, close_lines
from firmware_profiles import load_profile
from gridcore.clock import monotonic_ms, wall_ms
from gridcore.quality import FLAG_FROZEN, MEASURED
from tests.field.field_world import Boundary, sample
from tests.field.fleet_process import DEAD, DLT645_METERS, import_wh, is_slow

REPOSITORY = Path(__file__).resolve().parents[2]
BUSES, PER_BUS = 20, 50
PERIOD_MS = 60_000
FIRST_READS_MS_MAX = 10_000
DLT645_FIRST_READS_MS_MAX = 30_000
STABLE_MS_MAX = 1_000
POLICY = SamplePolicy(window_ms=45_000)
"""Tries end early enough for a gateway to be back from its dead meters when the next boundary comes, a minute later."""
DLT645_POLICY = SamplePolicy(window_ms=58_000)
LIMIT_WH = 5_000
START_S = 10


@dataclass
class Feeder:
    """The buses, as the agent has them, and the process in which their meters live."""

    process: asyncio.subprocess.Process
    lines: tuple[MeterLine, ...]
    numbers: dict[str, tuple[int, int]]
    """Bus and unit of each meter."""

    async def show(self, boundary: int) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{boundary}\n".encode())
        assert await self.process.stdout.readline() == f"{boundary}\n".encode()


@asynccontextmanager
async def _feeder() -> AsyncIterator[Feeder]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.field.fleet_process", str(BUSES), str(PER_BUS)),
        cwd=REPOSITORY,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    configs, meters, numbers = [], [], {}
    for name, bus, framer, host, port, device, baud in json.loads(await process.stdout.readline()):
        place = {"serial": Path(device), "baud": baud, "parity": "none"} if device else {"host": host, "port": port}
        configs.append(LineConfig(name, framer=framer, **place))
        for unit in range(1, 1 + (DLT645_METERS if framer == "dlt645" else PER_BUS)):
            number, meter = bus * 100 + unit, f"{bus}/{unit}"
            numbers[meter] = (bus, unit)
            if framer == "dlt645":
                meters.append(MeterConfig(number, meter, name, "dlt645_2007", LIMIT_WH, address=f"{unit:012d}"))
            else:
                meters.append(MeterConfig(number, meter, name, "eastron_sdm630", LIMIT_WH, unit))
    profiles = {profile_id: load_profile(profile_id) for profile_id in ("eastron_sdm630", "dlt645_2007")}
    lines = build_lines(configs, meters, profiles)
    try:
        yield Feeder(process, lines, numbers)
    finally:
        await close_lines(lines)
        process.stdin.close()
        await process.wait()


def _is_dead(bus: int, unit: int) -> bool:
    return bus < BUSES and unit in DEAD


def _check(boundary: int, found: Boundary, numbers: dict[str, tuple[int, int]]) -> None:
    """Every meter that lives has its true register, and nobody else has one."""
    assert set(found.absent) == {meter for meter, place in numbers.items() if _is_dead(*place)}
    assert found.registers_wh == {
        meter: (import_wh(*place, boundary), 0) for meter, place in numbers.items() if not _is_dead(*place)
    }
    assert set(found.qualities.values()) == {MEASURED}
    assert all(found.taken[f"{BUSES}/{unit}"].flags & FLAG_FROZEN for unit in range(1, DLT645_METERS + 1))


class Offsets(NamedTuple):
    """When first reads were taken after their boundary, from the second boundary on, where the dead are known (ms)."""

    modbus_latest_ms: int
    dlt645_latest_ms: int
    largest_shift_ms: int
    """Of one meter, from a boundary to the next."""
    cpu_s: float
    """CPU seconds of the agent for each boundary."""


def _offsets(boundaries: Sequence[Boundary], numbers: dict[str, tuple[int, int]], cpu_s: float) -> Offsets:
    shifts_ms, latest_ms = [0], {"modbus": 0, "dlt645": 0}
    for index, found in enumerate(boundaries[1:], 1):
        for meter, reading in found.taken.items():
            bus, unit = numbers[meter]
            if is_slow(bus, unit):
                continue
            kind = "dlt645" if bus == BUSES else "modbus"
            latest_ms[kind] = max(latest_ms[kind], reading.offset_ms)
            if index > 1:
                shifts_ms.append(abs(reading.offset_ms - boundaries[index - 1].taken[meter].offset_ms))
    return Offsets(latest_ms["modbus"], latest_ms["dlt645"], max(shifts_ms), cpu_s)


async def _read_boundaries(count: int) -> Offsets:
    async with _feeder() as feeder:
        memories = Memories()
        boundaries = []
        start_ms, cpu_s = monotonic_ms() + START_S * 100, time.process_time()
        for boundary in range(count):
            await feeder.show(boundary)
            await asyncio.sleep(max(0.0, start_ms + boundary * PERIOD_MS - monotonic_ms()) / 1000.0)
            boundary_s = wall_ms() // 1000
            modbus, chinese = await asyncio.gather(
                sample(feeder.lines[:-1], POLICY, boundary_s, memories),
                sample(feeder.lines[-1:], DLT645_POLICY, boundary_s, memories),
            )
            found = Boundary({**modbus.taken, **chinese.taken}, {**modbus.absent, **chinese.absent})
            _check(boundary, found, feeder.numbers)
            boundaries.append(found)
        offsets = _offsets(boundaries, feeder.numbers, (time.process_time() - cpu_s) / count)
        print(offsets)
        return offsets


@pytest.mark.slow
async def test_a_thousand_meters_on_twenty_buses_are_read_at_two_boundaries() -> None:
    """Nobody that lives is missed, also where the dead are known; when each was read is asserted where the machine is quiet (soak)."""
    await _read_boundaries(2)


@pytest.mark.soak
async def test_a_thousand_meters_on_twenty_buses_are_read_at_ten_boundaries() -> None:
    offsets = await _read_boundaries(10)
    assert offsets.modbus_latest_ms <= FIRST_READS_MS_MAX
    assert offsets.dlt645_latest_ms <= DLT645_FIRST_READS_MS_MAX
    assert offsets.largest_shift_ms <= STABLE_MS_MAX
