"""What blocks hold, counted once: lists of blocks ask for the same ones again and again, and blocks never change."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import Final

from gridcore.codes import Code
from gridcore.envelope import decode_transactions
from ledger.store.errors import PrunedError
from ledger.store.reader import LedgerReader

BLOCKS_MAX: Final = 4_096
"""Blocks that are remembered, each in under a kilobyte."""


@dataclass(frozen=True)
class KindCount:
    """How many transactions of a kind; kind: None for bytes that are no transaction."""

    kind: str | None
    count: int


@dataclass(frozen=True)
class Contents:
    """What a block holds. transactions, refused: how many; kinds: ascending by name, None where the block was pruned."""

    transactions: int
    refused: int
    kinds: tuple[KindCount, ...] | None


class BlockContents:
    """Contents by height. Callable from several threads."""

    def __init__(self, reader: LedgerReader) -> None:
        self._reader = reader
        self._found: OrderedDict[int, Contents] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, height: int) -> Contents:
        """What the block of ``height`` holds."""
        with self._lock:
            found = self._found.get(height)
        if found is None:
            results = self._reader.results(height)
            refused = sum(entry.code != Code.ACCEPTED for entry in results)
            found = Contents(len(results), refused, self._kinds(height))
            with self._lock:
                self._found[height] = found
                if len(self._found) > BLOCKS_MAX:
                    self._found.popitem(last=False)
        return found

    def _kinds(self, height: int) -> tuple[KindCount, ...] | None:
        try:
            wires = self._reader.block(height).transactions
        except PrunedError:
            return None
        counted = Counter(None if one is None else one.kind for one in decode_transactions(wires))
        return tuple(KindCount(kind, count) for kind, count in sorted(counted.items(), key=lambda item: item[0] or ""))
