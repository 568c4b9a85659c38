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


class UnsyncedFiles(Files):
    """Does not wait for the disk: the end of a process loses nothing that was written, and tests get on faster."""

    def sync(self, descriptor: int) -> None:
        os.fstat(descriptor)

    def sync_directory(self, directory: Path) -> None:
        directory.stat()


class CountingFiles(UnsyncedFiles):
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


class PowerCut(CrashingFiles):
    """Ends before a step and takes with it everything that no fsync had made durable: contents, and names of files."""

    def __init__(self, data_dir: Path, crash_at: int) -> None:
        super().__init__(crash_at)
        self._data_dir = data_dir
        self._synced: dict[Path, bytes] = {}
        self._durable = {path: path.read_bytes() for path in data_dir.iterdir() if not path.name.startswith("state.db")}

    def sync(self, descriptor: int) -> None:
        super().sync(descriptor)
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        self._synced[path] = path.read_bytes()
        if path in self._durable:
            self._durable[path] = self._synced[path]

    def replace(self, source: Path, target: Path) -> None:
        super().replace(source, target)
        self._synced[target] = self._synced.pop(source)

    def sync_directory(self, directory: Path) -> None:
        super().sync_directory(directory)
        for path in directory.iterdir():
            if not path.name.startswith("state.db"):
                self._durable[path] = self._synced.get(path, self._durable.get(path, b""))

    def cut(self) -> None:
        """Leave on the disk what a power cut would: call it after the crash, when nothing has the files open."""
        for path in self._data_dir.iterdir():
            if not path.name.startswith("state.db"):
                path.unlink()
        for path, content in self._durable.items():
            path.write_bytes(content)
