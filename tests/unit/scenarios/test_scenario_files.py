"""Scenario files: what ships is usable, and what is wrong with one is a line that names file and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridledger.cli import main
from simulators.scenarios.gallery import DEMONSTRATION, find_scenario, names
from simulators.scenarios.schema import VALIDATORS_MAX, Calendar, Consortium
from tests.external import NEEDS_COMETBFT

TEXT = find_scenario(DEMONSTRATION).data.decode()
GROUP = '{name = "a", strategy = "greedy", homes = ["H001"]}'
OTHER_GROUP = GROUP.replace('"a"', '"b"')


def said_of(path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that ``simulate check`` says of a file, without its path."""
    path.write_text(text)
    assert main(["simulate", "check", str(path)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1, said
    assert f"{path}: " in said
    return said.partition(f"{path}: ")[2]


def needed_by(name: str) -> list[pytest.MarkDecorator]:
    """Marks of a test that checks a scenario: where validators hold its ledger, their engine."""
    return [] if find_scenario(name).scenario.consortium is None else NEEDS_COMETBFT


@pytest.mark.parametrize("name", [pytest.param(name, marks=needed_by(name)) for name in names()])
def test_every_scenario_of_the_gallery_can_be_run(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "check", name]) == 0
    assert find_scenario(name).scenario.title in capsys.readouterr().out


def test_the_gallery_is_listed_by_name_and_title(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == names()
    assert any("A summer day of 113 homes" in line for line in lines)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("power_w = 2500", "power = 2500", "batteries.power is an unknown key; did you mean 'power_w'?"),
        ("power_w = 2500", "power_w = -2500", "batteries.power_w = -2500 is out of range; allowed: 4 to 100000"),
        ("peak_w_min = 3000", "peak_w_min = 9000", "pv: peak_w_min 9000 is above peak_w_max 6000"),
        ("homes_of_ten = [4, 5]", "homes_of_ten = [4, 11]", "pv: homes_of_ten: 11 is not from 0 to 10"),
        ("days = 1", "", "calendar: give either days or slots"),
        ('"2026-06-21"', '"2026-06-31"', "calendar: first_day '2026-06-31' is no date; an example: 2026-06-21"),
        ("Asia/Shanghai", "Asia/Nowhere", "calendar: time_zone 'Asia/Nowhere' is not known here"),
        ("simbench:rural3", "simbench:rural9", "grid.source = 'simbench:rural9' is not allowed"),
        ("trading = 113", 'trading = "all"', "households.trading = 'all' does not fit; give a whole number"),
        ("[weather]", "[wether]", "wether is an unknown key; did you mean 'weather'?"),
        ("levy_micro_per_kwh = 40000", "", "tariff: prices lacks the field levy_micro_per_kwh"),
        ('"pro_rata"', '"first come"', "tariff: rationing is one of pro_rata, not 'first come'"),
        (
            "[tariff.terms]",
            "[tariff]\nrules = 'mid.toml'\n[tariff.terms]",
            "tariff: give prices and terms of p2p_call_auction/1, or rules",
        ),
        ("[market]", "[market]\nstrategies = {greedy = 3}", "market: strategies are of 10 homes, and together 3"),
        ("[market]", "[market]\nstrategies = {gredy = 10}", "market: strategies.gredy is not known; choose of zero_"),
        (
            "[market]",
            f"[market]\ngroups = [{GROUP}, {OTHER_GROUP}]",
            "market: groups[1].homes: H001 is in the group 'a' already",
        ),
        (
            "[market]",
            f"[market]\ngroups = [{GROUP}, {GROUP.replace('H001', 'H002')}]",
            "market: groups[1].name: groups[0] is called 'a' already",
        ),
        (
            "[market]",
            "[market]\nstrategy = 'zero_intelligence'\nstrategies = {greedy = 10}",
            "market: strategy and strategies: give one of them",
        ),
        (
            "[market]",
            f"[market]\ngroups = [{GROUP.replace('H001', 'H114')}]",
            "market.groups[0].homes: H114 is no home that",
        ),
        ("schema_version = 1", "schema_version = 2", "schema_version = 2 is out of range; allowed: 1 to 1"),
        ("peak_w_max = 6000", "peak_w_max = 90000", "more than its connection carries (120000 Wh)"),
    ],
)
def test_a_scenario_that_cannot_be_run_is_one_line(
    old: str, new: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert old in TEXT
    assert words in said_of(tmp_path / "my.toml", TEXT.replace(old, new), capsys)


def test_batteries_without_pv_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head, _, rest = TEXT.partition("[pv]")
    text = head + "[batteries]" + rest.partition("[batteries]")[2]
    assert "batteries: stand at homes with PV; give a table [pv] too" in said_of(tmp_path / "my.toml", text, capsys)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("validators = 0", "consortium.validators = 0 is out of range; allowed: 1 to 16"),
        ("validators = 17", "consortium.validators = 17 is out of range; allowed: 1 to 16"),
        ("", "consortium.validators is missing; give a whole number (1 to 16)"),
        ("organisations = 4", "consortium.organisations is an unknown key"),
    ],
)
def test_a_consortium_that_cannot_be_is_one_line(
    table: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words in said_of(tmp_path / "my.toml", f"{TEXT}\n[consortium]\n{table}\n", capsys)


def test_the_largest_consortium_has_as_many_nodes_of_different_names() -> None:
    assert Consortium(1).nodes == ("node",)
    assert len(set(Consortium(VALIDATORS_MAX).nodes)) == VALIDATORS_MAX


def test_validators_without_their_engine_are_one_line_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    out = tmp_path / "out"
    for action in (["check", "four_organisations"], ["run", "four_organisations", "--out", str(out)]):
        assert main(["simulate", *action]) == 2
        said = capsys.readouterr().err
        assert "four_organisations.toml: consortium: cometbft is missing: run make cometbft" in said
        assert said.count("\n") == 1
    assert not out.exists()


def test_validators_are_not_fed_directly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["simulate", "run", "four_organisations", "--direct", "--out", str(out)]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "consortium: validators need a network of nodes" in said
    assert said.endswith("leave --direct out, or the table")
    assert not out.exists()


def test_a_scenario_that_is_not_there_names_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "check", "nosuch"]) == 2
    assert f"no scenario 'nosuch'; the gallery has {', '.join(names())}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("first_day", "time_zone", "slots", "starts"),
    [
        ("2026-03-29", "Europe/Berlin", 92, "2026-03-28T23:00"),
        ("2026-10-25", "Europe/Berlin", 100, "2026-10-24T22:00"),
        ("2026-06-21", "Asia/Shanghai", 96, "2026-06-20T16:00"),
    ],
)
def test_a_local_day_has_the_slots_that_its_clock_changes_leave_it(
    first_day: str, time_zone: str, slots: int, starts: str
) -> None:
    import numpy as np

    calendar = Calendar(first_day, time_zone, days=1)
    assert calendar.slot_count == slots
    assert calendar.first_slot_start_s == int(np.datetime64(starts, "s").astype(np.int64))
