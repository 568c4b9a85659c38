"""Issued documents on the pages: out of the book, with what was paid of each; and what a book that was changed shows instead."""

from __future__ import annotations

import csv
import io
import shutil
import threading
import zipfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from gridcore.errors import UsageError
from gridledger.settling.outgoing import shown
from gridledger.settling.outgoing.book import (
    DocumentLineRow,
    DocumentRow,
    DocumentTaxRow,
    IssueRow,
    digest_of,
    write_batch,
)
from gridledger.settling.outgoing.shown import ShownBook, check_book_folder
from gridweb import contested, issued
from gridweb.access import Role
from gridweb.issued import Issued
from gridweb.pages import issued as issued_pages
from gridweb.pages import issued_states
from tests.unit.web.household_world import installation
from tests.unit.web.web_world import AREA, NOW_S, Browser, World, app_of, make_world

CENT: Final = 10_000_000
PAID_NANO: Final = 7 * CENT
MONTH: Final = "2027-01"
HEIGHT, DIGEST = 5, "ab" * 32
PAID: Final = {"party": "p-1", "ground": "received", "amount_nano": PAID_NANO}


class BookWorld(NamedTuple):
    """A site that shows a book of two issues, and that book."""

    web: World
    book: Path


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BookWorld:
    """p-1 has paid 7 cents of its invoice, p-2 nothing of its own, of which a later issue takes 20 cents back; both fell due long ago."""
    monkeypatch.setattr(issued, "LOOK_EVERY_S", 0)
    made = make_world(tmp_path)
    rows = [installation(party, number, f"M-{number}") for number, party in enumerate(("p-1", "p-2"))]
    made.node.answers["areas/a-1/installations"] = {"installations": rows, "next": None}
    made.node.answers[f"blocks/{HEIGHT}"] = {"digest": DIGEST, "ledger_time_s": NOW_S}
    made.node.answers["areas/a-1/payments"] = paid
    made.node.answers["disputes"] = {"disputes": [], "next": None}
    made.node.answers["registry/party/p-2"] = {"entries": []}
    book = tmp_path / "book"
    before = issue(book, 1, [document(1, 2020, "p-1", 100), document(2, 2020, "p-2", 60)])
    issue(book, 2, [document(1, 2030, "p-2", -20, corrects="util-2020-000002")], digest_of(before / "issue.csv"))
    site = replace(made.site, issued=Issued(ShownBook(book)))
    return BookWorld(replace(made, app=app_of(site), site=site), book)


def paid(*, from_s: int, until_s: int, party: str | None = None, start: int = 0) -> dict[str, Any]:
    """What the node says of payments."""
    return {"payments": [PAID] if party in (None, "p-1") else [], "next": None}


def document(number: int, year: int, party: str, taxed: int, corrects: str = "") -> DocumentRow:
    """A document of a line that is taxed at 13 %, and one of 3 cents that is not."""
    sort = "invoice" if not corrects else "credit"
    of = (party, MONTH, "z-1", "", "energy", "CNY", 130_000, CENT)
    tax = taxed * 13 // 100
    amounts = (taxed + 3, tax, taxed + 3 + tax, 0)
    return DocumentRow(f"util-{year}-{number:06}", f"{year}-01-05", f"{year}-01-19", sort, corrects, *of, *amounts)


def issue(book: Path, number: int, documents: Sequence[DocumentRow], previous: str = "") -> Path:
    """Write an issue as ``settle issue`` does; its folder."""
    out = book / f"{number:04}"
    out.mkdir(parents=True)
    lines = [
        line
        for one in documents
        for line in (
            DocumentLineRow(one.number, "levy", "levy", 500, (one.net - 3) * CENT, one.net - 3),
            DocumentLineRow(one.number, "stay", "grid", 0, 3 * CENT, 3),
        )
    ]
    taxes = [DocumentTaxRow(one.number, 130_000, one.net - 3, one.tax) for one in documents]
    first = documents[0]
    of = (number, "util", first.date, first.due_date, MONTH, "test-0123", "z-1", "", HEIGHT, DIGEST, 96, 90)
    write_batch(out, IssueRow(*of, len(documents), "", "", "", "", previous), documents, lines, taxes, [])
    return out


