"""A ledger that ends at any step, with whatever a crash leaves of its files, goes on as if nothing had happened."""

from __future__ import annotations

import errno
import resource
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from gridcore.errors import UsageError
from gridcore.header import check_certificate, check_receipt, decode_receipt
from gridcore.sm import SigningKey
from ledger.leaves.delivery import DELIVERY
from ledger.store import opening
from ledger.store.check import check_ledger
from ledger.store.directory import init_ledger
from ledger.store.errors import GuardError, StoreError, StoreWriteError
from ledger.store.files import Files
from ledger.store.guard import Guard
from ledger.store.ledger import Ledger
from settlement.catalogue import CONTRACTS
from tests.worlds.clocks import ManualClock
from tests.worlds.faults import CountingFiles, Crash, CrashingFiles, FullDisk, PowerCut, UnsyncedFiles
from tests.worlds.feeders import FEEDERS, ON_BLOCK_TIME, START_S, batches, clock_advance
from tests.worlds.keys import key
from tests.worlds.ledgers import decide, open_ledger
from tests.worlds.transactions import transaction_id

BLOCKS = [
    [clock_advance(START_S + 10), *batches("gw-1", 2)],
    [batches("gw-1", 3)[2], *batches("gw-2", 1)],
    [clock_advance(START_S + 20)],
]
SIGNERS = [(key("operator").public_key, 1)]


