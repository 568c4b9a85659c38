"""Documents of losses and imbalances on the pages: a month with lines, tax and rounding, a year by month, of who answers and of an area."""

from __future__ import annotations

import csv
import io
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from gridweb.access import Role
from gridweb.pages import balance_documents
from tests.unit.settlement.test_borders_of_areas import ENDS, blocks_of
from tests.unit.settling.test_balance_documents import world as world_with_balance
from tests.unit.web.household_world import PARTY, household, household_world
from tests.unit.web.ledger_world import ledger_world
from tests.unit.web.test_balances_page import CENT, MONTHS, document, rows_of
from tests.unit.web.web_world import World

PATH: Final = "/households/grid/balance"


def line(kind: str, energy_wh: int, nano: int, cents: int) -> dict[str, Any]:
    """A line of a document, as the node states it."""
    amounts = {"energy_wh": energy_wh, "amount_nano": nano, "amount": cents, "tax_ppm": 130_000}
    return {"line_kind": kind, "account": "A1/losses", **amounts}


LINES: Final = [line("gain", 500, -30 * CENT, -30), line("loss", 4_000, 130 * CENT + 3_000_000, 130)]
DOCUMENTS: Final = {
    "2025-12": [document("grid", "initial", 1_000, 130)],
    "2026-10": [
        {**document("grid", "initial", 100, 13), "rounding_nano": -3_000_000, "lines": LINES},
        document("grid", "correction-1", -20, -3),
        document("town", "initial", 70, 9),
    ],
    "2026-11": [document("grid", "initial", 300, 18, tax_ppm=60_000)],
}


def stated(month: str, *, party: str | None = None, start: int = 0) -> dict[str, Any]:
    """What the node says of a month: who answers, each on a page of its own; day names no tariff."""
    names = [party] if party else ["day", "grid", "town"][start : start + 1]
    return {
        "area": "A1",
        "month": month,
        "slots_expected": 100,
        "slots_settled": 99 if month == "2026-12" else 100,
        "documents": [one for one in DOCUMENTS.get(month, []) if one["party"] in names],
        "disputed": [],
        "without_tariff": ["day"] if "day" in names and month == "2026-10" else [],
        "next": start + 1 if party is None and start < 2 else None,
    }


@pytest.fixture
def world(tmp_path: Path) -> World:
    """grid answers for losses and has documents in three months, town in one; day answers and names no tariff."""
    world = household_world(tmp_path)
    row = {"area": "A1", "organisation": "o", "trades": False}
    for party in ("grid", "town", "day"):
        world.node.answers[f"registry/party/{party}"] = {"entries": [{"from_s": 0, "recorded_height": 0, "value": row}]}
    for month in MONTHS[:-1]:
        world.node.answers[f"areas/A1/months/{month}/balance-documents"] = lambda of=month, **asked: stated(of, **asked)
    return world


async def test_the_lines_and_taxes_of_a_month_come_to_the_gross_of_its_documents(world: World) -> None:
    browser = world.browser(Role.HOUSEHOLD, "grid")
    documents = await rows_of(browser, f"{PATH}/documents?month=2026-10")
    assert documents["rows"] == [
        ["invoice", "initial", 100 * CENT, 13 * CENT, 113 * CENT, -3_000_000],
        ["credit", "correction-1", -20 * CENT, -3 * CENT, -23 * CENT, 0],
    ]
    assert documents["totals"][4] == 90 * CENT
    lines = await rows_of(browser, f"{PATH}/documents/lines?month=2026-10")
    assert [row[:5] for row in lines["rows"][:3]] == [
        ["initial", "loss", 4_000, 130 * CENT + 3_000_000, 130 * CENT],
        ["initial", "gain", 500, -30 * CENT, -30 * CENT],
        ["initial", "", None, None, 13 * CENT],
    ]
    assert sum(row[4] for row in lines["rows"] if row[0] == "initial") == documents["rows"][0][4]
    taxes = await rows_of(browser, f"{PATH}/taxes?month=2026-10")
    assert taxes["rows"] == [[130_000, 2, 80 * CENT, 80 * CENT, 10 * CENT, 90 * CENT]]
    page = await browser.text(f"{PATH}/documents?month=2026-10")
    assert "Lines of the documents of losses and imbalances of 2026-10, party grid" in page
    assert "Settled: 100 of 100 slots. Tax: 13 %." in page
    assert "credit note" in page
    assert 'href="/households/grid/balance?area=A1&amp;month=2026-10"' in page


