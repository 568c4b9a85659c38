"""consortium: four validators on this machine, each a process with a CometBFT beside it; answers come when blocks are certified with SM2.

``readings``: batches of 500, each validator those of its own gateways, each gateway the next one when the last is certified. Bound: an
application that looks at nothing, under the same engine with the same bytes. ``slot_...``: one slot of so many metering points, all batches
at once, then the deadline; until the last validator has settled every area. Making the world, the keys and the signed batches is
outside the clock; latencies, processor time (engines: with the set-up) and peak memory go to stderr.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from benchmarks.consortium_node import LOADS, VALIDATORS, Load, Run
from benchmarks.million_world import make
from gridcore.clock import WallClock
from gridledger.bench import Benchmark, Measurement


def readings() -> Measurement:
    """Readings a second, decided and certified."""
    bound, runs = _measure("trivial"), _measure("readings")
    name = "an application that looks at nothing, same engine"
    return Measurement(LOADS["readings"].readings, _seconds(runs), name, _seconds(bound))


def _slot(load: str) -> Benchmark:
    def measure() -> Measurement:
        return Measurement(LOADS[load].world.meters, _seconds(_measure(load)))

    return measure


def _seconds(runs: Sequence[Run]) -> float:
    return max(run.end_s for run in runs) - min(run.begin_s for run in runs)


def _figures(load: Load, runs: Sequence[Run]) -> dict[str, float]:
    decided = sorted(latency for run in runs for latency in run.decided_s)
    certified = sorted(latency for run in runs for latency in run.certified_s)
    return {
        "readings_per_second": round(load.readings / _seconds(runs)),
        **{f"decided_p{percent}_s": round(_percentile(decided, percent), 3) for percent in (50, 99)},
        **{f"certified_p{percent}_s": round(_percentile(certified, percent), 3) for percent in (50, 99)},
        "cpu_s": round(sum(run.cpu_s for run in runs), 1),
        "engine_cpu_s": round(sum(run.engine_cpu_s for run in runs), 1),
        "memory_mib": round(max(run.memory_mib for run in runs)),
        "engine_memory_mib": round(max(run.engine_memory_mib for run in runs)),
    }


def _percentile(ascending: Sequence[float], percent: int) -> float:
    return ascending[min(len(ascending) - 1, len(ascending) * percent // 100)]


def _measure(name: str) -> list[Run]:
    """Found a chain of four, lead every validator through its load, and say what they measured."""
    load = LOADS[name]
    with TemporaryDirectory(prefix="consortium-") as folder:
        _found(Path(folder), load)
        command = [sys.executable, "-m", "benchmarks.consortium_node", folder, name]
        pipe = subprocess.PIPE
        processes = [
            subprocess.Popen([*command, str(place)], stdin=pipe, stdout=pipe, text=True) for place in range(VALIDATORS)
        ]
        try:
            for step in load.steps:
                for process in processes:
                    _line(process.stdout)
                for process in processes:
                    _say(process.stdin, step)
            runs = [Run(**_line(process.stdout)) for process in processes]
        finally:
            for process in processes:
                process.kill()
                process.wait()
    sys.stderr.write(f"{name}: {json.dumps(_figures(load, runs))}\n")
    return runs


def _line(stream: IO[str] | None) -> Mapping[str, Any]:
    line = "" if stream is None else stream.readline()
    if not line:
        raise RuntimeError("a validator ended before it had measured; see its words above")
    found: Mapping[str, Any] = json.loads(line)
    return found


def _say(stream: IO[str] | None, word: str) -> None:
    if stream is not None:
        stream.write(f"{word}\n")
        stream.flush()


def _found(folder: Path, load: Load) -> None:
    from gridcore.serving.ports import HOST, free_port
    from gridcore.validator import Validator
    from ledger.engines.cometbft.home import (
        ONE_MACHINE,
        HomeConfig,
        engine_genesis,
        make_keys,
        write_home,
    )
    from ledger.store.directory import load_genesis

    homes = [folder / str(place) for place in range(VALIDATORS)]
    keys = [make_keys(home) for home in homes]
    make(folder / "made", load.world)
    genesis = load_genesis(folder / "made")
    for home in homes:
        shutil.copytree(folder / "made", home / "ledger")
    ports = [free_port() for _ in homes]
    peers = [f"{one.node_id}@{HOST}:{port}" for one, port in zip(keys, ports, strict=True)]
    voters = [Validator(str(place), "", b"", 1, one.consensus_key) for place, one in enumerate(keys)]
    shared = engine_genesis(genesis.chain, WallClock().now_s(), voters)
    for place, home in enumerate(homes):
        rpc_port = free_port()
        others = peers[:place] + peers[place + 1 :]
        config = HomeConfig(str(place), home / "abci.sock", rpc_port, HOST, ports[place], others, ONE_MACHINE)
        write_home(home, shared, config)
        (home / "rpc_port").write_text(str(rpc_port))


BENCHMARKS = {
    "consortium/readings": readings,
    "consortium/slot_100k": _slot("slot_100k"),
    "consortium/slot_1m": _slot("slot_1m"),
}
