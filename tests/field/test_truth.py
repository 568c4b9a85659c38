"""What meters in the field showed that was not true: read again, or given as suspect, never silently measured.

Each kind by the report that told of it; against our simulated meters, and against pymodbus' server where it can be made to lie.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice
from structlog.testing import capture_logs

from edge.lines import LineConfig
from edge.memory import Memories
from edge.meters import MeterLine
from gridcore.quality import FLAG_ROLLOVER, FLAG_STUCK, MEASURED, SUSPECT
from simulators.meters import Fault, MeterFleet, VirtualMeter
from simulators.meters.station import Quantities
from tests.field.field_world import ACREL, POLICY, SDM, reading, sample, sdm_words

HOST = "127.0.0.1"
SHORT = replace(POLICY, window_ms=1_000, backoff_ms=50)
"""A window that closes soon: for what does not become true in it."""
WORDS = 80
"""Input registers that an SDM630 shows here."""
BEFORE_WH, AFTER_WH = (1_230_000, 89_000), (1_232_000, 89_010)


class Place:
    """One meter, or several, through three boundaries of a quarter of an hour."""

    def __init__(self, fleet: MeterFleet, line: MeterLine) -> None:
        self.fleet, self.line = fleet, line
        self.memories = Memories()
        self.boundary_s = 0
        self.flags = 0

    async def at(
        self,
        import_wh: int,
        export_wh: int,
        fault: Fault | None = None,
        *,
        is_short: bool = False,
        power_w: int | None = None,
    ) -> tuple[tuple[int, ...], int] | str:
        """Registers and quality that the first meter's reading gets; the reason of its absence where there is none."""
        self.boundary_s += 900
        count = len(self.fleet.meters)
        others = [BEFORE_WH] * (count - 1)
        imported, exported = zip((import_wh, export_wh), *others, strict=True)
        self.fleet.set_registers(imported, exported, [float(power_w or 0)] * count)
        self.fleet.set_fault("M1", fault)
        powers_w = {} if power_w is None else {1: power_w}
        found = await sample([self.line], SHORT if is_short else POLICY, self.boundary_s, self.memories, powers_w)
        assert all(found.qualities[f"M{n}"] == MEASURED for n in range(2, count + 1))
        if "M1" in found.absent:
            return found.absent["M1"].reason
        self.flags = found.taken["M1"].flags
        return found.taken["M1"].registers_wh, found.taken["M1"].quality


@asynccontextmanager
async def _place(profile: str = ACREL.id, count: int = 2) -> AsyncIterator[Place]:
    meters = [VirtualMeter(f"M{n}", "L", n, SDM if profile == SDM.id else ACREL) for n in range(1, count + 1)]
    fleet = MeterFleet(meters)
    (endpoint,) = await fleet.start()
    try:
        async with reading(LineConfig("L", HOST, endpoint.port), range(1, count + 1), profile) as line:
            yield Place(fleet, line)
    finally:
        await fleet.close()


@pytest.mark.parametrize(
    "fault",
    [
        Fault(shows="zero", requests=4),
        Fault(shows="ones", requests=4),
        Fault(lower_wh=150, requests=4),
        Fault(lower_wh=100, requests=1),
        Fault(exception=6, requests=5),
    ],
    ids=["0 after the boundary", "all ones while booting", "0.15 kWh lower", "dips by 0.1 kWh", "busy"],
)
@pytest.mark.parametrize("profile", [ACREL.id, SDM.id])
async def test_meter_that_is_untrue_for_a_while_loses_nothing(profile: str, fault: Fault) -> None:
    async with _place(profile) as place:
        assert await place.at(*BEFORE_WH) == (BEFORE_WH, MEASURED)
        assert await place.at(*AFTER_WH, fault) == (AFTER_WH, MEASURED)


@pytest.mark.parametrize(
    ("fault", "shown_wh"),
    [
        (Fault(shows="zero"), (0, 0)),
        (Fault(lower_wh=5_000), (1_227_000, 84_010)),
        (Fault(lower_wh=5_000, requests=1_000_000), (1_227_000, 84_010)),
    ],
    ids=["0", "lower", "lower for long"],
)
async def test_meter_that_stays_untrue_is_suspect_and_never_measured(fault: Fault, shown_wh: tuple[int, int]) -> None:
    async with _place() as place:
        assert await place.at(*BEFORE_WH) == (BEFORE_WH, MEASURED)
        assert await place.at(*AFTER_WH, fault, is_short=True) == (shown_wh, SUSPECT)
        assert await place.at(*AFTER_WH) == (AFTER_WH, MEASURED)


