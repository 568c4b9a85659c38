"""What price series say of every slot, as ``prices.csv`` has it: those that agreements and tariffs name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

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


class TariffSeries(NamedTuple):
    """The series that tariffs name, as far as each says a price of every slot; notes: lines for a person."""

    rows: Sequence[SeriesRows]
    notes: Sequence[str]


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


def tariff_series(reader: LedgerReader, names: Sequence[str], slots: Int64, taken: Sequence[str]) -> TariffSeries:
    """Those of some names, each under a key of its own: of files the one that they had. taken: keys that prices.csv has already."""
    rows: list[SeriesRows] = []
    notes: list[str] = []
    for name in names:
        key = _key_of(name)
        if key in taken:
            notes.append(f"their tariffs name the price series {name}; prices.csv has {key} already, of something else")
            continue
        try:
            rows.append(series_in_slots(reader, name, key, slots))
        except UsageError as error:
            notes.append(f"their tariffs name a price series that prices.csv does not have: {error}")
    if rows:
        notes.append(
            f"their tariffs name {len(rows)} price series, which prices.csv has: {', '.join(one.key for one in rows)}"
        )
    return TariffSeries(rows, notes)


def _key_of(name: str) -> str:
    """The key of prices.csv that a series was made from; else its name."""
    key = name.removeprefix(f"{SERIES}-")[:-_BEHIND]
    return key if key and series_of_component(key) == name else name
