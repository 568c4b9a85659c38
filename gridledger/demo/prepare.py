"""From a scenario to its world, with all that can be wrong with it said before anything starts."""

from __future__ import annotations

from gridcore.errors import GridError, UsageError
from gridledger.demo.rules import check_tariff
from simulators.grid.large_arrays import NewArray, in_memory
from simulators.grid.world import InParts, World, at_once, build_world
from simulators.scenarios.gallery import Found


def prepare(found: Found, new_array: NewArray = in_memory, in_parts: InParts = at_once) -> World:
    """Build the world, its large arrays by ``new_array``, its areas as ``in_parts`` asks for them; UsageError naming the file where its tariff is refused, or its grid cannot carry what is wanted."""
    try:
        check_tariff(found.scenario.tariff)
        return build_world(found.scenario, new_array, in_parts)
    except GridError as error:
        raise UsageError(f"{found.path}: {error}") from None
