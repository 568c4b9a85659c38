"""For tests of one's own tariffs and traders: pytest finds this plugin by itself, and gives tests the fixture ``simulated``.

It is loaded with every pytest beside which GridLedger is installed, and imports the simulator only for tests that ask for it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from gridledger.simulating.direct import Directed

Simulate = Callable[..., "Directed"]


@pytest.fixture
def simulated(tmp_path: Path) -> Simulate:
    """``simulate`` without ``out``: each call settles a world in a folder of its own, which pytest takes away."""
    from gridledger.simulating.experiment import simulate

    folders = (tmp_path / f"simulated-{number}" for number in itertools.count(1))

    def run(scenario: str, **how: Any) -> Directed:
        return simulate(scenario, next(folders), **how)

    return run
