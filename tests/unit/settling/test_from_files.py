"""``gridledger settle files`` as its user calls it: results in one folder, nothing half, newer data as corrections."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from gridcore.files import locked
from gridledger.cli import main
from tests.unit.settling.folders import READINGS, RULES, make_folder

EXAMPLE = Path(__file__).parents[3] / "examples" / "settle-community"
FILES = {
    "statements.csv", "postings.csv", "invoices.csv", "report.html", "ledger", "sample.evd", "trust.json", "verify.py",
}  # fmt: skip


def settle(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, object]:
    assert main(["settle", "files", *map(str, arguments), "--json"]) == 0
    answer: dict[str, object] = json.loads(capsys.readouterr().out)
    return answer


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    assert main(["settle", "files", *map(str, arguments)]) == 2
    return capsys.readouterr().err.strip()


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def names_in(folder: Path) -> Sequence[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_example_is_settled_with_all_its_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    answer = settle(capsys, EXAMPLE, "--out", out)
    assert list(answer) == [
        "slots", "points", "parties", "readings", "missing", "estimated", "energy_shared_wh", "postings",
        "postings_sum_nano", "results_root", "wall_s", "out",
    ]  # fmt: skip
    assert (answer["slots"], answer["points"], answer["parties"]) == (388, 10, 9)
    assert (answer["readings"], answer["missing"], answer["estimated"]) == (3872, 8, 4)
    assert answer["postings_sum_nano"] == 0
    assert set(names_in(out)) >= FILES
    assert len(rows_of(out / "postings.csv")) == answer["postings"]
    assert names_in(tmp_path) == ["out"]


def test_a_stranger_verifies_the_sample_and_is_told_that_no_meter_signed_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    settle(capsys, make_folder(tmp_path / "in", {}), "--out", out)
    command = [sys.executable, "-I", "-S", "verify.py", "sample.evd", "--trust", "trust.json"]
    verified = subprocess.run(command, cwd=out, capture_output=True, text=True, check=False)
    assert verified.returncode == 0
    assert "IMPORTED" in verified.stdout
    assert "no meter signed these values" in verified.stdout


def test_the_same_folder_gives_the_same_root(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_folder(tmp_path / "in", {})
    roots = {str(settle(capsys, folder, "--out", tmp_path / name)["results_root"]) for name in ("one", "two")}
    assert len(roots) == 1


def test_newer_readings_become_a_correction_and_what_they_do_not_say_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    settle(capsys, make_folder(tmp_path / "in", {}), "--out", out)
    newer = "".join(READINGS.splitlines(keepends=True)[:2]).replace("0.5", "0.7")
    answer = settle(capsys, make_folder(tmp_path / "newer", {"readings.csv": newer}), "--onto", out)
    assert answer["slots"] == 2
    levies = [row for row in rows_of(out / "statements.csv") if row["line_kind"] == "levy"]
    found = {(row["run"], row["party"], row["energy_wh"]) for row in levies}
    assert found == {
        ("initial", "M1", "500"),
        ("initial", "M1", "1125"),
        ("initial", "M2", "1"),
        ("correction-1", "M1", "200"),
    }


def test_days_that_come_later_give_the_same_as_all_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (EXAMPLE / "readings.csv").read_text().splitlines(keepends=True)
    first_days = [line for line in lines if line.startswith(("start", "2025-10-24", "2025-10-25"))]
    half = {name: (EXAMPLE / name).read_text() for name in ("rules.toml", "points.csv")}
    folder = make_folder(tmp_path / "half", {**half, "readings.csv": "".join(first_days)})
    assert settle(capsys, folder, "--out", tmp_path / "out")["slots"] == 192
    later = settle(capsys, EXAMPLE, "--onto", tmp_path / "out")
    at_once = settle(capsys, EXAMPLE, "--out", tmp_path / "other")
    assert later["results_root"] == at_once["results_root"]


def test_newer_data_that_say_nothing_else_correct_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    first = settle(capsys, make_folder(tmp_path / "in", {}), "--out", out)
    some = make_folder(tmp_path / "newer", {"readings.csv": "".join(READINGS.splitlines(keepends=True)[:2])})
    assert settle(capsys, some, "--onto", out)["results_root"] == first["results_root"]


def test_a_folder_that_is_not_empty_is_refused_and_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").write_text("x")
    line = refused(capsys, make_folder(tmp_path / "in", {}), "--out", tmp_path)
    assert "is not empty; name an absent or an empty folder" in line
    assert names_in(tmp_path) == ["in", "mine"]


def test_a_fault_in_a_file_leaves_nothing_behind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_folder(tmp_path / "in", {"readings.csv": READINGS.replace("1.125", "-1")})
    line = refused(capsys, folder, "--out", tmp_path / "out")
    assert "readings.csv, row 4, import_kwh: '-1' is negative" in line
    assert names_in(tmp_path) == ["in"]


def test_a_fault_while_settling_leaves_nothing_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gridledger.settling.whole.write_results", broken)
    line = refused(capsys, make_folder(tmp_path / "in", {}), "--out", tmp_path / "out")
    assert "No space left on device" in line
    assert names_in(tmp_path) == ["in"]


def test_what_a_killed_run_left_is_taken_away(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".out.unfinished" / "ledger").mkdir(parents=True)
    settle(capsys, make_folder(tmp_path / "in", {}), "--out", tmp_path / "out")
    assert names_in(tmp_path) == ["in", "out"]


def test_two_at_once_do_not_make_the_same_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_folder(tmp_path / "in", {})
    with locked(tmp_path / ".out.unfinished.lock", "held"):
        line = refused(capsys, folder, "--out", tmp_path / "out")
    assert "another settle files makes it just now" in line
    settle(capsys, folder, "--out", tmp_path / "out")


def test_other_rules_do_not_go_onto_a_settled_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    settle(capsys, make_folder(tmp_path / "in", {}), "--out", out)
    before = names_in(out)
    other = make_folder(tmp_path / "other", {"rules.toml": RULES.replace("460000", "470000")})
    assert main(["settle", "files", str(other), "--onto", str(out)]) != 0
    assert "rules.toml" in capsys.readouterr().err
    assert names_in(out) == before


def test_a_folder_without_a_ledger_takes_no_newer_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, make_folder(tmp_path / "in", {}), "--onto", tmp_path)
    assert "holds no ledger" in line


def test_a_disk_without_room_is_said_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridledger.settling.whole.BYTES_PER_ENERGY", 10**15)
    line = refused(capsys, make_folder(tmp_path / "in", {}), "--out", tmp_path / "out")
    assert "choose another disk" in line
    assert names_in(tmp_path) == ["in"]


def test_layouts_are_listed_with_their_sources(capsys: pytest.CaptureFixture[str]) -> None:
    presets = settle(capsys, "--presets")["presets"]
    assert isinstance(presets, dict)
    assert len(presets) >= 5
    assert all(preset["source"].startswith("https://") for preset in presets.values())
