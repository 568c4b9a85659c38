"""Two runs beside each other: what changes for each party, and what cannot be compared."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from gridcore.errors import UsageError
from gridledger.simulating.comparing import COLUMNS, as_json, compare, read_run, text, write_comparison
from gridledger.simulating.settled import PartyRow
from gridledger.tables.files import write_rows

A = [PartyRow("H001", 1_000, 0, 200, 0, 400_000_000, 460_000_000), PartyRow("H002", 0, 900, 0, 200, -50_000_000, 0)]
B = [PartyRow("H001", 1_000, 0, 500, 0, 390_000_000, 460_000_000), PartyRow("H002", 0, 900, 0, 500, -75_000_000, 0)]


def folder(path: Path, rows: list[PartyRow], **other: object) -> Path:
    """What a run leaves of what is compared."""
    path.mkdir()
    write_rows(path / "settlement.csv", PartyRow._fields, rows)
    manifest = {"currency": "CNY", "first_slot_start_s": 900, "slots": 4, "seed": 7, "contract": "mid_market_rate/1"}
    (path / "manifest.json").write_text(json.dumps(manifest | other))
    return path


def test_a_change_is_what_the_second_run_has_more(tmp_path: Path) -> None:
    found = compare(read_run(folder(tmp_path / "a", A)), read_run(folder(tmp_path / "b", B)))
    assert [one.change.pays_nano for one in found.differences] == [-10_000_000, -25_000_000]
    assert (found.sums.change.bought_wh, found.sums.change.sold_wh) == (300, 300)
    assert re.search(r"^H002 .* 0.500 \(\+0.300\) +-0.08 \(-0.03\)$", text(found), re.MULTILINE)
    sums = as_json(found)["sums"]
    assert isinstance(sums, dict)
    assert sums["change"]["pays_nano"] == -35_000_000
    write_comparison(tmp_path, found)
    with (tmp_path / "comparison.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [row["change_pays_nano"] for row in rows] == ["-10000000", "-25000000"]
    page = (tmp_path / "comparison.html").read_text("utf-8")
    assert page.count('class="gain"') == 2
    assert not re.search(r"<(script|link|img|iframe)|https?:", page)


@pytest.mark.parametrize(
    ("rows", "other", "said"),
    [
        (B, {"slots": 5}, "b: slots is 5, and 4 in .*a; compare runs of the same time"),
        (B, {"currency": "EUR"}, "b: currency is EUR, and CNY in"),
        (B[:1], {}, "b: has no party H002, and .*a has; compare the same homes"),
    ],
)
def test_other_times_currencies_and_homes_are_one_line(
    tmp_path: Path, rows: list[PartyRow], other: dict[str, object], said: str
) -> None:
    a, b = read_run(folder(tmp_path / "a", A)), read_run(folder(tmp_path / "b", rows, **other))
    with pytest.raises(UsageError, match=said):
        compare(a, b)


def test_a_folder_that_no_run_has_made_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no manifest.json of gridledger simulate run"):
        read_run(tmp_path)
    broken = folder(tmp_path / "a", A)
    (broken / "settlement.csv").write_text((broken / "settlement.csv").read_text().replace("400000000", "many"))
    with pytest.raises(UsageError, match=r"a/settlement.csv, row 2, pays_nano: .many. is none"):
        read_run(broken)
    (broken / "settlement.csv").unlink()
    with pytest.raises(UsageError, match=r"holds no settlement.csv; name a folder"):
        read_run(broken)
