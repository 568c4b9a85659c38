"""A consortium's node that ends at any step of voting, applying and keeping, or whose disk refuses any of them, goes on as if nothing had been."""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gridcore.header import check_certificate
from ledger.engines.cometbft import abci_pb2 as abci
from ledger.engines.cometbft.machine import Machine
from ledger.engines.cometbft.payloads import decode_vote
from ledger.store.consortium import ConsortiumLedger
from ledger.store.errors import StoreWriteError
from ledger.store.files import Files
from tests.worlds.faults import CountingFiles, Crash, CrashingFiles, FullDisk, PowerCut, UnsyncedFiles
from tests.worlds.feeders import START_S, batches, clock_advance
from tests.worlds.validators import open_consortium

WAITING = [[clock_advance(START_S + 10)], batches("gw-1", 2), [], [clock_advance(START_S + 20)], []]


@dataclass
class Engine:
    """What the engine of one validator keeps. decided: blocks, by height from 1; extension: the last one that was voted.

    signed: the headers of each height for which there ever was an extension.
    """

    decided: list[list[bytes]] = field(default_factory=list)
    extension: bytes = b""
    signed: dict[int, set[bytes]] = field(default_factory=dict)

    def run(self, ledger: ConsortiumLedger) -> None:
        """Give the machine what it lacks, then decide the heights that are left."""
        machine = Machine(ledger)
        for height in range(machine.info(abci.InfoRequest()).last_block_height + 1, len(WAITING) + 1):
            if height > len(self.decided):
                self._decide(machine, height)
            time = abci.Time(seconds=START_S + height)
            machine.finalize_block(abci.FinalizeBlockRequest(txs=self.decided[height - 1], height=height, time=time))
            machine.commit(abci.CommitRequest())

    def _decide(self, machine: Machine, height: int) -> None:
        vote = abci.ExtendedVoteInfo(vote_extension=self.extension, block_id_flag=abci.BLOCK_ID_FLAG_COMMIT)
        request = abci.PrepareProposalRequest(
            max_tx_bytes=1 << 20,
            txs=WAITING[height - 1],
            local_last_commit=abci.ExtendedCommitInfo(votes=[vote]),
            height=height,
            time=abci.Time(seconds=START_S + height),
        )
        proposed = list(machine.prepare_proposal(request).txs)
        self.extension = machine.extend_vote(abci.ExtendVoteRequest(height=height)).vote_extension
        if (found := decode_vote(self.extension)) is not None:
            self.signed.setdefault(found.height, set()).add(found.digest)
        self.decided.append(proposed)


def outcome(folder: Path, engine: Engine) -> tuple[bytes, int]:
    """State root and certified height once all heights are there; what was signed and certified holds."""
    with closing(open_consortium(folder)) as ledger:
        engine.run(ledger)
        assert ledger.height == len(WAITING)
        for height in range(1, ledger.height + 1):
            if certificate := ledger.certificate(height):
                check_certificate(ledger.header(height), certificate, ledger.signers_of(height))
        for height, digests in engine.signed.items():
            assert digests == {ledger.digest(height)}
        return ledger.state_root(), ledger.certified_height


def run_until_crash(folder: Path, engine: Engine, files: Files) -> bool:
    """Whether the crash came."""
    try:
        ledger = open_consortium(folder, files=files)
    except Crash:
        return True
    try:
        engine.run(ledger)
    except Crash:
        return True
    finally:
        ledger.close()
    return False


def keep_db(folder: Path) -> None:
    """The database as the crash left it."""


def remove_db(folder: Path) -> None:
    for path in folder.glob("state.db*"):
        path.unlink()


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, int]:
    """What comes out where nothing fails."""
    root, certified_height = outcome(tmp_path_factory.mktemp("calm"), Engine())
    assert certified_height == len(WAITING) - 2
    return root, certified_height


