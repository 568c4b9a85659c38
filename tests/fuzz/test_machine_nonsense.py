"""Spoilt proposals, blocks, votes and transactions: the machine refuses or ignores them, and raises nothing."""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from ledger.engines.cometbft import abci_pb2 as abci
from ledger.engines.cometbft.machine import Machine
from tests.fuzz.mutants import mutants
from tests.worlds.feeders import START_S, batches, clock_advance
from tests.worlds.validators import open_consortium

MUTANTS, MUTANTS_LONG = 150, 2_000
BLOCKS = 4


@contextmanager
def running() -> Iterator[tuple[Machine, abci.PrepareProposalResponse, bytes]]:
    """A machine after a few blocks, what it proposes for the next one, and its last vote extension."""
    with TemporaryDirectory() as folder, closing(open_consortium(Path(folder) / "node")) as ledger:
        machine, extension = Machine(ledger), b""
        waiting = [
            [clock_advance(START_S + 10)],
            batches("gw-1", 2),
            [],
            [clock_advance(START_S + 20)],
            batches("gw-1", 3)[2:],
        ]
        for height, wires in enumerate(waiting, 1):
            vote = abci.ExtendedVoteInfo(vote_extension=extension, block_id_flag=abci.BLOCK_ID_FLAG_COMMIT)
            request = abci.PrepareProposalRequest(
                max_tx_bytes=1 << 20,
                txs=wires,
                local_last_commit=abci.ExtendedCommitInfo(votes=[vote]),
                height=height,
                time=abci.Time(seconds=START_S + height),
            )
            proposed = machine.prepare_proposal(request)
            if height > BLOCKS:
                yield machine, proposed, extension
                return
            extension = machine.extend_vote(abci.ExtendVoteRequest(height=height)).vote_extension
            time = abci.Time(seconds=START_S + height)
            machine.finalize_block(abci.FinalizeBlockRequest(txs=proposed.txs, height=height, time=time))
            machine.commit(abci.CommitRequest())


def spoil(machine: Machine, proposed: abci.PrepareProposalResponse, extension: bytes, seed: int, count: int) -> None:
    """Give the machine everything that can be made of a proposal and an extension by changing a few bytes."""
    rng, height, time = random.Random(seed), BLOCKS + 1, abci.Time(seconds=START_S + BLOCKS + 1)
    process = abci.ProcessProposalResponse
    for mutant in mutants([*proposed.txs, extension], seed, count):
        place = rng.randrange(len(proposed.txs) + 1)
        wires = [*proposed.txs[:place], mutant, *proposed.txs[place + rng.randrange(2) :]]
        status = machine.process_proposal(abci.ProcessProposalRequest(txs=wires, height=height, time=time)).status
        assert status in (process.ACCEPT, process.REJECT)
        answer = machine.finalize_block(abci.FinalizeBlockRequest(txs=wires, height=height, time=time))
        assert len(answer.tx_results) == len(wires)
        verify = abci.VerifyVoteExtensionRequest(vote_extension=mutant, height=height, validator_address=mutant[:20])
        assert machine.verify_vote_extension(verify).status in (1, 2)
        assert machine.check_tx(abci.CheckTxRequest(tx=mutant)).code >= 0
        vote = abci.ExtendedVoteInfo(vote_extension=mutant, block_id_flag=abci.BLOCK_ID_FLAG_COMMIT)
        machine.prepare_proposal(
            abci.PrepareProposalRequest(
                max_tx_bytes=1 << 20,
                txs=[mutant],
                local_last_commit=abci.ExtendedCommitInfo(votes=[vote]),
                height=height,
                time=time,
            )
        )


def test_the_proposal_of_an_honest_machine_is_accepted_and_holds_a_certificate() -> None:
    with running() as (machine, proposed, _):
        request = abci.ProcessProposalRequest(
            txs=proposed.txs, height=BLOCKS + 1, time=abci.Time(seconds=START_S + BLOCKS + 1)
        )
        assert machine.process_proposal(request).status == abci.ProcessProposalResponse.ACCEPT
        assert b"certified/1" in proposed.txs[0]
        assert len(proposed.txs[0]) > 100
        assert len(proposed.txs) == 2


def test_spoilt_bytes_are_refused_or_ignored() -> None:
    with running() as (machine, proposed, extension):
        spoil(machine, proposed, extension, 1, MUTANTS)


@pytest.mark.fuzz
def test_many_spoilt_bytes_are_refused_or_ignored() -> None:
    seed = secrets.randbits(32)
    with running() as (machine, proposed, extension):
        try:
            spoil(machine, proposed, extension, seed, MUTANTS_LONG)
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error
