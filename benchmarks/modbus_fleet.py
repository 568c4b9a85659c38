"""modbus_fleet: 2,000 meters behind real sockets in one process, the billing registers of each asked for over Modbus TCP again and again.

The bound is pymodbus' server in a process of its own with the same meters, ports and words, asked by the same client. ``wall`` is what passes while
both processes share the machine, ``cpu`` what the serving process computes. They are asked turn and turn about. Its limit: 10,000 reads in a second, or
three times the bound.
"""

from __future__ import annotations

import asyncio
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final, NamedTuple

from firmware_profiles import ModbusProfile, load_profile
from gridcore.errors import require
from gridledger.bench import Measurement

PROFILE: Final = "eastron_sdm630"
HOST: Final = "127.0.0.1"
METERS: Final = 2_000
PER_LINE: Final = 247
ADDRESS, WORDS = 0x48, 4  # import and export, float32 kWh
ANSWER_BYTES: Final = 9 + 2 * WORDS
CONNECTIONS: Final = 4
"""To each line; each has one request under way, as masters do."""
READS: Final = 10_000
ROUNDS: Final = 3
PER_SECOND_MIN: Final = 10_000
TIMES_BOUND_MIN: Final = 3


class Spent(NamedTuple):
    """Of READS reads. wall_s: what passed; cpu_s: what the serving process computed."""

    wall_s: float
    cpu_s: float


class Fleet(NamedTuple):
    """A process that serves METERS meters."""

    process: subprocess.Popen[str]
    ports: list[int]

    def cpu_s(self) -> float:
        """What it has computed."""
        said, asked = self.process.stdout, self.process.stdin
        if said is None or asked is None:
            raise AssertionError("its pipes were asked for")
        asked.write("\n")
        asked.flush()
        return float(said.readline())


def energy_kwh(meter: int) -> tuple[float, float]:
    """What a meter shows: import and export."""
    return 1_000.0 + meter / 4, meter / 2


def modbus_fleet(which: str) -> Measurement:
    """Reads by ``which`` clock: a field of ``Spent``."""
    with serving("ours") as ours, serving("pymodbus") as bound:
        for fleet in (ours, bound):
            asyncio.run(_check_words(fleet))
        rounds = [(_ask(ours), _ask(bound)) for _ in range(ROUNDS)]
    seconds, bound_seconds = (min(getattr(round_[side], which) for round_ in rounds) for side in (0, 1))
    is_met = seconds <= READS / PER_SECOND_MIN or seconds <= bound_seconds / TIMES_BOUND_MIN
    words = f"{PER_SECOND_MIN:,} reads/s, or {TIMES_BOUND_MIN} times the bound"
    return Measurement(READS, seconds, "pymodbus' server", bound_seconds).limited(words, is_met)


def _ask(fleet: Fleet) -> Spent:
    begun_s, cpu_s = time.perf_counter(), fleet.cpu_s()
    asyncio.run(_read_all(fleet))
    return Spent(time.perf_counter() - begun_s, fleet.cpu_s() - cpu_s)


def _units(line: int) -> int:
    return min(PER_LINE, METERS - line * PER_LINE)


class _Asker(asyncio.Protocol):
    """Asks one meter after the other on a connection until ``reads`` are answered."""

    def __init__(self, units: int, reads: int) -> None:
        self._requests = [_request(unit) for unit in range(1, units + 1)]
        self._left = reads
        self._bytes = 0
        self._transport: asyncio.Transport | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        require(isinstance(transport, asyncio.Transport), "a socket")
        self._transport = transport if isinstance(transport, asyncio.Transport) else None
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Ask the next one as soon as an answer is whole."""
        self._bytes += len(data)
        if self._bytes < ANSWER_BYTES:
            return
        self._bytes = 0
        self._left -= 1
        self._ask()

    def _ask(self) -> None:
        if self._transport is None:
            return
        if self._left:
            self._transport.write(self._requests[self._left % len(self._requests)])
        else:
            self._transport.close()
            self.done.set_result(None)


def _request(unit: int) -> bytes:
    return struct.pack(">HHHBBHH", unit, 0, 6, unit, 4, ADDRESS, WORDS)


async def _read_all(fleet: Fleet) -> None:
    loop, count = asyncio.get_running_loop(), len(fleet.ports) * CONNECTIONS
    askers = []
    for number in range(count):
        line = number % len(fleet.ports)
        make = partial(_Asker, _units(line), READS // count + (number < READS % count))
        askers.append((await loop.create_connection(make, HOST, fleet.ports[line]))[1])
    await asyncio.gather(*(asker.done for asker in askers))


async def _check_words(fleet: Fleet) -> None:
    for line, port in enumerate(fleet.ports):
        reader, writer = await asyncio.open_connection(HOST, port)
        for unit in range(1, _units(line) + 1):
            writer.write(_request(unit))
            shown = struct.unpack(">ff", (await reader.readexactly(ANSWER_BYTES))[9:])
            require(shown == energy_kwh(line * PER_LINE + unit), "each meter shows its own energy")
        writer.close()


@contextmanager
def serving(who: str) -> Iterator[Fleet]:
    """A process that serves the meters."""
    command = [sys.executable, "-m", "benchmarks.modbus_fleet", who]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            require(process.stdout is not None, "it says its ports")
            ports = process.stdout.readline() if process.stdout else ""
            yield Fleet(process, [int(port) for port in ports.split()])
        finally:
            if process.stdin is not None:
                process.stdin.close()  # then it ends


async def _serve(who: str) -> None:
    ports = await (_start_ours() if who == "ours" else _start_pymodbus())
    _say(" ".join(map(str, ports)))
    while await asyncio.to_thread(sys.stdin.readline):
        _say(str(time.process_time()))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def _start_ours() -> list[int]:
    from simulators.meters import MeterFleet
    from simulators.meters.fleet import VirtualMeter

    profile = load_profile(PROFILE, kind=ModbusProfile)
    meters = [
        VirtualMeter(f"M{number}", f"line-{number // PER_LINE}", number % PER_LINE + 1, profile)
        for number in range(METERS)
    ]
    fleet = MeterFleet(meters)
    endpoints = await fleet.start(HOST)
    energies = [energy_kwh(number) for number in range(1, METERS + 1)]
    fleet.set_registers([round(kwh * 1000) for kwh, _ in energies], [round(kwh * 1000) for _, kwh in energies])
    _KEPT.append(fleet)
    return [endpoint.port for endpoint in endpoints]


async def _start_pymodbus() -> list[int]:
    from pymodbus.server import ModbusTcpServer
    from pymodbus.simulator import DataType, SimData, SimDevice

    ports = []
    for line in range(-(-METERS // PER_LINE)):
        devices = []
        for unit in range(1, _units(line) + 1):
            words = list(struct.unpack(">4H", struct.pack(">ff", *energy_kwh(line * PER_LINE + unit))))
            devices.append(SimDevice(unit, [SimData(ADDRESS, values=words, datatype=DataType.REGISTERS)]))
        server = ModbusTcpServer(devices, address=(HOST, 0))
        await server.serve_forever(background=True)
        listener: object = server.transport
        if not isinstance(listener, asyncio.Server):
            raise TypeError("it listens on a socket")
        ports.append(int(listener.sockets[0].getsockname()[1]))
        _KEPT.append(server)
    return ports


_KEPT: Final[list[object]] = []
"""What serves, for as long as the process lives."""

BENCHMARKS = {
    "modbus_fleet/wall": partial(modbus_fleet, "wall_s"),
    "modbus_fleet/cpu": partial(modbus_fleet, "cpu_s"),
}

if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