@pytest.mark.parametrize("spoil_db", [keep_db, remove_db])
def test_after_a_crash_at_any_step_the_engines_blocks_lead_to_the_same_state(
    tmp_path: Path, calm: tuple[bytes, int], spoil_db: Callable[[Path], None]
) -> None:
    crashed, step = True, 0
    while crashed:
        folder, engine = tmp_path / str(step), Engine()
        crashed = run_until_crash(folder, engine, CrashingFiles(step))
        spoil_db(folder)
        assert outcome(folder, engine) == calm, f"step {step}"
        step += 1
    assert step > 40


def test_after_a_power_cut_at_any_step_the_engines_blocks_lead_to_the_same_state(
    tmp_path: Path, calm: tuple[bytes, int]
) -> None:
    crashed, step = True, 0
    while crashed:
        folder, engine = tmp_path / str(step), Engine()
        open_consortium(folder).close()
        files = PowerCut(folder, step)
        crashed = run_until_crash(folder, engine, files)
        if crashed:
            files.cut()
            remove_db(folder)
        assert outcome(folder, engine) == calm, f"step {step}"
        step += 1
    assert step > 40


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_refuses_any_step_of_a_commit_is_asked_again_until_it_takes_the_block(
    tmp_path: Path, calm: tuple[bytes, int], number: int
) -> None:
    refused = 0
    for step in range(6):
        folder, files, engine = tmp_path / str(step), FullDisk(number), Engine()
        with closing(open_consortium(folder, files=files)) as ledger:
            refused += refuse_commits(ledger, files, engine, step)
        assert outcome(folder, engine) == calm, f"step {step}"
    assert refused >= 2 * len(WAITING)


def refuse_commits(ledger: ConsortiumLedger, files: FullDisk, engine: Engine, step: int) -> int:
    """Run all heights; the disk refuses the ``step``-th step of each commit once. How often it did."""
    real, refused = Machine.commit, 0

    def commit(machine: Machine, request: abci.CommitRequest) -> abci.CommitResponse:
        nonlocal refused
        files.fail_from = len(files.steps) + step
        try:
            return real(machine, request)
        except StoreWriteError:
            refused += 1
        finally:
            files.heal()
        return real(machine, request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Machine, "commit", commit)
        engine.run(ledger)
    return refused


@pytest.mark.parametrize("step", range(8))
def test_a_disk_that_refuses_the_guards_promise_gives_an_empty_vote_and_no_signature(tmp_path: Path, step: int) -> None:
    files = FullDisk()
    with closing(open_consortium(tmp_path / "node", files=files)) as ledger:
        machine = Machine(ledger)
        time = abci.Time(seconds=START_S + 1)
        machine.finalize_block(abci.FinalizeBlockRequest(txs=[b""], height=1, time=time))
        machine.commit(abci.CommitRequest())
        files.fail_from = len(files.steps) + step
        refused = decode_vote(machine.extend_vote(abci.ExtendVoteRequest(height=2)).vote_extension)
        files.heal()
        again = decode_vote(machine.extend_vote(abci.ExtendVoteRequest(height=2)).vote_extension)
        assert again is not None
        assert again.digest == ledger.digest(1)
        assert refused in (None, again)


def test_the_steps_of_a_height_are_the_points_that_its_crash_table_names(tmp_path: Path) -> None:
    files, engine = CountingFiles(), Engine()
    with closing(open_consortium(tmp_path / "node", files=files)) as ledger:
        engine.run(ledger)
    assert {"block_applied", "block_logged", "block_saved", "block_guarded", "block_signed"} <= set(files.steps)


def test_a_ledger_that_nothing_happened_to_opens_as_it_was(tmp_path: Path, calm: tuple[bytes, int]) -> None:
    engine = Engine()
    assert outcome(tmp_path, engine) == calm
    with closing(open_consortium(tmp_path, files=UnsyncedFiles())) as ledger:
        assert (ledger.state_root(), ledger.certified_height) == calm
