"""A street of mixed meters on which much goes wrong: the same to the last byte in other surroundings, and as its labels say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gridledger.simulating.fault_scores import ABSENT, AS_IT_STOOD, COUNTED, UNSEEN, Score, score_run
from tests.demo.demo_run import ABROAD, Finished, one_processor, run_simulation
from tests.demo.rough_street import TROUBLES, differing_files, rough_street

pytestmark = pytest.mark.slow
SIGNS = {
    ("late", ABSENT),
    ("lost", ABSENT),
    ("exception", ABSENT),
    ("word_swap", ABSENT),
    ("garbled", ABSENT),
    ("dead_gateway", ABSENT),
    ("reboot", COUNTED),
    ("duplicated", COUNTED),
    ("reordered", COUNTED),
    ("cut_from_node", COUNTED),
    ("dead_broker", COUNTED),
    ("dead_broker", UNSEEN),
    ("clock_drift", AS_IT_STOOD),
}


@pytest.fixture(scope="module")
def rough(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Some hours of a spring night."""
    folder = tmp_path_factory.mktemp("rough")
    return run_simulation(folder / "out", rough_street(folder))


@pytest.fixture(scope="module")
def scores(rough: Finished) -> list[Score]:
    """Every kind of fault of it, labels against the ledger."""
    return score_run(rough.out)


def test_every_file_has_the_same_bytes_with_another_hash_seed_locale_and_time_zone_and_on_one_processor(
    rough: Finished, tmp_path: Path
) -> None:
    with one_processor():
        abroad = run_simulation(tmp_path / "out", rough_street(tmp_path), surroundings=ABROAD)
    assert abroad.json["results_root"] == rough.json["results_root"]
    assert differing_files(rough, abroad) == []


def test_what_was_to_go_wrong_did_and_nothing_else(rough: Finished) -> None:
    assert rough.json["readings_missing"] == rough.json["readings_dropped"] > 0
    kinds = {row["kind"] for row in rough.rows("events.csv")}
    assert kinds == {trouble.kind for trouble in TROUBLES} | {"clock_drift"}
    labels = [row for row in rough.rows("events.csv") if row["kind"] != "clock_drift"]
    assert len(labels) == rough.json["faults"] > len(TROUBLES), "what comes by chance has a label for each time"
    by_chance = {row["target"] for row in rough.rows("events.csv") if row["kind"] == "lost"} - {"M-H010"}
    assert len(by_chance) > 3


def test_faults_of_meters_lines_and_clocks_are_told_on_serial_lines_as_on_a_network(scores: list[Score]) -> None:
    assert {(score.kind, score.sign) for score in scores} == SIGNS
    assert {(score.recall_percent, score.precision_percent) for score in scores} == {(100.0, 100.0)}
    assert min(score.concerned for score in scores) > 0


def test_the_agent_says_that_a_meter_that_boots_is_doubted(rough: Finished) -> None:
    lines = (rough.out / "run" / "edge-1.log").read_text().splitlines()
    said = [json.loads(line) for line in lines if line[0] == "{"]
    assert any(line["event"] == "reading_doubted" and line.get("meter") == "M-H015" for line in said)
