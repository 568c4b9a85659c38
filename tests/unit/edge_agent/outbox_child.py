"""A process of its own for the test that kills an agent's outbox: ``python -m tests.unit.edge_agent.outbox_child DIR STEPS``.

For each step a child opens the outbox that the one before left, works on it and is killed (-9) at that statement of its
SQLite connection; then what is on the disk is held against what the child had said was stored. Prints the number of kills.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from functools import partial
from pathlib import Path
from typing import Any

from edge.outbox import Outbox
from edge.outbox_file import create_outbox
from edge.progress import Progress
from tests.unit.edge_agent.edge_world import CHAIN, GATEWAY, append, check_chain


class _Mortal(sqlite3.Connection):
    """Kills its process at the n-th statement, before or after it."""

    left = 0
    is_after = False

    def execute(self, *args: Any) -> sqlite3.Cursor:
        _Mortal.left -= 1
        if _Mortal.left == 0 and not _Mortal.is_after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = super().execute(*args)
        if _Mortal.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result


def live(path: Path, acks: Path) -> None:
    """Append, acknowledge, append ...; what was committed is noted in ``acks``."""
    sqlite3.connect = partial(sqlite3.connect, factory=_Mortal)  # type: ignore[assignment]  # in a child of its own
    with acks.open("ab", buffering=0) as file:
        if not path.exists():
            create_outbox(path, Progress(GATEWAY, CHAIN, 1))
        outbox = Outbox.open(path, gateway=GATEWAY, chain=CHAIN)
        for _ in range(3):
            made = append(outbox)
            file.write(f"made {made.counter}\n".encode())
            if made.counter % 2 == 0:
                counters = [item.counter for item in outbox.oldest(2)]
                file.write("".join(f"verified {counter}\n" for counter in counters).encode())
                outbox.acknowledge(counters, made.counter, bytes(32))
        outbox.close()


def check(path: Path, acks: Path) -> None:
    """Nothing that was stored is gone, nothing has left without a receipt, the chain is whole."""
    outbox = Outbox.open(path, gateway=GATEWAY, chain=CHAIN)
    said = [line.split() for line in acks.read_text().splitlines()]
    made = {int(number) for what, number in said if what == "made"}
    verified = {int(number) for what, number in said if what == "verified"}
    batches = outbox.oldest(10**6)
    counters = set(range(1, outbox.progress.counter + 1))
    assert made <= counters
    assert counters - {item.counter for item in batches} <= verified
    check_chain(batches, outbox.progress)
    outbox.close()


def main(folder: Path, steps: int) -> None:
    """Kill at each step, look after each."""
    path, acks = folder / "outbox.sqlite", folder / "acks"
    kills = 0
    for step in range(1, steps):
        child = os.fork()
        if child == 0:
            _Mortal.left, _Mortal.is_after = step, step % 2 == 0
            try:
                live(path, acks)
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        kills += os.WIFSIGNALED(status)
        if path.exists():
            check(path, acks)
    sys.stdout.write(f"{kills}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
