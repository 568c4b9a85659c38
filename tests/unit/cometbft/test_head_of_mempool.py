"""What stands in front of a mempool and gets no place in a block: a proposer is given the oldest, as much as a block holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.application import Examined
from ledger.engines.cometbft.engine import CometEngine
from ledger.engines.cometbft.proposals import framed_bytes
from ledger.engines.cometbft.waiting import UNREADY_OF_SIGNER
from ledger.engines.pool import Limits
from ledger.engines.refusals import RefusalLimits
from tests.worlds.feeders import batches
from tests.worlds.lone_comet import ALONE, alone
from tests.worlds.transactions import transaction_id

GW1 = batches("gw-1", 40, consortium=ALONE)
GW2 = batches("gw-2", 3, consortium=ALONE)
OTHER_CHAIN = batches("gw-1", 40, first_register_wh=1, consortium=ALONE)
OF_ONE_COUNTER = [batches("gw-1", 1, first_register_wh=number, consortium=ALONE)[0] for number in range(40)]
BLOCK_BYTES = sum(framed_bytes(wire) for wire in GW1[:30])
NO_RECEIPTS = Limits(refused=RefusalLimits(of_signer=0))


def are_applied(engine: CometEngine, wires: list[bytes]) -> list[bool]:
    return [engine._ledger.find_applied(transaction_id(wire)) is not None for wire in wires]


@pytest.mark.parametrize(
    "in_front", [GW1[1:], GW1[:0:-1], OF_ONE_COUNTER], ids=["behind a gap", "backwards", "of one counter"]
)
async def test_batches_without_their_turn_keep_nobody_out_of_the_next_block(
    tmp_path: Path, in_front: list[bytes]
) -> None:
    async with alone(tmp_path) as (engine, comet):
        comet.block_bytes = BLOCK_BYTES
        for wire in [*in_front, *GW2]:
            comet._take(wire)
        await comet.decide()
        assert are_applied(engine, GW2) == [True] * 3


async def test_a_refusal_beyond_its_share_and_what_follows_it_keep_nobody_out_of_the_next_block(tmp_path: Path) -> None:
    async with alone(tmp_path, limits=NO_RECEIPTS) as (engine, comet):
        comet.block_bytes = BLOCK_BYTES
        comet._take(GW1[0])
        await comet.decide()
        for wire in [*OTHER_CHAIN[1:], *GW2]:
            comet._take(wire)
        await comet.decide()
        assert are_applied(engine, GW2) == [True] * 3


async def test_what_follows_a_batch_that_lost_its_place_is_gone_after_one_block(tmp_path: Path) -> None:
    async with alone(tmp_path, limits=NO_RECEIPTS) as (engine, comet):
        comet.block_bytes = BLOCK_BYTES
        for wire in OTHER_CHAIN:
            comet._take(wire)
        comet.mempool.insert(0, GW1[0])  # the other node of this gateway's two was faster
        comet.mempool += GW2
        await comet.decide()
        assert are_applied(engine, [GW1[0]]) == [True]
        assert len([wire for wire in comet.mempool if wire in OTHER_CHAIN]) == UNREADY_OF_SIGNER.transactions
        await comet.decide()
        assert are_applied(engine, GW2) == [True] * 3


async def test_a_chain_of_batches_waits_as_a_whole_and_enters_one_block(tmp_path: Path) -> None:
    async with alone(tmp_path) as (engine, comet):
        for wire in GW1:
            comet._take(wire)
        assert comet.mempool == GW1
        await comet.decide()
        assert are_applied(engine, GW1) == [True] * 40


async def test_batches_that_overtake_one_another_are_ready_once_the_one_before_them_is_decided(tmp_path: Path) -> None:
    async with alone(tmp_path) as (engine, comet):
        comet.block_bytes = framed_bytes(GW1[1]) + framed_bytes(GW1[0])
        for wire in (GW1[1], GW1[0]):
            comet._take(wire)
        await comet.decide()
        assert are_applied(engine, GW1[:2]) == [True, True]
        for wire in GW1[2:]:
            comet._take(wire)
        assert comet.mempool == GW1[2:]


async def test_what_found_no_room_keeps_its_verdict_for_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with alone(tmp_path) as (engine, comet):
        for wire in GW1[1:]:
            comet._take(wire)
        assert comet.mempool == GW1[1 : 1 + UNREADY_OF_SIGNER.transactions]
        asked: list[int] = []

        def examine(wires: list[bytes], _: int) -> list[Examined]:
            asked.append(len(wires))
            return []

        monkeypatch.setattr(engine._ledger, "examine", examine)
        comet._take(GW1[-1])
        assert (asked, engine._machine.examined.find(GW1[-1]) is not None) == ([], True)


def test_receipts_that_a_signer_may_have_fit_into_its_unready_share() -> None:
    assert RefusalLimits().of_signer <= UNREADY_OF_SIGNER.size_bytes
