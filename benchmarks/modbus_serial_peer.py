"""edge_reads/modbus_serial/...: the agent's reader beside npm's modbus-serial, turn and turn about, on one meter in a process of its own.

modbus-serial (benchmarks/modbus_serial) is installed when this is run, by npm from the lock file, into the user's cache folder. Both ask
for the same registers on one connection; the agent decodes them to exact Wh, modbus-serial gives the words. ``cpu`` counts what each
one's own process computes, ``wall`` what passes.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final, Literal, NamedTuple

from benchmarks.edge_reads import FOREVER, HOST, PROFILE, READS, ROUNDS, serving_meter, timed
from edge.blocks import plan_reads
from edge.lines import LineConfig
from edge.readers.modbus import ModbusLine, ModbusMeter
from firmware_profiles import ModbusProfile, load_profile
from gridcore.errors import GridError, require
from gridcore.sm3 import sm3
from gridledger.bench import Measurement

PEER: Final = Path(__file__).parent / "modbus_serial"
FILES: Final = ("package.json", "package-lock.json", "reads.cjs")
INSTALL: Final = ("npm", "ci", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
INSTALL_S_MAX: Final = 300.0


class _Spent(NamedTuple):
    """One round of reads, seconds."""

    wall_s: float
    cpu_s: float


def modbus_serial(kind: Literal["wall", "cpu"]) -> Measurement:
    """Reads of one meter, and the same by modbus-serial: wall time, or CPU time."""
    with serving_meter() as port:
        ours, peer = asyncio.run(_compare(port))
    if kind == "wall":
        return Measurement(READS, ours.wall_s, "npm modbus-serial", peer.wall_s)
    return Measurement(READS, ours.cpu_s, "npm modbus-serial", peer.cpu_s)


async def _compare(port: int) -> tuple[_Spent, _Spent]:
    """The best rounds of both, by wall time and by CPU time."""
    profile = load_profile(PROFILE, kind=ModbusProfile)
    plan = plan_reads(profile)
    (block,) = plan.billing
    line = ModbusLine(LineConfig("bench", HOST, port))
    meter = ModbusMeter(line, "M", 1, profile, plan)
    with _peer(port, block.address, block.count) as process:
        read = await meter.read_billing(FOREVER)
        require(_told(process) == b"".join(register.raw for register in read.registers).hex(), "same words")
        ours, peers = [], []
        for _ in range(ROUNDS):
            began_s = time.process_time()
            wall_s = await timed(partial(meter.read_billing, FOREVER), time.perf_counter)
            ours.append(_Spent(wall_s, time.process_time() - began_s))
            peers.append(_round(process))
    await line.close()
    return _best(ours), _best(peers)


def _best(rounds: Sequence[_Spent]) -> _Spent:
    return _Spent(min(one.wall_s for one in rounds), min(one.cpu_s for one in rounds))


def _told(process: subprocess.Popen[str]) -> str:
    return "" if process.stdout is None else process.stdout.readline().strip()


def _round(process: subprocess.Popen[str]) -> _Spent:
    if process.stdin is not None:
        process.stdin.write("\n")
        process.stdin.flush()
    return _Spent(**json.loads(_told(process)))


@contextmanager
def _peer(port: int, address: int, count: int) -> Iterator[subprocess.Popen[str]]:
    """The process of the peer, connected."""
    words = ["node", "reads.cjs", *map(str, (port, address, count, READS))]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, cwd=_installed(), stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield process
        finally:
            if process.stdin is not None:
                process.stdin.close()  # then it ends


def _installed() -> Path:
    """The folder with the peer and its libraries; GridError with the command where they cannot be had."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gridledger"
    content = b"".join((PEER / name).read_bytes() for name in FILES)
    folder = cache / f"modbus-serial-{sm3(content).hex()[:16]}"
    if not (folder / "ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in FILES:
            shutil.copy(PEER / name, folder)
        try:
            subprocess.run(INSTALL, cwd=folder, check=True, capture_output=True, timeout=INSTALL_S_MAX)
        except (subprocess.SubprocessError, OSError) as error:
            raise GridError(f"npm modbus-serial is missing: {' '.join(INSTALL)} in {PEER.name} ({error})") from None
        (folder / "ready").touch()
    return folder


BENCHMARKS = {
    "edge_reads/modbus_serial/wall": partial(modbus_serial, "wall"),
    "edge_reads/modbus_serial/cpu": partial(modbus_serial, "cpu"),
}
