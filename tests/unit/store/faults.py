"""File layers that fail on purpose: end at the n-th step, tear a write, refuse like a full disk."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path
from typing import Literal

from ledger.store.files import Files


class Crash(BaseException):
    """The process ends here; nothing after it happens. BaseException: nobody handles the end of a process."""


class CountingFiles(Files):
    """Counts steps: every effect and every named point is one. ``at_step`` is called before each."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def at_step(self, what: str) -> None:
        self.steps.append(what)

    def write(self, descriptor: int, data: bytes) -> None:
        self.at_step("write")
        super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        self.at_step("sync")
        super().sync(descriptor)

    def truncate(self, descriptor: int, size: int) -> None:
        self.at_step("truncate")
        super().truncate(descriptor, size)

    def replace(self, source: Path, target: Path) -> None:
        self.at_step("replace")
        super().replace(source, target)

    def sync_directory(self, directory: Path) -> None:
        self.at_step("sync_directory")
        super().sync_directory(directory)

    def reach(self, point: str) -> None:
        self.at_step(point)


class CrashingFiles(CountingFiles):
    """Ends before step ``crash_at`` (from 0); a write there is torn: its first half gets out.

    ``how``: raise ``Crash`` in process, or kill -9 the process itself.
    """

    def __init__(self, crash_at: int, how: Literal["raise", "kill"] = "raise") -> None:
        super().__init__()
        self._crash_at = crash_at
        self._how = how

    def at_step(self, what: str) -> None:
        super().at_step(what)
        if len(self.steps) - 1 == self._crash_at:
            self.end()

    def end(self) -> None:
        if self._how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise Crash(self.steps[-1])

    def write(self, descriptor: int, data: bytes) -> None:
        if len(self.steps) == self._crash_at:
            Files.write(self, descriptor, data[: len(data) // 2])
        super().write(descriptor, data)


class FullDisk(CountingFiles):
    """Fails from step ``fail_from`` on with an error number, until ``heal``; a write gets its first bytes out."""

    def __init__(self, number: int = errno.ENOSPC) -> None:
        super().__init__()
        self.fail_from: int | None = None
        self._number = number

    def heal(self) -> None:
        self.fail_from = None

    def at_step(self, what: str) -> None:
        super().at_step(what)
        is_effect = what in ("write", "sync", "replace", "sync_directory")
        if is_effect and self.fail_from is not None and len(self.steps) - 1 >= self.fail_from:
            raise OSError(self._number, os.strerror(self._number))

    def write(self, descriptor: int, data: bytes) -> None:
        try:
            super().write(descriptor, data)
        except OSError:
            Files.write(self, descriptor, data[: len(data) // 3])
            raise
