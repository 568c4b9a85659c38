"""A day on which every kind of fault comes: what labels and ledger say of each other is what docs/faults.md says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gridledger.simulating.fault_scores import FAULT_KINDS, UNSEEN, score_run, table_text
from simulators.scenarios.schema import CLOCK_DRIFT
from tests.demo.demo_run import run_simulation

pytestmark = pytest.mark.soak
DOCS = Path(__file__).parents[2] / "docs" / "faults.md"


def test_every_kind_of_fault_is_reported_as_the_table_says(tmp_path: Path) -> None:
    told = run_simulation(tmp_path / "out", "fault_day")
    assert told.json["postings_sum_nano"] == 0
    assert told.json["readings_missing"] == told.json["readings_dropped"], "every fault happened, and nothing else"
    scores = score_run(told.out)
    assert {score.kind for score in scores} == set(FAULT_KINDS) - {CLOCK_DRIFT}, "which is no event"
    lines = DOCS.read_text("utf-8").splitlines()
    made = table_text(scores).splitlines()
    if os.environ.get("GRIDLEDGER_WRITE_DOCS"):
        others = [number for number, line in enumerate(lines) if not line.startswith("|")]
        first = next(number for number, line in enumerate(lines) if line.startswith("|"))
        before = [lines[number] for number in others if number < first]
        lines = [*before, *made, *(lines[number] for number in others if number > first)]
        DOCS.write_text("\n".join(lines) + "\n", "utf-8")
    by_the_clock = [
        line for line in made if UNSEEN in line
    ]  # how soon agent and devices are back depends on the machine
    assert [line for line in made if line not in lines and line not in by_the_clock] == []
