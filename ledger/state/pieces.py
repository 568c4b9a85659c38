"""The energy of a slot from registers: of most rows one advance, of a row with a break the sum of its pieces (docs/spec/state.md)."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from gridcore.quality import CODE_MASK, CORRECTED
from gridcore.registry.installation import PRIMARY_LIMIT_WH_MAX
from ledger.leaves.columns import Int64, UInt8
from ledger.registry.breaks import NOT_SAID
from ledger.registry.zones import Zone
from ledger.state.draft import Draft
from ledger.state.energy import Bools, advance_of, is_in_range
from ledger.state.slot import Slot, Snapshot

PIECES_MAX: Final = 4
"""Meters, or spans of one, that may share a slot: a bundle shows no more."""
Registers = tuple[Int64, Int64]


class Energy(NamedTuple):
    """Of each row of a zone: whether its energy follows from registers, and import and export, primary Wh, 0 where not."""

    is_known: Bools
    import_wh: Int64
    export_wh: Int64


class _Pieces(NamedTuple):
    """Parts of slots in which one register goes on; columns int64[n] but is_approved.

    row: of the zone; modulus_wh, limit_wh, ratio: of its meter; start, end: its registers, NOT_SAID where nobody knows;
    is_approved: bool[n], somebody answers for a register of it, so that the meter's limit does not count.
    """

    row: Int64
    modulus_wh: Int64
    limit_wh: Int64
    ratio: Int64
    is_approved: Bools
    start: Registers
    end: Registers

    def energies(self) -> Energy:
        """Of each piece."""
        is_known = np.ones(len(self.row), dtype=bool)
        energies = []
        most_wh = self._most_wh()
        for start, end in zip(self.start, self.end, strict=True):
            advance_wh = advance_of(start, end, self.modulus_wh)
            is_known &= (start != NOT_SAID) & (end != NOT_SAID) & (self.ratio > 0) & is_in_range(advance_wh, most_wh)
            energies.append(advance_wh * self.ratio)
        import_wh, export_wh = (np.where(is_known, energy, 0) for energy in energies)
        return Energy(is_known, import_wh, export_wh)

    def _most_wh(self) -> Int64:
        """How far a register may go in a piece; half the modulus, beyond which it would have gone back."""
        if not self.is_approved.any():
            return self.limit_wh
        approved_wh = PRIMARY_LIMIT_WH_MAX // np.maximum(self.ratio, 1)
        approved_wh = np.where(self.modulus_wh > 0, np.minimum(approved_wh, self.modulus_wh // 2), approved_wh)
        return np.where(self.is_approved, approved_wh, self.limit_wh)


def energy_of_slot(draft: Draft, slot: Slot) -> Energy:
    """The energy of every row: not known where a register is absent, or advanced by what its meter cannot make."""
    zone = slot.zone
    whole = _Pieces(
        row=np.arange(len(zone.zone)),
        modulus_wh=zone.modulus_wh,
        limit_wh=zone.limit_wh,
        ratio=zone.ratio,
        is_approved=_is_corrected(slot.start.quality) | _is_corrected(slot.end.quality),
        start=_known(slot.start),
        end=_known(slot.end),
    )
    energy = whole.energies()
    breaks = breaks_of_slot(draft, slot.zone.zone, slot.start_s)
    if len(breaks):
        _sum_up(energy, np.unique(rows_of_breaks(draft, breaks)), _pieces(draft, slot, breaks))
    return energy


def _is_corrected(quality: UInt8) -> Bools:
    is_corrected: Bools = np.equal(quality & CODE_MASK, CORRECTED)
    return is_corrected


def _known(snapshot: Snapshot) -> Registers:
    """Registers of every row, NOT_SAID where there is no value."""
    import_wh, export_wh = (np.where(snapshot.present, register, NOT_SAID) for register in snapshot.registers)
    return import_wh, export_wh


def breaks_of_slot(draft: Draft, zone: Zone, slot_start_s: int) -> Int64:
    """Entries of installations of a zone at which registers break off inside a slot, ascending by time."""
    registry = draft.registry
    found = registry.breaks.within(registry.columns, slot_start_s, slot_start_s + draft.slot_s, draft.height - 1)
    if not len(found):
        return found
    place = registry.installation_zone[registry.columns.installation_entries.entity[found]]
    of_zone: Int64 = found[place == zone.place]
    return of_zone


def rows_of_breaks(draft: Draft, breaks: Int64) -> Int64:
    """int64[n]: the row in its zone of the installation of each entry."""
    rows: Int64 = draft.registry.installation_row[draft.registry.columns.installation_entries.entity[breaks]]
    return rows


def _pieces(draft: Draft, slot: Slot, breaks: Int64) -> _Pieces:
    """The pieces of the rows of ``breaks``, where as many begin as end, one of them before the slot's end.

    One begins at the slot's start where a meter hangs then, and at each entry that says first registers; one ends at each entry that says final
    ones or removes the meter, and at the slot's end where a meter hangs then.
    """
    columns, zone = draft.registry.columns, slot.zone
    row = rows_of_breaks(draft, breaks)
    begins = columns.first_import_wh[breaks] != NOT_SAID
    ends = (columns.final_import_wh[breaks] != NOT_SAID) | (columns.installation_gateway[breaks] < 0)
    size, is_within = len(zone.zone), columns.installation_entries.from_s[breaks] < slot.end_s
    begun = np.bincount(row[begins], minlength=size) + slot.hangs_at_start
    ended = np.bincount(row[ends], minlength=size) + slot.hangs_at_end
    is_begun = slot.hangs_at_start | (np.bincount(row[begins & is_within], minlength=size) > 0)
    is_paired = (begun == ended)[row] & is_begun[row]
    opened, closed = breaks[begins & is_paired], breaks[ends & is_paired]
    rows, meters = np.unique(row[is_paired]), columns.installation_entries.entity[opened]
    started, lasting = rows[slot.hangs_at_start[rows]], rows[slot.hangs_at_end[rows]]
    # Both in order of time in each row: the slot's start before all entries, its end behind them.
    opening = np.argsort(np.concatenate([started, rows_of_breaks(draft, opened)]), kind="stable")
    closing = np.argsort(np.concatenate([rows_of_breaks(draft, closed), lasting]), kind="stable")

    def of_opening(at_start: Int64, at_entries: Int64) -> Int64:
        return np.concatenate([at_start[started], at_entries])[opening]

    def of_closing(at_entries: Int64, at_end: Int64) -> Int64:
        return np.concatenate([at_entries, at_end[lasting]])[closing]

    start, end = _known(slot.start), _known(slot.end)
    is_approved = of_opening(_is_corrected(slot.start.quality).astype(np.int64), np.zeros_like(opened)) | of_closing(
        np.zeros_like(closed), _is_corrected(slot.end.quality).astype(np.int64)
    )
    return _Pieces(
        row=of_opening(np.arange(len(zone.zone)), rows_of_breaks(draft, opened)),
        modulus_wh=of_opening(zone.modulus_wh, columns.modulus_wh[meters]),
        limit_wh=of_opening(zone.limit_wh, columns.limit_wh[opened]),
        ratio=of_opening(zone.ratio, columns.ratio[opened]),
        is_approved=is_approved > 0,
        start=(
            of_opening(start[0], columns.first_import_wh[opened]),
            of_opening(start[1], columns.first_export_wh[opened]),
        ),
        end=(
            of_closing(columns.final_import_wh[closed], end[0]),
            of_closing(columns.final_export_wh[closed], end[1]),
        ),
    )


def _sum_up(energy: Energy, rows: Int64, pieces: _Pieces) -> None:
    """Put the sums over the pieces into the ``rows`` with a break: known where every piece is, and not more than a meter can."""
    of_pieces, size = pieces.energies(), len(energy.is_known)
    known = np.bincount(pieces.row[of_pieces.is_known], minlength=size)
    is_known = (known == np.bincount(pieces.row, minlength=size)) & (known > 0) & (known <= PIECES_MAX)
    sums = np.zeros((2, size), dtype=np.int64)
    for summed, of_piece in zip(sums, (of_pieces.import_wh, of_pieces.export_wh), strict=True):
        np.add.at(summed, pieces.row, of_piece)
    is_known &= (sums <= PRIMARY_LIMIT_WH_MAX).all(axis=0)
    energy.is_known[rows] = is_known[rows]
    for column, summed in zip((energy.import_wh, energy.export_wh), sums, strict=True):
        column[rows] = np.where(is_known, summed, 0)[rows]
