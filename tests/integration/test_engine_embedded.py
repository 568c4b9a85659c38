"""The embedded engine over a real data directory: group commit, answers, waiting batches, the clock, a disk that is full."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest

from gridcore import cbor
from gridcore.codes import Code
from gridcore.errors import InvariantError
from ledger.engines import embedded
from ledger.engines.base import EngineStoppedError
from ledger.engines.embedded import EmbeddedEngine
from ledger.engines.pool import Limits
from ledger.leaves.delivery import DELIVERY
from ledger.leaves.progress import PROGRESS
from ledger.state import due
from ledger.state.due import Budget
from ledger.store.check import check_ledger
from ledger.store.errors import StoreError
from ledger.store.files import Files
from ledger.store.ledger import Ledger
from settlement.catalogue import CONTRACTS
from settlement.contract_kit_1 import ContractInvariantError
from tests.waiting import until
from tests.worlds.clocks import ManualClock
from tests.worlds.consortium import SLOT_S
from tests.worlds.faults import FullDisk
from tests.worlds.feeders import FEEDERS, FIRST_SLOT_S, ON_BLOCK_TIME, START_S, batches, clock_advance
from tests.worlds.ledgers import open_ledger
from tests.worlds.transactions import transaction_id

GW1, GW2 = batches("gw-1", 70), batches("gw-2", 5)
PATIENCE_S = 90


@asynccontextmanager
async def running(
    data_dir: Path, *, files: Files | None = None, limits: Limits | None = None, retry_s: float = 0.02
) -> AsyncIterator[EmbeddedEngine]:
    ledger = open_ledger(data_dir, files=files)
    try:
        async with EmbeddedEngine(ledger, limits, retry_s=retry_s) as engine:
            yield engine
    finally:
        ledger.close()


async def submit(engine: EmbeddedEngine, *wires: bytes) -> list[Code]:
    return [answer.code for answer in await engine.submit(wires)]


def height(engine: EmbeddedEngine) -> int:
    return engine._ledger.height


async def test_what_waits_together_becomes_one_block(tmp_path: Path) -> None:
    async with running(tmp_path) as engine:
        answers = await asyncio.gather(*(engine.submit([wire]) for wire in GW1[:1]), engine.submit(GW2))
        assert {answer.code for group in answers for answer in group} == {Code.ACCEPTED}
        assert height(engine) <= 2
        # While one block is made, everything else that comes waits for the next one.
        clocks = [clock_advance(START_S + n) for n in range(1, 40)]
        before = height(engine)
        await asyncio.gather(*(engine.submit([wire]) for wire in clocks))
        assert height(engine) < before + len(clocks)


def count_looks(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Awaitable[None]]:
    """A wait until the block thread has looked for due work a few times more."""
    looks = 0
    is_work_due = ledger.is_work_due

    def look() -> bool:
        nonlocal looks
        looks += 1
        return is_work_due()

    async def let_it_look() -> None:
        enough = looks + 5
        await until(lambda: looks >= enough)

    monkeypatch.setattr(ledger, "is_work_due", look)
    return let_it_look


async def test_there_are_no_empty_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = open_ledger(tmp_path, ON_BLOCK_TIME)
    wire = batches("gw-1", 1, consortium=ON_BLOCK_TIME)[0]
    let_it_look = count_looks(ledger, monkeypatch)
    async with EmbeddedEngine(ledger, tick_s=0.001) as engine:
        await let_it_look()
        assert height(engine) == 0, "gates without orders have closed"
        assert await submit(engine, wire) == [Code.ACCEPTED]
        assert await submit(engine, wire) == [Code.EXISTS]
        await let_it_look()
        assert height(engine) == 1
    ledger.close()


async def test_what_was_decided_exists_also_after_a_restart(tmp_path: Path) -> None:
    async with running(tmp_path) as engine:
        [first] = await engine.submit(GW1[:1])
        await engine.submit(GW1[1:3])
        [again] = await engine.submit(GW1[:1])
        assert (first.code, again.code, again.height) == (Code.ACCEPTED, Code.EXISTS, first.height)
    async with running(tmp_path) as engine:
        [again] = await engine.submit(GW1[:1])
        assert (again.code, again.height, again.id) == (Code.EXISTS, 1, transaction_id(GW1[0]))
        assert height(engine) == 2
        assert engine._ledger.receipt(transaction_id(GW1[0])) is not None


async def test_a_batch_ahead_waits_and_is_applied_when_the_gap_closes(tmp_path: Path) -> None:
    async with running(tmp_path) as engine:
        [answer] = await engine.submit([GW1[2]])
        assert (answer.code, answer.waiting_for, answer.height) == (Code.WAITING, 1, None)
        assert await submit(engine, GW1[1]) == [Code.WAITING]
        assert height(engine) == 0
        assert await submit(engine, GW1[0]) == [Code.ACCEPTED]
        assert await submit(engine, *GW1[1:3]) == [Code.EXISTS, Code.EXISTS]
        gateway = DELIVERY.must(engine._ledger, "gw-1")
        assert (gateway.counter, gateway.last) == (3, transaction_id(GW1[2]))


async def test_a_gap_beyond_64_held_batches_is_refused_and_may_be_sent_again(tmp_path: Path) -> None:
    async with running(tmp_path) as engine:
        codes = await submit(engine, *GW1[1:67])
        assert codes == [Code.WAITING] * 64 + [Code.COUNTER_GAP] * 2
        await submit(engine, GW1[0])
        codes = await submit(engine, *GW1[65:67])
        assert codes == [Code.ACCEPTED] * 2


async def test_blocks_keep_to_their_limits(tmp_path: Path) -> None:
    async with running(tmp_path, limits=Limits(block_transactions=10)) as engine:
        assert await submit(engine, *GW1[:25]) == [Code.ACCEPTED] * 25
        sizes = [len(engine._ledger.results(h)) for h in range(1, engine._ledger.height + 1)]
        assert sizes == [10, 10, 5]


async def test_a_pool_that_is_full_says_busy(tmp_path: Path) -> None:
    async with running(tmp_path, limits=Limits(pool_transactions=3)) as engine:
        assert await submit(engine, *GW1[:4]) == [Code.ACCEPTED] * 3 + [Code.NODE_BUSY]
        assert await submit(engine, GW1[3]) == [Code.ACCEPTED]


async def test_what_no_registered_signer_signed_never_reaches_the_disk(tmp_path: Path) -> None:
    async with running(tmp_path) as engine:
        signed, signature, attachment = cbor.decode(GW1[0])
        forged = cbor.encode([signed, bytes(reversed(signature)), attachment])
        stranger = FEEDERS.sender().clock(START_S + 1, signer="nobody")
        wrong_role = FEEDERS.sender().order("clock", "A", "buy", 1, 1, 0)
        answers = await engine.submit([forged, stranger, wrong_role, b"\x00garbage"])
        assert [answer.code for answer in answers] == [
            Code.WRONG_SIGNATURE,
            Code.UNKNOWN_SIGNER,
            Code.NOT_PERMITTED,
            Code.NOT_CANONICAL,
        ]
        assert {answer.height for answer in answers} == {None}
        assert height(engine) == 0
        # A forged copy must not stand in the way of the true one.
        assert await submit(engine, GW1[0]) == [Code.ACCEPTED]


async def test_a_refusal_decided_in_a_block_has_a_receipt(tmp_path: Path) -> None:
    async with running(tmp_path) as engine:
        await submit(engine, *GW1[:2])
        old = batches("gw-1", 1, first_register_wh=5)[0]
        [answer] = await engine.submit([old])
        assert (answer.code, answer.height) == (Code.COUNTER_PASSED, 2)
        assert engine._ledger.receipt(answer.id) is not None
        [again] = await engine.submit([old])
        assert again == answer, "the same bytes get the old answer, and no second place in a block"
        assert height(engine) == 2


async def test_whoever_waits_for_the_clock_is_told_when_it_moves(tmp_path: Path) -> None:
    async with running(tmp_path) as engine:
        assert await engine.wait_clock(START_S - 1, 5) == START_S
        assert await engine.wait_clock(START_S, 0.01) == START_S
        waiting = [asyncio.create_task(engine.wait_clock(START_S + n, 20)) for n in (0, 5, 9)]
        await submit(engine, clock_advance(START_S + 6))
        assert [await waiting[0], await waiting[1]] == [START_S + 6] * 2
        assert not waiting[2].done()
        await submit(engine, clock_advance(START_S + 10))
        assert await waiting[2] == START_S + 10


async def test_whoever_waits_for_a_block_is_told_when_it_is_certified(tmp_path: Path) -> None:
    async with running(tmp_path) as engine:
        assert await engine.wait_height(-1, 5) == 0
        assert await engine.wait_height(0, 0.01) == 0
        waiting = [asyncio.create_task(engine.wait_height(after, 20)) for after in (0, 0, 1)]
        await submit(engine, GW1[0])
        assert [await waiting[0], await waiting[1]] == [1, 1]
        assert not waiting[2].done()
        await submit(engine, clock_advance(START_S + 10))
        assert await waiting[2] == 2


async def test_a_full_disk_is_answered_busy_and_questions_go_on_until_there_is_space(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = FullDisk()
    async with running(tmp_path, files=files) as engine:
        await submit(engine, GW1[0])
        for first_step in range(9):
            files.fail_from = len(files.steps) + first_step
            counter = 1 + first_step
            codes = await submit(engine, GW1[counter])
            if codes == [Code.NODE_BUSY]:
                assert height(engine) == counter
                assert await submit(engine, GW1[counter]) == [Code.NODE_BUSY]
            files.heal()
            codes = await submit(engine, GW1[counter])
            assert codes in ([Code.ACCEPTED], [Code.EXISTS])
            assert height(engine) == counter + 1
    said = "".join(capsys.readouterr())
    assert "store_cannot_write" in said
    assert "store_writes_again" in said
    assert check_ledger(tmp_path, CONTRACTS).problems == []


async def test_an_engine_whose_transactions_wait_for_their_block_says_so_until_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "BLOCK_INTERVAL_S", 0.01)
    ledger, go_on = open_ledger(tmp_path), threading.Event()
    make_block = ledger.make_block

    def slowly(*arguments: Any) -> Any:
        go_on.wait(PATIENCE_S)
        return make_block(*arguments)

    monkeypatch.setattr(ledger, "make_block", slowly)
    async with EmbeddedEngine(ledger) as engine:
        assert (engine.stall, engine.gauges["oldest_wait_seconds"][1]) == ("", 0)
        submitted = asyncio.create_task(submit(engine, GW1[0]))
        await until(lambda: engine.stall == "waiting")
        go_on.set()
        assert await submitted == [Code.ACCEPTED]
        await until(lambda: engine.stall == "")
    ledger.close()


async def test_a_block_that_the_disk_interrupted_is_finished_without_a_new_submission(tmp_path: Path) -> None:
    files = FullDisk()
    async with running(tmp_path, files=files) as engine:
        files.fail_from = len(files.steps) + 5
        assert await submit(engine, GW1[0], clock_advance(START_S + 7)) == [Code.NODE_BUSY] * 2
        files.heal()
        assert await engine.wait_height(0, 20) == 1
        assert await engine.wait_clock(START_S, 20) == START_S + 7
        assert height(engine) == 1


async def test_a_broken_promise_stops_the_engine_and_says_so_to_whoever_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = open_ledger(tmp_path)

    def broken(*_: object) -> None:
        raise InvariantError("two and two are four")

    monkeypatch.setattr(ledger, "make_block", broken)
    async with EmbeddedEngine(ledger) as engine:
        with pytest.raises(EngineStoppedError, match="makes no blocks any more") as raised:
            await engine.submit([GW1[0]])
        assert "four" not in str(raised.value)
        with pytest.raises(InvariantError):
            await engine.wait_stopped()
        with pytest.raises(EngineStoppedError):
            await engine.submit([GW1[0]])
        assert height(engine) == 0
    ledger.close()


@pytest.mark.parametrize("error", [InvariantError, ContractInvariantError, StoreError])
async def test_what_breaks_in_the_block_that_is_made_while_the_engine_closes_is_logged_and_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: type[BaseException]
) -> None:
    ledger = open_ledger(tmp_path)
    making, closing = threading.Event(), threading.Event()

    def break_late(*_: object) -> NoReturn:
        making.set()
        closing.wait(PATIENCE_S)
        raise error("two and two are four")

    monkeypatch.setattr(ledger, "make_block", break_late)
    async with EmbeddedEngine(ledger) as engine:
        waiting = asyncio.create_task(engine.submit([GW1[0]]))
        await asyncio.to_thread(making.wait, PATIENCE_S)
        asyncio.get_running_loop().call_soon(closing.set)
    with pytest.raises(EngineStoppedError):
        await waiting
    with pytest.raises(error, match="two and two are four"):
        await engine.wait_stopped()
    assert "engine_stopped" in "".join(capsys.readouterr())
    ledger.close()


async def test_closing_tells_whoever_waits_and_keeps_what_was_decided(tmp_path: Path) -> None:
    async with running(tmp_path, limits=Limits(block_transactions=1)) as engine:
        waiting = asyncio.create_task(engine.submit(GW1[:30]))
        assert await engine.wait_height(1, PATIENCE_S) >= 2
    codes = [answer.code for answer in await waiting]
    decided = codes.count(Code.ACCEPTED)
    assert 2 <= decided < 30
    assert codes == [Code.ACCEPTED] * decided + [Code.NODE_BUSY] * (30 - decided)
    async with running(tmp_path) as engine:
        assert height(engine) == decided


async def all_run(ledger: Ledger, slots: int) -> None:
    """Wait until so many slots are behind the zone's runs and nothing is left over."""
    end_s = FIRST_SLOT_S + slots * SLOT_S
    await until(lambda: PROGRESS.must(ledger, "z-1").run_slot_start_s >= end_s and not ledger.work_pending)


