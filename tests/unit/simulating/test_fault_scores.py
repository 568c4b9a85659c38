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
