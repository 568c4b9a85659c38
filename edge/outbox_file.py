"""The file of an outbox: made in one step, checked from end to end, kept aside; never two agents on it.

One SQLite file (WAL). Every row and the progress carry their own SM3: a damaged file is found at opening, said in one line,
and left as it is. Beside the file lies ``<name>.lock``: two agents on one outbox would sign two batches under one counter.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.config import OutboxLimits
from edge.progress import Progress, decode_progress, encode_progress
from gridcore import cbor
from gridcore.errors import EncodingError, UsageError
from gridcore.files import locked, sync_folder
from gridcore.sm3 import sm3

APPLICATION_ID = 0x474C4F42
VERSION = 1
BUSY_MS_MAX = 10_000
ASIDE_MAX = 1_000
SUFFIXES = ("", "-wal", "-shm")
_OUT_OF_REACH = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
)
_SCHEMA = """
CREATE TABLE progress(only INTEGER PRIMARY KEY CHECK (only = 1), state BLOB NOT NULL, digest BLOB NOT NULL);
CREATE TABLE batches(counter INTEGER PRIMARY KEY, id BLOB NOT NULL, boundary_s INTEGER NOT NULL, rows INTEGER NOT NULL,
                     wire BLOB NOT NULL, digest BLOB NOT NULL);
"""
RECEIPTS_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS receipts(counter INTEGER PRIMARY KEY, boundary_s INTEGER NOT NULL, receipt BLOB NOT NULL);
"""


class OutboxDamagedError(UsageError):
    """The file is there but not what the agent wrote. It stays as it is."""


@dataclass(frozen=True, slots=True)
class QueuedBatch:
    """One signed batch as it is sent. ``id``: SM3 of its signed bytes; ``wire``: the transaction."""

    counter: int
    id: bytes
    boundary_s: int
    rows: int
    wire: bytes


@dataclass(frozen=True, slots=True)
class OutboxState:
    """A look at an outbox: progress, number and bytes of batches, the oldest boundary that waits (or None), receipts kept."""

    progress: Progress
    depth: int
    size: int
    oldest_boundary_s: int | None
    receipts: int = 0

    @property
    def age_s(self) -> int:
        """How much older the oldest batch is than the newest sampled boundary, in seconds."""
        return 0 if self.oldest_boundary_s is None else max(0, self.progress.last_boundary_s - self.oldest_boundary_s)

    def fill_percent(self, limits: OutboxLimits) -> int:
        """The fullest of the three limits, in percent."""
        return max(
            self.depth * 100 // limits.batches_max,
            self.size * 100 // limits.bytes_max,
            self.age_s * 100 // limits.age_s_max,
        )


def lock_outbox(path: Path) -> AbstractContextManager[None]:
    """Hold ``<path>.lock`` while working on the outbox. UsageError when another process does. The system frees it at exit."""
    message = f"{path}: another agent has this outbox open; stop it first, or give each its own"
    return locked(path.with_name(f"{path.name}.lock"), message)


def is_outbox_there(path: Path) -> bool:
    """Whether an outbox, or what is left of one, stands at ``path``."""
    return any(path.with_name(path.name + suffix).exists() for suffix in ("", "-wal"))


def check_owner(path: Path, progress: Progress, *, gateway: str, chain: str) -> None:
    """UsageError when the outbox at ``path``, whose progress this is, belongs to another gateway or chain."""
    for key, has, wanted in (("gateway", progress.gateway, gateway), ("chain", progress.chain, chain)):
        if has != wanted:
            raise UsageError(
                f"outbox: {path}: belongs to {key} {has!r}, the configuration says {wanted!r}; give its own file"
            )


def create_outbox(path: Path, progress: Progress, batches: Sequence[QueuedBatch] = ()) -> None:
    """Write a new outbox file in one step, in place of what is at ``path`` (the caller holds ``lock_outbox``).

    ``progress`` names the newest of ``batches``, which are ascending and end with its counter.
    """
    made = path.with_name(f"{path.name}.new")
    try:
        for suffix in (*SUFFIXES, "-journal"):
            made.with_name(made.name + suffix).unlink(missing_ok=True)
        with closing(connect(made, "rwc")) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.executescript(_SCHEMA + RECEIPTS_SCHEMA)
            connection.execute("BEGIN")
            for item in batches:
                insert(connection, item)
            save(connection, progress)
            connection.execute("COMMIT")
            # Here, not when it is opened first: a kill in that moment would leave a journal that no reader can put back.
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
        made.chmod(0o600)
        made.replace(path)
        sync_folder(path.parent)
    except (OSError, sqlite3.Error) as error:
        raise UsageError(
            f"{path}: a new outbox cannot be written there ({error}); check folder, owner and disk"
        ) from None


