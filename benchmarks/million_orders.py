"""slot_1m_orders: an order of each of a million households, in aggregators' batches, through the embedded engine.

Signed batches of up to 16,384 orders go in over the engine's submit interface: checked, judged, in the book, durable; then ledger
time passes the slot's gate, and every area is cleared with its roots. ``areas``: ten areas of 100,000; ``feeders``: 6,494 areas
of 154. Half of the orders buy and half sell. Making the world and signing the batches are outside the clock; stages and peak
memory go to stderr.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.million import AGGREGATOR, FIRST_S, KEY, SLOT_S, World, clock, run_step
from gridcore.clock import WallClock
from gridcore.errors import require
from gridcore.sm3 import sm3
from gridcore.transactions.content import sign_content
from gridcore.transactions.order_batch import ROWS_MAX, OrderBatch, PlacedOrder, attach_orders
from gridledger.bench import Benchmark, Measurement

TRADED_SLOT_S = FIRST_S + SLOT_S


def order_batches(world: World, chain: str) -> Iterator[bytes]:
    """An order of every household, zone by zone."""
    rows_of_zone = world.areas_of_zone * world.points
    for first in range(0, world.meters, rows_of_zone):
        zone = world.zone_of(first // world.points)
        end = min(first + rows_of_zone, world.meters)
        for start in range(first, end, ROWS_MAX):
            seed = sm3(b"orders from %d" % start)
            attached = attach_orders(seed, [_order(number) for number in range(start, min(start + ROWS_MAX, end))])
            content = OrderBatch(
                client_id=seed[:16],
                valid_until_s=FIRST_S + 3_600,
                rows=attached.rows,
                rows_root=attached.rows_root,
                slot_start_s=TRADED_SLOT_S,
                zone=zone,
            )
            signed = sign_content(
                content, chain=chain, signer=AGGREGATOR, sign=KEY.sign, attachment=attached.attachment
            )
            yield signed.wire


def _order(party: int) -> PlacedOrder:
    side = party % 2
    limit = (370_000 if side == 0 else 280_000) + party * 7_919 % 90_000
    return PlacedOrder(party, 1, side, 100 + party * 31 % 900, limit)


async def place_and_clear(data_dir: Path, world: World) -> dict[str, float]:
    """Seconds in all and of each stage."""
    from benchmarks.watched import Watched
    from ledger.engines.embedded import EmbeddedEngine
    from ledger.leaves.clearing import CLEARING
    from ledger.store.ledger import Ledger
    from settlement.catalogue import CONTRACTS

    files = Watched()
    ledger = Ledger.open(data_dir, CONTRACTS, KEY, WallClock(), files=files)
    batches = list(order_batches(world, ledger.chain))
    async with EmbeddedEngine(ledger) as engine:
        files.seconds.clear()
        height, start = ledger.height, time.perf_counter()
        files.last = start
        for answers in await asyncio.gather(*(engine.submit([wire]) for wire in batches)):
            require(not any(answer.code or answer.rows for answer in answers), "every order stands")
        taken = time.perf_counter()
        await engine.submit([clock(ledger.chain, TRADED_SLOT_S - 300)])
        while ledger.work_pending:
            await engine.wait_height(ledger.height, 1.0)
        done = time.perf_counter()
    is_cleared = all(CLEARING.load(ledger, TRADED_SLOT_S, zone) is not None for zone in world.zones)
    require(is_cleared, "every zone is cleared")
    stages = {f"{point}_s": seconds for point, seconds in files.seconds.items()}
    blocks = ledger.height - height
    ledger.close()
    return {"seconds": done - start, "received_s": taken - start, "cleared_s": done - taken, "blocks": blocks, **stages}


def _benchmark(world: World) -> Benchmark:
    def measure() -> Measurement:
        with TemporaryDirectory() as folder:
            data_dir = Path(folder) / "ledger"
            run_step("make", data_dir, world)
            figures = run_step("orders", data_dir, world)
        return Measurement(world.meters, figures["seconds"])

    return measure


BENCHMARKS = {
    "slot_1m_orders/areas": _benchmark(World(areas=10, points=100_000)),
    "slot_1m_orders/feeders": _benchmark(World(areas=6_494, points=154)),
}
