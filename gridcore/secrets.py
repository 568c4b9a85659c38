"""Secrets by reference: a configuration holds a URI, never the secret itself.

    file:PATH   the file's bytes, one trailing line break cut; group or others must have no right on the file
    env:NAME    the environment variable's value, UTF-8

The value is read when it is needed and never put into an error, a log line or a configuration dump.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from gridcore.errors import UsageError
from gridcore.files import read_bounded

SCHEMES = ("file", "env")
SECRET_BYTES_MAX = 65_536


class SecretError(UsageError):
    """A secret that cannot be had; the line names the reference and what would be right, never the value."""


def split_reference(uri: str) -> tuple[str, str]:
    """Return (scheme, rest) of a secret's reference; SecretError when it is not of a known form.

    The rest is not repeated in the error: a person who put the secret itself there must not find it in a log.
    """
    scheme, colon, rest = uri.partition(":")
    if not colon or scheme not in SCHEMES or not rest:
        raise SecretError("a secret is given by reference: write 'file:PATH' or 'env:NAME', not the secret itself")
    return scheme, rest


def read_secret(uri: str) -> bytes:
    """Return the secret that ``uri`` refers to, not empty, at most SECRET_BYTES_MAX bytes.

    Raises:
        SecretError: unknown form, unreadable or empty or over-long secret, or a file that others may read.
    """
    scheme, rest = split_reference(uri)
    value = _read_file(Path(rest)) if scheme == "file" else _read_environment(uri, rest)
    if not value:
        raise SecretError(f"{uri}: is empty; put the secret there")
    if len(value) > SECRET_BYTES_MAX:
        raise SecretError(f"{uri}: is longer than {SECRET_BYTES_MAX} bytes; that is no secret of ours")
    return value


def check_private_file(path: Path) -> None:
    """Raise SecretError unless ``path`` is a regular file on which only its owner has rights."""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        reason = error.strerror if isinstance(error, OSError) else error
        raise SecretError(f"file:{path}: cannot be read ({reason}); check the path and its owner") from None
    _check_status(path, status)


def _check_status(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise SecretError(f"file:{path}: is not a regular file; name the file that holds the secret")
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        mode = stat.S_IMODE(status.st_mode)
        raise SecretError(f"file:{path}: mode {mode:04o} lets others use the secret; run: chmod 600 {path}")


def _read_file(path: Path) -> bytes:
    check_private_file(path)  # before opening: opening a FIFO would wait for a writer
    try:
        data = read_bounded(
            path, SECRET_BYTES_MAX + 2, "check the path and its owner", lambda status: _check_status(path, status)
        )
    except SecretError:
        raise
    except UsageError as error:
        raise SecretError(f"file:{error}") from None
    if data.endswith(b"\n"):
        data = data[:-2] if data.endswith(b"\r\n") else data[:-1]
    return data


def _read_environment(uri: str, name: str) -> bytes:
    value = os.environ.get(name)
    if value is None:
        raise SecretError(f"{uri}: the environment variable is not set; set it, or name another in the configuration")
    return value.encode("utf-8", "surrogateescape")
