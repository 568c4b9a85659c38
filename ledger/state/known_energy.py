"""What is known of the energy of a slot before anything is estimated, and whether that is enough for a run."""

from __future__ import annotations

import numpy as np

from gridcore.genesis import IMPORTED
from gridcore.quality import CODE_MASK, CORRECTED, MEASURED
from gridcore.registry.run_calendar import PPM
from ledger.leaves.columns import UInt8, chunks
from ledger.leaves.registers import load_quality
from ledger.registry.zones import Zone
from ledger.state.draft import Draft
from ledger.state.energy import Bools
from ledger.state.pieces import Energy, breaks_of_slot, energy_of_slot, rows_of_breaks
from ledger.state.slot import Slot, load_slot


def known_energy(draft: Draft, slot: Slot) -> tuple[Energy, UInt8]:
    """The energy of every row, and its quality: what was imported, else what follows from registers, measured where the last of them are those
    with which a meter was taken down. Both writable.
    """
    energy, quality = energy_of_slot(draft, slot), slot.end.quality.copy()
    quality[energy.is_known & ~slot.end.present] = MEASURED
    if slot.imported is not None:
        rows = slot.imported.rows
        energy.is_known[rows], quality[rows] = True, slot.imported.quality[rows]
        energy.import_wh[rows], energy.export_wh[rows] = slot.imported.import_wh[rows], slot.imported.export_wh[rows]
    return energy, quality


def is_complete(draft: Draft, zone: Zone, slot_start_s: int, measured_ppm: int) -> bool:
    """Whether at least ``measured_ppm`` millionths of the settling rows of a slot have a measured or corrected value."""
    settling = draft.at(slot_start_s).zone(zone).settling
    if not measured_ppm or not len(settling):
        return True

    def suffice(is_measured: Bools) -> bool:
        return int(np.count_nonzero(is_measured[settling])) * PPM >= measured_ppm * len(settling)

    # A slot that waits for readings is asked about in every block, and between blocks: mostly what is missing tells at once.
    if draft.clock != IMPORTED:
        sizes = [end - start for _, start, end in chunks(len(zone))]
        may_be_measured = _is_measured(load_quality(draft, slot_start_s + draft.slot_s, zone.name, sizes))
        if zone.timeline.part_slots_are_measured:
            may_be_measured[rows_of_breaks(draft, breaks_of_slot(draft, zone, slot_start_s))] = True
        if not suffice(may_be_measured):
            return False
    energy, quality = known_energy(draft, load_slot(draft, zone, slot_start_s))
    return suffice(energy.is_known & _is_measured(quality))


def _is_measured(quality: UInt8) -> Bools:
    return np.isin(quality & CODE_MASK, (MEASURED, CORRECTED))
