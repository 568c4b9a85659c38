"""A slot of a zone as runs see it: what is in force in it, and the registers at its ends."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridcore.quality import ABSENT_QUALITY
from ledger.leaves.columns import Int64, UInt8, chunks
from ledger.leaves.latest import LATEST
from ledger.leaves.registers import REGISTERS, RegistersLeaf, no_registers
from ledger.registry.zones import Zone, ZoneInForce
from ledger.state.draft import Draft
from ledger.state.intervals import Imported, load_imported


class Snapshot(NamedTuple):
    """A zone's registers at one boundary: quality uint8[rows], registers 2 x int64[rows], one seed a chunk."""

    quality: UInt8
    registers: tuple[Int64, Int64]
    seeds: list[bytes]

    @property
    def present(self) -> NDArray[np.bool_]:
        """bool[rows]: there is a value."""
        return np.not_equal(self.quality, ABSENT_QUALITY)

    def where(self, counts: NDArray[np.bool_]) -> Snapshot:
        """The values of the rows that count, bool[rows], alone."""
        return self._replace(quality=np.where(counts, self.quality, np.uint8(ABSENT_QUALITY)))


class Slot(NamedTuple):
    """A slot of a zone that is settled: what is in force in it, the registers at its ends, and what was imported for it.

    hangs_at_start, hangs_at_end: bool[rows], a meter hangs at the point at that end; True everywhere in a zone that does not measure part slots.
    """

    start_s: int
    end_s: int
    zone: ZoneInForce
    start: Snapshot
    end: Snapshot
    imported: Imported | None
    hangs_at_start: NDArray[np.bool_]
    hangs_at_end: NDArray[np.bool_]


def load_slot(draft: Draft, zone: Zone, slot_start_s: int) -> Slot:
    """A slot as it stands now."""
    end_s = slot_start_s + draft.slot_s
    start, end = load_snapshot(draft, zone, slot_start_s), load_snapshot(draft, zone, end_s)
    imported = load_imported(draft, zone, slot_start_s)
    if imported is not None:
        seeds = [own or read for own, read in zip(imported.seeds, start.seeds, strict=True)]
        start = start._replace(seeds=seeds)
    in_force, hangs_at_start, hangs_at_end = draft.at(slot_start_s).zone(zone), *(np.ones((2, len(zone)), dtype=bool))
    if zone.timeline.part_slots_are_measured:
        hangs_at_start, hangs_at_end = in_force.installation >= 0, draft.at(end_s).zone(zone).installation >= 0
        start, end = start.where(hangs_at_start), end.where(hangs_at_end)
    return Slot(slot_start_s, end_s, in_force, start, end, imported, hangs_at_start, hangs_at_end)


def load_snapshot(draft: Draft, zone: Zone, boundary_s: int) -> Snapshot:
    """The registers of all rows of a zone at a boundary. A chunk without a value there has the seed of its latest values."""
    parts = [
        (REGISTERS.load(draft, boundary_s, zone.name, chunk) or _without_values(draft, zone, chunk)).padded(end - start)
        for chunk, start, end in chunks(len(zone))
    ]
    registers = (
        np.concatenate([part.import_wh for part in parts]),
        np.concatenate([part.export_wh for part in parts]),
    )
    return Snapshot(np.concatenate([part.quality for part in parts]), registers, [part.seed for part in parts])


def _without_values(draft: Draft, zone: Zone, chunk: int) -> RegistersLeaf:
    # Where nothing was read, salts must be as hard to guess as anywhere else: estimates follow from what is known.
    latest, nothing = LATEST.load(draft, zone.name, chunk), no_registers(0)
    return nothing if latest is None else nothing._replace(seed=latest.seed)
