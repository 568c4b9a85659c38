"""slot_1m_embedded: one slot of a million metering points through the embedded engine, in the two worlds that count; slot_10m_embedded.

Two thousand signed batches of 500 readings go in over the engine's submit interface: checked, applied, durable; then ledger time
passes the deadline and every area is settled. ``areas``: ten areas of 100,000; ``feeders``: 6,494 areas of 154; ``tenth``: ten
areas of 10,000, which should take a tenth. ``slot_10m_embedded``: a hundred areas of 100,000 points, which were registered after
genesis; it should take ten times the million, and its world 14 GiB of disk. Nobody trades. Setting up the world and the registers at
the slot's start are outside the clock; stages, CPU seconds and peak memory go to stderr: received_s ends with the last durable
batch, settled_s with the last zone. ``prune_1m``: what such a slot came to is forgotten, and the room given back.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.million import World, run_step
from gridledger.bench import Benchmark, Measurement


def _benchmark(world: World, made_by: str = "make") -> Benchmark:
    def measure() -> Measurement:
        with TemporaryDirectory() as folder:
            data_dir = Path(folder) / "ledger"
            run_step(made_by, data_dir, world)
            figures = run_step("slot", data_dir, world)
        return Measurement(world.meters, figures["seconds"])

    return measure


def prune_1m() -> Measurement:
    """Prune a settled slot of a million points."""
    world = World(areas=10, points=100_000)
    with TemporaryDirectory() as folder:
        data_dir = Path(folder) / "ledger"
        for step in ("make", "slot", "prune"):
            figures = run_step(step, data_dir, world)
    return Measurement(world.meters, figures["seconds"])


BENCHMARKS = {
    "prune_1m": prune_1m,
    "slot_10m_embedded": _benchmark(World(areas=100, points=100_000), made_by="register"),
    "slot_1m_embedded/areas": _benchmark(World(areas=10, points=100_000)),
    "slot_1m_embedded/feeders": _benchmark(World(areas=6_494, points=154)),
    "slot_1m_embedded/tenth": _benchmark(World(areas=10, points=10_000)),
}
