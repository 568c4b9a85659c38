"""Answers that come twice or out of their order are written to the sockets of a real agent, and the ledger has what the meters counted."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from gridledger.simulating.fault_scores import score_run
from tests.demo.test_simulate_small import short_copy

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
SLOTS = 6
EVENTS = (("duplicated", 2), ("reordered", 4))


class Tapped(NamedTuple):
    """A run's folder, and what meters wrote to the agent's connections while a line was faulty: ids of answers, connection by connection."""

    out: Path
    twice: list[list[int]]
    overtaken: list[list[int]]


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def tapped(tmp_path_factory: pytest.TempPathFactory) -> Tapped:
    """A run whose meters are in a process that notes what they write; its node and its agent are in theirs."""
    folder = tmp_path_factory.mktemp("wire")
    path, tap = Path(short_copy("village_day", folder, SLOTS)), folder / "tap.json"
    with path.open("a") as file:
        for kind, slot in EVENTS:
            file.write(f'\n[[events]]\nlabel = "a {kind}"\nkind = "{kind}"\ntarget = "A1"\n')
            file.write(f"from_slot = {slot}\nuntil_slot = {slot + 1}\n")
    command = [sys.executable, "-m", "tests.demo.tapped_run", str(path), str(folder / "out"), str(tap)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Tapped(folder / "out", *json.loads(tap.read_text()))


def test_each_answer_reaches_the_agent_twice(tapped: Tapped) -> None:
    meters = len(rows(tapped.out / "meters.csv"))
    assert sum(map(len, tapped.twice)) >= 2 * meters
    for numbers in tapped.twice:
        assert numbers[::2] == numbers[1::2]
        assert len(set(numbers)) == len(numbers) // 2


def test_answers_reach_the_agent_behind_later_ones(tapped: Tapped) -> None:
    overtaken = [later for numbers in tapped.overtaken for later, number in pairwise(numbers) if number < later]
    assert overtaken


def test_both_are_reported_as_measured_and_as_counted(tapped: Tapped) -> None:
    scores = {score.kind: score for score in score_run(tapped.out)}
    assert set(scores) == {kind for kind, _ in EVENTS}
    for score in scores.values():
        assert (score.recall_percent, score.precision_percent, score.qualities) == (100, 100, {"measured"})
    reported = rows(tapped.out / "reported.csv")
    assert {row["quality"] for row in reported} == {"measured"}