async def table(browser: Browser, address: str) -> list[dict[str, Any]]:
    """The rows of a table by their keys, its sums last."""
    found: Any = await (await browser.get(f"/api/v1{address}")).get_json()
    keys = [column["key"] for column in found["columns"]]
    return [
        dict(zip(keys, row, strict=True)) for row in [*found["rows"], *([found["totals"]] if found["totals"] else [])]
    ]


async def test_the_clerk_sees_the_documents_of_a_month_with_dates_states_and_sums(world: BookWorld) -> None:
    *rows, sums = await table(world.web.browser(Role.UTILITY), f"/issued?month={MONTH}")
    assert [(row["number"], row["party"], row["sort"], row["due_date"]) for row in rows] == [
        ("util-2020-000001", "p-1", "invoice", "2020-01-19"),
        ("util-2020-000002", "p-2", "invoice", "2020-01-19"),
        ("util-2030-000001", "p-2", "credit", "2030-01-19"),
    ]
    own, other, credit = rows
    assert (own["state"], own["open_nano"]) == ("overdue", own["gross_nano"] - PAID_NANO)
    assert (other["state"], other["open_nano"]) == ("overdue", other["gross_nano"] + credit["gross_nano"])
    assert (credit["state"], credit["open_nano"]) == ("settled", 0)
    assert (credit["corrects"], other["corrected_by"]) == (other["number"], credit["number"])
    for key in ("net_nano", "tax_nano", "gross_nano", "open_nano", "disputed_nano"):
        assert sums[key] == sum(row[key] for row in rows)
    assert sums["open_nano"] == sums["gross_nano"] - PAID_NANO


async def test_the_same_rows_and_sums_are_in_every_format_and_on_the_page_in_both_languages(world: BookWorld) -> None:
    browser = world.web.browser(Role.UTILITY)
    *rows, sums = await table(browser, f"/issued?month={MONTH}")
    text = await browser.text(f"/api/v1/issued?month={MONTH}&format=csv")
    written = list(csv.DictReader(io.StringIO(text)))
    assert [int(row["gross_nano"]) for row in written] == [row["gross_nano"] for row in rows]
    assert sum(int(row["gross_nano"]) for row in written) == sums["gross_nano"]
    answers = [await browser.get(f"/api/v1/issued?month={MONTH}&format={form}") for form in ("xlsx", "pdf")]
    assert [answer.status_code for answer in answers] == [200, 200]
    page = await browser.text("/documents/issued")
    assert f"Issued documents of {MONTH}" in page
    assert "gridledger settle replay --data DIR --book BOOK" in page
    assert "已开具的单据" in await world.web.browser(Role.UTILITY, language="zh_CN").text("/documents/issued")


async def test_a_household_sees_its_own_documents_alone_and_takes_each_along(world: BookWorld) -> None:
    browser = world.web.browser(Role.HOUSEHOLD, "p-2")
    own = await table(browser, f"/households/p-2/issued?month={MONTH}")
    assert [row["sort"] for row in own[:-1]] == ["invoice", "credit"]
    number = own[0]["number"]
    *lines, sums = await table(browser, f"/households/p-2/issued/{number}")
    assert [line["line_kind"] for line in lines] == ["levy", "stay", ""]
    assert sums["amount_nano"] == sum(line["amount_nano"] for line in lines) == own[0]["gross_nano"]
    assert (await browser.get(f"/api/v1/households/p-2/issued/{number}?format=pdf")).status_code == 200
    page = await browser.text(f"/households/p-2/issued/{number}")
    assert "overdue" in page
    assert "Issued on 2020-01-05, due on 2020-01-19." in page
    refused = ("/households/p-1/issued", "/households/p-1/issued/util-2020-000001", "/documents/issued")
    assert [(await browser.get(path)).status_code for path in refused] == [403, 403, 403]
    assert (await browser.get("/households/p-2/issued/util-2020-000001")).status_code == 404


