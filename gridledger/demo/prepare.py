"""From a scenario to its world and what settles it, with all that can be wrong with them said before anything starts."""

from __future__ import annotations

from gridcore.errors import GridError, UsageError
from gridledger.settling.dataset import Dataset
from gridledger.settling.files.fault import FilesError
from gridledger.settling.files.rules import NAME as RULES
from gridledger.simulating.terms import read_scenario_rules, terms_of
from simulators.grid.households import traders_of
from simulators.grid.large_arrays import NewArray, in_memory
from simulators.grid.world import InParts, World, at_once, build_world
from simulators.scenarios.gallery import Found
from simulators.scenarios.schema import AGENT_HOUSEHOLDS_MAX


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
    """The same for agents and a node: UsageError for too many homes, and for rules that settle on dates behind the days, where agents stop."""
    homes = found.scenario.households.trading
    if homes > AGENT_HOUSEHOLDS_MAX:
        right = f"through agents {AGENT_HOUSEHOLDS_MAX} at most; give --direct"
        raise UsageError(f"{found.path}: households.trading {homes}: {right}")
    world, terms = prepare(found)
    if terms.rules.runs is not None:
        what = "[runs] settles on dates behind the scenario's days, and agents stop with them"
        raise UsageError(f"{RULES}: {what}; leave the table out, or give --direct")
    return world, terms
