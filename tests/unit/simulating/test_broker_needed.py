"""A scenario that kills the MQTT broker where there is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gridcore.errors import UsageError
from gridledger.cli import main
from gridledger.demo import needed
from gridledger.demo.needed import check_broker
from simulators.scenarios.gallery import find_scenario

FOUND = find_scenario("fault_day")


def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the program nor the package."""
    monkeypatch.setattr(needed, "mosquitto_program", lambda: None)
    monkeypatch.setattr(needed, "find_spec", lambda _: None)


@pytest.mark.parametrize("action", [["run", "fault_day", "--out", "OUT"], ["check", "fault_day"]])
def test_a_scenario_that_kills_a_broker_is_refused_in_one_line_where_there_is_none(
    action: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing_installed(monkeypatch)
    out = tmp_path / "out"
    assert main(["simulate", *(str(out) if word == "OUT" else word for word in action)]) == 2
    said = capsys.readouterr().err
    assert "'dead_broker' needs an MQTT broker, and none is installed (Debian: apt-get install mosquitto)" in said
    assert len(said.strip().splitlines()) == 1
    assert not out.exists()


def test_either_broker_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing_installed(monkeypatch)
    monkeypatch.setattr(needed, "find_spec", lambda name: name)
    check_broker(FOUND)


def test_a_scenario_without_the_event_needs_no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing_installed(monkeypatch)
    check_broker(FOUND._replace(scenario=replace(FOUND.scenario, events=())))
    with pytest.raises(UsageError, match="dead_broker"):
        check_broker(FOUND)
