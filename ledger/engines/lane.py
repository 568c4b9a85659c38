"""Whose transactions are examined next: a signature costs a millisecond to check and nothing to forge.

Submissions are examined piece by piece, and senders take turns. Those come first whose claimed signer has had a signature that held from
the same network, until one on the same connection does not hold; strangers get one turn in STRANGERS_TURN, and one at a time. Among them
goes first who has used least: the network, then the organisation, then the connection. Who hangs up has no further turn.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar

from gridcore.codes import Code
from gridcore.envelope import decode_transactions
from ledger.application import Examined
from ledger.engines.base import INSIDE, Sender

AT_ONCE: Final = 2
"""Pieces that are examined at once, of strangers' one."""
PIECE: Final = 4
"""Transactions of one turn: whoever is next waits for those that run."""
PIECE_ALONE: Final = 32
"""The same while nobody else is there: each piece costs two changes of threads."""
STRANGERS_TURN: Final = 4
REMEMBERED_MAX: Final = 65_536
"""Connections, and pairs of network and signer, whose last examination is remembered."""
HALVED_AFTER: Final = 4_096
"""What senders have used is halved after so many transactions: a burst is forgotten."""

FORGED: Final = frozenset({Code.WRONG_SIGNATURE, Code.ROWS_MISMATCH})
"""What only somebody else than the signer has made."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(eq=False)
class _Turn:
    """A submission that waits for its next turn."""

    sender: Sender
    organisation: str | None
    """Of the claimed signer, who is known; None for a stranger."""
    number: int
    begun: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def is_known(self) -> bool:
        """Whether it goes before strangers."""
        return self.organisation is not None


class Lane:
    """The examination of one node's submissions. Used by one event loop; ``examine`` runs in threads."""

    def __init__(self, examine: Callable[[list[bytes]], list[Examined]]) -> None:
        self._examine = examine
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="examining")
        self._waiting: list[_Turn] = []
        self._running: list[_Turn] = []
        self._turns = itertools.count(1)
        self._known_turns = 0  # since the last one of a stranger
        self._used_by_network: Counter[str] = Counter()
        self._used_by_organisation: Counter[str] = Counter()
        self._used_by_connection: Counter[str] = Counter()
        self._used = 0
        self._held_from: OrderedDict[tuple[str, str], str] = OrderedDict()
        """Organisation of a signer whose signature has held, by network and signer."""
        self._connections: OrderedDict[str, bool] = OrderedDict()
        """Whether every signature of a connection's last piece held."""

    async def close(self) -> None:
        """End the threads, after the pieces that they are at."""
        await asyncio.to_thread(self._threads.shutdown)

    async def examine(self, wires: Sequence[bytes], sender: Sender) -> list[Examined]:
        """What ``examine`` says of transactions, in this order, once it was their turn."""
        examined: list[Examined] = []
        while len(examined) < len(wires):
            piece = list(wires[len(examined) : len(examined) + self._piece_size(sender)])
            turn = _Turn(sender, self._organisation_of(sender, piece[0]), next(self._turns))
            await self._wait(turn)
            examining = asyncio.get_running_loop().run_in_executor(self._threads, self._examine, piece)
            examining.add_done_callback(partial(self._finish, turn))
            examined += await asyncio.shield(examining)  # a thread cannot be stopped: its turn lasts until it ends
        return examined

    def _piece_size(self, sender: Sender) -> int:
        if sender == INSIDE:
            return PIECE_ALONE
        has_held = self._connections.get(sender.connection)
        if has_held is None:
            return 1
        return PIECE_ALONE if has_held and not (self._running or self._waiting) else PIECE

    def _organisation_of(self, sender: Sender, first: bytes) -> str | None:
        if sender == INSIDE:
            return ""
        (transaction,) = decode_transactions([first])
        if transaction is None or not self._connections.get(sender.connection, True):
            return None
        return self._held_from.get((sender.network, transaction.signer))

    async def _wait(self, turn: _Turn) -> None:
        self._waiting.append(turn)
        self._begin_next()
        try:
            await turn.begun
        except asyncio.CancelledError:
            if turn in self._waiting:
                self._waiting.remove(turn)
            else:
                self._running.remove(turn)
                self._begin_next()
            raise

    def _begin_next(self) -> None:
        while len(self._running) < AT_ONCE:
            has_stranger = any(not turn.is_known for turn in self._running)
            able = [turn for turn in self._waiting if turn.is_known or not has_stranger]
            if not able:
                return
            turn = min(able, key=self._rank)
            self._waiting.remove(turn)
            self._running.append(turn)
            self._known_turns = self._known_turns + 1 if turn.is_known else 0
            if not turn.begun.done():
                turn.begun.set_result(None)

    def _rank(self, turn: _Turn) -> tuple[bool, int, int, int, int]:
        is_strangers_turn = self._known_turns >= STRANGERS_TURN - 1
        used = (
            self._used_by_network[turn.sender.network],
            self._used_by_organisation[turn.organisation or ""],
            self._used_by_connection[turn.sender.connection],
        )
        return turn.is_known == is_strangers_turn, *used, turn.number

    def _finish(self, turn: _Turn, done: asyncio.Future[list[Examined]]) -> None:
        self._running.remove(turn)
        if done.exception() is None and turn.sender != INSIDE:
            self._learn(turn, done.result())
        self._begin_next()

    def _learn(self, turn: _Turn, examined: Sequence[Examined]) -> None:
        sender = turn.sender
        _remember(self._connections, sender.connection, not any(one.code in FORGED for one in examined))
        for one in examined:
            if one.code is Code.ACCEPTED and one.candidate.transaction is not None:
                _remember(self._held_from, (sender.network, one.candidate.transaction.signer), one.organisation)
        self._used_by_network[sender.network] += len(examined)
        self._used_by_organisation[turn.organisation or ""] += len(examined)
        self._used_by_connection[sender.connection] += len(examined)
        self._used += len(examined)
        if self._used >= HALVED_AFTER:
            self._used = 0
            self._used_by_network = _halved(self._used_by_network)
            self._used_by_organisation = _halved(self._used_by_organisation)
            self._used_by_connection = _halved(self._used_by_connection)


def _remember(known: OrderedDict[K, V], key: K, value: V) -> None:
    known[key] = value
    known.move_to_end(key)
    if len(known) > REMEMBERED_MAX:
        known.popitem(last=False)


def _halved(used: Counter[str]) -> Counter[str]:
    return Counter({name: count // 2 for name, count in used.items() if count > 1})
