"""How much the chain takes of one signer, and of one organisation, in an hour: who has a key cannot fill everybody's disk with it.

Every accepted transaction counts, at whichever node of a consortium it was submitted and whether or not anybody waited for its answer (what is refused has its own share, ``ledger.engines.refusals``). Beyond its quota a signer is told
NODE_BUSY, and the same bytes are taken in the next hour. The hour is of the node's time or of ledger time, whichever passes first.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from gridcore.serving.door import Seldom
from ledger.engines.shares import Author, Share, Shares

WINDOW_S: Final = 3_600
_COUNT: Final = {"min": 1, "max": 1 << 30}
_BYTES: Final = {"min": 1 << 20, "max": 1 << 40}


@dataclass(frozen=True)
class Quotas:
    """Accepted transactions and wire bytes in an hour. A gateway that fills in a month of 96 boundaries a day needs 3,000."""

    signer_transactions: int = field(default=4_096, metadata=_COUNT)
    signer_bytes: int = field(default=64 << 20, metadata=_BYTES)
    organisation_transactions: int = field(default=1 << 20, metadata=_COUNT)
    organisation_bytes: int = field(default=2 << 30, metadata=_BYTES)


class QuotaKeeper:
    """What has been accepted in this hour. Used by one event loop."""

    def __init__(self, quotas: Quotas, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._shares = Shares(
            Share(quotas.signer_transactions, quotas.signer_bytes),
            Share(quotas.organisation_transactions, quotas.organisation_bytes),
        )
        self._monotonic = monotonic
        self._ends_s = 0.0
        self._ends_ledger_s = 0
        self._seldom = Seldom()

    def has_room(self, author: Author, size_bytes: int, ledger_time_s: int) -> bool:
        """Whether a transaction of ``size_bytes`` may be taken now, at ``ledger_time_s`` (UTC seconds)."""
        self._turn(ledger_time_s)
        has_room = self._shares.has_room(author, size_bytes)
        if not has_room:
            self._seldom.warn("quota_used_up", signer=author.signer, organisation=author.organisation)
        return has_room

    def count(self, author: Author, size_bytes: int, ledger_time_s: int) -> None:
        """A transaction was accepted by a block of ``ledger_time_s``."""
        self._turn(ledger_time_s)
        self._shares.take(author, size_bytes)

    def _turn(self, ledger_time_s: int) -> None:
        now_s = self._monotonic()
        if now_s >= self._ends_s or ledger_time_s >= self._ends_ledger_s:
            self._ends_s, self._ends_ledger_s = now_s + WINDOW_S, ledger_time_s + WINDOW_S
            self._shares.clear()
