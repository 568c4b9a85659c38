"""The embedded engine: one process, a signer set of one. asyncio in front, one thread that makes blocks.

Group commit: whatever waits in the pool when the last block is done becomes the next one. No empty blocks, except for work
that has fallen due, and for ledger time that would fall behind the clock on a chain with block time. When the disk
refuses, everyone who waits is told NODE_BUSY, questions are answered as before, and the engine tries again with every
submission and once in RETRY_S.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final, Self

from gridcore.codes import Code
from gridcore.errors import GridError
from gridcore.genesis import BLOCK_TIME
from gridcore.logs import get_logger
from ledger.application import Examined, Progress
from ledger.engines.base import (
    BLOCK_INTERVAL_S,
    INSIDE,
    INTERVALS_WAITED_MAX,
    STALLS,
    EngineStoppedError,
    Outcome,
    Sender,
)
from ledger.engines.earlier import FINAL, earlier_answer
from ledger.engines.lane import Lane
from ledger.engines.pool import Entry, Limits, Pool
from ledger.engines.quotas import QuotaKeeper, Quotas
from ledger.engines.refusals import RefusalShares
from ledger.engines.rising import Rising
from ledger.engines.shares import Author
from ledger.engines.witnesses import Witnesses
from ledger.state.block import Result
from ledger.store.errors import StoreWriteError
from ledger.store.ledger import Ledger

RETRY_S: Final = 1.0
TICK_S: Final = 1.0
"""How often a chain whose clock is the block time looks for work that has fallen due without a transaction."""
SLOW_S: Final = 60.0
"""A block that takes longer does not come to an end, as far as anybody who waits can tell."""
STOPPED: Final = "the node makes no blocks any more: see its log for the reason, then start it again"

log = get_logger(__name__)


@dataclass(frozen=True)
class _Round:
    """What came of one go at making a block."""

    answers: list[Outcome]
    progress: dict[str, Progress]
    ledger_time_s: int
    height: int
    stands_s: int


class EmbeddedEngine:
    """Runs a ``Ledger``; use it with ``async with``, in one event loop. Closing it leaves the ledger open for its owner."""

    def __init__(
        self,
        ledger: Ledger,
        limits: Limits | None = None,
        quotas: Quotas | None = None,
        *,
        retry_s: float = RETRY_S,
        tick_s: float = TICK_S,
    ) -> None:
        self._ledger = ledger
        limits = limits or Limits()
        self._pool = Pool(limits)
        self._quotas = QuotaKeeper(quotas or Quotas())
        self._refusals = RefusalShares(limits.refused)
        self._retry_s = retry_s
        self._tick_s = tick_s if ledger.clock == BLOCK_TIME else None
        self._wake = asyncio.Event()
        self._time_s = Rising(ledger.ledger_time_s)
        self._height = Rising(ledger.height)
        self._is_stalled = False
        self._making_since_s: float | None = None
        self._making: Sequence[Entry] = ()
        self._stands_s = 0
        self._block_thread = ThreadPoolExecutor(1, thread_name_prefix="blocks")
        self._lane = Lane(ledger.examine)
        self._witnesses = Witnesses()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="blocks")
        if self._ledger.work_pending:
            self._wake.set()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End after the block that is being made; who waits is told NODE_BUSY."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.wait({self._task})
        if not self._task.cancelled():
            self._task.exception()  # logged when it came; ``wait_stopped`` raises it
        for entry in self._pool.give_up():
            entry.answer(Outcome(Code.NODE_BUSY, entry.transaction.id))
        await asyncio.to_thread(self._block_thread.shutdown)
        await self._lane.close()

    async def wait_stopped(self) -> None:
        """See ``Engine``."""
        if self._task is not None:
            await asyncio.wait({self._task})
            if not self._task.cancelled():
                self._task.result()

    async def submit(self, transactions: Sequence[bytes], sender: Sender = INSIDE) -> list[Outcome]:
        """See ``Engine``."""
        self._check_running()
        loop = asyncio.get_running_loop()
        examined = await self._lane.examine(transactions, sender)
        self._check_running()
        self._witnesses.hear(examined)
        waiters = [self._admit(entry, loop.create_future()) for entry in examined]
        if len(self._pool) or self._is_stalled:
            self._wake.set()
        outcomes = await asyncio.gather(*waiters)
        return [
            outcome if entry.missing is None else replace(outcome, other_history=True)
            for entry, outcome in zip(examined, outcomes, strict=True)
        ]

    @property
    def disputed_by(self) -> int:
        """See ``Engine``."""
        return len(self._witnesses)

    @property
    def stall(self) -> str:
        """See ``Engine``."""
        if self._is_stalled:
            return "disk"
        since_s = self._making_since_s
        if since_s is not None and time.monotonic() - since_s > SLOW_S:
            return "block"
        if self.waited_s > INTERVALS_WAITED_MAX * BLOCK_INTERVAL_S:
            return "waiting"
        return "clock" if self._stands_s else ""

    @property
    def waited_s(self) -> float:
        """How long the oldest transaction has waited for its block, those in the block being made among them; 0 without any."""
        oldest = [entry.since_s for entry in (*self._making[:1], self._pool.oldest) if entry is not None]
        return time.monotonic() - min(oldest) if oldest else 0.0

    @property
    def stands_s(self) -> int:
        """See ``Engine``; as of the last look, a second ago at most."""
        return self._stands_s

    @property
    def gauges(self) -> Mapping[str, tuple[str, int]]:
        """See ``Engine``."""
        return {
            "pool_transactions": ("Transactions that wait for a block.", len(self._pool)),
            "oldest_wait_seconds": ("Seconds that the oldest of them has waited.", int(self.waited_s)),
        }

    async def wait_clock(self, after_s: int, timeout_s: float) -> int:
        """See ``Engine``."""
        return await self._time_s.wait_beyond(after_s, timeout_s)

    async def wait_height(self, after_height: int, timeout_s: float) -> int:
        """See ``Engine``."""
        return await self._height.wait_beyond(after_height, timeout_s)

    # ------------------------------------------------------------------------------------------------------ internal

    def _check_running(self) -> None:
        if self._task is None or self._task.done():
            raise EngineStoppedError(STOPPED)

    def _admit(self, examined: Examined, waiter: asyncio.Future[Outcome]) -> asyncio.Future[Outcome]:
        transaction = examined.candidate.transaction
        if transaction is None or examined.code is not Code.ACCEPTED:
            waiter.set_result(Outcome(examined.code, b"" if transaction is None else transaction.id))
            return waiter
        entry = Entry(examined, transaction, [waiter])
        if self._quotas.has_room(entry.author, entry.size, self._ledger.ledger_time_s):
            self._pool.add(entry)
        else:
            entry.answer(Outcome(Code.NODE_BUSY, transaction.id))
        return waiter

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._check_next_block()
            await self._wait_for_work()
            entries = self._making = self._pool.take()
            self._making_since_s = time.monotonic()
            making = loop.run_in_executor(self._block_thread, self._make, entries, self._pool.gateways())
            try:
                done = await asyncio.shield(making)
            except asyncio.CancelledError:
                await self._let_finish(entries, making)
                raise
            except StoreWriteError as error:
                self._stall(entries, error)
                continue
            except BaseException as error:
                self._break(entries, error)
                raise
            finally:
                self._making_since_s, self._making = None, ()
            if self._is_stalled:
                self._is_stalled = False
                log.warning("store_writes_again", height=self._ledger.height)
            self._publish(entries, done)
            self._note_standing(done)
            await self._time_s.reach(done.ledger_time_s)
            await self._height.reach(done.height)

    def _check_next_block(self) -> None:
        try:
            self._ledger.check_next_block()
        except GridError as error:
            self._break([], error)
            raise

    async def _let_finish(self, entries: Sequence[Entry], making: asyncio.Future[_Round]) -> None:
        """The thread cannot be stopped half-way: let it finish, tell who waits. What breaks there passes through."""
        try:
            self._publish(entries, await making)
        except StoreWriteError as error:
            log.error("store_cannot_write", reason=str(error), waiting=len(entries))
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._break(entries, error)
            raise

    async def _wait_for_work(self) -> None:
        if len(self._pool) or (self._ledger.work_pending and not self._is_stalled):
            return
        pause_s = self._retry_s if self._is_stalled else self._tick_s
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._wake.wait()
        self._wake.clear()

    def _make(self, entries: Sequence[Entry], gateways: Sequence[str]) -> _Round:
        """In the block thread: decide what is not decided yet."""
        ledger = self._ledger
        ledger.finish()
        answers, are_counted = self._answers_without_a_place(entries)
        fresh = [entry for entry, answer in zip(entries, answers, strict=True) if answer is None]
        decided: Iterator[Outcome] = iter(())
        if fresh or ledger.is_work_due():
            results = ledger.make_block([entry.examined for entry in fresh]).results
            if not are_counted:
                for entry, result in zip(fresh, results, strict=True):
                    if result.code != Code.ACCEPTED:
                        self._refusals.take(entry.author, entry.size)
            decided = iter([self._answer_of(entry, result) for entry, result in zip(fresh, results, strict=True)])
        complete = [next(decided) if answer is None else answer for answer in answers]
        progress = {name: ledger.application.gateway_progress(name) for name in gateways}
        return _Round(complete, progress, ledger.ledger_time_s, ledger.height, ledger.stands_s())

    def _answers_without_a_place(self, entries: Sequence[Entry]) -> tuple[list[Outcome | None], bool]:
        """Answers to those that get no place in the next block: decided for good before, refused before and again, or refused
        beyond the share of their author. None for the others; and whether refusals among these have been counted.
        """
        earlier = [earlier_answer(self._ledger, entry.transaction) for entry in entries]
        answers = [known if known is not None and known.code in FINAL else None for known in earlier]
        asked = [at for at, answer in enumerate(answers) if answer is None]
        sizes = Counter[Author]()
        for at in asked:
            sizes[entries[at].author] += entries[at].size
        if all(earlier[at] is None for at in asked) and self._refusals.fits(sizes):
            return answers, False
        for at, code in zip(asked, self._ledger.foresee([entries[at].examined for at in asked]), strict=True):
            entry, before = entries[at], earlier[at]
            if code is Code.ACCEPTED or (before is None and self._refusals.take(entry.author, entry.size)):
                continue
            height = before.height if before is not None and before.code is code else None
            answers[at] = Outcome(code, entry.transaction.id, height)
        return answers, True

    def _answer_of(self, entry: Entry, result: Result) -> Outcome:
        """The answer to a transaction of the newest block."""
        height = self._ledger.height
        if result.code == Code.EXISTS:
            return earlier_answer(self._ledger, entry.transaction) or Outcome(Code.EXISTS, result.id, height)
        return Outcome(Code(result.code), result.id, height, rows=result.rows)

    def _publish(self, entries: Sequence[Entry], done: _Round) -> None:
        for entry, answer in zip(entries, done.answers, strict=True):
            if answer.code is Code.ACCEPTED:
                self._quotas.count(entry.author, entry.size, done.ledger_time_s)
            entry.answer(answer)
        self._pool.done(entries, done.progress)

    def _note_standing(self, done: _Round) -> None:
        """Say once that ledger time stands, and once that it moves again."""
        if done.stands_s and not self._stands_s:
            log.error(
                "ledger_time_stands", ledger_time_s=done.ledger_time_s, behind_s=done.stands_s, reason=STALLS["clock"]
            )
        elif self._stands_s and not done.stands_s:
            log.warning("ledger_time_moves", ledger_time_s=done.ledger_time_s)
        self._stands_s = done.stands_s

    def _stall(self, entries: Sequence[Entry], error: StoreWriteError) -> None:
        if not self._is_stalled:
            log.error("store_cannot_write", reason=str(error), waiting=len(entries))
        self._is_stalled = True
        for entry in [*entries, *self._pool.give_up()]:
            entry.answer(Outcome(Code.NODE_BUSY, entry.transaction.id))

    def _break(self, entries: Sequence[Entry], error: BaseException) -> None:
        log.error("engine_stopped", reason=str(error), error=type(error).__name__)
        stopped = EngineStoppedError(STOPPED)
        for entry in [*entries, *self._pool.give_up()]:
            for waiter in entry.waiters:
                if not waiter.done():
                    waiter.set_exception(stopped)