def keep_aside(path: Path) -> Path:
    """Keep an outbox with its companions as the first free ``<name>.aside-<n>`` and return that; nothing is deleted.

    Where the file system can, the main file stays at ``path`` too, until ``create_outbox`` replaces it in one step.
    """
    for number in range(1, ASIDE_MAX + 1):
        aside = path.with_name(f"{path.name}.aside-{number}")
        if is_outbox_there(aside):
            continue
        for suffix in reversed(SUFFIXES):
            companion, kept = (place.with_name(place.name + suffix) for place in (path, aside))
            if not companion.exists():
                continue
            try:
                if suffix:
                    companion.rename(kept)
                else:
                    kept.hardlink_to(companion)
            except OSError:
                companion.rename(kept)
        return aside
    raise UsageError(f"{path}: {ASIDE_MAX} outboxes were kept aside already; move them to an archive")


def read_outbox(path: Path) -> OutboxState:
    """Check an outbox file from end to end without changing it, also while an agent writes.

    Raises OutboxDamagedError in one line; UsageError when there is none.
    """
    if not is_outbox_there(path):
        raise UsageError(f"{path}: there is no outbox; the agent makes it at its first start")
    try:
        if not path.exists():
            raise _Damage("only its write-ahead log is left")
        if path.stat().st_size == 0:
            raise _Damage("it is empty")
        with closing(connect(path, "ro")) as connection:
            connection.execute("BEGIN")
            return _examined(connection)
    except (sqlite3.Error, EncodingError, _Damage) as error:
        if isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _OUT_OF_REACH:
            raise UsageError(f"{path}: cannot be read ({error}); check its owner and the disk") from None
        raise OutboxDamagedError(
            f"{path}: damaged ({error}); it is left as it is: stop the agent and open a new epoch with "
            f"'gridledger edge epoch', which keeps this file aside"
        ) from None


class _Damage(Exception):  # noqa: N818 - the finding, in words
    """What is wrong with the file."""


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open the file; ``mode``: "ro", "rw" or "rwc" (SQLite's own)."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False
    )
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MS_MAX}")
    return connection


def _examined(connection: sqlite3.Connection) -> OutboxState:
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise _Damage("it is no outbox of this program")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version != VERSION:
        raise _Damage(f"it is of version {version}, this program writes version {VERSION}")
    finding = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if finding != "ok":
        raise _Damage(" ".join(str(finding).split()))
    row = connection.execute("SELECT state, digest FROM progress").fetchone()
    if row is None or not all(isinstance(item, bytes) for item in row) or sm3(row[0]) != row[1]:
        raise _Damage("its progress does not match its digest")
    progress = decode_progress(row[0])
    is_kept = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'receipts'").fetchone()
    receipts = connection.execute("SELECT count(*) FROM receipts").fetchone()[0] if is_kept else 0
    depth = size = 0
    oldest_boundary_s: int | None = None
    last: QueuedBatch | None = None
    for *fields, digest in connection.execute(
        "SELECT counter, id, boundary_s, rows, wire, digest FROM batches ORDER BY counter"
    ):
        if not isinstance(fields[1], bytes) or not isinstance(fields[4], bytes):
            raise _Damage(f"batch {fields[0]} is not as it was written")
        item = QueuedBatch(*fields)
        if _digest(item) != digest:
            raise _Damage(f"batch {item.counter} does not match its digest")
        if last is not None and item.counter != last.counter + 1:
            raise _Damage(f"batches {last.counter + 1} to {item.counter - 1} are missing")
        oldest_boundary_s = item.boundary_s if last is None else oldest_boundary_s
        depth, size, last = depth + 1, size + len(item.wire), item
    if last is not None and (last.counter, last.id) != (progress.counter, progress.previous):
        raise _Damage(f"its newest batch is {last.counter}, but its counter stands at {progress.counter}")
    return OutboxState(progress, depth, size, oldest_boundary_s, receipts)


def _digest(item: QueuedBatch) -> bytes:
    return sm3(cbor.encode([item.counter, item.id, item.boundary_s, item.rows, item.wire]))


def insert(connection: sqlite3.Connection, item: QueuedBatch) -> None:
    """Put a batch into the file, within the caller's transaction."""
    row = (item.counter, item.id, item.boundary_s, item.rows, item.wire, _digest(item))
    connection.execute("INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?)", row)


def save(connection: sqlite3.Connection, progress: Progress) -> None:
    """Write the progress in place of the old one, within the caller's transaction."""
    state = encode_progress(progress)
    connection.execute("INSERT OR REPLACE INTO progress VALUES (1, ?, ?)", (state, sm3(state)))