@pytest.mark.parametrize("profile", [ACREL.id, SDM.id])
@pytest.mark.parametrize("fault", [Fault(shows="ones"), Fault(shows="no_value")], ids=["all ones", "not a number"])
async def test_meter_without_a_value_gives_no_reading(profile: str, fault: Fault) -> None:
    async with _place(profile) as place:
        assert await place.at(*BEFORE_WH) == (BEFORE_WH, MEASURED)
        assert await place.at(*AFTER_WH, fault, is_short=True) == "quarantined"


async def test_spike_beyond_what_the_connection_can_carry_is_suspect_and_the_true_register_after_it_is_not() -> None:
    """2^64 Wh in huawei_solar#1258, 9113 kWh in home-assistant/core#138077: here 9 MWh in a quarter of an hour."""
    async with _place() as place:
        assert await place.at(*BEFORE_WH) == (BEFORE_WH, MEASURED)
        assert await place.at(9_113_000, 89_010, is_short=True) == ((9_113_000, 89_010), SUSPECT)
        assert await place.at(*AFTER_WH) == (AFTER_WH, MEASURED)


async def test_register_that_starts_again_is_measured() -> None:
    modulus_wh = ACREL.billing_points[0].modulus_wh
    async with _place() as place:
        assert await place.at(modulus_wh - 1_000, 0) == ((modulus_wh - 1_000, 0), MEASURED)
        place.fleet.set_registers([modulus_wh + 500, BEFORE_WH[0]], [0, BEFORE_WH[1]])
        found = await sample([place.line], POLICY, 1800, place.memories)
    assert (found.registers_wh["M1"], found.taken["M1"].flags) == ((500, 0), FLAG_ROLLOVER)


async def test_register_that_stands_still_under_load_is_said_and_its_readings_are_flagged() -> None:
    async with _place() as place:
        with capture_logs() as logs:
            for import_wh in (10_000, 11_000, 12_000):
                await place.at(import_wh, 0, power_w=4_000)
            assert logs == []
            for _ in range(2):
                assert await place.at(12_000, 0, power_w=4_000) == ((12_000, 0), MEASURED)
                assert place.flags == FLAG_STUCK
            await place.at(13_000, 0, power_w=4_000)
            assert place.flags == 0
    assert [(entry["event"], entry["meter"]) for entry in logs] == [("register_stuck", "M1")]


def _words(import_wh: int, export_wh: int) -> list[int]:
    return [int(word, 16) for word in sdm_words(Quantities(import_wh, export_wh))]


@asynccontextmanager
async def _lying_pymodbus(untrue_answers: int, lie: list[int] | ExcCodes) -> AsyncIterator[int]:
    """pymodbus' server with the input registers of an SDM630; so many answers show these registers or are this exception."""
    true_words = _words(*AFTER_WH)
    left = untrue_answers

    async def answer(
        _code: int, _start: int, _first: int, _count: int, registers: list[int], _set: object
    ) -> ExcCodes | None:
        nonlocal left
        is_untrue, left = left > 0, left - 1
        registers[:] = lie if is_untrue and isinstance(lie, list) else true_words
        return lie if is_untrue and isinstance(lie, ExcCodes) else None

    device = SimDevice(1, [SimData(0, values=true_words, datatype=DataType.REGISTERS)], action=answer)
    server = ModbusTcpServer([device], address=(HOST, 0))
    await server.serve_forever(background=True)
    listener: object = server.transport
    assert isinstance(listener, asyncio.Server)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call] # pymodbus annotates no result


@pytest.mark.parametrize(
    "lie",
    [
        [0] * WORDS,
        [0xFFFF] * WORDS,
        [0x7FC0, 0] * (WORDS // 2),
        [0x7F80, 0] * (WORDS // 2),
        _words(AFTER_WH[0] - 150, AFTER_WH[1]),
        _words(9_113_000, AFTER_WH[1]),
        ExcCodes.DEVICE_BUSY,
        ExcCodes.DEVICE_FAILURE,
    ],
    ids=["0", "all ones", "not a number", "infinity", "0.15 kWh lower", "9113 kWh", "exception 6", "exception 4"],
)
async def test_server_by_pymodbus_that_is_untrue_for_a_while_loses_nothing(lie: list[int] | ExcCodes) -> None:
    memories, attempts = Memories(), []
    for slot, untrue_answers in enumerate((0, 3), 1):
        async with (
            _lying_pymodbus(untrue_answers, lie) as port,
            reading(LineConfig("L", HOST, port), [1]) as line,
        ):
            found = await sample([line], POLICY, 900 * slot, memories)
        assert (found.registers_wh, found.qualities) == ({"M1": AFTER_WH}, {"M1": MEASURED})
        attempts.append(found.taken["M1"].attempts)
    assert attempts[0] == 1 < attempts[1]
