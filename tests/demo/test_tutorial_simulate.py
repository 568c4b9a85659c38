"""The tutorial as a reader does it: the files that the page shows, the commands that it shows, and the picture at the end."""

from __future__ import annotations

import csv
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.demo.demo_run import EXECUTABLE

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "tutorial-simulate.md"
COMMANDS_MAX = 10
SHOWN = re.compile(r"## [^\n]*`(?P<name>[\w.-]+)`\n.*?```(?:csv|toml)\n(?P<content>.*?)```", re.DOTALL)


def test_a_reader_comes_from_three_files_to_a_picture_in_ten_commands(tmp_path: Path) -> None:
    page = PAGE.read_text("utf-8")
    for shown in SHOWN.finditer(page):
        (tmp_path / shown["name"]).write_text(shown["content"])
    assert {path.name for path in tmp_path.iterdir()} == {"hamlet.csv", "hamlet.toml", "mid-market.toml"}
    commands = [line for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL) for line in block.splitlines()]
    assert 0 < len(commands) <= COMMANDS_MAX
    for line in commands:
        program, *words = shlex.split(line)
        assert program == "gridledger"
        done = subprocess.run(
            [str(EXECUTABLE), *words], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=600
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"
    with (tmp_path / "both" / "comparison.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 9, "eight homes and a business"
    assert all(row["change_import_wh"] == row["change_export_wh"] == "0" for row in rows)
    assert any(int(row["change_pays_nano"]) for row in rows)
    picture = (tmp_path / "both" / "comparison.html").read_text("utf-8")
    assert picture.count("<svg") == 2, "the mark and one picture"
    for name, flags in (("auction", "--direct"), ("mid-market", "--direct --rules rules.toml")):
        report = (tmp_path / name / "report.html").read_text("utf-8")
        assert f"<code>gridledger simulate run scenario.toml --seed 7 {flags} --out DIR</code>" in report
        assert "grid.csv beside it is the table of the grid" in report
