"""A process of its own for tests that kill a node or fill its disk: ``python -m tests.integration.engine_child TASK DIR …``."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from pathlib import Path

from gridcore.codes import Code
from ledger.engines.embedded import EmbeddedEngine
from ledger.store.files import Files
from ledger.store.ledger import Ledger
from tests.worlds.faults import CrashingFiles
from tests.worlds.feeders import START_S, batches, clock_advance
from tests.worlds.ledgers import open_ledger
from tests.worlds.transactions import transaction_id

WIRES = [
    wire
    for number, pair in enumerate(zip(batches("gw-1", 8), batches("gw-2", 8), strict=True))
    for wire in (*pair, clock_advance(START_S + 10 + number))
]


def prepare(data_dir: Path) -> None:
    """Make the directory, so that the steps counted are those of opening and running."""
    open_ledger(data_dir).close()


def kill(base: Path, steps: list[int]) -> None:
    """For each step: a process that submits WIRES and is killed (-9) at that step of its files; what it was told is in DIR.acks."""
    for step in steps:
        prepare(base / str(step))
        child = os.fork()
        if child == 0:
            try:
                asyncio.run(submit_all(base / str(step), CrashingFiles(step, "kill")))
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{step} {os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0}\n")


async def submit_all(data_dir: Path, files: Files) -> None:
    """Submit WIRES, some side by side, and note every acceptance at once where a kill does not lose it."""
    acks = os.open(data_dir.with_suffix(".acks"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    ledger = open_ledger(data_dir, files=files)
    async with EmbeddedEngine(ledger) as engine:

        async def submit(wire: bytes) -> None:
            [answer] = await engine.submit([wire])
            if answer.code in (Code.ACCEPTED, Code.EXISTS):
                os.write(acks, answer.id.hex().encode() + b"\n")

        for first in range(0, len(WIRES), 3):
            await asyncio.gather(*(submit(wire) for wire in WIRES[first : first + 3]))
    ledger.close()


def fill(data_dir: Path, limit: int) -> None:
    """A process whose files may not grow beyond ``limit`` bytes, until the limit is lifted."""
    prepare(data_dir)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ledger = open_ledger(data_dir)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    asyncio.run(submit_until_full(ledger, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))))
    ledger.close()


async def submit_until_full(ledger: Ledger, lift: object) -> None:
    """Submit until the node is busy, ask it something, lift the limit, submit the rest; say how it went."""
    async with EmbeddedEngine(ledger, retry_s=0.05) as engine:
        accepted = busy = 0
        for wire in WIRES:
            [answer] = await engine.submit([wire])
            if answer.code is Code.NODE_BUSY:
                busy += 1
                height = ledger.height
                receipt = ledger.receipt(transaction_id(WIRES[0]))
                ok = receipt is not None and height >= accepted
                sys.stdout.write(f"busy at {accepted}, answers {ok}\n")
                assert callable(lift)
                lift()
                [answer] = await engine.submit([wire])
            accepted += answer.code in (Code.ACCEPTED, Code.EXISTS)
        sys.stdout.write(f"accepted {accepted}, busy {busy}\n")


if __name__ == "__main__":
    task, directory, *numbers = sys.argv[1:]
    if task == "kill":
        kill(Path(directory), [int(number) for number in numbers])
    else:
        fill(Path(directory), int(numbers[0]))
