"""A scenario whose ledger several validators hold: the results of one node alone, on nodes that agree, also where all of it is killed and goes on."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

import pytest

from gridledger.demo.resuming import BOUNDARY
from gridledger.simulating.fault_scores import score_run
from gridledger.simulating.manifest import FILES
from simulators.scenarios.gallery import find_scenario
from tests.demo.demo_run import Finished, processes_of, run_simulation
from tests.demo.test_demo_consortium import headers_of
from tests.demo.test_simulate_resume import start, wait_for
from tests.external import NEEDS_COMETBFT

pytestmark = [*NEEDS_COMETBFT, pytest.mark.slow]
FOUND = find_scenario("four_organisations")
NODES = ("node", "node-2", "node-3", "node-4")
SLOTS = 4


STOP = """
[[events]]
label = "off"
kind = "validator_down"
target = "node-2"
from_slot = 1
until_slot = 2

[[events]]
label = "one of four does not hear the others"
kind = "partition"
target = "node-3"
from_slot = 2
until_slot = 3

[[events]]
label = "two and two"
kind = "partition"
target = "node-3 node-4"
from_slot = 3
until_slot = 4
"""


def scenario_in(folder: Path, *, validators: int | None, events: str = "") -> str:
    """The begin of the gallery's scenario, beside its table."""
    head, _, _ = FOUND.data.decode().partition("# Who holds the ledger")
    path = folder / "villages.toml"
    path.write_text(head.replace("slots = 8\n", f"slots = {SLOTS}\n"))
    if validators is not None:
        path.write_text(f"{path.read_text()}[consortium]\nvalidators = {validators}\n{events}")
    table = FOUND.scenario.grid.table
    assert table is not None
    shutil.copy(table, folder)
    return str(path)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """On one node."""
    folder = tmp_path_factory.mktemp("alone")
    return run_simulation(folder / "out", scenario_in(folder, validators=None))


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """On four validators."""
    folder = tmp_path_factory.mktemp("four")
    return run_simulation(folder / "out", scenario_in(folder, validators=4))


def check_same_results(told: Finished, alone: Finished) -> None:
    """Every table and the report, byte for byte."""
    assert told.json["results_root"] == alone.json["results_root"]
    kept = [name for name in FILES if (alone.out / name).exists()]
    assert len(kept) > 10
    different = [name for name in kept if (told.out / name).read_bytes() != (alone.out / name).read_bytes()]
    assert different == []


def test_four_validators_come_to_the_tables_and_the_report_of_one_node(four: Finished, alone: Finished) -> None:
    check_same_results(four, alone)
    manifests = [json.loads((told.out / "manifest.json").read_text()) for told in (four, alone)]
    assert (manifests[0]["validators"], "validators" in manifests[1]) == (4, False)
    assert manifests[0]["sm3"] == manifests[1]["sm3"]


def test_all_of_them_have_the_same_state_at_every_height(four: Finished) -> None:
    assert four.status == 0, four.explain()
    told = [headers_of(four, name)[: four.json["height"]] for name in NODES]
    assert len(told[0]) == four.json["height"]
    assert told[0][-1][1].hex() == four.json["state_root"]
    assert [headers == told[0] for headers in told] == [True] * 4


def test_gateways_talk_to_different_nodes(four: Finished) -> None:
    run = four.out / "run"
    ports = [tomllib.loads((run / f"{name}.toml").read_text())["listen"]["port"] for name in NODES]
    edges = [tomllib.loads((run / f"edge-{number}.toml").read_text())["node"] for number in (1, 2)]
    assert edges == [f"http://127.0.0.1:{ports[1]}", f"http://127.0.0.1:{ports[2]}"]
    assert processes_of(four.out) == []


def test_a_ledger_goes_on_without_one_of_four_and_stands_while_two_do_not_hear_two_and_all_catch_up(
    alone: Finished, tmp_path: Path
) -> None:
    told = run_simulation(tmp_path / "out", scenario_in(tmp_path, validators=4, events=STOP))
    assert (told.json["readings_missing"], told.json["faults"]) == (0, 3)
    assert told.json["results_root"] == alone.json["results_root"]
    kept = [name for name in FILES if name not in ("events.csv", "report.html") and (alone.out / name).exists()]
    assert [name for name in kept if (told.out / name).read_bytes() != (alone.out / name).read_bytes()] == []
    starts = [(told.out / "run" / f"{name}.log").read_text().count(" ready at ") for name in NODES]
    assert starts == [1, 2, 1, 1], "a node that is cut off goes on running"
    headers = [headers_of(told, name)[: told.json["height"]] for name in NODES]
    assert len(headers[0]) == told.json["height"]
    assert [other == headers[0] for other in headers] == [True] * 4
    assert [(event["kind"], event["target"]) for event in told.rows("events.csv")] == [
        ("validator_down", "node-2"),
        ("partition", "node-3"),
        ("partition", "node-3 node-4"),
    ]
    scores = score_run(told.out)
    assert [(score.kind, score.recall_percent, score.precision_percent) for score in scores] == [
        ("validator_down", 100, 100),
        ("partition", 100, 100),
    ]
    assert min(score.concerned for score in scores) > 3, "blocks of a slot"


def test_a_run_that_is_killed_goes_on_with_its_validators(alone: Finished, tmp_path: Path) -> None:
    out, scenario = tmp_path / "out", scenario_in(tmp_path, validators=4)
    process = start(out, scenario)
    wait_for(process, out / "run" / BOUNDARY, b"2")
    process.kill()
    process.wait()
    check_same_results(run_simulation(out, scenario, "--resume"), alone)
    assert processes_of(out) == []
