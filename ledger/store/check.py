"""Checking a whole data directory (``gridledger node check``): everything is derived again from genesis and compared.

Nothing is changed; what is derived lies in a database of its own meanwhile, so memory does not grow with the ledger.
A state database that is behind or missing is a note, not a problem: it is made again at the next start.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from gridcore.errors import GridError
from gridcore.header import Certificate, Header, Signers, check_certificate, decode_header
from gridcore.validator import powers_of
from ledger.application import Decided
from ledger.contract import Contract
from ledger.replay import Replay
from ledger.signatures import SignatureChecker
from ledger.store.archive import Archive
from ledger.store.block_log import LOG_NAME, BlockLog
from ledger.store.block_record import BlockRecord
from ledger.store.derived import derive, records, replay_into, snapshot_to_begin_with
from ledger.store.directory import guard_path, load_genesis, locked
from ledger.store.errors import OlderDatabaseError, SnapshotError, StoreError
from ledger.store.files import Files
from ledger.store.guard import GUARD_NAME, Guard
from ledger.store.opening import check_contracts
from ledger.store.rows import encode_results, result_entries
from ledger.store.state_db import DB_NAME, StateDb
from ledger.store.tile_tables import TileTable
from ledger.store.witness_check import Testimony, WitnessCheck

_Leaf = tuple[int, str, bytes | None]
"""Number, key and body (None: pruned)."""


class _Signed(NamedTuple):
    """A header, and the set that certifies it."""

    header: Header
    signers: Signers


@dataclass
class CheckReport:
    """What was found. ``problems``: one line each; none means that all of it holds. ``digest``: S_h of ``height``.

    testimonies: gateways that know another history. They are no problem of these files, and a gateway may lie.
    """

    height: int = 0
    transactions: int = 0
    state_root: bytes = b""
    digest: bytes = b""
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    testimonies: list[Testimony] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether no problem was found."""
        return not self.problems


def renew_guard(
    data_dir: Path,
    contracts: Mapping[str, Contract],
    *,
    pins: Mapping[str, bytes] | None = None,
    guard: Path | None = None,
    archive: Archive | None = None,
) -> CheckReport:
    """Write a missing guard anew at the last block, after everything else was checked.

    For an operator who knows that this data directory is the newest there is (a restored backup): a block that this key
    signed elsewhere and that is not in it would get a second, other signature. StoreError when there is a guard or anything
    else does not hold.
    """
    path = guard_path(data_dir, guard)
    if path.exists():
        raise StoreError(f"{path}: a guard is there already and is never overwritten")
    report = check_ledger(data_dir, contracts, pins=pins, guard=guard, archive=archive)
    others = [problem for problem in report.problems if not problem.startswith(str(path))]
    if others:
        raise StoreError(f"{data_dir}: no guard is written for a ledger that does not hold: {others[0]}")
    with locked(data_dir):
        Guard.create(path, report.height, report.digest, Files())
    return report


def check_ledger(
    data_dir: Path,
    contracts: Mapping[str, Contract],
    *,
    pins: Mapping[str, bytes] | None = None,
    guard: Path | None = None,
    archive: Archive | None = None,
) -> CheckReport:
    """Replay everything from genesis and compare: states, headers, certificates, guard, database.

    archive: has the blocks that are not here, if any are not. Where a ledger that began with a snapshot is given none, it is replayed from the
    oldest snapshot that it keeps, which is compared with certificates from genesis on. pins: see ``check_contracts``. UsageError when there is no
    ledger in ``data_dir``, it is in use, or a contract is missing or has other code.
    """
    report = CheckReport()
    with ExitStack() as resources:
        resources.enter_context(locked(data_dir))
        genesis = load_genesis(data_dir)
        checker = SignatureChecker()
        resources.callback(checker.close)
        begin = None if archive is not None else snapshot_to_begin_with(data_dir)
        if begin is not None:
            report.notes.append(
                f"blocks before {begin.manifest.height + 1} are not here: replayed from the snapshot of height {begin.manifest.height}, which "
                "certificates from genesis on prove"
            )
        try:
            derived = derive(data_dir, genesis, begin, resources)
        except SnapshotError as error:
            report.problems.append(f"{data_dir}: snapshot of height {begin.manifest.height if begin else 0}: {error}")
            return report
        replay = replay_into(derived, contracts, pins, checker)
        check_contracts(replay.application.state, contracts, pins)
        tip = replay.application.tip
        report.height, report.digest, report.state_root = tip.height, tip.digest, replay.application.state.root()
        known = _open_guard(guard_path(data_dir, guard), report)
        if known is not None:
            resources.callback(known.close)
        db = _open_db(data_dir, genesis.digest, report)
        if db is not None:
            resources.callback(db.close)
            _compare_tables(report, derived, db)
        if (data_dir / LOG_NAME).exists():
            blocks = BlockLog.inspect(data_dir / LOG_NAME)
            resources.callback(blocks.close)
            _replay_and_compare(report, replay, records(blocks, archive, report.height), derived, db, known)
            _judge_tail(report, blocks.damage, known)
        _judge_guard(report, known, is_of_consortium=genesis.has_consensus)
        _judge_end_of_db(report, db)
    return report


