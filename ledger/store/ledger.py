"""One node's ledger on its disk: opens it whatever the last run left, makes blocks, answers questions (``LedgerReader``).

Steps of one block, and what a crash right after each of them leaves:

1. ``apply_block`` (pure)                  nothing
2. append to blocks.log, fsync             an uncertified last block: applied, guarded and certified at the next start
3. header from the new state               the same
4. guard on the disk, then the signature   the same; the guard gives back its signature, or allows the same S_h again
5. one transaction in state.db             complete; only the answer to the submitter is missing, who asks again: EXISTS

Nothing is acknowledged before step 5. When the disk refuses a step, the block stays where it is and the next call goes on.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from gridcore import merkle
from gridcore.clock import Clock
from gridcore.codes import Code
from gridcore.errors import require
from gridcore.genesis import genesis_digest
from gridcore.header import Certificate, Header, certificate_message, signers_digest
from gridcore.logs import get_logger
from gridcore.sm import Signer
from ledger.contract import Contract
from ledger.state import fields
from ledger.state.block import Applied, Block, Result
from ledger.state.draft import Draft
from ledger.state.due import is_due
from ledger.state.state import State
from ledger.state.transition import apply_block, check_admission
from ledger.state.verdicts import Verdicts, checks_of
from ledger.store.block_log import BlockRecord
from ledger.store.directory import check_same_genesis, load_genesis, lock
from ledger.store.errors import StoreError, StoreWriteError
from ledger.store.files import Files
from ledger.store.opening import Parts, check_contracts, check_signer, open_parts
from ledger.store.reader import LedgerReader, data_hashes
from ledger.store.signatures import Candidate, SignatureChecker, decode_candidate
from ledger.store.state_db import BatchEntry, ResultEntry, StoredBlock, is_disk_refusal

log = get_logger(__name__)


@dataclass(frozen=True)
class Produced:
    """A certified block: what became of its transactions, and whether due work wants another block at once."""

    height: int
    results: tuple[Result, ...]
    work_pending: bool


@dataclass(frozen=True)
class Examined:
    """A candidate with the verdict on its signature.

    code: ACCEPTED means admissible: well-formed, for this chain, signed by a registered signer whose role allows the kind.
    progress: of a reading batch, the (epoch, counter) that the state has of its gateway; else None.
    """

    candidate: Candidate
    verdicts: Verdicts
    code: Code
    progress: tuple[int, int] | None


@dataclass(frozen=True)
class _Unfinished:
    """A block that is in the log and in the state in memory, and not yet certified and saved."""

    header: Header
    stored: StoredBlock
    results: tuple[Result, ...]


class Ledger(LedgerReader):
    """See the module. ``make_block`` and ``finish`` are called by one thread at a time, everything else by any."""

    def __init__(
        self,
        genesis: Mapping[str, Any],
        parts: Parts,
        contracts: Mapping[str, Contract],
        signer: Signer,
        clock: Clock,
        files: Files,
    ) -> None:
        super().__init__(genesis, parts.state, parts.db, parts.log, [genesis_digest(genesis), *parts.db.load_digests()])
        self._guard = parts.guard
        self._contracts = contracts
        self._signer = signer
        self._clock = clock
        self._files = files
        self._checker = SignatureChecker()
        self._signers_digest = signers_digest(self.signers)
        self._unfinished: _Unfinished | None = None
        self._resources = ExitStack()
        self.work_pending = parts.db.is_work_pending()
        """Whether the newest block left due work, so that another one should follow at once."""

    @classmethod
    def open(
        cls,
        data_dir: Path,
        contracts: Mapping[str, Contract],
        signer: Signer,
        clock: Clock,
        *,
        genesis: bytes | None = None,
        files: Files | None = None,
    ) -> Self:
        """Open the data directory that ``init_ledger`` made, and bring its last block to an end.

        contracts: by id, at least those that the areas name. signer: the node's key, which genesis must let certify alone.
        genesis: canonical bytes that the directory's must equal, if given. UsageError (another genesis, key, or a second
        node on the directory), StoreError (files damaged, missing, or not fitting one another), StoreWriteError (disk).
        """
        files = files or Files()
        with ExitStack() as resources:
            resources.callback(os.close, lock(data_dir))
            if genesis is not None:
                check_same_genesis(data_dir, genesis)
            decoded = load_genesis(data_dir)
            check_signer(decoded, signer.public_key)
            check_contracts(decoded, contracts)
            self = cls(decoded, open_parts(data_dir, decoded, files, resources), contracts, signer, clock, files)
            resources.callback(self._checker.close)
            self._catch_up()
            self._resources = resources.pop_all()
        return self

    def close(self) -> None:
        """Close the files and give the directory back."""
        with self._lock:
            self._resources.close()

    # ------------------------------------------------------------------------------------------------ making blocks

    def examine(self, wires: Iterable[bytes]) -> list[Examined]:
        """Decode transactions, check their signatures in parallel, and say which may enter a block."""
        candidates = [decode_candidate(wire) for wire in wires]
        verdicts = self._check_signatures(candidates)
        with self._lock:
            draft = Draft(self._state, 0, 0)
            return [self._examine(candidate, draft, verdicts) for candidate in candidates]

    def make_block(self, examined: Sequence[Examined]) -> Produced:
        """Decide one block of these transactions, in this order, and certify it.

        StoreWriteError: the disk refuses; nothing may be acknowledged, and the next call (or ``finish``) goes on where this
        one ended. A block that was already on the disk then comes into being without these callers being told.
        """
        self.finish()
        candidates = [entry.candidate for entry in examined]
        known = {key: verdict for entry in examined for key, verdict in entry.verdicts.items()}
        verdicts = self._check_signatures(candidates, known)
        record = self._next_record(candidates)
        with self._lock:
            applied = self._apply(record, verdicts)
        self._files.reach("block_applied")
        offset = self._log.append(record)
        self._files.reach("block_logged")
        with self._lock:
            unfinished = self._take_over(record, offset, applied, candidates)
            self.finish()
        return Produced(record.height, unfinished.results, unfinished.stored.work_pending)

    def is_work_due(self) -> bool:
        """Whether a block without transactions would do something now: work left over, or (block time) fallen due since."""
        if self.work_pending or self.is_simulated:
            return self.work_pending
        with self._lock:
            return is_due(Draft(self._state, self.height + 1, self._next_time_s()))

    def finish(self) -> None:
        """Certify and save a block that the disk interrupted, if there is one. StoreWriteError while it still refuses."""
        with self._lock:
            if self._unfinished is None:
                return
            header, stored = self._unfinished.header, self._unfinished.stored
            try:
                certificate = stored.certificate or self._certify(header, stored.digest)
                self._files.reach("block_certified")
                self._db.save_block(replace(stored, certificate=certificate))
            except (OSError, sqlite3.Error) as error:
                if isinstance(error, sqlite3.Error) and not is_disk_refusal(error):
                    raise StoreError(f"block {stored.height} cannot be saved, state.db is damaged: {error}") from error
                raise StoreWriteError(
                    f"block {stored.height} is decided but cannot be certified and saved: {error}"
                ) from error
            self._files.reach("block_saved")
            self._unfinished = None
            self._state.saved()
            self._digests.append(stored.digest)
            self._newest = (header.time_s, certificate)
            self.work_pending = stored.work_pending

    # ------------------------------------------------------------------------------------------------------ internal

    def _catch_up(self) -> None:
        """Replay what the log has beyond the database; certify its last block if that is still to be done."""
        newest = self.height
        if newest == self._guard.height and self._guard.digest != self.digest(newest):
            raise StoreError(self._explain_other_header(newest, self.digest(newest)))
        self._newest = (self.header(newest).time_s, self.certificate(newest)) if newest else (self._first_time_s(), [])
        for height in range(newest + 1, self._log.height + 1):
            self._replay(self._log.read(height))
        if self._log.height > newest:
            log.info("blocks_replayed", first=newest + 1, last=self.height)

    def _first_time_s(self) -> int:
        """Earliest time of the first block: ledger time never goes back, not even from genesis."""
        return 0 if self.is_simulated else int(self.genesis["ledger_time_s"])

    def _replay(self, record: BlockRecord) -> None:
        candidates = [decode_candidate(wire) for wire in record.transactions]
        applied = self._apply(record, self._check_signatures(candidates))
        unfinished = self._take_over(record, self._log.offset(record.height), applied, candidates)
        digest = unfinished.stored.digest
        if record.height < self._guard.height:
            following = self._log.read(record.height + 1)
            if following.previous != digest:
                raise StoreError(self._explain_other_header(record.height, digest))
            stored = replace(unfinished.stored, certificate=following.previous_certificate)
            self._unfinished = replace(unfinished, stored=stored)
        elif record.height == self._guard.height and digest != self._guard.digest:
            raise StoreError(self._explain_other_header(record.height, digest))
        self.finish()

    def _explain_other_header(self, height: int, digest: bytes) -> str:
        return (
            f"block {height} of blocks.log leads to header {digest.hex()[:16]}…, but this node has signed another one of that "
            "height. Not started, nothing signed: run the version of GridLedger that made the block, or put back the blocks.log "
            "and the guard that belong together"
        )

    def _check_signatures(self, candidates: Sequence[Candidate], known: Verdicts | None = None) -> Verdicts:
        """``known`` and the verdicts that are missing in it, for the keys that the state has now."""
        with self._lock:
            checks = checks_of(self._state, [candidate.transaction for candidate in candidates])
        return self._checker.check(checks, known)

    def _examine(self, candidate: Candidate, draft: Draft, verdicts: Verdicts) -> Examined:
        transaction = candidate.transaction
        if transaction is None:
            return Examined(candidate, {}, Code.NOT_CANONICAL, None)
        code = check_admission(draft, transaction, verdicts)
        signer = draft.get(f"signer/{transaction.signer}")
        known = None if signer is None else (transaction.digest, signer["public_key"])
        own = {} if known is None else {known: verdicts[known]}
        progress = None
        if code is Code.ACCEPTED and transaction.kind == fields.READING_BATCH:
            progress = self.gateway_progress(transaction.signer)
        return Examined(candidate, own, code, progress)

    def gateway_progress(self, gateway: str) -> tuple[int, int]:
        """(epoch, counter of the last applied batch) of a gateway; (0, 0) for one that is not registered."""
        value = self.get(f"gateway/{gateway}")
        return (0, 0) if value is None else (int(value["epoch"]), int(value["counter"]))

    def _next_record(self, candidates: Sequence[Candidate]) -> BlockRecord:
        return BlockRecord(
            height=self.height + 1,
            time_s=self._next_time_s(),
            previous=self._digests[-1],
            previous_certificate=self._newest[1],
            transactions=tuple(candidate.wire for candidate in candidates),
        )

    def _next_time_s(self) -> int:
        return max(self._clock.now_s(), self._newest[0])

    def _apply(self, record: BlockRecord, verdicts: Verdicts) -> Applied:
        require(record.previous == self._digests[-1], f"block {record.height} follows block {self.height}")
        return apply_block(
            self._state, Block(record.height, record.time_s, record.transactions), self._contracts, verdicts
        )

    def _take_over(
        self, record: BlockRecord, offset: int, applied: Applied, candidates: Sequence[Candidate]
    ) -> _Unfinished:
        """Move the state in memory to the block that is now in the log, and make its header."""
        leaves = self._state.commit(applied)
        results = tuple(ResultEntry(result.digest, int(result.code), result.id) for result in applied.results)
        header = next_header(self.chain, record, self._history, results, self._state, self._signers_digest)
        encoded = header.encode()
        stored = StoredBlock(
            height=record.height,
            log_offset=offset,
            header=encoded,
            digest=header.digest(),
            certificate=[],
            results=results,
            work_pending=applied.work_pending,
            leaves=leaves,
            batches=tuple(_accepted_batches(candidates, applied.results)),
        )
        self._unfinished = _Unfinished(header, stored, applied.results)
        return self._unfinished

    def _certify(self, header: Header, digest: bytes) -> Certificate:
        """The certificate of the one signer: the guard's promise is on the disk before the key is used."""
        signature = self._guard.allow(header.height, digest)
        self._files.reach("block_guarded")
        if signature is None:
            signature = self._signer.sign(certificate_message(self.chain, header.height, digest))
            self._files.reach("block_signed")
            self._guard.keep_signature(signature)
        return [(self._signer.public_key, signature)]


def next_header(
    chain: str,
    record: BlockRecord,
    history: merkle.Tree,
    results: tuple[ResultEntry, ...],
    state: State,
    signers: bytes,
) -> Header:
    """The header of a block whose ``results`` led to ``state``; appends the header before it to ``history``."""
    history.append(merkle.leaf_hash(record.previous))
    return Header(
        chain=chain,
        height=record.height,
        time_s=record.time_s,
        previous=record.previous,
        history_root=history.root(),
        data_root=merkle.root_of_hashes(data_hashes(results)),
        state_root=state.root(),
        signers=signers,
    )


def _accepted_batches(candidates: Sequence[Candidate], results: Sequence[Result]) -> Iterable[BatchEntry]:
    for position, (candidate, result) in enumerate(zip(candidates, results, strict=True)):
        transaction = candidate.transaction
        if result.code == Code.ACCEPTED and transaction is not None and transaction.kind == fields.READING_BATCH:
            body = transaction.body
            is_observed = "observations" in body
            yield BatchEntry(transaction.signer, body["boundary_s"], position, transaction.id, is_observed)
