"""One validator of the benchmarks ``consortium``: ``python -m benchmarks.consortium_node DIR LOAD PLACE``.

It says when it is ready for the next step of its load and begins it when it is told to; last it says what it measured.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from benchmarks.million import FIRST_S, METERING_DEADLINE_S, METERS_OF_GATEWAY, SLOT_S, World, batch, clock
from benchmarks.trivial_engine import TrivialEngine
from gridcore.codes import Code
from gridcore.errors import require
from gridcore.sm import SigningKey
from gridcore.sm3 import sm3
from gridcore.transactions.reading_batch import FIRST_PREVIOUS
from ledger.application import Decided
from ledger.engines.cometbft.engine import CometEngine, Doors
from ledger.engines.cometbft.program import find_engine
from ledger.store.consortium import ConsortiumLedger
from settlement.catalogue import CONTRACTS

VALIDATORS: Final = 4
VALIDATOR_KEYS: Final = [SigningKey.from_scalar(bytes(31) + bytes([number])) for number in range(1, VALIDATORS + 1)]
_CERTIFIERS: Final = tuple(key.public_key for key in VALIDATOR_KEYS)


class Load(NamedTuple):
    """What is measured. batches: of each gateway, after the one with the first registers.

    is_trivial: by an application that looks at nothing; is_settled: then the slot's deadline passes, and every area is settled.
    """

    world: World
    batches: int
    is_trivial: bool = False
    is_settled: bool = False

    @property
    def readings(self) -> int:
        """On the clock, by all validators."""
        return self.world.gateways * self.batches * METERS_OF_GATEWAY

    @property
    def steps(self) -> Sequence[str]:
        """What each validator is told, when all are ready for it."""
        return ("submit", "settle", "end") if self.is_settled else ("submit", "end")


_READINGS: Final = Load(World(10, 10_000, _CERTIFIERS, FIRST_S + 10 * SLOT_S, metering_deadline_s=86_400), batches=10)
LOADS: Final = {
    "readings": _READINGS,
    "trivial": _READINGS._replace(is_trivial=True),
    "slot_100k": Load(World(10, 10_000, _CERTIFIERS, FIRST_S + SLOT_S), batches=1, is_settled=True),
    "slot_1m": Load(World(10, 100_000, _CERTIFIERS, FIRST_S + SLOT_S), batches=1, is_settled=True),
}


@dataclass(frozen=True)
class Run:
    """What one validator measured: instants are of the machine's monotonic clock; latencies and processor time in seconds; memory in MiB.

    engine_...: of the CometBFT process.
    """

    begin_s: float
    end_s: float
    decided_s: Sequence[float]
    certified_s: Sequence[float]
    cpu_s: float
    memory_mib: float
    engine_cpu_s: float = 0.0
    engine_memory_mib: float = 0.0


class Engine(Protocol):
    """What a validator submits to. ``decided_s``: by digest of a transaction's bytes, when its block was committed here."""

    decided_s: dict[bytes, float]

    async def send(self, wire: bytes) -> None:
        """Return when the transaction is certified."""
        ...

    async def settle(self, place: int) -> None:
        """Pass the metering deadline (the first validator does), and return when every area is settled here."""
        ...


class Measured(CometEngine):
    """The engine of the product, which notes when blocks are committed."""

    def __init__(self, ledger: ConsortiumLedger, doors: Doors) -> None:
        super().__init__(ledger, doors)
        self.decided_s: dict[bytes, float] = {}

    async def send(self, wire: bytes) -> None:
        """See ``Engine``."""
        busy = True
        while busy:  # as a gateway does: it may be that not enough validators have come up yet
            (outcome,) = await self.submit([wire])
            busy = outcome.code is Code.NODE_BUSY
        is_there = outcome.code in (Code.ACCEPTED, Code.EXISTS)
        require(is_there and not outcome.rows, "the benchmark's batches are all accepted")

    async def settle(self, place: int) -> None:
        """See ``Engine``."""
        ledger, to_s = self._ledger, FIRST_S + SLOT_S + METERING_DEADLINE_S
        if place == 0:
            await self.send(clock(ledger.chain, to_s))
        while ledger.ledger_time_s < to_s or ledger.application.tip.work_pending:
            await self.wait_height(ledger.height, 1.0)

    def committed(self, decided: Decided) -> None:
        """See ``machine.Listener``."""
        now_s = time.monotonic()
        self.decided_s.update((sm3(wire), now_s) for wire in decided.block.transactions)
        super().committed(decided)