def _replay_and_compare(
    report: CheckReport,
    replay: Replay,
    records: Iterable[BlockRecord],
    derived: StateDb,
    db: StateDb | None,
    guard: Guard | None,
) -> None:
    waiting = _uncertified(derived)
    witnesses = WitnessCheck(derived.load_digest, derived.joined_height)
    for record in records:
        signers = powers_of(replay.application.validators)
        decided = replay.advance(record.block())
        height = record.height
        if record.previous != report.digest:
            report.problems.append(
                f"block {height}: follows header {record.previous.hex()}, replay gives {report.digest.hex()}"
            )
        if record.certificate:
            _check_brought_certificate(report, record, waiting)
        waiting[height] = _Signed(decided.header, signers)
        witnesses.hear(decided)
        report.height, report.digest, report.state_root = height, decided.digest, decided.header.state_root
        report.transactions += len(record.transactions)
        if db is not None and height <= db.height():
            _compare_block(report, decided, db, signers)
            _compare_tables(report, derived, db)
        if guard is not None and height == guard.height and guard.digest != report.digest:
            report.problems.append(
                f"{GUARD_NAME}: signed {guard.digest.hex()} at height {height}, replay gives {report.digest.hex()}"
            )
    report.testimonies = witnesses.testimonies()


def _uncertified(derived: StateDb) -> dict[int, _Signed]:
    """The newest headers of a snapshot that was begun with, whose certificates later blocks bring."""
    heights = range(derived.certified_height() + 1, derived.height() + 1)
    headers = {height: derived.load_header(height) for height in heights}
    return {
        height: _Signed(decode_header(header), powers_of(derived.validators.at(height)))
        for height, header in headers.items()
        if header is not None
    }


def _check_brought_certificate(report: CheckReport, record: BlockRecord, waiting: dict[int, _Signed]) -> None:
    """Compare the certificate that a block brings with its header; headers up to there need no other one."""
    certified = waiting.get(record.certified_height)
    if certified is None:
        report.problems.append(
            f"{LOG_NAME}: block {record.height} brings a certificate of height {record.certified_height}, where one was brought before, or "
            "there is none"
        )
        return
    _check_one_certificate(report, *certified, record.certificate, LOG_NAME)
    for height in [height for height in waiting if height <= record.certified_height]:
        del waiting[height]


def _compare_block(report: CheckReport, decided: Decided, db: StateDb, signers: Signers) -> None:
    header, height, results = decided.header, decided.header.height, result_entries(decided)
    if height <= db.joined_height:
        return
    try:
        stored = decode_header(db.load_header(height) or b"")
        if stored != header:
            wrong = [name for name, value in vars(header).items() if value != getattr(stored, name)]
            report.problems.append(f"{DB_NAME}: header {height} differs from the replayed one in {', '.join(wrong)}")
        certificate = db.load_certificate(height) or []
        if certificate or not db.origin.has_consensus:
            _check_one_certificate(report, stored, signers, certificate, DB_NAME)
        if db.load_results(height) != encode_results(results):
            report.problems.append(f"{DB_NAME}: results of block {height} differ from the replayed ones")
        for entry in results:
            if entry.id and db.indexes.find_transaction(entry.id) is None:
                report.problems.append(f"{DB_NAME}: transaction {entry.id.hex()} of block {height} is not indexed")
    except GridError as error:
        report.problems.append(f"{DB_NAME}: block {height}: {error}")


