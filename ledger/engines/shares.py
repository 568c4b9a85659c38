"""Who has how much of what is bounded: each signer, and each organisation with all its signers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple


class Author(NamedTuple):
    """Who signed a transaction, and of which organisation the signer is."""

    signer: str
    organisation: str


@dataclass(frozen=True)
class Share:
    """At most so many transactions, of at most so many wire bytes together."""

    transactions: int
    size_bytes: int


class Shares:
    """Transactions and their bytes by signer and by organisation, each within its share."""

    def __init__(self, of_signer: Share, of_organisation: Share) -> None:
        self._shares = (of_signer, of_organisation)
        self._transactions: Counter[tuple[int, str]] = Counter()
        self._bytes: Counter[tuple[int, str]] = Counter()

    def has_room(self, author: Author, size_bytes: int) -> bool:
        """Whether one more transaction of ``size_bytes`` is within both shares."""
        return all(
            self._transactions[key] < share.transactions and self._bytes[key] + size_bytes <= share.size_bytes
            for key, share in zip(enumerate(author), self._shares, strict=True)
        )

    def take(self, author: Author, size_bytes: int) -> None:
        """One more transaction of ``size_bytes``."""
        for key in enumerate(author):
            self._transactions[key] += 1
            self._bytes[key] += size_bytes

    def give_back(self, author: Author, size_bytes: int) -> None:
        """One that was taken is there no more."""
        for key in enumerate(author):
            self._transactions[key] -= 1
            self._bytes[key] -= size_bytes
            if not self._transactions[key]:
                del self._transactions[key], self._bytes[key]

    def clear(self) -> None:
        """Nobody has anything any more."""
        self._transactions.clear()
        self._bytes.clear()
