"""The consortium's machine through seeds of faults: every invariant holds, and the slow twin agrees on every code and state root.

``gridledger simulate consensus --seed N`` runs one seed again and tells what happened.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gridcore import cbor
from gridcore.logs import configure_logs
from gridcore.sm import is_valid_signature
from gridledger.cli import main
from simulators.consensus.founding import key_of
from simulators.consensus.run import Report, Simulation, simulate
from simulators.consensus.series import reproduce, run_series
from tests.simulation.test_twin_agrees import seeds
from tests.twin.twin import Twin

SEEDS_FAST, SEEDS_SOAK = 50, 2_000


def differences(report: Report) -> Sequence[str]:
    """Where the twin, given the blocks as they were decided, comes to something else."""
    twin = Twin(cbor.decode(report.founding.genesis.encode()))
    for decided in report.blocks:
        block = decided.block
        codes = twin.apply_block(
            block.height, block.time_s, block.transactions, is_valid_signature, block.certified_height, block.offenders
        )
        if tuple(codes) != decided.codes:
            return [f"codes at height {block.height}: {decided.codes}, twin {codes}"]
        if twin.state_root() != decided.state_root:
            return [f"state root at height {block.height}"]
    return []


@pytest.mark.parametrize("seed", seeds(range(SEEDS_FAST)))
def test_a_consortium_under_faults_keeps_every_promise_and_agrees_with_the_twin(seed: int) -> None:
    report = simulate(seed)
    assert report.blocks
    assert [*report.violations, *differences(report)] == [], f"again: {reproduce(seed)}"


def test_no_private_key_is_in_what_nodes_under_faults_log(tmp_path: Path) -> None:
    configure_logs(json=True, level="debug")
    simulation = Simulation(3, tmp_path, faults=["bad proposer", "bad voter", "crashes", "full disk"])
    with capture_logs() as lines:
        simulation.run()
    told = repr(lines) + repr(simulation.watch.journal)
    assert len(lines) >= 5
    for validator in simulation.founding.validators:
        scalar = key_of(validator.name).reveal_scalar()
        forms = (
            scalar.hex(),
            repr(scalar)[2:-1],
            base64.b64encode(scalar).decode(),
            str(int.from_bytes(scalar, "big")),
        )
        assert not [form for form in forms if form in told]


def test_what_no_block_takes_is_dropped_and_the_chain_becomes_quiet(tmp_path: Path) -> None:
    simulation = Simulation(61, tmp_path, faults=["all at once"])
    simulation.drive()
    assert simulation.watch.violations == []
    heights: list[int] = []
    for seconds in (150, 60):
        simulation.schedule.run(simulation.schedule.now_ms + 1_000 * seconds)
        heights.append(simulation.nodes[0].disk.height)
    simulation.close()
    assert heights[1] - heights[0] < 10


def test_the_command_runs_one_seed_again_and_tells_what_happened(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "consensus", "--seed", "16", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["seed"], told["violations"]) == (16, [])
    assert told["journal"]
    assert main(["simulate", "consensus", "--seed", "16"]) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines() == [*told["journal"], *printed.splitlines()[-2:]], "the same seed, the same events"
    assert printed.endswith("every invariant held\n")


def test_the_command_runs_many_seeds_and_counts_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "consensus", "--seed", "1", "--count", "2"]) == 0
    assert "seeds an hour" in capsys.readouterr().out


@pytest.mark.soak
def test_consortia_under_faults_keep_every_promise_over_many_seeds() -> None:
    series = run_series(seeds(range(10_000, 10_000 + SEEDS_SOAK)), differences)
    print(series.summary)
    assert not series.failed, series.summary
