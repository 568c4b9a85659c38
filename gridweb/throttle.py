"""Slows down whoever guesses passwords: by name and address together, by address, by name, and over all.

A name is never locked for everybody after a few failures: that would let a stranger lock its owner out. What counts up fast is
the pair of name and address; a name attacked from many addresses is slowed more gently. Of IPv6 a network of 64 bits counts as
one address: that is the least that anybody has.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

FREE: Final = {"pair": 5, "address": 30, "name": 50}
"""Failures in a row that cost nothing, by what they are counted for."""
LOCK_S: Final = 60
LOCK_S_MAX: Final = 900
"""The first lock, and the longest; each failure beyond the free ones doubles it."""
FORGET_S: Final = 3_600
ENTRIES_MAX: Final = 20_000
"""Names, addresses and pairs that are remembered; the least recently failed goes first."""
CHECKS_MAX: Final = 4
"""Passwords that are checked at once: each takes 64 MiB and a core's tenth of a second."""


@dataclass
class _Entry:
    failures: int = 0
    failed_s: float = 0.0
    locked_until_s: float = 0.0


class Throttle:
    """Failed sign-ins of the last hour; in memory, used by one event loop alone."""

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._now_s = monotonic_s
        self._entries: OrderedDict[tuple[str, str, str], _Entry] = OrderedDict()
        self.checks = 0

    def wait_s(self, name: str, address: str) -> int:
        """Whole seconds until an attempt is looked at; 0: now."""
        now_s = self._now_s()
        locks = [entry.locked_until_s for key in _keys(name, address) if (entry := self._entries.get(key))]
        return max(0, -int(-(max(locks, default=0.0) - now_s) // 1))

    def note_failure(self, name: str, address: str) -> None:
        """One failed attempt."""
        now_s = self._now_s()
        for key in _keys(name, address):
            entry = self._entries.setdefault(key, _Entry())
            self._entries.move_to_end(key)
            if now_s - entry.failed_s > FORGET_S:
                entry.failures = 0
            entry.failures += 1
            entry.failed_s = now_s
            beyond = entry.failures - FREE[key[0]]
            if beyond >= 0:
                entry.locked_until_s = now_s + min(LOCK_S << min(beyond, 10), LOCK_S_MAX)
        while len(self._entries) > ENTRIES_MAX:
            self._entries.popitem(last=False)

    def note_success(self, name: str, address: str) -> None:
        """The attempt just noted as failed was the name's owner: it is taken back, and the pair is forgiven its failures."""
        self._entries.pop(_keys(name, address)[0], None)
        for key in _keys(name, address):
            entry = self._entries.get(key)
            if entry is not None:
                entry.failures -= 1
                if entry.failures < FREE[key[0]]:
                    entry.locked_until_s = 0.0


def _keys(name: str, address: str) -> tuple[tuple[str, str, str], ...]:
    place = _place(address)
    return ("pair", name, place), ("address", "", place), ("name", name, "")


def _place(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:  # whatever a proxy writes
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    return str(found.ipv4_mapped or ipaddress.IPv6Network((int(found) >> 64 << 64, 64)))
