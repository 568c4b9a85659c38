"""Buses of simulated meters in a process of their own: ``python -m tests.field.fleet_process BUSES METERS``.

A third of the buses each: RTU through a device server at 9600 baud, Modbus TCP gateways to buses at 19200 baud, serial lines at
9600 baud; and one DL/T 645 line at 2400 baud. Of each bus of Modbus meters two are dead, and on every second bus a third one is
slow. Prints its lines as JSON; each line on stdin is a number of a boundary to show; the answer is that number.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from typing import Final

from firmware_profiles import ModbusProfile, load_profile
from simulators.meters import Fault, LineFault, MeterFleet, VirtualMeter, Wire

DEAD: Final = (7, 19)
SLOW: Final = 31
SLOW_MS: Final = 600
GATEWAY_TIMEOUT_MS: Final = 5_000
TURNAROUND_MS: Final = 20
DLT645_METERS: Final = 32
DLT645_LINE: Final = "dlt645"
STEP_WH: Final = 130


@dataclass(frozen=True)
class Kind:
    """How the meters of some buses are reached."""

    name: str
    framer: str
    medium: str
    baud: int


KINDS: Final = (
    Kind("rtu", "rtu", "tcp", 9600),
    Kind("gateway", "socket", "tcp", 19_200),
    Kind("serial", "rtu", "pty", 9600),
)


def is_slow(bus: int, unit: int) -> bool:
    """Whether the meter answers late."""
    return unit == SLOW and bus % 2 == 1


def import_wh(bus: int, unit: int, boundary: int) -> int:
    """The register that a meter shows at a boundary."""
    return 1_000_000 + bus * 10_000 + unit * 100 + boundary * STEP_WH


async def main(buses: int, per_bus: int) -> None:
    """Serve until stdin ends."""
    profile = load_profile("eastron_sdm630", kind=ModbusProfile)
    fleets: list[MeterFleet] = []
    lines = []
    for index, kind in enumerate(KINDS):
        meters = [
            VirtualMeter(f"{bus}/{unit}", f"{kind.name}-{bus}", unit, profile, turnaround_ms=TURNAROUND_MS)
            for bus in range(index, buses, len(KINDS))
            for unit in range(1, per_bus + 1)
        ]
        fleet = MeterFleet(meters, framer=kind.framer, medium=kind.medium, wire=Wire(kind.baud))
        for endpoint in await fleet.start():
            bus = int(endpoint.line.rpartition("-")[2])
            lines.append([endpoint.line, bus, kind.framer, endpoint.host, endpoint.port, endpoint.device, kind.baud])
            if kind.framer == "socket":
                fleet.set_line_fault(endpoint.line, LineFault(gateway_timeout_ms=GATEWAY_TIMEOUT_MS))
            for unit in DEAD:
                fleet.set_fault(f"{bus}/{unit}", Fault(silent=True))
            if bus % 2 == 1:
                fleet.set_fault(f"{bus}/{SLOW}", Fault(late_ms=SLOW_MS))
        fleets.append(fleet)
    chinese = MeterFleet(
        [
            VirtualMeter(f"{buses}/{unit}", DLT645_LINE, unit, turnaround_ms=TURNAROUND_MS)
            for unit in range(1, DLT645_METERS + 1)
        ],
        framer="dlt645",
        medium="pty",
        wire=Wire(2400),
    )
    (endpoint,) = await chinese.start()
    lines.append([endpoint.line, buses, "dlt645", "", 0, endpoint.device, 2400])
    fleets.append(chinese)
    print(json.dumps(lines), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        for fleet in fleets:
            places = [tuple(map(int, meter.meter.split("/"))) for meter in fleet.meters]
            shown = [import_wh(bus, unit, int(line)) for bus, unit in places]
            fleet.set_registers(shown, [0] * len(shown))
        print(line.strip(), flush=True)
    for fleet in fleets:
        await fleet.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
