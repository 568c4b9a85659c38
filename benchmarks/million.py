"""Worlds of a million metering points and more, in a data directory made fast, and what ``node_open`` and ``slot_million`` do in them.

``python -m benchmarks.million make|register|open|slot|prune|orders DIR AREAS POINTS`` is what they run, each step in a process of its own,
so that the memory it reports is its own. See ``benchmarks.million_world`` for how a world is made.
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
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

from gridcore.clock import WallClock
from gridcore.errors import require
from gridcore.sm import SigningKey
from gridcore.sm3 import sm3
from gridcore.transactions.clock_advance import ClockAdvance
from gridcore.transactions.content import SignedContent, sign_content
from gridcore.transactions.reading_batch import FIRST_PREVIOUS, ClockState, ReadingBatch
from gridcore.transactions.readings import Reading, attach

METERS_OF_GATEWAY = 500
BATCHES_TOGETHER = 2_000
"""Reading batches that are on their way at once: those of a million meters."""
SHARE_BATCHES = 100
"""Of them in one submission."""
ZONE_POINTS = 100_000
SLOT_S = 900
METERING_DEADLINE_S = 900
FIRST_S = 1_800_000_000
FIRST_NUMBER = 10_000_000
"""Meter numbers of eight digits, so that every leaf is as long as the next."""
KEY = SigningKey.from_scalar(bytes(31) + b"\x51")
CONTRACT = "p2p_call_auction/1"
AGGREGATOR = "pool"
"""The signer that places the orders of every household."""
PRICES = {
    "feed_in_price_micro_per_kwh": 280_000,
    "levy_micro_per_kwh": 40_000,
    "network_residual_micro_per_kwh": 180_000,
    "network_traded_micro_per_kwh": 150_000,
    "residual_price_micro_per_kwh": 460_000,
    "shortfall_price_micro_per_kwh": 490_000,
    "surplus_price_micro_per_kwh": 280_000,
}


@dataclass(frozen=True)
class World:
    """``areas`` grid areas of ``points`` households each; gateways read 500 meters, whatever their areas.

    certifiers: keys that certify, each of power 1; ledger_time_s: at genesis; metering_deadline_s: as a zone has it.
    """

    areas: int
    points: int
    certifiers: tuple[bytes, ...] = (KEY.public_key,)
    ledger_time_s: int = FIRST_S
    metering_deadline_s: int = METERING_DEADLINE_S

    @property
    def meters(self) -> int:
        """All metering points."""
        return self.areas * self.points

    @property
    def areas_of_zone(self) -> int:
        """Areas that share a zone: as many as leave it well below the most rows that one may have."""
        return max(1, ZONE_POINTS // self.points)

    @property
    def zones(self) -> Sequence[str]:
        """The zones' names, ascending."""
        return [self.zone_of(area) for area in range(0, self.areas, self.areas_of_zone)]

    def zone_of(self, area: int) -> str:
        """The zone of an area."""
        return f"Z{area // self.areas_of_zone:05d}"

    @property
    def gateways(self) -> int:
        """Gateways that it takes to read them."""
        return -(-self.meters // METERS_OF_GATEWAY)

    def gateway(self, number: int) -> str:
        """The name of a gateway."""
        return f"g{number:05d}"


# ------------------------------------------------------------------------------------------------------ transactions


def clock(chain: str, to_s: int) -> bytes:
    """Move ledger time."""
    step = ClockAdvance(client_id=to_s.to_bytes(16, "big"), valid_until_s=to_s, to_s=to_s)
    return sign_content(step, chain=chain, signer="operator", sign=KEY.sign).wire


def batch(world: World, chain: str, gateway: int, counter: int, previous: bytes) -> SignedContent:
    """A gateway's batch number ``counter``, one boundary later each."""
    first = gateway * METERS_OF_GATEWAY
    readings = [
        Reading(FIRST_NUMBER + meter, 0, 0, 1_000_000 + 250 * counter + meter % 97, 500_000 + 90 * counter)
        for meter in range(first, min(first + METERS_OF_GATEWAY, world.meters))
    ]
    attached = attach(sm3(b"%d/%d" % (gateway, counter)), readings)
    content = ReadingBatch(
        agent="bench",
        boundary_s=FIRST_S + (counter - 1) * SLOT_S,
        clock=ClockState(0, "simulated"),
        configuration=bytes(32),
        counter=counter,
        epoch=1,
        previous=previous,
        profiles=bytes(32),
        rows=attached.rows,
        rows_root=attached.rows_root,
    )
    return sign_content(
        content, chain=chain, signer=world.gateway(gateway), sign=KEY.sign, attachment=attached.attachment
    )


# ------------------------------------------------------------------------------------------------------------- steps


def open_node(data_dir: Path) -> None:
    """Open the node as ``node run`` does, and say how long that took."""
    from ledger.store.ledger import Ledger
    from settlement.catalogue import CONTRACTS, pins

    start = time.perf_counter()
    with closing(Ledger.open(data_dir, CONTRACTS, KEY, WallClock(), pins=pins())) as ledger:
        _say("open", seconds=time.perf_counter() - start, points=len(ledger.registry.numbers), height=ledger.height)


def slot(data_dir: Path, world: World) -> None:
    """One slot over the engine's submit interface; the registers at its start are there before the clock starts."""
    asyncio.run(_slot(data_dir, world))


async def _slot(data_dir: Path, world: World) -> None:
    from benchmarks.watched import Watched
    from ledger.engines.embedded import EmbeddedEngine
    from ledger.store.ledger import Ledger
    from settlement.catalogue import CONTRACTS

    files = Watched()
    ledger = Ledger.open(data_dir, CONTRACTS, KEY, WallClock(), files=files)

    def decide(wires: list[bytes]) -> None:
        results = ledger.make_block(ledger.examine(wires)).results
        require(not any(result.code or result.rows for result in results), "the benchmark's transactions are accepted")

    second: list[bytes] = []
    for begin in range(0, world.gateways, BATCHES_TOGETHER):
        gateways = range(begin, min(begin + BATCHES_TOGETHER, world.gateways))
        first = [batch(world, ledger.chain, gateway, 1, FIRST_PREVIOUS) for gateway in gateways]
        decide([content.wire for content in first])
        second += [batch(world, ledger.chain, *both).wire for both in zip(gateways, repeat(2), (c.id for c in first))]
    decide([clock(ledger.chain, FIRST_S + SLOT_S)])
    shares = iter([second[at : at + SHARE_BATCHES] for at in range(0, len(second), SHARE_BATCHES)])
    del second

    async def send(engine: EmbeddedEngine) -> None:
        for share in shares:
            answers = await engine.submit(share)
            require(not any(answer.code or answer.rows for answer in answers), "every row is accepted")

    async with EmbeddedEngine(ledger) as engine:
        files.seconds.clear()
        height, start, cpu_s = ledger.height, time.perf_counter(), time.process_time()
        files.last = start
        await asyncio.gather(*(send(engine) for _ in range(BATCHES_TOGETHER // SHARE_BATCHES)))
        taken, taken_cpu_s = time.perf_counter(), time.process_time() - cpu_s
        await engine.submit([clock(ledger.chain, FIRST_S + SLOT_S + METERING_DEADLINE_S)])
        while ledger.work_pending:
            await engine.wait_height(ledger.height, 1.0)
        done, cpu_s = time.perf_counter(), time.process_time() - cpu_s
    _say(
        "slot",
        seconds=done - start,
        received_s=taken - start,
        settled_s=done - taken,
        cpu_s=cpu_s,
        received_cpu_s=taken_cpu_s,
        blocks=ledger.height - height,
        **{f"{point}_s": seconds for point, seconds in files.seconds.items()},
        log_mib=(data_dir / "blocks.log").stat().st_size >> 20,
        state_db_mib=(data_dir / "state.db").stat().st_size >> 20,
    )
    ledger.close()


def prune(data_dir: Path) -> None:
    """Forget what a settled slot came to, as ``node prune`` does once it is final, and give the room back."""
    from ledger.store.directory import digest_of_genesis
    from ledger.store.pruned_tables import Pruned
    from ledger.store.state_db import DB_NAME, StateDb

    with closing(StateDb.open(data_dir / DB_NAME, digest_of_genesis(data_dir))) as db:
        before_mib, start = _size_mib(data_dir), time.perf_counter()
        db.prune(Pruned(db.height(), FIRST_S + 2 * SLOT_S), ())
        pruned = time.perf_counter()
        db.give_back_room()
        done = time.perf_counter()
    _say(
        "prune",
        seconds=done - start,
        pruned_s=pruned - start,
        given_back_s=done - pruned,
        before_mib=before_mib,
        after_mib=_size_mib(data_dir),
    )


def orders(data_dir: Path, world: World) -> None:
    """An order of every household over the engine's submit interface, and the gate of the slot."""
    from benchmarks.million_orders import place_and_clear

    _say("orders", **asyncio.run(place_and_clear(data_dir, world)))


def _size_mib(data_dir: Path) -> int:
    return sum(path.stat().st_size for path in data_dir.iterdir()) >> 20


def _say(step: str, **figures: float) -> None:
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(json.dumps({"step": step, **figures, "peak_mib": peak_mib}))  # noqa: T201


def run_step(step: str, data_dir: Path, world: World) -> dict[str, Any]:
    """A step in a process of its own; its figures, which are printed to stderr as well."""
    command = [sys.executable, "-m", "benchmarks.million", step, str(data_dir), str(world.areas), str(world.points)]
    folder = Path(__file__).resolve().parent.parent
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    shown = ", ".join(
        f"{name} {value:.2f}" if isinstance(value, float) else f"{name} {value}" for name, value in figures.items()
    )
    print(shown, file=sys.stderr, flush=True)  # noqa: T201
    return figures


def main() -> None:
    """One step, as ``run_step`` calls it."""
    step, data_dir, areas, points = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    world = World(areas, points)
    match step:
        case "make" | "register":
            from benchmarks import million_world

            begin = time.perf_counter()
            leaves = (million_world.make if step == "make" else million_world.register)(data_dir, world)
            _say(step, seconds=time.perf_counter() - begin, leaves=leaves, mib=_size_mib(data_dir))
        case "open":
            open_node(data_dir)
        case "orders":
            orders(data_dir, world)
        case "prune":
            prune(data_dir)
        case _:
            slot(data_dir, world)


if __name__ == "__main__":
    main()