async def test_a_year_begins_with_what_documents_before_come_to_and_each_month_goes_on_from_there(world: World) -> None:
    browser = world.browser(Role.HOUSEHOLD, "grid")
    year = await rows_of(browser, f"{PATH}/year?year=2026")
    opening, october, november = 1_130 * CENT, 90 * CENT, 318 * CENT
    assert [row[0] for row in year["rows"]] == [f"2026-{month:02}" for month in range(1, 13)]
    assert year["rows"][9:11] == [
        ["2026-10", 2, opening, 80 * CENT, 10 * CENT, october, opening + october],
        ["2026-11", 1, opening + october, 300 * CENT, 18 * CENT, november, opening + october + november],
    ]
    assert year["totals"][1:] == [3, None, 380 * CENT, 28 * CENT, october + november, None]
    taxes = await rows_of(browser, f"{PATH}/taxes?year=2026")
    assert [(row[0], row[4]) for row in taxes["rows"]] == [(130_000, 10 * CENT), (60_000, 18 * CENT)]
    page = await browser.text(f"{PATH}/year?year=2026")
    assert "Not complete yet: 2026-12." in page
    assert "payments are recorded for points" in page
    assert 'href="/households/grid/balance/year?area=A1&amp;year=2025"' in page


async def test_the_regulator_sees_all_who_answer_and_who_of_them_names_no_tariff(world: World) -> None:
    browser = world.browser(Role.REGULATOR)
    documents = await rows_of(browser, "/areas/A1/balance/documents?month=2026-10")
    assert [row[:2] for row in documents["rows"]] == [["grid", "invoice"], ["grid", "credit"], ["town", "invoice"]]
    page = await browser.text("/balance/documents?area=A1&month=2026-10")
    assert "No documents of who answers and names no tariff: day." in page
    assert 'href="/balance/month?area=A1&amp;month=2026-10"' in page
    year = await rows_of(browser, "/areas/A1/balance/year?year=2026")
    assert [(row[0], row[6]) for row in year["rows"]] == [("grid", (1_130 + 90 + 318) * CENT), ("town", 79 * CENT)]
    assert year["totals"][5] == (90 + 318 + 79) * CENT
    page = await browser.text("/balance/year?area=A1&year=2026")
    assert 'href="/households/grid/balance/year?area=A1&amp;year=2026"' in page
    assert "Somebody answers without a tariff, and has no documents: 2026-10." in page


async def test_who_answers_sees_his_own_alone_and_a_household_that_answers_for_nothing_a_line(world: World) -> None:
    browser = household(world)
    addresses = ("documents", "documents/lines", "taxes", "year")
    assert [(await browser.get(f"/api/v1{PATH}/{name}")).status_code for name in addresses] == [403] * 4
    assert [(await browser.get(f"{PATH}/{name}")).status_code for name in ("documents", "year")] == [403] * 2
    areas = ("/balance/documents?area=A1", "/balance/year?area=A1")
    assert [(await browser.get(address)).status_code for address in areas] == [403] * 2
    assert "There are no documents: nothing is posted" in await browser.text(
        f"/households/{PARTY}/balance/documents?month=2026-10"
    )
    assert f"/households/{PARTY}/balance/year?year=2026" in await browser.text(f"/households/{PARTY}/year?year=2026")
    assert "nobody answers for anything up to then" in await browser.text(f"/households/{PARTY}/balance/year?year=2026")


