"""edge_reads: one meter's billing registers over Modbus TCP, from the request to exact Wh, again and again on one connection.

The bound is a bare loop over pymodbus' client that asks for the same registers and keeps the words as they come: no time limit of
its own, no gaps, nothing decoded. A process of its own serves the meter. ``cpu`` counts what the reader's process computes, ``wall``
what passes; both ask turn and turn about, so that what else the machine does meets both alike.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial

from pymodbus.client import AsyncModbusTcpClient

from edge.blocks import plan_reads
from edge.lines import LineConfig
from edge.readers.modbus import ModbusLine, ModbusMeter
from firmware_profiles import ModbusProfile, load_profile
from gridcore.errors import require
from gridledger.bench import Measurement
from simulators.meters import MeterFleet, VirtualMeter

PROFILE = "eastron_sdm630"
HOST = "127.0.0.1"
READS = 2000
ROUNDS = 5
IMPORT_WH, EXPORT_WH = 1_234_560, 7_890
FOREVER = float("inf")

Clock = Callable[[], float]


def edge_reads(clock: Clock) -> Measurement:
    """Reads of one meter by ``clock`` (s)."""
    with serving_meter() as port:
        seconds, bound_seconds = asyncio.run(_compare(port, clock))
    return Measurement(READS, seconds, "a bare loop over pymodbus' client", bound_seconds)


async def _compare(port: int, clock: Clock) -> tuple[float, float]:
    profile = load_profile(PROFILE, kind=ModbusProfile)
    plan = plan_reads(profile)
    (block,) = plan.billing
    line = ModbusLine(LineConfig("bench", HOST, port))
    meter = ModbusMeter(line, "M", 1, profile, plan)
    client = AsyncModbusTcpClient(HOST, port=port, retries=0)
    require(await client.connect(), "pymodbus connects")
    read = await meter.read_billing(FOREVER)
    require([register.register_wh for register in read.registers] == [IMPORT_WH, EXPORT_WH], "true registers")
    bare = await client.read_input_registers(block.address, count=block.count, device_id=1)
    require(
        b"".join(word.to_bytes(2, "big") for word in bare.registers) == b"".join(r.raw for r in read.registers),
        "same words",
    )
    seconds = bound_seconds = FOREVER
    for _ in range(ROUNDS):
        seconds = min(seconds, await timed(partial(meter.read_billing, FOREVER), clock))
        ask = partial(client.read_input_registers, block.address, count=block.count, device_id=1)
        bound_seconds = min(bound_seconds, await timed(ask, clock))
    client.close()
    await line.close()
    return seconds, bound_seconds


async def timed(read: Callable[[], Awaitable[object]], clock: Clock) -> float:
    """Seconds by ``clock`` of READS reads, one after the other."""
    start = clock()
    for _ in range(READS):
        await read()
    return clock() - start


@contextmanager
def serving_meter() -> Iterator[int]:
    """A process that serves one meter; yields its port."""
    command = [sys.executable, "-m", "benchmarks.edge_reads"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            require(process.stdout is not None, "the meter's process says its port")
            yield int(process.stdout.readline() if process.stdout else "")
        finally:
            if process.stdin is not None:
                process.stdin.close()  # then it ends


async def _serve() -> None:
    fleet = MeterFleet([VirtualMeter("M", "line", 1, load_profile(PROFILE, kind=ModbusProfile))])
    (endpoint,) = await fleet.start(HOST)
    fleet.set_registers([IMPORT_WH], [EXPORT_WH])
    sys.stdout.write(f"{endpoint.port}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await fleet.close()


BENCHMARKS = {
    "edge_reads/wall": partial(edge_reads, time.perf_counter),
    "edge_reads/cpu": partial(edge_reads, time.process_time),
}

if __name__ == "__main__":
    asyncio.run(_serve())
