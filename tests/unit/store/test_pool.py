from __future__ import annotations

import asyncio
from typing import Protocol

import pytest

from gridcore.codes import Code
from gridcore.envelope import decode_transaction
from gridcore.transactions.reading_batch import ReadingBatch
from ledger.application import Examined, Progress
from ledger.engines.base import Outcome
from ledger.engines.pool import BLOCK_BYTES_MAX, POOL_BYTES_MAX, Entry, Limits, Pool
from ledger.engines.shares import Share
from ledger.kinds.table import KINDS
from ledger.signatures import decode_candidates
from tests.worlds.consortium import UTILITY
from tests.worlds.feeders import batches, clock_advance
from tests.worlds.transactions import transaction_id

GW1, GW2 = batches("gw-1", 70), batches("gw-2", 3)


class Sent:
    """The answer to a transaction, as far as there is one."""

    def __init__(self, future: asyncio.Future[Outcome]) -> None:
        self.future = future

    def is_answered(self) -> bool:
        return self.future.done()

    def answer(self) -> Outcome:
        return self.future.result()


class Add(Protocol):
    def __call__(self, pool: Pool, wire: bytes) -> Sent: ...


@pytest.fixture
async def add() -> Add:
    """Puts a transaction into a pool; the ledger has seen nothing of any gateway yet (epoch 1, counter 0)."""

    def add(pool: Pool, wire: bytes) -> Sent:
        (candidate,) = decode_candidates([wire])
        assert candidate.transaction is not None
        waiter: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        content = KINDS[candidate.transaction.kind].content.decode(candidate.transaction)
        progress = Progress(1, 0) if isinstance(content, ReadingBatch) else None
        examined = Examined(candidate, {}, Code.ACCEPTED, content, progress, organisation=UTILITY)
        pool.add(Entry(examined, candidate.transaction, [waiter]))
        return Sent(waiter)

    return add


def wires(entries: list[Entry]) -> list[bytes]:
    return [entry.examined.candidate.wire for entry in entries]


async def test_transactions_are_taken_in_order_of_arrival(add: Add) -> None:
    pool = Pool()
    sent = [clock_advance(2_000_000_000 + n) for n in range(5)]
    for wire in sent:
        add(pool, wire)
    assert wires(pool.take()) == sent
    assert len(pool) == 0


async def test_neighbouring_batches_are_sorted_and_never_pass_another_kind(add: Add) -> None:
    pool = Pool()
    clock = clock_advance(2_000_000_000)
    for wire in (GW2[0], GW1[0], clock, GW2[1], GW1[1], GW1[2]):
        add(pool, wire)
    assert wires(pool.take()) == [GW1[0], GW2[0], clock, GW1[1], GW1[2], GW2[1]]


async def test_the_same_transaction_twice_is_one_entry_with_two_waiters(add: Add) -> None:
    pool = Pool()
    first, second = add(pool, GW1[0]), add(pool, GW1[0])
    [entry] = pool.take()
    third = add(pool, GW1[0])
    assert len(pool) == 0
    entry.answer(Outcome(Code.ACCEPTED, b"id", 1))
    assert [future.answer().height for future in (first, second, third)] == [1, 1, 1]


async def test_a_batch_ahead_waits_and_enters_by_itself_when_the_gap_closes(add: Add) -> None:
    pool = Pool()
    for wire in (GW1[3], GW1[1], GW1[2]):
        assert add(pool, wire).answer() == Outcome(Code.WAITING, transaction_id(wire), waiting_for=1)
    assert (len(pool), pool.held) == (0, 3)
    waiter = add(pool, GW1[0])
    assert not waiter.is_answered()
    assert (len(pool), pool.held) == (4, 0)
    assert wires(pool.take()) == GW1[:4]


async def test_a_held_batch_sent_again_is_still_waiting_and_held_once(add: Add) -> None:
    pool = Pool()
    add(pool, GW1[2])
    add(pool, GW1[0])
    assert add(pool, GW1[2]).answer().waiting_for == 2
    assert pool.held == 1


