"""Wh in columns of kWh: settled as they are written, but not without a word."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from gridledger.cli import main
from gridledger.settling.files.folder import read_folder
from gridledger.settling.files.unusual import UNUSUAL_POWER_W
from tests.unit.settling.folders import POINTS, make_folder

HEADER = "start,point,import_kwh,export_kwh\n"
WH_IN_KWH = (
    f"{HEADER}2025-06-01T00:00:00Z,P1,240,0\n2025-06-01T00:00:00Z,P2,0,251\n"
    "2025-06-01T00:15:00Z,P1,3000,0\n2025-06-01T00:15:00Z,P2,0,12\n"
)
ASKED = (
    "points.csv names no limit_kw for P1 (1 more like it): its highest slot is 12,000 kW (readings.csv, row 4); are the "
    "values in kWh?"
)


def notes(folder: Path, changes: Mapping[str, str | bytes | None]) -> list[str]:
    return list(read_folder(make_folder(folder, changes)).notes)


def test_wh_in_columns_of_kwh_are_asked_about_when_a_folder_is_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(make_folder(tmp_path, {"readings.csv": WH_IN_KWH}))
    assert main(["settle", "files", folder, "--check"]) == 0
    assert ASKED in capsys.readouterr().out.splitlines()
    assert main(["settle", "files", folder, "--check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["notes"] == [ASKED]


def test_wh_in_columns_of_kwh_are_settled_and_asked_about_in_the_answer_and_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = make_folder(tmp_path / "in", {"readings.csv": WH_IN_KWH}), tmp_path / "out"
    assert main(["settle", "files", str(folder), "--out", str(out), "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["notes"] == [ASKED]
    assert ASKED in shown.err.splitlines()
    report = (out / "report.html").read_text("utf-8")
    assert ASKED in report
    assert "points.csv 未给出 P1（另有 1 个）的 limit_kw" in report


def test_a_point_is_asked_about_above_the_limit_and_not_at_it(tmp_path: Path) -> None:
    most_wh = UNUSUAL_POWER_W // 4
    rows = f"{HEADER}2025-06-01T00:00:00Z,P1,0,{{}}\n2025-06-01T00:00:00Z,P2,1,0\n"
    assert notes(tmp_path, {"readings.csv": rows.format(f"{most_wh // 1_000}")}) == []
    (asked,) = notes(tmp_path, {"readings.csv": rows.format(f"{most_wh // 1_000}.001")})
    assert asked == (
        "points.csv names no limit_kw for P1: its highest slot is 1,000 kW (readings.csv, row 2); are the values in kWh?"
    )


def test_a_point_with_a_limit_is_not_asked_about(tmp_path: Path) -> None:
    points = "point,party,area,limit_kw\nP1,M1,A1,20000\nP2,M2,A1,20000\n"
    assert notes(tmp_path, {"readings.csv": WH_IN_KWH, "points.csv": points}) == []


def test_registers_in_wh_are_asked_about_with_the_row_behind_the_slot(tmp_path: Path) -> None:
    registers = (
        "time,point,import_kwh,export_kwh\n2025-06-01T00:15:00Z,P1,100300,0\n2025-06-01T00:00:00Z,P1,100000,0\n"
        "2025-06-01T00:30:00Z,P1,100350,0\n"
    )
    changes = {"readings.csv": None, "registers.csv": registers, "points.csv": POINTS.replace("P2,M2,A1\n", "")}
    assert notes(tmp_path, changes) == [
        "points.csv names no limit_kw for P1: its highest slot is 1,200 kW (registers.csv, row 2); are the values in kWh?"
    ]
