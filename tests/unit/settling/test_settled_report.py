"""The report of a folder: one file in two languages that loads nothing, and whose sums are those of the files beside it."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from gridcore.report.markup import StackedBar, bars, kilo, money
from gridledger.settling.dataset import InputFile, PointRow
from gridledger.settling.results import write_results
from settlement.tariffs.components import Component, Step, Window
from tests.unit.settling.settled_folder import dataset_of, runs_of, tariffs_of
from tests.unit.settling.test_settled_results import TARIFF, read, settled

FIRST_DAY = date(2026, 6, 27)


def shown(page: str) -> str:
    return re.sub(r"<[^>]+>", " ", page)


def test_the_page_loads_nothing_and_has_no_script(tmp_path: Path) -> None:
    settled(tmp_path, TARIFF)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert not re.search(r"<(script|link|img|iframe)|https?:|@import|url\(", page)
    assert page.count("<h2>") == 8


def test_every_text_is_there_in_both_languages(tmp_path: Path) -> None:
    settled(tmp_path, TARIFF)
    page = (tmp_path / "report.html").read_text("utf-8")
    pairs = re.findall(r'<span lang="en">([^<]*)</span><span lang="zh">([^<]*)</span>', page)
    assert len(pairs) == page.count('<span lang="en">') == page.count('<span lang="zh">')
    assert all(en and zh for en, zh in pairs)
    assert any(re.search("[一-鿿]", zh) for _, zh in pairs)
    assert 'id="zh" checked' in page  # a community in Shanghai


def test_what_it_shows_are_sums_of_the_files(tmp_path: Path) -> None:
    settled(tmp_path, TARIFF)
    page = shown((tmp_path / "report.html").read_text("utf-8"))
    rows = read(tmp_path / "invoices.csv")
    owed = sum(int(row[5]) for row in rows)
    assert f"{money(owed, 10_000_000)} CNY" in page
    for row in rows:
        assert money(int(row[5]), 10_000_000) in page
    lines = read(tmp_path / "invoice_lines.csv")
    for kind in {str(row[3]) for row in lines}:
        amount = sum(int(row[6]) for row in lines if row[3] == kind)
        assert money(amount, 10_000_000) in page


def test_components_stand_there_with_price_unit_hours_days_and_how_many_they_are_charged_to(tmp_path: Path) -> None:
    day = FIRST_DAY.toordinal()
    tariff = [
        Component(
            "energy", "grid", "import", 420_000, until_day=day + 1, months=(6, 7), windows=(Window(28_800, 39_600),)
        ),
        Component("energy", "grid", "import", 450_000, from_day=day + 1),
        Component("block", "grid", "residual", 0, steps=(Step(200_000, 480_000), Step(None, 530_000)), parties=["P2"]),
        Component("demand", "grid", "kw_peak", 32_000_000),
        Component("factor", "funds", "percent", -7_500, is_taxed=False, of=("energy", "levy")),
    ]
    points = [PointRow("Z1", "P1", "A1"), PointRow("Z2", "P2", "A1")]
    dataset = dataset_of(np.full((4, 2), 900), np.array([[0, 1_500]] * 4), points, tariff=tariff)
    write_results(tmp_path, dataset, runs_of(dataset), tariffs_of(dataset))
    page = (tmp_path / "report.html").read_text("utf-8")
    section = page[page.index("Charges by the month") : page.index(">Method<")]
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", section)[1:]]
    told = [[re.sub(r'<span lang="zh">[^<]*</span>|<[^>]+>', "", cell) for cell in row] for row in cells]
    assert told == [
        ["energy", "import", "0.42 CNY/kWh", "08:00–11:00; months 6, 7", f" – {FIRST_DAY}".strip(), "taxed", "grid", "2"],
        ["energy", "import", "0.45 CNY/kWh", "", f"{FIRST_DAY + timedelta(1)} –", "taxed", "grid", "2"],
        ["demand", "the month&#x27;s highest slot", "32.00 CNY/kW and month", "", "", "taxed", "grid", "2"],
        ["factor", "energy, levy", "-0.75 %", "", "", "not taxed", "funds", "2"],
        ["block", "import that was not traded", "&gt; 0.000 kWh: 0.48; &gt; 200.000 kWh: 0.53 CNY/kWh", "", "", "taxed", "grid", "1"],
    ]  # fmt: skip
    assert "no bundle proves them" in section


def test_a_charge_that_no_energy_stands_behind_shows_no_energy(tmp_path: Path) -> None:
    dataset = dataset_of(
        np.full((4, 1), 900),
        np.zeros((4, 1), np.int64),
        [PointRow("Z1", "P1", "A1")],
        tariff=[
            Component("demand", "grid", "kw_peak", 32_000_000),
            Component("energy", "grid", "import", 420_000),
        ],
    )
    write_results(tmp_path, dataset, runs_of(dataset), tariffs_of(dataset))
    page = (tmp_path / "report.html").read_text("utf-8")
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", page)]
    energy_of = {row[0]: row[2] for row in rows if len(row) == 4}
    assert (energy_of["demand"], energy_of["energy"]) == ("–", "3.600")


def test_names_from_files_are_text_and_never_markup(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    points = [PointRow("Z1", evil, "A1"), PointRow("Z2", "P2", "A1")]
    dataset = dataset_of(np.full((4, 2), 900), np.array([[0, 1_500]] * 4), points)
    dataset.quality[1, 0] = 4
    dataset = dataset._replace(inputs=[InputFile(evil, bytes(32), 4)])
    write_results(tmp_path, dataset, runs_of(dataset), tariffs_of(dataset))
    page = (tmp_path / "report.html").read_text("utf-8")
    assert evil not in page
    assert page.count("&lt;script&gt;") == 3  # its invoice, its point among the exceptions, the file


def test_numbers_are_written_as_people_read_them() -> None:
    assert [kilo(wh) for wh in (0, -5, 1_234_567)] == ["0.000", "-0.005", "1,234.567"]
    assert [
        money(*amount) for amount in ((0, 10_000_000), (-5, 10_000_000), (123_456, 10_000_000), (5, 1_000_000))
    ] == [
        "0.00",
        "-0.05",
        "1,234.56",
        "0.005",
    ]


def test_bars_of_nothing_are_a_drawing_too() -> None:
    assert bars([], "kWh").startswith("<svg")
    assert 'height="0.0"' in bars([StackedBar("06-01", 0, 0, 0)], "kWh")


def test_an_exception_that_a_later_run_has_measured_is_none_any_more(tmp_path: Path) -> None:
    points = [PointRow("Z1", "P1", "A1"), PointRow("Z2", "P2", "A1")]
    measured = dataset_of(np.full((4, 2), 900), np.array([[0, 1_500]] * 4), points)
    missing = measured._replace(quality=np.array([[0, 0], [4, 0], [0, 0], [0, 0]], dtype=np.uint8))
    for name, runs in (
        ("before", runs_of(missing)),
        ("after", [*runs_of(missing), *runs_of(measured, "correction-1", [1])]),
    ):
        (tmp_path / name).mkdir()
        write_results(tmp_path / name, missing, runs, tariffs_of(missing))
    clean = "Every interval of every point has a reading."
    assert clean not in (tmp_path / "before" / "report.html").read_text("utf-8")
    assert clean in (tmp_path / "after" / "report.html").read_text("utf-8")
