"""One organisation's copy of a ledger whose blocks a consensus engine decides: applied and kept here, certified by several.

Steps of one block, and what a crash right after each of them leaves (the engine asks for the height, and gives what follows again):

1. ``decide``: ``Application.apply``, in memory                          nothing
2. ``commit``: append to blocks.log, fsync                            a block that is applied again out of the log at the next start
3. one transaction in state.db, with the certificate that the block brings        complete
4. ``Application.commit``: questions are answered from the new height

``sign`` gives this node's signature over the header of the newest block: the guard's promise is on the disk before. The guard may be ahead
of the blocks (an older backup, a lost disk): nothing is signed until they have caught up with it, and they must lead to its header.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from gridcore.errors import broken, require
from gridcore.header import Signers
from gridcore.logs import get_logger
from gridcore.sm import Signer
from gridcore.validator import powers_of
from ledger.application import Application, Decided, Examined
from ledger.certifier import Certifier
from ledger.contract import Contract
from ledger.protocol import VERSIONS
from ledger.signatures import SignatureChecker
from ledger.state.block import Block
from ledger.state.protocol_rules import ProtocolRules
from ledger.state.verdicts import Verdicts
from ledger.store.block_record import BlockRecord
from ledger.store.directory import check_same_genesis, guard_path, load_genesis, lock
from ledger.store.errors import ForkError, StoreError, StoreWriteError
from ledger.store.files import Files
from ledger.store.guard import Guard
from ledger.store.joining import build_joined, finish_install, install
from ledger.store.opening import Parts, check_contracts, open_parts
from ledger.store.reader import LedgerReader
from ledger.store.room import check_room
from ledger.store.rows import Certified
from ledger.store.schema import is_disk_refusal
from ledger.store.snapshots import Snapshot, SnapshotFolder, SnapshotMaker
from ledger.store.state_db import DB_NAME

log = get_logger(__name__)


@dataclass(frozen=True)
class _Pending:
    """A decided block that is not committed yet. log_offset: where the log has it, None while it has not."""

    decided: Decided
    brought: Certified | None
    log_offset: int | None = None


class ConsortiumLedger(LedgerReader):
    """See the module. ``decide``, ``commit`` and ``sign`` are called by one thread at a time, everything else by any."""

    def __init__(
        self, application: Application, parts: Parts, guard: Guard, keys: Sequence[Signer], files: Files
    ) -> None:
        super().__init__(application, parts.db, parts.log)
        self.snapshots = SnapshotFolder(parts.log.folder, files)
        self.snapshots.clean()
        self._guard = guard
        self._certifier = Certifier(self.chain, keys, guard, files)
        self._files = files
        self._pending: _Pending | None = None
        self._maker: SnapshotMaker | None = None
        self._of_parts = ExitStack()
        self._resources = ExitStack()

    @classmethod
    def open(
        cls,
        data_dir: Path,
        contracts: Mapping[str, Contract],
        signer: Signer,
        *,
        more_keys: Sequence[Signer] = (),
        genesis: bytes | None = None,
        pins: Mapping[str, bytes] | None = None,
        guard: Path | None = None,
        files: Files | None = None,
        versions: Mapping[int, ProtocolRules] = VERSIONS,
        snapshot_blocks: int = 0,
        snapshots_in_line: bool = False,
    ) -> Self:
        """Open the data directory that ``init_ledger`` made, and apply what its log has beyond its database.

        Arguments and errors are those of ``Ledger.open``. signer, more_keys: this validator's SM2 keys; a header is signed with the one
        that the set knows, and not at all where it knows none. snapshot_blocks, snapshots_in_line: see ``SnapshotMaker``.
        """
        files = files or Files()
        with ExitStack() as resources:
            resources.callback(os.close, lock(data_dir))
            if genesis is not None:
                check_same_genesis(data_dir, genesis)
            own = Guard.open(guard_path(data_dir, guard), files)
            resources.callback(own.close)
            finish_install(data_dir, files)
            of_parts = resources.enter_context(ExitStack())
            parts = open_parts(data_dir, files, of_parts, None)
            check_contracts(parts.state, contracts, pins)
            checker = SignatureChecker()
            resources.callback(checker.close)
            self = cls(parts.application(contracts, checker, versions, pins), parts, own, [signer, *more_keys], files)
            self._catch_up()
            self._check_promise(self.height, self.application.tip.digest)
            self._maker = SnapshotMaker(data_dir, self.snapshots, snapshot_blocks, in_line=snapshots_in_line)
            resources.callback(self._maker.close)
            self._of_parts, self._resources = of_parts, resources.pop_all()
        return self

    def close(self) -> None:
        """Close the files and give the directory back."""
        with self._lock:
            self._resources.close()

    def examine(self, wires: Iterable[bytes], time_s: int) -> list[Examined]:
        """See ``Application.examine``."""
        return self.application.examine(wires, time_s)

    def signers_of(self, height: int) -> Signers:
        """(public key, power) of those who certify the header of ``height``."""
        return powers_of(self.validators_at(height))

    def decide(self, block: Block, brought: Certified | None, known: Verdicts | None = None) -> Decided:
        """What the next block does, in memory until ``commit``. brought: the certificate that it holds, checked.

        known: verdicts on signatures that were checked before. Another block of the same height takes the place of one
        that was not committed. ForkError where it leads to another header than the guard has of its height.
        """
        self._tell_other_holder(brought)
        certified_height = brought.height if brought else self.certified_height
        decided = self.application.apply(replace(block, certified_height=certified_height), known)
        self._files.reach("block_applied")
        self._check_promise(block.height, decided.digest)
        self._pending = _Pending(decided, brought)
        return decided

    def commit(self) -> Decided:
        """Keep the block that ``decide`` was last called with, and take it over.

        StoreWriteError: the disk refuses; call it again, nothing else was changed.
        """
        pending = self._pending or broken("a block is decided before it is committed")
        offset = pending.log_offset
        if offset is None:
            check_room(self._log.folder, self._files)
            certificate = pending.brought.certificate if pending.brought else []
            offset = self._log.append(BlockRecord.of(pending.decided, certificate))
            self._pending = _Pending(pending.decided, pending.brought, offset)
            self._files.reach("block_logged")
        height = pending.decided.header.height
        with self._lock:
            try:
                self._db.save_block(pending.decided, [], offset, pending.brought)
            except sqlite3.Error as error:
                if not is_disk_refusal(error):
                    raise self._db.damage(f"where block {height} is to be saved ({error})") from error
                raise StoreWriteError(f"block {height} is decided but cannot be saved: {error}") from error
            self._files.reach("block_saved")
            self._pending = None
            self.application.commit(pending.decided)
            if self._maker is not None:
                self._maker.block_saved(height, pending.decided.block.certified, self._db)
        return pending.decided

    def sign(self, height: int) -> tuple[bytes, bytes] | None:
        """This node's (public key, signature) over S_h of the newest block, None where it is not of the set that certifies it.

        GuardError where it has signed another header or a later one.
        """
        require(height == self.height, "headers are signed while they are the newest")
        key = self._certifier.key_in(self.signers_of(height))
        return None if key is None else (key.public_key, self._certifier.sign(height, self.application.tip.digest, key))

    def wait_snapshot(self) -> None:
        """Return once no snapshot is being made."""
        if self._maker is not None:
            self._maker.wait()

    @property
    def has_own_blocks(self) -> bool:
        """Whether it has blocks, which no snapshot may take the place of."""
        return self.height > self.joined_height

    def join(self, fetched: Snapshot) -> None:
        """Begin with the state of a snapshot: what it says is compared first; then it takes the place of what is here, whole or not at all.

        From then on nothing at or below its height is signed here. SnapshotError where it does not hold, ForkError where this node has signed
        a header that it does not have, StoreWriteError: call it again.
        """
        require(not self.has_own_blocks, "a ledger with blocks of its own joins no other one")
        folder, built = self._log.folder, fetched.folder / DB_NAME
        head = build_joined(built, load_genesis(folder), fetched.chunks(), self._guard)
        self._files.reach("snapshot_built")
        try:
            if self._guard.height < head.header.height:
                self._guard.allow(head.header.height, head.header.digest())
            with self._lock:
                self._of_parts.close()
                install(built, self._log, head.header.height, self._files)
                parts = open_parts(folder, self._files, self._of_parts, None)
                self._db, self._log = parts.db, parts.log
                self.application.restart(parts.state, parts.history, parts.tip)
            self.snapshots.take(fetched)
        except OSError as error:
            raise StoreError(f"{folder}: the snapshot cannot be installed: {error}; start the node again") from error
        log.info("snapshot_installed", height=head.header.height, digest=head.header.digest().hex())

    # ------------------------------------------------------------------------------------------------------ internal

    def _check_promise(self, height: int, digest: bytes) -> None:
        """ForkError where this node has signed another header of ``height``."""
        if height and height == self._guard.height and digest != self._guard.digest:
            raise ForkError(
                f"block {height} leads to header {digest.hex()}, but this node has signed {self._guard.digest.hex()} of that height. "
                "Not gone on, nothing signed: the version of GridLedger or the engine's blocks are not those of that time"
            )

    def _tell_other_holder(self, brought: Certified | None) -> None:
        """Say so where a certificate has a signature by this node's key over a header that this node has not signed."""
        if brought is None or not self.joined_height < self._guard.height < brought.height:
            return  # a guard at 0, or at its snapshot, is that of a node whose disk was lost: it has signed before, and knows nothing of it
        if self._certifier.key_in([(public_key, 1) for public_key, _ in brought.certificate]) is not None:
            log.error(
                "key_signs_elsewhere",
                height=brought.height,
                guard_height=self._guard.height,
                reason="another node signs with this node's key, or an old guard was put back: stop one of the two nodes",
            )

    def _catch_up(self) -> None:
        """Apply what the log has beyond the database."""
        newest = self.height
        offset = (self._db.log_offset(newest) or 0) if newest else 0
        for stored in self._log.records_after(newest, offset):
            record = stored.record
            brought = Certified(record.certified_height, record.certificate) if record.certificate else None
            decided = self.application.apply(record.block())
            self._pending = _Pending(decided, brought, stored.offset)
            self.commit()
        if self.height > newest:
            log.info("blocks_replayed", first=newest + 1, last=self.height)
