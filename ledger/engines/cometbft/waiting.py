"""What waits in the engine's mempool at this node: of each signer and each organisation a share, and nothing for ever.

The engine keeps transactions in order of arrival, whoever sent them and however long they wait, so that one member could fill every mempool
for good. It asks about each when it comes and again after each block; what it does not ask about any more, it has no more.

A proposer is given the oldest of the mempool, as much as a block holds. What would get no place in that block stays in front and keeps
everything behind it out of this block and the next ones: of such unready transactions there may only be far less than a block.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gridcore.transactions.reading_batch import ReadingBatch
from ledger.application import Examined
from ledger.engines.order import BatchPlace, batch_place
from ledger.engines.shares import Author, Share, Shares

OF_SIGNER: Final = Share(500, 64 << 20)
"""A quarter of what the engine's mempool holds (``home``)."""
OF_ORGANISATION: Final = Share(1_200, 128 << 20)
UNREADY_OF_SIGNER: Final = Share(8, 256 << 10)
"""Enough for every refusal that may get a receipt (``refusals``), and for neighbours that overtake one another on their way here."""
UNREADY_OF_ORGANISATION: Final = Share(64, 1 << 20)
"""An eighth of the bytes of a block."""
WAITING_S_MAX: Final = 60
"""Of block time: what got no place until then is dropped. Whoever submitted it was told before that it may be sent again."""
WAITING_BLOCKS_MIN: Final = 16
"""It has had so many chances: block time jumps where a chain begins, and where it has stood."""


@dataclass
class _Place:
    """since_height, since_s: of the newest block when it came, UTC seconds; height: of that when the engine asked last.

    shares: those that it counts in.
    """

    author: Author
    size_bytes: int
    batch: BatchPlace | None
    shares: Shares
    since_height: int
    since_s: int
    height: int

    @property
    def is_old(self) -> bool:
        """Whether it has had chances enough, apart from the time that they took."""
        return self.height - self.since_height >= WAITING_BLOCKS_MIN


class Waiting:
    """May be used by any thread."""

    def __init__(self, of_signer: Share = OF_SIGNER, of_organisation: Share = OF_ORGANISATION) -> None:
        self._ready = Shares(of_signer, of_organisation)
        self._unready = Shares(UNREADY_OF_SIGNER, UNREADY_OF_ORGANISATION)
        self._places: dict[bytes, _Place] = {}
        self._batches: dict[BatchPlace, bytes] = {}
        """Ids of the ready ones: of a gateway, an epoch and a counter no more than one."""
        self._lock = threading.Lock()

    def has_before(self, entry: Examined) -> bool:
        """Whether the batch that this one follows is waiting and ready."""
        batch, content = batch_place(entry), entry.content
        if batch is None or not isinstance(content, ReadingBatch):
            return False
        with self._lock:
            before = self._batches.get(batch._replace(counter=batch.counter - 1))
        return before == content.previous

    def may_wait(self, entry: Examined, height: int, time_s: int, *, is_ready: bool = True) -> bool:
        """Whether an admissible transaction may wait (any longer); ``height`` and ``time_s`` are those of the newest block.

        is_ready: whether the next block may take it. What may wait no longer is here no more.
        """
        wire, transaction = entry.candidate.wire, entry.candidate.transaction
        with self._lock:
            place = self._remove(wire)
            if place is None:
                author = Author("" if transaction is None else transaction.signer, entry.organisation)
                place = _Place(author, len(wire), batch_place(entry), self._unready, height, time_s, height)
            place.height = height
            if time_s - place.since_s > WAITING_S_MAX and place.is_old:
                return False
            is_ready = is_ready and place.batch not in self._batches
            place.shares = self._ready if is_ready else self._unready
            if not place.shares.has_room(place.author, len(wire)):
                return False
            place.shares.take(place.author, len(wire))
            self._places[wire] = place
            if is_ready and place.batch is not None and transaction is not None:
                self._batches[place.batch] = transaction.id
            return True

    def leave(self, wires: Iterable[bytes]) -> None:
        """These wait no more."""
        with self._lock:
            for wire in wires:
                self._remove(wire)

    def sweep(self, height: int) -> None:
        """Those that the engine has not asked about since block ``height`` are not there any more."""
        with self._lock:
            for wire in [wire for wire, place in self._places.items() if place.height < height]:
                self._remove(wire)

    def _remove(self, wire: bytes) -> _Place | None:
        """Take a transaction out of its share; returns the place that it had."""
        place = self._places.pop(wire, None)
        if place is None:
            return None
        place.shares.give_back(place.author, place.size_bytes)
        if place.batch is not None and place.shares is self._ready:
            del self._batches[place.batch]
        return place
