"""The consortium's engine: what a submitter is told, and when. Under an engine of one validator that makes a block when told to."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest

from gridcore.codes import Code
from gridcore.errors import InvariantError
from ledger.engines.base import EngineStoppedError, Outcome
from ledger.engines.cometbft import engine as engine_module
from ledger.engines.cometbft import submissions
from ledger.engines.cometbft.engine import CometEngine
from ledger.engines.cometbft.waiting import Waiting
from ledger.engines.pool import Limits
from ledger.engines.quotas import Quotas
from ledger.engines.refusals import RefusalLimits
from ledger.engines.shares import Share
from tests.waiting import until
from tests.worlds.feeders import batches
from tests.worlds.lone_comet import ALONE, LoneComet, alone
from tests.worlds.transactions import transaction_id

GW1, GW2 = batches("gw-1", 70, consortium=ALONE), batches("gw-2", 3, consortium=ALONE)
OTHER_CHAIN = batches("gw-1", 2, first_register_wh=1, consortium=ALONE)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "TICK_S", 0.01)


def submit(engine: CometEngine, *wires: bytes) -> asyncio.Task[list[Outcome]]:
    return asyncio.create_task(engine.submit(wires))


async def waiting(comet: LoneComet, count: int) -> None:
    await until(lambda: len(comet.mempool) == count)


def asks(comet: LoneComet, times: int) -> bool:
    return comet.wishes == [2] * times


async def certify(comet: LoneComet) -> None:
    for _ in range(2):
        await comet.decide()


async def test_a_transaction_is_acknowledged_when_its_block_is_certified_and_not_before(tmp_path: Path) -> None:
    async with alone(tmp_path) as (engine, comet):
        task = submit(engine, *GW1[:2])
        await waiting(comet, 2)
        for decided in (1, 2):
            await comet.decide()
            assert await engine.wait_height(decided - 1, 5) == decided
            assert not task.done()
        await comet.decide()
        assert [(one.code, one.height) for one in await task] == [(Code.ACCEPTED, 1)] * 2
        assert engine._ledger.certified_height == 1
        assert engine._ledger.receipt(transaction_id(GW1[0])) is not None


async def test_another_block_is_asked_for_until_the_one_with_transactions_is_certified(tmp_path: Path) -> None:
    async with alone(tmp_path) as (engine, comet):
        await comet.decide()
        assert await engine.wait_height(0, 5) == 1
        assert comet.wishes == []
        task = submit(engine, GW1[0])
        await waiting(comet, 1)
        for asked in (1, 2):
            await comet.decide()
            await until(partial(asks, comet, asked))
        await comet.decide()
        await task
        assert engine._machine.wish() is None
        assert comet.wishes == [2, 2]


async def test_the_same_bytes_at_once_are_one_transaction_and_later_they_exist(tmp_path: Path) -> None:
    async with alone(tmp_path) as (engine, comet):
        tasks = [submit(engine, GW1[0]), submit(engine, GW1[0])]
        await waiting(comet, 1)
        await until(lambda: [len(sent.entry.waiters) for sent in engine._submissions._sent.values()] == [2])
        await comet.decide()
        await engine.wait_height(0, 5)
        late = submit(engine, GW1[0])  # decided, and not certified yet
        await until(lambda: len(engine._submissions._decided) == 2)
        assert not late.done()
        await certify(comet)
        assert [[one.code for one in await task] for task in tasks] == [[Code.ACCEPTED]] * 2
        assert [(one.code, one.height) for one in await late] == [(Code.EXISTS, 1)]
        assert [(one.code, one.height) for one in await submit(engine, GW1[0])] == [(Code.EXISTS, 1)]


async def test_a_batch_ahead_waits_here_and_goes_on_when_the_gap_closes(tmp_path: Path) -> None:
    async with alone(tmp_path) as (engine, comet):
        [ahead] = await submit(engine, GW1[1])
        assert (ahead.code, ahead.waiting_for) == (Code.WAITING, 1)
        task = submit(engine, GW1[0])
        await waiting(comet, 2)
        await comet.decide()
        await certify(comet)
        assert [one.code for one in await task] == [Code.ACCEPTED]
        assert engine._ledger.find_applied(transaction_id(GW1[1])) is not None


async def test_a_proposer_puts_batches_in_order_and_leaves_out_what_comes_before_its_turn(tmp_path: Path) -> None:
    async with alone(tmp_path) as (engine, comet):
        comet.mempool = [GW2[1], GW1[1], GW2[0]]  # as other nodes sent them
        await comet.decide()
        ledger = engine._ledger
        assert [ledger.find_applied(transaction_id(wire)) is not None for wire in (*GW2[:2], GW1[1])] == [
            True,
            True,
            False,
        ]
        assert comet.mempool == [GW1[1]], "it waits for the one before it"


async def test_a_batch_far_ahead_is_not_kept_by_the_engine(tmp_path: Path) -> None:
    async with alone(tmp_path) as (_, comet):
        assert comet._take(GW1[63])
        assert comet.mempool == [GW1[63]]
        comet._take(GW1[64])
        assert comet.mempool == [GW1[63]]


async def test_what_gets_no_place_for_a_minute_of_block_time_leaves_the_mempool(tmp_path: Path) -> None:
    async with alone(tmp_path) as (_, comet):
        comet._take(GW1[1])
        for _ in range(60):
            await comet.decide()
        assert comet.mempool == [GW1[1]]
        await comet.decide()
        assert comet.mempool == []


async def test_a_jump_of_block_time_drops_nothing(tmp_path: Path) -> None:
    async with alone(tmp_path) as (_, comet):
        comet._take(GW1[1])
        comet.clock_s += 86_400  # as after genesis, or when a chain has stood
        await comet.decide()
        assert comet.mempool == [GW1[1]]


async def test_one_signer_fills_no_more_than_its_share_of_the_mempool(tmp_path: Path) -> None:
    async with alone(tmp_path) as (engine, comet):
        engine._machine._waiting = Waiting(of_signer=Share(2, 1 << 20))
        for wire in (*GW1[:3], *GW2[:2]):
            comet._take(wire)
        assert comet.mempool == [*GW1[:2], *GW2[:2]]
        await comet.decide()
        comet._take(GW1[2])
        assert comet.mempool == [GW1[2]], "what was decided has made room"
        comet.mempool.clear()
        for _ in range(2):
            await comet.decide()
        for wire in GW1[3:5]:
            comet._take(wire)
        assert len(comet.mempool) == 2, "what the engine forgot has made room"


async def test_what_is_beyond_a_share_of_the_mempool_is_sent_again_when_there_is_room(tmp_path: Path) -> None:
    async with alone(tmp_path) as (engine, comet):
        engine._machine._waiting = Waiting(of_signer=Share(1, 1 << 20))
        task = submit(engine, *GW1[:2])
        await waiting(comet, 1)
        await comet.decide()
        await waiting(comet, 1)
        await comet.decide()
        await certify(comet)
        assert [(one.code, one.height) for one in await task] == [(Code.ACCEPTED, 1), (Code.ACCEPTED, 2)]


async def test_an_inadmissible_transaction_is_refused_at_once(tmp_path: Path) -> None:
    forged = bytearray(GW1[0])
    forged[-1] ^= 1
    async with alone(tmp_path) as (engine, comet):
        codes = [one.code for one in await engine.submit([bytes(forged), b"no transaction"])]
        assert codes[0] in (Code.ROWS_MISMATCH, Code.NOT_CANONICAL)
        assert codes[1] is Code.NOT_CANONICAL
        assert comet.mempool == []


async def test_what_the_engine_has_no_room_for_is_sent_again(tmp_path: Path) -> None:
    async with alone(tmp_path) as (engine, comet):
        comet.room = 1
        tasks = [submit(engine, GW1[0]), submit(engine, GW2[0])]
        await waiting(comet, 1)
        await comet.decide()
        await waiting(comet, 1)
        await comet.decide()
        await certify(comet)
        assert [one.code for task in tasks for one in await task] == [Code.ACCEPTED] * 2


async def test_no_more_than_the_engines_hold_is_on_its_way_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submissions, "SENT_MAX", 2)
    async with alone(tmp_path) as (engine, comet):
        task = submit(engine, *GW1[:3])
        await waiting(comet, 2)
        await comet.decide()
        await waiting(comet, 1)
        await comet.decide()
        await certify(comet)
        assert [one.height for one in await task] == [1, 1, 2]


async def test_what_an_absent_engine_did_not_hear_is_sent_when_it_is_back(tmp_path: Path) -> None:
    async with alone(tmp_path) as (engine, comet):
        comet.is_away = True
        task = submit(engine, GW1[0])
        await until(lambda: engine._submissions._sent)
        comet.is_away = False
        await waiting(comet, 1)
        await comet.decide()
        await certify(comet)
        assert [one.code for one in await task] == [Code.ACCEPTED]


async def test_what_the_engine_forgot_is_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submissions, "RESEND_S", 0.05)
    async with alone(tmp_path) as (engine, comet):
        task = submit(engine, GW1[0])
        await waiting(comet, 1)
        comet.mempool.clear()  # it was started anew
        await waiting(comet, 1)
        await comet.decide()
        await certify(comet)
        assert [one.code for one in await task] == [Code.ACCEPTED]


@pytest.mark.parametrize("is_decided", [False, True])
async def test_nobody_waits_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_decided: bool) -> None:
    monkeypatch.setattr(submissions, "ANSWER_S_MAX", 0.3)
    async with alone(tmp_path) as (engine, comet):
        task = submit(engine, GW1[0])
        await waiting(comet, 1)
        if is_decided:
            await comet.decide()
        assert [one.code for one in await task] == [Code.NODE_BUSY]


async def test_a_signer_beyond_its_quota_is_told_to_come_later(tmp_path: Path) -> None:
    async with alone(tmp_path, quotas=Quotas(signer_transactions=1)) as (engine, comet):
        task = submit(engine, GW1[0])
        await waiting(comet, 1)
        await comet.decide()
        await certify(comet)
        await task
        assert [one.code for one in await engine.submit([GW1[1]])] == [Code.NODE_BUSY]


@pytest.mark.parametrize("is_decided", [False, True])
async def test_what_is_accepted_after_its_submitter_gave_up_counts_for_the_quota(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_decided: bool
) -> None:
    monkeypatch.setattr(submissions, "ANSWER_S_MAX", 0.3)
    async with alone(tmp_path, quotas=Quotas(signer_transactions=1)) as (engine, comet):
        task = submit(engine, GW1[0])
        await waiting(comet, 1)
        if is_decided:
            await comet.decide()
        assert [one.code for one in await task] == [Code.NODE_BUSY]
        await certify(comet)
        assert await engine.wait_height(1, 5) >= 2
        height = engine._ledger.height
        assert [one.code for one in await engine.submit([GW1[1]])] == [Code.NODE_BUSY]
        assert (comet.mempool, engine._ledger.height) == ([], height), "it was not sent on"


async def test_what_was_submitted_to_another_node_counts_for_the_quota(tmp_path: Path) -> None:
    async with alone(tmp_path, quotas=Quotas(signer_transactions=1)) as (engine, comet):
        comet.mempool = [GW1[0]]
        await certify(comet)
        assert await engine.wait_height(1, 5) >= 2
        assert [one.code for one in await engine.submit([GW1[1]])] == [Code.NODE_BUSY]
        assert comet.mempool == []


async def test_a_machine_that_stops_ends_every_wait(tmp_path: Path) -> None:
    async with alone(tmp_path) as (engine, comet):
        task = submit(engine, GW1[0])
        await waiting(comet, 1)
        engine._machine_stopped(InvariantError("broken"))
        with pytest.raises(EngineStoppedError):
            await task
        with pytest.raises(InvariantError, match="broken"):
            await engine.wait_stopped()
        with pytest.raises(EngineStoppedError):
            await engine.submit([GW2[0]])


async def test_closing_tells_who_waits_to_come_later(tmp_path: Path) -> None:
    async with alone(tmp_path) as (engine, comet):
        task = submit(engine, GW1[0])
        await waiting(comet, 1)
        await engine.close()
        assert [one.code for one in await task] == [Code.NODE_BUSY]


async def test_a_reopened_ledger_goes_on_without_the_certificate_of_its_newest_blocks(tmp_path: Path) -> None:
    async with alone(tmp_path) as (engine, comet):
        task = submit(engine, *GW1[:2])
        await waiting(comet, 2)
        await comet.decide()
        await certify(comet)
        await task
        digest = engine._ledger.digest(3)
    async with alone(tmp_path) as (engine, comet):
        assert (engine._ledger.height, engine._ledger.certified_height, engine._ledger.digest(3)) == (3, 1, digest)
        again = submit(engine, GW1[0])
        assert [one.code for one in await again] == [Code.EXISTS]


async def test_a_refusal_that_is_sent_again_is_answered_as_before_and_no_node_waits_for_it(tmp_path: Path) -> None:
    """A halted gateway offers its batch again every five minutes: no block takes it, so nothing is waited for."""
    async with alone(tmp_path) as (engine, comet):
        first = submit(engine, GW1[0], OTHER_CHAIN[1])
        await waiting(comet, 2)
        for _ in range(3):
            await comet.decide()
        assert [(one.code, one.height) for one in await first] == [(Code.ACCEPTED, 1), (Code.WRONG_PREVIOUS, 1)]
        again = await asyncio.wait_for(engine.submit([OTHER_CHAIN[1]]), 2)
        assert [(one.code, one.height) for one in again] == [(Code.WRONG_PREVIOUS, 1)]
        assert (comet.mempool, engine.waited_s) == ([], 0.0)


async def test_a_refusal_beyond_the_share_of_its_signer_is_answered_and_no_node_waits_for_it(tmp_path: Path) -> None:
    async with alone(tmp_path, limits=Limits(refused=RefusalLimits(of_signer=0))) as (engine, comet):
        first = submit(engine, GW1[0])
        await waiting(comet, 1)
        for _ in range(3):
            await comet.decide()
        assert [one.code for one in await first] == [Code.ACCEPTED]
        refused = await asyncio.wait_for(engine.submit([OTHER_CHAIN[1]]), 2)
        assert [(one.code, one.height) for one in refused] == [(Code.WRONG_PREVIOUS, None)]
        assert (comet.mempool, engine.waited_s) == ([], 0.0)