async def test_month_year_and_account_fetch_what_was_issued_of_them(world: BookWorld) -> None:
    browser = world.web.browser(Role.HOUSEHOLD, "p-2")
    for page, query in (("month", f"month={MONTH}"), ("year", "year=2027"), ("account", f"month={MONTH}")):
        assert f'hx-get="/households/p-2/issued?{query}"' in await browser.text(f"/households/p-2/{page}?{query}")
    assert [row["month"] for row in (await table(browser, "/households/p-2/issued?year=2027"))[:-1]] == [MONTH] * 2
    assert await table(browser, "/households/p-2/issued?year=2026") == []
    assert "month: write YYYY-MM" in await (await browser.get("/api/v1/households/p-2/issued?month=x")).get_data(True)


async def test_an_export_has_the_month_and_each_document_with_the_sums_of_the_page(world: BookWorld) -> None:
    browser = world.web.browser(Role.UTILITY)
    assert '<option value="issued">' in await browser.text("/exports")
    form = {"content": "issued", "area": "a-1", "month": MONTH, "format": "csv"}
    assert (await browser.post("/exports", form)).status_code == 303
    (job,) = world.web.site.exports.of("utility-x")
    assert job.task is not None
    await job.task
    assert (job.state, job.total, job.path is not None) == ("done", 1 + 3, True)
    answer = await browser.get(f"/exports/{job.job}/file")
    with zipfile.ZipFile(io.BytesIO(await answer.get_data(as_text=False))) as file:
        held = {name: list(csv.DictReader(io.StringIO(file.read(name).decode()))) for name in file.namelist()}
    gross = {row["number"]: int(row["gross_nano"]) for row in held.pop(f"issued-{MONTH}.csv")}
    assert {
        name.removesuffix(".csv"): sum(int(row["amount_nano"]) for row in rows) for name, rows in held.items()
    } == gross
    (world.book / "0001" / "document_taxes.csv").unlink()
    assert (await browser.post("/exports", form)).status_code == 404
    await world.web.site.exports.close()


async def test_a_book_that_was_changed_shows_one_line_and_nothing_of_it_until_it_is_whole_again(
    world: BookWorld,
) -> None:
    browser = world.web.browser(Role.UTILITY)
    documents = world.book / "0001" / "documents.csv"
    before = documents.read_bytes()
    documents.write_bytes(before.replace(b"p-1", b"p-9"))
    page = await browser.text("/documents/issued")
    assert "documents.csv: is not the file that was issued" in page
    assert "util-2020-000001" not in page
    document = "/households/p-2/issued/util-2020-000002"
    assert "is not the file that was issued" in await browser.text(document)
    with pytest.raises(UsageError, match=r"web\.book: .*0001/documents.csv: is not the file that was issued"):
        check_book_folder(world.book)
    documents.unlink()  # half copied
    assert "documents.csv: cannot be read" in await browser.text("/documents/issued")
    documents.write_bytes(before)
    assert "util-2020-000001" in await browser.text("/documents/issued")
    check_book_folder(world.book)


