"""No meter, whatever it answers, gets a reading signed that it does not have, ends the agent or costs its neighbour a reading."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from edge.lines import LineConfig
from edge.meters import MeterConfig, MeterLine, SamplePolicy, build_lines, close_lines
from edge.sampling import Sampling
from firmware_profiles import load_profile
from simulators.meters import MeterFleet, VirtualMeter
from tests.field.field_world import BILLED, SDM
from tests.field.hostile_meters import ADDRESSES, DLT645, HOST, RTU, TCP, Mode, hostile_server

DLT = load_profile("dlt645_2007")
PROFILES = {SDM.id: replace(SDM, timeout_ms=100), DLT.id: DLT}
POLICY = SamplePolicy(window_ms=120_000, backoff_ms=10, late_after_ms=120_000)
REASONS = {"refused", "no_answer", "quarantined", "suspect", "line_down"}
LIMIT_WH = 5_000
CASES = [
    pytest.param(framer, mode, id=f"{framer}: {name}")
    for framer, modes in (("socket", TCP), ("rtu", RTU), ("dlt645", DLT645))
    for name, mode in modes.items()
]


def _line(framer: str, port: int) -> MeterLine:
    config = LineConfig("L", HOST, port, framer, drain_ms=20, timeout_ms=100)
    if framer == "dlt645":
        rows = [MeterConfig(n, f"M{n}", "L", DLT.id, LIMIT_WH, address=ADDRESSES[n - 1]) for n in (1, 2)]
    else:
        rows = [MeterConfig(n, f"M{n}", "L", SDM.id, LIMIT_WH, n) for n in (1, 2)]
    return build_lines([config], rows, PROFILES)[0]


@pytest.mark.parametrize(("framer", "mode"), CASES)
async def test_hostile_meter_gets_nothing_measured_and_its_neighbour_is_read(framer: str, mode: Mode) -> None:
    fleet = MeterFleet([VirtualMeter(f"M{n}", "L", n, SDM) for n in (1, 2)], framer=framer)
    (endpoint,) = await fleet.start()
    fleet.set_registers([BILLED[0]] * 2, [BILLED[1]] * 2)
    async with hostile_server(framer, endpoint.port, mode) as port:
        line = _line(framer, port)
        sampling = Sampling([line], 900, policy=POLICY)
        found = await sampling.first_pass()
        taken, rounds = list(found.meters), 0
        while sampling.has_tries_left and (rounds < 1 or len(found.absent) > 1):
            await asyncio.sleep(sampling.pause_s())
            found = await sampling.another_round([absence.number for absence in found.absent])
            taken, rounds = [*taken, *found.meters], rounds + 1
        await close_lines([line])
    await fleet.close()
    assert [(reading.meter, reading.registers_wh) for reading in taken] == [("M2", BILLED)]
    assert [(absence.meter, absence.reason in REASONS) for absence in found.absent] == [("M1", True)]
