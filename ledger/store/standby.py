"""A ledger without a key: it takes blocks that were certified elsewhere, checks every one of them, and answers questions.

It cannot sign, so it needs no guard; a node that goes on from its directory does (docs/operating/backup.md).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Self

from gridcore.errors import UsageError
from gridcore.header import Certificate, VerificationError, check_certificate
from gridcore.validator import powers_of
from ledger.application import Application
from ledger.contract import Contract
from ledger.signatures import SignatureChecker
from ledger.store.archive import Archive
from ledger.store.block_log import LOG_NAME
from ledger.store.block_record import BlockRecord, WaitingBlocks
from ledger.store.directory import GENESIS_NAME, LOCK_NAME, check_same_genesis, lock, locked
from ledger.store.errors import StoreError, StoreWriteError
from ledger.store.files import Files
from ledger.store.guard import GUARD_NAME
from ledger.store.opening import Parts, check_contracts, open_parts
from ledger.store.pruning import put_back
from ledger.store.reader import LedgerReader
from ledger.store.schema import is_disk_refusal


class Standby(LedgerReader):
    """See the module. ``take`` is called by one thread at a time, everything else by any."""

    def __init__(self, application: Application, parts: Parts) -> None:
        super().__init__(application, parts.db, parts.log)
        self._resources = ExitStack()

    @classmethod
    def open(
        cls,
        data_dir: Path,
        contracts: Mapping[str, Contract],
        *,
        pins: Mapping[str, bytes] | None = None,
        files: Files | None = None,
    ) -> Self:
        """Open a directory that ``restore`` made. UsageError (in use, has a guard, contracts), StoreError, StoreWriteError as ``Ledger.open``."""
        files = files or Files()
        with ExitStack() as resources:
            resources.callback(os.close, lock(data_dir))
            check_unguarded(data_dir)
            parts = open_parts(data_dir, files, resources, None)
            check_contracts(parts.state, contracts, pins)
            checker = SignatureChecker()
            resources.callback(checker.close)
            self = cls(parts.application(contracts, checker, pins=pins), parts)
            self._catch_up()
            self._resources = resources.pop_all()
        return self

    def close(self) -> None:
        """Close the files and give the directory back."""
        with self._lock:
            self._resources.close()

    def take(self, record: BlockRecord, certificate: Certificate) -> None:
        """Apply the next block, compare what follows from it with its certificate (none where a later one covers it), and keep it.

        StoreError when it is not certified so, or does not follow; StoreWriteError when the disk refuses.
        """
        signers = powers_of(self.application.validators)
        decided = self.application.apply(record.block())
        try:
            if record.previous != decided.header.previous:
                raise VerificationError(f"block {record.height} follows another block {self.height}")
            if certificate:
                check_certificate(decided.header, certificate, signers)
        except VerificationError as error:
            raise StoreError(
                f"block {record.height}: leads to header {decided.digest.hex()[:16]}…, which its certificate does not cover ({error}). "
                "Run the version of GridLedger that made the block, or take an undamaged archive"
            ) from None
        offset = self._keep(record)
        with self._lock:
            try:
                self._db.save_block(decided, certificate, offset)
            except sqlite3.Error as error:
                if not is_disk_refusal(error):
                    raise self._db.damage(f"where block {record.height} is to be saved ({error})") from error
                raise StoreWriteError(f"block {record.height} cannot be saved: {error}") from error
            self.application.commit(decided)

    def _keep(self, record: BlockRecord) -> int:
        """Have the block in the log, and say where: an interrupted ``take`` may have left it there."""
        if self._log.height == self.height:
            return self._log.append(record)
        stored = next(self._log.records_after(self.height, self._newest_offset()))
        if stored.record != record:
            raise StoreError(f"{LOG_NAME}: has another block {record.height}; restore into a new directory")
        return stored.offset

    def _catch_up(self) -> None:
        """Take what the log has beyond the database, as far as later blocks certify it."""
        waiting = WaitingBlocks()
        for stored in self._log.records_after(self.height, self._newest_offset()):
            for block in waiting.follow(stored.record):
                self.take(*block)

    def _newest_offset(self) -> int:
        return (self._db.log_offset(self.height) or 0) if self.height else 0


def check_unguarded(data_dir: Path) -> None:
    """Raise UsageError where a guard lies in the directory: it is that of a node that signs."""
    if (data_dir / GUARD_NAME).exists():
        raise UsageError(
            f"{data_dir / GUARD_NAME}: the guard of a node that signs; a standby has a directory of its own and no guard: "
            "give another directory, or run this one with its key"
        )


def begin(data_dir: Path, genesis: bytes, files: Files) -> bool:
    """Make a standby's directory where there is none; whether it is new. UsageError for one that holds something else."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (data_dir / GENESIS_NAME).exists():
        check_same_genesis(data_dir, genesis)
        return False
    if any(entry.name not in (LOCK_NAME, f"{GENESIS_NAME}.new") for entry in data_dir.iterdir()):
        check_unguarded(data_dir)
        raise UsageError(f"{data_dir}: not empty and no ledger; give a new or an empty directory")
    files.write_durably(data_dir / GENESIS_NAME, genesis)
    return True


def restore(
    archive: Archive,
    data_dir: Path,
    contracts: Mapping[str, Contract],
    *,
    pins: Mapping[str, bytes] | None = None,
    files: Files | None = None,
    progress: Callable[[int], None] = lambda _height: None,
) -> tuple[int, int] | None:
    """Make a standby's directory out of an archive, or bring one up to it: every block is applied and compared with its certificate.

    Returns the height before and after; None where a node that signs was given back what it had pruned, which its next start replays.
    ``progress``: called with each height. A crash loses nothing: call it again. UsageError for a directory that holds
    something else, or a guard and nothing pruned; StoreError for a damaged archive.
    """
    files = files or Files()
    if not begin(data_dir, archive.genesis(), files):
        with locked(data_dir):
            is_put_back = (data_dir / LOG_NAME).exists() and put_back(archive, data_dir, files)
        if is_put_back and (data_dir / GUARD_NAME).exists():
            return None
        check_unguarded(data_dir)
    with closing(Standby.open(data_dir, contracts, pins=pins, files=files)) as standby:
        before = standby.height
        for block in archive.blocks(before):
            standby.take(block.record, block.certificate)
            progress(standby.height)
        return before, standby.height
