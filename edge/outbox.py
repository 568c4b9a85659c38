"""The durable outbox: signed batches until a verified receipt stands for them, and where the gateway's counter is.

One SQLite file (``edge.outbox_file``), synchronous=FULL. One transaction commits a group of samples: their batches together with
counter, previous id and the last sampled boundary, so whenever the process dies either all of it happened or nothing.

A row leaves only by ``acknowledge``: what is signed is never given up. Three limits bound what waits: batches, bytes and the
age of the oldest. What is given up before them, first to last: observations (from ``observations_percent`` of a limit on, by
the agent), then the newest billing readings, which wait in memory until receipts make room, and then become a gap.

Methods block (a commit waits for the disk) and may be called from any thread.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from edge.config import OutboxLimits
from edge.high_water import BATCHES_PER_MARK, HighWater
from edge.lacks import Lack
from edge.outbox_file import (
    RECEIPTS_SCHEMA,
    OutboxDamagedError,
    OutboxState,
    QueuedBatch,
    check_owner,
    connect,
    insert,
    read_outbox,
    save,
)
from edge.progress import Gap, Progress, RefusedRow, Seen, acknowledged, sampled
from gridcore.errors import GridError, UsageError, require
from gridcore.logs import get_logger
from gridcore.transactions.reading_batch import VerifiedHeader

_log = get_logger(__name__)


class OutboxError(GridError):
    """The outbox cannot take this now. Nothing in it has changed."""


class OutboxFullError(OutboxError):
    """A named limit is reached; acknowledged batches make room, nothing else does."""


class OutboxWriteError(OutboxError):
    """The disk refused."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a sample brings. ``make``: the batch after a progress, None for a boundary without readings; ``absent``: meters
    that still lack one; ``seen``: what observing met, if it is new; ``missed``: the gap before this boundary; ``lacks``: what is
    lacking after it that meters may have recorded, by what was lacking before.
    """

    boundary_s: int
    make: Callable[[Progress], QueuedBatch] | None
    absent: Sequence[int] = ()
    seen: Seen | None = None
    missed: Gap | None = None
    lacks: Callable[[tuple[Lack, ...]], tuple[Lack, ...]] | None = None


class Outbox:
    """An open outbox; the only writer. Use ``create_outbox`` once, then ``Outbox.open``."""

    def __init__(self, path: Path, connection: sqlite3.Connection, state: OutboxState, limits: OutboxLimits) -> None:
        self.path = path
        self.limits = limits
        self._connection = connection
        self._lock = threading.Lock()
        self._state = state
        self._high_water: HighWater | None = None

    @classmethod
    def open(cls, path: Path, *, gateway: str, chain: str, limits: OutboxLimits | None = None) -> Self:
        """Check and open an existing outbox (the caller holds ``lock_outbox``).

        Raises OutboxDamagedError, or UsageError when it belongs to another gateway or chain.
        """
        state = read_outbox(path)
        check_owner(path, state.progress, gateway=gateway, chain=chain)
        try:
            connection = connect(path, "rw")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(RECEIPTS_SCHEMA)  # an outbox of an earlier version has none
        except sqlite3.Error as error:
            raise OutboxDamagedError(
                f"{path}: cannot be opened for writing ({error}); check its owner and disk"
            ) from None
        return cls(path, connection, state, limits or OutboxLimits())

    def keep_mark(self, high_water: HighWater) -> None:
        """Hold the outbox against a mark that nothing sets back, and raise both from now on.

        UsageError when the mark is higher: this is an older copy, or another TPM's. TpmError when the TPM does not answer.
        """
        value, mark = high_water.read(), self.progress.mark
        if 0 < mark < value:
            raise UsageError(
                f"{self.path}: is an older copy: {high_water.where} counts {value}, this outbox {mark}; open a new epoch "
                "with 'gridledger edge epoch'"
            )
        self._high_water = high_water
        high_water.raise_to(mark)  # first what earlier starts owe: one that fails here must not add to it
        self._store(lambda old: replace(old, mark=1 + (mark or value)))
        high_water.raise_to(self.progress.mark)

    @property
    def state(self) -> OutboxState:
        """What stands in it."""
        return self._state

    @property
    def progress(self) -> Progress:
        """Where the gateway stands."""
        return self._state.progress

    @property
    def depth(self) -> int:
        """Batches without a verified receipt."""
        return self._state.depth

    @property
    def size(self) -> int:
        """Their bytes."""
        return self._state.size

    def fill_percent(self) -> int:
        """The fullest of the three limits, in percent."""
        return self._state.fill_percent(self.limits)

    def store(self, entries: Sequence[Entry]) -> list[QueuedBatch | None]:
        """Make the batches of samples, one after the other, and store all of them in one transaction, durably.

        The leading entries that the limits have room for are stored, one batch is returned for each (None for a boundary
        without readings); OutboxFullError when not even the first has room, OutboxError when the disk refuses: then
        nothing has changed.
        """
        with self._lock:
            state, stored = self._state, list[QueuedBatch | None]()
            for entry in entries:
                made = None if entry.make is None else entry.make(state.progress)
                if made is not None:
                    require(made.counter == state.progress.counter + 1, "a batch has the next counter")
                    if not self._has_room(state, made):
                        break
                state = _with_entry(state, entry, made)
                stored.append(made)
            if not stored:
                raise self._full()
            state = replace(state, progress=self._marked(state.progress))
            with self._transaction():
                for made in stored:
                    if made is not None:
                        insert(self._connection, made)
                save(self._connection, state.progress)
            has_risen, self._state = state.progress.mark > self.progress.mark, state
        if has_risen:
            self._raise_mark()
        return stored

    def note_alarm(self, alarm: str) -> None:
        """Store why submission is halted ("" when it is not)."""
        if alarm != self.progress.alarm:
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
        self,
        counters: Sequence[int],
        height: int,
        header_digest: bytes,
        refused: Sequence[RefusedRow] = (),
        receipts: Mapping[int, bytes] | None = None,
    ) -> None:
        """Delete the oldest batches, whose receipts the caller has verified; (height, digest): the newest of their headers.

        refused: rows of these batches that the ledger did not use; receipts: encoded, by counter; the newest
        ``receipts_max`` are kept.
        """
        with self._lock:
            freed: list[tuple[int, int]] = []
            with self._transaction():
                for counter in counters:
                    freed += self._delete(counter, (receipts or {}).get(counter))
                self._connection.execute(
                    "DELETE FROM receipts WHERE counter <= (SELECT max(counter) FROM receipts) - ?",
                    (self.limits.receipts_max,),
                )
                boundary_s = max((boundary_s for _, boundary_s in freed), default=self.progress.acknowledged_s)
                progress = acknowledged(self.progress, boundary_s, VerifiedHeader(height, header_digest), refused)
                save(self._connection, progress)
                oldest = self._connection.execute("SELECT boundary_s FROM batches ORDER BY counter LIMIT 1").fetchone()
            self._state = OutboxState(
                progress,
                self.depth - len(freed),
                self.size - sum(size for size, _ in freed),
                None if oldest is None else oldest[0],
                self._connection.execute("SELECT count(*) FROM receipts").fetchone()[0],
            )

    def close(self) -> None:
        """Close the file, after what another thread is writing."""
        with self._lock:
            self._connection.close()

    def _delete(self, counter: int, receipt: bytes | None) -> list[tuple[int, int]]:
        """Delete a batch, keep its receipt, and return (bytes, boundary); none when it is gone already."""
        found = self._connection.execute(
            "SELECT length(wire), boundary_s FROM batches WHERE counter = ?", (counter,)
        ).fetchall()
        self._connection.execute("DELETE FROM batches WHERE counter = ?", (counter,))
        for _, boundary_s in found:
            if receipt is not None:
                self._connection.execute("INSERT INTO receipts VALUES (?, ?, ?)", (counter, boundary_s, receipt))
        return found

    def _marked(self, progress: Progress) -> Progress:
        """The progress with the next mark, where the counter has come to it."""
        before, now = (one.counter // BATCHES_PER_MARK for one in (self.progress, progress))
        return replace(progress, mark=progress.mark + 1) if self._high_water is not None and now > before else progress

    def _raise_mark(self) -> None:
        try:
            if self._high_water is not None:
                self._high_water.raise_to(self.progress.mark)
        except GridError as error:  # the next mark makes it good, or the next start
            _log.warning("mark_not_raised", reason=str(error))

    def _has_room(self, state: OutboxState, made: QueuedBatch) -> bool:
        """Whether the limits have room for a further batch."""
        oldest_s = made.boundary_s if state.oldest_boundary_s is None else state.oldest_boundary_s
        return (
            state.depth < self.limits.batches_max
            and state.size + len(made.wire) <= self.limits.bytes_max
            and made.boundary_s - oldest_s <= self.limits.age_s_max
        )

    def _full(self) -> OutboxFullError:
        limits, has = self.limits, f"{self.depth} batches, {self.size} bytes, {self._state.age_s} s"
        return OutboxFullError(
            f"{self.path}: full ({has}; at most {limits.batches_max}, {limits.bytes_max}, {limits.age_s_max}); nothing signed "
            "is dropped, readings wait in memory until receipts arrive"
        )

    def _store(self, change: Callable[[Progress], Progress]) -> None:
        with self._lock:
            progress = change(self.progress)
            with self._transaction():
                save(self._connection, progress)
            self._state = replace(self._state, progress=progress)

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


def _with_entry(state: OutboxState, entry: Entry, made: QueuedBatch | None) -> OutboxState:
    """The state after an entry and its batch."""
    progress = sampled(state.progress, entry.boundary_s, entry.absent, entry.missed)
    lacks = progress.lacks if entry.lacks is None else entry.lacks(progress.lacks)
    progress = replace(progress, seen=entry.seen or progress.seen, lacks=lacks)
    if made is None:
        return replace(state, progress=progress)
    return OutboxState(
        replace(progress, counter=made.counter, previous=made.id),
        state.depth + 1,
        state.size + len(made.wire),
        made.boundary_s if state.oldest_boundary_s is None else state.oldest_boundary_s,
        state.receipts,
    )
