"""Every table in every format: exact values stay exact, people's values stand beside them, hostile text stays text."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import zipfile
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree as ET
from xml.sax.saxutils import unescape

import pytest
import typst
from hypothesis import given
from hypothesis import strategies as st

from gridweb.access import Role
from gridweb.exports.csv_file import to_csv
from gridweb.exports.format import Provenance
from gridweb.exports.formats import FORMATS
from gridweb.exports.pdf_file import PDF_ROWS_MAX, to_pdf
from gridweb.exports.readable import decimal_text, local_time
from gridweb.exports.xlsx_file import EXACT_MAX, to_xlsx
from gridweb.i18n import LANGUAGES, speaking
from gridweb.tables import API, TABLE_ROWS_MAX, Column, Table
from tests.unit.web.web_world import make_world

WHERE = Provenance("demo-0123456789abcdef", 388, 1_782_000_000, "")
COLUMNS = (
    Column("slot_start_s", "Slot", "slot"),
    Column("line_kind", "Line"),
    Column("energy_wh", "Energy", "energy_wh"),
    Column("price_micro_per_kwh", "Price", "price_micro"),
    Column("amount_nano", "Amount", "amount_nano"),
)
REPEATED_HOUR_S = (1_792_888_200, 1_792_891_800)  # 02:30 of 25 October 2026 in Berlin, twice


def statement(*rows: tuple[object, ...], tz: str = "Europe/Berlin") -> Table:
    """A statement of some lines."""
    sums = sum(row[4] for row in rows if isinstance(row[4], int))
    return Table(
        "H001-lines",
        COLUMNS,
        rows,
        title="Statement lines",
        totals=(None, None, None, None, sums),
        tz=tz,
        currency="EUR",
    )


def cells(data: bytes, sheet: int) -> list[list[str | float]]:
    """The values of a sheet, row by row: texts as text, numbers as numbers."""
    space = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        texts = ["".join(part.itertext()) for part in ET.fromstring(book.read("xl/sharedStrings.xml"))]
        rows = ET.fromstring(book.read(f"xl/worksheets/sheet{sheet}.xml")).iter(f"{space}row")
        found: list[list[str | float]] = []
        for row in rows:
            values: list[str | float] = []
            for cell in row.iter(f"{space}c"):
                value = cell.find(f"{space}v")
                text = "" if value is None or value.text is None else value.text
                values.append(texts[int(text)] if cell.get("t") == "s" else float(text) if text else "")
            found.append(values)
    return found


def test_a_spreadsheet_shows_shares_in_per_cent_and_voltages_in_volts_beside_their_exact_values() -> None:
    columns = (Column("tax_ppm", "Tax rate", "share"), Column("lowest_milli", "Lowest", "voltage_milli"))
    data = to_xlsx(Table("figures", columns, [(130_000, 241_900)]), WHERE)
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        styles = unescape(book.read("xl/styles.xml").decode(), {"&quot;": chr(34)})
    assert cells(data, 1)[1] == [0.13, 241.9]
    assert cells(data, 2)[1] == [130_000, 241_900]
    assert "0.0###%" in styles
    assert '0.0## "V"' in styles


def test_both_passes_of_a_repeated_hour_are_told_apart_in_a_spreadsheet() -> None:
    table = statement(*((slot, "trade_buy", 1, 2, 2) for slot in REPEATED_HOUR_S))
    rows = list(csv.DictReader(io.StringIO(to_csv(table).decode())))
    assert [row["slot_start_local"] for row in rows] == ["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"]
    assert [int(row["slot_start_s"]) for row in rows] == list(REPEATED_HOUR_S)


def test_csv_has_money_and_kwh_beside_nano_and_wh() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(statement((0, "trade_buy", 1_234_567, 460_000, None))).decode())))
    assert rows[0]["energy_kwh"] == "1234.567"
    assert rows[0]["price_eur_per_kwh"] == "0.460000"
    assert (rows[0]["amount_nano"], rows[0]["amount_eur"]) == ("", "")


@given(st.integers(-(10**30), 10**30), st.sampled_from((3, 6, 9)))
def test_a_decimal_has_the_value_of_the_exact_number(value: int, decimals: int) -> None:
    text = decimal_text(value, decimals)
    assert int(text.replace(".", "")) == value
    assert len(text.partition(".")[2]) == decimals


def test_a_number_that_a_spreadsheet_would_round_is_text_in_xlsx() -> None:
    data = to_xlsx(statement((0, "x", EXACT_MAX, 0, EXACT_MAX + 1), (0, "x", -EXACT_MAX, 0, -(10**18))), WHERE)
    readable, exact = cells(data, 1), cells(data, 2)
    assert [row[4] for row in exact[1:]] == [str(EXACT_MAX + 1), str(-(10**18))]
    assert [row[2] for row in exact[1:]] == [EXACT_MAX, -EXACT_MAX]
    assert [row[4] for row in readable[1:3]] == ["1000000.000000000", "-1000000000.000000000"]


def test_xlsx_has_no_formula_no_link_and_the_same_bytes_each_time() -> None:
    table = statement((0, "=1+1", 1, 1, 1), (0, "http://example.org", 1, 1, 1), (0, "<b>", 1, 1, 1))
    data = to_xlsx(table, WHERE)
    assert data == to_xlsx(table, WHERE)
    assert [row[1] for row in cells(data, 1)[1:4]] == ["=1+1", "http://example.org", "<b>"]
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        assert b"<f>" not in book.read("xl/worksheets/sheet1.xml")
        assert not [name for name in book.namelist() if "rels" in name and "sheet" in name]


@pytest.mark.parametrize("language", LANGUAGES)
def test_pdf_is_an_archive_file_with_its_exact_rows_attached_and_the_same_each_time(language: str) -> None:
    table = statement(
        (1_782_000_000, "经社区购电", 1_234, 460_000, 567_640_000), (1_782_000_900, "#pagebreak()", -1, 0, -5)
    )
    with speaking(language):
        data = to_pdf(table, WHERE._replace(mark="SIMULATED"))
        assert data == to_pdf(table, WHERE._replace(mark="SIMULATED"))
    assert data.startswith(b"%PDF-1.7")
    assert b"<pdfaid:part>3</pdfaid:part>" in data
    assert b"table.csv" in data
    if shutil.which("pdftotext"):
        text = subprocess.run(
            ["pdftotext", "-layout", "-", "-"], input=data, capture_output=True, check=True
        ).stdout.decode()
        assert "#pagebreak()" in text, "a row's text is never markup"
        assert "经社区购电" in text
        assert "1.234" in text
        assert "SIMULATED" in text


def test_a_wide_table_on_paper_keeps_each_column_to_itself_and_says_everywhere_what_it_is() -> None:
    """Names of 21 letters ran over the column beside them, keys off the paper; a note behind the last row had a page of its own."""
    if not shutil.which("pdftotext"):
        pytest.skip("needs pdftotext (poppler-utils)")
    columns = (
        *(Column(f"name_{at}", f"Name {at}") for at in range(4)),
        *(Column(f"day_{at}", f"Day {at}", "day") for at in range(4)),
        *(Column(f"sum_{at}", f"Sum {at}", "amount_nano") for at in range(4)),
        Column("key", "Key"),
    )
    names, days, sums = [f"P{at:020x}" for at in range(4)], ["2026-07-03"] * 4, [at * 10**11 for at in range(4)]
    table = Table("wide", columns, [(*names, *days, *sums, "k" * 90)] * 120, title="Wide one", note="The note.")
    data = to_pdf(table, WHERE._replace(mark="SIMULATED"))
    text = subprocess.run(
        ["pdftotext", "-layout", "-", "-"], input=data, capture_output=True, check=True
    ).stdout.decode()
    assert sum(line.split()[:8] == [*names, *days] for line in text.splitlines()) == 120
    pages = text.rstrip("\f").split("\f")
    assert all("Wide one" in page and "SIMULATED" in page and "Name 3" in page for page in pages)
    assert [("The note." in page) for page in pages] == [True, *[False] * (len(pages) - 1)]


MONTH_ROWS = 3_000
PAGES = 51


def month_of_lines() -> Table:
    """A party's month: three lines in each of 1,000 slots, whose amounts do not end where they are shown to end."""
    kinds = ("trade_buy", "residual_import", "levy")
    energies = [37 * row % 900 + 1 for row in range(MONTH_ROWS)]
    return statement(
        *(
            (1_782_000_000 + 900 * (row // 3), kinds[row % 3], wh, 460_000, 460_000 * wh + 7 * row % 1_000)
            for row, wh in enumerate(energies)
        )
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_pdf_of_a_month_of_3000_lines_has_all_of_them_on_its_pages_and_they_add_up_to_the_sum_shown(
    language: str,
) -> None:
    if not (shutil.which("pdftotext") and shutil.which("pdfinfo")):
        pytest.skip("needs pdftotext and pdfinfo (poppler-utils)")
    with speaking(language):
        data = to_pdf(month_of_lines(), WHERE)
    text, about = (
        subprocess.run(command, input=data, capture_output=True, check=True).stdout.decode()
        for command in (["pdftotext", "-layout", "-", "-"], ["pdfinfo", "-"])
    )
    assert f"Pages:           {PAGES}\n" in about
    pages = text.split("\f")[:PAGES]
    for number, page in enumerate(pages, 1):
        assert f"{number} / {PAGES}" in page.rstrip().splitlines()[-1]
        assert ("Amount EUR" if language == "en" else "金额 EUR") in page, "each page has the head of the table"
    lines = [line.split() for page in pages for line in page.splitlines() if "0.4600" in line]
    assert len(lines) == MONTH_ROWS
    (total,) = [line.split() for line in pages[-1].splitlines() if line.split()[:1] in (["Sum"], ["合计"])]
    exact = Decimal(sum(row[4] for row in month_of_lines().rows)).scaleb(-9)  # type: ignore[misc]
    assert sum(Decimal(line[-1]) for line in lines) == Decimal(total[-1])
    assert abs(Decimal(total[-1]) - exact) < Decimal("0.0001")


async def test_a_pdf_of_more_rows_than_its_limit_is_refused_and_of_as_many_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    utility = make_world(tmp_path).browser(Role.UTILITY)
    rows = len((await (await utility.get(f"{API}/condition")).get_json())["rows"])
    assert rows > 1
    monkeypatch.setitem(FORMATS, "pdf", FORMATS["pdf"]._replace(rows_max=rows))
    made = await utility.get(f"{API}/condition?format=pdf")
    assert (made.status_code, (await made.get_data(as_text=False))[:8]) == (200, b"%PDF-1.7")
    monkeypatch.setitem(FORMATS, "pdf", FORMATS["pdf"]._replace(rows_max=rows - 1))
    refused = await utility.get(f"{API}/condition?format=pdf")
    assert refused.status_code == 400
    assert f"more than {rows - 1} rows: ask for a shorter span" in (await refused.get_json())["detail"]


def test_each_format_has_its_limit_of_rows() -> None:
    assert FORMATS["pdf"].rows_max == PDF_ROWS_MAX == 20_000
    assert FORMATS["csv"].rows_max == FORMATS["xlsx"].rows_max == TABLE_ROWS_MAX == 110_000


AMOUNTS_NANO = (123_456_789, *(569_139_500 + 7 * n for n in range(40)), -333_333_333, 50_000)
"""Each rounded to four digits by itself, they do not add up to their sum."""


def test_the_sum_in_a_pdf_is_the_sum_of_the_amounts_that_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    given_to_typst: dict[str, str] = {}

    def compiled(*_: object, sys_inputs: dict[str, str], **__: object) -> bytes:
        given_to_typst.update(sys_inputs)
        return b""

    monkeypatch.setattr(typst, "compile", compiled)
    table = statement(*((0, "levy", 1, 0, nano) for nano in AMOUNTS_NANO))
    to_pdf(replace(table, rows=(*table.rows, (0, "none", None, None, None))), WHERE)
    shown = json.loads(given_to_typst["doc"])
    amounts = [row[4] for row in shown["rows"]]
    assert amounts.pop() == "–"
    assert sum(map(Decimal, amounts)) == Decimal(shown["totals"][4]) == Decimal("22.5558")
    exact = [Decimal(nano).scaleb(-9) for nano in AMOUNTS_NANO]
    assert all(abs(Decimal(text) - value) < Decimal("0.0001") for text, value in zip(amounts, exact, strict=True))


def test_amounts_in_xlsx_are_shown_with_each_digit_so_that_they_add_up() -> None:
    with zipfile.ZipFile(io.BytesIO(to_xlsx(statement((0, "levy", 1, 0, 569_139_507)), WHERE))) as book:
        styles = book.read("xl/styles.xml").decode()
    assert 'formatCode="#,##0.0000#####"' in styles
    assert 'formatCode="#,##0.0000"' not in styles


async def test_every_format_comes_as_a_file_of_its_kind(tmp_path: Path) -> None:
    browser = make_world(tmp_path).browser(Role.UTILITY)
    for form in FORMATS.values():
        response = await browser.get(f"{API}/condition?format={form.name}")
        assert (response.status_code, response.content_type) == (200, form.content_type), form.name
        if form.name != "json":
            assert response.headers["Content-Disposition"] == f'attachment; filename="condition{form.suffix}"'


async def test_an_unknown_format_is_refused_with_those_there_are(tmp_path: Path) -> None:
    response = await make_world(tmp_path).browser(Role.UTILITY).get(f"{API}/condition?format=exe")
    assert response.status_code == 400
    assert "format=exe: is one of csv, xlsx, pdf, json" in (await response.get_json())["detail"]


def test_parquet_keeps_whole_numbers_and_names_their_units() -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pip install 'gridledger[parquet]'")
    data = FORMATS["parquet"].encode(statement((0, "x", None, 2, 10**18), (900, "y", 5, 2, 2**63)), WHERE)
    table = parquet.read_table(io.BytesIO(data))
    assert table.column("energy_wh").to_pylist() == [None, 5]
    assert table.column("amount_nano").to_pylist() == [str(10**18), str(2**63)], "wider than 64 bits: text"
    assert table.schema.field("energy_wh").metadata == {b"unit": b"Wh", b"kind": b"energy_wh"}
    assert json.loads(json.dumps(table.schema.metadata[b"chain"].decode())) == WHERE.chain


def test_local_time_names_its_offset() -> None:
    assert local_time(0, "Asia/Shanghai") == "1970-01-01T08:00:00+08:00"
