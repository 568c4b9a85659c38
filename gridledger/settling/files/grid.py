"""Rows on the grid of slots and points: nothing twice, nothing beside it, whole Wh."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridcore.quality import CORRECTED, ESTIMATED, MEASURED, MISSING, SUSPECT
from gridledger.settling.dataset import InputFile, PointRow
from gridledger.settling.files.fault import FilesError, fault
from gridledger.settling.files.fields import ABSENT
from gridledger.settling.files.readings import PARTS_PER_WH, Rows
from gridledger.settling.files.stamps import to_iso
from settlement.contract_kit_1 import Int64Column

CELLS_MAX: Final = 2**25
"""Most slots x points of a folder: a year of quarter hours of 950 points."""
_ORDER: Final = (MEASURED, CORRECTED, ESTIMATED)
"""Qualities from the best on: of what adds up, the worst holds."""

Energies = NDArray[np.int64]


class Grid(NamedTuple):
    """Energies by slot and point: int64[slots, points], ABSENT where not known; ``quality`` uint8[slots, points]."""

    slot_start_s: Int64Column
    import_wh: Energies
    export_wh: Energies
    quality: NDArray[np.uint8]


class Place(NamedTuple):
    """Where rows stand, for errors: the files, the column of their starts, and the points that they name."""

    inputs: Sequence[InputFile]
    column: str
    points: Sequence[PointRow]

    def said_at(self, rows: Rows, start_s: int, point: int, *, is_export: bool) -> tuple[str, int]:
        """The file and the row that say an energy; of several registers the largest."""
        here = (rows.start_s == start_s) & (rows.point == point) & (rows.register % 2 == is_export)
        at = int(np.argmax(np.where(here, rows.parts, ABSENT)))
        return self.inputs[int(rows.file[at])].name, int(rows.row[at])

    def fault(self, rows: Rows, at: int, what: str, right: str, column: str | None = None) -> FilesError:
        """The error for one row."""
        file = self.inputs[int(rows.file[at])].name
        return fault(file, what, right, row=int(rows.row[at]), column=column or self.column)


def slots_of(first_s: int, last_s: int, slot_s: int, points: int, file: str) -> Int64Column:
    """The slots from the first start to the last; FilesError for more than can be settled at once."""
    count = (last_s - first_s) // slot_s + 1
    if count * points > CELLS_MAX:
        what = f"it reaches from {to_iso(first_s)} to {to_iso(last_s)}: {count} slots of {points} points"
        raise fault(file, what, f"settle at most {CELLS_MAX} energies at once; check the first and the last time")
    return first_s + slot_s * np.arange(count)


def grid_of(rows: Rows, slot_s: int, place: Place, *, silent_is_zero: bool) -> Grid:
    """Put rows on the grid; FilesError for a start between slots, and for what is said twice or is above a point's limit.

    ``silent_is_zero``: a point without any energy of one direction has 0 of it wherever the other is known.
    """
    off = rows.start_s % slot_s != 0
    if off.any():
        at = int(np.argmax(off))
        right = f"slots of {slot_s} s start at whole multiples of it; check [timeline] slot_s in rules.toml"
        raise place.fault(rows, at, f"a slot starts at {to_iso(int(rows.start_s[at]))}", right)
    first_s, last_s = int(rows.start_s.min()), int(rows.start_s.max())
    last_file = place.inputs[int(rows.file[np.argmax(rows.start_s)])].name
    starts = slots_of(first_s, last_s, slot_s, len(place.points), last_file)
    slot = (rows.start_s - first_s) // slot_s
    _check_step(slot, slot_s, place)
    cell = slot * len(place.points) + rows.point
    _check_once(rows, cell, place)
    shape = len(starts), len(place.points)
    import_wh, export_wh = (_energy_wh(rows, cell, shape, place, is_export=is_export) for is_export in (False, True))
    if silent_is_zero:
        import_wh, export_wh = _without_silence(import_wh, export_wh), _without_silence(export_wh, import_wh)
    rank = np.zeros(shape[0] * shape[1], dtype=np.uint8)
    for worse in range(1, len(_ORDER)):
        rank[cell[rows.quality == _ORDER[worse]]] = worse
    quality = np.array(_ORDER, dtype=np.uint8)[rank].reshape(shape)
    is_missing = (import_wh == ABSENT) | (export_wh == ABSENT)
    return Grid(starts, import_wh, export_wh, np.where(is_missing, np.uint8(MISSING), quality))


def _energy_wh(rows: Rows, cell: Int64Column, shape: tuple[int, int], place: Place, *, is_export: bool) -> Energies:
    is_usable = (rows.parts != ABSENT) & (rows.quality != SUSPECT)
    mine = np.flatnonzero((rows.register % 2 == is_export) & is_usable)
    parts = np.full(shape, ABSENT, dtype=np.int64)
    flat = parts.reshape(-1)
    flat[cell[mine]] = 0
    np.add.at(flat, cell[mine], rows.parts[mine])
    energy_wh = _whole_wh(parts)
    limit_wh = np.array([point.limit_wh for point in place.points])
    above = energy_wh > limit_wh
    if above.any():
        found = int(np.argmax(above))
        at = int(mine[np.flatnonzero(cell[mine] == found)[0]])
        point = place.points[int(rows.point[at])]
        what = f"{'export' if is_export else 'import'} of {point.point} is {energy_wh.reshape(-1)[found]} Wh"
        right = f"its limit is {point.limit_wh} Wh a slot; mark the row suspect, or raise limit_kw in points.csv"
        raise place.fault(rows, at, what, right)
    return energy_wh


def _without_silence(energy_wh: Energies, other_wh: Energies) -> Energies:
    is_silent = (energy_wh == ABSENT).all(axis=0)
    return np.where(is_silent & (other_wh != ABSENT), 0, energy_wh)


def _whole_wh(parts: Energies) -> Energies:
    """Whole Wh, rounded half up; what is cut off or added is carried on to the next slot of the point (``spread/1``)."""
    is_known = parts != ABSENT
    whole, rest = np.divmod(np.where(is_known, parts, 0), PARTS_PER_WH)
    if rest.any():
        # the sum so far, rounded, less the same one slot earlier: the residue needs no loop
        rounded = (np.cumsum(rest, axis=0) + PARTS_PER_WH // 2) // PARTS_PER_WH
        whole += np.diff(rounded, axis=0, prepend=0)
    return np.where(is_known, whole, ABSENT)


def _check_step(slot: Int64Column, slot_s: int, place: Place) -> None:
    step = int(np.gcd.reduce(slot))
    if step > 1:
        what = f"its rows are {step * slot_s} s apart, [timeline] slot_s is {slot_s}"
        raise fault(place.inputs[0].name, what, f"set slot_s = {step * slot_s} in rules.toml")


def _check_once(rows: Rows, cell: Int64Column, place: Place) -> None:
    key = cell * (int(rows.register.max()) + 1) + rows.register
    ordered = np.sort(key)
    if not (ordered[1:] == ordered[:-1]).any():
        return
    order = np.argsort(key, kind="stable")
    again = np.flatnonzero(np.diff(key[order]) == 0) + 1
    second = int(order[again].min())
    first = int(np.argmax(key == key[second]))
    is_other = rows.file[first] != rows.file[second]
    before = f"row {rows.row[first]}" + (f" of {place.inputs[int(rows.file[first])].name}" if is_other else "")
    name = place.points[int(rows.point[second])].point
    what = f"the slot {to_iso(int(rows.start_s[second]))} of {name} stands in {before} already"
    raise place.fault(rows, second, what, "give each slot of a point once")
