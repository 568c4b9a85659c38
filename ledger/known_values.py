"""What runs knew of a meter in a slot, one after the other: a value that a later one has superseded stays, with both of its times.

Valid time is the slot's; a value is recorded by the block of the first run that settled with it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from typing import Final, NamedTuple

import numpy as np

from ledger.leaves.run import RUN
from ledger.leaves.runs import RUNS
from ledger.registry.zones import Zone
from ledger.runs import SettledRows, load_rows
from ledger.store.reader import LedgerReader

VALUES_OF_SLOT_MAX: Final = 64
"""Values of a meter in a slot that are shown, the newest: disputes of a slot that is not final have no other bound."""
_ABSENT: Final = -1
_SAID: Final = slice(3, None)
"""Of a value: what was known, without when."""


class KnownValue(NamedTuple):
    """What runs from ``height`` on, whose block has this ledger time, knew of a meter in a slot, until the next value superseded it.

    run: the first of them; registers at both ends as the meter shows them, None where none was read; energies primary Wh; quality: the byte of the value.
    """

    run: str
    height: int
    recorded_s: int
    start_import: int | None
    end_import: int | None
    start_export: int | None
    end_export: int | None
    import_wh: int
    export_wh: int
    quality: int


class ValuesOfSlot(NamedTuple):
    """The values of a slot, the last one counts; left_off: how many older ones are not among them."""

    values: list[KnownValue]
    left_off: int


def values_of_slot(reader: LedgerReader, zone: Zone, installations: Collection[int], slot_start_s: int) -> ValuesOfSlot:
    """What the runs of a slot knew of a meter. installations: its places among all, of which one at most hung in the zone when the slot began."""
    runs = RUNS.load(reader, slot_start_s, zone.name)
    kept, found = deque[KnownValue](maxlen=VALUES_OF_SLOT_MAX), 0
    for run, height in () if runs is None else runs.runs:
        leaf = RUN.must(reader, slot_start_s, zone.name, run)
        hanging = reader.zone_at(zone, slot_start_s, leaf.as_of_height).installation
        rows = np.flatnonzero(np.isin(hanging, list(installations)))
        if not len(rows) or rows[0] >= leaf.rows:
            continue
        value = _value(run, height, reader.header(height).ledger_time_s, load_rows(reader, leaf, rows[:1]))
        if not kept or kept[-1][_SAID] != value[_SAID]:
            kept.append(value)
            found += 1
    return ValuesOfSlot(list(kept), found - len(kept))


def _value(run: str, height: int, recorded_s: int, known: SettledRows) -> KnownValue:
    """What a run knew of one row."""

    def register(name: str) -> int | None:
        at = int(known.columns[name][0])
        return None if at == _ABSENT else at

    return KnownValue(
        run=run,
        height=height,
        recorded_s=recorded_s,
        start_import=register("start_import"),
        end_import=register("end_import"),
        start_export=register("start_export"),
        end_export=register("end_export"),
        import_wh=int(known.columns["import_wh"][0]),
        export_wh=int(known.columns["export_wh"][0]),
        quality=int(known.quality[0]),
    )
