"""Transactions on their way: sent to the consensus engine, decided in a block, answered when that block is certified.

Plain data, used by the event loop's thread alone. Nothing here is durable: whoever submitted still has what is here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from gridcore.codes import Code
from ledger.application import Decided
from ledger.engines.base import Outcome
from ledger.engines.pool import Entry

ANSWER_S_MAX: Final = 20.0
"""Who waits longer is told NODE_BUSY, before clients and the door give up at 30 s. The transaction may still be decided: sent again, it gets that answer."""
RESEND_S: Final = 5.0
"""A transaction that is in no block after so long is sent again: the engine forgets what waits when it is started anew."""

SENT_MAX: Final = 250
"""On their way to a block at once: four such nodes stay within an organisation's share of the mempool. The others wait in the pool."""


@dataclass
class _Sent:
    """since_s: when it was taken over; resend_s: when it is due to be sent again (monotonic)."""

    entry: Entry
    since_s: float
    resend_s: float


@dataclass(frozen=True)
class _Answered:
    """What a block decided of an entry, which waits until the block is certified."""

    entry: Entry
    outcome: Outcome
    since_s: float


class Submissions:
    """See the module. Instants are monotonic seconds, given by the caller."""

    def __init__(self) -> None:
        self._sent: dict[bytes, _Sent] = {}
        self._decided: list[_Answered] = []
        self._given_up_s: float | None = None

    @property
    def oldest_s(self) -> float | None:
        """Since when the oldest transaction has waited for a block, one that was given up since the last block among them; None without any."""
        since_s = [sent.since_s for sent in self._sent.values()]
        return min([*since_s, *([] if self._given_up_s is None else [self._given_up_s])], default=None)

    @property
    def room(self) -> int:
        """Transactions that may be sent now: the engine of every node keeps them all until they are decided."""
        return max(0, SENT_MAX - len(self._sent))

    def send(self, entries: Sequence[Entry], now_s: float) -> None:
        """These are being sent for the first time."""
        for entry in entries:
            self._sent[entry.transaction.digest] = _Sent(entry, now_s, now_s + RESEND_S)

    def to_resend(self, now_s: float) -> list[Entry]:
        """Those that are due to be sent again."""
        due = [sent for sent in self._sent.values() if sent.resend_s <= now_s]
        for sent in due:
            sent.resend_s = now_s + RESEND_S
        return [sent.entry for sent in due]

    def retry(self, digests: Iterable[bytes]) -> None:
        """The engine did not take these transactions: they are due to be sent again."""
        for digest in digests:
            if digest in self._sent:
                self._sent[digest].resend_s = 0.0

    def decide(self, decided: Decided) -> list[Entry]:
        """Take note of a block; returns the entries that it decided. Their answers wait for its certificate."""
        self._given_up_s = None
        entries: list[Entry] = []
        for result in decided.results:
            sent = self._sent.pop(result.digest, None)
            if sent is not None:
                outcome = Outcome(Code(result.code), result.id, decided.header.height, rows=result.rows)
                self._decided.append(_Answered(sent.entry, outcome, sent.since_s))
                entries.append(sent.entry)
        return entries

    def await_certificate(self, entry: Entry, outcome: Outcome, now_s: float) -> None:
        """A block decided this before; who asks again is answered when it is certified."""
        self._decided.append(_Answered(entry, outcome, now_s))

    def drop(self, digest: bytes) -> Entry | None:
        """The entry of a transaction that enters no block (any more), if it is on its way."""
        sent = self._sent.pop(digest, None)
        return None if sent is None else sent.entry

    def certify(self, height: int) -> Iterator[tuple[Entry, Outcome]]:
        """Those whose blocks are certified up to ``height``, with their answers."""
        ready = [one for one in self._decided if (one.outcome.height or 0) <= height]
        self._decided = [one for one in self._decided if (one.outcome.height or 0) > height]
        for one in ready:
            yield one.entry, one.outcome

    def expire(self, now_s: float) -> tuple[list[Entry], list[Entry]]:
        """Those that have waited too long: in no block so far, and in one that is not certified. Neither is on its way any more."""
        late = [digest for digest, sent in self._sent.items() if now_s - sent.since_s > ANSWER_S_MAX]
        if late:
            self._given_up_s = self.oldest_s
        undecided = [self._sent.pop(digest).entry for digest in late]
        uncertified = [one.entry for one in self._decided if now_s - one.since_s > ANSWER_S_MAX]
        self._decided = [one for one in self._decided if now_s - one.since_s <= ANSWER_S_MAX]
        return undecided, uncertified

    def give_up(self) -> list[Entry]:
        """Everything that is on its way; nothing is afterwards."""
        entries = [sent.entry for sent in self._sent.values()] + [one.entry for one in self._decided]
        self._sent.clear()
        self._decided.clear()
        return entries
