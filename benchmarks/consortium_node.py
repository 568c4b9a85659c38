"""One validator of the benchmark ``consortium``: ``python -m benchmarks.consortium_node DIR APPLICATION PLACE``.

APPLICATION is ``ledger``, or ``trivial``: the engine's own bound. It says when it is ready, begins when it is told to, says
when it is done, ends when it is told to, and says what it measured.
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from benchmarks.million import FIRST_S, METERS_OF_GATEWAY, SLOT_S, World, batch
from benchmarks.trivial_engine import TrivialEngine
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
BATCHES: Final = 10
"""Of each gateway, on the clock; the one before them has the first registers."""
VALIDATOR_KEYS: Final = [SigningKey.from_scalar(bytes(31) + bytes([number])) for number in range(1, VALIDATORS + 1)]
WORLD: Final = World(
    areas=10,
    points=10_000,
    certifiers=tuple(key.public_key for key in VALIDATOR_KEYS),
    ledger_time_s=FIRST_S + BATCHES * SLOT_S,
    metering_deadline_s=86_400,
)
READINGS: Final = WORLD.gateways * BATCHES * METERS_OF_GATEWAY


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


class Measured(CometEngine):
    """The engine of the product, which notes when blocks are committed."""

    def __init__(self, ledger: ConsortiumLedger, doors: Doors) -> None:
        super().__init__(ledger, doors)
        self.decided_s: dict[bytes, float] = {}

    async def send(self, wire: bytes) -> None:
        """See ``Engine``."""
        (outcome,) = await self.submit([wire])
        require(outcome.code == 0 and not outcome.rows, "the benchmark's batches are all accepted")

    def committed(self, decided: Decided) -> None:
        """See ``machine.Listener``."""
        now_s = time.monotonic()
        self.decided_s.update((sm3(wire), now_s) for wire in decided.block.transactions)
        super().committed(decided)


def main() -> None:
    """Run one validator."""
    folder, application, place = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    home = folder / str(place)
    doors = Doors(f"unix://{home / 'abci.sock'}", int((home / "rpc_port").read_text()))
    if application == "trivial":
        asyncio.run(_run(TrivialEngine(doors), home, place, "trivial"))
        return
    with closing(ConsortiumLedger.open(home / "ledger", CONTRACTS, VALIDATOR_KEYS[place])) as ledger:
        asyncio.run(_run(Measured(ledger, doors), home, place, ledger.chain))


async def _run(engine: Any, home: Path, place: int, chain: str) -> None:
    wires = [_wires(chain, gateway) for gateway in range(place, WORLD.gateways, VALIDATORS)]
    async with engine:
        process = _start_comet(home)
        try:
            await asyncio.gather(*(engine.send(of_gateway[0]) for of_gateway in wires))
            _say({})
            await asyncio.to_thread(sys.stdin.readline)
            run = await _measured(engine, wires)
            _say({})
            await asyncio.to_thread(sys.stdin.readline)  # the others need its votes until they are done
        finally:
            process.terminate()
            process.wait()
    children = resource.RUSAGE_CHILDREN
    _say(asdict(run) | {"engine_cpu_s": _cpu_s(children), "engine_memory_mib": _memory_mib(children)})


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
    return Run(begin_s, end_s, decided_s, certified_s, cpu_s, _memory_mib(resource.RUSAGE_SELF))


def _wires(chain: str, gateway: int) -> list[bytes]:
    """The batches of a gateway, in order."""
    wires, previous = [], FIRST_PREVIOUS
    for counter in range(1, 2 + BATCHES):
        signed = batch(WORLD, chain, gateway, counter, previous)
        wires.append(signed.wire)
        previous = signed.id
    return wires


def _cpu_s(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def _memory_mib(who: int) -> float:
    return resource.getrusage(who).ru_maxrss / 1024


def _say(found: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
