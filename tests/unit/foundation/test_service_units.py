"""The systemd units of deploy/: what they run is a command of ours, and the pages that explain them name the same files."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from gridledger.cli import build_parser

ROOT = Path(__file__).resolve().parents[3]
UNITS = sorted((ROOT / "deploy").glob("*.service"))
PAGES = {"node": "node.md", "edge": "edge.md", "web": "web.md"}
PROGRAM = "/usr/bin/gridledger"


def settings(unit: Path, name: str) -> list[str]:
    """The values of a setting, in order."""
    return re.findall(rf"^{name}=(.*)$", unit.read_text(encoding="utf-8"), re.MULTILINE)


def test_node_agent_and_pages_each_have_a_unit() -> None:
    assert [unit.stem.removeprefix("gridledger-") for unit in UNITS] == sorted(PAGES)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_runs_a_command_that_this_program_has(unit: Path) -> None:
    (command,) = settings(unit, "ExecStart")
    program, name, *words = shlex.split(command)
    assert program == PROGRAM
    build_parser(name)[0].parse_args(words)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_wrong_file_ends_a_unit_for_good_for_nothing_is_run_before_its_main_process(unit: Path) -> None:
    assert settings(unit, "ExecStartPre") == [], "its exit status would not keep the unit from starting again"
    assert "2" in settings(unit, "RestartPreventExitStatus")[0].split()


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_is_explained_by_its_page_and_runs_without_privileges(unit: Path) -> None:
    page = (ROOT / "docs" / PAGES[unit.stem.removeprefix("gridledger-")]).read_text(encoding="utf-8")
    assert f"install -m 0644 deploy/{unit.name} /etc/systemd/system\nsystemctl enable --now {unit.stem}" in page
    assert settings(unit, "User") == ["gridledger"]
    assert settings(unit, "NoNewPrivileges") == ["yes"]
    assert "2" in settings(unit, "RestartPreventExitStatus")[0].split()
