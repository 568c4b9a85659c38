"""A whole feeder of homes and a second one beside it for half an hour; one alone for an hour (``make soak``)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.demo import checks
from tests.demo.demo_run import Finished, run_demo

pytestmark = pytest.mark.slow


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((113, 4), id="one-feeder", marks=pytest.mark.soak),
        pytest.param((120, 2), id="two-feeders"),
    ],
)
def size(request: pytest.FixtureRequest) -> tuple[int, int]:
    """Households and slots."""
    households, slots = request.param
    return households, slots


@pytest.fixture(scope="module")
def demo(size: tuple[int, int], tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """An undisturbed run."""
    return run_demo(tmp_path_factory.mktemp("feeder") / "out", "--json", households=size[0], slots=size[1])


def test_a_feeder_runs_completely(demo: Finished, size: tuple[int, int]) -> None:
    checks.check_summary(demo, households=size[0], slots=size[1])
    checks.check_files(demo, slots=size[1])
    checks.check_nothing_left_running(demo)


def test_independent_scripts_come_to_the_same_integers_for_a_feeder(demo: Finished) -> None:
    checks.check_independently(demo)


def test_the_blocks_of_a_feeder_replay(demo: Finished) -> None:
    checks.check_ledger_command(demo)
    checks.check_replay_by_twin(demo)


def test_the_sample_of_a_feeder_verifies(demo: Finished, tmp_path: Path) -> None:
    bundle = tmp_path / "sample.evd"
    bundle.write_bytes((demo.out / "sample.evd").read_bytes())

    assert checks.verify_alone(demo.out, bundle, "--trust", demo.out / "trust.json").returncode == 0
