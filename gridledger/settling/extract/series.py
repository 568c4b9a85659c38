"""Prices for all as ``prices.csv`` has them: what price series say of every slot, each under a key."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

import numpy as np

from gridcore.errors import UsageError
from gridcore.registry.price_series import PRICE_SERIES
from gridledger.settling.chain.tariffs import SERIES, series_of_component
from gridledger.settling.dataset import SeriesRows
from gridledger.settling.extract.changes import Changes
from gridledger.settling.files.stamps import to_iso
from ledger.leaves.columns import Int64
from ledger.registry.bodies import in_force
from ledger.store.reader import LedgerReader

_BEHIND: Final = 13
"""Characters of a series' name behind the key of prices.csv that it was made from."""


def series_in_slots(reader: LedgerReader, name: str, key: str, slots: Int64) -> SeriesRows:
    """A series under a key of prices.csv. UsageError where it says no price of a slot."""
    changes: Changes[str] = Changes()
    for slot_start_s in slots.tolist():
        found = in_force(reader, PRICE_SERIES, name, slot_start_s, reader.height)
        price = None if found is None else found.record.price_at(found.entry.from_s, slot_start_s)
        if price is None:
            raise UsageError(f"series {name} says no price in the slot from {to_iso(slot_start_s)} on; name other days")
        changes.note(key, slot_start_s, price)
    start_s, prices = np.array(changes.found[key], dtype=np.int64).T
    return SeriesRows(key, None, None, start_s, prices)


class Keys:
    """Keys of ``prices.csv`` and the prices for all that stand under them."""

    def __init__(self, slots: Int64, of_contract: Collection[str], known: Iterable[SeriesRows]) -> None:
        """of_contract: keys that mean prices of the rules; known: what has a key already."""
        self._slots, self._of_contract = slots, of_contract
        self._by_key = {rows.key: rows for rows in known}

    @property
    def rows(self) -> Sequence[SeriesRows]:
        """All that has a key."""
        return list(self._by_key.values())

    def of_series(self, reader: LedgerReader, name: str, wanted: Sequence[str]) -> str:
        """The key of a series of the ledger. UsageError where it says no price of a slot, and as of ``place``."""
        return self.place(series_in_slots(reader, name, wanted[0], self._slots), wanted)

    def place(self, rows: SeriesRows, wanted: Sequence[str]) -> str:
        """The first of some keys under which nothing else stands. UsageError where there is none."""
        for key in wanted:
            known = self._by_key.get(key)
            is_same = known is not None and all(map(np.array_equal, known[3:], rows[3:]))
            if key not in self._of_contract and (known is None or is_same):
                self._by_key.setdefault(key, rows._replace(key=key))
                return key
        raise UsageError(f"prices.csv has {' and '.join(wanted)} already, of something else")


def key_of(name: str) -> str:
    """The key of prices.csv that a component's series was made from; else its name."""
    key = name.removeprefix(f"{SERIES}-")[:-_BEHIND]
    return key if key and series_of_component(key) == name else name