async def test_lines_that_were_changed_after_the_book_was_read_are_found_when_they_are_shown(
    world: BookWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = world.web.browser(Role.UTILITY)
    await browser.text("/documents/issued")
    monkeypatch.setattr(issued, "LOOK_EVERY_S", 1e9)
    lines = world.book / "0001" / "document_lines.csv"
    lines.write_bytes(lines.read_bytes()[:-3])
    page = await browser.text("/households/p-2/issued/util-2020-000002")
    assert "document_lines.csv: is not the file that was issued" in page


async def test_a_book_of_another_chain_block_or_future_is_not_shown(
    world: BookWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, reader = world.web.browser(Role.UTILITY), world.web.site.issued
    assert reader is not None
    book = await reader.book()
    assert book.newest is not None
    for change, says in (
        ({"chain": "other-00"}, "is of chain other-00, these pages are of"),
        ({"digest": "00" * 32}, "is of another block"),
        ({"height": 10_000}, "is of block 10000, the node is at"),
    ):
        monkeypatch.setattr(reader, "_book", replace(book, newest=book.newest._replace(**change)))
        page = await browser.text("/documents/issued")
        assert says in page
        assert "util-2020-000001" not in page


async def test_larger_books_than_pages_hold_and_folders_that_are_none_are_one_line(
    world: BookWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shown, "DOCUMENTS_MAX", 3)
    check_book_folder(world.book)
    monkeypatch.setattr(shown, "DOCUMENTS_MAX", 2)
    with pytest.raises(UsageError, match="has more than 2 documents, pages hold no more"):
        check_book_folder(world.book)
    size = sum(path.stat().st_size for path in world.book.glob("*/*"))
    monkeypatch.setattr(shown, "BYTES_MAX", size - 1)
    with pytest.raises(UsageError, match=f"has {size} bytes, pages read at most {size - 1}"):
        check_book_folder(world.book)
    (tmp_path / "file").write_text("")
    for path, says in ((tmp_path / "file", "is no folder"), (tmp_path / "no" / "book", "its folder does not exist")):
        with pytest.raises(UsageError, match=says):
            check_book_folder(path)
    check_book_folder(tmp_path / "absent")


async def test_without_payments_of_all_the_list_says_so_and_sums_no_open_amounts(
    world: BookWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issued_states, "AREAS_MAX", 0)
    browser = world.web.browser(Role.REGULATOR)
    *rows, sums = await table(browser, f"/issued?month={MONTH}")
    assert [(row["state"], row["open_nano"]) for row in rows] == [(None, None)] * 3
    assert sums["open_nano"] is None
    assert "each party&#39;s account says what is paid, disputed and due" in await browser.text("/documents/issued")


async def test_areas_with_more_payments_together_than_a_list_reads_leave_the_states_out(
    world: BookWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, browser = world.web.node, world.web.browser(Role.REGULATOR)
    node.answers["areas"]["areas"].append({**AREA, "area": "a-2"})
    node.answers["areas/a-2/payments"] = {"payments": [PAID], "next": None}
    states = []
    for payments_max in (2, 1):
        monkeypatch.setattr(issued_states, "PAYMENTS_MAX", payments_max)
        states.append([row["state"] for row in (await table(browser, f"/issued?month={MONTH}"))[:-1]])
    assert states == [["overdue", "overdue", "settled"], [None] * 3]


async def test_a_list_of_all_parties_is_set_off_beside_the_other_requests(
    world: BookWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = list[int]()

    def seen(*of: Any) -> Any:
        threads.append(threading.get_ident())
        return issued_states.stated_of_all(*of)

    monkeypatch.setattr(issued_pages, "stated_of_all", seen)
    await table(world.web.browser(Role.REGULATOR), f"/issued?month={MONTH}")
    assert (len(threads), threading.get_ident() in threads) == (1, False)


def disputed(world: BookWorld, *disputes: dict[str, Any], **disputed_nano: int) -> None:
    """Open disputes of p-2, and what the node says that stands contested of its documents, by month."""
    world.web.progress.newest += 1  # what was kept is of a block before
    of = {"party": "p-2", "is_closed": False, "amount_nano": CENT, "month": None, "slot_start_s": None}
    world.web.node.answers["disputes"] = {"disputes": [{**of, **one} for one in disputes], "next": None}
    for month, nano in disputed_nano.items():
        answer = {"documents": [], "disputed": [{"party": "p-2", "disputed_nano": nano}], "next": None}
        world.web.node.answers[f"areas/a-1/months/{month.replace('_', '-')[1:]}/documents"] = answer


async def test_what_is_disputed_of_a_document_is_not_overdue_on_its_list_its_page_and_the_household_s_own(
    world: BookWorld,
) -> None:
    clerk, own = world.web.browser(Role.UTILITY), world.web.browser(Role.HOUSEHOLD, "p-2")
    lists = (clerk, f"/issued?month={MONTH}"), (own, "/households/p-2/issued")
    other = await table(*lists[1])
    left_nano = other[0]["open_nano"]
    disputed(world, {"month": MONTH}, _2027_01=left_nano + CENT)
    found = [await table(*one) for one in lists]
    rows = [next(row for row in of if row["number"] == "util-2020-000002") for of in found]
    assert [(row["state"], row["open_nano"], row["disputed_nano"]) for row in rows] == [
        ("disputed", left_nano, left_nano)
    ] * 2
    assert [of[-1]["disputed_nano"] for of in found] == [left_nano] * 2
    page = await own.text("/households/p-2/issued/util-2020-000002")
    assert ("disputed, not due" in page, "overdue" in page) == (True, False)
    assert "What is disputed is not due while the dispute stands" in await clerk.text("/documents/issued")


async def test_what_is_not_disputed_of_a_document_is_overdue_and_before_its_due_date_it_is_disputed_in_part(
    world: BookWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = world.web.browser(Role.HOUSEHOLD, "p-2")
    # The slot is of January by the clock of the area, of December by UTC.
    disputed(world, {"slot_start_s": 1_798_732_800}, _2027_01=CENT)
    states = []
    for today in ("2020-01-20", "2020-01-19"):
        monkeypatch.setattr(issued_states, "_today", immediately(today))
        row = (await table(browser, "/households/p-2/issued"))[0]
        states.append((row["state"], row["disputed_nano"]))
    assert states == [("overdue", CENT), ("disputed_part", CENT)]


def immediately(text: str) -> Callable[[object], Awaitable[str]]:
    """A reading that gives a text."""

    async def read(_source: object) -> str:
        return text

    return read


async def test_disputes_that_are_over_of_credits_and_of_others_leave_a_document_overdue(world: BookWorld) -> None:
    other = {"month": MONTH, "party": "p-1"}
    disputed(world, {"month": MONTH, "is_closed": True}, {"month": MONTH, "amount_nano": -CENT}, other, _2027_01=CENT)
    row = (await table(world.web.browser(Role.HOUSEHOLD, "p-2"), "/households/p-2/issued"))[0]
    assert (row["state"], row["disputed_nano"]) == ("overdue", 0)


async def test_where_nobody_can_say_what_is_disputed_no_state_is_given(
    world: BookWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = world.web.browser(Role.UTILITY)

    async def states() -> list[str | None]:
        return [row["state"] for row in (await table(browser, f"/issued?month={MONTH}"))[:-1]]

    disputed(world, {"month": MONTH}, {"month": "2027-02"}, _2027_01=CENT, _2027_02=CENT)
    found = []
    for months_max in (2, 1):
        monkeypatch.setattr(contested, "MONTHS_MAX", months_max)
        found.append(await states())
    disputed(world, {"month": "2027-03"})  # of which the node has no documents
    found.append(await states())
    world.web.progress.newest += 1
    world.web.node.answers["disputes"] = lambda start=0: {"disputes": [], "next": start + 1_000}
    monkeypatch.setattr(contested, "DISPUTES_MAX", 1_000)
    found.append(await states())
    unknown: list[str | None] = ["overdue", None, None]
    assert found == [["overdue", "overdue", "settled"], unknown, unknown, [None] * 3]


async def test_pages_without_a_book_name_none_and_an_empty_one_says_so(world: BookWorld, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    plain = make_world(tmp_path / "plain").browser(Role.UTILITY)
    assert (await plain.get("/documents/issued")).status_code == 404
    assert "/documents/issued" not in await plain.text("/documents")
    assert "/documents/issued?month=" in await world.web.browser(Role.UTILITY).text("/documents")
    shutil.rmtree(world.book)
    assert "No document of it has been issued yet." in await world.web.browser(Role.UTILITY).text("/documents/issued")
