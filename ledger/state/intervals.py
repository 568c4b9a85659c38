"""Imported energies: whether an import may stand, what it leaves in the state, and what a slot has of it (docs/spec/import.md)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridcore.codes import Code
from gridcore.quality import ABSENT_QUALITY
from gridcore.sm3 import sm3
from gridcore.transactions.interval_import import QUALITIES
from ledger.leaves.columns import NO_SEED, Int64, UInt8, chunk_bounds, chunks, chunks_of, groups
from ledger.leaves.family import Value, values_of
from ledger.leaves.intervals import (
    DAY_S,
    INTERVALS,
    IntervalsLeaf,
    SlotIntervals,
    day_of_slot,
    intervals_of_slot,
    no_intervals,
)
from ledger.registry.zones import Zone
from ledger.state.draft import Draft, Touched
from ledger.state.finality import final_zones
from ledger.state.interval_columns import IntervalColumns

IMPORTS_OF_DAY_MAX: Final = 64
"""Imports that give values to one chunk of one day: each leaves its id in the state for ever."""
Bools = NDArray[np.bool_]


class Import(NamedTuple):
    """An import whose rows are those that were signed. id: of its transaction; importer: the gateway that answers for it."""

    id: bytes
    importer: str
    first_slot_s: int
    columns: IntervalColumns

    def starts_s(self, slot_s: int) -> Int64:
        """int64[slots]: where each slot starts."""
        starts_s: Int64 = self.first_slot_s + slot_s * np.arange(len(self.columns.quality))
        return starts_s


class _Part(NamedTuple):
    """What an import has for one chunk of one day. at: rows of the chunk; meters, slots: which of the import; first: of the day."""

    zone: Zone
    chunk: int
    day_s: int
    at: Int64
    meters: Int64
    slots: slice
    first: int


def keep_import(draft: Draft, imported: Import) -> Code:
    """Keep what an import says, whole or not at all. It stands instead of what was imported before."""
    registry, columns = draft.registry, imported.columns
    if not len(registry.numbers):
        return Code.INTERVALS_REFUSED
    place = np.minimum(np.searchsorted(registry.numbers, columns.meter), len(registry.numbers) - 1)
    is_known = registry.numbers[place] == columns.meter
    if not is_known.all() or not _may_stand(draft, imported, place):
        return Code.INTERVALS_REFUSED
    parts = list(_parts(draft, imported, place))
    if any(len(_load(draft, part).imports) >= IMPORTS_OF_DAY_MAX for part in parts):
        return Code.BATCHES_AT_BOUNDARY
    for part in parts:
        _write(draft, imported, part)
    return Code.ACCEPTED


def _may_stand(draft: Draft, imported: Import, place: Int64) -> bool:
    """Whether every row is of a meter of the importer that is in force in its slot, with a value that it can have."""
    registry, columns, starts_s = draft.registry, imported.columns, imported.starts_s(draft.slot_s)
    zone, importer = registry.installation_zone[place], registry.gateway_place.get(imported.importer, -1)
    first_s = np.array([timeline.first_slot_start_s for timeline in registry.columns.timelines])[zone]
    for at, start_s in enumerate(starts_s.tolist()):
        view = draft.at(start_s)
        quality, energies = columns.quality[at], (columns.import_wh[at], columns.export_wh[at])
        is_said = quality != ABSENT_QUALITY
        most_wh = np.where(is_said, view.limit_wh[place] * view.ratio[place], 0)
        is_right = (view.gateway[place] == importer) & (start_s >= first_s) & ~final_zones(draft, start_s)[zone]
        if not (is_right | ~is_said).all() or any((energy > most_wh).any() for energy in energies):
            return False
    return bool(np.isin(columns.quality, QUALITIES).all())


def _parts(draft: Draft, imported: Import, place: Int64) -> Iterator[_Part]:
    """The chunks and days that an import has values for."""
    registry, slot_s = draft.registry, draft.slot_s
    starts_s = imported.starts_s(slot_s)
    row, zones = registry.installation_row[place], registry.installation_zone[place]
    for zone, of_zone in groups(zones):
        for chunk, own in groups(chunks_of(row[of_zone])):
            meters = of_zone[own]
            at = row[meters] - chunk_bounds(chunk)[0]
            for day, slots in groups(starts_s // DAY_S):
                of_day = slice(int(slots[0]), int(slots[-1]) + 1)
                if (imported.columns.quality[of_day, meters] != ABSENT_QUALITY).any():
                    day_s = day * DAY_S
                    first = (int(starts_s[slots[0]]) - day_s) // slot_s
                    yield _Part(registry.zones[zone], chunk, day_s, at, meters, of_day, first)


def _load(draft: Draft, part: _Part) -> IntervalsLeaf:
    first, behind = chunk_bounds(part.chunk)
    size = min(len(part.zone), behind) - first
    known = INTERVALS.load(draft, part.day_s, part.zone.name, part.chunk)
    return no_intervals(draft.slot_s, size) if known is None else known.padded(size)


def _write(draft: Draft, imported: Import, part: _Part) -> None:
    """Put the values of a chunk and day into its leaf, and have their slots settled again where they are settled already."""
    leaf, columns = _load(draft, part), imported.columns
    quality = columns.quality[part.slots, part.meters]
    slot, meter = np.nonzero(quality != ABSENT_QUALITY)
    at = (slot + part.first, part.at[meter])
    leaf.quality[at] = quality[slot, meter]
    leaf.import_wh[at] = columns.import_wh[part.slots, part.meters][slot, meter]
    leaf.export_wh[at] = columns.export_wh[part.slots, part.meters][slot, meter]
    kept = leaf._replace(imports=[*leaf.imports, imported.id], seed=sm3(leaf.seed + columns.seed))
    INTERVALS.save(draft, kept, part.day_s, part.zone.name, part.chunk)
    draft.imported.clear()
    first_s, last_s = (part.day_s + draft.slot_s * int(at[0][end]) for end in (0, -1))
    draft.fed.add(Touched(part.zone.name, first_s, last_s + draft.slot_s))


# -------------------------------------------------------------------------------------------------------- what a slot has


class Imported(NamedTuple):
    """What was imported for the rows of a zone in one slot. quality: uint8[rows], 255 where nothing was; energies: int64[rows] in Wh;
    seeds: of each chunk, None where nothing was imported for its day.
    """

    quality: UInt8
    import_wh: Int64
    export_wh: Int64
    seeds: Sequence[bytes | None]

    @property
    def rows(self) -> Int64:
        """The rows that have something, ascending."""
        return np.flatnonzero(self.quality != ABSENT_QUALITY)


def load_imported(draft: Draft, zone: Zone, slot_start_s: int) -> Imported | None:
    """What was imported for a slot of a zone; None where nothing was for its day."""
    day_s = day_of_slot(slot_start_s)
    at = (slot_start_s - day_s) // draft.slot_s
    values = _leaves_of_day(draft, zone, day_s)
    if all(value is None for value in values):
        return None
    parts = [
        (_NOTHING if value is None else intervals_of_slot(value, at)).padded(end - start)
        for value, (_, start, end) in zip(values, chunks(len(zone)), strict=True)
    ]
    return Imported(
        quality=np.concatenate([part.quality for part in parts]),
        import_wh=np.concatenate([part.import_wh for part in parts]),
        export_wh=np.concatenate([part.export_wh for part in parts]),
        seeds=[None if value is None else part.seed for value, part in zip(values, parts, strict=True)],
    )


def _leaves_of_day(draft: Draft, zone: Zone, day_s: int) -> Sequence[Value | None]:
    """The maps of all chunks of a zone, by chunk. A day's are asked for once for all of its slots that a block settles one after the other."""
    asked = zone.name, day_s, len(zone)
    if asked not in draft.imported:
        draft.imported.clear()
        keys = [INTERVALS.key(day_s, zone.name, chunk) for chunk, _, _ in chunks(len(zone))]
        draft.imported[asked] = list(values_of(draft, keys))
    return draft.imported[asked]


_NOTHING: Final = SlotIntervals(
    np.zeros(0, dtype=np.uint8), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), NO_SEED
)
"""Of a chunk for whose day nothing was imported."""
