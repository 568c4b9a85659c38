"""``settle files`` marks energies that are hardly meant: in validation.csv, in the answer and in the report; and settles them as they are."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gridledger.cli import main
from tests.unit.settling.folders import RULES, make_folder

START = datetime(2025, 6, 1, tzinfo=UTC)
HOURLY = RULES.replace("slot_s = 900", "slot_s = 3600").replace("Europe/Berlin", "UTC")
THRESHOLDS = "[validation]\nhistory_days = 2\nspike_percent = 1000\nzero_run_s = 86400\nnew_direction_wh = 5000\n"
SPIKE, ZEROS, GIVES = 2 * 24 + 9, range(2 * 24 + 12, 2 * 24 + 20), 2 * 24 + 5


def readings(header: str = "start,point,import_kwh,export_kwh,quality\n", first: int = 0) -> str:
    rows = []
    for slot in range(first, 3 * 24):
        start = (START + timedelta(hours=slot)).isoformat().replace("+00:00", "Z")
        usual = "0" if slot in ZEROS else "9" if slot == SPIKE else "0.4"
        rows += [f"{start},P1,{usual},0,", f"{start},P2,0.3,{'0.5' if slot == GIVES else '0'},"]
    return header + "\n".join(rows) + "\n"


def marked(out: Path) -> list[tuple[str, ...]]:
    with (out / "validation.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    keys = ("point", "rule", "side", "slot_start_s", "slots", "energy_wh", "usual_wh", "doubtful_wh")
    return [tuple(row[key] for key in keys) for row in rows]


def at(slot: int) -> str:
    return str(int(START.timestamp()) + slot * 3600)


ALL = [
    ("P1", "spike", "import", at(SPIKE), "1", "9000", "400", "8600"),
    ("P1", "zero_run", "import", at(ZEROS[0]), "8", "0", "4346", "4346"),
    ("P2", "new_direction", "export", at(GIVES), "1", "500", "0", "500"),
]
COUNTS = {"spike": 1, "zero_run": 1, "new_direction": 1}


def test_a_spike_zeros_and_a_new_direction_are_marked_in_the_file_the_answer_and_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_folder(tmp_path / "in", {"rules.toml": HOURLY, "readings.csv": readings()})
    assert main(["settle", "files", str(folder), "--check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["marked"] == COUNTS
    assert main(["settle", "files", str(folder), "--check"]) == 0
    assert "to look at: spikes 1, runs of zeros 1, new directions 1" in capsys.readouterr().out.splitlines()
    out = tmp_path / "out"
    assert main(["settle", "files", str(folder), "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["marked"] == COUNTS
    assert marked(out) == ALL
    report = (out / "report.html").read_text("utf-8")
    assert "import far above its days before" in report
    assert "上网计量点" not in report
    assert "前几日从未上网，现有上网" in report


def test_thresholds_of_the_rules_decide_what_is_marked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes = {"rules.toml": HOURLY + THRESHOLDS, "readings.csv": readings()}
    out = tmp_path / "out"
    assert main(["settle", "files", str(make_folder(tmp_path / "in", changes)), "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["marked"] == {"spike": 1, "zero_run": 0, "new_direction": 0}
    assert marked(out) == ALL[:1]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("history_days = 32", "validation.history_days"),
        ("zero_run_percent = 99", "validation.zero_run_percent"),
        ("spike = 3", "validation.spike"),
    ],
)
def test_a_threshold_that_is_out_of_range_or_unknown_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, words: str
) -> None:
    folder = make_folder(tmp_path, {"rules.toml": f"{HOURLY}[validation]\n{line}\n", "readings.csv": readings()})
    assert main(["settle", "files", str(folder), "--check"]) == 2
    (said,) = capsys.readouterr().err.strip().splitlines()
    assert words in said
    assert said.startswith("rules.toml: ")


def test_marks_of_newer_data_are_those_of_all_slots_and_a_corrected_spike_has_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    folder = make_folder(tmp_path / "in", {"rules.toml": HOURLY, "readings.csv": readings()})
    assert main(["settle", "files", str(folder), "--out", str(out)]) == 0
    rows = readings(first=SPIKE).splitlines()
    newer = "\n".join([rows[0], rows[1].replace(",9,", ",0.4,"), rows[2]]) + "\n"
    folder = make_folder(tmp_path / "newer", {"rules.toml": HOURLY, "readings.csv": newer})
    capsys.readouterr()
    assert main(["settle", "files", str(folder), "--onto", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["marked"] == {**COUNTS, "spike": 0}
    assert [row[:5] for row in marked(out)] == [row[:5] for row in ALL[1:]]
    assert marked(out)[0][6] == "3200"


def test_marks_change_nothing_that_is_settled(tmp_path: Path) -> None:
    roots = []
    for name, more in (("one", ""), ("other", THRESHOLDS)):
        folder = make_folder(tmp_path / name, {"rules.toml": HOURLY + more, "readings.csv": readings()})
        assert main(["settle", "files", str(folder), "--out", str(tmp_path / f"{name}.out")]) == 0
        roots.append((tmp_path / f"{name}.out" / "statements.csv").read_bytes())
    assert roots[0] == roots[1]
