"""The small databases of the pages, SQLite files that are their owner's alone: users, sessions and who works on which exception; and who stands behind a pseudonym."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from gridcore.errors import UsageError
from gridcore.files import make_private
from gridcore.secrets import check_private_file

BUSY_S: Final = 2.0
"""How long a statement waits for another process (``gridledger serve --add-user``) that is writing."""


class Schema(NamedTuple):
    """version: kept in the file, what another version wrote is refused; statements: make what is absent; key: of the configuration."""

    version: int
    statements: str
    key: str


USERS: Final = Schema(
    1,
    """
CREATE TABLE IF NOT EXISTS user (
  name TEXT PRIMARY KEY, role TEXT NOT NULL, party TEXT, password_hash TEXT NOT NULL, created_s INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS session (
  digest BLOB PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, party TEXT, is_demo INTEGER NOT NULL,
  created_s INTEGER NOT NULL, seen_s INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS session_by_name ON session (name, seen_s);
CREATE TABLE IF NOT EXISTS taken (
  key TEXT PRIMARY KEY, state TEXT NOT NULL, person TEXT NOT NULL, note TEXT NOT NULL, by TEXT NOT NULL, at_s INTEGER NOT NULL
) STRICT;
""",
    "web.users",
)


def open_database(path: Path, schema: Schema = USERS) -> sqlite3.Connection:
    """Open the file, made with mode 0600 when absent. UsageError when it cannot be used, or others may read it.

    What is deleted is overwritten. Every statement is a transaction of its own; one thread at a time.
    """
    try:
        make_private(path)
        check_private_file(path)
        connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, schema.version):
            raise UsageError(f"{path}: is of version {version}; this release reads {schema.version}: name another file")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA secure_delete = ON")
        connection.executescript(f"{schema.statements} PRAGMA user_version = {schema.version};")
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{path}: cannot be used ({reason}); check {schema.key} and its folder") from None
    return connection


def check_database(path: Path, schema: Schema = USERS) -> None:
    """UsageError when the file could not be used. It is not made here: whoever checks may be another than who serves."""
    if path.exists():
        open_database(path, schema).close()
    elif not path.parent.is_dir():
        raise UsageError(f"{path}: cannot be used (its folder does not exist); check {schema.key} and its folder")


@contextmanager
def as_one(connection: sqlite3.Connection) -> Iterator[None]:
    """What is written inside is written together or not at all."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
