"""A day on which every kind of fault comes, and a night without one of four validators: what labels and ledger say of each other is what docs/faults.md says."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from gridledger.simulating.fault_scores import CAUGHT_UP, FAULT_KINDS, score_run, table_text
from simulators.scenarios.schema import VALIDATOR_KINDS
from tests.demo.demo_run import run_simulation

pytestmark = pytest.mark.soak
DOCS = Path(__file__).parents[2] / "docs" / "faults.md"


def test_every_kind_of_fault_is_reported_as_the_table_says(tmp_path: Path) -> None:
    runs = [run_simulation(tmp_path / name, name) for name in ("fault_day", "four_organisations")]
    for told in runs:
        assert told.json["postings_sum_nano"] == 0
    day, night = (told.json for told in runs)
    assert day["readings_missing"] == day["readings_dropped"], "every fault happened, and nothing else"
    assert night["readings_missing"] == 0
    scores = [score for told in runs for score in score_run(told.out)]
    assert {score.kind for score in scores} == {*FAULT_KINDS, *VALIDATOR_KINDS}
    lines = DOCS.read_text("utf-8").splitlines()
    made = table_text(scores).splitlines()
    if os.environ.get("GRIDLEDGER_WRITE_DOCS"):
        others = [number for number, line in enumerate(lines) if not line.startswith("|")]
        first = next(number for number, line in enumerate(lines) if line.startswith("|"))
        before = [lines[number] for number in others if number < first]
        lines = [*before, *made, *(lines[number] for number in others if number > first)]
        DOCS.write_text("\n".join(lines) + "\n", "utf-8")
    assert [line for line in map(without_blocks, made) if line not in map(without_blocks, lines)] == []


def without_blocks(line: str) -> str:
    """A row of the table; how many blocks are made while a validator is off is a matter of the machine."""
    return re.sub(r"\| \d+ \|", "| |", line) if CAUGHT_UP in line else line
