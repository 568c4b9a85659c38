"""A dataset by UTC days, and what an import has to say of one: whatever the ledger has not, or otherwise."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gridcore.quality import ABSENT_QUALITY, MISSING
from gridledger.settling.chain.founding import ZONE_NAME
from gridledger.settling.dataset import Dataset, EnergyGrid
from ledger.leaves.columns import Int64, UInt8, chunks
from ledger.leaves.family import Leaves
from ledger.leaves.intervals import DAY_S, INTERVALS


class Day(NamedTuple):
    """The dataset's slots of one UTC day. first_slot_s, end_s: where the first begins and the last ends; slots: of the dataset."""

    start_s: int
    first_slot_s: int
    end_s: int
    slots: slice


class Energies(NamedTuple):
    """quality uint8[slots, points], import_wh, export_wh int64 or int32 [slots, points]."""

    quality: UInt8
    import_wh: EnergyGrid
    export_wh: EnergyGrid

    def columns_of(self, points: Int64) -> tuple[UInt8, Int64, Int64]:
        """Quality and energies of some points, as an import has them."""
        import_wh, export_wh = (energy[:, points].astype(np.int64) for energy in (self.import_wh, self.export_wh))
        return self.quality[:, points], import_wh, export_wh

    def of_points(self, points: Int64) -> Energies:
        """Those of some points."""
        return Energies(*self.columns_of(points))

    def completed(self, other: Energies | None) -> Energies:
        """The same, and what another has where nothing is known here: what is missing supersedes nothing."""
        if other is None:
            return self
        is_kept = (self.quality == MISSING) & (other.quality != ABSENT_QUALITY)
        return Energies(
            np.where(is_kept, other.quality, self.quality),
            np.where(is_kept, other.import_wh, self.import_wh),
            np.where(is_kept, other.export_wh, self.export_wh),
        )

    def differing(self, other: Energies | None) -> Int64:
        """The points, ascending, of which another says anything else; all of them where there is none."""
        if other is None:
            return np.arange(self.quality.shape[1])
        is_other = self.quality != other.quality
        is_other |= (self.import_wh != other.import_wh) | (self.export_wh != other.export_wh)
        return np.flatnonzero(is_other.any(axis=0))


def days_of(dataset: Dataset) -> list[Day]:
    """The UTC days that a dataset has slots of, ascending."""
    starts_s = dataset.slot_start_s
    days, firsts = np.unique(starts_s // DAY_S, return_index=True)
    ends = [*firsts[1:].tolist(), len(starts_s)]
    return [
        Day(day * DAY_S, int(starts_s[first]), int(starts_s[end - 1]) + dataset.slot_s, slice(first, end))
        for day, first, end in zip(days.tolist(), firsts.tolist(), ends, strict=True)
    ]


def given_energies(dataset: Dataset, day: Day) -> Energies:
    """What a dataset has of a day."""
    return Energies(dataset.quality[day.slots], dataset.import_wh[day.slots], dataset.export_wh[day.slots])


def known_energies(leaves: Leaves, day: Day, slot_s: int, rows: Int64) -> Energies | None:
    """What the ledger has of the same slots, of some rows of the zone; None where nothing was imported for the day."""
    size = int(rows.max()) + 1
    known: Energies | None = None
    for chunk, start, end in chunks(size):
        leaf = INTERVALS.load(leaves, day.start_s, ZONE_NAME, chunk)
        if leaf is None:
            continue
        if known is None:
            shape = DAY_S // slot_s, size
            known = Energies(np.full(shape, ABSENT_QUALITY, dtype=np.uint8), *np.zeros((2, *shape), dtype=np.int64))
        part, own = leaf.padded(end - start), slice(0, end - start)
        known.quality[:, start:end] = part.quality[:, own]
        known.import_wh[:, start:end], known.export_wh[:, start:end] = part.import_wh[:, own], part.export_wh[:, own]
    if known is None:
        return None
    first = (day.first_slot_s - day.start_s) // slot_s
    slots_of_day = slice(first, first + day.slots.stop - day.slots.start)
    quality, import_wh, export_wh = known
    return Energies(quality[slots_of_day], import_wh[slots_of_day], export_wh[slots_of_day]).of_points(rows)
