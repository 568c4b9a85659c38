"""The demonstration on four validators: the same day to the last digit as on one node alone, and every node proves it."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing

import pytest

from gridcore.config import load_config
from ledger.config import NodeConfig, load_key
from ledger.store.consortium import ConsortiumLedger
from settlement.catalogue import CONTRACTS, pins
from tests.demo.demo_run import Finished, run_demo
from tests.external import NEEDS_COMETBFT

pytestmark = [*NEEDS_COMETBFT, pytest.mark.slow]
NODES = ("node", "node-2", "node-3", "node-4")
EMBEDDED_ROOT = "8b6ade9934a2b0d74284d5cd10cd7403b7c2584746559a0a8c1e7b5b6050f133"
"""Of the same 12 homes, 8 slots and seed 7 on the embedded engine."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Two hours of 12 homes on four validators."""
    words = ("--json", "--engine", "cometbft", "--organisations", "4")
    return run_demo(tmp_path_factory.mktemp("d") / "o", *words, households=12, slots=8)


def test_result_is_that_of_one_node_alone(demo: Finished) -> None:
    assert demo.json["results_root"] == EMBEDDED_ROOT
    assert demo.json["readings_missing"] == 0
    assert demo.json["postings_sum_nano"] == 0


def test_all_nodes_have_the_same_header_and_state_root_at_every_height(demo: Finished) -> None:
    assert demo.status == 0, demo.explain()
    told = [headers_of(demo, name) for name in NODES]
    common = min(map(len, told))
    assert common >= demo.json["height"] - 2
    assert all(headers[:common] == told[0][:common] for headers in told)


def headers_of(demo: Finished, name: str) -> list[tuple[bytes, bytes]]:
    """Header digest and state root of every block of a node, from its disk."""
    config = load_config(demo.out / "run" / f"{name}.toml", NodeConfig)
    assert config.key is not None
    opened = ConsortiumLedger.open(config.data_dir, CONTRACTS, load_key(config.key), pins=pins())
    with closing(opened) as ledger:
        return [(ledger.digest(height), ledger.header(height).state_root) for height in range(1, ledger.height + 1)]


@pytest.mark.parametrize("bundle", ["sample.evd", "sample-2.evd", "sample-3.evd", "sample-4.evd"])
def test_bundle_of_each_node_verifies_by_more_than_two_thirds_of_four(demo: Finished, bundle: str) -> None:
    assert demo.status == 0, demo.explain()
    command = [sys.executable, "-I", "-S", "verify.py", bundle, "--trust", "trust.json"]
    done = subprocess.run(command, cwd=demo.out, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 of 4 signers" in done.stdout or "4 of 4 signers" in done.stdout


def test_nothing_is_left_running(demo: Finished) -> None:
    assert demo.status == 0, demo.explain()
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(demo.out) not in found
