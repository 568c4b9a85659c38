"""What a simulated world is settled by: the scenario's own tariff, or rules of any contract with the files beside them, read as ``settle files`` reads them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gridcore.errors import UsageError
from gridcore.registry.point import FEEDER
from gridledger.founding.folder import write_new
from gridledger.settling.dataset import (
    ROLE,
    Counts,
    Dataset,
    EstimateTerms,
    FileRules,
    InvoiceTerms,
    KeyRow,
    PointRow,
)
from gridledger.settling.files.keys import SHARE_PPM_MAX
from gridledger.settling.files.orders import no_orders
from gridledger.settling.files.points import read_more_of_points
from gridledger.settling.files.rules import NAME as RULES
from gridledger.settling.files.rules import RulesRead, read_rules
from gridledger.settling.files.stamps import Zone
from gridledger.settling.files.terms import AGREEMENTS, KEYS, POINTS, PRICES, Measured, read_terms, uses_keys
from settlement.contracts.p2p_call_auction_1 import CONTRACT
from simulators.grid.world import World
from simulators.scenarios.schema import SLOT_S, Market, Scenario, Tariff

FILES: Final = (RULES, POINTS, PRICES, KEYS, AGREEMENTS)
"""What a folder of rules may hold."""


def files_of(tariff: Tariff) -> Sequence[Path]:
    """The files of a scenario's rules, rules.toml first; none where its prices and terms are its own."""
    if tariff.rules is None:
        return ()
    if not tariff.rules.is_dir():
        return (tariff.rules,)
    return (tariff.rules / RULES, *(path for name in FILES[1:] if (path := tariff.rules / name).exists()))


def read_scenario_rules(scenario: Scenario) -> RulesRead | None:
    """The scenario's rules; None where its prices and terms are its own. UsageError for a tariff that no contract takes, and for rules that no world can have."""
    tariff, files = scenario.tariff, files_of(scenario.tariff)
    if not files:
        if fault := CONTRACT.fault_of({"prices": tariff.prices, **_own_terms(tariff)}):
            raise UsageError(f"tariff: {fault}")
        check_market(scenario, takes_orders=True)
        return None
    name = scenario.calendar.time_zone
    rules = read_rules(files[0], Zone(name))
    if rules.slot_s != SLOT_S:
        raise UsageError(f"{RULES}: [timeline] slot_s is {rules.slot_s}; a simulated world has slots of {SLOT_S} s")
    if rules.zone is not None and rules.zone.name != name:
        what = f"[timeline] timezone is {rules.zone.name}, and {name} in the scenario"
        raise UsageError(f"{RULES}: {what}; name the same, or none")
    check_market(scenario, takes_orders=rules.contract.takes_orders)
    times = scenario.timeline
    gate_s, deadline_s = rules.gate_before_start_s, rules.metering_deadline_s
    return rules._replace(
        gate_before_start_s=times.gate_before_start_s if gate_s is None else gate_s,
        metering_deadline_s=times.metering_deadline_s if deadline_s is None else deadline_s,
    )


def check_market(scenario: Scenario, *, takes_orders: bool) -> None:
    """UsageError where homes are to place orders and nothing says how."""
    if takes_orders and scenario.market is None:
        raise UsageError(f"market is missing; a contract that takes orders needs {', '.join(_MARKET_KEYS)}")


_MARKET_KEYS: Final = [field.name for field in fields(Market) if field.default is field.default_factory]
"""Those that it must have."""


def terms_of(world: World) -> Dataset:
    """What a world is settled by, as a dataset without energies and orders. UsageError, one line, at the first fault of its files.

    Its points, by the bytes of their names, are the meters at which somebody is billed, and those of feeders where areas have a balance. Points of an area
    have equal keys where the contract shares by keys and no file has them.
    """
    rules = read_scenario_rules(world.scenario)
    points = _points_of(world, with_feeders=rules is not None and rules.balance is not None)
    nothing = np.zeros((0, len(points)), dtype=np.int32)
    own = Dataset(
        slot_start_s=world.slot_start_s,
        slot_s=SLOT_S,
        timezone=world.scenario.calendar.time_zone,
        points=points,
        import_wh=nothing,
        export_wh=nothing,
        quality=nothing.astype(np.uint8),
        series=(),
        keys=(),
        orders=no_orders(),
        rules=_own_rules(world.scenario),
        inputs=(),
        counts=Counts(0, 0, 0),
    )
    return own if rules is None else _with_rules(own, world, rules)


