"""Mistakes put into the real machine on purpose: the simulation finds each of them."""

from __future__ import annotations

import errno
import re
from dataclasses import replace
from pathlib import Path

import pytest

from gridcore.light.trusted import Step
from ledger.engines.cometbft import abci_pb2 as abci
from ledger.engines.cometbft.certificates import Certificates
from ledger.engines.cometbft.machine import Machine
from ledger.engines.cometbft.payloads import NOTHING_INJECTED
from ledger.engines.cometbft.proposals import Proposals
from ledger.leaves.balance import BalanceLeaf
from ledger.light import steps
from ledger.store import joining
from ledger.store.block_log import BlockLog
from ledger.store.reader import LedgerReader
from simulators.consensus import invariants, run
from simulators.consensus.disk import Stroke
from simulators.consensus.founding import Founding
from simulators.consensus.run import Simulation

FOUR = Founding((1, 1, 1, 1), "simulated")
SEEDS = range(11, 24)
"""What each draws changes with the simulation: about half of them bring garbage into a block, here the first one does."""
SEED_OF_A_LIAR = 4
"""A snapshot that is false is taken there before the true one."""


def found(monkeypatch: pytest.MonkeyPatch, folder: Path, *faults: str, seed: int = 1) -> str:
    """What a run of four nodes with these faults alone finds."""
    monkeypatch.setattr(run, "DRAIN_MS", 20_000)
    simulation = Simulation(seed, folder, founding=FOUR, faults=faults)
    simulation.run()
    return "\n".join(simulation.watch.violations)


def is_first(machine: Machine) -> bool:
    """Whether it is that of node 0."""
    signs = machine.ledger._certifier.key_in([(FOUR.validators[0].public_key, 1)])
    return signs is not None


def test_without_a_mistake_nothing_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert found(monkeypatch, tmp_path, "bad proposer", "power cuts") == ""


def test_a_node_that_comes_to_another_state_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = Machine.finalize_block

    def other(machine: Machine, request: abci.FinalizeBlockRequest) -> abci.FinalizeBlockResponse:
        answer = real(machine, request)
        if is_first(machine) and request.height == 5:
            answer.app_hash = bytes(32)
        return answer

    monkeypatch.setattr(Machine, "finalize_block", other)
    assert "FinalizeBlock of height 5" in found(monkeypatch, tmp_path)


def test_a_node_that_judges_proposals_otherwise_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = Machine.process_proposal

    def strict(machine: Machine, request: abci.ProcessProposalRequest) -> abci.ProcessProposalResponse:
        if is_first(machine) and request.height > 4:
            return abci.ProcessProposalResponse(status=abci.ProcessProposalResponse.REJECT)
        return real(machine, request)

    monkeypatch.setattr(Machine, "process_proposal", strict)
    assert "ProcessProposal of height 5" in found(monkeypatch, tmp_path)


def test_garbage_that_is_let_into_blocks_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Proposals, "are_acceptable", lambda *_: True)
    assert any(
        "may enter none" in found(monkeypatch, tmp_path / str(seed), "bad proposer", seed=seed) for seed in SEEDS
    )


def test_certificates_that_never_come_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Certificates, "gather", lambda *_: NOTHING_INJECTED)
    assert "not everything was decided and certified" in found(monkeypatch, tmp_path)


def test_headers_that_a_light_client_cannot_follow_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def without_paths(reader: LedgerReader, known_height: int, after_height: int) -> list[Step]:
        return [replace(step, path=()) for step in steps(reader, known_height, after_height)]

    monkeypatch.setattr(invariants, "steps", without_paths)
    assert "a light client at height 0 cannot go on" in found(monkeypatch, tmp_path)


def test_money_that_comes_from_nowhere_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = BalanceLeaf.owes_nano
    monkeypatch.setattr(BalanceLeaf, "owes_nano", lambda leaf: [*real(leaf), 1])
    assert "(I4)" in found(monkeypatch, tmp_path)


def test_a_snapshot_that_is_believed_without_a_look_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(joining._Joining, "_check_end", lambda *_: None)
    assert "has stopped" in found(monkeypatch, tmp_path, "lost disk", seed=SEED_OF_A_LIAR)


def test_a_node_that_loses_its_disk_begins_with_a_snapshot_although_one_of_the_others_lies(tmp_path: Path) -> None:
    simulation = Simulation(SEED_OF_A_LIAR, tmp_path, founding=FOUR, faults=["lost disk"])
    simulation.run()
    assert simulation.watch.violations == []
    told = "\n".join(simulation.watch.journal)
    assert "offers snapshots with other leaves" in told
    assert re.search(r"node \d takes nothing more of a snapshot from node", told)
    assert "has joined at height" in told


@pytest.fixture
def unsynced_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block log that does not wait for the disk."""
    real = BlockLog.append

    def append(log: BlockLog, record: object) -> int:
        files, sync = log._files, log._files.sync
        files.sync = lambda descriptor: None  # type: ignore[method-assign]
        try:
            return real(log, record)  # type: ignore[arg-type]
        finally:
            files.sync = sync  # type: ignore[method-assign]

    monkeypatch.setattr(BlockLog, "append", append)


def test_a_log_that_is_not_on_the_disk_before_the_database_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, unsynced_log: None
) -> None:
    assert "has stopped" in "".join(
        found(monkeypatch, tmp_path / str(seed), "power cuts", seed=seed) for seed in range(3)
    )


def test_a_disk_that_is_lost_while_it_refuses_is_replaced_by_one_that_works(tmp_path: Path) -> None:
    simulation = Simulation(1, tmp_path, founding=FOUR, faults=())
    (node, *_others) = simulation.nodes
    node.home.disk.refusal = errno.EIO
    node.home.disk.arm(Stroke(steps=0))
    node.home.lose()
    node.home.put_back(tmp_path / "no-backup")
    node.start()
    assert node.is_up
    simulation.close()
