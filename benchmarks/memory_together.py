"""The most memory that a process and all below it hold at one time; what several of them share counts once.

A benchmark of one process asks the kernel at its end for the largest of its children; that says nothing of those that run at the same time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

LOOK_S: Final = 0.5
PROC: Final = Path("/proc")


class Together:
    """What ``watched`` has seen. MiB: with pages of files that are mapped, which the kernel can take back; and what is in no file."""

    def __init__(self) -> None:
        self.peak_mib = 0
        self.peak_anonymous_mib = 0

    def look(self, pid: int) -> None:
        """Sum up now."""
        shares = [_shares_kib(one) for one in _tree(pid)]
        self.peak_mib = max(self.peak_mib, sum(whole for whole, _ in shares) >> 10)
        self.peak_anonymous_mib = max(self.peak_anonymous_mib, sum(own for _, own in shares) >> 10)


@contextmanager
def watched(pid: int) -> Iterator[Together]:
    """Look at a process and those below it twice a second until the block is left; nothing is seen where there is no ``/proc``."""
    seen, ended = Together(), threading.Event()

    def look() -> None:
        while not ended.wait(LOOK_S):
            seen.look(pid)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield seen
    finally:
        ended.set()
        looking.join()


def _tree(pid: int) -> list[int]:
    """The process, and all below it."""
    found = [pid]
    for one in found:
        for children in PROC.glob(f"{one}/task/*/children"):
            try:
                found += map(int, children.read_text().split())
            except OSError:
                continue  # it has ended meanwhile
    return found


def _shares_kib(pid: int) -> tuple[int, int]:
    """Of a process its share of all pages that it has in memory, and of those that are in no file."""
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0, 0
    fields = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines[1:])}
    return fields["Pss"], fields.get("Pss_Anon", 0)
