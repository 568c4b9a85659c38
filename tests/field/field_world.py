"""What the field tests share: our agent's reading of one boundary over real lines, and servers with registers that we choose."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import tty
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import pytest

from edge.line_sampling import Proofs
from edge.lines import LineConfig
from edge.memory import Memories
from edge.meters import MeterConfig, MeterLine, SamplePolicy, build_lines, close_lines
from edge.samples import Absence, MeterSample, Sample
from edge.sampling import Sampling
from firmware_profiles import ModbusProfile, load_profile
from simulators.meters.registers import RegisterImage
from simulators.meters.station import Quantities
from tests.field.peers import PROGRAMS

SDM = replace(load_profile("eastron_sdm630", kind=ModbusProfile), timeout_ms=300)
ACREL = replace(load_profile("acrel_adl400", kind=ModbusProfile), timeout_ms=300)
PROFILES = {SDM.id: SDM, ACREL.id: ACREL}
POLICY = SamplePolicy(window_ms=30_000, backoff_ms=20)
LIMIT_WH = 5_000
TRUTH = Quantities(1_234_560, 89_990, power_w=3000.0, voltage_v=231.0)
BILLED = (TRUTH.import_wh, TRUTH.export_wh)
TRUE_WORDS = {72: ["449a", "51ec", "42b3", "fae1"]}
"""What an SDM630 shows of TRUTH from input register 72 on: 1234.56 and 89.99 kWh as floats."""
SERIAL_BYTES = 4096


@dataclass(frozen=True)
class Boundary:
    """What one boundary brought, all rounds of it together, by meter."""

    taken: dict[str, MeterSample]
    absent: dict[str, Absence]

    @property
    def registers_wh(self) -> dict[str, tuple[int, ...]]:
        return {meter: reading.registers_wh for meter, reading in self.taken.items()}

    @property
    def qualities(self) -> dict[str, int]:
        return {meter: reading.quality for meter, reading in self.taken.items()}


@asynccontextmanager
async def reading(config: LineConfig, units: Sequence[int], profile: str = SDM.id) -> AsyncIterator[MeterLine]:
    """Our agent's line to the meters of these unit ids; each is called M<unit id>."""
    meters = [MeterConfig(unit, f"M{unit}", config.line, profile, LIMIT_WH, unit) for unit in units]
    lines = build_lines([config], meters, PROFILES)
    try:
        yield lines[0]
    finally:
        await close_lines(lines)


async def sample(
    lines: Sequence[MeterLine],
    policy: SamplePolicy = POLICY,
    boundary_s: int = 900,
    memories: Memories | None = None,
    powers_w: Mapping[int, int] = MappingProxyType({}),
    barred: Mapping[int, str] = MappingProxyType({}),
    proofs: Proofs | None = None,
) -> Boundary:
    """Read one boundary as the agent does: a first pass, rounds over whoever is missing while the window is open, then suspects."""
    memories = Memories() if memories is None else memories
    sampling = Sampling(lines, boundary_s, policy=policy, memories=memories, barred=barred, proofs=proofs)
    found = await sampling.first_pass()
    taken = list(found.meters)
    while found.absent and sampling.has_tries_left:
        await asyncio.sleep(sampling.pause_s())
        found = await sampling.another_round([absence.number for absence in found.absent])
        taken += found.meters
    suspects = sampling.suspects([absence.number for absence in found.absent])
    limits = {meter.config.number: meter.limits for line in lines for meter in line.meters}
    marked = memories.marked(Sample(boundary_s, (*taken, *suspects), (), 0), limits, powers_w)
    memories.note(marked, limits, powers_w)
    names = {reading.meter for reading in suspects}
    absent = {absence.meter: absence for absence in found.absent if absence.meter not in names}
    return Boundary({reading.meter: reading for reading in marked.meters}, absent)


def sdm_words(quantities: Quantities = TRUTH, first: int = 0, count: int = 80) -> list[str]:
    """The input registers of an SDM630 as hexadecimal words."""
    image = RegisterImage(SDM)
    image.show(quantities)
    data = image.read(4, first, count)
    assert data is not None
    return [data[index : index + 2].hex() for index in range(0, len(data), 2)]


def libmodbus_server(folder: Path) -> list[str]:
    """Compile the server by libmodbus; the command without its arguments. Skips where libmodbus or a compiler is missing."""
    program = folder / "libmodbus_server"
    try:
        flags = subprocess.run(
            ["pkg-config", "--cflags", "--libs", "libmodbus"], check=True, capture_output=True, text=True
        ).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("libmodbus is missing: apt-get install libmodbus-dev pkg-config gcc libc6-dev")
    source = PROGRAMS / "libmodbus_server.c"
    subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", "-o", str(program), str(source), *flags], check=True)
    return [str(program)]


@asynccontextmanager
async def serial_pair() -> AsyncIterator[tuple[str, str]]:
    """Two serial devices with a cable between them: what goes in at one comes out of the other."""
    ends = [os.openpty() for _ in range(2)]
    loop = asyncio.get_running_loop()

    def carry(source: int, target: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(target, os.read(source, SERIAL_BYTES))

    (one, one_slave), (two, two_slave) = ends
    for master, slave in ends:
        tty.setraw(slave)
        os.set_blocking(master, False)
    loop.add_reader(one, carry, one, two)
    loop.add_reader(two, carry, two, one)
    try:
        yield os.ttyname(one_slave), os.ttyname(two_slave)
    finally:
        for master, slave in ends:
            loop.remove_reader(master)
            os.close(master)
            os.close(slave)
