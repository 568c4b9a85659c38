"""What each party pays by one settlement and by another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gridledger.cli import main
from tests.unit.settling.folders import READINGS, RULES, make_folder

DEARER = RULES.replace("levy_micro_per_kwh = 40000", "levy_micro_per_kwh = 50000")


def test_another_tariff_is_compared_party_by_party_and_nothing_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_folder(tmp_path / "in", {"other.toml": DEARER})
    assert main(["settle", "what-if", str(folder), "--rules", str(folder / "other.toml"), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    # 1,625 Wh and 1 Wh of import, 10,000 nano a Wh more
    assert [(each["party"], each["difference_nano"]) for each in answer["parties"]] == [
        ("M1", 16_250_000),
        ("M2", 10_000),
    ]
    assert answer["difference_nano"] == 16_260_000
    assert answer["after_nano"] - answer["before_nano"] == 16_260_000
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_another_contract_moves_money_between_parties_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = RULES.replace("mid_market_rate/1", "supply_demand_ratio/1")
    folder = make_folder(tmp_path / "in", {"other.toml": other})
    assert main(["settle", "what-if", str(folder), "--rules", str(folder / "other.toml"), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["before"], answer["after"]) == ("mid_market_rate/1", "supply_demand_ratio/1")
    assert answer["difference_nano"] == 0
    assert any(each["difference_nano"] for each in answer["parties"])


def test_settled_folders_are_compared_as_a_table_that_adds_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    newer = {"readings.csv": READINGS.replace("1.125", "2.125")}
    for name, changes in (("one", {}), ("two", newer)):
        assert (
            main(["settle", "files", str(make_folder(tmp_path / f"{name}-in", changes)), "--out", str(tmp_path / name)])
            == 0
        )
    capsys.readouterr()
    assert main(["settle", "compare", str(tmp_path / "one"), str(tmp_path / "two")]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["party", "before", "after", "difference"]
    assert [line[0] for line in lines[1:]] == ["M1", "M2", "all"]
    shown = [[int(money.replace(".", "")) for money in line[1:]] for line in lines[1:]]
    assert shown[2] == [first + second for first, second in zip(shown[0], shown[1], strict=True)]
    assert all(after - before == difference for before, after, difference in shown)
    assert shown[0][2] > 0


def test_rules_that_cannot_be_read_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_folder(tmp_path / "in", {"other.toml": RULES.replace("[prices]", "[price]")})
    assert main(["settle", "what-if", str(folder), "--rules", str(folder / "other.toml")]) == 2
    assert f"--rules {folder / 'other.toml'}: rules.toml: price is an unknown key" in capsys.readouterr().err


def test_a_folder_that_is_not_settled_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settle", "compare", str(tmp_path), str(tmp_path)]) == 2
    assert "name a folder that settle files has made" in capsys.readouterr().err
