"""The tables of what the simulator knows and the ledger does not: meters, truth, losses, voltages, violations, events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gridledger.tables.columns import Column, IntColumn, Table, text_column
from gridledger.tables.files import write_csv, write_rows
from simulators.grid.households import traders_of
from simulators.grid.violations import Violation
from simulators.grid.world import RATED_PHASE_V, World
from simulators.scenarios.schema import SLOT_S

NAMES: Final = ("meters.csv", "truth.csv", "losses.csv", "voltages.csv", "loadings.csv", "violations.csv", "events.csv")
TRUTH: Final = ("slot_start_s", "meter", "import_wh", "export_wh")
VOLTAGES: Final = ("slot_start_s", "meter", "voltage_mv")
LOADINGS: Final = ("slot_start_s", "area", "element", "loading_per_mille")
TRADERS_NAME: Final = "traders.csv"
TRADERS: Final = ("party", "strategy", "group")
LOSSES: Final = ("slot_start_s", "area", "loss_wh")
EVENTS: Final = ("label", "kind", "target", "other", "from_s", "until_s")
METERS: Final = (
    *("meter", "area", "party", "role", "ratio", "resolution_wh", "modulus_wh", "limit_wh"),
    *("start_import_wh", "start_export_wh"),
)
_TABLE_ROWS: Final = 1 << 16
"""About so many rows are made at once."""
_MILLI: Final = 1000


def write_world(out: Path, world: World, forget: Callable[[], None] = lambda: None) -> None:
    """Make the files ``NAMES``, and ``traders.csv`` where homes trade by several strategies. Energies are primary Wh; ``voltage_mv``: the phase's mean in the slot, at the meter; ``loading_per_mille``: of what a line
    or the transformer carries at most. forget: called between some slots and the next, whose arrays need no room then.
    """
    write_rows(out / "violations.csv", Violation._fields, world.violations)
    if traders := trader_rows(world):
        write_rows(out / TRADERS_NAME, TRADERS, traders)
    begins_s = [int(world.boundary_s[0]) + SLOT_S * slot for slot in range(world.slots + 2)]  # the last one ends behind
    events = [
        (event.label, event.kind, event.target, event.other, begins_s[event.from_slot], begins_s[event.until_slot])
        for event in world.labels
    ]
    write_rows(out / "events.csv", EVENTS, events)
    write_rows(out / "meters.csv", METERS, [[getattr(meter, name) for name in METERS] for meter in world.meters])
    meters = [meter.meter for meter in world.meters]

    def energies(some: slice) -> Sequence[NDArray[Any]]:
        forget()
        return [world.import_wh[some], world.export_wh[some]]

    def voltages_mv(some: slice) -> Sequence[NDArray[Any]]:
        forget()
        return [np.rint(world.voltage_pu[some].astype(np.float64) * RATED_PHASE_V * _MILLI)]

    write_csv(out / "truth.csv", TRUTH, by_slot(TRUTH, world.slot_start_s, [meters], energies))
    losses = by_slot(LOSSES, world.slot_start_s, [world.areas], lambda some: [world.loss_wh[some]])
    write_csv(out / "losses.csv", LOSSES, losses)
    write_csv(out / "voltages.csv", VOLTAGES, by_slot(VOLTAGES, world.slot_start_s, [meters], voltages_mv))
    elements = [area for area in world.areas for _ in world.elements], [*world.elements] * len(world.areas)

    def loadings_per_mille(some: slice) -> Sequence[NDArray[Any]]:
        forget()
        return [world.loading_per_mille[some]]

    loadings = by_slot(LOADINGS, world.slot_start_s, elements, loadings_per_mille)
    write_csv(out / "loadings.csv", LOADINGS, loadings)


def trader_rows(world: World) -> list[tuple[str, str, str]]:
    """Each home that trades, its strategy, and its group ("" for none); nothing where all have one strategy."""
    market = world.scenario.market
    if market is None or not (market.strategies or market.groups):
        return []
    group_of = {home: group.name for group in market.groups for home in group.homes}
    names = traders_of(world).names
    return [(party, name, group_of.get(party, "")) for party, name in zip(world.traders, names, strict=True)]


def by_slot(
    names: Sequence[str],
    slot_start_s: NDArray[np.int64],
    texts: Sequence[Sequence[str]],
    grids_of: Callable[[slice], Sequence[NDArray[Any]]],
) -> Iterator[Table]:
    """A row for each slot and thing, a whole number of each grid; some slots at once. texts: columns of words, one of each thing;
    grids_of: of some slots the grids [slots, things].
    """
    words, things = [text_column(column) for column in texts], len(texts[0])
    step = max(1, _TABLE_ROWS // things)
    for first in range(0, len(slot_start_s), step):
        some = slice(first, first + step)
        slots = slot_start_s[some]
        columns: list[Column] = [IntColumn(np.repeat(slots, things))]
        columns += [word._replace(codes=np.tile(word.codes, len(slots))) for word in words]
        columns += [IntColumn(grid.ravel().astype(np.int64)) for grid in grids_of(some)]
        yield Table(names, columns)
