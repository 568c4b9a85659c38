"""node_open_1m: opening a node that has a million metering points, as ``gridledger node run`` does before it is ready.

Two thousand gateways, ten areas of 100,000 households. The stages, and the memory at its peak, go to stderr; making the ledger is
outside the clock. It is to take 20 s and 1.5 GiB at most.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.million import World, run_step
from gridledger.bench import Measurement

WORLD = World(areas=10, points=100_000)


def node_open_1m() -> Measurement:
    """Open a node of a million points."""
    with TemporaryDirectory() as folder:
        data_dir = Path(folder) / "ledger"
        run_step("make", data_dir, WORLD)
        figures = run_step("open", data_dir, WORLD)
    return Measurement(WORLD.meters, figures["seconds"])


BENCHMARKS = {"node_open_1m": node_open_1m}
