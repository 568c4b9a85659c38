"""The virtual disk of a node: real files, whose operations end the node at a chosen step, tear a write, lose what was not synced, or refuse.

Every operation and every point that ``Files.reach`` names is a step. A fault is armed once and strikes once.
"""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger.store.files import Files
from ledger.store.state_db import DB_NAME

EFFECTS: Final = frozenset({"write", "sync", "truncate", "replace", "sync_directory"})
"""Steps that touch the disk; all others are named points."""


class Crash(BaseException):
    """The node ends here, as by kill -9. BaseException: nobody handles the end of a process."""


@dataclass(frozen=True)
class Stroke:
    """A crash to come. steps: after so many more of them; point: or at this named one; is_torn: a write there gets its first half out.

    is_power_cut: what was not synced by then is lost; the database, which SQLite writes, keeps all that it has or is as it was
    when the stroke was armed (keeps_db).
    """

    steps: int
    point: str = ""
    is_torn: bool = False
    is_power_cut: bool = False
    keeps_db: bool = False


class Disk(Files):
    """The disk of one node, in a folder that holds nothing else. ``reached``: how often each named point was passed."""

    def __init__(self, folder: Path) -> None:
        self.reached: dict[str, int] = {}
        self.refusal: int | None = None
        """While set: the error number with which every effect fails, as errno.ENOSPC on a full disk."""
        self._folder = folder
        self._stroke: Stroke | None = None
        self._left = 0
        self._durable: dict[Path, bytes] = {}

    def arm(self, stroke: Stroke) -> None:
        """Let a crash come. Called between steps, so that what is on the disk now is taken to be synced."""
        self._stroke, self._left = stroke, stroke.steps
        self._durable = {path: path.read_bytes() for path in self._files()} if stroke.is_power_cut else {}

    def disarm(self) -> None:
        """Let no crash come."""
        self._stroke = None

    def fall(self) -> None:
        """What the crash leaves: called when nothing has the files open any more."""
        stroke, self._stroke = self._stroke, None
        if stroke is None or not stroke.is_power_cut:
            return
        for path in self._files():
            if not (stroke.keeps_db and path.name.startswith(DB_NAME)):
                path.unlink()
        for path, content in self._durable.items():
            if not (stroke.keeps_db and path.name.startswith(DB_NAME)):
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(content)

    def write(self, descriptor: int, data: bytes) -> None:
        """See ``Files``."""
        if self._is_due("write") and self._stroke is not None and self._stroke.is_torn:
            super().write(descriptor, data[: len(data) // 2])
        self._step("write", descriptor)
        super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """See ``Files``: nothing waits for the real disk."""
        self._step("sync", descriptor)
        if self._stroke is not None and self._stroke.is_power_cut:
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            self._durable[path] = path.read_bytes()

    def truncate(self, descriptor: int, size: int) -> None:
        """See ``Files``."""
        self._step("truncate", descriptor)
        super().truncate(descriptor, size)

    def replace(self, source: Path, target: Path) -> None:
        """See ``Files``."""
        self._step("replace")
        if source.name == DB_NAME and self._stroke is not None and self._stroke.is_power_cut:
            self._durable = {path: data for path, data in self._durable.items() if not path.name.startswith(DB_NAME)}
            self._durable[source] = source.read_bytes()  # a closed database, which SQLite has synced
        super().replace(source, target)
        for path in [path for path in self._durable if path.is_relative_to(source)]:
            self._durable[target / path.relative_to(source)] = self._durable.pop(path)

    def sync_directory(self, directory: Path) -> None:
        """See ``Files``: nothing waits for the real disk."""
        self._step("sync_directory")

    def reach(self, point: str) -> None:
        """See ``Files``."""
        self.reached[point] = self.reached.get(point, 0) + 1
        self._step(point)

    def free_bytes(self, directory: Path) -> int:
        """None while the disk is full, else plenty."""
        return 0 if self.refusal == errno.ENOSPC else 1 << 40

    def copy(self, target: Path) -> None:
        """A backup of everything but the guard, which belongs to no backup."""
        shutil.copytree(self._folder, target, ignore=shutil.ignore_patterns("guard*", "lock"))

    def clear(self, *, keeps_guard: bool = True) -> None:
        """Another disk, with nothing but the guard: it refuses nothing, and no crash is to come. Called when nothing has the files open."""
        self.refusal, self._stroke = None, None
        for path in self._files():
            if not (keeps_guard and path.name.startswith("guard")):
                path.unlink()
        for folder in [path for path in self._folder.iterdir() if path.is_dir()]:
            shutil.rmtree(folder)

    def _files(self) -> list[Path]:
        return [path for path in self._folder.rglob("*") if path.is_file()]

    def _is_due(self, what: str) -> bool:
        return self._stroke is not None and self._left == 0 and self._stroke.point in ("", what)

    def _step(self, what: str, descriptor: int | None = None) -> None:
        if self._is_due(what):
            raise Crash(what)
        if self._stroke is not None and self._stroke.point in ("", what):
            self._left -= 1
        if self.refusal is not None and what in EFFECTS:
            raise OSError(self.refusal, os.strerror(self.refusal))
