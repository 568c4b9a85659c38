"""The pool: transactions that wait for the next block, and reading batches that wait for the ones before them.

Plain data, used by the event loop's thread alone. Nothing here is durable: whoever submitted still has what is here.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from gridcore.codes import Code
from gridcore.envelope import Transaction
from ledger.application import Examined, Progress
from ledger.engines.base import Outcome
from ledger.engines.order import BatchPlace, batch_place, in_proposers_order
from ledger.engines.refusals import RefusalLimits
from ledger.engines.shares import Author, Share, Shares

POOL_TRANSACTIONS_MAX: Final = 16_384
POOL_BYTES_MAX: Final = 64 * 1024 * 1024
BLOCK_TRANSACTIONS_MAX: Final = 4_096
BLOCK_BYTES_MAX: Final = 16 * 1024 * 1024
OF_SIGNER: Final = Share(POOL_TRANSACTIONS_MAX // 4, POOL_BYTES_MAX // 4)
"""Of the pool, those of one signer."""
OF_ORGANISATION: Final = Share(POOL_TRANSACTIONS_MAX // 2, POOL_BYTES_MAX // 2)
HELD_BATCHES_MAX: Final = 64
"""Reading batches held for one gateway."""
HELD_BYTES_OF_GATEWAY_MAX: Final = 4 * 1024 * 1024
HELD_BYTES_MAX: Final = 32 * 1024 * 1024
"""Of all gateways together; a bound of their own, so that held batches never keep out the one they wait for."""


@dataclass(frozen=True)
class Limits:
    """Bounds of a pool and of the blocks that are taken from it; tests make them small."""

    pool_transactions: int = POOL_TRANSACTIONS_MAX
    pool_bytes: int = POOL_BYTES_MAX
    of_signer: Share = OF_SIGNER
    of_organisation: Share = OF_ORGANISATION
    block_transactions: int = BLOCK_TRANSACTIONS_MAX
    block_bytes: int = BLOCK_BYTES_MAX
    held_batches: int = HELD_BATCHES_MAX
    held_bytes_of_gateway: int = HELD_BYTES_OF_GATEWAY_MAX
    held_bytes: int = HELD_BYTES_MAX
    refused: RefusalLimits = field(default_factory=RefusalLimits)


@dataclass(eq=False)
class Entry:
    """An admissible transaction in the pool. ``waiters`` are told its answer: none for a batch that was held; ``since_s``: monotonic."""

    examined: Examined
    transaction: Transaction
    waiters: list[asyncio.Future[Outcome]] = field(default_factory=list)
    since_s: float = field(default_factory=time.monotonic)

    @property
    def size(self) -> int:
        """Wire bytes."""
        return len(self.examined.candidate.wire)

    @property
    def author(self) -> Author:
        """Whose transaction it is."""
        return Author(self.transaction.signer, self.examined.organisation)

    @property
    def batch(self) -> BatchPlace | None:
        """The place of a reading batch, else None."""
        return batch_place(self.examined)

    def answer(self, answer: Outcome) -> None:
        """Tell everyone who still waits."""
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(answer)
        self.waiters.clear()


class _Gateway:
    """What the pool knows of one gateway: state's progress, batches on their way into a block, batches held."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.queued: dict[int, int] = {}  # counter -> number of batches of the open epoch in the queue or in a block
        self.held: dict[int, Entry] = {}  # by counter
        self.held_bytes = 0
        self.next_counter = progress.counter + 1
        """The counter that would go straight into a block: the first one after ``progress`` that is not queued."""

    def enter(self, counter: int) -> None:
        """A batch of the open epoch is queued."""
        self.queued[counter] = self.queued.get(counter, 0) + 1
        self._pass_queued()

    def leave(self, counter: int) -> None:
        """A batch of the open epoch was decided or given up; ``move_to`` follows if it was applied."""
        left = self.queued.get(counter, 0) - 1
        if left > 0:
            self.queued[counter] = left
        elif self.queued.pop(counter, None) is not None and counter > self.progress.counter:
            self.next_counter = min(self.next_counter, counter)

    def move_to(self, progress: Progress) -> None:
        """The state has come to ``progress``."""
        if progress.epoch != self.progress.epoch:
            self.queued.clear()
            self.next_counter = 0
        self.progress = progress
        self.next_counter = max(self.next_counter, progress.counter + 1)
        self._pass_queued()

    def _pass_queued(self) -> None:
        while self.next_counter in self.queued:
            self.next_counter += 1


