"""From a scenario to its world and what settles it, with all that can be wrong with them said before anything starts."""

from __future__ import annotations

from typing import Final

from gridcore.errors import GridError, UsageError
from gridledger.settling.dataset import Dataset
from gridledger.settling.files.fault import FilesError
from gridledger.simulating.terms import read_scenario_rules, terms_of
from settlement.catalogue import CONTRACTS
from simulators.grid.households import traders_of
from simulators.grid.large_arrays import NewArray, in_memory
from simulators.grid.world import InParts, World, at_once, build_world
from simulators.scenarios.gallery import Found
from simulators.scenarios.schema import AGENT_HOUSEHOLDS_MAX, SLOT_S

BEGINS_BEFORE_S: Final = 86_400
"""So long before the first slot ledger time begins."""


def prepare(found: Found, new_array: NewArray = in_memory, in_parts: InParts = at_once) -> tuple[World, Dataset]:
    """The world, its large arrays by ``new_array``, its areas as ``in_parts`` asks for them, and ``terms_of`` it.

    UsageError naming the file where its tariff or its rules are refused, or its grid cannot carry what is wanted.
    """
    try:
        read_scenario_rules(found.scenario)
        world = build_world(found.scenario, new_array, in_parts)
        if found.scenario.market is not None:
            traders_of(world)
        return world, terms_of(world)
    except FilesError:  # names the file of the rules
        raise
    except GridError as error:
        raise UsageError(f"{found.path}: {error}") from None


def prepare_for_agents(found: Found) -> tuple[World, Dataset]:
    """The same for agents and a node: UsageError for too many homes, and for a gate or a book's opening at which homes could not order."""
    homes = found.scenario.households.trading
    if homes > AGENT_HOUSEHOLDS_MAX:
        right = f"through agents {AGENT_HOUSEHOLDS_MAX} at most; give --direct"
        raise UsageError(f"{found.path}: households.trading {homes}: {right}")
    world, terms = prepare(found)
    if CONTRACTS[terms.rules.contract].takes_orders:
        _check_times(found, terms.rules.gate_before_start_s)
    return world, terms


def _check_times(found: Found, gate_s: int) -> None:
    """Ledger time begins a day before the first slot; homes order for a slot when the gate of the one before it has closed."""
    if gate_s >= BEGINS_BEFORE_S:
        right = f"through agents less than {BEGINS_BEFORE_S}, which is when ledger time begins; give --direct"
        raise UsageError(f"{found.path}: timeline.gate_before_start_s {gate_s}: {right}")
    opens_s = found.scenario.timeline.open_before_start_s
    if opens_s < gate_s + SLOT_S:
        right = f"at least {gate_s + SLOT_S}, a slot before the gate: homes order behind the gate before"
        raise UsageError(f"{found.path}: timeline.open_before_start_s {opens_s}: {right}")
