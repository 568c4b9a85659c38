"""Transactions that were examined once, by their bytes: they come again as proposals and in blocks. A shortcut, never a verdict.

What may change with the state (key, role, progress) is judged anew each time; what follows from the bytes alone is kept: the decoded
transaction, whether a signature holds for a key, what is attached.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final

from ledger.application import Application, Examined

KEPT_BYTES_MAX: Final = 64 << 20
"""Of the transactions that are remembered, as ``kept_bytes`` counts them; what is decoded of them takes about three times as much."""
ENTRY_BYTES: Final = 1_024
"""What remembering takes beside the wire bytes: of bytes that are no transaction there may be few, but very many times."""


class ExaminedTransactions:
    """May be used by any thread."""

    def __init__(self, application: Application, bytes_max: int = KEPT_BYTES_MAX) -> None:
        self._application = application
        self._bytes_max = bytes_max
        self._bytes = 0
        self._entries: OrderedDict[bytes, Examined] = OrderedDict()
        self._lock = threading.Lock()

    def remember(self, entries: Iterable[Examined]) -> None:
        """Keep what was examined elsewhere; the oldest go when there is no room."""
        with self._lock:
            for entry in entries:
                wire = entry.candidate.wire
                if wire not in self._entries:
                    self._bytes += kept_bytes(wire)
                self._entries[wire] = entry
            while self._bytes > self._bytes_max:
                oldest, _ = self._entries.popitem(last=False)
                self._bytes -= kept_bytes(oldest)

    def forget(self, wires: Iterable[bytes]) -> None:
        """These have been decided."""
        with self._lock:
            for wire in wires:
                if self._entries.pop(wire, None) is not None:
                    self._bytes -= kept_bytes(wire)

    def find(self, wire: bytes) -> Examined | None:
        """What is remembered of a transaction: its code may be of an earlier state."""
        with self._lock:
            return self._entries.get(wire)

    def examine(self, wires: Sequence[bytes], time_s: int) -> list[Examined]:
        """Each transaction as ``Application.examine`` judges it for the next block, of ``time_s``."""
        with self._lock:
            found = {wire: self._entries[wire] for wire in wires if wire in self._entries}
        new = [wire for wire in dict.fromkeys(wires) if wire not in found]
        examined = self._application.examine(new, time_s) if new else []
        self.remember(examined)
        examined += self._application.examine_again(list(found.values()), time_s) if found else []
        by_wire = {entry.candidate.wire: entry for entry in examined}
        return [by_wire[wire] for wire in wires]


def kept_bytes(wire: bytes) -> int:
    """What remembering a transaction counts."""
    return ENTRY_BYTES + len(wire)
