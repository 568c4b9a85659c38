"""The engine of a consortium: submissions go to CometBFT, which decides blocks together with the other organisations' nodes.

asyncio in front (this class), the machine behind, called by the server's threads. What the machine tells of blocks comes over as
events, in order. A submission is answered when its block is certified with SM2, not when it is decided.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

from gridcore.clock import WallClock
from gridcore.codes import Code
from gridcore.logs import get_logger
from gridcore.serving.door import Seldom
from ledger.application import Decided, Examined, Progress
from ledger.engines.base import (
    BLOCK_INTERVAL_S,
    INSIDE,
    INTERVALS_WAITED_MAX,
    EngineStoppedError,
    Outcome,
    Sender,
)
from ledger.engines.cometbft.machine import Machine
from ledger.engines.cometbft.rpc import EngineRpc, EngineRpcError
from ledger.engines.cometbft.server import AbciServer
from ledger.engines.cometbft.submissions import Submissions
from ledger.engines.cometbft.watch import ClockWatch, EngineWatch
from ledger.engines.earlier import FINAL, earlier_answer
from ledger.engines.lane import Lane
from ledger.engines.pool import Entry, Limits, Pool
from ledger.engines.quotas import QuotaKeeper, Quotas
from ledger.engines.rising import Rising
from ledger.engines.shares import Author
from ledger.engines.witnesses import Witnesses
from ledger.store.consortium import ConsortiumLedger

TICK_S: Final = 1.0
"""How often what waits is looked at: sent again, or answered with NODE_BUSY."""
QUIET_S: Final = 60.0
"""Without a block for so long, fewer than two thirds of the validators agree: the engine makes one in 10 s even with nothing to do."""
STOPPED: Final = "the node takes no part in blocks any more: see its log for the reason, then start it again"

log = get_logger(__name__)


@dataclass(frozen=True)
class Doors:
    """Where the two halves meet. abci: the address we listen on, as in the engine's proxy_app; rpc_port: where the engine listens."""

    abci: str
    rpc_port: int


@dataclass(frozen=True)
class _Dropped:
    """The machine told CometBFT to keep a transaction no longer."""

    entry: Examined
    code: Code


