"""From a scenario to its world, with all that can be wrong with it said before anything starts."""

from __future__ import annotations

from gridcore.errors import GridError, UsageError
from gridledger.demo.rules import check_tariff
from simulators.grid.world import World, build_world
from simulators.scenarios.gallery import Found


def prepare(found: Found) -> World:
    """Build the world; UsageError naming the file where its tariff is refused, or its grid cannot carry what is wanted."""
    try:
        check_tariff(found.scenario.tariff)
        return build_world(found.scenario)
    except GridError as error:
        raise UsageError(f"{found.path}: {error}") from None
