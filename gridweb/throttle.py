"""Slows down whoever guesses passwords: by name and address together, by address, and by name.

Failures drain away, FREE of them an hour, so that a slip now and then never adds up to a lock. An attempt counts when its
password was wrong, not before; those under way leave room for so many more as could still be free. Of IPv6 a network of 64
bits counts as one address: that is the least that anybody has.

A stranger does not lock an owner out: in a browser where somebody has signed in before, only failures for that name in that
browser count, whatever else comes from its address, and whoever else guesses at the name.
"""

from __future__ import annotations

import ipaddress
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple

from gridcore.sm3 import sm3

FREE: Final = {"pair": 5, "address": 30, "name": 50}
"""Failures within an hour that cost nothing, by what they are counted for."""
LOCK_S: Final = 60
LOCK_S_MAX: Final = 900
"""The first lock, and the longest; each failure beyond the free ones doubles it."""
DRAIN_S: Final = 3_600
"""As many failures as are free are forgotten in this time, evenly."""
BEYOND_MAX: Final = 5
"""Failures beyond the free ones that are remembered: more would make no longer lock."""
ENTRIES_MAX: Final = 20_000
"""Names, addresses and pairs that are remembered; the least recently failed goes first. The same of browsers that signed in."""
CHECKS_MAX: Final = 4
"""Passwords that are checked at once: each takes 64 MiB and a core's tenth of a second."""
BUSY_S: Final = 1
"""To wait while so many attempts are under way that one more may be one too many."""


class _Key(NamedTuple):
    """What failures are counted for. ``kind``: of FREE; the parts that do not count are empty."""

    kind: str
    name: str
    place: str


@dataclass
class _Entry:
    level: float = 0.0
    failed_s: float = 0.0
    locked_until_s: float = 0.0


class Throttle:
    """Failed sign-ins of the last hour; in memory, used by one event loop alone."""

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._now_s = monotonic_s
        self._entries: OrderedDict[_Key, _Entry] = OrderedDict()
        self._known: OrderedDict[_Key, None] = OrderedDict()
        self._under_way: Counter[_Key] = Counter()
        self._checks = 0

    def wait_s(self, name: str, address: str, browser: str = "") -> int:
        """Whole seconds until an attempt is looked at; 0: now. ``browser``: the token that it got when it last signed in."""
        if self._checks >= CHECKS_MAX:
            return BUSY_S
        return max(map(self._wait_s, self._keys(name, address, browser)))

    @contextmanager
    def attempt(self, name: str, address: str, browser: str = "") -> Iterator[None]:
        """While a password is checked: attempts side by side count, too."""
        keys = self._keys(name, address, browser)
        self._checks += 1
        self._under_way.update(keys)
        try:
            yield
        finally:
            self._checks -= 1
            self._under_way -= Counter(keys)  # and forgets what has none left

    def note_failure(self, name: str, address: str, browser: str = "") -> None:
        """The password was wrong."""
        now_s = self._now_s()
        for key in self._keys(name, address, browser):
            entry = self._entries.setdefault(key, _Entry())
            self._entries.move_to_end(key)
            entry.level = min(self._level(key, entry) + 1, FREE[key.kind] + BEYOND_MAX)
            entry.failed_s = now_s
            beyond = round(entry.level) - FREE[key.kind]
            if beyond >= 0:
                entry.locked_until_s = now_s + min(LOCK_S << beyond, LOCK_S_MAX)
        while len(self._entries) > ENTRIES_MAX:
            self._entries.popitem(last=False)

    def note_success(self, name: str, address: str, browser: str = "", renewed: str = "") -> None:
        """The password was right: the pair is forgiven its failures, and the browser is known by ``renewed`` from now on."""
        self._entries.pop(self._keys(name, address, browser)[0], None)
        self._known.pop(_of_browser(name, browser), None)
        self._known[_of_browser(name, renewed)] = None
        while len(self._known) > ENTRIES_MAX:
            self._known.popitem(last=False)

    def _keys(self, name: str, address: str, browser: str) -> tuple[_Key, ...]:
        known = _of_browser(name, browser)
        if browser and known in self._known:
            return (known,)
        place = _place(address)
        return _Key("pair", name, place), _Key("address", "", place), _Key("name", name, "")

    def _wait_s(self, key: _Key) -> int:
        entry, under_way = self._entries.get(key, _Entry()), self._under_way[key]
        locked_s = entry.locked_until_s - self._now_s()
        if locked_s > 0:
            return -int(-locked_s // 1)
        return BUSY_S if under_way and self._level(key, entry) + under_way >= FREE[key.kind] else 0

    def _level(self, key: _Key, entry: _Entry) -> float:
        """The failures that are left of an entry's."""
        return max(0.0, entry.level - (self._now_s() - entry.failed_s) * FREE[key.kind] / DRAIN_S)


def _of_browser(name: str, browser: str) -> _Key:
    return _Key("pair", name, f"browser {sm3(browser.encode('utf-8', 'surrogatepass')).hex()}")


def _place(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:  # whatever a proxy writes
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    return str(found.ipv4_mapped or ipaddress.IPv6Network((int(found) >> 64 << 64, 64)))
