"""The few file operations that durability rests on, in one place, so that a test can let each of them fail.

``Files`` is the real layer. A test hands in a subclass that fails with ENOSPC, writes half, or ends the process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Files:
    """Plain POSIX calls; every method raises OSError."""

    def write(self, descriptor: int, data: bytes) -> None:
        """Write all of ``data`` at the descriptor's position (a short write goes on; a full disk raises)."""
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]

    def sync(self, descriptor: int) -> None:
        """Return once the file's bytes and size are on the disk."""
        os.fsync(descriptor)

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut the file to ``size`` bytes."""
        os.ftruncate(descriptor, size)

    def replace(self, source: Path, target: Path) -> None:
        """Give ``source`` the name ``target`` in one step."""
        source.replace(target)

    def sync_directory(self, directory: Path) -> None:
        """Return once the names in ``directory`` are on the disk."""
        with opened(directory, os.O_RDONLY | os.O_DIRECTORY) as descriptor:
            os.fsync(descriptor)

    def free_bytes(self, directory: Path) -> int:
        """Bytes that the disk of a directory still takes."""
        disk = os.statvfs(directory)
        return disk.f_bavail * disk.f_frsize

    def reach(self, point: str) -> None:
        """A named moment between two durable effects (``block_applied`` ...); the real layer does nothing here."""

    def write_durably(self, path: Path, data: bytes) -> None:
        """Put ``data`` at ``path`` whole or not at all."""
        with self.replacing(path) as descriptor:
            self.write(descriptor, data)

    @contextmanager
    def replacing(self, path: Path) -> Iterator[int]:
        """A descriptor for what will be at ``path`` at the end, whole or not at all: temporary file, fsync, rename, fsync of the directory."""
        temporary = path.with_name(path.name + ".new")
        with opened(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as descriptor:
            yield descriptor
            self.sync(descriptor)
        self.replace(temporary, path)
        self.sync_directory(path.parent)


@contextmanager
def opened(path: Path, flags: int, mode: int = 0o600) -> Iterator[int]:
    """A file descriptor for ``path``, closed at the end (no buffers of Python in between)."""
    descriptor = os.open(path, flags | os.O_CLOEXEC, mode)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
