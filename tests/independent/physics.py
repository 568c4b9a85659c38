"""Hold a demo's registers against the simulated truth, its energy balance against the losses, its market against a real one.

    python3 physics.py FOLDER

Standard library only, and nothing of GridLedger. From meters.csv, truth.csv, losses.csv, registers.csv, orders.csv and fills.csv:
every register = floor(true cumulative / resolution) x resolution; per slot and area the energies of the points, losses and feeder
add up; the market served at least 60 % of what the trading homes could have given each other. Exit 0, 1 (a line for each finding), 2.
"""

from __future__ import annotations

import csv
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

COVERAGE_PERCENT_MIN = 60
SHOWN_MAX = 50

Pair = tuple[int, int]  # import, export in Wh
Series = dict[tuple[int, str], Pair]  # by (seconds, meter)


class BadFolderError(Exception):
    """The folder's files are not what their description says; the text is one line."""


class Meter(NamedTuple):
    """A line of meters.csv, as far as it is needed here."""

    area: str
    party: str
    role: str
    resolution_wh: int
    modulus_wh: int
    start: Pair


def load_rows(folder: Path, name: str, *columns: str) -> list[dict[str, str]]:
    """Rows by column; the file must have the columns asked for."""
    try:
        with (folder / name).open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            lacking = set(columns) - set(reader.fieldnames or ())
            if lacking:
                raise BadFolderError(f"{name}: lacks the columns {', '.join(sorted(lacking))}")
            return list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadFolderError(f"{folder / name}: {error}") from None


def load_meters(folder: Path) -> dict[str, Meter]:
    """Every meter by its name."""
    names = ("resolution_wh", "modulus_wh", "start_import_wh", "start_export_wh")
    meters = {}
    for row in load_rows(folder, "meters.csv", "meter", "area", "party", "role", *names):
        resolution, modulus, imported, exported = (int(row[name]) for name in names)
        meters[row["meter"]] = Meter(row["area"], row["party"], row["role"], resolution, modulus, (imported, exported))
    return meters


def load_series(folder: Path, name: str, time_column: str) -> Series:
    """Import and export by time and meter; rows with an empty value are left out."""
    series: Series = {}
    for row in load_rows(folder, name, time_column, "meter", "import_wh", "export_wh"):
        key = (int(row[time_column]), row["meter"])
        if key in series:
            raise BadFolderError(f"{name}: {key} occurs twice")
        if row["import_wh"] and row["export_wh"]:
            series[key] = (int(row["import_wh"]), int(row["export_wh"]))
    return series


def slots_of(truth: Series) -> list[int]:
    """Slot starts, ascending and equally spaced."""
    slots = sorted({slot for slot, _ in truth})
    if not slots or len({later - earlier for earlier, later in pairwise(slots)}) > 1:
        raise BadFolderError("truth.csv: the slots are not equally spaced, or there are none")
    return slots


def boundaries_of(slots: Sequence[int], registers: Series) -> list[int]:
    """The slots' starts and the end of the last, which registers.csv alone can tell."""
    last = max((boundary for boundary, _ in registers), default=slots[-1])
    if last <= slots[-1]:
        raise BadFolderError("registers.csv: nothing at the end of the last slot")
    return [*slots, last]


def wrong_registers(meters: Mapping[str, Meter], truth: Series, registers: Series, boundaries: list[int]) -> list[str]:
    """Registers that are not the true cumulative energy cut down to the meter's resolution."""
    problems = [
        f"registers.csv: {key} is no boundary and meter of this world" for key in registers if key[1] not in meters
    ]
    for name, meter in meters.items():
        true = meter.start
        for index, boundary in enumerate(boundaries):
            if index:
                slot = truth.get((boundaries[index - 1], name))
                if slot is None:
                    problems.append(f"truth.csv: {name} lacks the slot {boundaries[index - 1]}")
                    break
                true = (true[0] + slot[0], true[1] + slot[1])
            shown = tuple(shown_register(value, meter) for value in true)
            found = registers.get((boundary, name))
            if found is None:
                problems.append(f"registers.csv: {name} lacks the boundary {boundary}")
            elif found != shown:
                problems.append(f"registers.csv: {name} at {boundary} shows {found}, must show {shown}")
    problems += [
        f"registers.csv: {boundary} is no boundary" for boundary in {b for b, _ in registers} - set(boundaries)
    ]
    return problems


def shown_register(true_wh: int, meter: Meter) -> int:
    """What the meter shows of its true cumulative energy."""
    shown = true_wh // meter.resolution_wh * meter.resolution_wh
    return shown % meter.modulus_wh if meter.modulus_wh else shown


def energies_of(meters: Mapping[str, Meter], registers: Series, boundaries: Sequence[int]) -> Series:
    """Energies per slot from the differences of the registers, where both are there."""
    energies: Series = {}
    for name, meter in meters.items():
        for start_s, end_s in pairwise(boundaries):
            start, end = registers.get((start_s, name)), registers.get((end_s, name))
            if start and end:
                imported, exported = (
                    new - old + (meter.modulus_wh if new < old else 0) for old, new in zip(start, end, strict=True)
                )
                energies[start_s, name] = (imported, exported)
    return energies


