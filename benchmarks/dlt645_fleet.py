"""dlt645_fleet: 2,000 DL/T 645 meters behind real sockets in one process, the total import of each asked for again and again.

The bound is a bare server in a process of its own that sends the answers it was told, by whole request: what any server has to do. Both are asked by the
same client, turn and turn about; every answer is looked at.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Final

from gridcore.errors import require
from gridledger.bench import Benchmark, Measurement

HOST: Final = "127.0.0.1"
METERS: Final = 2_000
PER_LINE: Final = 31
READS: Final = 10_000
ROUNDS: Final = 3
_START, _END, _OFFSET, _READ, _ANSWER = 0x68, 0x16, 0x33, 0x11, 0x91
_TOTAL_IMPORT: Final = bytes((0x00, 0x00, 0x01, 0x00))
"""Data id 00 01 00 00, least significant byte first."""


def energy_wh(meter: int) -> int:
    """What a meter shows: of each another number of whole steps of 10 Wh."""
    return 1_000_000 + 10 * meter


def frame(meter: int, control: int, data: bytes) -> bytes:
    """A frame of DL/T 645-2007 to or from the meter whose address is this number."""
    address = bytes.fromhex(f"{meter:012d}")[::-1]
    body = bytes((_START, *address, _START, control, len(data), *((byte + _OFFSET) % 256 for byte in data)))
    return bytes((*body, sum(body) % 256, _END))


def request(meter: int) -> bytes:
    """Asks for total import."""
    return frame(meter, _READ, _TOTAL_IMPORT)


def answer(meter: int) -> bytes:
    """What has to come back: eight digits, of 10 Wh each."""
    return frame(meter, _ANSWER, _TOTAL_IMPORT + bytes.fromhex(f"{energy_wh(meter) // 10:08d}")[::-1])


def dlt645_fleet() -> Measurement:
    """Reads by the wall's clock."""
    with _serving("ours") as ours, _serving("bare") as bare:
        rounds = [(_ask(ours), _ask(bare)) for _ in range(ROUNDS)]
    seconds, bound_seconds = (min(round_[side] for round_ in rounds) for side in (0, 1))
    return Measurement(READS, seconds, "a bare server of the same answers", bound_seconds)


def _ask(ports: list[int]) -> float:
    begun_s = time.perf_counter()
    asyncio.run(_read_all(ports))
    return time.perf_counter() - begun_s


async def _read_all(ports: list[int]) -> None:
    lines = len(ports)
    await asyncio.gather(
        *(_read_line(port, line, READS // lines + (line < READS % lines)) for line, port in enumerate(ports))
    )


async def _read_line(port: int, line: int, reads: int) -> None:
    """One request under way on each line, as on a wire."""
    meters = _meters_of(line)
    reader, writer = await asyncio.open_connection(HOST, port)
    for number in range(reads):
        meter = meters[number % len(meters)]
        writer.write(request(meter))
        said = await reader.readuntil(bytes((_END,)))
        wanted = answer(meter)
        while len(said.lstrip(b"\xfe")) < len(wanted):  # a byte of it that looks like the end
            said += await reader.readuntil(bytes((_END,)))
        require(said.lstrip(b"\xfe") == wanted, "each meter shows its own energy")
    writer.close()
    await writer.wait_closed()


def _meters_of(line: int) -> range:
    return range(1 + line * PER_LINE, 1 + min(METERS, (line + 1) * PER_LINE))


@contextmanager
def _serving(who: str) -> Iterator[list[int]]:
    """The ports of a process that serves the meters, one for each line."""
    command = [sys.executable, "-m", "benchmarks.dlt645_fleet", who]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield [int(port) for port in (process.stdout.readline() if process.stdout else "").split()]
        finally:
            if process.stdin is not None:
                process.stdin.close()  # then it ends


async def _serve(who: str) -> None:
    ports = await (_start_ours() if who == "ours" else _start_bare())
    sys.stdout.write(f"{' '.join(map(str, ports))}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


async def _start_ours() -> list[int]:
    from simulators.meters import MeterFleet
    from simulators.meters.fleet import VirtualMeter

    lines = -(-METERS // PER_LINE)
    meters = [VirtualMeter(f"M{meter}", f"line-{line}", meter) for line in range(lines) for meter in _meters_of(line)]
    fleet = MeterFleet(meters, framer="dlt645")
    endpoints = await fleet.start(HOST)
    fleet.set_registers([energy_wh(meter) for meter in range(1, METERS + 1)], [0] * METERS)
    _KEPT.append(fleet)
    return [endpoint.port for endpoint in endpoints]


async def _start_bare() -> list[int]:
    ports = []
    for line in range(-(-METERS // PER_LINE)):
        answers = {request(meter): answer(meter) for meter in _meters_of(line)}
        server = await asyncio.get_running_loop().create_server(partial(_Bare, answers), HOST, 0)
        ports.append(int(server.sockets[0].getsockname()[1]))
        _KEPT.append(server)
    return ports


class _Bare(asyncio.Protocol):
    """Sends the answer to a request that comes in one piece."""

    def __init__(self, answers: Mapping[bytes, bytes]) -> None:
        self._answers = answers
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it."""
        self._transport = transport if isinstance(transport, asyncio.WriteTransport) else None

    def data_received(self, data: bytes) -> None:
        """Answer."""
        if self._transport is not None:
            self._transport.write(self._answers[data])


_KEPT: Final[list[object]] = []
"""What serves, for as long as the process lives."""

BENCHMARKS: dict[str, Benchmark] = {"dlt645_fleet": dlt645_fleet}

if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
