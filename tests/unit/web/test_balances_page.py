"""Balances on the pages: the account of a month and a year, its taxes, all parties of an area, and what keeps a balance back."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from gridcore.sm3 import sm3
from gridweb import books
from gridweb.access import Role
from gridweb.books import document_entries
from gridweb.pages import balances
from settlement.invoicing.account import Entry
from tests.unit.web.household_world import NEIGHBOUR, PARTY, household, household_world
from tests.unit.web.ledger_world import ledger_world
from tests.unit.web.web_world import Browser, World
from tests.worlds.tariffed import MONTH, TARIFFED, first_slots, late_reading

CENT: Final = 10_000_000
MONTHS: Final = [f"{2024 + at // 12}-{at % 12 + 1:02}" for at in range(5, 37)]
"""From the first slot, June 2024, to the newest month, January 2027."""
NOVEMBER_S: Final = 1_793_462_400  # 1 November 2026, 00:00 in Shanghai
BEFORE_FIRST_S: Final = 1_700_000_000


def document(
    party: str, run: str, net: int, tax: int, *, tax_ppm: int = 130_000, taxed: int | None = None
) -> dict[str, Any]:
    """A document in cents, as the node states it."""
    amounts = {"net": net, "taxed": net if taxed is None else taxed, "tax": tax, "gross": net + tax}
    return {
        "party": party,
        "run": run,
        **amounts,
        "rounding_nano": 0,
        "quantum_nano": CENT,
        "tax_ppm": tax_ppm,
        "taxes": [{"tax_ppm": tax_ppm, "taxed": amounts["taxed"], "tax": tax}],
        "lines": [],
    }


def payment(party: str, time_s: int, amount_nano: int, ground: str = "received") -> dict[str, Any]:
    """A payment as the node states it."""
    of = {"amount_nano": amount_nano, "ground": ground, "height": 3, "party": party, "point": "P-17"}
    return {**of, "reference": sm3(b"line").hex(), "signer": "util", "time_s": time_s, "transaction": "ab" * 32}


DOCUMENTS: Final = {
    "2025-12": [document(PARTY, "initial", 1_000, 130), document(NEIGHBOUR, "initial", 70, 9)],
    "2026-10": [document(PARTY, "initial", 2_000, 260, taxed=1_900), document(PARTY, "correction-1", -500, -65)],
    "2026-11": [document(PARTY, "initial", 300, 18, tax_ppm=60_000)],
    "2026-12": [document(NEIGHBOUR, "initial", -40, -5)],
}
DISPUTED: Final = {
    "2025-12": {"disputes": 1, "gross_nano": 1_130 * CENT, "disputed_nano": 113 * CENT, "due_nano": 1_017 * CENT},
    "2026-11": {"disputes": 2, "gross_nano": 318 * CENT, "disputed_nano": 300 * CENT, "due_nano": 18 * CENT},
}
PAYMENTS: Final = [
    payment(PARTY, BEFORE_FIRST_S, 100 * CENT),
    payment("ZZ", BEFORE_FIRST_S, 7),
    payment(PARTY, NOVEMBER_S - 1, 500 * CENT),
    payment(PARTY, NOVEMBER_S, 30 * CENT, "paid_out"),
    payment(NEIGHBOUR, NOVEMBER_S, 1),
]
OPENING_2026: Final = (1_130 - 100) * CENT
CLOSING_2026: Final = OPENING_2026 + (2_260 - 565 + 318 - 500 + 30) * CENT


@pytest.fixture
def world(tmp_path: Path) -> World:
    """H001 has documents in four months, and paid before the first slot and in two; H002 in two; who ZZ is nobody says."""
    world = household_world(tmp_path)
    for party in (PARTY, NEIGHBOUR):
        row = {"area": "A1", "organisation": "o", "tariff": "home", "trades": True}
        world.node.answers[f"registry/party/{party}"] = {"entries": [{"from_s": 0, "recorded_height": 0, "value": row}]}
    for month in MONTHS[:-1]:
        world.node.answers[f"areas/A1/months/{month}/documents"] = lambda of=month, **asked: stated(of, **asked)
    world.node.answers["areas/A1/payments"] = paid
    return world


def stated(month: str, *, party: str | None = None, start: int = 0) -> dict[str, Any]:
    """What the node says of a month; each party is a page of its own."""
    parties = [party] if party else [PARTY, NEIGHBOUR][start : start + 1]
    found = [one for one in DOCUMENTS.get(month, []) if one["party"] in parties]
    disputed = [{"party": PARTY, **DISPUTED[month]}] if month in DISPUTED and PARTY in parties else []
    following = 1 if party is None and start == 0 else None
    of_month = {"slots_expected": 100, "slots_settled": 99 if month == "2026-12" else 100}
    return {
        "area": "A1",
        "month": month,
        **of_month,
        "documents": found,
        "disputed": disputed,
        "without_tariff": [],
        "uncharged": [],
        "next": following,
    }


def paid(*, from_s: int, until_s: int, party: str | None = None, start: int = 0) -> dict[str, Any]:
    """What the node says of payments; each is a page of its own."""
    found = [one for one in PAYMENTS if from_s <= one["time_s"] < until_s and party in (None, one["party"])]
    following = start + 1 if start + 1 < len(found) else None
    return {"area": "A1", "payments": found[start : start + 1], "next": following}


async def rows_of(browser: Browser, address: str) -> dict[str, Any]:
    """A table as JSON."""
    answer = await browser.get(f"/api/v1{address}")
    assert answer.status_code == 200
    found: dict[str, Any] = await answer.get_json()
    return found


async def test_a_year_begins_with_its_opening_balance_and_its_rows_come_to_its_closing_balance(world: World) -> None:
    found = await rows_of(household(world), f"/households/{PARTY}/account?year=2026")
    assert [(row[0], row[1], row[2], row[3], row[7]) for row in found["rows"]] == [
        ("opening", "2026-01", None, None, OPENING_2026),
        ("invoice", "2026-10", "initial", None, 2_260 * CENT),
        ("credit", "2026-10", "correction-1", None, -565 * CENT),
        ("received", "2026-10", None, "2026-10-31", -500 * CENT),
        ("invoice", "2026-11", "initial", None, 318 * CENT),
        ("paid_out", "2026-11", None, "2026-11-01", 30 * CENT),
    ]
    assert found["totals"] == ["closing", None, None, None, 1_800 * CENT, None, 213 * CENT, CLOSING_2026]
    assert sum(row[7] for row in found["rows"]) == CLOSING_2026
    assert "Not complete yet: 2026-12." in found["note"]


async def test_the_months_of_a_year_hand_their_balance_on_and_its_taxes_are_by_rate(world: World) -> None:
    browser = household(world)
    months = await rows_of(browser, f"/households/{PARTY}/account/months?year=2026")
    assert len(months["rows"]) == 12
    assert months["rows"][0][1] == OPENING_2026
    assert months["rows"][-1][4] == CLOSING_2026
    assert [row[1] for row in months["rows"][1:]] == [row[4] for row in months["rows"][:-1]]
    assert months["totals"] == [None, None, (2_260 - 565 + 318) * CENT, (500 - 30) * CENT, None, None, None]
    assert {row[0]: row[5] // CENT for row in months["rows"] if row[5]} == {
        **{f"2026-{month:02}": 113 for month in range(1, 11)}, "2026-11": 413, "2026-12": 413,
    }  # fmt: skip
    assert all(row[5] + row[6] == row[4] for row in months["rows"])
    taxes = await rows_of(browser, f"/households/{PARTY}/account/taxes?year=2026")
    assert taxes["rows"] == [
        [130_000, 2, 1_500 * CENT, 1_400 * CENT, 195 * CENT, 1_695 * CENT],
        [60_000, 1, 300 * CENT, 300 * CENT, 18 * CENT, 318 * CENT],
    ]
    assert taxes["totals"] == [None, 3, 1_800 * CENT, 1_700 * CENT, 213 * CENT, 2_013 * CENT]


async def test_a_month_has_what_was_paid_in_it_and_the_year_after_begins_with_what_this_one_ends_with(
    world: World,
) -> None:
    browser = household(world)
    october = await rows_of(browser, f"/households/{PARTY}/account?month=2026-10")
    assert [row[0] for row in october["rows"]] == ["opening", "invoice", "credit", "received"]
    assert october["rows"][0][7] == OPENING_2026
    first = await rows_of(browser, f"/households/{PARTY}/account?month=2024-06")
    assert [(row[0], row[7]) for row in first["rows"]] == [("opening", -100 * CENT)]
    newest = await rows_of(browser, f"/households/{PARTY}/account?year=2027")
    assert [(row[0], row[7]) for row in newest["rows"]] == [("opening", CLOSING_2026)]
    assert "Not complete yet: 2027-01." in newest["note"]
    before = await rows_of(browser, f"/households/{PARTY}/account?year=2020")
    assert [row[7] for row in before["rows"]] == [0]


async def test_the_utility_sees_the_balances_of_all_parties_that_have_documents_and_their_sums(world: World) -> None:
    found = await rows_of(world.browser(Role.UTILITY), "/areas/A1/balances?month=2026-11")
    assert found["rows"] == [
        [
            PARTY,
            (OPENING_2026 + (1_695 - 500) * CENT),
            318 * CENT,
            -30 * CENT,
            CLOSING_2026,
            413 * CENT,
            CLOSING_2026 - 413 * CENT,
        ],
        [NEIGHBOUR, 79 * CENT, 0, 1, 79 * CENT - 1, 0, 79 * CENT - 1],
    ]
    assert found["totals"][1:] == [sum(row[at] for row in found["rows"]) for at in range(1, 7)]
    assert (await household(world).get("/documents/balances?area=A1")).status_code == 403


async def test_of_more_parties_than_a_page_reads_there_are_no_sums_of_some(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(balances, "PARTIES_MAX", 1)
    found = await rows_of(world.browser(Role.UTILITY), "/areas/A1/balances?month=2026-11")
    assert (found["rows"], found["totals"]) == ([], None)
    assert "more than 1 parties: gridledger settle documents --year makes" in found["note"]


async def test_documents_or_payments_that_cannot_be_had_keep_the_balance_back_with_the_reason(world: World) -> None:
    browser = household(world)
    del world.node.answers["areas/A1/months/2025-03/documents"]
    assert (await rows_of(browser, f"/households/{PARTY}/account?month=2025-02"))["totals"] is not None
    later = await rows_of(browser, f"/households/{PARTY}/account?month=2025-04")
    assert (later["rows"], later["totals"]) == ([], None)
    assert "There is no balance" in later["note"]
    assert "no areas/A1/months/2025-03/documents" in later["note"]
    page = await browser.text(f"/households/{PARTY}/account?month=2025-04")
    assert "There is no balance" in page
    del world.node.answers["areas/A1/payments"]
    found = await rows_of(browser, f"/households/{PARTY}/account?month=2024-07")
    assert "no areas/A1/payments" in found["note"]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("month=2026-10&year=2026", "name a month or a year, not both"),
        ("month=2026-13", "month: write YYYY-MM"),
        ("year=26", "year: four digits"),
    ],
)
async def test_a_span_that_is_none_is_one_clear_line(world: World, query: str, says: str) -> None:
    answer = await household(world).get(f"/api/v1/households/{PARTY}/account?{query}")
    assert answer.status_code == 400
    assert says in await answer.get_data(as_text=True)


async def test_a_household_sees_its_own_account_alone_and_takes_it_along_in_both_languages(world: World) -> None:
    browser = household(world)
    for address in ("account", "account/taxes", "account/months"):
        assert (await browser.get(f"/api/v1/households/{NEIGHBOUR}/{address}?year=2026")).status_code == 403
    assert (await browser.get(f"/households/{NEIGHBOUR}/account?year=2026")).status_code == 403
    text = await browser.text(f"/api/v1/households/{PARTY}/account?year=2026&format=csv")
    (*_, closing) = csv.reader(io.StringIO(text))
    assert closing[0] == "paid_out", "sums are those of rows: a file of rows has none"
    for form in ("xlsx", "pdf", "json"):
        assert (await browser.get(f"/api/v1/households/{PARTY}/account?year=2026&format={form}")).status_code == 200
    chinese = household(world, language="zh_CN")
    page = await chinese.text(f"/households/{PARTY}/account?year=2026")
    assert "期初余额" in page
    assert "期末余额" in page


async def test_month_year_and_documents_fetch_the_account_when_they_are_there(world: World) -> None:
    browser = household(world)
    for page, query in (("month", "month=2026-10"), ("year", "year=2026")):
        text = await browser.text(f"/households/{PARTY}/{page}?{query}")
        assert f'hx-get="/households/{PARTY}/account?{query}"' in text
    text = await world.browser(Role.UTILITY).text("/documents?area=A1&month=2026-10")
    assert 'hx-get="/documents/balances?area=A1&amp;month=2026-10"' in text
    page = await world.browser(Role.UTILITY).text("/documents/balances?area=A1&month=2026-10")
    assert "Balances of 2026-10, area A1" in page


async def test_a_year_of_all_parties_is_made_beside_the_pages_and_reads_each_month_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    gathered: list[str] = []

    def counted(month: str, documents: Iterable[Any]) -> Iterator[tuple[str, Entry]]:
        gathered.append(month)
        return document_entries(month, documents)

    monkeypatch.setattr(books, "document_entries", counted)
    browser = world.browser(Role.UTILITY)
    world.node.asked.clear()
    form = {"content": "accounts", "area": "A1", "month": "2026-03", "format": "csv"}
    assert (await browser.post("/exports", form)).status_code == 303
    (job,) = world.site.exports.of("utility-x")
    assert (job.file_name, job.total) == ("A1-accounts-2026.zip", 12 + 2)
    assert job.task is not None
    await job.task
    assert (job.state, job.reason) == ("done", "")
    asked = [path for path, _params in world.node.asked if path.endswith("/documents")]
    assert len(asked) == 2 * len([month for month in MONTHS if month[:4] <= "2026"])
    # a balance of each month gathers those up to it, in two parts; accounts are those of the last balance, however many parties
    assert len(gathered) == 2 * sum(1 + at for at, month in enumerate(MONTHS) if month[:4] == "2026")
    answer = await browser.get(f"/exports/{job.job}/file")
    with zipfile.ZipFile(io.BytesIO(await answer.get_data(as_text=False))) as file:
        held = {name: file.read(name).decode() for name in file.namelist()}
    alone = await browser.text(f"/api/v1/households/{PARTY}/account?year=2026&format=csv")
    assert held[f"{PARTY}-account-2026.csv"] == alone
    november = await browser.text("/api/v1/areas/A1/balances?month=2026-11&format=csv")
    assert held["A1-balances-2026-11.csv"] == november
    assert len(november.splitlines()) == 3
    await world.site.exports.close()


async def test_who_never_named_a_tariff_has_no_account_and_is_told_why(tmp_path: Path) -> None:
    page = await household(household_world(tmp_path)).text(f"/households/{PARTY}/account?year=2026")
    assert "names no tariff: nothing is invoiced" in page
    assert "closing balance" not in page


async def test_on_a_ledger_the_balance_is_what_documents_come_to_less_what_was_paid(tmp_path: Path) -> None:
    async with ledger_world(tmp_path, consortium=TARIFFED, is_settled=False) as world:
        await world.submit(*first_slots(world.sender), *late_reading(world.sender, 700))
        await world.submit([world.sender.payment("P-1", "p-1", 7 * CENT)], [world.sender.payment("P-3", "l-1", 9)])
        browser = world.web.browser(Role.UTILITY)
        of_documents = await rows_of(browser, f"/areas/a-1/documents?month={MONTH}")
        gross_nano: dict[str, int] = dict.fromkeys(("p-1", "p-2"), 0)
        for row in of_documents["rows"]:
            gross_nano[row[0]] += row[5]
        found = await rows_of(browser, f"/areas/a-1/balances?month={MONTH}")
        assert found["rows"] == [
            ["p-1", 0, gross_nano["p-1"], 7 * CENT, gross_nano["p-1"] - 7 * CENT, 0, gross_nano["p-1"] - 7 * CENT],
            ["p-2", 0, gross_nano["p-2"], 0, gross_nano["p-2"], 0, gross_nano["p-2"]],
        ]
        own = await rows_of(world.web.browser(Role.HOUSEHOLD, "p-1"), f"/households/p-1/account?month={MONTH}")
        assert own["totals"][7] == gross_nano["p-1"] - 7 * CENT