def _check_one_certificate(
    report: CheckReport, header: Header, signers: Signers, certificate: Certificate, where: str
) -> None:
    try:
        check_certificate(header, certificate, signers)
    except GridError as error:
        report.problems.append(f"{where}: {error}")


def _compare_tables(report: CheckReport, derived: StateDb, db: StateDb) -> None:
    """Leaves, keys and tiles, once the replay has come to where the database stands."""
    if derived.height() != db.height():
        return
    try:
        for expected, found in zip_longest(derived.leaves.each(), db.leaves.each()):
            if not _is_same(expected, found):
                what = "their number differs" if expected is None or found is None else f"the first is {expected[1]}"
                report.problems.append(f"{DB_NAME}: leaves differ from the replayed state; {what}")
                break
        db.leaves.check_keys()
        for digest, body in derived.leaves.bodies():
            if db.leaves.load_bodies([digest]).get(digest) != body:
                report.problems.append(f"{DB_NAME}: registry row {digest.hex()} differs from the replayed one")
        for code, number in derived.leaves.meters.each():
            if number not in db.leaves.meters.numbers(code):
                report.problems.append(f"{DB_NAME}: installation {number} is not indexed by the code of its meter")
        _compare_tiles(report, "state", derived.leaves.tiles, db.leaves.tiles)
        _compare_tiles(report, "headers", derived.history, db.history)
    except GridError as error:
        report.problems.append(str(error))


def _is_same(expected: _Leaf | None, found: _Leaf | None) -> bool:
    """Whether a leaf is the derived one; of one that was pruned the tiles have the digest, which is compared with them."""
    if expected is None or found is None or found[2] is not None:
        return expected == found
    return expected[:2] == found[:2]


def _compare_tiles(report: CheckReport, tree: str, derived: TileTable, found: TileTable) -> None:
    for tile, digests in derived.each():
        if found.load_tile(tile) != digests:
            report.problems.append(
                f"{DB_NAME}: tile {tile.level}/{tile.number} of the {tree} differs from the replayed one"
            )


def _judge_tail(report: CheckReport, damage: StoreError | None, guard: Guard | None) -> None:
    if damage is None:
        return
    if guard is not None and report.height >= guard.height:
        report.notes.append(f"{damage}: a block that was never signed; it is cut at the next start")
    else:
        report.problems.append(str(damage))


def _judge_guard(report: CheckReport, guard: Guard | None, *, is_of_consortium: bool) -> None:
    """A node alone signs every block, so its guard stands at the last one. A validator signs what it is asked for, and gets lost blocks from others."""
    if guard is None or report.height - 1 <= guard.height <= report.height:
        return
    stands = f"{GUARD_NAME}: stands at block {guard.height}, {LOG_NAME} ends with block {report.height}"
    if not is_of_consortium:
        report.problems.append(stands)
    elif guard.height > report.height:
        report.notes.append(
            f"{stands}; the node signs nothing until the other validators have given it the blocks between"
        )


def _judge_end_of_db(report: CheckReport, db: StateDb | None) -> None:
    if db is not None and db.height() > report.height:
        report.problems.append(f"{DB_NAME}: has block {db.height()}, {LOG_NAME} ends with block {report.height}")
    elif db is not None and db.height() < report.height:
        report.notes.append(
            f"{DB_NAME}: stands at block {db.height()} of {report.height}; the next start replays the rest"
        )


def _open_guard(path: Path, report: CheckReport) -> Guard | None:
    try:
        return Guard.open(path, Files())
    except StoreError as error:
        report.problems.append(str(error))
        return None


def _open_db(data_dir: Path, genesis_digest: bytes, report: CheckReport) -> StateDb | None:
    if not (data_dir / DB_NAME).exists():
        report.notes.append(f"{DB_NAME}: missing; the next start makes it again from {LOG_NAME}")
        return None
    try:
        return StateDb.open(data_dir / DB_NAME, genesis_digest)
    except OlderDatabaseError as error:
        report.notes.append(f"{error}; the next start makes it again from {LOG_NAME}")
        return None
    except StoreError as error:
        report.problems.append(str(error))
        return None
