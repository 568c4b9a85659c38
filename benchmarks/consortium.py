"""consortium: batches of 500 readings through four validators on this machine, each answered when its block is certified with SM2.

Every validator is a process of its own with a CometBFT beside it, and submits the batches of its own gateways, each gateway the next one when
the last is certified. Bound: an application that looks at nothing, under the same engine with the same bytes. Making the world, the
keys and the signed batches is outside the clock; latencies and peak memory go to stderr.
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

from benchmarks.consortium_node import READINGS, VALIDATORS, WORLD, Run
from benchmarks.million import make
from gridcore.clock import WallClock
from gridledger.bench import Measurement


def consortium() -> Measurement:
    """Readings a second, committed and certified."""
    with TemporaryDirectory(prefix="consortium-") as folder:
        bound = _measure(Path(folder) / "bound", "trivial")
        runs = _measure(Path(folder) / "ledger", "ledger")
    for name, found in (("bound", bound), ("consortium", runs)):
        sys.stderr.write(f"{name}: {json.dumps(_figures(found))}\n")
    return Measurement(READINGS, _seconds(runs), "an application that looks at nothing, same engine", _seconds(bound))


def _seconds(runs: Sequence[Run]) -> float:
    return max(run.end_s for run in runs) - min(run.begin_s for run in runs)


def _figures(runs: Sequence[Run]) -> dict[str, float]:
    decided = sorted(latency for run in runs for latency in run.decided_s)
    certified = sorted(latency for run in runs for latency in run.certified_s)
    return {
        "readings_per_second": round(READINGS / _seconds(runs)),
        **{f"decided_p{percent}_s": round(_percentile(decided, percent), 3) for percent in (50, 99)},
        **{f"certified_p{percent}_s": round(_percentile(certified, percent), 3) for percent in (50, 99)},
        "cpu_s": round(sum(run.cpu_s for run in runs), 1),
        "engine_cpu_s": round(sum(run.engine_cpu_s for run in runs), 1),
        "memory_mib": round(max(run.memory_mib for run in runs)),
        "engine_memory_mib": round(max(run.engine_memory_mib for run in runs)),
    }


def _percentile(ascending: Sequence[float], percent: int) -> float:
    return ascending[min(len(ascending) - 1, len(ascending) * percent // 100)]


def _measure(folder: Path, application: str) -> list[Run]:
    """Found a chain of four in ``folder``, let every validator submit its batches, and gather what they measured."""
    _found(folder)
    command = [sys.executable, "-m", "benchmarks.consortium_node", str(folder), application]
    pipe = subprocess.PIPE
    processes = [
        subprocess.Popen([*command, str(place)], stdin=pipe, stdout=pipe, text=True) for place in range(VALIDATORS)
    ]
    try:
        for word in ("begin", "end"):
            for process in processes:
                _line(process.stdout)
            for process in processes:
                _say(process.stdin, word)
        return [Run(**_line(process.stdout)) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()


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


def _found(folder: Path) -> None:
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
    make(folder / "made", WORLD)
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


BENCHMARKS = {"consortium": consortium}
