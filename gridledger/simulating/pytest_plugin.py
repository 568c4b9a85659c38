"""For tests of one's own tariffs, traders and agents: pytest finds this plugin by itself, and gives tests the fixtures ``simulated`` and ``simulated_with_agents``.

It is loaded with every pytest beside which GridLedger is installed, and imports the simulator only for tests that ask for it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from gridledger.simulating.direct import Directed
    from gridledger.simulating.with_agents import Performed

Simulate = Callable[..., "Directed"]
SimulateWithAgents = Callable[..., "Performed"]


@pytest.fixture
def simulated(tmp_path: Path) -> Simulate:
    """``simulate`` without ``out``: each call settles a world in a folder of its own, which pytest takes away."""
    from gridledger.simulating.experiment import simulate

    folders = _folders(tmp_path / "simulated")

    def run(scenario: str, **how: Any) -> Directed:
        return simulate(scenario, next(folders), **how)

    return run


@pytest.fixture
def simulated_with_agents(tmp_path: Path) -> SimulateWithAgents:
    """``simulate_with_agents`` without ``out``, likewise."""
    from gridledger.simulating.with_agents import simulate_with_agents

    folders = _folders(tmp_path / "with-agents")

    def run(scenario: str, **how: Any) -> Performed:
        return simulate_with_agents(scenario, next(folders), **how)

    return run


def _folders(first: Path) -> Iterator[Path]:
    return (first.with_name(f"{first.name}-{number}") for number in itertools.count(1))
