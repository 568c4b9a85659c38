"""Checking a whole data directory (``gridledger node check``): everything is derived again from genesis and compared.

Nothing is changed. A state database that is behind or missing is a note, not a problem: it is made again at the next start.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gridcore import merkle
from gridcore.errors import GridError
from gridcore.genesis import genesis_digest
from gridcore.header import Certificate, Header, check_certificate, decode_header, signers_digest
from ledger.contract import Contract
from ledger.genesis import signer_set
from ledger.state.block import Applied, Block
from ledger.state.state import State
from ledger.state.transition import apply_block
from ledger.state.verdicts import checks_of
from ledger.store.block_log import LOG_NAME, BlockLog, BlockRecord
from ledger.store.directory import load_genesis, locked
from ledger.store.errors import OlderDatabaseError, StoreError
from ledger.store.files import Files
from ledger.store.guard import GUARD_NAME, Guard
from ledger.store.ledger import next_header
from ledger.store.opening import check_contracts
from ledger.store.signatures import SignatureChecker
from ledger.store.state_db import DB_NAME, ResultEntry, StateDb, encode_results


@dataclass
class CheckReport:
    """What was found. ``problems``: one line each; none means that all of it holds. ``digest``: S_h of ``height``."""

    height: int = 0
    transactions: int = 0
    state_root: bytes = b""
    digest: bytes = b""
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether no problem was found."""
        return not self.problems


@dataclass(frozen=True)
class ReplayedBlock:
    """One block derived again: its record, what it did, and the header that follows."""

    record: BlockRecord
    applied: Applied
    results: tuple[ResultEntry, ...]
    header: Header


def replay(
    genesis: Mapping[str, Any], records: Iterator[BlockRecord], contracts: Mapping[str, Contract], state: State
) -> Iterator[ReplayedBlock]:
    """Apply ``records`` (from height 1) to ``state`` (of genesis) one by one; signatures are checked again."""
    history = merkle.Tree()
    signers = signers_digest(signer_set(genesis))
    checker = SignatureChecker()
    try:
        for record in records:
            block = Block(record.height, record.time_s, record.transactions)
            verdicts = checker.check(checks_of(state, block.decoded))
            applied = apply_block(state, block, contracts, verdicts)
            state.commit(applied)
            results = tuple(ResultEntry(result.digest, int(result.code), result.id) for result in applied.results)
            header = next_header(genesis["chain"], record, history, results, state, signers)
            yield ReplayedBlock(record, applied, results, header)
    finally:
        checker.close()


def renew_guard(data_dir: Path, contracts: Mapping[str, Contract]) -> CheckReport:
    """Write a missing guard anew at the last block, after everything else was checked.

    For an operator who knows that this data directory is the newest there is (a restored backup): a block that this key
    signed elsewhere and that is not in it would get a second, other signature. StoreError when there is a guard or anything
    else does not hold.
    """
    path = data_dir / GUARD_NAME
    if path.exists():
        raise StoreError(f"{path}: a guard is there already and is never overwritten")
    report = check_ledger(data_dir, contracts)
    others = [problem for problem in report.problems if not problem.startswith(str(path))]
    if others:
        raise StoreError(f"{data_dir}: no guard is written for a ledger that does not hold: {others[0]}")
    with locked(data_dir):
        Guard.create(path, report.height, report.digest, Files())
    return report


def check_ledger(data_dir: Path, contracts: Mapping[str, Contract]) -> CheckReport:
    """Replay everything from genesis and compare: states, headers, certificates, guard, database.

    UsageError when there is no ledger in ``data_dir``, it is in use, or a contract is missing.
    """
    report = CheckReport()
    with ExitStack() as resources:
        resources.enter_context(locked(data_dir))
        genesis = load_genesis(data_dir)
        check_contracts(genesis, contracts)
        report.digest = genesis_digest(genesis)
        guard = _open_guard(data_dir, report)
        db = _open_db(data_dir, report.digest, report)
        if db is not None:
            resources.callback(db.close)
        state = State.from_genesis(genesis)
        report.state_root = state.root()
        if (data_dir / LOG_NAME).exists():
            blocks, damage = BlockLog.inspect(data_dir / LOG_NAME)
            resources.callback(blocks.close)
            _replay_and_compare(report, genesis, blocks, contracts, state, db, guard)
            _judge_tail(report, damage, guard)
        _judge_ends(report, db, guard)
    return report