async def test_64_batches_are_held_for_a_gateway_and_the_next_is_a_gap(add: Add) -> None:
    pool = Pool()
    codes = [add(pool, wire).answer().code for wire in GW1[1:66]]
    assert codes == [Code.WAITING] * 64 + [Code.COUNTER_GAP]
    assert add(pool, GW2[2]).answer().code == Code.WAITING, "each gateway has its own"
    add(pool, GW1[0])
    assert len(pool) == 65


async def test_held_bytes_are_bounded_for_all_gateways_together(add: Add) -> None:
    pool = Pool(Limits(held_bytes=len(GW1[1]) + len(GW2[1])))
    assert add(pool, GW1[1]).answer().code == Code.WAITING
    assert add(pool, GW2[1]).answer().code == Code.WAITING
    assert add(pool, GW1[2]).answer().code == Code.COUNTER_GAP
    add(pool, GW1[0])
    assert add(pool, GW2[2]).answer().code == Code.WAITING, "what has left the hold makes room"


async def test_held_bytes_of_one_gateway_are_bounded(add: Add) -> None:
    pool = Pool(Limits(held_bytes_of_gateway=len(GW1[1]) + len(GW1[2])))
    codes = [add(pool, wire).answer().code for wire in GW1[1:4]]
    assert codes == [Code.WAITING, Code.WAITING, Code.COUNTER_GAP]
    assert add(pool, GW2[2]).answer().code == Code.WAITING, "each gateway has its own"
    add(pool, GW1[0])
    assert (len(pool), pool.held) == (3, 1)
    assert add(pool, GW1[4]).answer().code == Code.WAITING, "what has left the hold makes room"


async def test_one_signer_or_organisation_never_fills_the_pool(add: Add) -> None:
    size = len(GW1[0])
    for share in (Share(2, POOL_BYTES_MAX), Share(9, 2 * size)):
        pool = Pool(Limits(of_signer=share))
        answers = [add(pool, wire) for wire in GW1[:3]]
        assert [answer.is_answered() for answer in answers] == [False, False, True]
        assert answers[2].answer().code is Code.NODE_BUSY
        assert not add(pool, GW2[0]).is_answered(), "there is room for another signer"
        pool.done(pool.take(), {"gw-1": Progress(1, 2), "gw-2": Progress(1, 1)})
        assert not add(pool, GW1[2]).is_answered()
        pool = Pool(Limits(of_organisation=share))
        answers = [add(pool, wire) for wire in (GW1[0], GW2[0], GW1[1])]
        assert [answer.is_answered() for answer in answers] == [False, False, True]
        pool.give_up()
        assert not add(pool, GW1[0]).is_answered()


async def test_a_full_pool_is_busy_and_takes_again_when_a_block_is_done(add: Add) -> None:
    for limits in (Limits(pool_transactions=2), Limits(pool_bytes=len(GW1[0]) + len(GW1[1]))):
        pool = Pool(limits)
        assert not add(pool, GW1[0]).is_answered()
        assert not add(pool, GW1[1]).is_answered()
        assert add(pool, GW1[2]).answer().code == Code.NODE_BUSY
        taken = pool.take()
        assert add(pool, GW1[2]).answer().code == Code.NODE_BUSY, "what is in a block still counts"
        pool.done(taken, {"gw-1": Progress(1, 2)})
        assert not add(pool, GW1[2]).is_answered()


async def test_held_batches_never_keep_out_the_one_they_wait_for(add: Add) -> None:
    pool = Pool(Limits(pool_transactions=1))
    add(pool, GW1[1])
    add(pool, GW1[2])
    waiter = add(pool, GW1[0])
    assert not waiter.is_answered()
    for count in (1, 2, 3):
        taken = pool.take()
        assert wires(taken) == [GW1[count - 1]]
        pool.done(taken, {"gw-1": Progress(1, count)})
    assert pool.held == 0