@pytest.fixture(scope="module")
def calm_root(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The state root that the blocks lead to when nothing fails."""
    ledger = open_ledger(tmp_path_factory.mktemp("calm"))
    for wires in BLOCKS:
        assert set(decide(ledger, wires)) == {0}
    root = ledger.state_root()
    ledger.close()
    return root


def go_on(ledger: Ledger) -> None:
    """Do what submitters do: send again what they have no receipt for."""
    for wires in BLOCKS:
        missing = [wire for wire in wires if ledger.find_applied(transaction_id(wire)) is None]
        if missing:
            assert set(decide(ledger, missing)) == {0}


def check_all(ledger: Ledger, root: bytes) -> None:
    assert ledger.state_root() == root
    for height in range(1, ledger.height + 1):
        header = ledger.header(height)
        assert (header.previous, header.digest()) == (ledger.digest(height - 1), ledger.digest(height))
        check_certificate(header, ledger.certificate(height), SIGNERS)
    for wire in {wire for wires in BLOCKS for wire in wires}:
        receipt = decode_receipt(ledger.receipt(transaction_id(wire)) or b"")
        assert receipt.code == 0
        check_receipt(receipt, chain=FEEDERS.chain, digest=receipt.digest, signers=SIGNERS)
    applied = [
        entry.id for height in range(1, ledger.height + 1) for entry in ledger.results(height) if entry.code == 0
    ]
    assert len(applied) == len(set(applied)) == sum(map(len, BLOCKS))


def run_until_crash(data_dir: Path, files: Files) -> tuple[bool, dict[bytes, bytes]]:
    """Make the blocks until the crash; returns whether it came, and the receipts that were handed out before it."""
    receipts: dict[bytes, bytes] = {}
    try:
        ledger = open_ledger(data_dir, files=files)
    except Crash:
        return True, receipts
    try:
        for wires in BLOCKS:
            decide(ledger, wires)
            for wire in wires:
                receipts[transaction_id(wire)] = ledger.receipt(transaction_id(wire)) or b""
    except Crash:
        return True, receipts
    finally:
        ledger.close()
    return False, receipts


def keep_db(data_dir: Path) -> None:
    """The database as the crash left it."""


def remove_db(data_dir: Path) -> None:
    for path in data_dir.glob("state.db*"):
        path.unlink()


@cache
def first_db() -> bytes:
    """The database of the test chain before its first block."""
    with TemporaryDirectory() as folder:
        open_ledger(Path(folder)).close()
        return (Path(folder) / "state.db").read_bytes()


def empty_db(data_dir: Path) -> None:
    """The database as it was before the first block: an older copy, or a power cut with synchronous = NORMAL."""
    remove_db(data_dir)
    (data_dir / "state.db").write_bytes(first_db())


def overwrite_db(data_dir: Path) -> None:
    remove_db(data_dir)
    (data_dir / "state.db").write_bytes(b"no database at all" * 500)


def truncate_db(data_dir: Path) -> None:
    path = data_dir / "state.db"
    if path.exists():
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("spoil_db", [keep_db, remove_db, empty_db, overwrite_db, truncate_db])
def test_after_a_crash_at_any_step_nothing_acknowledged_is_lost_and_nothing_applied_twice(
    tmp_path: Path, calm_root: bytes, spoil_db: Callable[[Path], None]
) -> None:
    crashed, step = True, 0
    while crashed:
        data_dir = tmp_path / str(step)
        crashed, receipts = run_until_crash(data_dir, CrashingFiles(step))
        if crashed:
            spoil_db(data_dir)
        ledger = open_ledger(data_dir)
        for transaction, receipt in receipts.items():
            assert ledger.receipt(transaction) == receipt, "a receipt once given stays what it is"
        go_on(ledger)
        check_all(ledger, calm_root)
        ledger.close()
        step += 1 if spoil_db is keep_db else 5
    assert step > 30
    assert check_ledger(data_dir, CONTRACTS).problems == []


@pytest.mark.parametrize("spoil_db", [keep_db, empty_db])
def test_after_a_power_cut_at_any_step_every_acknowledged_block_is_there_with_the_same_header(
    tmp_path: Path, calm_root: bytes, spoil_db: Callable[[Path], None]
) -> None:
    crashed, step = True, 0
    while crashed:
        data_dir = tmp_path / str(step)
        init_ledger(data_dir, FEEDERS.genesis_file, UnsyncedFiles())
        files = PowerCut(data_dir, step)
        crashed, receipts = run_until_crash(data_dir, files)
        if crashed:
            files.cut()
            spoil_db(data_dir)
        ledger = open_ledger(data_dir)
        for transaction, before in receipts.items():
            after = decode_receipt(ledger.receipt(transaction) or b"")
            # A signature that was not yet on the disk is made again, over the same header.
            assert replace(after, certificate=[]) == replace(decode_receipt(before), certificate=[])
        go_on(ledger)
        check_all(ledger, calm_root)
        ledger.close()
        step += 1 if spoil_db is empty_db else 3
    assert step > 30


def test_a_crash_at_any_step_of_the_start_after_a_crash_changes_nothing_either(
    tmp_path: Path, calm_root: bytes
) -> None:
    for point in ("block_logged", "block_signed"):
        files = CountingFiles()
        run_until_crash(tmp_path / "count", files)
        shutil.rmtree(tmp_path / "count")
        first_crash = files.steps.index(point, files.steps.index(point) + 1)
        crashed_again, step = True, 0
        while crashed_again:
            data_dir = tmp_path / f"{point}-{step}"
            assert run_until_crash(data_dir, CrashingFiles(first_crash))[0]
            try:
                open_ledger(data_dir, files=CrashingFiles(step)).close()
                crashed_again = False
            except Crash:
                pass
            ledger = open_ledger(data_dir)
            assert ledger.height == 2, "the block that was on the disk is certified by the start"
            go_on(ledger)
            check_all(ledger, calm_root)
            ledger.close()
            step += 1


def test_three_syncs_make_a_block_durable(tmp_path: Path) -> None:
    files = CountingFiles()
    ledger = open_ledger(tmp_path, files=files)
    files.steps.clear()
    decide(ledger, BLOCKS[0])
    ledger.close()
    assert [step for step in files.steps if "sync" in step] == ["sync", "sync", "sync"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_full_disk_at_any_step_acknowledges_nothing_and_goes_on_when_there_is_space(
    tmp_path: Path, calm_root: bytes, number: int
) -> None:
    step, failed = 0, True
    while failed:
        files = FullDisk(number)
        ledger = open_ledger(tmp_path / str(step), files=files)
        decide(ledger, BLOCKS[0])
        files.fail_from = len(files.steps) + step
        failed = False
        try:
            decide(ledger, BLOCKS[1])
        except StoreWriteError:
            failed = True
            assert ledger.height == 1
            assert ledger.receipt(transaction_id(BLOCKS[1][0])) is None
            assert ledger.header(1).height == 1, "questions are answered meanwhile"
            with pytest.raises(StoreWriteError):
                decide(ledger, BLOCKS[2])
        files.heal()
        ledger.finish()
        go_on(ledger)
        check_all(ledger, calm_root)
        ledger.close()
        reopened = open_ledger(tmp_path / str(step))
        check_all(reopened, calm_root)
        reopened.close()
        step += 1
    assert step > 8


def test_a_database_that_is_full_keeps_the_block_for_later(
    tmp_path: Path, calm_root: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = open_ledger(tmp_path)
    decide(ledger, BLOCKS[0])
    with monkeypatch.context() as patch:

        def refuse(*_: object) -> None:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error

        patch.setattr(ledger._db, "save_block", refuse)
        with pytest.raises(StoreWriteError, match="database or disk is full"):
            decide(ledger, BLOCKS[1])
        proof = ledger.leaf_proof(DELIVERY.key("gw-1"))
        assert proof is not None
        assert proof.header == ledger.header(1), "what can be proved is the newest certified state"
    ledger.finish()
    assert ledger.height == 2
    go_on(ledger)
    check_all(ledger, calm_root)
    ledger.close()


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A data directory with the three blocks, closed."""
    ledger = open_ledger(tmp_path)
    go_on(ledger)
    ledger.close()
    return tmp_path


def cut_log(data_dir: Path, height: int) -> None:
    """Cut blocks.log so that it ends with ``height``."""
    ledger = open_ledger(data_dir)
    offset = ledger._db.log_offset(height + 1)
    ledger.close()
    path = data_dir / "blocks.log"
    path.write_bytes(path.read_bytes()[:offset])


@pytest.mark.parametrize("with_db", [True, False])
def test_a_log_cut_below_the_guard_refuses_to_start_and_names_both_heights(filled: Path, with_db: bool) -> None:
    cut_log(filled, 1)
    if not with_db:
        remove_db(filled)
    before = {path.name: path.read_bytes() for path in filled.glob("*") if not path.name.startswith("state")}
    with pytest.raises(
        StoreError, match=r"ends with block 1, but this node has signed block 3 \(file guard\).*put back"
    ):
        open_ledger(filled)
    assert {path.name: path.read_bytes() for path in filled.glob("*") if not path.name.startswith("state")} == before


def test_a_bit_flipped_in_the_last_signed_block_refuses_to_start(filled: Path) -> None:
    path = filled / "blocks.log"
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(
        StoreError, match=r"blocks.log: block 3 at byte \d+ is damaged.*last whole block before it is 2.*signed block 3"
    ):
        open_ledger(filled)


def test_an_older_guard_refuses_to_start(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    open_ledger(other).close()
    shutil.copy(other / "guard", filled / "guard")
    for _ in range(2):
        with pytest.raises(StoreError, match=r"guard: stands at block 0, but .* block 3"):
            open_ledger(filled)
        remove_db(filled)


def test_another_history_of_the_same_height_refuses_to_start(
    filled: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    ledger = open_ledger(other)
    for number in range(3):
        decide(ledger, [clock_advance(START_S + 1 + number)])
    ledger.close()
    for name in ("blocks.log", "state.db"):
        shutil.copy(other / name, filled / name)
    with pytest.raises(StoreError, match=r"block 3 of blocks.log leads to header .* has signed another one"):
        open_ledger(filled)


def test_two_histories_are_never_both_signed(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    ledger = open_ledger(other)
    shutil.copy(filled / "guard", other / "guard")
    ledger._certifier.guard = Guard.open(other / "guard", Files())
    with pytest.raises(GuardError, match=r"of height 1, this node has signed .* of height 3"):
        decide(ledger, BLOCKS[2])
    ledger.close()


def test_a_missing_guard_refuses_to_start(filled: Path) -> None:
    (filled / "guard").unlink()
    with pytest.raises(StoreError, match="guard: missing, so it is not known"):
        Ledger.open(filled, CONTRACTS, key("operator"), ManualClock(START_S))


def test_a_leaf_changed_on_the_disk_is_never_served(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "CHECKED_LEAVES_MAX", 0)
    connection = sqlite3.connect(filled / "state.db")
    connection.execute("UPDATE leaves SET leaf = x'00' WHERE key = 'delivery/gw-1'")
    connection.commit()
    connection.close()
    ledger = open_ledger(filled)
    with pytest.raises(StoreError, match=r"leaf delivery/gw-1 is damaged. Stop the node and remove state.db"):
        ledger.get(DELIVERY.key("gw-1"))
    ledger.close()
    assert any("the first is delivery/gw-1" in line for line in check_ledger(filled, CONTRACTS).problems)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE state_tiles SET digests = zeroblob(32) WHERE tile = 0",
        "UPDATE history_tiles SET digests = zeroblob(32) WHERE tile = 0",
        "UPDATE leaves SET key = 'protocom' WHERE key = 'protocol'",
        "UPDATE leaves SET leaf = CAST(leaf || x'00' AS BLOB) WHERE key = 'delivery/gw-1'",
        "DELETE FROM leaves WHERE key = 'protocol'",
        "DELETE FROM blocks WHERE height = 2",
        "UPDATE blocks SET certificate = x'80' WHERE height = 3",
        "UPDATE blocks SET header = x'80' WHERE height = 3",
        "PRAGMA user_version = 99",
        "UPDATE origin SET genesis = zeroblob(32)",
        "DROP TABLE leaves",
    ],
)
def test_a_database_that_does_not_fit_is_made_again(
    filled: Path, calm_root: bytes, statement: str, capsys: pytest.CaptureFixture[str]
) -> None:
    connection = sqlite3.connect(filled / "state.db")
    connection.execute(statement)
    connection.commit()
    connection.close()
    assert check_ledger(filled, CONTRACTS).problems != []
    ledger = open_ledger(filled)
    check_all(ledger, calm_root)
    ledger.close()
    assert "state_db_rebuilt" in "".join(capsys.readouterr())
    assert check_ledger(filled, CONTRACTS).problems == []


def test_a_second_node_on_the_directory_is_refused_in_one_line(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    with pytest.raises(UsageError, match=r"in use by another node") as caught:
        Ledger.open(tmp_path, CONTRACTS, key("operator"), ManualClock(START_S))
    assert "\n" not in str(caught.value)
    ledger.close()
    open_ledger(tmp_path).close()


def test_another_genesis_is_refused_in_one_line(filled: Path) -> None:
    other = replace(FEEDERS, name="other").genesis_file
    with pytest.raises(UsageError, match=r"genesis.cbor: of chain test\w+, not other\w+"):
        Ledger.open(filled, CONTRACTS, key("operator"), ManualClock(START_S), genesis=other)
    with pytest.raises(UsageError, match=r"genesis.cbor: of chain test\w+, not other\w+"):
        init_ledger(filled, other)


def test_a_directory_with_other_files_is_not_made_a_ledger(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("hello")
    with pytest.raises(UsageError, match="not empty"):
        init_ledger(tmp_path, FEEDERS.genesis_file)


def test_a_directory_without_a_ledger_says_how_to_make_one(tmp_path: Path) -> None:
    for data_dir in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UsageError, match=r"make .* with: gridledger node init"):
            Ledger.open(data_dir, CONTRACTS, key("operator"), ManualClock(START_S))


def test_a_crash_at_any_step_of_the_making_of_a_directory_is_mended_by_making_it_again(tmp_path: Path) -> None:
    step, crashed = 0, True
    while crashed:
        data_dir = tmp_path / str(step)
        crashed = False
        try:
            init_ledger(data_dir, FEEDERS.genesis_file, CrashingFiles(step))
        except Crash:
            crashed = True
        open_ledger(data_dir).close()
        step += 1
    assert step == 9


def test_a_key_without_the_power_to_certify_is_refused(filled: Path) -> None:
    with pytest.raises(UsageError, match="the validators give it no power to certify block 4 alone"):
        Ledger.open(filled, CONTRACTS, SigningKey.generate(), ManualClock(START_S))


def test_a_missing_contract_is_refused(filled: Path) -> None:
    with pytest.raises(UsageError, match="zone/z-1 names contract 'p2p_call_auction/1'; this node has none"):
        Ledger.open(filled, {}, key("operator"), ManualClock(START_S))


def test_block_time_follows_a_clock_that_was_put_right_but_never_before_ledger_time(tmp_path: Path) -> None:
    times_s = []
    for clock_s in (START_S + 500, START_S + 200, START_S + 5_000, START_S + 600):
        with closing(open_ledger(tmp_path, ON_BLOCK_TIME, clock=ManualClock(clock_s))) as ledger:
            ledger.make_block([])
            times_s.append(ledger.header(ledger.height).time_s - START_S)
    assert times_s == [500, 500, 5_000, 600]


@contextmanager
def without_descriptors() -> Iterator[None]:
    """Nothing can be opened meanwhile; what is open stays so."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            Path("/dev/null").read_bytes()
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_process_without_descriptors_goes_on_making_blocks(tmp_path: Path) -> None:
    with closing(open_ledger(tmp_path)) as ledger, without_descriptors():
        for wires in BLOCKS:
            assert set(decide(ledger, wires)) == {0}
    assert check_ledger(tmp_path, CONTRACTS).height == len(BLOCKS)
