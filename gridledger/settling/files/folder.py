"""A folder as a whole: which files are there, what each says, and whether they fit together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from gridledger.settling.dataset import Counts, Dataset, InputFile, Orders, PointRow, UnusualPower
from gridledger.settling.files.estimates import Gap, fill
from gridledger.settling.files.fault import fault, nearest, not_read
from gridledger.settling.files.grid import Grid, Place, grid_of
from gridledger.settling.files.layout import OWN, Layout, load_preset
from gridledger.settling.files.orders import no_orders, read_orders
from gridledger.settling.files.points import read_points, still_billed
from gridledger.settling.files.reactive import NAME as REACTIVE
from gridledger.settling.files.readings import Reading, read_readings
from gridledger.settling.files.registers import read_registers
from gridledger.settling.files.rules import NAME as RULES
from gridledger.settling.files.rules import UTC, RulesRead, read_rules
from gridledger.settling.files.stamps import Zone
from gridledger.settling.files.terms import AGREEMENTS, KEYS, POINTS, PRICES, Measured, read_terms
from gridledger.settling.files.unusual import unusual_power
from ledger.contract import Contract
from ledger.state.order_terms import takes_conditions

READINGS, REGISTERS, ORDERS = "readings.csv", "registers.csv", "orders.csv"
SEVERAL: Final = "readings"
"""A folder of files of readings, in place of one."""
FILES: Final = (RULES, POINTS, READINGS, REGISTERS, PRICES, KEYS, ORDERS, AGREEMENTS, REACTIVE)
INPUT_FILES_MAX: Final = 10_000


class _Energies(NamedTuple):
    """What readings or registers say: the grid, sums over gaps, the files, how many readings there are, and what is hardly meant."""

    grid: Grid
    gaps: Sequence[Gap]
    inputs: Sequence[InputFile]
    readings: int
    unusual: UnusualPower | None


def read_folder(folder: Path, preset: str | None = None, other_rules: Path | None = None) -> Dataset:
    """Read all files of a folder. UsageError, one line, at the first fault.

    ``preset``: the layout of its readings; ``other_rules``: a file in place of its rules.toml.
    """
    if not folder.is_dir():
        raise fault(str(folder), "is no folder", "name the folder that holds rules.toml, points.csv and readings.csv")
    layout = load_preset(preset) if preset else None
    if other_rules is None:
        _must(folder, RULES)
    _must(folder, POINTS)
    rules = read_rules(other_rules or folder / RULES)
    if other_rules is not None and (folder / RULES).is_file():
        rules = rules._replace(kept_series=[*rules.kept_series, *read_rules(folder / RULES).kept_series])
    points, points_file = read_points(folder / POINTS, rules.slot_s, rules.contract, rules.zone)
    billed = [point for point in points if not point.is_border]
    energies = _read_energies(folder, layout, points, rules)
    metered, contract = energies.grid, rules.contract
    starts = metered.slot_start_s
    orders, inputs = no_orders(), [rules.input_file, points_file, *energies.inputs]
    if contract.takes_orders and (folder / ORDERS).exists():
        orders, orders_file = read_orders(folder / ORDERS, billed, starts, rules.slot_s)
        _check_orders(orders, contract)
        inputs.append(orders_file)
    files = {name: folder / name for name in FILES if (folder / name).exists()}
    measured = Measured(points, starts, lambda place: bool(metered.import_wh[:, place].any()), orders)
    terms = read_terms(files, rules, measured)
    inputs += terms.inputs
    zone = rules.zone or Zone(UTC)
    estimated = fill(energies.grid, energies.gaps, points, zone, rules.estimate, energies.inputs[0].name)
    grid = estimated.grid
    return Dataset(
        slot_start_s=grid.slot_start_s,
        slot_s=rules.slot_s,
        timezone=zone.name,
        points=points,
        import_wh=grid.import_wh,
        export_wh=grid.export_wh,
        quality=grid.quality,
        series=terms.series,
        keys=terms.keys,
        orders=orders,
        rules=terms.rules,
        inputs=inputs,
        counts=Counts(energies.readings, estimated.missing, estimated.estimated),
        notes=[*_notes(folder, [file.name for file in inputs], rules, energies.unusual), *still_billed(points)],
        agreements=terms.agreements,
        references=terms.references,
        balance=terms.balance,
        tariff_series=terms.tariff_series,
        reactive=terms.reactive,
        unusual=energies.unusual,
    )


def _check_orders(orders: Orders, contract: Contract) -> None:
    """Refuse orders of a kind that the contract does not take."""
    if orders.conditions is not None and not takes_conditions(contract):
        what = f"has conditions (bid, seller, energy_kind), and {contract.contract_id} takes none"
        raise fault(ORDERS, what, "leave these columns empty, or settle under conditional_bid/1")
    if orders.all_or_none is not None and contract.trades_in_pairs:
        first = orders.order[int(np.argmax(orders.all_or_none))]
        what = (
            f"has an order that is all or none ({first}), and {contract.contract_id} trades in pairs, which takes none"
        )
        raise fault(ORDERS, what, "leave the column all_or_none empty, or settle under p2p_call_auction/2")


def _must(folder: Path, name: str) -> None:
    if not (folder / name).is_file():
        raise fault(
            str(folder / name), "is not there", f"a folder holds {RULES}, {POINTS} and {READINGS} or {REGISTERS}"
        )


def _read_energies(folder: Path, layout: Layout | None, points: Sequence[PointRow], rules: RulesRead) -> _Energies:
    one, several, registers = folder / READINGS, folder / SEVERAL, folder / REGISTERS
    there = [path.name for path in (one, several, registers) if path.exists()]
    if len(there) > 1:
        raise fault(str(folder), f"holds {' and '.join(there)}", "leave one of them: they say the same energies")
    if not there:
        found = sorted(path.name for path in folder.iterdir() if path.name not in FILES)
        hint = nearest(READINGS, found) if found else ""
        right = f"give the readings as {READINGS}" + (f" ({hint})" if hint.startswith("did") else "")
        raise fault(str(folder), f"holds neither {READINGS} nor {REGISTERS}", right)
    names = [point.point for point in points]
    own = replace(OWN, time=replace(OWN.time, repeated_hour=rules.repeated_hour))
    how = Reading(layout or own, names, rules.zone, rules.slot_s, rules.has_carry)
    if registers.exists():
        if layout is not None:
            raise fault(REGISTERS, "cannot be read with --preset", "a preset is a layout of readings; leave it out")
        read = read_registers(registers, how, Place((), "time", points))
        return _Energies(read.grid, read.gaps, [read.input_file], read.readings, read.unusual)
    paths = (
        sorted(path for path in several.iterdir() if path.is_file() and not path.name.startswith("."))
        if several.is_dir()
        else [one]
    )
    if not 1 <= len(paths) <= INPUT_FILES_MAX:
        raise fault(SEVERAL, f"holds {len(paths)} files", f"give 1 to {INPUT_FILES_MAX} files of readings")
    files = read_readings(paths, how)
    place = Place(files.inputs, how.layout.time.column, points)
    grid = grid_of(files.rows, rules.slot_s, place, silent_is_zero=how.layout.energy.silent_is_zero)
    unusual = unusual_power(
        grid,
        points,
        rules.slot_s,
        how.layout.energy.unit,
        lambda slot, point, is_export: place.said_at(
            files.rows, int(grid.slot_start_s[slot]), point, is_export=is_export
        ),
    )
    return _Energies(grid, (), files.inputs, files.readings, unusual)


def _notes(folder: Path, read: Sequence[str], rules: RulesRead, unusual: UnusualPower | None) -> Sequence[str]:
    """What a person should know: what is hardly meant, and what is there and was not used."""
    contract_id = rules.contract.contract_id
    there = sorted(path.name for path in folder.iterdir() if path.is_file() and path.suffix.lower() == ".csv")
    known = [name for name in there if name in FILES and name not in read]
    others = [name for name in there if name not in FILES]
    return [
        *([unusual.words] if unusual else []),
        *[f"{name} is not read: {contract_id} does not use it" for name in known],
        *[f"{RULES}: {key} is not used by {contract_id}" for key in rules.unused_prices()],
        *[not_read(name, FILES) for name in others],
    ]
