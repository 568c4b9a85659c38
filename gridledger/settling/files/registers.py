"""``registers.csv``: cumulative registers in place of readings; energies are what they advance (``interval_energy/1``)."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from gridcore.quality import MEASURED, MISSING
from gridledger.settling.dataset import InputFile, UnusualPower
from gridledger.settling.files.estimates import Gap
from gridledger.settling.files.fault import fault
from gridledger.settling.files.fields import ABSENT, Names, decimals
from gridledger.settling.files.grid import Energies, Grid, Place, slots_of
from gridledger.settling.files.instants import Instants
from gridledger.settling.files.layout import TimeForm
from gridledger.settling.files.readings import Reading
from gridledger.settling.files.stamps import to_iso
from gridledger.settling.files.table import Fields, Header, Table
from gridledger.settling.files.unusual import unusual_power
from ledger.state.energy import advance_of, is_in_range
from settlement.contract_kit_1 import Int64Column

REGISTER_WH_MAX: Final = 10**13
_COLUMNS: Final = ("time", "point", "import_kwh", "export_kwh")
_PLACES: Final = 3
_CARRIED_PLACES: Final = 6


class RegistersRead(NamedTuple):
    """Energies of the slots between the first and the last time, sums over gaps, the file, and rows that hold a register."""

    grid: Grid
    gaps: list[Gap]
    input_file: InputFile
    readings: int
    unusual: UnusualPower | None


def read_registers(path: Path, how: Reading, place: Place) -> RegistersRead:
    """Read the file; FilesError at the first fault. Parts of a Wh in a register are cut off where they are carried."""
    table = Table(path, Header(_COLUMNS))
    time = TimeForm(at="start", column="time", repeated_hour=how.layout.time.repeated_hour)
    instants = Instants(time, how.zone, how.slot_s)
    names = Names(how.points)
    times: list[Int64Column] = []
    rows: list[Int64Column] = []
    points: list[Int64Column] = []
    registers: list[Energies] = []
    for block in table.blocks():
        point = names.codes(block.columns["point"], "point of points.csv")
        time_s = instants.of_rows(block.columns, point)
        off = time_s % how.slot_s != 0
        if off.any():
            at = int(np.argmax(off))
            right = f"give registers at whole multiples of {how.slot_s} s, [timeline] slot_s in rules.toml"
            raise block.columns["time"].fault(at, f"{to_iso(int(time_s[at]))} is inside a slot", right)
        times.append(time_s)
        rows.append(block.row)
        points.append(point)
        registers.append(np.stack([_registers_wh(block.columns[name], point, how, place) for name in _COLUMNS[2:]]))
    instants.check_repeated()
    if not times:
        raise fault(table.name, "holds no rows", "give registers at two times at least")
    time_s, row, point = np.concatenate(times), np.concatenate(rows), np.concatenate(points)
    first_s, last_s = int(time_s.min()), int(time_s.max())
    if first_s == last_s:
        raise fault(
            table.name, f"holds registers of one time alone, {to_iso(first_s)}", "give registers at two times at least"
        )
    starts = slots_of(first_s, last_s - how.slot_s, how.slot_s, len(how.points), table.name)
    boundary = (time_s - first_s) // how.slot_s
    _check_once(boundary, point, row, time_s, table.name, place)
    on_grid = np.full((2, len(starts) + 1, len(how.points)), ABSENT, dtype=np.int64)
    on_grid[:, boundary, point] = np.concatenate(registers, axis=1)
    gaps: list[Gap] = []
    energies = [_energies(on_grid[side], place, gaps, is_export=bool(side)) for side in (0, 1)]
    is_missing = (energies[0] == ABSENT) | (energies[1] == ABSENT)
    grid = Grid(starts, energies[0], energies[1], np.where(is_missing, np.uint8(MISSING), np.uint8(MEASURED)))
    readings = int((np.concatenate(registers, axis=1) != ABSENT).any(axis=0).sum())
    unusual = unusual_power(
        grid,
        place.points,
        how.slot_s,
        "kWh",
        lambda slot, number, _: (table.name, int(row[np.argmax((boundary == slot + 1) & (point == number))])),
    )
    return RegistersRead(grid, gaps, table.input_file(), readings, unusual)


def _registers_wh(fields: Fields, point: Int64Column, how: Reading, place: Place) -> Int64Column:
    """int64[n]: registers in whole Wh, ABSENT where a field is empty; FilesError at or above a point's modulus."""
    hint = "" if how.has_carry else ", or set [timeline] sub_wh = 'carry' in rules.toml"
    found = decimals(fields, _CARRIED_PLACES if how.has_carry else _PLACES, hint=hint)
    register_wh = found.value // 10 ** (found.places - _PLACES)
    modulus_wh = np.array([of_point.modulus_wh for of_point in place.points])[point]
    top_wh = np.where(modulus_wh > 0, modulus_wh, REGISTER_WH_MAX + 1)
    above = register_wh >= top_wh
    if above.any():
        at = int(np.argmax(above))
        right = (
            "a register starts again from 0 at modulus_kwh of points.csv" if modulus_wh[at] else "check the unit, kWh"
        )
        raise fields.fault(at, f"{fields.text(at)} is at or above {int(top_wh[at])} Wh", right)
    return np.where(found.is_present, register_wh, ABSENT)


def _check_once(
    boundary: Int64Column, point: Int64Column, row: Int64Column, time_s: Int64Column, file: str, place: Place
) -> None:
    key = boundary * len(place.points) + point
    order = np.argsort(key, kind="stable")
    again = np.flatnonzero(np.diff(key[order]) == 0) + 1
    if len(again):
        second = int(order[again].min())
        first = int(row[np.argmax(key == key[second])])
        name = place.points[int(point[second])].point
        what = f"registers of {name} at {to_iso(int(time_s[second]))} stand in row {first} already"
        raise fault(file, what, "give them once", row=int(row[second]), column="time")


def _energies(registers_wh: Energies, place: Place, gaps: list[Gap], *, is_export: bool) -> Energies:
    """int64[slots, points]: energies of one direction, ABSENT where missing or suspect; sums over gaps go into ``gaps``.

    As ``settlement.interval_energy`` says of its first version: each register is compared with the one before it.
    """
    energy_wh = np.full((len(registers_wh) - 1, len(place.points)), ABSENT, dtype=np.int64)
    for number, point in enumerate(place.points):
        present = np.flatnonzero(registers_wh[:, number] != ABSENT)
        values_wh = registers_wh[present, number]
        slots = np.diff(present)
        modulus_wh = np.full(len(slots), point.modulus_wh)
        advance_wh = advance_of(values_wh[:-1], values_wh[1:], modulus_wh)
        is_good = is_in_range(advance_wh, slots * point.limit_wh)
        single = is_good & (slots == 1)
        energy_wh[present[:-1][single], number] = advance_wh[single]
        gaps += [
            Gap(number, is_export, int(present[at]), int(slots[at]), int(advance_wh[at]))
            for at in np.flatnonzero(is_good & (slots > 1)).tolist()
        ]
    return energy_wh
