"""``simulate score`` on small folders: a label held against the ledger's readings, kinds without readings, and folders that are not as a run writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridledger.cli import main
from gridledger.simulating.fault_scores import as_json, score_run, table_text

FILES = {
    "meters.csv": "meter,area,start_import_wh,start_export_wh,resolution_wh,modulus_wh\nM1,A1,1000,0,10,0\n",
    "events.csv": "kind,target,other,from_s,until_s\nlost,M1,,900,1800\n",
    "truth.csv": "meter,slot_start_s,import_wh,export_wh\nM1,0,5,0\nM1,900,20,0\n",
    "registers.csv": "meter,boundary_s,import_wh,export_wh\nM1,0,1000,0\nM1,900,,\nM1,1800,1020,0\n",
    "reported.csv": "meter,slot_start_s,quality,flags\nM1,0,estimated,interpolated\nM1,900,estimated,interpolated\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run of two slots whose only meter is not heard at the boundary between them."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_label_is_held_against_what_the_ledger_has(folder: Path) -> None:
    (score,) = score_run(folder)
    assert (score.kind, score.concerned, score.recall_percent, score.precision_percent) == ("lost", 1, 100, 100)


def test_a_kind_that_concerned_no_reading_has_no_share_and_not_none_of_a_hundred(folder: Path) -> None:
    (folder / "events.csv").write_text(FILES["events.csv"].replace("lost,M1", "lost,M2"))
    (score,) = score_run(folder)
    assert "| `lost` | no reading | 0 | - | - | - |" in table_text([score])
    assert as_json(score)["recall_percent"] is None


CLOCKS = {
    "meters.csv": FILES["meters.csv"],
    "events.csv": "kind,target,other,from_s,until_s\nlost,M1,,1800,2700\nclock_drift,M1,,900,4500\n",
    "truth.csv": "meter,slot_start_s,import_wh,export_wh\n" + "".join(f"M1,{at},10,0\n" for at in range(0, 4500, 900)),
    "registers.csv": "meter,boundary_s,import_wh,export_wh\nM1,0,1000,0\nM1,900,1010,0\nM1,1800,,\n"
    "M1,2700,1030,0\nM1,3600,1040,0\nM1,4500,1050,0\n",
    "reported.csv": "meter,slot_start_s,quality,flags\nM1,0,measured,\nM1,900,estimated,interpolated\n"
    "M1,1800,estimated,interpolated\nM1,2700,measured,\nM1,3600,measured,frozen\n",
}
"""A meter of DL/T 645 whose clock is off at four boundaries, at the second of which it is not heard."""


def test_a_clock_is_scored_where_its_meter_is_measured_and_not_where_another_fault_takes_the_reading(
    folder: Path,
) -> None:
    for name, text in CLOCKS.items():
        (folder / name).write_text(text)
    scores = {score.kind: score for score in score_run(folder)}
    assert {kind: (score.concerned, score.so, score.elsewhere) for kind, score in scores.items()} == {
        "lost": (1, 1, 0),
        "clock_drift": (2, 2, 0),
    }
    assert scores["clock_drift"].qualities == {"measured", "measured, frozen", "estimated, interpolated"}


def test_a_reading_that_no_fault_took_is_missed_by_the_clock_and_one_that_is_not_frozen_elsewhere_speaks_against_it(
    folder: Path,
) -> None:
    for name, text in CLOCKS.items():
        (folder / name).write_text(text)
    (folder / "events.csv").write_text("kind,target,other,from_s,until_s\nclock_drift,M1,,1800,2700\n")
    (score,) = score_run(folder)
    assert (score.kind, score.concerned, score.so, score.elsewhere) == ("clock_drift", 1, 0, 2)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("meters.csv", None, "holds no meters.csv; name a folder that gridledger simulate run has made"),
        ("truth.csv", None, "holds no truth.csv; name a folder"),
        ("registers.csv", "meter,boundary\nM1,0\n", "registers.csv, row 1: has no column 'boundary_s'; name a folder"),
        ("events.csv", "", "events.csv, row 1: has no column 'kind'; name a folder"),
        ("reported.csv", FILES["reported.csv"] + "M1,18", "reported.csv, row 4: has too few fields; name a folder"),
    ],
)
def test_a_folder_that_is_not_as_a_run_writes_it_is_one_line(
    folder: Path, name: str, text: str | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / name).unlink() if text is None else (folder / name).write_text(text)
    assert main(["simulate", "score", str(folder)]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert len(told.splitlines()) == 1