async def test_documents_and_year_are_there_as_files(world: World) -> None:
    browser = world.browser(Role.UTILITY)
    tables = (f"{PATH}/documents/lines?month=2026-10&format=xlsx", f"{PATH}/year?year=2026&format=pdf")
    files = [await browser.get(f"/api/v1{table}") for table in tables]
    assert [file.status_code for file in files] == [200] * 2
    assert [(await file.get_data())[:4] for file in files] == [b"PK\x03\x04", b"%PDF"]


async def test_a_csv_file_of_the_year_has_codes_and_exact_amounts(world: World) -> None:
    answer = await world.browser(Role.UTILITY).get(f"/api/v1{PATH}/year?year=2026&format=csv")
    rows = list(csv.DictReader(io.StringIO(bytes(await answer.get_data(as_text=False)).decode("utf-8-sig"))))
    assert (rows[9]["month"], rows[9]["invoiced_nano"]) == ("2026-10", str(90 * CENT))


async def test_a_month_without_an_answer_keeps_the_year_back_with_the_reason(world: World) -> None:
    del world.node.answers["areas/A1/months/2025-03/balance-documents"]
    browser = world.browser(Role.UTILITY)
    page = await browser.text(f"{PATH}/year?year=2026")
    assert "There is no balance: documents of a month before it cannot be had" in page
    assert (await rows_of(browser, f"{PATH}/year?year=2026"))["rows"] == []


async def test_of_more_who_answer_than_a_page_has_there_is_no_sum_of_some(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = world.browser(Role.UTILITY)
    monkeypatch.setattr(balance_documents, "PARTIES_MAX", 3)
    assert len((await rows_of(browser, "/areas/A1/balance/year?year=2026"))["rows"]) == 2
    monkeypatch.setattr(balance_documents, "PARTIES_MAX", 2)
    assert (await rows_of(browser, "/areas/A1/balance/year?year=2026"))["rows"] == []
    assert "There are more than 2 parties" in await browser.text("/balance/year?area=A1&year=2026")
    assert "The first 2 parties" in await browser.text("/balance/documents?area=A1&month=2026-10")


async def test_a_month_is_exported_with_a_file_for_each_who_answers(world: World) -> None:
    browser = world.browser(Role.UTILITY)
    form = {"content": "balance-documents", "area": "A1", "month": "2026-10", "format": "csv"}
    assert (await browser.post("/exports", form)).status_code == 303
    (job,) = world.site.exports.of("utility-x")
    assert job.task is not None
    await job.task
    assert job.path is not None
    with zipfile.ZipFile(job.path) as archive:
        assert archive.namelist() == [
            "A1-balance-documents-2026-10.csv",
            "grid-balance-document-lines-2026-10.csv",
            "town-balance-document-lines-2026-10.csv",
        ]
    await world.site.exports.close()


async def test_the_first_page_of_who_answers_and_has_no_point_is_what_he_answers_for(world: World) -> None:
    def credit(*, party: str) -> dict[str, Any]:
        return {"area": "A1", "party": party}

    world.node.answers["credit"] = credit
    found = [await world.browser(Role.HOUSEHOLD, party).get("/") for party in ("grid", PARTY)]
    assert [one.headers["Location"] for one in found] == ["/households/grid/balance", f"/households/{PARTY}"]


async def test_of_a_ledger_the_page_shows_what_the_node_computes(tmp_path: Path) -> None:
    grid_and_east = world_with_balance("grid", "east")
    of = replace(grid_and_east, roles={**grid_and_east.roles, "reg": ["regulator"]})
    async with ledger_world(tmp_path, consortium=of, is_settled=False) as world:
        await world.submit(*blocks_of(of, late=[ENDS[0][2]]))
        browser = world.web.browser(Role.REGULATOR)
        lines = await rows_of(browser, "/households/east/balance/documents/lines?area=a-1&month=2027-01")
        exact = 900 * 600_000
        assert [row[:4] for row in lines["rows"]] == [["initial", "shortfall", 900, exact], ["initial", "", None, None]]
        year = await rows_of(browser, "/areas/a-1/balance/year?year=2027")
        assert [row[0] for row in year["rows"]] == ["east", "grid"]
        assert year["rows"][0][6] == sum(row[4] for row in lines["rows"])
