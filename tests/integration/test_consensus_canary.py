"""The same blocks come to the same headers whatever surrounds a node: hash seed, locale, time zone, warnings, optimisation."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gridcore import cbor
from simulators.consensus.conversation import finalize_request
from simulators.consensus.run import Simulation

SURROUNDINGS = [
    {"PYTHONHASHSEED": "0", "LC_ALL": "C", "TZ": "UTC"},
    {"PYTHONHASHSEED": "1", "LC_ALL": "tr_TR.UTF-8", "TZ": "Asia/Kathmandu"},
    {"PYTHONHASHSEED": "4294967295", "LC_ALL": "zh_CN.GB18030", "TZ": "America/St_Johns", "PYTHONOPTIMIZE": "2"},
    {"PYTHONHASHSEED": "77", "LC_ALL": "de_DE", "TZ": "Pacific/Apia", "PYTHONUTF8": "0", "OMP_NUM_THREADS": "1"},
]


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of the blocks that a simulation decided."""
    simulation = Simulation(16, tmp_path_factory.mktemp("nodes"), faults=["bad proposer"])
    simulation.run()
    assert simulation.watch.violations == []
    requests = [finalize_request(decision.block).SerializeToString() for decision in simulation.nodes[0].disk.decisions]
    file = tmp_path_factory.mktemp("blocks") / "blocks.cbor"
    file.write_bytes(cbor.encode([list(simulation.founding.powers), simulation.founding.clock, requests]))
    return file


def test_blocks_come_to_the_same_headers_in_any_surroundings(blocks: Path, tmp_path: Path) -> None:
    printed = set()
    for number, surroundings in enumerate(SURROUNDINGS):
        command = [sys.executable, "-m", "tests.integration.consensus_child", str(blocks), str(tmp_path / str(number))]
        environment = {**os.environ, **surroundings}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
        assert len(done.stdout.splitlines()) > 5
        printed.add(done.stdout)
    assert len(printed) == 1
