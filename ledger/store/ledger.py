"""One node's ledger on its disk: opens it whatever the last run left, makes blocks, answers questions (``LedgerReader``).

Steps of one block, and what a crash right after each of them leaves:

1. ``Application.apply`` (pure): results, new state, header       nothing
2. append to blocks.log, fsync             an uncertified last block: applied, guarded and certified at the next start
3. guard on the disk, then the signature   the same; the guard gives back its signature, or allows the same S_h again
4. one transaction in state.db             complete; only the answer to the submitter is missing, who asks again: EXISTS
5. ``Application.commit``: questions are answered from the new height

Nothing is acknowledged before step 5. When the disk refuses a step, the block stays where it is and the next call goes on.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from gridcore.clock import Clock
from gridcore.codes import Code
from gridcore.errors import broken
from gridcore.genesis import BLOCK_TIME
from gridcore.header import Certificate
from gridcore.logs import get_logger
from gridcore.sm import Signer
from gridcore.validator import powers_of
from ledger.application import Application, Decided, Examined
from ledger.certifier import Certifier
from ledger.contract import Contract
from ledger.protocol import VERSIONS
from ledger.signatures import SignatureChecker
from ledger.state.block import Result
from ledger.state.protocol_rules import ProtocolRules
from ledger.store.block_log import LOG_NAME
from ledger.store.block_record import BlockRecord, StoredRecord
from ledger.store.directory import check_same_genesis, guard_path, lock
from ledger.store.errors import StoreError, StoreWriteError
from ledger.store.files import Files
from ledger.store.opening import Parts, check_contracts, open_parts
from ledger.store.reader import LedgerReader
from ledger.store.room import check_room
from ledger.store.schema import is_disk_refusal

log = get_logger(__name__)


@dataclass(frozen=True)
class Produced:
    """A certified block: what became of its transactions, and whether due work wants another block at once."""

    height: int
    results: tuple[Result, ...]
    work_pending: bool


@dataclass(frozen=True)
class _Unfinished:
    """A block that is in the log, and not yet certified, saved and committed. ``certificate``: where the log has it."""

    decided: Decided
    log_offset: int
    certificate: Certificate | None = None


class Ledger(LedgerReader):
    """See the module. ``make_block`` and ``finish`` are called by one thread at a time, everything else by any."""

    def __init__(
        self, application: Application, parts: Parts, certifier: Certifier, clock: Clock, files: Files
    ) -> None:
        super().__init__(application, parts.db, parts.log)
        self._certifier = certifier
        self._clock = clock
        self._files = files
        self._unfinished: _Unfinished | None = None
        self._resources = ExitStack()

    @classmethod
    def open(
        cls,
        data_dir: Path,
        contracts: Mapping[str, Contract],
        signer: Signer,
        clock: Clock,
        *,
        more_keys: Sequence[Signer] = (),
        genesis: bytes | None = None,
        pins: Mapping[str, bytes] | None = None,
        guard: Path | None = None,
        files: Files | None = None,
        versions: Mapping[int, ProtocolRules] = VERSIONS,
    ) -> Self:
        """Open the data directory that ``init_ledger`` made, and bring its last block to an end.

        contracts: by id, at least those that the zones name. signer: the node's key, more_keys: others of it; the
        validators must let one of them certify alone. genesis: canonical bytes that the directory's must equal, if given. pins: see ``check_contracts``. guard: see
        ``guard_path``. versions: the rules that this program has. UsageError (another genesis, key, or a second node
        on the directory), StoreError (files damaged, missing, or not fitting one another), StoreWriteError (disk).
        """
        files = files or Files()
        with ExitStack() as resources:
            resources.callback(os.close, lock(data_dir))
            if genesis is not None:
                check_same_genesis(data_dir, genesis)
            parts = open_parts(data_dir, files, resources, guard_path(data_dir, guard))
            if parts.guard is None:
                broken("a ledger that signs has a guard")
            origin = parts.origin
            check_contracts(parts.state, contracts, pins)
            checker = SignatureChecker()
            resources.callback(checker.close)
            certifier = Certifier(origin.chain, [signer, *more_keys], parts.guard, files)
            self = cls(parts.application(contracts, checker, versions, pins), parts, certifier, clock, files)
            self._catch_up()
            self.check_next_block()
            self._resources = resources.pop_all()
        return self

    def close(self) -> None:
        """Close the files and give the directory back."""
        with self._lock:
            self._resources.close()

    # ------------------------------------------------------------------------------------------------ making blocks

    def examine(self, wires: Iterable[bytes]) -> list[Examined]:
        """See ``Application.examine``."""
        return self.application.examine(wires, self._next_time_s())

    def check_next_block(self) -> None:
        """Raise ProtocolError where this program does not have the rules of the next block, UsageError where its keys cannot certify it."""
        self.application.rules()
        self._certifier.check_alone(self.height + 1, powers_of(self.application.validators))

    @property
    def work_pending(self) -> bool:
        """Whether the newest block left due work, or a change of validators to complete, so that another one should follow at once."""
        return self.application.tip.work_pending or self.application.is_handing_over

    def is_work_due(self) -> bool:
        """Whether a block without transactions would do something now: work left over, or (block time) fallen due since."""
        return self.application.is_handing_over or self.application.is_work_due(self._next_time_s())

    def stands_s(self) -> int:
        """See ``Application.stands_s``: now."""
        return self.application.stands_s(self._next_time_s())

    def foresee(self, examined: Sequence[Examined]) -> list[Code]:
        """What each of these would get, if ``make_block`` were called with them now."""
        return self.application.foresee(examined, self._next_time_s())

    def make_block(self, examined: Sequence[Examined]) -> Produced:
        """Decide one block of these transactions, in this order, and certify it.

        StoreWriteError: the disk refuses; nothing may be acknowledged, and the next call (or ``finish``) goes on where this
        one ended. A block that was already on the disk then comes into being without these callers being told.
        """
        self.finish()
        check_room(self._log.folder, self._files)
        known = {key: verdict for entry in examined for key, verdict in entry.verdicts.items()}
        decided = self.application.apply(self.application.next_block(examined, self._next_time_s()), known)
        self._files.reach("block_applied")
        before = self.certificate(self.height) if self.height else []
        offset = self._log.append(BlockRecord.of(decided, before))
        self._files.reach("block_logged")
        self._unfinished = _Unfinished(decided, offset)
        self.finish()
        return Produced(decided.header.height, decided.results, decided.work_pending)

    def finish(self) -> None:
        """Certify, save and commit a block that the disk interrupted, if there is one. StoreWriteError while it still refuses."""
        if self._unfinished is None:
            return
        decided = self._unfinished.decided
        height = decided.header.height
        with self._lock:
            try:
                signers = powers_of(self.application.validators)
                certificate = self._unfinished.certificate or self._certifier.certify(height, decided.digest, signers)
                self._files.reach("block_certified")
                self._db.save_block(decided, certificate, self._unfinished.log_offset)
            except (OSError, sqlite3.Error) as error:
                if isinstance(error, sqlite3.Error) and not is_disk_refusal(error):
                    raise self._db.damage(f"where block {height} is to be saved ({error})") from error
                raise StoreWriteError(
                    f"block {height} is decided but cannot be certified and saved: {error}"
                ) from error
            self._files.reach("block_saved")
            self._unfinished = None
            self.application.commit(decided)

    # ------------------------------------------------------------------------------------------------------ internal

    def _catch_up(self) -> None:
        """Replay what the log has beyond the database; certify its last block if that is still to be done."""
        newest = self.height
        offset = (self._db.log_offset(newest) or 0) if newest else 0
        pending: StoredRecord | None = None
        for stored in self._log.records_after(newest, offset):
            if pending is not None:
                self._replay(pending, stored.record)
            pending = stored
        if pending is not None:
            self._replay(pending, None)
            log.info("blocks_replayed", first=newest + 1, last=self.height)

    def _replay(self, stored: StoredRecord, following: BlockRecord | None) -> None:
        """Apply and save a block of the log. ``following``: the next one, which has this one's certificate."""
        record, guard = stored.record, self._certifier.guard
        if record.previous != self.application.tip.digest:
            raise StoreError(self._explain_other_header(record.height - 1, self.application.tip.digest))
        decided = self.application.apply(record.block())
        certificate = None
        if record.height < guard.height and following is not None:
            if following.previous != decided.digest:
                raise StoreError(self._explain_other_header(record.height, decided.digest))
            certificate = following.certificate
        elif record.height == guard.height and decided.digest != guard.digest:
            raise StoreError(self._explain_other_header(record.height, decided.digest))
        self._unfinished = _Unfinished(decided, stored.offset, certificate)
        self.finish()

    def _explain_other_header(self, height: int, digest: bytes) -> str:
        return (
            f"block {height} of {LOG_NAME} leads to header {digest.hex()[:16]}…, but this node has signed another one of that "
            "height. Not started, nothing signed: run the version of GridLedger that made the block, or put back the blocks.log "
            "and the guard that belong together"
        )

    def _next_time_s(self) -> int:
        """A clock that was too far ahead and was put right counts at once: ledger time has not followed it."""
        return max(self._clock.now_s(), self.application.tip.ledger_time_s if self.clock == BLOCK_TIME else 0)
