"""Files of a user: read within a bound, locked, written for good. What is wrong with one is one line that names it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gridcore.errors import UsageError


def read_bounded(path: Path, bytes_max: int, hint: str, check: Callable[[os.stat_result], None] | None = None) -> bytes:
    """Return the bytes of ``path``, at most ``bytes_max``.

    ``hint``: what the user can do, such as "check the key 'trust'"; ``check`` looks at the status of the opened file, so
    that no other can be put in its place, and raises. UsageError for a file that cannot be read or is larger.
    """
    try:
        with path.open("rb") as file:
            if check is not None:
                check(os.fstat(file.fileno()))
            data = file.read(bytes_max + 1)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        raise UsageError(f"{path}: cannot be read ({_reason(error)}); {hint}") from None
    if len(data) > bytes_max:
        raise UsageError(f"{path}: larger than {bytes_max} bytes; {hint}")
    return data


def save_new(path: Path, data: bytes) -> None:
    """Write a new file of mode 0600 that survives a power failure from here on.

    UsageError when there is a file of that name, which stays, or when it cannot be written; then there is none.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise UsageError(f"{path}: exists already and is not overwritten; give another name") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be written ({_reason(error)}); check the folder") from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(path.parent)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise UsageError(f"{path}: cannot be written ({_reason(error)}); check the disk") from None


def replace_file(path: Path, data: bytes) -> None:
    """Put ``data`` in place of a file, or make it, of mode 0600: whole and for good, or the old one stays. UsageError where it cannot be."""
    made = path.with_name(f"{path.name}.new")
    try:
        made.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"{made}: cannot be removed ({_reason(error)}); check the folder") from None
    save_new(made, data)
    try:
        made.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({_reason(error)}); check the folder") from None


def make_private(path: Path) -> None:
    """Make ``path`` an empty file of mode 0600 where there is none; one that is there is not opened. OSError when it cannot be.

    For databases: POSIX drops all locks of a process on a file when it closes any descriptor of it, SQLite's too
    (https://www.sqlite.org/howtocorrupt.html, 2.2).
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    os.close(handle)


def sync_folder(folder: Path) -> None:
    """Make names that were made or changed in ``folder`` survive a power failure. OSError when the system cannot."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_files(folder: Path) -> None:
    """Make the files of a folder, and their names, survive a power failure. OSError when the system cannot."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    sync_folder(folder)


@contextmanager
def locked(path: Path, message: str) -> Iterator[None]:
    """Hold the lock file ``path``, made when absent. The system frees it at exit, however the process ends.

    UsageError with ``message`` when another holds it; UsageError when it cannot be opened.
    """
    import fcntl  # here: files are read and verified on systems without it too

    try:
        file = path.open("ab")
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be opened ({_reason(error)}); its folder must exist and be ours") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(message) from None
        yield


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