def _replay_and_compare(
    report: CheckReport,
    genesis: Mapping[str, Any],
    blocks: BlockLog,
    contracts: Mapping[str, Contract],
    state: State,
    db: StateDb | None,
    guard: Guard | None,
) -> None:
    signers = signer_set(genesis)
    db_height = 0 if db is None else db.height()
    before: Header | None = None
    if db is not None and db_height == 0:
        _compare_leaves(report, state, db)
    for replayed in replay(genesis, blocks.records(), contracts, state):
        record, header = replayed.record, replayed.header
        height = record.height
        if record.previous != report.digest:
            report.problems.append(
                f"block {height}: follows header {record.previous.hex()}, replay gives {report.digest.hex()}"
            )
        if before is not None:
            _check_one_certificate(report, before, record.previous_certificate, signers, LOG_NAME)
        report.height, report.digest, report.state_root = height, header.digest(), header.state_root
        report.transactions += len(record.transactions)
        if db is not None and height <= db_height:
            _compare_block(report, replayed, db, signers)
        if db is not None and height == db_height:
            _compare_leaves(report, state, db)
        if guard is not None and height == guard.height and guard.digest != report.digest:
            report.problems.append(
                f"{GUARD_NAME}: signed {guard.digest.hex()} at height {height}, replay gives {report.digest.hex()}"
            )
        before = header


def _compare_block(report: CheckReport, replayed: ReplayedBlock, db: StateDb, signers: list[tuple[bytes, int]]) -> None:
    header, height = replayed.header, replayed.header.height
    try:
        stored = decode_header(db.load_header(height) or b"")
        if stored != header:
            wrong = [name for name, value in vars(header).items() if value != getattr(stored, name)]
            report.problems.append(f"{DB_NAME}: header {height} differs from the replayed one in {', '.join(wrong)}")
        _check_one_certificate(report, stored, db.load_certificate(height) or [], signers, DB_NAME)
        if db.load_results(height) != encode_results(replayed.results):
            report.problems.append(f"{DB_NAME}: results of block {height} differ from the replayed ones")
        for entry in replayed.results:
            if entry.id and db.find_transaction(entry.id) is None:
                report.problems.append(f"{DB_NAME}: transaction {entry.id.hex()} of block {height} is not indexed")
    except GridError as error:
        report.problems.append(f"{DB_NAME}: block {height}: {error}")


def _check_one_certificate(
    report: CheckReport, header: Header, certificate: Certificate, signers: list[tuple[bytes, int]], where: str
) -> None:
    try:
        check_certificate(header, certificate, signers)
    except GridError as error:
        report.problems.append(f"{where}: {error}")


def _compare_leaves(report: CheckReport, state: State, db: StateDb) -> None:
    try:
        stored = list(db.leaf_index())
        expected = [(state.number(key), key, merkle.leaf_hash(state.leaf(key))) for key in state.leaf_keys()]
        if stored != expected:
            wrong = next((here for here, there in zip(expected, stored, strict=False) if here != there), None)
            what = "their number differs" if wrong is None else f"the first is {wrong[1]}"
            report.problems.append(f"{DB_NAME}: leaves differ from the replayed state; {what}")
        for _, key, _ in stored:
            db.load_leaf(key)
    except GridError as error:
        report.problems.append(str(error))


def _judge_tail(report: CheckReport, damage: StoreError | None, guard: Guard | None) -> None:
    if damage is None:
        return
    if guard is not None and report.height >= guard.height:
        report.notes.append(f"{damage}: a block that was never signed; it is cut at the next start")
    else:
        report.problems.append(str(damage))


def _judge_ends(report: CheckReport, db: StateDb | None, guard: Guard | None) -> None:
    if guard is not None and not report.height - 1 <= guard.height <= report.height:
        report.problems.append(
            f"{GUARD_NAME}: stands at block {guard.height}, {LOG_NAME} ends with block {report.height}"
        )
    if db is not None and db.height() > report.height:
        report.problems.append(f"{DB_NAME}: has block {db.height()}, {LOG_NAME} ends with block {report.height}")
    elif db is not None and db.height() < report.height:
        report.notes.append(
            f"{DB_NAME}: stands at block {db.height()} of {report.height}; the next start replays the rest"
        )


def _open_guard(data_dir: Path, report: CheckReport) -> Guard | None:
    try:
        return Guard.open(data_dir / GUARD_NAME, Files())
    except StoreError as error:
        report.problems.append(str(error))
        return None


def _open_db(data_dir: Path, digest: bytes, report: CheckReport) -> StateDb | None:
    if not (data_dir / DB_NAME).exists():
        report.notes.append(f"{DB_NAME}: missing; the next start makes it again from {LOG_NAME}")
        return None
    try:
        return StateDb.open(data_dir / DB_NAME, digest)
    except OlderDatabaseError as error:
        report.notes.append(f"{error}; the next start makes it again from {LOG_NAME}")
        return None
    except StoreError as error:
        report.problems.append(str(error))
        return None