class CometEngine:
    """Runs a ``ConsortiumLedger``; use it with ``async with``, in one event loop. Closing it leaves the ledger open for its owner.

    peers: node ids that may connect to the consensus engine, None: everybody.
    """

    def __init__(
        self,
        ledger: ConsortiumLedger,
        doors: Doors,
        limits: Limits | None = None,
        quotas: Quotas | None = None,
        *,
        peers: frozenset[str] | None = None,
    ) -> None:
        limits = limits or Limits()
        self._ledger = ledger
        self._machine = Machine(ledger, listener=self, peers=peers, refusals=limits.refused)
        self._server = AbciServer(self._machine, doors.abci, self._machine_stopped)
        self._rpc = EngineRpc(doors.rpc_port)
        self._watch = EngineWatch(self._rpc, lambda: [one.power for one in ledger.application.validators])
        self._clocks = ClockWatch(WallClock())
        self._pool = Pool(limits)
        self._quotas = QuotaKeeper(quotas or Quotas())
        self._lane = Lane(self._examine)
        self._witnesses = Witnesses()
        self._submissions = Submissions()
        self._time_s = Rising(ledger.ledger_time_s)
        self._height = Rising(ledger.height)
        self._block_s = time.monotonic()
        self._seldom = Seldom()
        self._events: asyncio.Queue[Decided | _Dropped] = asyncio.Queue()
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped: asyncio.Future[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._stopped = self._loop.create_future()
        await self._rpc.__aenter__()
        self._server.start()
        self._tasks = [
            asyncio.create_task(work(), name="consortium")
            for work in (self._send, self._follow, self._tick, self._look)
        ]
        for task in self._tasks:
            self.depend_on(task)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End after the answer that is being made; who waits is told NODE_BUSY."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._server.close)
        for entry in [*self._submissions.give_up(), *self._pool.give_up()]:
            entry.answer(Outcome(Code.NODE_BUSY, entry.transaction.id))
        await self._lane.close()
        await self._rpc.__aexit__()
        if self._stopped is not None and not self._stopped.done():
            self._stopped.set_result(None)

    def depend_on(self, task: asyncio.Task[None]) -> None:
        """The engine breaks with what breaks ``task``, as that which keeps CometBFT's process alive."""
        task.add_done_callback(self._task_ended)

    async def wait_stopped(self) -> None:
        """See ``Engine``."""
        if self._stopped is not None:
            await asyncio.shield(self._stopped)

    async def submit(self, transactions: Sequence[bytes], sender: Sender = INSIDE) -> list[Outcome]:
        """See ``Engine``."""
        self._check_running()
        examined = await self._lane.examine(transactions, sender)
        known = await asyncio.to_thread(self._earlier_answers, examined)
        self._check_running()
        self._witnesses.hear(examined)
        waiters = [self._admit(entry, answer) for entry, answer in zip(examined, known, strict=True)]
        self._release()
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
        if self._server.is_stalled:
            return "disk"
        if self._watch.is_away:
            return "engine"
        if self._watch.is_behind:
            return "behind"
        if time.monotonic() - self._block_s > QUIET_S:
            return "quorum"
        if self.waited_s > INTERVALS_WAITED_MAX * BLOCK_INTERVAL_S:
            return "waiting"
        return "clock" if self.stands_s else ""

    @property
    def waited_s(self) -> float:
        """How long the oldest transaction has waited for a block, in the pool or on its way; 0 without any. Its certificate comes after that."""
        oldest = self._pool.oldest
        waiting_s = (self._submissions.oldest_s, None if oldest is None else oldest.since_s)
        since_s = [one for one in waiting_s if one is not None]
        return time.monotonic() - min(since_s) if since_s else 0.0

    @property
    def stands_s(self) -> int:
        """See ``Engine``: as of the newest block."""
        return self._ledger.application.stands_s(self._machine.newest_time_s())

    @property
    def position(self) -> tuple[int, int] | None:
        """The height and round in which the consensus engine is, together with the others; None while it is not known."""
        return self._watch.position

    @property
    def gauges(self) -> Mapping[str, tuple[str, int]]:
        """See ``Engine``."""
        offset = ("Seconds by which this machine's clock was ahead of the newest block.", self._clocks.offset_s)
        waited = ("Seconds that the oldest transaction has waited for a block.", int(self.waited_s))
        return {**self._watch.gauges, "clock_offset_seconds": offset, "oldest_wait_seconds": waited}

    async def wait_clock(self, after_s: int, timeout_s: float) -> int:
        """See ``Engine``."""
        return await self._time_s.wait_beyond(after_s, timeout_s)

    async def wait_height(self, after_height: int, timeout_s: float) -> int:
        """See ``Engine``."""
        return await self._height.wait_beyond(after_height, timeout_s)

    # -------------------------------------------------------------------------- what the machine tells, in its threads

    def committed(self, decided: Decided) -> None:
        """See ``machine.Listener``."""
        self._tell(decided)

    def dropped(self, entry: Examined, code: Code) -> None:
        """See ``machine.Listener``."""
        self._tell(_Dropped(entry, code))

    def _tell(self, event: Decided | _Dropped) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._events.put_nowait, event)

    def _machine_stopped(self, error: BaseException) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._break, error)

    # ------------------------------------------------------------------------------------------------------ internal

    def _check_running(self) -> None:
        if self._stopped is None or self._stopped.done():
            raise EngineStoppedError(STOPPED)

    def _examine(self, wires: list[bytes]) -> list[Examined]:
        """In a thread of the lane: what is found out here the machine need not find out again."""
        return self._machine.examined.examine(wires, self._machine.newest_time_s())

    def _earlier_answers(self, entries: Sequence[Examined]) -> list[Outcome | None]:
        """Of each the answer that it got for good in an earlier block."""
        answers = [
            None if entry.candidate.transaction is None else earlier_answer(self._ledger, entry.candidate.transaction)
            for entry in entries
        ]
        return [answer if answer is not None and answer.code in FINAL else None for answer in answers]

    def _admit(self, examined: Examined, known: Outcome | None) -> asyncio.Future[Outcome]:
        waiter: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        transaction = examined.candidate.transaction
        if transaction is None or examined.code is not Code.ACCEPTED:
            waiter.set_result(Outcome(examined.code, b"" if transaction is None else transaction.id))
        elif known is not None:
            self._submissions.await_certificate(Entry(examined, transaction, [waiter]), known, time.monotonic())
        else:
            entry = Entry(examined, transaction, [waiter])
            if self._quotas.has_room(entry.author, entry.size, self._ledger.ledger_time_s):
                self._pool.add(entry)
            else:
                entry.answer(Outcome(Code.NODE_BUSY, transaction.id))
        return waiter

    async def _send(self) -> None:
        """Give the engine what waits, as it comes."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while (room := self._submissions.room) and (entries := self._pool.take(room)):
                self._submissions.send(entries, time.monotonic())
                await self._broadcast(entries)

    async def _broadcast(self, entries: Sequence[Entry]) -> None:
        """Send transactions to the engine. What it does not take now is sent again later."""
        try:
            taken = await self._rpc.broadcast([entry.examined.candidate.wire for entry in entries])
        except EngineRpcError as error:
            self._seldom.warn("engine_does_not_answer", reason=str(error), waiting=len(entries))
            self._submissions.retry(entry.transaction.digest for entry in entries)
            return
        without_room = [entry for entry, is_taken in zip(entries, taken, strict=True) if not is_taken]
        if without_room:
            self._seldom.warn("engine_has_no_room", waiting=len(without_room))
            self._submissions.retry(entry.transaction.digest for entry in without_room)

    async def _follow(self) -> None:
        """Take note of blocks and of transactions that enter none, in the order in which the machine told."""
        while True:
            event = await self._events.get()
            if isinstance(event, _Dropped):
                await self._drop(event)
                continue
            self._block_s = time.monotonic()
            if not self._watch.is_behind:
                self._clocks.compare(event.header.time_s)
            entries = self._submissions.decide(event)
            accepted = await asyncio.to_thread(self._accepted_of, event)
            for author, size_bytes in accepted:
                self._quotas.count(author, size_bytes, event.header.ledger_time_s)
            progress = await asyncio.to_thread(self._progress_of, self._pool.gateways())
            self._pool.done(entries, progress)
            self._wake.set()
            self._release()
            await self._time_s.reach(event.header.ledger_time_s)
            await self._height.reach(event.header.height)
            await self._wish()

    async def _drop(self, event: _Dropped) -> None:
        """Answer a transaction that gets no place in a block: as it was decided before, else with the code that it would get."""
        transaction = event.entry.candidate.transaction
        if transaction is not None and event.code is Code.NODE_BUSY:  # beyond a share of the mempool, at the moment
            self._submissions.retry([transaction.digest])
            return
        entry = None if transaction is None else self._submissions.drop(transaction.digest)
        if transaction is None or entry is None:
            return
        known = await asyncio.to_thread(earlier_answer, self._ledger, transaction)
        self._pool.done([entry], {})
        if known is None:
            entry.answer(Outcome(event.code, transaction.id))
        else:
            self._submissions.await_certificate(entry, known, time.monotonic())
            self._release()

    def _release(self) -> None:
        """Answer everybody whose block is certified."""
        for entry, outcome in self._submissions.certify(self._ledger.certified_height):
            entry.answer(outcome)

    async def _wish(self) -> None:
        """Ask for another block, where one with transactions has no certificate yet."""
        wish = await asyncio.to_thread(self._machine.wish)
        if wish is not None:
            try:
                await self._rpc.broadcast([wish])
            except EngineRpcError as error:
                self._seldom.warn("engine_does_not_answer", reason=str(error), waiting=0)

    async def _tick(self) -> None:
        """Once a second: send again what may have been lost, and let nobody wait for ever."""
        while True:
            await asyncio.sleep(TICK_S)
            now_s = time.monotonic()
            undecided, uncertified = self._submissions.expire(now_s)
            self._give_back(undecided, await asyncio.to_thread(self._progress_of, self._pool.gateways()))
            for entry in uncertified:
                entry.answer(Outcome(Code.NODE_BUSY, entry.transaction.id))
            again = self._submissions.to_resend(now_s)
            if again:
                await self._broadcast(again)

    async def _look(self) -> None:
        """Once a second: how the consensus engine is."""
        while True:
            await self._watch.look()
            await asyncio.sleep(TICK_S)

    def _give_back(self, entries: Sequence[Entry], progress: dict[str, Progress]) -> None:
        for entry in entries:
            entry.answer(Outcome(Code.NODE_BUSY, entry.transaction.id))
        self._pool.done(entries, progress)

    def _accepted_of(self, decided: Decided) -> list[tuple[Author, int]]:
        """Of each transaction that a block accepted, whichever node it came to and whether or not anybody still waits: author and wire bytes."""
        block, application = decided.block, self._ledger.application
        accepted = [
            (transaction.signer, len(wire))
            for transaction, wire, result in zip(block.decoded, block.transactions, decided.results, strict=True)
            if transaction is not None and result.code == Code.ACCEPTED
        ]
        owners = {signer: application.organisation_of(signer) for signer, _ in accepted}
        return [(Author(signer, owners[signer]), size_bytes) for signer, size_bytes in accepted]

    def _progress_of(self, gateways: Sequence[str]) -> dict[str, Progress]:
        return {name: self._ledger.application.gateway_progress(name) for name in gateways}

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._break(error)

    def _break(self, error: BaseException) -> None:
        """Nothing submitted from now on is decided here."""
        if self._stopped is None or self._stopped.done():
            return
        log.error("engine_stopped", reason=str(error), error=type(error).__name__)
        self._stopped.set_exception(error)
        for entry in [*self._submissions.give_up(), *self._pool.give_up()]:
            for waiter in entry.waiters:
                if not waiter.done():
                    waiter.set_exception(EngineStoppedError(STOPPED))