def unbalanced(
    what: str,
    meters: Mapping[str, Meter],
    energies: Series,
    losses: Mapping[tuple[int, str], int],
    bounds: Mapping[str, int],
) -> list[str]:
    """Slots in which points + loss - feeder is not within the area's bound (exclusive)."""
    nets: dict[tuple[int, str], int] = defaultdict(int)
    counted: dict[tuple[int, str], int] = defaultdict(int)
    for (slot, name), (imported, exported) in energies.items():
        meter = meters[name]
        nets[slot, meter.area] += (exported - imported) if meter.role == "feeder" else (imported - exported)
        counted[slot, meter.area] += 1
    sizes: dict[str, int] = defaultdict(int)
    for meter in meters.values():
        sizes[meter.area] += 1
    problems = []
    for (slot, area), loss in losses.items():
        gap = nets[slot, area] + loss
        if counted[slot, area] != sizes[area]:
            problems.append(f"{what}: {area} at {slot} has {counted[slot, area]} of {sizes[area]} energies")
        elif abs(gap) >= bounds[area]:
            problems.append(f"{what}: {area} at {slot} is out of balance by {gap} Wh, bound {bounds[area]} Wh")
    return problems


def balance_bounds(meters: Mapping[str, Meter], resolutions: int) -> dict[str, int]:
    """Per area: ``resolutions`` times the sum of its resolutions, and 1 Wh for each point."""
    bounds: dict[str, int] = defaultdict(int)
    for meter in meters.values():
        bounds[meter.area] += resolutions * meter.resolution_wh + (meter.role != "feeder")
    return bounds


def market_coverage(
    meters: Mapping[str, Meter],
    energies: Series,
    orders: Iterable[Mapping[str, str]],
    fills: Iterable[Mapping[str, str]],
) -> Pair:
    """(served, possible) Wh over all slots among the parties that placed orders."""
    placed = {row["order"]: row for row in orders}
    traders = {row["party"] for row in placed.values()}
    traded: dict[tuple[int, str, str], int] = defaultdict(int)
    for fill in fills:
        order = placed[fill["order"]]
        traded[int(fill["slot_start_s"]), order["party"], order["side"]] += int(fill["filled_wh"])
    sums: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for (slot, name), (imported, exported) in energies.items():
        party = meters[name].party
        if party in traders:
            values = (min(traded[slot, party, "buy"], imported), min(traded[slot, party, "sell"], exported))
            sums[slot] = [total + value for total, value in zip(sums[slot], (*values, imported, exported), strict=True)]
    served = sum(min(bought, sold) for bought, sold, _, _ in sums.values())
    return served, sum(min(imported, exported) for _, _, imported, exported in sums.values())


def findings(folder: Path) -> tuple[list[str], dict[str, int]]:
    """Everything that does not hold, and the numbers of the market."""
    meters = load_meters(folder)
    truth = load_series(folder, "truth.csv", "slot_start_s")
    registers = load_series(folder, "registers.csv", "boundary_s")
    losses = {
        (int(row["slot_start_s"]), row["area"]): int(row["loss_wh"])
        for row in load_rows(folder, "losses.csv", "slot_start_s", "area", "loss_wh")
    }
    slots = slots_of(truth)
    boundaries = boundaries_of(slots, registers)
    shown = energies_of(meters, registers, boundaries)
    problems = wrong_registers(meters, truth, registers, boundaries)
    areas = {meter.area for meter in meters.values()}
    if set(losses) != {(slot, area) for slot in slots for area in areas}:
        problems.append("losses.csv: must have exactly one line for each slot and area")
    problems += unbalanced("truth.csv", meters, truth, losses, balance_bounds(meters, 0))
    problems += unbalanced("registers.csv", meters, shown, losses, balance_bounds(meters, 2))
    orders = load_rows(folder, "orders.csv", "order", "party", "side")
    fills = load_rows(folder, "fills.csv", "slot_start_s", "order", "filled_wh")
    numbers: dict[str, int] = {}
    if unknown := {row["order"] for row in fills} - {row["order"] for row in orders}:
        return [*problems, f"fills.csv: no such orders: {', '.join(sorted(unknown))}"], numbers
    for what, energies in (("truth", truth), ("registers", shown)):
        served, possible = market_coverage(meters, energies, orders, fills)
        numbers |= {f"{what}_served_wh": served, f"{what}_possible_wh": possible}
        if served == 0 or served * 100 < possible * COVERAGE_PERCENT_MIN:
            problems.append(f"market on {what}: {served} of {possible} Wh that homes could have traded")
    return problems, numbers


def main(arguments: Sequence[str]) -> int:
    """Check the folder named by the one argument."""
    if len(arguments) != 1:
        print("usage: physics.py FOLDER", file=sys.stderr)
        return 2
    try:
        problems, numbers = findings(Path(arguments[0]))
    except (BadFolderError, ValueError) as error:
        print(f"physics: {error}", file=sys.stderr)
        return 2
    for problem in problems[:SHOWN_MAX]:
        print(problem)
    print(f"physics: {f'{len(problems)} findings' if problems else 'all holds'} {json.dumps(numbers)}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