def columns_of(world: World, points: Sequence[PointRow]) -> NDArray[np.intp]:
    """intp[points]: the column of the meter of each point."""
    column = {meter.meter: number for number, meter in enumerate(world.meters)}
    return np.array([column[point.point] for point in points], dtype=np.intp)


def _points_of(world: World, *, with_feeders: bool) -> list[PointRow]:
    points = [
        PointRow(meter.meter, meter.party, meter.area, meter.limit_wh, role=ROLE if meter.party else FEEDER)
        for meter in world.meters
        if meter.party or with_feeders
    ]
    return sorted(points, key=lambda point: point.point.encode())


def _own_rules(scenario: Scenario) -> FileRules:
    tariff, timeline = scenario.tariff, scenario.timeline
    return FileRules(
        prices=tariff.prices or {},
        contract=CONTRACT.contract_id,
        terms=_own_terms(tariff),
        gate_before_start_s=timeline.gate_before_start_s,
        metering_deadline_s=timeline.metering_deadline_s,
        invoice=InvoiceTerms(),
        estimate=EstimateTerms(),
    )


def _own_terms(tariff: Tariff) -> dict[str, Any]:
    return {} if tariff.terms is None else asdict(tariff.terms)


def _with_rules(own: Dataset, world: World, rules: RulesRead) -> Dataset:
    files, points = {path.name: path for path in files_of(world.scenario.tariff)}, own.points
    inputs = [rules.input_file]
    if POINTS in files:
        zone = Zone(world.scenario.calendar.time_zone)
        points, points_file = read_more_of_points(files[POINTS], points, SLOT_S, rules.contract, zone)
        _check_moves(world, rules, points)
        inputs.append(points_file)
    columns = columns_of(world, points)
    measured = Measured(
        points,
        own.slot_start_s,
        lambda place: bool(world.import_wh[:, columns[place]].any()),
        own.orders,
        known_by="the scenario",
    )
    terms = read_terms(files, rules, measured, _equal_keys(points) if uses_keys(rules.contract) else ())
    return own._replace(
        points=points,
        series=terms.series,
        keys=terms.keys,
        rules=terms.rules,
        inputs=[*inputs, *terms.inputs],
        agreements=terms.agreements,
        references=terms.references,
        balance=terms.balance,
        tariff_series=terms.tariff_series,
        reactive=terms.reactive,
    )


def _check_moves(world: World, rules: RulesRead, points: Sequence[PointRow]) -> None:
    """A home orders in the name of its party in all slots: that stays where it orders."""
    if not rules.contract.takes_orders:
        return
    traders = set(world.traders)
    for point in points:
        if point.later and point.party in traders:
            what = f"{point.party} places orders, and under {rules.contract.contract_id} stays billed for {point.point}"
            raise UsageError(f"{POINTS}: {what}; let points move at which nobody orders")


def _equal_keys(points: Sequence[PointRow]) -> list[KeyRow]:
    billed = [point for point in points if not point.is_border]
    of_area = Counter(point.area for point in billed)
    return [KeyRow(point.point, SHARE_PPM_MAX // of_area[point.area], None, None) for point in billed]


def write_rules(out: Path, scenario: Scenario) -> None:
    """Make ``rules.toml`` of a results folder, and copies of the files that were beside it."""
    files = files_of(scenario.tariff)
    if not files:
        write_new(out / RULES, _own_toml(scenario))
    for path, name in zip(files, (RULES, *(path.name for path in files[1:])), strict=False):
        write_new(out / name, path.read_bytes())


def rules_option(tariff: Tariff) -> str:
    """Of the command that makes a run again where ``write_rules`` has written its folder."""
    if tariff.rules is None:
        return ""
    return " --rules ." if tariff.rules.is_dir() else f" --rules {RULES}"


def _own_toml(scenario: Scenario) -> str:
    tariff, times = scenario.tariff, scenario.timeline
    prices = "".join(f"{key} = {value}\n" for key, value in (tariff.prices or {}).items())
    market = "".join(f"{key} = {json.dumps(value)}\n" for key, value in _own_terms(tariff).items())
    timeline = f"gate_before_start_s = {times.gate_before_start_s}\nmetering_deadline_s = {times.metering_deadline_s}\n"
    return (
        f"# Illustrative prices, no utility's tariff.\n[prices]\n{prices}\n[market]\n{market}\n[timeline]\n{timeline}"
    )
