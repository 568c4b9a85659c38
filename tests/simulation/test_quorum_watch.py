"""The simulation sees heights that are decided without a quorum (I7), and takes none for one that had it, however short that was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from simulators.consensus.founding import Founding
from simulators.consensus.messages import Decision
from simulators.consensus.quorum import SETTLED_MS, QuorumWatch
from simulators.consensus.run import Simulation

FOUR = Founding((1, 1, 1, 1), "simulated")


@pytest.fixture
def simulation(tmp_path: Path) -> Iterator[Simulation]:
    """Four nodes after a few heights, two of which have ended."""
    made = Simulation(1, tmp_path, founding=FOUR, faults=[])
    for node in made.nodes:
        node.start()
    made.schedule.run(10_000)
    for node in made.nodes[:2]:
        node.end("away")
    yield made
    made.close()


def decide_one_more(simulation: Simulation) -> None:
    """Let node 2 have decided a height, whoever was there."""
    disk = simulation.nodes[2].disk
    disk.decisions.append(Decision(disk.decisions[-1].block, ()))
    disk.members.append(disk.members[-1])


@pytest.fixture
def quorum(simulation: Simulation) -> QuorumWatch:
    """It has seen that there is no quorum, for so long that nothing is under way any more."""
    watch = QuorumWatch(simulation.nodes, simulation.network, simulation.watch)
    now_ms = simulation.schedule.now_ms
    for later_ms in (0, SETTLED_MS):
        watch.look(now_ms + later_ms)
    return watch


def test_height_decided_without_a_quorum_is_found_once(simulation: Simulation, quorum: QuorumWatch) -> None:
    decide_one_more(simulation)
    later_ms = simulation.schedule.now_ms + SETTLED_MS + 500
    quorum.look(later_ms)
    quorum.look(later_ms + 500)
    height = simulation.nodes[2].disk.height
    assert simulation.watch.violations == [f"height {height} was decided without a quorum"]


def test_height_decided_by_a_quorum_that_was_there_for_a_moment_is_none(
    simulation: Simulation, quorum: QuorumWatch
) -> None:
    later_ms = simulation.schedule.now_ms + SETTLED_MS + 500
    simulation.nodes[0].start()
    quorum.look(later_ms)
    decide_one_more(simulation)
    simulation.nodes[0].end("again")
    quorum.look(later_ms + 500)
    assert simulation.watch.violations == []
