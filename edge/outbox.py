"""The durable outbox: signed batches until a verified receipt stands for them, and where the gateway's counter is.

One SQLite file (WAL, synchronous=FULL). One transaction commits a batch together with counter, previous id and the last
sampled boundary, so whenever the process dies either all of it happened or nothing. A row leaves only by ``acknowledge``.
Every row and the progress carry their own SM3: a damaged file is found at opening, said in one line, and left as it is.
Beside the file lies ``<name>.lock``: two agents on one outbox would sign two batches under one counter.

Methods block (a commit waits for the disk) and may be called from any thread.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple, Self

from edge.config import OutboxLimits
from gridcore import cbor
from gridcore.errors import EncodingError, GridError, UsageError, require
from gridcore.files import locked, sync_folder
from gridcore.sm3 import sm3
from gridcore.transactions.reading_batch import FIRST_PREVIOUS, VerifiedHeader

APPLICATION_ID = 0x474C4F42
VERSION = 1
NO_BOUNDARY = -1
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


REFUSED_ROWS_MAX: Final = 64
"""Rows that the ledger did not use, as an outbox keeps them for ``edge status``."""


class OutboxError(GridError):
    """The outbox cannot take this now. Nothing in it has changed."""


class OutboxFullError(OutboxError):
    """A named limit is reached; acknowledged batches make room, nothing else does."""


class OutboxWriteError(OutboxError):
    """The disk refused."""


class OutboxDamagedError(UsageError):
    """The file is there but not what the agent wrote. It stays as it is."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What observing met last: (broker, "up" or its trouble), and (device, reason) of those without observations."""

    brokers: tuple[tuple[str, str], ...] = ()
    absent: tuple[tuple[str, str], ...] = ()