def main() -> None:
    """Run one validator."""
    folder, load, place = Path(sys.argv[1]), LOADS[sys.argv[2]], int(sys.argv[3])
    home = folder / str(place)
    doors = Doors(f"unix://{home / 'abci.sock'}", int((home / "rpc_port").read_text()))
    if load.is_trivial:
        asyncio.run(_run(TrivialEngine(doors), load, home, place, "trivial"))
        return
    with closing(ConsortiumLedger.open(home / "ledger", CONTRACTS, VALIDATOR_KEYS[place])) as ledger:
        asyncio.run(_run(Measured(ledger, doors), load, home, place, ledger.chain))


async def _run(engine: Any, load: Load, home: Path, place: int, chain: str) -> None:
    wires = [_wires(load, chain, gateway) for gateway in range(place, load.world.gateways, VALIDATORS)]
    async with engine:
        process = _start_comet(home)
        try:
            await asyncio.gather(*(engine.send(of_gateway[0]) for of_gateway in wires))
            await _told()
            run = await _measured(engine, wires)
            await _told()
            if load.is_settled:
                await engine.settle(place)
                run = replace(run, end_s=time.monotonic(), memory_mib=_memory_mib(os.getpid()))
                await _told()
            run = replace(run, engine_memory_mib=_memory_mib(process.pid))
        finally:
            process.terminate()
            process.wait()
    _say(asdict(replace(run, engine_cpu_s=_cpu_s(resource.RUSAGE_CHILDREN))))


async def _told() -> None:
    """Say that this validator is ready, and wait until all are: they need one another's votes up to the end."""
    _say({})
    await asyncio.to_thread(sys.stdin.readline)


def _start_comet(home: Path) -> subprocess.Popen[bytes]:
    with (home / "engine.log").open("ab") as log:
        command = [str(find_engine()), "start", f"--home={home}"]
        return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)


async def _measured(engine: Engine, wires: Sequence[Sequence[bytes]]) -> Run:
    sent_s: dict[bytes, float] = {}
    certified_s: list[float] = []

    async def send_all(of_gateway: Sequence[bytes]) -> None:
        for wire in of_gateway[1:]:
            sent_s[sm3(wire)] = begin_s = time.monotonic()
            await engine.send(wire)
            certified_s.append(time.monotonic() - begin_s)

    begin_s, before_s = time.monotonic(), _cpu_s(resource.RUSAGE_SELF)
    await asyncio.gather(*map(send_all, wires))
    end_s, cpu_s = time.monotonic(), _cpu_s(resource.RUSAGE_SELF) - before_s
    decided_s = [engine.decided_s[digest] - instant_s for digest, instant_s in sent_s.items()]
    return Run(begin_s, end_s, decided_s, certified_s, cpu_s, _memory_mib(os.getpid()))


def _wires(load: Load, chain: str, gateway: int) -> list[bytes]:
    """The batches of a gateway, in order."""
    wires, previous = [], FIRST_PREVIOUS
    for counter in range(1, 2 + load.batches):
        signed = batch(load.world, chain, gateway, counter, previous)
        wires.append(signed.wire)
        previous = signed.id
    return wires


def _cpu_s(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def _memory_mib(process_id: int) -> float:
    """The most that a process has had in memory; what the kernel counts as ``maxrss`` has that of the process before it, too."""
    lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def _say(found: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
