"""The demonstration's world in other sizes."""

from __future__ import annotations

from simulators.grid.world import World, build_world
from simulators.scenarios.gallery import DEMONSTRATION, Found, find_scenario


def demonstration(*, households: int, slots: int, seed: int) -> Found:
    """The scenario of ``gridledger demo``."""
    return find_scenario(DEMONSTRATION).sized(households=households, slots=slots, seed=seed)


def demo_world(*, households: int, slots: int, seed: int) -> World:
    """What it simulates."""
    return build_world(demonstration(households=households, slots=slots, seed=seed).scenario)
