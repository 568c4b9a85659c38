"""Holidays, weekend days that are worked and weekdays off: named in a table of days, and components hold for kinds of days."""

from __future__ import annotations

import tomllib
from collections import defaultdict
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gridcore.registry.named_days import NAMED_DAYS_MAX
from gridledger.cli import main
from gridledger.settling.documents import DocumentFolder
from gridledger.settling.month_derivation import DocumentName, derive_document
from tests.unit.settling.folders import RULES, make_folder
from tests.unit.settling.test_month_documents import rows
from tests.unit.settling.test_registered_tariffs import DAYS, POINTS, component, readings

DAYS_TABLE = "\n[tariff.days]\nholiday = [2025-06-30]\nworkday = [2025-06-28]\n"
"""28 June 2025 is a Saturday, 30 June a Monday."""
COMPONENTS = (
    component("valley", "import", 10_000, 'day_kinds = ["holiday"]', 'windows = [["12:00", "14:00"]]')
    + component("work", "import", 20_000, 'day_kinds = ["workday"]')
    + component("rest", "import", 30_000, 'day_kinds = ["holiday", "weekend"]')
    + """
[[tariff.component]]
name = "working_peak"
account = "grid"
base = "kw_peak"
price_micro_per_kw_month = 32000000
day_kinds = ["workday"]
"""
)
READINGS = readings(DAYS).replace("2025-06-29T10:00:00Z,P1,1.000", "2025-06-29T10:00:00Z,P1,1.777")


def folder(path: Path, more: str) -> Path:
    return make_folder(path, {"points.csv": POINTS, "readings.csv": READINGS, "rules.toml": RULES + more})


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("days")
    out = path / "out"
    assert main(["settle", "files", str(folder(path / "in", COMPONENTS + DAYS_TABLE)), "--out", str(out)]) == 0
    return out


def test_a_worked_saturday_a_sunday_and_a_holiday_are_charged_by_their_kinds(settled: Path) -> None:
    """M1: 88 kWh on the Saturday from 02:00 on, 96.777 on the Sunday, 96 on the holiday, 8 of them from 12 to 14; in July a Tuesday."""
    found: dict[tuple[str, str], int] = defaultdict(int)
    for row in rows(settled, "statements.csv"):
        if row["party"] == "M1":
            local = datetime.fromtimestamp(int(row["slot_start_s"]), ZoneInfo("Europe/Berlin"))
            found[f"{local:%Y-%m}", row["line_kind"]] += int(row["amount_nano"])
    expected = {
        ("2025-06", "valley"): 8_000 * 10_000,
        ("2025-06", "work"): 88_000 * 20_000,
        ("2025-07", "work"): 8_000 * 20_000,
        ("2025-06", "rest"): (96_777 + 96_000) * 30_000,
        ("2025-06", "working_peak"): 4_000 * 32_000_000 * 3 // 30,
        ("2025-07", "working_peak"): 4_000 * 32_000_000 // 31,
    }
    own = {kind for _, kind in expected}
    assert {key: nano for key, nano in found.items() if key[1] in own} == expected


def test_each_line_is_derived_and_the_folder_is_extracted_with_its_days(
    settled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {(row["party"], row["month"], row["line_kind"], row["run"]) for row in rows(settled, "invoice_lines.csv")}
    derived = [derive_document(DocumentFolder(settled), DocumentName(*name)) for name in sorted(names)]
    assert [one.name for one in derived if not one.holds] == []
    assert "working days" in (settled / "report.html").read_text()
    out = tmp_path / "again"
    assert main(["settle", "extract", "--data", str(settled / "ledger"), "--out", str(tmp_path / "folder")]) == 0
    rules = tomllib.loads((tmp_path / "folder" / "rules.toml").read_text())
    assert rules["tariff"]["days"] == {"holiday": [date(2025, 6, 30)], "workday": [date(2025, 6, 28)]}
    assert main(["settle", "files", str(tmp_path / "folder"), "--out", str(out)]) == 0
    assert (out / "invoice_lines.csv").read_bytes() == (settled / "invoice_lines.csv").read_bytes()


def named(count: int) -> str:
    days = [date(2025, 1, 1) + timedelta(days=place) for place in range(count)]
    return f"\n[tariff.days]\nholiday = [{', '.join(map(str, days))}]\n"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (COMPONENTS, "[[tariff.component]] 1, day_kinds: [tariff.days] names no holiday"),
        (COMPONENTS.replace('"holiday"]', '"holidays"]', 1), "day_kinds: 'holidays' is none of holiday, weekend, workday"),
        (component("a", "day", 1, 'day_kinds = ["workday"]'), "day_kinds: only for import, export, traded"),
        ("\n[tariff.days]\nholidays = [2025-06-30]\n", "[tariff.days] 'holidays' is no kind of day"),
        ("\n[tariff.days]\nholiday = 2025-06-30\n", "[tariff.days] holiday: an array of days is needed, as 2027-02-06"),
        ('\n[tariff.days]\nholiday = ["2025-06-30"]\n', "[tariff.days] holiday: 2025-06-30 stands in quotes; write it without quotes"),
        ('\n[tariff.days]\nholiday = ["30.6.2025"]\n', "is no day of the calendar, as 2027-02-06"),
        ("\n[tariff.days]\nholiday = [2025-06-30T00:00:00Z]\n", "holiday: a date without a time is needed, as 2025-06-30, not 2025-06-30T00:00:00+00:00"),
        ("\n[tariff.days]\nholiday = [2025-06-30, 2025-06-29]\n", "holiday: 2025-06-29 does not stand behind 2025-06-30"),
        ("\n[tariff.days]\nholiday = [2025-06-30]\nworkday = [2025-06-30]\n", "[tariff.days] 2025-06-30 is of two kinds"),
        ("\n[tariff]\ndays = []\n", "[tariff.days] a map of holiday, weekend, workday is needed"),
        (named(NAMED_DAYS_MAX + 1), "[tariff.days] 401 days are named, at most 400 can be"),
    ],
)  # fmt: skip
def test_days_that_are_none_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: str, words: str
) -> None:
    assert main(["settle", "files", str(folder(tmp_path / "in", more)), "--out", str(tmp_path / "out")]) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert words in error
    assert not (tmp_path / "out").exists()