class RefusedRow(NamedTuple):
    """A reading that the ledger did not use: of the installation ``meter`` at a boundary, and the verdict's code."""

    boundary_s: int
    meter: int
    code: int


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a gateway stands. ``previous``: id of the newest batch; ``receipt``: (height, digest) of the newest verified
    header; ``absent``: meters still without a reading at ``last_boundary_s``; ``alarm``: why submission is halted, or "";
    ``refused``: the newest readings that the ledger did not use, at most REFUSED_ROWS_MAX, the newest boundary first.
    """

    gateway: str
    chain: str
    epoch: int
    counter: int = 0
    previous: bytes = FIRST_PREVIOUS
    last_boundary_s: int = NO_BOUNDARY
    absent: tuple[int, ...] = ()
    receipt: VerifiedHeader | None = None
    alarm: str = ""
    seen: Seen = Seen()
    refused: tuple[RefusedRow, ...] = ()


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
    """A look at an outbox file: progress, number and bytes of batches, the oldest boundary that waits (or None)."""

    progress: Progress
    depth: int
    size: int
    oldest_boundary_s: int | None


class Outbox:
    """An open outbox; the only writer. Use ``create_outbox`` once, then ``Outbox.open``."""

    def __init__(self, path: Path, connection: sqlite3.Connection, state: OutboxState, limits: OutboxLimits) -> None:
        self.path = path
        self.limits = limits
        self._connection = connection
        self._lock = threading.Lock()
        self._progress = state.progress
        self._depth, self._size = state.depth, state.size

    @classmethod
    def open(cls, path: Path, *, gateway: str, chain: str, limits: OutboxLimits | None = None) -> Self:
        """Check and open an existing outbox (the caller holds ``lock_outbox``).

        Raises OutboxDamagedError, or UsageError when it belongs to another gateway or chain.
        """
        state = read_outbox(path)
        check_owner(path, state.progress, gateway=gateway, chain=chain)
        try:
            connection = _connect(path, "rw")
            connection.execute("PRAGMA synchronous = FULL")
        except sqlite3.Error as error:
            raise OutboxDamagedError(
                f"{path}: cannot be opened for writing ({error}); check its owner and disk"
            ) from None
        return cls(path, connection, state, limits or OutboxLimits())

    @property
    def progress(self) -> Progress:
        """Where the gateway stands."""
        return self._progress

    @property
    def depth(self) -> int:
        """Batches without a verified receipt."""
        return self._depth

    @property
    def size(self) -> int:
        """Their bytes."""
        return self._size

    def fill_percent(self) -> int:
        """The fuller of the two limits, in percent."""
        limits = self.limits
        return max(self._depth * 100 // limits.batches_max, self._size * 100 // limits.bytes_max)

    def append(
        self, make: Callable[[Progress], QueuedBatch], absent: Sequence[int] = (), seen: Seen | None = None
    ) -> QueuedBatch:
        """Make the batch after the present progress and store both, durably, or raise OutboxError and change nothing.

        ``absent``: meters that still lack a reading at the batch's boundary; ``seen``: what observing met, if it is new.
        """
        with self._lock:
            made = make(self._progress)
            if self._depth >= self.limits.batches_max or self._size + len(made.wire) > self.limits.bytes_max:
                raise OutboxFullError(
                    f"{self.path}: full ({self._depth} batches, {self._size} bytes; at most {self.limits.batches_max} "
                    f"and {self.limits.bytes_max}); nothing is dropped, readings wait in memory until receipts arrive"
                )
            require(made.counter == self._progress.counter + 1, "a batch has the next counter")
            progress = replace(
                self._progress,
                counter=made.counter,
                previous=made.id,
                last_boundary_s=max(self._progress.last_boundary_s, made.boundary_s),
                absent=tuple(absent),
                seen=seen or self._progress.seen,
            )
            with self._transaction():
                _insert(self._connection, made)
                _save(self._connection, progress)
            self._progress = progress
            self._depth += 1
            self._size += len(made.wire)
            return made

    def note_boundary(self, boundary_s: int, absent: Sequence[int]) -> None:
        """Store that a boundary was sampled without any reading; ``absent`` as for ``append``."""
        self._store(
            lambda old: replace(old, last_boundary_s=max(old.last_boundary_s, boundary_s), absent=tuple(absent))
        )

    def note_alarm(self, alarm: str) -> None:
        """Store why submission is halted ("" when it is not)."""
        if alarm != self._progress.alarm:
            self._store(lambda old: replace(old, alarm=alarm))

    def oldest(self, batches_max: int) -> list[QueuedBatch]:
        """The oldest batches, at most ``batches_max``, ascending by counter."""
        query = "SELECT counter, id, boundary_s, rows, wire FROM batches ORDER BY counter LIMIT ?"
        try:
            with self._lock:
                return [QueuedBatch(*row) for row in self._connection.execute(query, (batches_max,))]
        except sqlite3.Error as error:
            raise OutboxError(f"{self.path}: cannot be read ({error}); check the disk") from None

    def acknowledge(
        self, counters: Sequence[int], height: int, header_digest: bytes, refused: Sequence[RefusedRow] = ()
    ) -> None:
        """Delete the oldest batches, whose receipts the caller has verified; (height, digest): the newest of their headers.

        refused: rows of these batches that the ledger did not use.
        """
        with self._lock:
            known = sorted({*self._progress.refused, *refused}, key=lambda row: (-row.boundary_s, row.meter, row.code))
            progress = replace(self._progress, alarm="", refused=tuple(known[:REFUSED_ROWS_MAX]))
            if progress.receipt is None or height > progress.receipt.height:
                progress = replace(progress, receipt=VerifiedHeader(height, header_digest))
            freed: list[int] = []
            with self._transaction():
                for counter in counters:
                    freed += self._delete(counter)
                _save(self._connection, progress)
            self._progress = progress
            self._depth -= len(freed)
            self._size -= sum(freed)

    def close(self) -> None:
        """Close the file, after what another thread is writing."""
        with self._lock:
            self._connection.close()

    def _delete(self, counter: int) -> list[int]:
        """Delete a batch and return the length of its wire bytes; none when it is gone already."""
        (*found,) = self._connection.execute("SELECT length(wire) FROM batches WHERE counter = ?", (counter,))
        self._connection.execute("DELETE FROM batches WHERE counter = ?", (counter,))
        return [size for (size,) in found]

    def _store(self, change: Callable[[Progress], Progress]) -> None:
        with self._lock:
            progress = change(self._progress)
            with self._transaction():
                _save(self._connection, progress)
            self._progress = progress

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing on disk; OutboxWriteError when the disk refuses."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise OutboxWriteError(f"{self.path}: cannot be written ({error}); check disk space and the disk") from None
        except BaseException:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except sqlite3.Error:  # SQLite has done so itself, or the file is beyond help: the next write says so
                return


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
        with closing(_connect(made, "rwc")) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.executescript(_SCHEMA)
            connection.execute("BEGIN")
            for item in batches:
                _insert(connection, item)
            _save(connection, progress)
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
        with closing(_connect(path, "ro")) as connection:
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


def _connect(path: Path, mode: str) -> sqlite3.Connection:
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
    progress = _decode_progress(row[0])
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
    return OutboxState(progress, depth, size, oldest_boundary_s)


def _digest(item: QueuedBatch) -> bytes:
    return sm3(cbor.encode([item.counter, item.id, item.boundary_s, item.rows, item.wire]))


def _insert(connection: sqlite3.Connection, item: QueuedBatch) -> None:
    row = (item.counter, item.id, item.boundary_s, item.rows, item.wire, _digest(item))
    connection.execute("INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?)", row)


def _save(connection: sqlite3.Connection, progress: Progress) -> None:
    state = cbor.encode(
        {
            "absent": list(progress.absent),
            "alarm": progress.alarm,
            "chain": progress.chain,
            "counter": progress.counter,
            "epoch": progress.epoch,
            "gateway": progress.gateway,
            "last_boundary_s": progress.last_boundary_s,
            "previous": progress.previous,
            "receipt": list(progress.receipt or ()),
            "refused": [list(row) for row in progress.refused],
            "seen": [[list(pair) for pair in progress.seen.brokers], [list(pair) for pair in progress.seen.absent]],
        }
    )
    connection.execute("INSERT OR REPLACE INTO progress VALUES (1, ?, ?)", (state, sm3(state)))


def _decode_progress(state: bytes) -> Progress:
    value = cbor.decode(state)
    receipt = value["receipt"]
    brokers, absent = value.get("seen", ([], []))  # an outbox of an earlier version has none
    return Progress(
        **{
            **value,
            "absent": tuple(value["absent"]),
            "receipt": VerifiedHeader(*receipt) if receipt else None,
            "refused": tuple(RefusedRow(*row) for row in value.get("refused", ())),
            "seen": Seen(tuple((name, state) for name, state in brokers), tuple((name, why) for name, why in absent)),
        }
    )
