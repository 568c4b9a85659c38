"""Protocol versions: a planted version 3 begins at its height, old blocks keep their rules, and who lacks it signs nothing more."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from gridcore.codes import Code
from gridcore.envelope import Transaction
from gridcore.genesis import Activation
from gridcore.transactions.clock_advance import ClockAdvance
from ledger.engines.embedded import EmbeddedEngine
from ledger.kinds.kind import Kind
from ledger.kinds.table import KINDS
from ledger.leaves.protocol import ProtocolLeaf
from ledger.protocol import VERSIONS, ProtocolError, rules_at
from ledger.replay import replay_in_memory
from ledger.signatures import SignatureChecker
from ledger.state.block import Block
from ledger.state.draft import Draft
from ledger.state.protocol_rules import ProtocolRules
from ledger.store.directory import init_ledger
from ledger.store.ledger import Ledger
from settlement.catalogue import CONTRACTS
from tests.worlds.clocks import ManualClock
from tests.worlds.faults import UnsyncedFiles
from tests.worlds.feeders import FEEDERS, START_S
from tests.worlds.keys import key
from tests.worlds.ledgers import decide

HEIGHT = 3
"""Where version 3 begins."""
PROTOCOL = (Activation(2, 0), Activation(3, HEIGHT))
GENESIS = replace(FEEDERS.genesis, protocol=PROTOCOL)
STEP_S = 60


def advance_by_minutes(draft: Draft, transaction: Transaction, content: ClockAdvance) -> Code:
    """Version 3 as this test plants it: the clock moves to whole minutes alone."""
    if content.to_s % STEP_S:
        return Code.CLOCK_NOT_AHEAD
    return KINDS[ClockAdvance.kind].apply(draft, transaction, content)


PLANTED: Mapping[int, ProtocolRules] = {
    **VERSIONS,
    3: VERSIONS[2]._replace(kinds={**KINDS, ClockAdvance.kind: Kind("clock", ClockAdvance, advance_by_minutes)}),
}


def steps(*to_s: int) -> list[bytes]:
    """One step of the clock each."""
    sender = replace(FEEDERS.sender(), chain=GENESIS.chain)
    return [sender.clock(each, valid_until_s=START_S + 3_000) for each in to_s]


ODD = steps(START_S + 1, START_S + 2, START_S + 3, START_S + 4)


def open_node(data_dir: Path, versions: Mapping[int, ProtocolRules]) -> Ledger:
    init_ledger(data_dir, GENESIS.encode(), UnsyncedFiles())
    clock, files = ManualClock(START_S), UnsyncedFiles()
    return Ledger.open(data_dir, CONTRACTS, key("operator"), clock, files=files, versions=versions)


def test_the_last_version_whose_height_has_come_rules() -> None:
    leaf = ProtocolLeaf(PROTOCOL)
    assert [leaf.version_at(height) for height in range(6)] == [2, 2, 2, 3, 3, 3]
    assert rules_at(PLANTED, leaf, HEIGHT) is PLANTED[3]
    with pytest.raises(ProtocolError, match="block 3: this chain follows protocol version 3 from here on"):
        rules_at(VERSIONS, leaf, HEIGHT)


def test_old_blocks_replay_by_old_rules_and_new_ones_by_new() -> None:
    checker = SignatureChecker(threads=1)
    with closing(checker):
        replay = replay_in_memory(GENESIS, CONTRACTS, checker, PLANTED)
        decided = [replay.advance(Block(height, START_S, (wire,))) for height, wire in enumerate(ODD, 1)]
        codes = [block.results[0].code for block in decided]
        assert codes == [Code.ACCEPTED, Code.ACCEPTED, Code.CLOCK_NOT_AHEAD, Code.CLOCK_NOT_AHEAD]
        assert [block.header.protocol_version for block in decided] == [2, 2, 3, 3]
        again = replay_in_memory(GENESIS, CONTRACTS, checker, PLANTED)
        digests = [again.advance(Block(height, START_S, (wire,))).digest for height, wire in enumerate(ODD, 1)]
        assert digests == [block.digest for block in decided]


def test_a_node_without_the_version_stops_at_its_height_before_it_signs(tmp_path: Path) -> None:
    with closing(open_node(tmp_path, VERSIONS)) as ledger:
        for wire in ODD[: HEIGHT - 1]:
            assert decide(ledger, [wire]) == [0]
        with pytest.raises(ProtocolError) as raised:
            ledger.make_block([])
        assert "\n" not in str(raised.value)
        with pytest.raises(ProtocolError):
            ledger.examine([ODD[2]])
        assert (ledger.height, ledger._certifier.guard.height) == (HEIGHT - 1, HEIGHT - 1)
    log = (tmp_path / "blocks.log").read_bytes()
    with pytest.raises(ProtocolError, match="install a release that knows it"):
        open_node(tmp_path, VERSIONS)
    assert (tmp_path / "blocks.log").read_bytes() == log
    with closing(open_node(tmp_path, PLANTED)) as ledger:
        assert decide(ledger, [ODD[2]]) == [Code.CLOCK_NOT_AHEAD]
        assert ledger.header(HEIGHT).protocol_version == 3


async def test_an_engine_halts_as_soon_as_the_next_block_needs_another_version(tmp_path: Path) -> None:
    with closing(open_node(tmp_path, VERSIONS)) as ledger:
        async with EmbeddedEngine(ledger) as engine:
            for wire in ODD[: HEIGHT - 1]:
                await engine.submit([wire])
            with pytest.raises(ProtocolError, match="protocol version 3"):
                await asyncio.wait_for(engine.wait_stopped(), 5)
