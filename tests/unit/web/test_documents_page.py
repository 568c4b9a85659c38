"""Documents of a month on the pages: the household's own, all of an area for the utility, in every format; the node answers whoever may see them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gridcore.master_data import Named
from gridcore.registry.point import POINT, Point
from gridledger.settling import area_month
from gridweb.access import Role, Viewer
from gridweb.pages import documents
from gridweb.pages.documents import area_documents_table, household_document_lines_table, household_documents_table
from ledger.client import NodeRefused
from ledger.http.queries import credit
from tests.unit.settling.test_tariffs_by_series import dynamic
from tests.unit.web.ledger_world import LedgerWorld, ledger_world
from tests.unit.web.web_world import make_world
from tests.worlds.consortium import FIRST_S, SLOT_S
from tests.worlds.tariffed import MONTH, TARIFFED, first_slots, late_reading, with_more

PATH = f"areas/a-1/months/{MONTH}/documents"
UTILITY = Viewer("u", Role.UTILITY)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[LedgerWorld]:
    """The metered world, p-2's other point p-1's from the third slot on, its late reading settled again."""
    moved = Named(POINT, "P-5", Point("a-1", "load", party="p-1"), from_s=FIRST_S + 2 * SLOT_S)
    async with ledger_world(tmp_path, consortium=with_more(moved), is_settled=False) as world:
        await world.submit(*first_slots(world.sender), *late_reading(world.sender, 700))
        yield world


async def test_the_node_answers_invoice_and_credit_note_with_their_lines(world: LedgerWorld) -> None:
    answer: Any = await world.node.client("reg").query(PATH, party="p-2")
    assert (answer["slots_expected"], answer["slots_settled"], answer["next"]) == (1_600, 16, None)
    invoice, credit = answer["documents"]
    assert (invoice["run"], credit["run"]) == ("initial", "correction-1")
    assert invoice["gross"] > 0 > credit["gross"]
    assert {"demand", "stay", "residual_export"} <= {line["line_kind"] for line in invoice["lines"]}
    for document in (invoice, credit):
        assert sum(line["amount"] for line in document["lines"]) == document["net"]
        assert document["net"] + document["tax"] == document["gross"]
    whole: Any = await world.node.client("reg").query(PATH)
    assert [one["party"] for one in whole["documents"]] == ["p-1", "p-2", "p-2"]
    assert whole["without_tariff"] == ["l-1"]
    assert [one for one in whole["documents"] if one["party"] == "p-2"] == answer["documents"]


async def test_the_node_answers_party_by_party_what_is_too_much_for_one_answer(
    world: LedgerWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(area_month, "PARTIES_AT_ONCE", 1)
    client = world.node.client("reg")
    parts: list[Any] = [await client.query(PATH, start=start) for start in range(3)]
    assert [part["next"] for part in parts] == [1, 2, None]
    assert [[one["party"] for one in part["documents"]] for part in parts] == [[], ["p-1"], ["p-2", "p-2"]]
    assert parts[0]["without_tariff"] == ["l-1"]


async def test_a_party_asks_for_its_own_documents_alone(world: LedgerWorld) -> None:
    own: Any = await world.node.client("p-1").query(PATH)
    assert {one["party"] for one in own["documents"]} == {"p-1"}
    with pytest.raises(NodeRefused, match="a party's data is for itself"):
        await world.node.client("p-1").query(PATH, party="p-2")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("areas/a-1/months/2027-1/documents", "a month is written YYYY-MM"),
        ("areas/a-1/months/2027-02/documents", "area a-1 has no settled slot of it; it has 2027-01"),
        (f"areas/a-9/months/{MONTH}/documents", "no area 'a-9' on this chain"),
    ],
)
async def test_a_month_that_is_none_is_one_clear_line(world: LedgerWorld, path: str, said: str) -> None:
    with pytest.raises(NodeRefused, match=said):
        await world.node.client("reg").query(path)


async def test_a_household_sees_the_documents_of_its_own_slots_on_its_month(world: LedgerWorld) -> None:
    own = Viewer("p", Role.HOUSEHOLD, "p-2")
    table = await household_documents_table(world.source, own, "p-2", month=MONTH)
    assert [row[:2] for row in table.rows] == [("invoice", "initial"), ("credit", "correction-1")]
    assert table.totals is not None
    lines = await household_document_lines_table(world.source, own, "p-2", month=MONTH)
    assert lines.totals is not None
    assert lines.totals[4] == table.totals[4]
    assert (
        "Settled: 16 of 1600 slots. The month is not complete: these are its documents so far. Tax: 13 %." in table.note
    )
    # P-5 took 200 Wh of two slots while it was p-2's: what it took afterwards is nothing that p-2 sees
    assert [row[2] for row in lines.rows if row[1] == "funds"] == [400]
    browser = world.web.browser(Role.HOUSEHOLD, "p-2")
    page = await browser.text(f"/households/p-2/month?month={MONTH}")
    assert "Documents of 2027-01, party p-2" in page
    assert "credit note" in page
    assert "correction 1" in page
    assert "correction-1" not in page
    assert "demand" in page
    words = next(column.words for column in lines.columns if column.key == "account")
    assert {row[6] for row in lines.rows} & set(words), "who is paid is told in words where the contract has them"
    kinds = [row[1] for row in lines.rows]
    assert lines.links[0] == f"/households/p-2/month?month={MONTH}&line={kinds[0]}#line"
    assert lines.links[kinds.index("funds")] is None, "a component is of the month, not of slots"
    for address in ("documents", "documents/lines"):
        assert (await browser.get(f"/api/v1/households/p-1/{address}?month={MONTH}")).status_code == 403
        assert (await browser.get(f"/api/v1/households/p-2/{address}?month={MONTH}&format=csv")).status_code == 200
    assert (await browser.get("/documents")).status_code == 403


async def test_a_household_without_a_tariff_has_no_documents_on_its_month(world: LedgerWorld) -> None:
    table = await household_documents_table(world.source, UTILITY, "l-1", month=MONTH)
    assert not table.rows
    assert "no tariff is named" in table.note
    page = await world.web.browser(Role.UTILITY).text(f"/households/l-1/month?month={MONTH}")
    assert "Documents of" not in page


async def test_of_more_parties_without_a_tariff_than_the_note_names_it_says_how_many_are_left(
    world: LedgerWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "NAMED_MAX", 0)
    table = await area_documents_table(world.source, "a-1", month=MONTH)
    assert "No documents of parties that are billed and name no tariff: 1 more." in table.note


async def test_the_utility_sees_the_documents_of_an_area_and_takes_them_along(world: LedgerWorld) -> None:
    table = await area_documents_table(world.source, "a-1", month=MONTH)
    assert [row[:3] for row in table.rows] == [
        ("p-1", "invoice", "initial"),
        ("p-2", "invoice", "initial"),
        ("p-2", "credit", "correction-1"),
    ]
    assert table.links[0] == f"/households/p-1/month?month={MONTH}"
    assert "No documents of parties that are billed and name no tariff: l-1." in table.note
    page = await world.web.browser(Role.REGULATOR).text(f"/documents?area=a-1&month={MONTH}")
    assert "Documents of 2027-01, area a-1" in page
    browser = world.web.browser(Role.UTILITY, language="zh_CN")
    page = await browser.text(f"/documents?area=a-1&month={MONTH}")
    assert "红字" in page
    assert ">更正 1<" in page
    text = await browser.text(f"/api/v1/areas/a-1/documents?month={MONTH}&format=csv")
    assert [line.split(",")[:3] for line in text.splitlines()[-1:]] == [["p-2", "credit", "correction-1"]]


async def test_of_more_parties_than_a_table_has_the_first_ones_are_there_and_it_says_so(
    world: LedgerWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(area_month, "PARTIES_AT_ONCE", 1)
    monkeypatch.setattr(documents, "PARTIES_MAX", 2)
    table = await area_documents_table(world.source, "a-1", month=MONTH)
    assert [row[0] for row in table.rows] == ["p-1"]
    assert "The first 2 parties; gridledger settle documents makes those of all." in table.note


async def test_where_a_price_is_missing_pages_and_exports_say_so_instead_of_no_documents(tmp_path: Path) -> None:
    says = "price series spot says no price of the slot that starts at 2027-01-15T08:45"
    async with ledger_world(tmp_path, consortium=dynamic(3), is_settled=False) as world:
        await world.submit(*first_slots(world.sender))
        tables = [
            await area_documents_table(world.source, "a-1", month=MONTH),
            await household_documents_table(world.source, UTILITY, "p-1", month=MONTH),
            await household_document_lines_table(world.source, UTILITY, "p-1", month=MONTH),
        ]
        assert [(len(table.rows), says in table.note) for table in tables] == [(0, True)] * 3
        browser = world.web.browser(Role.UTILITY, language="zh_CN")
        chinese = "价格序列 spot 没有 2027-01-15T08:45"
        assert chinese in await browser.text(f"/documents?area=a-1&month={MONTH}")
        assert chinese in await browser.text(f"/households/p-1/month?month={MONTH}")
        await browser.post("/exports", {"content": "documents", "area": "a-1", "month": MONTH, "format": "csv"})
        (job,) = world.web.site.exports.of("utility-x")
        assert job.task is not None
        await job.task
        assert (job.state, says in job.reason) == ("failed", True)


async def test_an_area_of_which_nobody_names_a_tariff_says_so(tmp_path: Path) -> None:
    async with ledger_world(tmp_path) as world:
        table = await area_documents_table(world.source, "a-1", month=MONTH)
        assert not table.rows
        assert table.note.startswith("There are no documents")
        assert TARIFFED.chain != world.node.chain


async def test_the_node_answers_every_payment_of_a_span_and_a_party_its_own_alone(
    world: LedgerWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.submit([world.sender.payment("P-1", "p-1", 6)], [world.sender.payment("P-2", "p-2", 7)])
    path, client = "areas/a-1/payments", world.node.client("reg")
    span = {"from_s": 0, "until_s": 2**40}
    whole: Any = await client.query(path, **span)
    assert [(one["party"], one["amount_nano"]) for one in whole["payments"]] == [("p-1", 6), ("p-2", 7)]
    at_s = whole["payments"][0]["time_s"]
    for until_s, found in ((at_s, 0), (at_s + 1, 2)):
        answer: Any = await client.query(path, from_s=0, until_s=until_s)
        assert len(answer["payments"]) == found
    own: Any = await world.node.client("p-2").query(path, **span)
    assert own["payments"] == whole["payments"][1:]
    with pytest.raises(NodeRefused, match="a party's data is for itself"):
        await world.node.client("p-2").query(path, party="p-1", **span)
    with pytest.raises(NodeRefused, match="no area 'a-9' on this chain"):
        await client.query("areas/a-9/payments", **span)
    monkeypatch.setattr(credit, "PAYMENTS_AT_ONCE", 1)
    parts: list[Any] = [await client.query(path, start=start, **span) for start in range(2)]
    assert [part["next"] for part in parts] == [1, None]
    assert [one for part in parts for one in part["payments"]] == whole["payments"]


async def test_what_is_disputed_and_due_of_documents_is_named_with_its_currency(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    amounts = {"gross_nano": 3 * 10**9, "disputed_nano": 10**9, "due_nano": 2 * 10**9}
    document = {
        "party": "p-1",
        "run": "initial",
        "net": 300,
        "tax": 0,
        "gross": 300,
        "rounding_nano": 0,
        "quantum_nano": 10**7,
    }
    world.node.answers[PATH] = {
        "slots_expected": 1, "slots_settled": 1, "next": None, "without_tariff": [], "uncharged": [{"party": "p-1", "component": "factor", "point": "P-1", "reason": "partial"}] * 21,
        "documents": [{**document, "tax_ppm": 0, "taxes": [], "lines": []}], "disputed": [{"party": "p-1", "disputes": 1, **amounts}],
    }  # fmt: skip
    table = await area_documents_table(world.site.source, "a-1", month=MONTH)
    assert "p-1: of the gross amount 1.0000 CNY is disputed" in table.note
    assert "; 2.0000 CNY is due." in table.note
    assert (
        "factor of p-1 is not charged, as the reactive energy of point P-1 is missing or of other slots." in table.note
    )