async def test_a_block_takes_as_many_and_as_much_as_its_limits_say(add: Add) -> None:
    pool = Pool(Limits(block_transactions=3))
    for wire in GW1[:7]:
        add(pool, wire)
    assert [len(pool.take()) for _ in range(4)] == [3, 3, 1, 0]
    size = len(GW1[0]) + len(GW1[1])
    for limit, taken in ((size, 2), (size - 1, 1), (1, 1)):
        pool = Pool(Limits(block_bytes=limit))
        for wire in GW1[:3]:
            add(pool, wire)
        assert len(pool.take()) == taken


async def test_progress_that_others_made_frees_what_was_held(add: Add) -> None:
    pool = Pool()
    add(pool, GW1[1])
    add(pool, GW1[3])
    clock = clock_advance(2_000_000_000)
    add(pool, clock)
    pool.done(pool.take(), {"gw-1": Progress(1, 1)})
    assert wires(pool.take()) == [GW1[1]]
    assert pool.held == 1


async def test_held_batches_that_are_past_or_of_a_closed_epoch_are_forgotten(add: Add) -> None:
    for progress in (Progress(1, 60), Progress(2, 0)):
        pool = Pool()
        for wire in GW1[1:5]:
            add(pool, wire)
        add(pool, clock_advance(2_000_000_000))
        pool.done(pool.take(), {"gw-1": progress})
        assert (len(pool), pool.held, pool.gateways()) == (0, 0, [])


async def test_a_refused_batch_lets_the_later_ones_wait_again(add: Add) -> None:
    pool = Pool()
    add(pool, GW1[0])
    taken = pool.take()
    pool.done(taken, {"gw-1": Progress(1, 0)})
    assert add(pool, GW1[1]).answer() == Outcome(Code.WAITING, transaction_id(GW1[1]), waiting_for=1)


async def test_another_batch_with_a_held_counter_may_be_sent_again_later(add: Add) -> None:
    pool = Pool()
    other = batches("gw-1", 3, first_register_wh=5)[2]
    assert add(pool, GW1[2]).answer().code == Code.WAITING
    assert add(pool, other).answer().code == Code.COUNTER_GAP
    assert add(pool, GW1[2]).answer().code == Code.WAITING
    assert pool.held == 1
    add(pool, GW1[0])
    add(pool, GW1[1])
    assert wires(pool.take()) == GW1[:3]


async def test_taking_in_a_batch_costs_the_same_however_many_are_queued(add: Add) -> None:
    looked_up: list[int] = []

    class Counted(dict[int, int]):
        def __contains__(self, counter: object) -> bool:
            looked_up.append(0)
            return super().__contains__(counter)

    pool = Pool()
    add(pool, GW1[0])
    gateway = pool._gateways["gw-1"]
    gateway.queued = Counted(gateway.queued)
    for wire in [*GW1[1:30], *reversed(GW1[31:60]), GW1[30]]:
        add(pool, wire)
    assert len(pool) == 60
    assert len(looked_up) <= 2 * 60


async def test_the_counter_that_is_next_is_the_first_one_that_is_not_on_its_way(add: Add) -> None:
    pool = Pool()
    for wire in GW1[:5]:
        add(pool, wire)
    gateway = pool._gateways["gw-1"]
    assert gateway.next_counter == 6
    pool.done(
        [entry for entry in pool.take() if entry.batch and entry.batch.counter in (1, 3)], {"gw-1": Progress(1, 1)}
    )
    assert gateway.next_counter == 3, "batch 3 was refused, 2, 4 and 5 are still on their way"
    add(pool, GW1[2])
    assert gateway.next_counter == 6


async def test_giving_up_empties_the_pool(add: Add) -> None:
    pool = Pool()
    add(pool, GW1[0])
    add(pool, GW1[2])
    assert wires(pool.give_up()) == [GW1[0]]
    assert (len(pool), pool.held, pool.gateways(), pool.take()) == (0, 0, [], [])


def test_the_largest_transaction_fits_into_a_block_and_a_block_into_the_pool() -> None:
    from gridcore.envelope import WIRE_BYTES_MAX

    assert WIRE_BYTES_MAX <= BLOCK_BYTES_MAX <= POOL_BYTES_MAX
    assert decode_transaction(GW1[0]).kind == "metering/reading_batch"
