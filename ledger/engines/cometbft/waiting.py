"""What waits in the engine's mempool at this node: of each signer and each organisation a share, and nothing for ever.

The engine keeps transactions in order of arrival, whoever sent them and however long they wait, so that one member could fill every mempool
for good. It asks about each when it comes and again after each block; what it does not ask about any more, it has no more.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ledger.application import Examined
from ledger.engines.shares import Author, Share, Shares

OF_SIGNER: Final = Share(500, 64 << 20)
"""A quarter of what the engine's mempool holds (``home``)."""
OF_ORGANISATION: Final = Share(1_200, 128 << 20)
WAITING_S_MAX: Final = 60
"""Of block time: what got no place until then is dropped. Whoever submitted it was told before that it may be sent again."""
WAITING_BLOCKS_MIN: Final = 16
"""It has had so many chances: block time jumps where a chain begins, and where it has stood."""


@dataclass
class _Place:
    """since_height, since_s: of the newest block when it came, UTC seconds; height: of that when the engine asked last."""

    author: Author
    size_bytes: int
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
        self._shares = Shares(of_signer, of_organisation)
        self._places: dict[bytes, _Place] = {}
        self._lock = threading.Lock()

    def may_wait(self, entry: Examined, height: int, time_s: int) -> bool:
        """Whether an admissible transaction may wait (any longer); ``height`` and ``time_s`` are those of the newest block."""
        wire, transaction = entry.candidate.wire, entry.candidate.transaction
        with self._lock:
            place = self._places.get(wire)
            if place is not None:
                place.height = height
                return time_s - place.since_s <= WAITING_S_MAX or not place.is_old
            author = Author("" if transaction is None else transaction.signer, entry.organisation)
            if not self._shares.has_room(author, len(wire)):
                return False
            self._shares.take(author, len(wire))
            self._places[wire] = _Place(author, len(wire), height, time_s, height)
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

    def _remove(self, wire: bytes) -> None:
        place = self._places.pop(wire, None)
        if place is not None:
            self._shares.give_back(place.author, place.size_bytes)
