"""A node without blocks begins with a snapshot of others (state sync), as CometBFT's syncer does it.

The highest snapshot that anybody offers is tried first; those who offer it are asked for its chunks in turn. Whoever
sent what the machine refuses is asked no more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final, Protocol

from simulators.consensus.conversation import Applied, Conversation
from simulators.consensus.messages import Chunk, ChunkWanted, Message, Offer, Offers, OffersWanted

LOOK_MS: Final = 300
"""How often it is asked for what has not come."""
CHUNKS_AT_ONCE: Final = 4


class Door(Protocol):
    """How it reaches the others, and what it is told."""

    def tell(self, receiver: int, message: Message) -> None:
        """Send to one."""

    def tell_all(self, message: Message) -> None:
        """Send to all others."""

    def note(self, what: str) -> None:
        """Write down an event."""


class Joining:
    """See the module. app_hash_of: after a height, as the engine's light client has verified it, None where it cannot yet.

    joined: called with the height that the machine has then.
    """

    def __init__(
        self,
        conversation: Conversation,
        door: Door,
        app_hash_of: Callable[[int], bytes | None],
        joined: Callable[[int], None],
    ) -> None:
        self._conversation = conversation
        self._door = door
        self._app_hash_of = app_hash_of
        self._joined = joined
        self._offers: dict[Offer, set[int]] = {}
        self._refused: set[Offer] = set()
        self._refused_senders: set[int] = set()
        self._taken: Offer | None = None
        self._missing: list[int] = []
        self._turn = 0

    def look(self) -> None:
        """Ask for what is needed next; called every LOOK_MS."""
        if self._taken is None:
            self._choose()
        if self._taken is None:
            self._door.tell_all(OffersWanted())
            return
        senders = sorted(self._offers[self._taken] - self._refused_senders)
        if not senders:  # others may offer it yet
            self._taken = None
            return
        for index in self._missing[:CHUNKS_AT_ONCE]:
            self._turn += 1
            self._door.tell(senders[self._turn % len(senders)], ChunkWanted(self._taken.height, index))

    def take(self, sender: int, message: Offers | Chunk) -> None:
        """What somebody has answered."""
        if sender in self._refused_senders:
            return
        match message:
            case Offers(offers):
                for offer in offers:
                    self._offers.setdefault(offer, set()).add(sender)
            case Chunk(height, index, data):
                taken = self._taken
                if taken is not None and taken.height == height and index in self._missing and data:
                    self._apply(taken, sender, index, data)

    def _choose(self) -> None:
        for offer in sorted(self._offers.keys() - self._refused, key=self._place):
            app_hash = self._app_hash_of(offer.height)
            if app_hash is None or not self._offers[offer] - self._refused_senders:
                continue
            if self._conversation.offer(offer, app_hash):
                self._taken, self._missing = offer, list(range(offer.chunks))
                return
            self._give_up(offer)

    def _place(self, offer: Offer) -> tuple[int, int]:
        """The highest first. Never by digest: signatures are in it, and no seed decides them."""
        return -offer.height, min(self._offers[offer])

    def _apply(self, taken: Offer, sender: int, index: int, data: bytes) -> None:
        applied: Applied = self._conversation.apply(index, data, sender)
        self._refuse(applied.refused_senders)
        if applied.is_snapshot_refused:
            self._give_up(taken)
        elif applied.is_taken:
            self._missing.remove(index)
            if not self._missing:
                self._joined(taken.height)

    def _refuse(self, senders: Collection[int]) -> None:
        for sender in senders:
            self._door.note(f"takes nothing more of a snapshot from node {sender}")
        self._refused_senders |= set(senders)

    def _give_up(self, offer: Offer) -> None:
        self._door.note(f"takes no snapshot of height {offer.height} as nodes {sorted(self._offers[offer])} offer it")
        self._refused.add(offer)
        self._taken, self._missing = None, []
