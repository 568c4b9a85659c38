"""The detection table: scored with held-out months, and refused where its figures must not stand."""

from __future__ import annotations

import pytest

from gridledger.cli import main
from simulators.detection import scoring
from simulators.detection.scoring import HELD_OUT_SEED, KindScore, Score, score_seeds, table_text
from simulators.scenarios.schema import FRAUD_KINDS
from tests.unit.watch.rules_that_ship import RULES


@pytest.fixture(scope="module")
def score() -> Score:
    """Two months."""
    return score_seeds(range(HELD_OUT_SEED, HELD_OUT_SEED + 2), RULES)


def test_months_are_scored_for_each_kind_and_the_balance_sees_no_stolen_hours(score: Score) -> None:
    assert score.clean == 2
    assert {kind: one.tried for kind, one in score.kinds.items()} == dict.fromkeys(FRAUD_KINDS, 2)
    for kind in ("h5", "h6", "collusion", "stolen_key"):
        assert "balance" not in score.kinds[kind].by_rule
    assert list(score.faults()) == []


def test_a_large_theft_is_found_within_days_by_the_balance_and_a_stolen_key_at_once(score: Score) -> None:
    theft = score.kinds["h3"]
    assert theft.by_rule["balance"] == 2
    assert max(theft.days) < 8
    assert min(theft.lost_wh) > 1_000
    assert score.kinds["stolen_key"].days == [0.0, 0.0]
    assert score.kinds["stolen_key"].lost_wh == [0, 0]


def test_the_table_has_a_row_for_each_kind_and_the_rate_of_clean_months(score: Score) -> None:
    text = table_text(score)
    assert [f"| `{kind}` |" in text for kind in FRAUD_KINDS] == [True] * len(FRAUD_KINDS)
    assert f"Alarms in {score.clean_alarms} of 2 clean months" in text


def test_the_months_that_limits_were_set_on_are_scored_from_their_first_seed_and_others_without_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scored: list[range] = []

    def note(seeds: range, *_: object) -> Score:
        scored.append(seeds)
        return Score(clean=len(seeds), kinds={})

    monkeypatch.setattr(scoring, "score_seeds", note)
    monkeypatch.setattr(Score, "faults", lambda _: iter(()))
    assert main(["watch", "table", "--first-seed", "1001", "--seeds", "40"]) == 0
    assert "Alarms in 0 of 40 clean months" in capsys.readouterr().out
    assert main(["watch", "table"]) == 0
    assert scored == [range(1001, 1041), range(2001, 2101)]
    assert main(["watch", "table", "--first-seed", "-1"]) == 2
    assert "argument --first-seed: '-1' is not a whole number from 0 to" in capsys.readouterr().err


def test_more_than_twice_the_target_on_clean_months_must_not_stand() -> None:
    assert list(Score(clean=100, clean_alarms=10).faults()) == []
    (fault,) = Score(clean=100, clean_alarms=11).faults()
    assert fault == "11.0 % of clean months have an alarm, more than twice the target of 5 %"


@pytest.mark.parametrize("kind", ["h5", "h6"])
def test_a_balance_that_sees_what_steals_no_energy_must_not_stand(kind: str) -> None:
    score = Score(clean=100)
    score.kinds[kind] = KindScore(tried=100, found=100, by_rule={"balance": 10, "flat": 100})
    assert list(score.faults()) == []
    score.kinds[kind].by_rule["balance"] = 11
    (fault,) = score.faults()
    assert fault == f"{kind} steals no energy, and the balance alone has an alarm in 11.0 % of its months"