class Pool:
    """Bounded. A transaction is in it from ``add`` until ``done``; ``take`` moves some of them into the block being made."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._queue: deque[Entry] = deque()
        self._by_digest: dict[bytes, Entry] = {}
        self._shares = Shares(self._limits.of_signer, self._limits.of_organisation)
        # Kept for good (there are no more than state has): a batch examined before the last block must not meet an older
        # progress than the block made, or it would be held with nothing left to let it in.
        self._gateways: dict[str, _Gateway] = {}
        self._bytes = 0
        self._held_bytes = 0

    def __len__(self) -> int:
        """Transactions that wait for the next block (held ones do not count)."""
        return len(self._queue)

    @property
    def oldest(self) -> Entry | None:
        """The transaction that has waited longest for the next block."""
        return self._queue[0] if self._queue else None

    @property
    def held(self) -> int:
        """Reading batches that are held."""
        return sum(len(gateway.held) for gateway in self._gateways.values())

    def add(self, entry: Entry) -> None:
        """Take in an admissible transaction; who waits for it gets its answer, at once when it is held or not taken."""
        known = self._by_digest.get(entry.transaction.digest)
        if known is not None:
            known.waiters += entry.waiters
            return
        gateway = self._gateway_of(entry)
        if gateway is not None and entry.batch is not None:
            counter = entry.batch.counter
            if counter > gateway.next_counter:
                self._hold(entry, gateway, counter)
                return
        if not self._enqueue(entry):
            entry.answer(Outcome(Code.NODE_BUSY, entry.transaction.id))
        elif gateway is not None:
            self._release(gateway)

    def take(self, transactions_max: int = BLOCK_TRANSACTIONS_MAX) -> list[Entry]:
        """The next block, or part of it: in order of arrival, except that neighbouring batches stand by gateway and counter."""
        taken: list[Entry] = []
        size = 0
        while self._queue and len(taken) < min(transactions_max, self._limits.block_transactions):
            if taken and size + self._queue[0].size > self._limits.block_bytes:
                break
            entry = self._queue.popleft()
            size += entry.size
            taken.append(entry)
        return in_proposers_order(taken, lambda entry: entry.batch)

    def done(self, entries: Iterable[Entry], progress: Mapping[str, Progress]) -> None:
        """These entries have been decided or given up. ``progress``: what the state has now, by gateway."""
        for entry in entries:
            del self._by_digest[entry.transaction.digest]
            self._bytes -= entry.size
            self._shares.give_back(entry.author, entry.size)
            gateway = self._gateways.get(entry.transaction.signer) if entry.batch else None
            if gateway is not None and entry.batch is not None and entry.batch.epoch == gateway.progress.epoch:
                gateway.leave(entry.batch.counter)
        for name, reached in progress.items():
            gateway = self._gateways.get(name)
            if gateway is not None:
                self._move_on(gateway, reached)

    def gateways(self) -> list[str]:
        """Gateways with a batch in the pool, whose progress ``done`` wants to know."""
        return [name for name, gateway in self._gateways.items() if gateway.held or gateway.queued]

    def give_up(self) -> list[Entry]:
        """Empty the pool and return what was in it (held batches are forgotten)."""
        entries = list(self._by_digest.values())
        self._queue.clear()
        self._by_digest.clear()
        self._shares.clear()
        self._gateways.clear()
        self._bytes = self._held_bytes = 0
        return entries

    def _gateway_of(self, entry: Entry) -> _Gateway | None:
        """The gateway of a batch of the open epoch; other batches are the ledger's to refuse."""
        progress = entry.examined.progress
        if entry.batch is None or progress is None:
            return None
        gateway = self._gateways.setdefault(entry.batch.gateway, _Gateway(progress))
        if progress > gateway.progress:
            self._move_on(gateway, progress)
        return gateway if entry.batch.epoch == gateway.progress.epoch else None

    def _enqueue(self, entry: Entry) -> bool:
        limits = self._limits
        if len(self._by_digest) >= limits.pool_transactions or self._bytes + entry.size > limits.pool_bytes:
            return False
        if not self._shares.has_room(entry.author, entry.size):
            return False
        self._shares.take(entry.author, entry.size)
        self._queue.append(entry)
        self._by_digest[entry.transaction.digest] = entry
        self._bytes += entry.size
        if entry.batch is not None:
            gateway = self._gateways.get(entry.batch.gateway)
            if gateway is not None and entry.batch.epoch == gateway.progress.epoch:
                gateway.enter(entry.batch.counter)
        return True

    def _hold(self, entry: Entry, gateway: _Gateway, counter: int) -> None:
        """Keep a batch back, one for each counter: another one with the same counter may be sent again once this is decided."""
        held, limits = gateway.held, self._limits
        has_room = (
            len(held) < limits.held_batches
            and gateway.held_bytes + entry.size <= limits.held_bytes_of_gateway
            and self._held_bytes + entry.size <= limits.held_bytes
        )
        if counter not in held and has_room:
            entry.examined = replace(
                entry.examined, attached=None
            )  # held bytes are wire bytes: it is read again in its block
            held[counter] = entry
            gateway.held_bytes += entry.size
            self._held_bytes += entry.size
        if counter in held and held[counter].transaction.id == entry.transaction.id:
            entry.answer(Outcome(Code.WAITING, entry.transaction.id, waiting_for=gateway.next_counter))
        else:
            entry.answer(Outcome(Code.COUNTER_GAP, entry.transaction.id))

    def _move_on(self, gateway: _Gateway, progress: Progress) -> None:
        """Take note of what the state now has of a gateway, drop held batches that are past, let in those that are next."""
        is_closed = progress.epoch != gateway.progress.epoch
        gateway.move_to(progress)
        for counter in [*gateway.held]:
            if is_closed or counter <= progress.counter:
                self._let_go(gateway, counter)
        self._release(gateway)

    def _release(self, gateway: _Gateway) -> None:
        counter = gateway.next_counter
        while counter in gateway.held and self._enqueue(gateway.held[counter]):
            self._let_go(gateway, counter)
            counter = gateway.next_counter

    def _let_go(self, gateway: _Gateway, counter: int) -> None:
        size = gateway.held.pop(counter).size
        gateway.held_bytes -= size
        self._held_bytes -= size
