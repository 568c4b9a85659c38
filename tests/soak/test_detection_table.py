"""The detection table of docs/watch.md, made again from its hundred held-out months, and the months that its limits were set on."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from gridledger.cli import main
from simulators.detection.scoring import HELD_OUT_SEED, score_seeds, table_text
from tests.unit.watch.rules_that_ship import RULES

pytestmark = pytest.mark.soak
SEEDS = 100
TABLE_S_MAX = 1_800
DOC = Path(__file__).parents[2] / "docs" / "watch.md"


def test_the_table_of_the_documentation_is_what_a_hundred_held_out_months_give() -> None:
    began_s = time.monotonic()
    score = score_seeds(range(HELD_OUT_SEED, HELD_OUT_SEED + SEEDS), RULES)
    assert list(score.faults()) == []
    assert table_text(score) in DOC.read_text(encoding="utf-8")
    assert time.monotonic() - began_s < TABLE_S_MAX


def test_on_the_months_that_the_limits_were_set_on_no_more_than_one_clean_one_of_twenty_has_an_alarm(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["watch", "table", "--first-seed", "1001", "--seeds", "40", "--json"]) == 0
    score = json.loads(capsys.readouterr().out)
    assert score["clean"] == 40
    assert score["clean_alarms"] <= 2
