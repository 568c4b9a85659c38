"""A folder as a whole: which files are there, what each says, and whether they fit together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from gridledger.settling.dataset import (
    AgreementRow,
    BalanceRules,
    Counts,
    Dataset,
    InputFile,
    KeyRow,
    Orders,
    PointRow,
    SeriesRows,
    UnusualPower,
    parties_of,
)
from gridledger.settling.files.agreements import prices_named, read_agreements, references_of
from gridledger.settling.files.estimates import Gap, fill
from gridledger.settling.files.fault import fault, nearest
from gridledger.settling.files.grid import Grid, Place, grid_of
from gridledger.settling.files.keys import read_keys
from gridledger.settling.files.layout import OWN, Layout, load_preset
from gridledger.settling.files.orders import OrdersRead, no_orders, read_orders
from gridledger.settling.files.points import read_points
from gridledger.settling.files.prices import check_prices, first_prices, read_prices
from gridledger.settling.files.readings import Reading, read_readings
from gridledger.settling.files.registers import read_registers
from gridledger.settling.files.rules import NAME as RULES
from gridledger.settling.files.rules import UTC, RulesRead, fault_of_terms, file_rules, read_rules
from gridledger.settling.files.stamps import Zone, to_iso
from gridledger.settling.files.unusual import unusual_power
from ledger.contract import Contract
from ledger.state.order_terms import CONDITIONS
from settlement.contract_kit_1 import Int64Column
from settlement.errors import SettlementError
from settlement.tariffs.components import Component
from settlement.tariffs.network import price_at_level

POINTS, READINGS, REGISTERS, PRICES = "points.csv", "readings.csv", "registers.csv", "prices.csv"
KEYS, ORDERS, AGREEMENTS = "keys.csv", "orders.csv", "agreements.csv"
SEVERAL: Final = "readings"
"""A folder of files of readings, in place of one."""
FILES: Final = (RULES, POINTS, READINGS, REGISTERS, PRICES, KEYS, ORDERS, AGREEMENTS)
INPUT_FILES_MAX: Final = 10_000


class _Energies(NamedTuple):
    """What readings or registers say: the grid, sums over gaps, the files, how many readings there are, and what is hardly meant."""

    grid: Grid
    gaps: Sequence[Gap]
    inputs: Sequence[InputFile]
    readings: int
    unusual: UnusualPower | None


class _Priced(NamedTuple):
    """Agreements, the prices that they name, the prices of the contract that vary, the terms of balances with theirs, those that the tariff names, and the files."""

    agreements: Sequence[AgreementRow]
    references: Sequence[SeriesRows]
    series: Sequence[SeriesRows]
    balance: BalanceRules | None
    tariff: Sequence[SeriesRows]
    inputs: Sequence[InputFile]


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
    points, points_file = read_points(folder / POINTS, rules.slot_s, rules.contract, rules.zone)
    billed = [point for point in points if not point.is_border]
    energies = _read_energies(folder, layout, points, rules)
    starts, contract = energies.grid.slot_start_s, rules.contract
    priced = _read_priced(folder, rules, billed, starts)
    series, inputs = priced.series, [rules.input_file, points_file, *energies.inputs, *priced.inputs]
    keys: Sequence[KeyRow] = []
    orders = OrdersRead(no_orders(), rules.input_file)
    if uses_keys(contract) and (folder / KEYS).exists():
        keys, keys_file = read_keys(folder / KEYS, billed, rules.zone, rules.slot_s)
        inputs.append(keys_file)
    if contract.takes_orders and (folder / ORDERS).exists():
        orders = read_orders(folder / ORDERS, billed, starts, rules.slot_s)
        _check_orders(orders.orders, contract)
        inputs.append(orders.input_file)
    settled = file_rules(rules, starts, other_prices=_first_prices(series, rules, starts), orders=orders.orders)
    _check_tariff(rules, points)
    check_prices(series, settled, billed, starts, lambda prices: fault_of_terms(rules, prices))
    if uses_keys(contract):
        _check_keys(keys, rules, points, energies.grid)
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
        series=series,
        keys=keys,
        orders=orders.orders,
        rules=settled,
        inputs=inputs,
        counts=Counts(energies.readings, estimated.missing, estimated.estimated),
        notes=_notes(folder, [file.name for file in inputs], rules, energies.unusual),
        agreements=priced.agreements,
        references=priced.references,
        balance=priced.balance,
        tariff_series=priced.tariff,
        unusual=energies.unusual,
    )


def _check_orders(orders: Orders, contract: Contract) -> None:
    """Refuse orders of a kind that the contract does not take."""
    if orders.conditions is not None and CONDITIONS not in contract.order_terms:
        what = f"has conditions (bid, seller, energy_kind), and {contract.contract_id} takes none"
        raise fault(ORDERS, what, "leave these columns empty, or settle under conditional_bid/1")
    if orders.all_or_none is not None and contract.trades_in_pairs:
        first = orders.order[int(np.argmax(orders.all_or_none))]
        what = (
            f"has an order that is all or none ({first}), and {contract.contract_id} trades in pairs, which takes none"
        )
        raise fault(ORDERS, what, "leave the column all_or_none empty, or settle under p2p_call_auction/2")


def _read_priced(folder: Path, rules: RulesRead, points: Sequence[PointRow], starts: Int64Column) -> _Priced:
    """Agreements, where the contract takes them, and prices: those of the contract and those that agreements name."""
    agreements: Sequence[AgreementRow] = ()
    series: Sequence[SeriesRows] = ()
    inputs: list[InputFile] = []
    if rules.contract.takes_agreements and (folder / AGREEMENTS).exists():
        agreements, agreements_file = read_agreements(folder / AGREEMENTS, points, rules.zone, rules.slot_s)
        inputs.append(agreements_file)
    own = rules.price_keys()
    if (folder / PRICES).exists():
        named = {row.agreement.series for row in agreements if row.agreement.series is not None}
        named |= {*_balance_series(rules), *_tariff_series(rules)}
        keys = [*own, *sorted(named.difference(own))]
        series, prices_file = read_prices(folder / PRICES, keys, points, rules.zone, rules.slot_s)
        inputs.append(prices_file)
    references = references_of(agreements, series, starts)
    balance = None
    if rules.balance is not None:
        of_balance = prices_named(dict.fromkeys(_balance_series(rules), "[balance]"), series, starts, RULES)
        balance = BalanceRules(rules.balance, of_balance)
    tariff = prices_named(_tariff_series(rules), series, starts, RULES)
    return _Priced(agreements, references, [rows for rows in series if rows.key in own], balance, tariff, inputs)


def _balance_series(rules: RulesRead) -> Sequence[str]:
    """The keys of prices.csv that ``[balance]`` names."""
    series = None if rules.balance is None else rules.balance.series
    return list((series or {}).values())


def _tariff_series(rules: RulesRead) -> dict[str, str]:
    """The keys of prices.csv that components of the tariff name, and what names each."""
    return {one.price_series: f"the tariff component {one.name}" for one in rules.tariff if one.price_series}


def uses_keys(contract: Contract) -> bool:
    """Whether a contract shares by keys of points."""
    return not {"share_ppm", "priority"}.isdisjoint(contract.point_terms)


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


def _first_prices(series: Sequence[SeriesRows], rules: RulesRead, starts: Int64Column) -> dict[str, int]:
    """Prices that only prices.csv has, as of the first slot; FilesError for one that has none there."""
    first_s = int(starts[0])
    prices = first_prices(series, first_s)
    for rows in series:
        if rows.key not in prices and rows.key not in rules.dated[0].prices:
            what = f"{rows.key} has no price for all from {to_iso(first_s)} on, the first slot"
            raise fault(PRICES, what, f"give one that starts there or earlier, or [prices] {rows.key} in {RULES}")
    return prices


def _check_tariff(rules: RulesRead, points: Sequence[PointRow]) -> None:
    """A component is paid by parties that there are, to an account that is none."""
    parties = parties_of(points)
    for component in rules.tariff:
        if component.account in parties:
            what = f"[[tariff.component]] {component.name}: account {component.account} is a party of {POINTS}"
            raise fault(RULES, what, "give the account another name")
        for party in (*component.parties, *component.contracted_w):
            if party not in parties:
                what = f"[[tariff.component]] {component.name}: {party} is no party of {POINTS}"
                raise fault(RULES, what, nearest(party, sorted(parties)))
        if component.levels:
            _check_levels(component, points)


def _check_levels(component: Component, points: Sequence[PointRow]) -> None:
    """A component by voltage level has a price for every point of who pays it."""
    for point in points:
        level = point.voltage_level or component.user_level
        if point.is_border or (component.parties and not {*component.parties}.intersection(point.parties)):
            continue
        if not level:
            what = (
                f"point {point.point} has no voltage_level, by which [[tariff.component]] {component.name} is charged"
            )
            raise fault(POINTS, what, f"give it in the column voltage_level, or user_level in {RULES}")
        try:
            price_at_level(component.levels, level, component.highest_level)
        except SettlementError as error:
            what = f"point {point.point} and [[tariff.component]] {component.name} of {RULES}: {error}"
            raise fault(POINTS, what, "give the point one of its levels, or the component more") from None


def _check_keys(keys: Sequence[KeyRow], rules: RulesRead, points: Sequence[PointRow], grid: Grid) -> None:
    """Refuse a method whose keys are not there."""
    method = rules.market.get("method")
    if method == "priority":
        having = {key.point for key in keys if key.priority is not None}
        for point, energy_wh in zip(points, grid.import_wh.T, strict=True):
            if (energy_wh > 0).any() and not point.is_border and point.point not in having:
                raise fault(
                    KEYS, f"{point.point} has no priority", "method priority needs one of each point that imports"
                )
    elif method != "dynamic" and not any(key.share_ppm for key in keys):
        raise fault(KEYS, f"holds no share, and [market] method is {method}", "give each point its share_ppm")


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
        *[f"{name} is not read: it is none of {', '.join(FILES)}" for name in others],
    ]