async def test_due_work_that_is_left_over_is_done_at_once_also_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due, "Budget", lambda: Budget(rows=4))
    for number, restarted in enumerate((False, True)):
        data_dir = tmp_path / str(number)
        wire = clock_advance(FIRST_SLOT_S + 86_400)  # the deadline of the eight slots before
        if restarted:
            ledger = open_ledger(data_dir)
            assert ledger.make_block(ledger.examine([wire])).work_pending
            ledger.close()
        async with running(data_dir) as engine:
            if not restarted:
                assert await submit(engine, wire) == [Code.ACCEPTED]
            await all_run(engine._ledger, 0)
            assert await submit(engine, clock_advance(FIRST_SLOT_S + 86_401)) == [Code.ACCEPTED]
            sizes = [len(engine._ledger.results(at)) for at in range(1, height(engine) + 1)]
            assert (sizes[0], set(sizes[1:-1]), sizes[-1]) == (1, {0}, 1)
        assert check_ledger(data_dir, CONTRACTS).problems == []


async def test_on_a_chain_with_block_time_work_falls_due_without_a_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock(START_S - SLOT_S - 600)
    ledger = open_ledger(tmp_path, ON_BLOCK_TIME, clock=clock)
    let_it_look = count_looks(ledger, monkeypatch)
    async with EmbeddedEngine(ledger, tick_s=0.001) as engine:
        for slots in range(1, 4):
            due_s = FIRST_SLOT_S + (slots + 1) * SLOT_S
            clock.advance_to(due_s)
            assert await engine.wait_clock(due_s - 1, 20) == due_s
            await let_it_look()
            assert height(engine) == slots, "one block, then silence"
    ledger.close()
